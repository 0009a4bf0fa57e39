"""Documents of a recipe site, made up from a seed: the same seed gives the same bytes on every machine.

Text is put together from a made-up vocabulary whose words are as unevenly frequent as those of a real language, so
that it compresses about as well as an app's data does.
"""

import datetime
import math
import random
import struct

from bson import ObjectId

START = datetime.datetime(2021, 3, 1, tzinfo=datetime.timezone.utc)
ONSETS = "b c d f g l m n p r s t v z ch br cr tr pl st".split() + [""]
VOWELS = "a a a e e e i i o o u ia ue io".split()
CODAS = ["", "", "", "n", "s", "r", "l"]
UNITS = ["g", "kg", "ml", "l", "tbsp", "tsp", "cup", "pinch", "clove", "slice"]
CATEGORIES = ["desserts", "soups", "salads", "breads", "breakfast", "stews", "fish", "vegan", "drinks"]
METHODS = ["oven", "air fryer", "slow cooker", "grill", "pan", "no cooking"]
EVENTS = ["view", "view", "view", "view", "search", "like", "share", "print", "login", "save"]
PATHS = ["/", "/recipes", "/recipes/top", "/search", "/profile", "/favorites", "/categories/" + CATEGORIES[0]]
AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36",
]


class Kitchen:
    """Makes documents of each kind, in an order that depends on the seed alone."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.words = self._vocabulary(5000)
        phrases = [" ".join(self._often(self.words, self.random.randint(1, 4))) for _ in range(4000)]
        self.sentences = [self._sentence(phrases) for _ in range(20_000)]
        self.made = 0
        self.chapter(1)

    def _vocabulary(self, count):
        syllable = lambda: self.random.choice(ONSETS) + self.random.choice(VOWELS) + self.random.choice(CODAS)
        words = {}
        while len(words) < count:
            # Frequent words are short, as everywhere.
            length = 1 + (len(words) > 60) + (len(words) > 900) + (self.random.random() < 0.3)
            words["".join(syllable() for _ in range(length))] = None
        return list(words)

    def _often(self, choices, count):
        """Zipf's law: the second is about half as frequent as the first, and so on."""
        top = math.log(len(choices) + 1)
        return [choices[int(math.exp(self.random.random() * top)) - 1] for _ in range(count)]

    def _sentence(self, phrases):
        return " ".join(self._often(phrases, self.random.randint(2, 7))).capitalize() + self.random.choice("....!?")

    def chapter(self, documents):
        """Begins a collection of so many documents: they are made one after the other, over four years."""
        self.now = START
        self.step = datetime.timedelta(days=4 * 365) / documents

    def some(self, choices):
        """One of them; a few are far more popular than the rest."""
        return choices[int(self.random.random() ** 4 * len(choices))]

    def id(self, when=None):
        """An ObjectId as a driver makes them: time, a process's five bytes, a counter."""
        self.made += 1
        seconds = int((when or START).timestamp())
        return ObjectId(struct.pack(">I5s", seconds, b"pantr") + struct.pack(">I", self.made & 0xFFFFFF)[1:])

    def moment(self):
        self.now += self.step * self.random.random() * 2
        return self.now.replace(microsecond=self.now.microsecond // 1000 * 1000)

    def text(self, sentences):
        start = self.random.randrange(len(self.sentences) - sentences)
        return " ".join(self.sentences[start:start + sentences])

    def title(self):
        return " ".join(self.random.sample(self.words, 3)).capitalize()

    def user(self, number):
        joined = self.moment()
        name = self.random.choice(self.words).capitalize() + " " + self.random.choice(self.words).capitalize()
        return {
            "_id": self.id(joined), "name": name, "email": f"{name.replace(' ', '.').lower()}{number}@example.com",
            "emailVerified": joined, "image": f"https://img.example.com/u/{self.random.getrandbits(48):012x}.jpg",
            "favoriteIds": [self.id(joined) for _ in range(self.random.randint(0, 5))],
            "level": self.random.randint(0, 40), "verified": self.random.random() < 0.2,
            "badges": self.random.sample(CATEGORIES, self.random.randint(0, 3)),
            "createdAt": joined, "updatedAt": joined + datetime.timedelta(days=self.random.randint(0, 300)),
        }

    def recipe(self, number, owner):
        when = self.moment()
        title = self.title()
        return {
            "_id": self.id(when), "title": title, "slug": f"{title.replace(' ', '-').lower()}-{number}",
            "description": self.text(self.random.randint(2, 5)),
            "imageSrc": f"https://img.example.com/r/{self.random.getrandbits(64):016x}.jpg",
            "category": self.random.choice(CATEGORIES), "method": self.random.choice(METHODS),
            "minutes": self.random.randint(5, 240), "servings": self.random.randint(1, 8),
            "rating": round(self.random.uniform(2.5, 5), 2), "numLikes": self.random.randint(0, 900),
            "ingredients": [
                {"name": self._often(self.words, 1)[0], "amount": self.random.choice([0.5, 1, 2, 50, 100, 250, 500]),
                 "unit": self.random.choice(UNITS)}
                for _ in range(self.random.randint(4, 12))
            ],
            "steps": [self.text(self.random.randint(1, 3)) for _ in range(self.random.randint(3, 9))],
            "userId": owner, "coCooksIds": [], "linkedRecipeIds": [], "createdAt": when,
        }

    def comment(self, recipe, user):
        when = self.moment()
        return {
            "_id": self.id(when), "recipeId": recipe, "userId": user,
            "comment": self.text(self.random.randint(1, 3)), "rating": self.random.randint(1, 5), "createdAt": when,
        }

    def event(self, user, recipe):
        when = self.moment()
        return {
            "_id": self.id(when), "at": when, "type": self.random.choice(EVENTS), "userId": user, "recipeId": recipe,
            "ms": self.random.randint(1, 400), "path": self.random.choice(PATHS),
        }

    def session(self, user):
        when = self.moment()
        return {
            "_id": self.id(when), "sessionToken": f"{self.random.getrandbits(128):032x}", "userId": user,
            "agent": self.random.choice(AGENTS), "createdAt": when,
            # Far away, so that a server with a working TTL monitor does not thin them out between two looks.
            "expires": when + datetime.timedelta(days=36_500),
        }
