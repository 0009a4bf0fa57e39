#!/usr/bin/env python3
"""Run it as scripts/bench. How time, memory and disk grow with what is backed up, against stock tools on the same
server and data, each once a round and in turns:

    gzip, zstd     pantry-keeper backup (which includes reading the archive back), verify, restore
    nowhere        mongodump --archive >/dev/null: reading alone, the limit
    one-liner      mongodump --archive=FILE --gzip
    pigz, zstd -T0 mongodump --archive | pigz, or zstd; left out where there is none
    folder         mongodump --out DIR && tar czf FILE DIR && rm -r DIR
    gzip -t        what verify is held against
    mongorestore   what restore is held against

--write puts it into docs/performance.md, between its two marks, and docs/performance.svg.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import sys

import bench
import pymongo
from bench import BINARY, ROOT, run

DUMP = "mongodump --uri '{uri}' --quiet "
STOCK = {
    "mongodump to nowhere": DUMP + "--archive --numParallelCollections=1 >/dev/null",
    "mongodump --archive --gzip": DUMP + "--archive=stock.gz --gzip",
    "mongodump | pigz": DUMP + "--archive | pigz >dump.pigz",
    "mongodump | zstd -T0": DUMP + "--archive | zstd -q -T0 >dump.zst",
    "mongodump to a folder, tar czf": DUMP + "--out dump && tar czf dump.tar.gz dump && rm -r dump",
}
OUTPUT = {"mongodump --archive --gzip": "stock.gz", "mongodump | pigz": "dump.pigz",
          "mongodump | zstd -T0": "dump.zst", "mongodump to a folder, tar czf": "dump.tar.gz"}
OURS = {"Pantry Keeper, gzip": "gzip", "Pantry Keeper, zstd": "zstd"}
COLLECTIONS, PEAK_MB = 5_000, 32
MEMORY = bench.TOOLS / "bench-data" / "growth.json"
LIMIT = "mongodump to nowhere"
GZIP, ZSTD = OURS
# What, job, whose figure, against whose, which figure, and what it should not exceed.
RATIOS = (
    ("gzip: time, to reading alone", "backup", GZIP, LIMIT, "wall", 1.25),
    ("gzip: time, to `mongodump --archive --gzip`", "backup", GZIP, "mongodump --archive --gzip", "wall", 0.55),
    ("zstd: time, to reading alone", "backup", ZSTD, LIMIT, "wall", 1.08),
    ("zstd: size, to gzip's", "backup", ZSTD, GZIP, "output", 0.9),
    ("zstd: time of verifying, to gzip's", "verify", ZSTD, GZIP, "wall", 0.5),
    ("gzip: time of restoring, to `mongorestore --gzip`", "restore", GZIP, "mongorestore --gzip", "wall", 0.9),
    ("zstd: time of restoring, to `mongorestore --gzip`", "restore", ZSTD, "mongorestore --gzip", "wall", 0.9),
)
MARKS = ("<!-- scripts/bench --write writes from here -->", "<!-- to here -->")


class Growth(bench.Bench):
    """One size; what is measured lands in `rows`: (job, who) to the results of its rounds."""

    def __init__(self, options, rows):
        super().__init__(options)
        self.rows = rows

    def keep(self, job, who, result):
        self.rows.setdefault((job, who), []).append(result)
        print(f"    {job:8} {who:32} {result.wall:8.2f} s  cpu {result.cpu:7.2f} s  peak {result.peak / 1e6:6.1f} MB"
              f"  written {result.written / 1e6:8.1f} MB  load {os.getloadavg()[0]:.1f}", flush=True)

    def site_of(self, size):
        return self.many() if size == "many" else self.site(size)

    def many(self):
        """A server with thousands of small collections."""
        folder = bench.TOOLS / "bench-data" / f"{pathlib.Path(self.program).name}-many"
        stamp = folder / "done.json"
        if not stamp.exists():
            print(f"Making {COLLECTIONS:,} collections, once ...", flush=True)
            self.fresh(folder)
            with self.server(folder) as server, pymongo.MongoClient(server.uri) as client:
                for number in range(COLLECTIONS):
                    documents = [{"_id": one, "name": f"soup {number} {one}", "stars": one % 5} for one in range(20)]
                    client.jorbites[f"c{number:04}"].insert_many(documents)
            stamp.write_text(json.dumps({"documents": 20 * COLLECTIONS, "bytes": 0}))
        return self.server(folder), json.loads(stamp.read_text())

    def rounds(self, job, size):
        """What is large takes long, and varies little. How long a restore takes is the server's doing, above all."""
        most = self.options.rounds
        if size != "many" and size <= 100:
            return most
        if job == "restore":
            return min(most, 2) if self.options.restores else 0
        return min(most, 2) if size != "many" and size > 1000 else most

    def measure(self, size):
        server, holds = self.site_of(size)
        backups = [*OURS, *(who for who in STOCK if self.possible(who))]
        with server:
            self.backup_once(LIMIT, server)  # warm-up
            for number in range(self.rounds("backup", size)):
                print(f"  round {number + 1}", flush=True)
                turn = number % len(backups)
                for who in backups[turn:] + backups[:turn]:
                    self.keep("backup", who, self.backup_once(who, server))
            for number in range(self.rounds("verify", size)):
                self.verify_once(server)
        for number in range(self.rounds("restore", size)):
            for who in [*OURS, "mongorestore --gzip"][:: 1 if number % 2 else -1]:
                self.keep("restore", who, self.restore_once(who, holds["documents"]))

    def possible(self, who):
        program = who.split("| ")[-1].split()[0] if "|" in who else "mongodump"
        if shutil.which(program):
            return True
        print(f"  {who}: left out, there is no {program}", flush=True)
        return False

    def env(self, server, compression):
        return self.keeper(server.uri, self.work / compression) | {"BACKUP_COMPRESSION": compression}

    def backup_once(self, who, server):
        compression = OURS.get(who)
        folder = self.fresh(self.work / (compression or "stock"))
        if compression:
            result = run([BINARY, "backup"], folder, server, self.env(server, compression))
            result.output = self.archive(compression).stat().st_size
            return result
        result = run(["bash", "-o", "pipefail", "-c", STOCK[who].format(uri=server.uri)], folder, server)
        if who in OUTPUT:
            result.output = (folder / OUTPUT[who]).stat().st_size
        if OUTPUT.get(who) == "stock.gz":
            shutil.move(folder / "stock.gz", self.work / "stock.gz")
        return result

    def archive(self, compression):
        return next((self.work / compression / "backups").glob("bench_backup_*.tar.*[tz]"))

    def verify_once(self, server):
        for who, compression in OURS.items():
            self.keep("verify", who, run([BINARY, "verify", "latest"], self.work, server, self.env(server, compression)))
        for words, compression in (("gzip -t", "gzip"), ("zstd -t", "zstd")):
            if shutil.which(words.split()[0]):
                test = ["bash", "-c", f"{words} {'-q ' if compression == 'zstd' else ''}'{self.archive(compression)}'"]
                self.keep("verify", words, run(test, self.work, server))

    def restore_once(self, who, documents):
        folder = self.fresh(self.work / "target")
        with self.server(folder) as server:
            if who in OURS:
                result = run([BINARY, "restore", "latest", "--yes"], folder, server, self.env(server, OURS[who]))
            else:
                command = f"mongorestore --uri '{server.uri}' --quiet --gzip --archive=../stock.gz"
                result = run(["bash", "-c", command], folder, server)
            with pymongo.MongoClient(server.uri) as client:
                names = client.jorbites.list_collection_names()
                found = sum(client.jorbites[name].estimated_document_count() for name in names)
            if found != documents:
                sys.exit(f"{found:,} documents came back of {documents:,}")
        return result


