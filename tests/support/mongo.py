"""Fills test servers and tells what they hold, independently of Pantry Keeper's own code.

    mongo.py seed URI SET [N]     see the functions below and in recipes.py
    mongo.py clear URI            drops everything
    mongo.py tamper URI           changes what a drill restored from the set "small", as a bad server might
    mongo.py expire URI           gives the sessions that a drill restored another time to live
    mongo.py change URI HOW DB.COLL   HOW is drop, empty, fill or index
    mongo.py write URI DB.COLL    what stdin says, one a line: {"insert": DOCUMENT}, {"replace": DOCUMENT} or {"remove": ID}
    mongo.py find URI DB.COLL     for each query on stdin, one a line, the _id of what it finds, or the server's refusal
    mongo.py fingerprint URI      everything the server holds, as JSON: documents by the SHA-256 of their bytes
    mongo.py compare URI URI      whether two servers hold the same: collections, options, indexes, and every byte of every document
"""

import datetime
import hashlib
import json
import random
import struct
import sys
import uuid

import pymongo
from bson import (BSON, Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp, json_util)
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

# Dates beyond Python's years, and 64-bit numbers that stay such.
EXACT = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL, datetime_conversion=DatetimeConversion.DATETIME_AUTO, tz_aware=False
)
RAW = CodecOptions(document_class=RawBSONDocument)
OWN = ("admin", "config", "local")
LARGEST = 16 * 1024 * 1024


def client(uri, wait_ms=10_000):
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=wait_ms, directConnection=True)


def mongod_version(server):
    """Of MongoDB itself; 0 is a server that stands in for it, and cannot do all that MongoDB can."""
    info = server.server_info()
    return 0 if "secantus" in json.dumps(info, default=str).lower() else info["versionArray"][0]


def document_of_every_type():
    """Raw bytes, since no driver writes the deprecated types any more."""

    def element(kind, name, value):
        return bytes([kind]) + name.encode() + b"\0" + value

    def text(value):
        return struct.pack("<i", len(value.encode()) + 1) + value.encode() + b"\0"

    modern = BSON.encode({
        "_id": ObjectId("65f0c0ffee65f0c0ffee0001"),
        "double": 1.5, "nan": float("nan"), "infinite": float("-inf"), "minus_zero": -0.0,
        "string": "ñ \u0000 \U0001f35e \" \\ \n", "empty": "", "": "a field without a name",
        "document": {"a": {"b": {}}}, "array": [1, [2, [3, []]], {"x": None}],
        "generic": Binary(b"\0\1\xff"), "uuid": Binary.from_uuid(uuid.UUID(int=7)),
        "md5": Binary(b"m" * 16, 5), "user_defined": Binary(b"own", 128), "nothing": Binary(b""),
        "id": ObjectId("0" * 24), "yes": True, "no": False,
        "date": datetime.datetime(2025, 5, 31, 13, 41, 8, 123000), "early": datetime.datetime(1066, 10, 14),
        "null": None, "regex": Regex("^a/b\\d+", "imsx"), "code": Code("function() { return 1 }"),
        "scope": Code("x", {"x": 1}), "int32": -2**31, "timestamp": Timestamp(1, 2), "int64": Int64(2**63 - 1),
        "decimal": Decimal128("-1.234567890123456789012345678901234E+6000"),
        "min": MinKey(), "max": MaxKey(), "ref": DBRef("c", 1),
    })
    deprecated = (element(0x06, "undefined", b"") + element(0x0E, "symbol", text("symbol"))
                  + element(0x0C, "pointer", text("db.c") + b"\1" * 12))
    body = modern[4:-1] + deprecated + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def raw_insert(collection, raw):
    collection.with_options(RAW).insert_one(RawBSONDocument(raw))


def seed_small(server):
    """Three databases that are quick to dump."""
    shop = server.shop
    shop.products.insert_many([{"_id": n, "name": f"product {n}", "price": n * 1.25} for n in range(300)])
    shop.orders.insert_many([{"_id": n, "of": n % 300, "note": "thanks " * (n % 7)} for n in range(200)])
    shop.sessions.insert_many([{"_id": n} for n in range(10)])
    shop.cache_pages.insert_one({"_id": 1})
    shop.cache_images.insert_one({"_id": 1})
    shop.products.create_index("name", unique=True)
    server.blog.posts.insert_many([{"_id": n, "text": "lorem ipsum " * 20} for n in range(100)])
    server.blog.sessions.insert_one({"_id": 1})
    server.library.books.insert_many([{"_id": n, "pages": n} for n in range(50)])


