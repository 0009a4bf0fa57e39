#!/usr/bin/env python3
"""What scripts/bench measures with: one run of a program and what it took, servers with data that is made once. By itself:

    --collection   one collection of 1 MB out of an archive of more than 1 GB, neither of which compresses
    --idle         the scheduler while it waits: memory, wake-ups, and how soon it stops
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

import pymongo

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOLS, TESTS = ROOT / ".tools", ROOT / "tests"
sys.path.insert(0, str(TESTS / "support"))
from server import Server  # noqa: E402  found by the line before

WRITTEN_LIMIT = 1.02  # bytes written, to the size of the archive
BUSY = 0.1  # share of the machine that others may use before the figures are doubtful
SMALL, SMALL_SECONDS, SMALL_READ = "small.photos", 1.0, 2_000_000  # beyond mongorestore alone; bytes read of the archive
IDLE_MEMORY_MB, IDLE_WAKE_UPS, STOP_SECONDS = 10.5, 1.0, 10.0
BINARY = os.environ.get("PANTRY_KEEPER_BIN")
missed = []


def judge(what, figure, limit, unit=""):
    if figure > limit:
        missed.append(what)
    print(f"  {what:56} {figure:12,.2f} {unit:9} limit {limit:g}: {'ok' if figure <= limit else 'MISSED'}", flush=True)


# --- One run, and what it took -----------------------------------------------------------------------------------------


@dataclass
class Result:
    wall: float  # seconds
    cpu: float  # seconds, with the children it has waited for
    peak: int  # bytes of memory, of this process alone
    written: int  # bytes sent to the disk
    others: float = 0.0  # CPU seconds of programs that have nothing to do with it
    output: int = 0  # bytes


def field(path, name):
    """A number from one of /proc's 'name: value' files; 0 when the process or /proc is not there."""
    try:
        return int(re.search(rf"(?m)^{name}:\s*(\d+)", pathlib.Path(path).read_text())[1])
    except (OSError, TypeError):
        return 0


def busy_seconds(path, fields):
    text = pathlib.Path(path).read_text().splitlines()[0].rpartition(")")[2].split()
    return sum(int(text[field]) for field in fields) / os.sysconf("SC_CLK_TCK")


def machine_and_server(server):
    """CPU seconds of all cores (user, nice, system, irq, softirq, steal), and of the server."""
    return busy_seconds("/proc/stat", (1, 2, 3, 6, 7, 8)), busy_seconds(f"/proc/{server.process.pid}/stat", (11, 12))


