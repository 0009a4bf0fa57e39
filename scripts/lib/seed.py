#!/usr/bin/env python3
"""Fills a MongoDB server with made-up data, the same every time.

    seed.py URI --profile demo                 a small recipe site: a few thousand documents, indexes, options
    seed.py URI --profile types                every BSON type, odd names, empty and large documents
    seed.py URI --profile bench --size 458     a large recipe site, SIZE MB of BSON (458 MB are 2 million documents)
"""

import argparse
import datetime
import json
import sys
import time

import bson
import pymongo
import pymongo.errors
from bson.raw_bson import RawBSONDocument

from sample_data import START, Kitchen

BATCH = 2000


def insert(collection, documents):
    """Returns how many documents and bytes went in."""
    count = size = 0
    batch = []
    for document in documents:
        raw = bson.encode(document)
        size += len(raw)
        count += 1
        batch.append(RawBSONDocument(raw))
        if len(batch) == BATCH:
            collection.insert_many(batch, ordered=False)
            batch = []
    if batch:
        collection.insert_many(batch, ordered=False)
    return count, size


def optional(what, create):
    """MongoDB has it; a MongoDB-compatible test server may not, and then the sample does without."""
    try:
        create()
    except pymongo.errors.OperationFailure as error:
        print(f"  left out, this server refuses it: {what} ({error.details.get('errmsg', error)})")


def indexes_of_the_site(db):
    db.users.create_index("email", unique=True)
    db.recipes.create_index("slug", unique=True)
    db.recipes.create_index([("category", 1), ("createdAt", -1)], name="newest_by_category")
    db.comments.create_index("recipeId")


def demo(client, _size):
    kitchen = Kitchen(seed=7)
    db = client.jorbites
    db.create_collection("recipes", validationLevel="moderate", validator={"$jsonSchema": {
        "bsonType": "object", "required": ["title", "slug", "userId"],
        "properties": {"title": {"bsonType": "string"}, "minutes": {"bsonType": "int", "minimum": 0}},
    }})
    db.create_collection("activity", capped=True, size=1 << 20, max=500)
    db.create_collection("quick_recipes", viewOn="recipes", pipeline=[
        {"$match": {"minutes": {"$lte": 20}}}, {"$project": {"title": 1, "minutes": 1}},
    ])
    optional("a collation", lambda: db.create_collection("tags", collation={"locale": "es", "strength": 1}))
    indexes_of_the_site(db)
    db.sessions.create_index("expires", expireAfterSeconds=0)
    db.recipes.create_index("rating", partialFilterExpression={"rating": {"$gte": 4}}, name="best")
    optional("a text index", lambda: db.recipes.create_index([("title", "text"), ("description", "text")]))

    def fill(collection, count, make):
        kitchen.chapter(count)
        made = [make(number) for number in range(count)]
        insert(collection, made)
        return [one["_id"] for one in made]

    users = fill(db.users, 400, kitchen.user)
    recipes = fill(db.recipes, 1200, lambda number: kitchen.recipe(number, kitchen.some(users)))
    fill(db.comments, 3000, lambda _: kitchen.comment(kitchen.some(recipes), kitchen.some(users)))
    fill(db.sessions, 250, lambda _: kitchen.session(kitchen.some(users)))
    fill(db.activity, 700, lambda _: kitchen.event(kitchen.some(users), kitchen.some(recipes)))
    insert(db.tags, ({"_id": number, "tag": word} for number, word in enumerate(kitchen.words[:200])))


def types(client, _size):
    db = client.types
    everything = {
        "_id": bson.ObjectId("0123456789abcdef01234567"), "double": 1.5, "nan": float("nan"), "minus_zero": -0.0,
        "string": "Salmorejo \u00f1 \U0001f345 \x00 end", "empty": "", "object": {"a": {"b": {}}}, "array": [1, [2, []], {}],
        "binary": b"\x00\xff", "old_binary": bson.Binary(b"abc", 2), "uuid": bson.Binary(bytes(range(16)), 4),
        "true": True, "date": START, "before_1970": datetime.datetime(1812, 3, 19), "null": None,
        "regex": bson.Regex("^pa(n|tata)", "im"), "code": bson.Code("return 1"), "scoped": bson.Code("return x", {"x": 1}),
        "ref": bson.DBRef("recipes", 1, "other"), "int32": -1, "int64": bson.Int64(1 << 62),
        "timestamp": bson.Timestamp(1, 2), "decimal": bson.Decimal128("1.10"), "decimal_nan": bson.Decimal128("NaN"),
        "min": bson.MinKey(), "max": bson.MaxKey(), "": "a field without a name", "dotted.name": 1, "$dollar": 1,
    }
    insert(db.everything, [everything])
    ids = [1, "1", 1.5, b"1", True, None, {"a": 1}, START, bson.Int64(1 << 40), bson.MinKey(), bson.MaxKey()]
    insert(db.ids, ({"_id": one} for one in ids))
    db.create_collection("empty")
    insert(db.large, ({"_id": n, "blob": bytes(15 << 20)} for n in range(2)))
    for name in ("dots.in.name", "sp ace", "\u00f1and\u00fa", "percent%20", "dash-", "x" * 120):
        optional(f"a collection named {name}", lambda: insert(db[name], ({"_id": n} for n in range(3))))
    insert(client["UPPER-case_1"].c, [{"_id": 1}])


def bench(client, size):
    """Shares of the bytes: events 38 %, recipes 31 %, comments 24 %, users 7 %."""
    kitchen = Kitchen(seed=42)
    db = client.jorbites
    scale = size / 458
    indexes_of_the_site(db)
    users = [kitchen.id() for _ in range(5000)]
    recipes = [kitchen.id() for _ in range(5000)]

    total_documents = total_bytes = 0
    for name, count, make in (
        ("users", 100_000, kitchen.user),
        ("recipes", 64_000, lambda number: kitchen.recipe(number, kitchen.some(users))),
        ("comments", 390_000, lambda _: kitchen.comment(kitchen.some(recipes), kitchen.some(users))),
        ("events", 1_450_000, lambda _: kitchen.event(kitchen.some(users), kitchen.some(recipes))),
    ):
        started = time.monotonic()
        count = int(count * size / 458)
        kitchen.chapter(count)
        documents, size_bytes = insert(db[name], (make(number) for number in range(count)))
        total_documents += documents
        total_bytes += size_bytes
        print(f"  {name}: {documents:,} documents, {size_bytes / 1e6:.1f} MB, {time.monotonic() - started:.0f} s", flush=True)
    print(json.dumps({"documents": total_documents, "bytes": total_bytes}))


PROFILES = {"demo": demo, "types": types, "bench": bench}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", metavar="URI")
    parser.add_argument("--profile", choices=PROFILES, default="demo")
    parser.add_argument("--size", type=float, default=458, metavar="MB", help="of the profile bench")
    options = parser.parse_args()
    with pymongo.MongoClient(options.uri, serverSelectionTimeoutMS=10_000) as client:
        PROFILES[options.profile](client, options.size)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