def seed_small_indexes(server):
    """Indexes and documents beside those of the set "small"."""
    server.shop.products.create_index("price")
    server.shop.products.insert_one({"_id": "new", "name": "new"})


def seed_bulk(server):
    """About 3 MB that do not compress: long enough on the way to be interrupted, too much for a small disk."""
    chance = random.Random(1)
    server.bulk.first.insert_one({"_id": 1})
    server.bulk.noise.insert_many([{"_id": n, "noise": chance.randbytes(30_000)} for n in range(100)])
    server.bulk.zlast.insert_one({"_id": 1})


def seed_noise(server, megabytes=24):
    """Documents that do not compress: 1 MB in one collection, and so much in another that one does not want it all."""
    chance = random.Random(3)
    for name, blocks in ("big", int(megabytes) * 4), ("little", 4):
        for n in range(blocks):
            server.noise[name].insert_one({"_id": n, "noise": chance.randbytes(250_000)})


def seed_parts(server):
    """About 12 MB that do not compress: an upload in several parts."""
    chance = random.Random(3)
    server.noise.one.insert_many([{"_id": n, "noise": chance.randbytes(500_000)} for n in range(24)])


def seed_names(server):
    """Names that a file system, a tar, a URI or a line of a log could trip over."""
    names = ["we/ird", "per%cent", "100%25", "sp ace", "new\nline", "tab\t", "ñandú", "食谱", "quo\"te'", "a\\b", "semi;colon&|`",
             "dots.in.side", "-dash", "plus+", "CamelCase", "camelcase", "*", "?", "#", "@", ":", "=", "~", "{}", "[]", "()",
             "l" * 99, "l" * 100, "l" * 237, "l" * 238, "l" * 239, "ñ" * 60, "x/" * 100]
    for number, name in enumerate(names):
        server["names"][name].insert_many([{"_id": number, "name": name}, {"_id": "second"}])
        server["names"][name].create_index("name")
    server["names-ñ"].plain.insert_one({"_id": 1})


def seed_options(server):
    """Everything about a collection that is not a document."""
    database = server["options"]
    database.create_collection("empty")
    database.create_collection("capped", capped=True, size=1_000_000, max=50)
    database.capped.insert_many([{"_id": n} for n in range(20)])
    database.create_collection("collated", collation={"locale": "es", "strength": 2})
    database.collated.insert_many([{"_id": "ñ"}, {"_id": "N"}])
    database.create_collection("checked", validator={"$jsonSchema": {"required": ["name"]}}, validationLevel="moderate",
                               validationAction="warn")
    database.checked.insert_one({"_id": 1, "name": "valid"})
    database.indexed.insert_many([{"_id": n, "mail": f"{n}@example.org", "at": datetime.datetime(2030, 1, 1), "n": n,
                                   "place": {"type": "Point", "coordinates": [n, n]}} for n in range(20)])
    database.indexed.create_index("mail", unique=True, name="one mail each")
    database.indexed.create_index("at", expireAfterSeconds=3600)
    database.indexed.create_index([("n", pymongo.DESCENDING), ("mail", pymongo.ASCENDING)],
                                  partialFilterExpression={"n": {"$gt": 5}})
    database.indexed.create_index("missing", sparse=True)
    database.indexed.create_index([("place", "2dsphere")])
    database.create_collection("view", viewOn="indexed", pipeline=[{"$match": {"n": {"$gt": 3}}}])
    if mongod_version(server):
        database.indexed.create_index([("mail", "hashed")])
        database.indexed.create_index([("mail", "text")])
    if mongod_version(server) >= 5:
        database.create_collection("weather", timeseries={"timeField": "at", "metaField": "place"})
        database.weather.insert_many([{"_id": n, "at": datetime.datetime(2025, 1, 1, n), "place": "x"} for n in range(20)])


def seed_types(server):
    raw_insert(server["types"].every, document_of_every_type())
    server["types"].ids.insert_many([{"_id": value} for value in
                                  [None, 1.5, Int64(2), "text", {"a": 1}, Binary(b"x"), True, MinKey(), Decimal128("3.0")]])
    server["types"].order.insert_one({"_id": 1, "z": 1, "a": 2, "m": 3})


