"""Runs a program on a terminal and types an answer as soon as it asks.

    terminal.py QUESTION ANSWER PROGRAM [ARGUMENT...]

What the program says comes out on stdout; its exit code is that of this one.
"""

import os
import pty
import sys

question, answer, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
said = b""
asked = False
while True:
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        # How Linux says that the other side is gone.
        break
    if not piece:
        break
    said += piece
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()
    if not asked and question.encode() in said:
        asked = True
        os.write(terminal, answer.encode() + b"\n")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
