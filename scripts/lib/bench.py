#!/usr/bin/env python3
"""Run it as scripts/bench. In every round each of these runs once, in turns, on the same server and data:

    P  pantry-keeper backup
    A  mongodump --archive --numParallelCollections=1 >/dev/null       reading alone
    B  mongodump --archive=FILE --gzip                                 the one-liner
    C  mongodump --out DIR && tar czf FILE DIR && rm -r DIR            the usual script

With --restore, each into an empty server of its own:

    P  pantry-keeper restore latest --yes
    S  mongorestore --archive=FILE --gzip

and then one collection of 1 MB out of an archive of more than 1 GB, neither of which compresses.
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
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass

import pymongo

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOLS, TESTS = ROOT / ".tools", ROOT / "tests"
sys.path.insert(0, str(TESTS / "support"))
from server import Server  # noqa: E402  found by the line before

LIMITS = {"A": 1.4, "B": 0.6, "C": 0.3, "S": 1.1}  # P may take this many times as long
JUDGED_FROM_MB = 400  # below this, starting and connecting weigh more than the work
WRITTEN_LIMIT = 1.02  # bytes written, to the size of the archive
BUSY = 0.1  # share of the machine that others may use before the figures are doubtful
SMALL, SMALL_SECONDS, SMALL_READ = "small.photos", 1.0, 2_000_000  # beyond mongorestore alone; bytes read of the archive
IDLE_MEMORY_MB, IDLE_WAKE_UPS, STOP_SECONDS = 12.0, 1.0, 10.0
BINARY = os.environ.get("PANTRY_KEEPER_BIN")
STOCK = {
    "A": "mongodump --uri '{uri}' --quiet --archive --numParallelCollections=1 >/dev/null",
    "B": "mongodump --uri '{uri}' --quiet --archive=dump.gz --gzip",
    "C": "mongodump --uri '{uri}' --quiet --out dump && tar czf dump.tar.gz dump && rm -r dump",
    "S": "mongorestore --uri '{uri}' --quiet --gzip --archive=../stock.gz",
}
missed = []


def judge(what, figure, limit, unit="", judged=True):
    good = figure <= limit or not judged
    if not good:
        missed.append(what)
    verdict = ("ok" if good else "MISSED") if judged else f"(not judged below {JUDGED_FROM_MB} MB)"
    print(f"  {what:44} {figure:12,.2f} {unit:9} limit {limit:g}: {verdict}", flush=True)


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

    def race(self, names, once):
        """Everybody once a round; nobody is always first, or always after the same one."""
        results = {name: [] for name in names}
        print("Wall seconds (and CPU seconds of the client side)\n  round " + "".join(f"{name:>17}" for name in names))
        shown = lambda runs, pick: f"{pick(one.wall for one in runs):>8.2f} ({pick(one.cpu for one in runs):6.2f})"
        for number in range(self.options.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                results[name].append(once(name))
            print(f"  {number + 1:>5} " + "".join(shown(results[name][-1:], sum) for name in names), flush=True)
        print("  median" + "".join(shown(results[name], statistics.median) for name in names))
        runs = sum(results.values(), [])
        share = sum(one.others for one in runs) / sum(one.wall for one in runs) / os.cpu_count()
        doubt = ": it is too busy for these figures to mean much" if share > BUSY else ""
        print(f"  Other programs used {share:.0%} of the machine meanwhile{doubt}.\n")
        for name in [name for name in names if name != "P"] if "P" in names else []:
            ratios = [ours.wall / other.wall for ours, other in zip(results["P"], results[name])]
            print(f"  P/{name}  " + " ".join(f"{one:.2f}" for one in ratios))
            judge(f"P/{name}, median", statistics.median(ratios), LIMITS[name], judged=self.options.size >= JUDGED_FROM_MB)
        return results


# --- A backup ----------------------------------------------------------------------------------------------------------


class Backup(Bench):
    def main(self):
        server, holds = self.site(self.options.size)
        with server:
            names = "ABC" if self.options.baselines else "PABC"
            self.once(names[0], server)  # warm-up: caches, and the server's own
            results = self.race(names, lambda name: self.once(name, server))
        if self.options.baselines:
            return
        judge("bytes written, to the size of the archive", max(one.written / one.output for one in results["P"]), WRITTEN_LIMIT)
        self.check_archive(holds)
        peaks = {self.options.size: max(one.peak for one in results["P"])}
        for size in (100.0, *([1000.0] if self.options.memory else [])):
            if size not in peaks:
                with self.site(size)[0] as server:
                    peaks[size] = self.once("P", server).peak
        for size, peak in sorted(peaks.items()):
            print(f"  peak memory of our own process at {size:g} MB of BSON: {peak / 1e6:.1f} MB")

    def once(self, name, server):
        folder = self.fresh(self.work / name)
        if name == "P":
            result, self.archive = self.backup(server, folder)
            expected = {self.archive, self.archive.with_name(self.archive.name + ".sha256")}
            own = (folder / "logs", folder / "backups/.pantry-keeper")
            extra = {one for one in folder.rglob("*") if one.is_file() and not set(own) & set(one.parents)} - expected
            if extra:
                missed.append(f"files nobody asked for: {extra}")
            return result
        result = run(["bash", "-c", STOCK[name].format(uri=server.uri)], folder, server)
        shutil.rmtree(folder)
        return result

    def check_archive(self, holds):
        """The race counts only if the archive holds everything: reads it as any tar reader would."""
        with tarfile.open(self.archive) as opened:
            size = sum(one.size for one in opened if "/jorbites/" in one.name and one.name.endswith(".bson"))
        judge("bytes of documents that the archive lacks", abs(holds["bytes"] - size), 0)


# --- A restore ---------------------------------------------------------------------------------------------------------


class Restore(Bench):
    def main(self):
        source, holds = self.site(self.options.size)
        with source:
            subprocess.run(["mongodump", f"--uri={source.uri}", "--quiet", "--gzip", f"--archive={self.work / 'stock.gz'}"], check=True)
            self.backup(source, self.work)
        results = self.race("PS", lambda name: self.once(name, {"jorbites": holds["documents"]}))
        print(f"  peak memory of our own process: {max(one.peak for one in results['P']) / 1e6:.1f} MB")
        self.one_collection()

    def once(self, name, expected, *options):
        """Into a new server, which goes with its data afterwards."""
        folder = self.fresh(self.work / "target")
        with self.server(folder) as server:
            if name == "P":
                result = run([BINARY, "restore", "latest", "--yes", *options], folder, server, self.keeper(server.uri, self.work))
            else:
                result = run(["bash", "-c", STOCK[name].format(uri=server.uri)], folder, server)
            with pymongo.MongoClient(server.uri) as client:
                for database, documents in expected.items():
                    found = sum(client[database][one].count_documents({}) for one in client[database].list_collection_names())
                    if found != documents:
                        sys.exit(f"{found:,} documents came back of {documents:,}")
        return result

    def one_collection(self):
        """How long beyond mongorestore alone, and how many bytes of the archive are read for it."""
        database, _, collection = SMALL.partition(".")
        self.fresh(self.work)
        with self.server(self.work / "source") as server, pymongo.MongoClient(server.uri) as client:
            chance = random.Random(3)
            for number in range(1_050):
                client.large.noise.insert_one({"_id": number, "noise": chance.randbytes(1_000_000)})
            client[database][collection].insert_many([{"_id": n, "photo": chance.randbytes(10_000)} for n in range(100)])
            _, archive = self.backup(server, self.work)
            stock = f"--archive={self.work / 'stock.gz'}"
            subprocess.run(["mongodump", f"--uri={server.uri}", "--quiet", "--gzip", "-d", database, stock], check=True)
        shutil.rmtree(self.work / "source")
        once = lambda name: self.once(name, {database: 100}, "--include", SMALL).wall
        beyond = [once("P") - once("S") for _ in range(5)]
        print(f"\nOne collection of 1 MB out of an archive of {archive.stat().st_size / 1e6:.1f} MB")
        judge("beyond mongorestore alone, median of 5", statistics.median(beyond), SMALL_SECONDS, "s")
        judge("read of the archive", self.bytes_read(archive), SMALL_READ, "bytes")

    def bytes_read(self, archive):
        trace = self.work / "trace"
        calls = "trace=read,pread64,readv,preadv,preadv2,mmap,sendfile,splice,copy_file_range"
        words = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), BINARY, "restore", "latest", "--yes", "--include", SMALL]
        with self.server(self.fresh(self.work / "traced")) as server:
            run(words, self.work, server, self.keeper(server.uri, self.work))
        lines = [line for line in trace.read_text(errors="replace").splitlines() if archive.name in line]
        other = [line for line in lines if "read" not in line.split("(")[0]]
        if other:
            sys.exit(f"the archive is read in a way that is not counted: {other[0]}")
        return sum(int(re.search(r"= (\d+)$", line)[1]) for line in lines)


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
    parser.add_argument("--size", type=float, default=458, metavar="MB", help="of BSON (default 458)")
    parser.add_argument("--small", action="store_const", dest="size", const=100, help="same as --size 100")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="measure the memory at 1 GB, too")
    parser.add_argument("--baselines", action="store_true", help="A, B and C only, without pantry-keeper")
    parser.add_argument("--restore", dest="kind", action="store_const", const=Restore, default=Backup)
    parser.add_argument("--idle", dest="kind", action="store_const", const=Idle, help="the scheduler while it waits")
    options = parser.parse_args()
    # SIGTERM ends the server, too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = options.kind(options)
    try:
        bench.main()
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)
    if missed:
        sys.exit("\nMissed:\n  " + "\n  ".join(missed))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
