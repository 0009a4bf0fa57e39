#!/usr/bin/env python3
"""Holds docker-compose.yml and .env.example to what they promise about passwords; scripts/check-deploy and
scripts/docker-test run it.

    check_compose.py COMPOSE...      the command, such as `docker compose`

A password in single quotes must reach MongoDB, Pantry Keeper and the mail settings as it was written.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORDS = ["pa$word1", "ab$cd #gh", "a$$c$", "#'\"\\@/:% \"x\"", "plain"]
# Compose 1.29 replaces this within single quotes, too.
FOR_COMPOSE_2 = ["a${b}c"]


def config(compose, password):
    """What the services' environments become when `password` stands in .env as the example shows it."""
    quoted = "'" + password.replace("'", "\\'") + "'"
    example = (ROOT / ".env.example").read_text()
    for name in ("MONGO_PASSWORD", "SMTP_PASSWORD"):
        example, found = re.subn(rf"(?m)^#?{name}='.*'$", lambda _: f"{name}={quoted}", example)
        assert found == 1, f".env.example shows no {name} in single quotes"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "docker-compose.yml").write_text((ROOT / "docker-compose.yml").read_text())
        (folder / ".env").write_text(example)
        done = subprocess.run([*compose, "config"], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    # What it prints could be read again, so every $ is doubled.
    return {
        service: {name: str(value).replace("$$", "$") for name, value in services[service]["environment"].items()}
        for service in ("mongodb", "pantry-keeper")
    }


def main():
    compose = sys.argv[1:]
    version = subprocess.run([*compose, "version"], capture_output=True, text=True, timeout=60, check=True).stdout
    old = version.startswith("docker-compose version 1.")
    for password in PASSWORDS + ([] if old else FOR_COMPOSE_2):
        found = config(compose, password)
        mongodb, keeper = found["mongodb"], found["pantry-keeper"]
        arrived = [mongodb["MONGO_INITDB_ROOT_PASSWORD"], keeper["MONGODB_PASSWORD"], keeper["SMTP_PASSWORD"]]
        assert arrived == [password] * 3, f"{password!r} arrives as {arrived}"
        assert (mongodb["MONGO_INITDB_ROOT_USERNAME"], keeper["MONGODB_USERNAME"]) == ("root", "root")
        assert keeper["MONGODB_HOST"] == "mongodb" and "MONGODB_URI" not in keeper, sorted(keeper)


if __name__ == "__main__":
    main()
