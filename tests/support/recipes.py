"""Made-up data of a recipe site, for the demo, the benchmark and the container test: the same on every machine.

Text is put together from a made-up vocabulary whose words are as unevenly frequent as those of a real language, so that it
compresses about as well as an app's data does.
"""

import datetime
import json
import math
import random
import struct

import bson
import pymongo.errors
from bson.raw_bson import RawBSONDocument

START = datetime.datetime(2021, 3, 1, tzinfo=datetime.timezone.utc)
SYLLABLES = ("b c d f g l m n p r s t v z ch br cr tr pl st".split() + [""], "a a a e e e i i o o u ia ue io".split(), ["", "", "", "n", "s", "r", "l"])
CATEGORIES = ["desserts", "soups", "salads", "breads", "breakfast", "stews", "fish", "vegan", "drinks"]
METHODS = ["oven", "air fryer", "slow cooker", "grill", "pan", "no cooking"]
UNITS = ["g", "kg", "ml", "l", "tbsp", "tsp", "cup", "pinch", "clove", "slice"]
EVENTS = ["view", "view", "view", "view", "search", "like", "share", "print", "login", "save"]
PATHS = ["/", "/recipes", "/recipes/top", "/search", "/profile", "/favorites", "/categories/desserts"]


class Kitchen:
    """Makes documents of each kind, in an order that depends on the seed alone."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.words = self.vocabulary(5000)
        phrases = [" ".join(self.often(self.words, self.random.randint(1, 4))) for _ in range(4000)]
        self.sentences = [" ".join(self.often(phrases, self.random.randint(2, 7))).capitalize() + "." for _ in range(20_000)]
        self.made = 0
        self.users, self.recipes = [], []

    def vocabulary(self, count):
        words = {}
        while len(words) < count:
            # Frequent words are short, as everywhere.
            length = 1 + (len(words) > 60) + (len(words) > 900) + (self.random.random() < 0.3)
            words["".join(self.random.choice(part) for _ in range(length) for part in SYLLABLES)] = None
        return list(words)

    def often(self, choices, count):
        """Zipf's law: the second is about half as frequent as the first, and so on."""
        top = math.log(len(choices) + 1)
        return [choices[int(math.exp(self.random.random() * top)) - 1] for _ in range(count)]

    def some(self, choices):
        """One of them; a few are far more popular than the rest."""
        return choices[int(self.random.random() ** 4 * len(choices))]

    def text(self, least, most):
        count = self.random.randint(least, most)
        start = self.random.randrange(len(self.sentences) - count)
        return " ".join(self.sentences[start:start + count])

    def fill(self, collection, count, make):
        """Makes so many, one after the other over four years. Says how many documents and bytes that were."""
        self.now, self.step = START, datetime.timedelta(days=4 * 365) / max(count, 1)
        ids, batch, size = [], [], 0
        for number in range(count):
            self.now += self.step * self.random.random() * 2
            self.when = self.now.replace(microsecond=self.now.microsecond // 1000 * 1000)
            document = {"_id": self.id(), **make(number)}
            ids.append(document["_id"])
            batch.append(RawBSONDocument(bson.encode(document)))
            size += len(batch[-1].raw)
            if len(batch) == 2000 or number == count - 1:
                collection.insert_many(batch, ordered=False)
                batch = []
        print(f"  {collection.full_name}: {count:,} documents, {size / 1e6:.1f} MB", flush=True)
        return ids, size

    def id(self):
        """An ObjectId as a driver makes them: time, a process's five bytes, a counter."""
        self.made += 1
        return bson.ObjectId(struct.pack(">I5s", int(self.when.timestamp()), b"pantr") + struct.pack(">I", self.made)[1:])

    def user(self, number):
        name = f"{self.random.choice(self.words)} {self.random.choice(self.words)}".title()
        return {
            "name": name, "email": f"{name.replace(' ', '.').lower()}{number}@example.com", "emailVerified": self.when,
            "image": f"https://img.example.com/u/{self.random.getrandbits(48):012x}.jpg",
            "favoriteIds": [self.id() for _ in range(self.random.randint(0, 5))], "level": self.random.randint(0, 40),
            "verified": self.random.random() < 0.2, "badges": self.random.sample(CATEGORIES, self.random.randint(0, 3)),
            "createdAt": self.when, "updatedAt": self.when + datetime.timedelta(days=self.random.randint(0, 300)),
        }

    def recipe(self, number):
        title = " ".join(self.random.sample(self.words, 3)).capitalize()
        ingredient = lambda: {"name": self.often(self.words, 1)[0], "amount": self.random.choice([0.5, 1, 2, 50, 100, 250, 500]),
                              "unit": self.random.choice(UNITS)}
        return {
            "title": title, "slug": f"{title.replace(' ', '-').lower()}-{number}", "description": self.text(2, 5),
            "imageSrc": f"https://img.example.com/r/{self.random.getrandbits(64):016x}.jpg",
            "category": self.random.choice(CATEGORIES), "method": self.random.choice(METHODS),
            "minutes": self.random.randint(5, 240), "servings": self.random.randint(1, 8),
            "rating": round(self.random.uniform(2.5, 5), 2), "numLikes": self.random.randint(0, 900),
            "ingredients": [ingredient() for _ in range(self.random.randint(4, 12))],
            "steps": [self.text(1, 3) for _ in range(self.random.randint(3, 9))],
            "userId": self.some(self.users), "coCooksIds": [], "linkedRecipeIds": [], "createdAt": self.when,
        }

    def comment(self, _):
        return {"recipeId": self.some(self.recipes), "userId": self.some(self.users), "comment": self.text(1, 3),
                "rating": self.random.randint(1, 5), "createdAt": self.when}

    def event(self, _):
        return {"at": self.when, "type": self.random.choice(EVENTS), "userId": self.some(self.users),
                "recipeId": self.some(self.recipes), "ms": self.random.randint(1, 400), "path": self.random.choice(PATHS)}

    def session(self, _):
        # Ends far away, so that a server with a working TTL monitor does not thin them out between two looks.
        return {"sessionToken": f"{self.random.getrandbits(128):032x}", "userId": self.some(self.users),
                "createdAt": self.when, "expires": self.when + datetime.timedelta(days=36_500)}


def site(server, seed, **counts):
    kitchen, db, total = Kitchen(seed), server.jorbites, 0
    db.users.create_index("email", unique=True)
    db.recipes.create_index("slug", unique=True)
    db.recipes.create_index([("category", 1), ("createdAt", -1)], name="newest_by_category")
    db.comments.create_index("recipeId")
    for name, count in counts.items():
        ids, size = kitchen.fill(db[name], int(count), getattr(kitchen, name.removesuffix("s")))
        total += size
        if name in ("users", "recipes"):
            setattr(kitchen, name, ids[:5000])
    return total


def bench(server, megabytes=458):
    """A large site: 458 MB of BSON are 2 million documents. Shares of the bytes: events 38 %, recipes 31 %, comments 24 %."""
    scale = float(megabytes) / 458
    counts = {"users": 100_000, "recipes": 64_000, "comments": 390_000, "events": 1_450_000}
    counts = {name: int(count * scale) for name, count in counts.items()}
    print(json.dumps({"documents": sum(counts.values()), "bytes": site(server, 42, **counts)}))


def demo(server):
    """A small one, with something of all that a collection can have beside documents."""
    db = server.jorbites
    db.create_collection("recipes", validationLevel="moderate", validator={"$jsonSchema": {
        "bsonType": "object", "required": ["title", "slug", "userId"],
        "properties": {"title": {"bsonType": "string"}, "minutes": {"bsonType": "int", "minimum": 0}},
    }})
    db.create_collection("events", capped=True, size=1 << 20, max=500)
    pipeline = [{"$match": {"minutes": {"$lte": 20}}}, {"$project": {"title": 1, "minutes": 1}}]
    db.create_collection("quick_recipes", viewOn="recipes", pipeline=pipeline)
    db.create_collection("tags", collation={"locale": "es", "strength": 1})
    db.tags.insert_many([{"_id": number, "tag": word} for number, word in enumerate(CATEGORIES)])
    db.sessions.create_index("expires", expireAfterSeconds=0)
    db.recipes.create_index("rating", partialFilterExpression={"rating": {"$gte": 4}}, name="best")
    try:
        db.recipes.create_index([("title", "text"), ("description", "text")])
    except pymongo.errors.OperationFailure as error:
        print(f"  left out, since this server refuses it: a text index ({error.details.get('errmsg', error)})")
    site(server, 7, users=400, recipes=1200, comments=3000, sessions=250, events=700)
