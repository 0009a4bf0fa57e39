#!/usr/bin/env python3
"""Throw-away MongoDB servers on a free port of 127.0.0.1, for the tests, the demo and the benchmark.

    server.py start DIR [--standalone] [--server PROGRAM]     prints the server's connection string when it is ready
    server.py stop DIR [--now]                                --now: its data is not needed any more

PROGRAM is a real mongod or a MongoDB-compatible server; by default the one scripts/setup has found. Unless
--standalone is given, it runs as a replica set of one, so that it has an oplog. DIR keeps its data, its log and
the process id. As a module: Server(dir).start(), .uri, .stop().
"""

import argparse
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pymongo
import pymongo.errors

READY_SECONDS = 90
STOP_SECONDS = 30


class ServerError(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, folder, program=None, standalone=False):
        self.folder = pathlib.Path(folder).resolve()
        self.program = program or os.environ.get("PANTRY_TEST_SERVER")
        self.standalone = standalone
        self.port = None
        self.process = None
        if not self.program:
            raise ServerError("no test server: run scripts/setup, then 'source .tools/env'")

    @property
    def uri(self):
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    @property
    def is_mongod(self):
        return "mongod" in pathlib.Path(self.program).name

    def command(self):
        data = self.folder / "data"
        if self.is_mongod:
            data.mkdir(parents=True, exist_ok=True)
            command = [self.program, "--dbpath", str(data), "--port", str(self.port), "--bind_ip", "127.0.0.1"]
            return command if self.standalone else command + ["--replSet", "rs0"]
        command = [self.program, "--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(data)]
        return command + ["--standalone"] if self.standalone else command

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        # Another program may take the free port first; then the server ends at once, and another port is tried.
        for attempt in range(3):
            self.port = free_port()
            with open(self.folder / "server.log", "ab") as log:
                # A session of its own: Ctrl-C in the terminal ends the script, and the script ends the server.
                self.process = subprocess.Popen(
                    self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    cwd=self.folder, start_new_session=True,
                )
            (self.folder / "server.pid").write_text(str(self.process.pid))
            try:
                if self.wait_ready():
                    return self
            except BaseException:
                self.stop()
                raise
        raise ServerError(f"{self.program} does not start: see {self.folder / 'server.log'}\n{self.log_tail()}")

    def wait_ready(self):
        """True when the server takes writes, False when it has ended by itself."""
        deadline = time.monotonic() + READY_SECONDS
        initiated = self.standalone or not self.is_mongod
        with pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=500) as client:
            while time.monotonic() < deadline:
                if self.process.poll() is not None:
                    return False
                try:
                    if not initiated:
                        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
                        try:
                            client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
                        except pymongo.errors.OperationFailure as error:
                            if error.code != 23:  # AlreadyInitialized: the folder has been used before
                                raise
                        initiated = True
                    if client.admin.command("hello").get("isWritablePrimary"):
                        return True
                except pymongo.errors.PyMongoError:
                    pass
                time.sleep(0.1)
        raise ServerError(f"{self.program} is not ready after {READY_SECONDS} s\n{self.log_tail()}")

    def log_tail(self):
        lines = (self.folder / "server.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-10:])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        (self.folder / "server.pid").unlink(missing_ok=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        # In a container, nobody may be there to reap it: a zombie has ended.
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def stop_by_pid(folder, now=False):
    path = pathlib.Path(folder) / "server.pid"
    if not path.exists():
        return
    pid = int(path.read_text())
    for sent in (signal.SIGKILL,) if now else (signal.SIGTERM, signal.SIGKILL):
        if not alive(pid):
            break
        os.kill(pid, sent)
        deadline = time.monotonic() + STOP_SECONDS
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    path.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--standalone", action="store_true")
    parser.add_argument("--now", action="store_true")
    parser.add_argument("--server", metavar="PROGRAM")
    options = parser.parse_args()
    if options.action == "stop":
        stop_by_pid(options.folder, options.now)
        return
    # Neither may leave a half-started server behind.
    for sent in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sent, lambda *_: sys.exit(1))
    try:
        print(Server(options.folder, options.server, options.standalone).start().uri)
    except ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
