"""Holds JSON documents to the schemas in docs/schemas, both ways.

    check_json.py FOLDER < {"documents": [{"command": "list", "from": "...", "document": {...}}, ...],
                            "unseen": {"list#/full_at": "why no test brings it about", ...}}

Fails when a document is not as the schema of its command says, and when a schema promises what no document shows: a
property that is never there, one that may be null and never is or always is, an array that is always empty, a word that
is never used. What stands in `unseen` is excused.
"""

import json
import pathlib
import sys

import jsonschema
import referencing

END = ".schema.json"


class Schemas:
    def __init__(self, folder):
        files = {path.name: json.loads(path.read_text("utf-8")) for path in pathlib.Path(folder).glob("*" + END)}
        for schema in files.values():
            jsonschema.Draft202012Validator.check_schema(schema)
        pairs = [(schema["$id"], referencing.Resource.from_contents(schema)) for schema in files.values()]
        self.files, self.registry = files, referencing.Registry().with_resources(pairs)
        # What is promised, by its place, and what has been seen of it.
        self.seen = {}
        for name in files:
            if name != "common" + END:
                self.promise(name, files[name], "")

    def problems(self, command, document):
        validator = jsonschema.Draft202012Validator(self.files[command + END], registry=self.registry)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]

    def resolve(self, name, schema):
        """Follows a reference; other schemas of their own are counted under their own name."""
        while "$ref" in schema:
            target, _, pointer = schema["$ref"].partition("#")
            name, schema = target or name, self.files[target or name]
            for part in pointer.split("/")[1:]:
                schema = schema[part]
        return name, schema

    @staticmethod
    def place(name, target, path):
        return (name, path) if target in (name, "common" + END) else (target, "")

    def parts(self, name, schema, path):
        """The place of a schema, whether null is allowed, and the schema without that."""
        target, schema = self.resolve(name, schema)
        name, path = self.place(name, target, path)
        nullable = False
        if "anyOf" in schema:
            others = [one for one in schema["anyOf"] if one != {"type": "null"}]
            nullable = len(others) < len(schema["anyOf"])
            schema = self.resolve(name, others[0])[1]
        if isinstance(schema.get("type"), list):
            nullable = "null" in schema["type"]
        return name, path, nullable, schema

    def promise(self, name, schema, path):
        name, path, nullable, schema = self.parts(name, schema, path)
        here = f"{name.removesuffix(END)}#{path}"
        promised = [here] + [f"{here} null"] * nullable
        promised += [f"{here} {word}" for word in schema.get("enum", [])]
        for one in promised:
            self.seen.setdefault(one, False)
        for key, below in schema.get("properties", {}).items():
            self.promise(name, below, f"{path}/{key}")
        if "items" in schema:
            self.promise(name, schema["items"], f"{path}/*")

    def cover(self, name, schema, path, value):
        name, path, nullable, schema = self.parts(name, schema, path)
        here = f"{name.removesuffix(END)}#{path}"
        if value is None:
            self.seen[f"{here} null"] = True
            return
        self.seen[here] = True
        if "enum" in schema:
            self.seen[f"{here} {value}"] = True
        # An object without properties is one of the owner's: anything may be in it.
        if isinstance(value, dict) and "properties" in schema:
            for key, below in value.items():
                self.cover(name, schema["properties"][key], f"{path}/{key}", below)
        if isinstance(value, list):
            for one in value:
                self.cover(name, schema["items"], f"{path}/*", one)


def main(folder):
    given = json.load(sys.stdin)
    schemas, problems = Schemas(folder), []
    for one in given["documents"]:
        found = schemas.problems(one["command"], one["document"])
        problems += [f"{one['from']}: {problem}\n  in {json.dumps(one['document'])}" for problem in found]
        if not found:
            schemas.cover(one["command"] + END, schemas.files[one["command"] + END], "", one["document"])
    if given.get("unseen") is not None:
        excused = set(given["unseen"])
        problems += [f"{place}: excused, and no such place" for place in sorted(excused - set(schemas.seen))]
        missing = {place for place, seen in schemas.seen.items() if not seen} - excused
        problems += [f"{place}: promised, and never seen" for place in sorted(missing)]
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main(*sys.argv[1:])
