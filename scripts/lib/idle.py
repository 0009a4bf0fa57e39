#!/usr/bin/env python3
"""Starts the scheduler beside a throw-away server, has it make and mail three backups, and measures it while it waits.

Run it as scripts/idle. Needs Linux's /proc.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pymongo

from server import Server

TESTS = pathlib.Path(__file__).resolve().parent.parent.parent / "tests"
MEMORY_LIMIT_MB = 12.0
WAKE_UPS_LIMIT = 1.0  # a second
STOP_LIMIT_SECONDS = 10.0
WATCHED_SECONDS = 20


def status(pid, key):
    """The sum of a line's numbers in the status files of all threads."""
    found = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith(key + ":"):
                found += int(line.split()[1])
                if key.startswith("Vm"):
                    return found
    return found


def wait_for(path, words, times=1):
    deadline = time.monotonic() + 60
    while path.read_text().count(words) < times:
        if time.monotonic() > deadline:
            sys.exit(f"It did not say {words!r}:\n{path.read_text()}")
        time.sleep(0.1)


def listen(manager):
    while True:
        manager.recv(4096)


def measure(work, binary):
    judged = []

    def judge(what, figure, limit, unit):
        judged.append(figure <= limit)
        print(f"  {what:34} {figure:6.2f} {unit:9} limit {limit:g}   {'ok' if judged[-1] else 'MISSED'}")

    mails, log = work / "mails", work / "log"
    mails.mkdir()
    # As systemd starts it with WatchdogSec=5min, which it tells that it is alive.
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(work / "notify"))
    threading.Thread(target=listen, args=(manager,), daemon=True).start()
    mail_server = subprocess.Popen(
        [sys.executable, TESTS / "support" / "smtp.py", mails, "--security", "starttls"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    scheduler = None
    with Server(work / "server", standalone=True) as server:
        try:
            with pymongo.MongoClient(server.uri) as client:
                client.shop.recipes.insert_many([{"_id": n, "text": os.urandom(20_000)} for n in range(300)])
            environment = {
                "PATH": os.environ["PATH"], "MONGODB_URI": server.uri, "NOTIFY_ON": "always",
                "BACKUP_DIR": str(work / "backups"), "LOG_DIR": str(work / "logs"),
                "SMTP_HOST": "localhost", "SMTP_PORT": mail_server.stdout.readline().strip(),
                "EMAIL_FROM": "pantry@example.org", "EMAIL_TO": "owner@example.org",
                "SSL_CERT_FILE": str(TESTS / "fixtures" / "smtp" / "ca.pem"),
                "NOTIFY_SOCKET": str(work / "notify"), "WATCHDOG_USEC": "300000000",
            }
            with log.open("w") as out:
                scheduler = subprocess.Popen([binary, "run"], env=environment, stderr=out)
            wait_for(log, "next backup")
            time.sleep(2)
            judge("memory (RSS), never at work", status(scheduler.pid, "VmRSS") / 1000, MEMORY_LIMIT_MB, "MB")
            for number in (1, 2, 3):
                scheduler.send_signal(signal.SIGUSR1)
                wait_for(log, "next backup", number + 1)
                wait_for(log, "1 mail sent", number)
            time.sleep(2)
            judge("memory, after 3 backups and mails", status(scheduler.pid, "VmRSS") / 1000, MEMORY_LIMIT_MB, "MB")
            judge("  the most it ever had", status(scheduler.pid, "VmHWM") / 1000, MEMORY_LIMIT_MB, "MB")
            before = status(scheduler.pid, "voluntary_ctxt_switches")
            time.sleep(WATCHED_SECONDS)
            wakes = (status(scheduler.pid, "voluntary_ctxt_switches") - before) / WATCHED_SECONDS
            judge("wake-ups", wakes, WAKE_UPS_LIMIT, "a second")
            asked = time.monotonic()
            scheduler.send_signal(signal.SIGTERM)
            code = scheduler.wait(timeout=30)
            judge("stops within", time.monotonic() - asked, STOP_LIMIT_SECONDS, "s")
            if code != 0:
                sys.exit(f"It ended with {code}.")
        finally:
            if scheduler and scheduler.poll() is None:
                scheduler.kill()
            mail_server.stdin.close()
            mail_server.wait()
    return all(judged)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work = pathlib.Path(tempfile.mkdtemp(prefix="pantry-keeper-idle."))
    try:
        ok = measure(work, sys.argv[1])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
