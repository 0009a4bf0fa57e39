#!/usr/bin/env python3
"""Compares two MongoDB servers: every database but admin, config and local.

    compare_servers.py URI_A URI_B [--database NAME]...

Compared are the collections and views, their options, their indexes, and every document, byte for byte as BSON.
Prints what it compared and the first differences; exit 0 means equal, 1 different.
"""

import argparse
import sys

import bson
import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

OWN_DATABASES = {"admin", "config", "local"}
SHOWN_PER_COLLECTION = 3
RAW = CodecOptions(document_class=RawBSONDocument)
END = object()


class Comparison:
    def __init__(self, a, b):
        self.a = pymongo.MongoClient(a, serverSelectionTimeoutMS=10_000)
        self.b = pymongo.MongoClient(b, serverSelectionTimeoutMS=10_000)
        self.differences = 0
        self.documents = 0

    def differ(self, text):
        self.differences += 1
        print(f"  different: {text}")

    def names_in_both(self, what, a, b):
        for name in sorted(set(a) - set(b)):
            self.differ(f"{what} {name} is only in A")
        for name in sorted(set(b) - set(a)):
            self.differ(f"{what} {name} is only in B")
        return sorted(set(a) & set(b))

    def databases(self, only):
        a = set(self.a.list_database_names()) - OWN_DATABASES
        b = set(self.b.list_database_names()) - OWN_DATABASES
        if only:
            a, b = a & set(only), b & set(only)
        for name in self.names_in_both("database", a, b):
            self.database(name)
        if not a | b:
            self.differ("neither server holds a database that could be compared")

    def database(self, name):
        a, b = collections(self.a[name]), collections(self.b[name])
        for collection in self.names_in_both("collection", full(name, a), full(name, b)):
            short = collection[len(name) + 1:]
            self.collection(collection, self.a[name][short], self.b[name][short], a[short], b[short])

    def collection(self, name, a, b, described_a, described_b):
        before = self.differences
        for part in ("type", "options"):
            in_a, in_b = described_a.get(part), described_b.get(part)
            if in_a != in_b:
                self.differ(f"{name}: {part} is {in_a} in A, {in_b} in B")
        if described_a.get("type") == "view":
            self.line(name, "view", before)
            return
        indexes = self.indexes(name, a, b)
        if described_a.get("type") == "timeseries":
            # Its documents are those of its system.buckets collection, which is compared by itself.
            self.line(name, "time series", before)
            return
        capped = bool(described_a.get("options", {}).get("capped"))
        documents, size = self.compare_documents(name, a, b, natural=capped)
        self.line(name, f"{documents:,} documents, {size:,} bytes, {indexes} indexes", before)

    def line(self, name, what, before):
        print(f"  {'equal' if self.differences == before else 'DIFFERENT':9}  {name}: {what}")

    def indexes(self, name, a, b):
        a, b = indexes(a), indexes(b)
        for index in self.names_in_both(f"{name}: index", a, b):
            if a[index] != b[index]:
                self.differ(f"{name}: index {index} is {a[index]} in A, {b[index]} in B")
        return len(a)

    def compare_documents(self, name, a, b, natural):
        """Walks both in the order of _id; a capped collection in its own order, which is part of it."""
        cursor_a, cursor_b = documents(a, natural), documents(b, natural)
        shown = count = size = 0
        for in_a, in_b in zip_to_the_end(cursor_a, cursor_b):
            if in_a is not END:
                count += 1
                size += len(in_a.raw)
            if in_a is not END and in_b is not END and in_a.raw == in_b.raw:
                continue
            shown += 1
            if in_a is END or in_b is END:
                side, extra = ("B", in_b) if in_a is END else ("A", in_a)
                self.differ(f"{name}: only {side} goes on, with _id {extra.get('_id')!r}")
                break
            if in_a.get("_id") != in_b.get("_id"):
                self.differ(f"{name}: here A has _id {in_a.get('_id')!r}, B has _id {in_b.get('_id')!r}")
                break
            self.differ(f"{name}: _id {in_a.get('_id')!r} is {show(in_a)} in A, {show(in_b)} in B")
            if shown == SHOWN_PER_COLLECTION:
                print(f"  {name}: no more of its differences are looked for")
                break
        self.documents += count
        return count, size


def full(database, names):
    return [f"{database}.{name}" for name in names]


def collections(database):
    """Name to description. system.views is how a server stores views, which are compared as such."""
    return {
        one["name"]: one for one in database.list_collections()
        if one["name"] not in ("system.views", "system.profile")
    }


def indexes(collection):
    found = {}
    for index in collection.list_indexes():
        index = dict(index)
        index.pop("ns", None)  # old servers name the namespace here
        index["key"] = list(index["key"].items())  # the order of the fields is part of an index
        found[index["name"]] = index
    return found


def documents(collection, natural):
    order = [("$natural", 1)] if natural else [("_id", 1)]
    return collection.with_options(codec_options=RAW).find(batch_size=1000).sort(order)


def zip_to_the_end(a, b):
    a, b = iter(a), iter(b)
    while True:
        in_a, in_b = next(a, END), next(b, END)
        if in_a is END and in_b is END:
            return
        yield in_a, in_b


def show(document):
    text = str(bson.decode(document.raw))
    return text if len(text) < 200 else text[:200] + " …"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="URI_A")
    parser.add_argument("b", metavar="URI_B")
    parser.add_argument("--database", action="append", metavar="NAME", help="only this one; may be repeated")
    options = parser.parse_args()
    comparison = Comparison(options.a, options.b)
    comparison.databases(options.database)
    if comparison.differences:
        print(f"Not equal: {comparison.differences} differences shown.")
        sys.exit(1)
    print(f"Equal: {comparison.documents:,} documents compared byte for byte.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