def seed_large(server):
    """A document as large as MongoDB takes."""
    empty = len(BSON.encode({"_id": 1, "filling": b""}))
    pattern = bytes(random.Random(2).randbytes(4096))
    filling = (pattern * (LARGEST // 4096 + 1))[:LARGEST - empty]
    document = BSON.encode({"_id": 1, "filling": filling})
    assert len(document) == LARGEST
    raw_insert(server.large.one, document)


def seed_many(server, collections=150):
    for number in range(int(collections)):
        server.many[f"collection {number}"].insert_one({"_id": number})


def seed_everything(server):
    for seed_set in (seed_small, seed_names, seed_options, seed_types, seed_large):
        seed_set(server)


def change(server, how, namespace):
    database, _, collection = namespace.partition(".")
    if how == "drop":
        server[database].drop_collection(collection)
    elif how == "fill":
        server[database][collection].insert_many([{"_id": n} for n in range(200)])
    elif how == "index":
        server[database][collection].create_index("late", expireAfterSeconds=3600)
    else:
        server[database][collection].delete_many({})


def write(server, namespace):
    database, _, collection = namespace.partition(".")
    collection = server[database][collection]
    inserted = []
    for line in sys.stdin:
        change = json_util.loads(line, json_options=EXACT)
        if "insert" in change:
            inserted.append(change["insert"])
        elif "replace" in change:
            collection.replace_one({"_id": change["replace"]["_id"]}, change["replace"])
        else:
            collection.delete_one({"_id": change["remove"]})
    if inserted:
        collection.insert_many(inserted)


def find(server, namespace):
    database, _, collection = namespace.partition(".")
    for line in sys.stdin:
        try:
            found = server[database][collection].find(json_util.loads(line, json_options=EXACT), {"_id": 1})
            print(json.dumps(sorted(document["_id"] for document in found)))
        except pymongo.errors.OperationFailure as error:
            print(json.dumps({"error": str(error)}))


def clear(uri):
    server = client(uri)
    for name in set(server.list_database_names()) - set(OWN):
        server.drop_database(name)


def tamper(uri):
    server = client(uri)
    for name in server.list_database_names():
        if not name.startswith("pk_drill_"):
            continue
        database = server[name]
        if "products" in database.list_collection_names():
            database.products.delete_one({"_id": 7})
            database.products.update_one({"_id": 8}, {"$set": {"price": -1}})
            database.products.insert_one({"_id": "too many", "name": "product 1"})
        if "books" in database.list_collection_names():
            database.books.drop()


def expire(uri):
    server = client(uri)
    for name in server.list_database_names():
        if name.startswith("pk_drill_"):
            server[name].sessions.create_index("at", name="at_1", expireAfterSeconds=7200)


def canonical(value):
    return json_util.dumps(value, json_options=json_util.CANONICAL_JSON_OPTIONS)


def fingerprint(uri):
    server = client(uri)
    found = {}
    for name in sorted(set(server.list_database_names()) - set(OWN)):
        for info in server[name].list_collections():
            if info["name"].startswith("system."):
                continue
            collection = server[name].get_collection(info["name"], codec_options=RAW)
            entry = {"type": info.get("type"), "options": canonical(sorted(info.get("options", {}).items()))}
            if entry["type"] != "view":
                indexes = [sorted(index.items()) for index in server[name][info["name"]].list_indexes()]
                entry["indexes"] = sorted(canonical([pair for pair in index if pair[0] != "ns"]) for index in indexes)
                entry["documents"] = sorted(hashlib.sha256(document.raw).hexdigest() for document in collection.find())
            found[name + "." + info["name"]] = entry
    return found


def compare(uri, other):
    """Names what differs, and exits with 1 then."""
    here, there = fingerprint(uri), fingerprint(other)
    different = 0
    for name in sorted(here.keys() | there.keys()):
        one, two = here.get(name, {}), there.get(name, {})
        parts = [part for part in one.keys() | two.keys() if one.get(part) != two.get(part)]
        different += bool(parts)
        size = "a view" if "indexes" not in one else f"{len(one['documents']):,} documents, {len(one['indexes'])} indexes"
        print(f"  equal      {name}: {size}" if not parts else f"  DIFFERENT  {name}: its {', '.join(sorted(parts))}")
    if different or not here:
        raise SystemExit(f"Not equal: {different} of {len(here.keys() | there.keys())} differ.")
    print(f"Equal: {sum(len(one.get('documents', ())) for one in here.values()):,} documents compared byte for byte.")


def seed(server, name, *arguments):
    import recipes

    (globals().get("seed_" + name) or getattr(recipes, name))(server, *arguments)


if __name__ == "__main__":
    command, uri, *rest = sys.argv[1:]
    if command == "seed":
        seed(client(uri), *rest)
    elif command == "change":
        change(client(uri), *rest)
    elif command == "write":
        write(client(uri), *rest)
    elif command == "find":
        find(client(uri), *rest)
    elif command == "fingerprint":
        json.dump(fingerprint(uri), sys.stdout)
    else:
        {"tamper": tamper, "expire": expire, "clear": clear, "compare": compare}[command](uri, *rest)