# --- What was found, for people ------------------------------------------------------------------------------------------


def remember(found):
    kept = [[size, job, who, [vars(one) for one in results]]
            for size, rows in found.items() for (job, who), results in rows.items()]
    MEMORY.write_text(json.dumps(kept))


def recall():
    found = {}
    for size, job, who, results in json.loads(MEMORY.read_text()) if MEMORY.exists() else []:
        found.setdefault(size, {})[job, who] = [bench.Result(**one) for one in results]
    return found


def label(size):
    return f"{COLLECTIONS:,} collections" if size == "many" else f"{size / 1000:g} GB"


def median(results, field):
    return statistics.median(getattr(one, field) for one in results)


def table(found, job):
    sizes, whos = list(found), []
    for rows in found.values():
        whos += [who for one, who in rows if one == job and who not in whos]
    lines = ["| | " + " | ".join(label(size) for size in sizes) + " |", "|---|" + "---|" * len(sizes)]
    for who in whos:
        cells = []
        for size in sizes:
            results = found[size].get((job, who))
            if not results:
                cells.append("–")
                continue
            cell = f"{median(results, 'wall'):.1f} s, {median(results, 'peak') / 1e6:.0f} MB"
            if median(results, "output"):
                cell += f", {median(results, 'output') / 1e6:.1f} MB"
            if job == "backup" and who != LIMIT:
                # Pairs of one round, so that a busy minute strikes both.
                pairs = zip(results, found[size][job, LIMIT])
                cell += f" ({statistics.median(one.wall / limit.wall for one, limit in pairs):.2f} ×)"
            cells.append(cell)
        lines.append("| " + who.replace("|", "\\|") + " | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratio(rows, job, ours, others, field):
    """The median of pairs of one round, so that a busy minute strikes both; none without a pair."""
    pairs = zip(rows.get((job, ours), []), rows.get((job, others), []))
    return statistics.median(found) if (found := [getattr(one, field) / getattr(two, field) for one, two in pairs]) else None


def ratios(found):
    lines = ["| | aim | " + " | ".join(map(label, found)) + " |", "|---|---|" + "---|" * len(found)]
    for what, *which, aim in RATIOS:
        cells = ["–" if (one := ratio(rows, *which)) is None else f"{one:.2f}" for rows in found.values()]
        lines.append(f"| {what} | ≤ {aim} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def judge(size, rows):
    print(f"\n{label(size)}", flush=True)
    for what, *which, aim in RATIOS:
        if (one := ratio(rows, *which)) is not None:
            bench.judge(what, one, aim)
    for (job, who), results in rows.items():
        if who in OURS:
            bench.judge(f"{who}: memory, {job}", max(one.peak for one in results) / 1e6, PEAK_MB, "MB")
        if who in OURS and job == "backup":
            written = max(one.written / one.output for one in results)
            bench.judge(f"{who}: bytes written, to the archive's", written, bench.WRITTEN_LIMIT)


def page(found):
    runs = [one for rows in found.values() for results in rows.values() for one in results]
    share = sum(one.others for one in runs) / sum(one.wall for one in runs) / os.cpu_count()
    cpu = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    busy = " That is too busy for these figures to mean much." if share > bench.BUSY else ""
    rounds = ", ".join(f"{len(rows['backup', LIMIT])} of {label(size)}" for size, rows in found.items())
    return "\n\n".join([
        f"Medians on {os.cpu_count()} cores ({cpu[0] if cpu else 'unknown'}); rounds: {rounds}. Other programs used {share:.0%} of the "
        f"machine meanwhile.{busy}",
        "### Ratios\n\n" + ratios(found),
        "### Backup\n\nTime, memory of the program's own process, size of the archive, and time against reading alone. Pantry "
        "Keeper's includes that the archive is synced, read back and verified.\n\n" + table(found, "backup"),
        "### Verify\n\n" + table(found, "verify"),
        "### Restore\n\n" + table(found, "restore"),
    ])


def svg(found):
    """Seconds of a backup, in groups by size; each group has a scale of its own."""
    colours = {"Pantry Keeper, gzip": "#2b6cb0", "Pantry Keeper, zstd": "#2f855a", LIMIT: "#a0aec0"}
    parts, y = [], 24
    for size, rows in found.items():
        walls = {who: median(results, "wall") for (job, who), results in rows.items() if job == "backup"}
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{label(size)}</text>')
        for who, wall in walls.items():
            y += 22
            width = 360 * wall / max(walls.values())
            parts.append(f'<text x="228" y="{y}" text-anchor="end">{who}</text>'
                         f'<rect x="236" y="{y - 12}" width="{width:.1f}" height="15" fill="{colours.get(who, "#dd8452")}"/>'
                         f'<text x="{width + 242:.1f}" y="{y}">{wall:.1f} s</text>')
        y += 36
    style = "<style>text{font:13px sans-serif;fill:#1a202c}svg{background:#fff}</style>"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 {y - 8}" role="img" aria-label="Seconds that a backup takes">'
            f'{style}<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')


def write(found):
    path = ROOT / "docs/performance.md"
    before, rest = path.read_text().split(MARKS[0])
    path.write_text(f"{before}{MARKS[0]}\n\n{page(found)}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}")
    (ROOT / "docs/performance.svg").write_text(svg(found))
    print(f"\nWritten: {path} and performance.svg beside it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100,500,2000,many", help="MB of BSON, and 'many' for 5,000 collections")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-restores", dest="restores", action="store_false", help="of more than 0.1 GB: they take longest")
    parser.add_argument("--add", action="store_true", help="to what was measured before on this machine")
    parser.add_argument("--write", action="store_true", help="docs/performance.md and its picture")
    options = parser.parse_args()
    sizes = [one if one == "many" else float(one) for one in options.sizes.split(",")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found, growth = recall() if options.add else {}, None
    try:
        for size in sizes:
            print(f"\n{label(size)}", flush=True)
            found[size] = {}
            growth = Growth(options, found[size])
            growth.measure(size)
            remember(found)  # what comes next may be interrupted
            judge(size, found[size])
            if options.write:
                write(found)
    finally:
        if growth:
            shutil.rmtree(growth.work, ignore_errors=True)
    bench.end()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