def run(command, cwd, server, env=None):
    os.sync()  # so that nobody pays for what the one before has left to be written
    peak, done = [0], threading.Event()
    all_before, server_before = machine_and_server(server)
    with tempfile.TemporaryFile() as stderr:
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)

        def watch():  # the kernel's own high-water mark is gone once the process has ended
            while not done.wait(0.01):
                peak[0] = max(peak[0], field(f"/proc/{process.pid}/status", "VmHWM") * 1024)

        threading.Thread(target=watch, daemon=True).start()
        # Its counters are read after it has ended and before it is gone, so that nothing is missed.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall = time.monotonic() - started
        written = field(f"/proc/{process.pid}/io", "write_bytes")
        done.set()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            stderr.seek(0)
            sys.exit(f"{command} ended with {process.returncode}:\n{stderr.read().decode(errors='replace')[-4000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    everything, servers = machine_and_server(server)
    return Result(wall, cpu, peak[0], written, max(0.0, everything - all_before - (servers - server_before) - cpu))


# --- What the kinds of runs have in common --------------------------------------------------------------------------------


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = TOOLS / "bench-work"
        self.fresh(self.work)
        program = os.environ["PANTRY_TEST_SERVER"]
        self.program = program if "mongod" in pathlib.Path(program).name else shutil.which("secantusd-rs")

    def fresh(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def server(self, folder):
        # Standalone: so that P, too, reads the data and not an oplog besides.
        return Server(folder, self.program, standalone=True)

    def site(self, size):
        """A server with `size` MB of data, kept between runs. Returns it, not started, and what it holds."""
        folder = TOOLS / "bench-data" / f"{pathlib.Path(self.program).name}-{size:g}MB"
        made_by = hashlib.sha256((TESTS / "support/recipes.py").read_bytes()).hexdigest()
        stamp = folder / f"{made_by}.json"
        if not stamp.exists():
            print(f"Making {size:g} MB of data, once ...", flush=True)
            self.fresh(folder)
            with self.server(folder) as server:
                seeding = [sys.executable, TESTS / "support/mongo.py", "seed", server.uri, "bench", str(size)]
                last = subprocess.run(seeding, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
            stamp.write_text(last)
        holds = json.loads(stamp.read_text())
        print(f"\n{holds['documents']:,} documents, {holds['bytes'] / 1e6:.1f} MB of BSON; {self.program}")
        return self.server(folder), holds

    def keeper(self, uri, folder):
        # A failed attempt must not hide in the time of the one that follows.
        return {"PATH": os.environ["PATH"], "MONGODB_URI": uri, "BACKUP_DIR": str(folder / "backups"),
                "LOG_DIR": str(folder / "logs"), "BACKUP_PREFIX": "bench", "BACKUP_RETRIES": "0"}

    def backup(self, server, folder):
        result = run([BINARY, "backup"], folder, server, self.keeper(server.uri, folder))
        archive = next((folder / "backups").glob("bench_backup_*.tar.gz"))
        result.output = archive.stat().st_size
        return result, archive


# --- One collection ----------------------------------------------------------------------------------------------------


class Collection(Bench):
    """How long beyond mongorestore alone, and how many bytes of the archive are read for it."""

    def main(self):
        database, _, collection = SMALL.partition(".")
        with self.server(self.work / "source") as server, pymongo.MongoClient(server.uri) as client:
            chance = random.Random(3)
            for number in range(1_050):
                client.large.noise.insert_one({"_id": number, "noise": chance.randbytes(1_000_000)})
            client[database][collection].insert_many([{"_id": n, "photo": chance.randbytes(10_000)} for n in range(100)])
            _, archive = self.backup(server, self.work)
            stock = f"--archive={self.work / 'stock.gz'}"
            subprocess.run(["mongodump", f"--uri={server.uri}", "--quiet", "--gzip", "-d", database, stock], check=True)
        shutil.rmtree(self.work / "source")
        ours = [BINARY, "restore", "latest", "--yes", "--include", SMALL]
        beyond = [self.once(ours) - self.once(None) for _ in range(5)]
        print(f"\nOne collection of 1 MB out of an archive of {archive.stat().st_size / 1e6:.1f} MB")
        judge("beyond mongorestore alone, median of 5", statistics.median(beyond), SMALL_SECONDS, "s")
        calls = "trace=read,pread64,readv,preadv,preadv2,mmap,sendfile,splice,copy_file_range"
        self.once(["strace", "-f", "-y", "-e", calls, "-o", str(self.work / "trace"), *ours])
        lines = [line for line in (self.work / "trace").read_text(errors="replace").splitlines() if archive.name in line]
        other = [line for line in lines if "read" not in line.split("(")[0]]
        if other:
            sys.exit(f"the archive is read in a way that is not counted: {other[0]}")
        judge("read of the archive", sum(int(re.search(r"= (\d+)$", line)[1]) for line in lines), SMALL_READ, "bytes")

    def once(self, command):
        """Seconds, into a new server, which goes with its data afterwards; mongorestore's without a command."""
        folder = self.fresh(self.work / "target")
        with self.server(folder) as server:
            stock = ["mongorestore", "--uri", server.uri, "--quiet", "--gzip", "--archive=../stock.gz"]
            result = run(command or stock, folder, server, self.keeper(server.uri, self.work) if command else None)
            with pymongo.MongoClient(server.uri) as client:
                database, _, collection = SMALL.partition(".")
                if (found := client[database][collection].count_documents({})) != 100:
                    sys.exit(f"{found} documents came back of 100")
        return result.wall


# --- Waiting -----------------------------------------------------------------------------------------------------------


class Idle(Bench):
    """The scheduler beside a throw-away server, which it backs up three times with a mail each: what it takes when it waits."""

    def main(self):
        self.program, mails = None, self.fresh(self.work / "mails")
        # As systemd starts it with WatchdogSec=5min, which it tells that it is alive.
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(self.work / "notify"))
        threading.Thread(target=lambda: [manager.recv(4096) for _ in iter(int, 1)], daemon=True).start()
        smtp = subprocess.Popen([sys.executable, TESTS / "support/smtp.py", mails, "--security", "starttls"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with smtp, self.server(self.work / "server") as server:
            with pymongo.MongoClient(server.uri) as client:
                client.shop.recipes.insert_many([{"_id": n, "text": os.urandom(20_000)} for n in range(300)])
            env = self.keeper(server.uri, self.work) | {
                "NOTIFY_ON": "always", "SMTP_HOST": "localhost", "SMTP_PORT": smtp.stdout.readline().strip(),
                "EMAIL_FROM": "pantry@example.org", "EMAIL_TO": "owner@example.org",
                "SSL_CERT_FILE": str(TESTS / "fixtures/smtp/ca.pem"),
                "NOTIFY_SOCKET": str(self.work / "notify"), "WATCHDOG_USEC": "300000000",
            }
            self.log = self.work / "log"
            with self.log.open("w") as log:
                scheduler = subprocess.Popen([BINARY, "run"], env=env, stderr=log)
            try:
                self.measure(scheduler)
            finally:
                scheduler.kill()
                smtp.stdin.close()

    def said(self, words, times):
        deadline = time.monotonic() + 60
        while self.log.read_text().count(words) < times:
            if time.monotonic() > deadline:
                sys.exit(f"It did not say {words!r}:\n{self.log.read_text()}")
            time.sleep(0.1)

    def measure(self, scheduler):
        status = f"/proc/{scheduler.pid}/status"
        switches = lambda: sum(field(task / "status", "voluntary_ctxt_switches") for task in pathlib.Path(status).parent.glob("task/*"))
        for backups in range(4):
            self.said("next backup", backups + 1)
            self.said("1 mail sent", backups)
            if backups in (0, 3):
                time.sleep(2)
                judge(f"memory (RSS), after {backups} backups and mails", field(status, "VmRSS") / 1000, IDLE_MEMORY_MB, "MB")
            if backups < 3:
                scheduler.send_signal(signal.SIGUSR1)
        judge("  the most it ever had", field(status, "VmHWM") / 1000, IDLE_MEMORY_MB, "MB")
        before = switches()
        time.sleep(20)
        judge("wake-ups", (switches() - before) / 20, IDLE_WAKE_UPS, "a second")
        asked = time.monotonic()
        scheduler.send_signal(signal.SIGTERM)
        if scheduler.wait(timeout=30) != 0:
            sys.exit(f"It ended with {scheduler.returncode}.")
        judge("stops within", time.monotonic() - asked, STOP_SECONDS, "s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--collection", dest="kind", action="store_const", const=Collection)
    kinds.add_argument("--idle", dest="kind", action="store_const", const=Idle)
    options = parser.parse_args()
    # SIGTERM ends the server, too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = options.kind(options)
    try:
        bench.main()
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)
    end()


def end():
    if missed:
        sys.exit("\nMissed:\n  " + "\n  ".join(missed))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
