#!/usr/bin/env python3
"""Times a restore against stock mongorestore on the same data, and one small collection out of a large archive.

Run it as scripts/bench --restore. In every round each of these runs once, in turns, each into an empty server of its own:

    P  pantry-keeper restore latest --yes
    S  mongorestore --archive=FILE --gzip          of mongodump --archive=FILE --gzip

Then one collection of 1 MB is restored out of an archive of more than 1 GB, neither of which compresses: how long beyond
mongorestore alone, and how many bytes of the archive were read for it.
"""

import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

import pymongo

from measure import run
from server import Server

LIMIT = 1.1  # P may take this many times as long as S
SMALL = "small.photos"
LARGE_DOCUMENTS = 1_050  # of 1 MB each, beside the small collection
SMALL_SECONDS = 1.0  # beyond mongorestore's own start
SMALL_READ = 2_000_000  # bytes of the archive


class RestoreBench:
    def __init__(self, bench):
        self.bench = bench
        self.work = bench.work
        self.program = bench.options.server
        self.binary = bench.options.binary

    def keeper(self, uri):
        return {
            "PATH": os.environ["PATH"], "MONGODB_URI": uri, "BACKUP_DIR": str(self.work / "backups"),
            "LOG_DIR": str(self.work / "logs"), "BACKUP_PREFIX": "bench", "BACKUP_RETRIES": "0",
        }

    def command(self, which, uri):
        if which == "P":
            return [self.binary, "restore", "latest", "--yes"], self.keeper(uri)
        archive = f"--archive={self.work / 'stock.gz'}"
        return ["mongorestore", f"--uri={uri}", "--quiet", "--gzip", archive], dict(os.environ)

    def into_empty_server(self, command, check):
        """Runs command(uri) while a new server waits; the server goes with its data afterwards."""
        folder = self.work / "target"
        shutil.rmtree(folder, ignore_errors=True)
        with Server(folder, self.program, standalone=True) as server:
            words, environment = command(server.uri)
            os.sync()
            result = run(words, cwd=self.work, env=environment, watch=True)
            if result.status != 0:
                sys.exit(f"{words[0]} failed with exit code {result.status}:\n{result.stderr}")
            check(pymongo.MongoClient(server.uri))
        shutil.rmtree(folder)
        return result

    def prepare(self, server):
        """One archive of each kind, of the same data."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        subprocess.run(["mongodump", f"--uri={server.uri}", "--quiet", "--gzip", f"--archive={self.work / 'stock.gz'}"], check=True)
        subprocess.run([self.binary, "backup"], env=self.keeper(server.uri), check=True, stderr=subprocess.DEVNULL)

    def race(self, size):
        server, holds = self.bench.server(size)
        with server:
            self.prepare(server)
        print(f"\nRestoring {holds['documents']:,} documents, {holds['bytes'] / 1e6:.1f} MB of BSON; {self.program}")

        def complete(client):
            found = sum(client.jorbites[name].count_documents({}) for name in client.jorbites.list_collection_names())
            if found != holds["documents"]:
                sys.exit(f"{found:,} documents came back of {holds['documents']:,}")

        results = {"P": [], "S": []}
        print("Wall seconds (and CPU seconds of the client side)\n  round " + "".join(f"{which:>16}" for which in results))
        for number in range(self.bench.options.rounds):
            for which in ("PS", "SP")[number % 2]:
                results[which].append(self.into_empty_server(lambda uri: self.command(which, uri), complete))
            print(f"  {number + 1:>5} " + "".join(f"{one[-1].wall:>8.2f} ({one[-1].cpu:5.2f})" for one in results.values()), flush=True)
        pairs = [p.wall / s.wall for p, s in zip(results["P"], results["S"])]
        median = statistics.median(pairs)
        verdict = self.bench.judge(median <= LIMIT, f"P/S is {median:.2f}, limit {LIMIT}")
        print("  P/S  " + " ".join(f"{one:.2f}" for one in pairs) + f"   median {median:.2f}, limit {LIMIT}: {verdict}")
        print(f"  peak memory of our own process: {max(one.peak_rss or 0 for one in results['P']) / 1e6:.1f} MB")

    def one_collection(self):
        shutil.rmtree(self.work)
        self.work.mkdir()
        database, _, collection = SMALL.partition(".")
        with Server(self.work / "large-source", self.program, standalone=True) as server:
            client, chance = pymongo.MongoClient(server.uri), random.Random(3)
            for number in range(LARGE_DOCUMENTS):
                client.large.noise.insert_one({"_id": number, "noise": chance.randbytes(1_000_000)})
            client[database][collection].insert_many([{"_id": n, "photo": chance.randbytes(10_000)} for n in range(100)])
            subprocess.run([self.binary, "backup"], env=self.keeper(server.uri), check=True, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.work / "large-source")
        archive = next((self.work / "backups").glob("bench_backup_*.tar.gz"))

        def there(client):
            if client[database][collection].count_documents({}) != 100:
                sys.exit(f"{SMALL} did not come back")

        def ours(uri):
            return [self.binary, "restore", "latest", "--yes", "--include", SMALL], self.keeper(uri)

        # The same documents as stock tools would bring them, alone: mongorestore's own start and work.
        def stock(uri):
            return ["mongorestore", f"--uri={uri}", "--quiet", f"--archive={self.work / 'small'}"], dict(os.environ)

        folder = self.work / "small-source"
        with Server(folder, self.program, standalone=True) as server:
            words, environment = ours(server.uri)
            subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            subprocess.run(["mongodump", f"--uri={server.uri}", "--quiet", f"--archive={self.work / 'small'}"], check=True)
        rounds = [(self.into_empty_server(ours, there).wall, self.into_empty_server(stock, there).wall) for _ in range(5)]
        beyond = statistics.median(one - other for one, other in rounds)
        read = self.bytes_read(archive)
        print(f"\nOne collection of 1 MB out of an archive of {archive.stat().st_size / 1e6:.1f} MB")
        print("  seconds, and those of mongorestore alone: " + ", ".join(f"{one:.2f} {other:.2f}" for one, other in rounds))
        verdict = self.bench.judge(beyond < SMALL_SECONDS, f"{beyond:.2f} s beyond mongorestore, limit {SMALL_SECONDS}")
        print(f"  beyond mongorestore: {beyond:.2f} s, limit {SMALL_SECONDS}: {verdict}")
        verdict = self.bench.judge(read < SMALL_READ, f"{read:,} bytes of the archive read, limit {SMALL_READ:,}")
        print(f"  read of the archive: {read:,} bytes, limit {SMALL_READ:,}: {verdict}")

    def bytes_read(self, archive):
        """What system calls brought in of the archive."""
        trace = self.work / "trace"
        with Server(self.work / "traced", self.program, standalone=True) as server:
            words = [self.binary, "restore", "latest", "--yes", "--include", SMALL]
            calls = "trace=read,pread64,readv,preadv,preadv2,mmap,sendfile,splice,copy_file_range"
            subprocess.run(["strace", "-f", "-y", "-e", calls, "-o", str(trace), *words], env=self.keeper(server.uri),
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        total = 0
        for line in trace.read_text(errors="replace").splitlines():
            if archive.name not in line:
                continue
            if "read" not in line.split("(")[0]:
                sys.exit(f"the archive is read in a way that is not counted: {line}")
            total += int(re.search(r"= (\d+)$", line).group(1))
        return total


def main(bench, size):
    race = RestoreBench(bench)
    started = time.monotonic()
    race.race(size)
    race.one_collection()
    print(f"\n{time.monotonic() - started:.0f} s in all")
