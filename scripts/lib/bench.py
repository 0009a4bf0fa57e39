#!/usr/bin/env python3
"""Times a backup against mongodump doing the same work in other ways, and measures memory and what is written.

Run it as scripts/bench. In every round each of these runs once, in turns, on the same server and data:

    P  pantry-keeper backup
    A  mongodump --archive --numParallelCollections=1 >/dev/null       reading alone
    B  mongodump --archive=FILE --gzip                                 the one-liner
    C  mongodump --out DIR && tar czf FILE DIR && rm -r DIR            the usual script
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile

import bench_restore
from measure import Bystanders, run
from server import Server, ServerError

LIB = pathlib.Path(__file__).resolve().parent
TOOLS = LIB.parent.parent / ".tools"
LIMITS = {"A": 1.4, "B": 0.6, "C": 0.3}  # P may take this many times as long
WRITTEN_LIMIT = 1.02  # bytes written, to the size of the archive
BUSY = 0.1  # share of the machine that others may use before the figures are doubtful
JUDGED_FROM_MB = 400  # below this, starting and connecting weigh more than the work
NAMES = {
    "P": "pantry-keeper backup",
    "A": "mongodump --archive --numParallelCollections=1 >/dev/null",
    "B": "mongodump --archive=FILE --gzip",
    "C": "mongodump --out DIR && tar czf FILE DIR && rm -r DIR",
}


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = TOOLS / "bench-work"
        self.missed = []

    def judge(self, ok, text):
        if not ok:
            self.missed.append(text)
        return "ok" if ok else "MISSED"

    # -- data ----------------------------------------------------------------------------------------------------------

    def server(self, size):
        """A server with `size` MB of data, kept between runs. Returns it, not started, and what it holds."""
        program = self.options.server
        folder = TOOLS / "bench-data" / f"{pathlib.Path(program).name}-{size:g}MB"
        made_by = hashlib.sha256(b"".join((LIB / name).read_bytes() for name in ("seed.py", "sample_data.py"))).hexdigest()
        stamp = folder / "holds.json"
        # Standalone: so that P, too, reads the data and not an oplog besides.
        server = Server(folder, program, standalone=True)
        if not stamp.exists() or json.loads(stamp.read_text())["made_by"] != made_by:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"Making {size:g} MB of data, once ...", flush=True)
            with server:
                totals = self.seed(server.uri, size)
            stamp.write_text(json.dumps({"made_by": made_by, **totals}))
        return server, json.loads(stamp.read_text())

    def seed(self, uri, size):
        command = [sys.executable, "-u", str(LIB / "seed.py"), uri, "--profile", "bench", "--size", str(size)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as seeding:
            *_, last = (show_progress(line) for line in seeding.stdout)
        if seeding.returncode != 0:
            sys.exit("the data could not be made, see above")
        return json.loads(last)

    # -- runs ----------------------------------------------------------------------------------------------------------

    def fresh(self, name):
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def once(self, which, uri):
        folder = self.fresh(which)
        os.sync()  # so that nobody pays for what the one before has left to be written
        if which == "P":
            return self.pantry_keeper(uri, folder)
        command = {
            "A": f"mongodump --uri '{uri}' --quiet --archive --numParallelCollections=1 >/dev/null",
            "B": f"mongodump --uri '{uri}' --quiet --archive=dump.gz --gzip",
            "C": f"mongodump --uri '{uri}' --quiet --out dump && tar czf dump.tar.gz dump && rm -r dump",
        }[which]
        result = run(["bash", "-c", command], cwd=folder, env=dict(os.environ))
        if result.status != 0:
            sys.exit(f"{NAMES[which]} failed:\n{result.stderr}")
        result.output_bytes = sum(one.stat().st_size for one in folder.iterdir())
        shutil.rmtree(folder)
        return result

    def pantry_keeper(self, uri, folder):
        for name in ("cwd", "home", "tmp"):
            (folder / name).mkdir()
        result = run([self.options.binary, "backup"], cwd=folder / "cwd", watch=True, env={
            "PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"),
            "MONGODB_URI": uri, "BACKUP_DIR": str(folder / "backups"), "LOG_DIR": str(folder / "logs"),
            # A failed attempt must not hide in the time of the one that follows.
            "BACKUP_PREFIX": "bench", "BACKUP_RETRIES": "0",
        })
        if result.status != 0:
            sys.exit(f"pantry-keeper backup failed with exit code {result.status}:\n{result.stderr}")
        archives = list((folder / "backups").glob("bench_backup_*.tar.gz"))
        if len(archives) != 1:
            sys.exit(f"expected one archive, found {len(archives)} in {folder / 'backups'}")
        result.archive = archives[0]
        result.output_bytes = archives[0].stat().st_size
        self.only_expected_files(folder, archives[0])
        return result

    def only_expected_files(self, folder, archive):
        backups = folder / "backups"
        extra = [
            one for one in folder.rglob("*")
            if one.is_file() and folder / "logs" not in one.parents and backups / ".pantry-keeper" not in one.parents
            and one not in (archive, archive.with_name(archive.name + ".sha256"))
        ]
        if extra:
            self.judge(False, "files nobody asked for: " + ", ".join(str(one.relative_to(folder)) for one in extra))

    def check_archive(self, archive, holds):
        """The race counts only if the archive holds everything: reads it as any tar reader would."""
        recorded = archive.with_name(archive.name + ".sha256").read_text().split()[0]
        with open(archive, "rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != recorded:
                self.judge(False, f"{archive.name} is not what its .sha256 says")
        with tarfile.open(archive) as opened:
            size = sum(one.size for one in opened if "/jorbites/" in one.name and one.name.endswith(".bson"))
        ok = self.judge(size == holds["bytes"], f"the archive holds {size:,} bytes of documents, not {holds['bytes']:,}")
        print(f"\nThe archive holds {size:,} bytes of documents of {holds['bytes']:,}: {ok}")

    # -- the race ------------------------------------------------------------------------------------------------------

    def race(self, size):
        runners = "ABC" if self.options.baselines else "PABC"
        server, holds = self.server(size)
        print(f"\n{holds['documents']:,} documents, {holds['bytes'] / 1e6:.1f} MB of BSON; {self.options.server}")
        results = {which: [] for which in runners}
        with server:
            for which in runners[:2]:
                self.once(which, server.uri)  # warm-up: caches, and the server's own
            print("\nWall seconds (and CPU seconds of the client side)\n  round " + "".join(f"{w:>16}" for w in runners))
            for number in range(self.options.rounds):
                turn = number % len(runners)  # nobody is always first, or always after the same one
                for which in runners[turn:] + runners[:turn]:
                    meanwhile = Bystanders(server.process.pid)
                    results[which].append(meanwhile.add_to(self.once(which, server.uri)))
                print(f"  {number + 1:>5} " + "".join(f"{seconds(results[w][-1]):>16}" for w in runners), flush=True)
        median = lambda which, field: statistics.median(getattr(one, field) for one in results[which])
        print("  median" + "".join(f"{median(w, 'wall'):>8.2f} ({median(w, 'cpu'):5.2f})" for w in runners))
        for which in runners:
            print(f"  {which}: {NAMES[which]}"
                  + (f": {results[which][-1].output_bytes / 1e6:.1f} MB" if results[which][-1].output_bytes else ""))
        self.bystanders(results)
        if "P" in results:
            self.ratios(results, judged=size >= JUDGED_FROM_MB)
            self.written(results["P"])
            self.check_archive(results["P"][-1].archive, holds)
        return results

    def bystanders(self, results):
        runs = [one for these in results.values() for one in these]
        if any(one.server_cpu is None for one in runs):
            return
        print("  CPU seconds of the server meanwhile, median: " + ", ".join(
            f"{which} {statistics.median(one.server_cpu for one in these):.2f}" for which, these in results.items()))
        share = sum(one.others_cpu for one in runs) / sum(one.wall for one in runs) / os.cpu_count()
        print(f"  Other programs used {share:.0%} of the machine meanwhile"
              + (": it is too busy for these figures to mean much." if share > BUSY else "."))

    def ratios(self, results, judged):
        print("\nP compared, round by round")
        for other, limit in LIMITS.items():
            pairs = [p.wall / o.wall for p, o in zip(results["P"], results[other])]
            median = statistics.median(pairs)
            line = " ".join(f"{one:.2f}" for one in pairs) + f"   median {median:.2f}, limit {limit}"
            if judged:
                line += ": " + self.judge(median <= limit, f"P/{other} is {median:.2f}, limit {limit}")
            print(f"  P/{other}  {line}")
        if not judged:
            print(f"  (limits are for {JUDGED_FROM_MB} MB and more)")

    def written(self, runs):
        print("\nBytes that our own process had written to disk, to the size of the archive")
        for one in runs:
            if one.written is None:
                print("  not measured: needs Linux's /proc")
                return
        ratios = [one.written / one.output_bytes for one in runs]
        ok = self.judge(max(ratios) <= WRITTEN_LIMIT, f"written is {max(ratios):.3f} times the archive, limit {WRITTEN_LIMIT}")
        print("  " + " ".join(f"{one:.3f}" for one in ratios) + f"   largest {max(ratios):.3f}, limit {WRITTEN_LIMIT}: {ok}")

    def memory(self, peaks, size):
        if size not in peaks:
            server, _ = self.server(size)
            with server:
                peaks[size] = self.once("P", server.uri).peak_rss


def show_progress(line):
    if not line.startswith("{"):
        print(line, end="", flush=True)
    return line


def seconds(result):
    return f"{result.wall:.2f} ({result.cpu:5.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=458, metavar="MB", help="of BSON (default 458)")
    parser.add_argument("--small", action="store_const", dest="size", const=100, help="same as --size 100")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="measure the memory at 1 GB, too")
    parser.add_argument("--restore", action="store_true", help="time a restore instead of a backup")
    parser.add_argument("--baselines", action="store_true", help="A, B and C only, without pantry-keeper")
    parser.add_argument("--server", required=True, help=argparse.SUPPRESS)  # from scripts/bench
    parser.add_argument("--binary", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # SIGTERM ends the server, too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(options)
    try:
        if options.restore:
            bench_restore.main(bench, options.size)
            results = {}
        else:
            results = bench.race(options.size)
        if not options.baselines and not options.restore:
            peaks = {options.size: max((one.peak_rss or 0) for one in results["P"])}
            for size in (100.0, *([1000.0] if options.memory else [])):
                bench.memory(peaks, size)
            print("\nPeak memory of our own process")
            for size in sorted(peaks):
                print(f"  {size:6g} MB of BSON: " + (f"{peaks[size] / 1e6:.1f} MB" if peaks[size] else "needs Linux's /proc"))
    except (ServerError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)
    if bench.missed:
        sys.exit("\nMissed:\n  " + "\n  ".join(bench.missed))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
