"""In a container, a MongoDB-compatible server that starts as MongoDB's official image does: the first time it makes the
administrator whom MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD name, and only then it opens its port. No
replica set, like that one."""

import os
import pathlib
import subprocess
import sys
import time

import pymongo
import pymongo.errors

DATA = "/data/db"
READY = pathlib.Path(DATA, "administrator-made")
SERVER = [str(pathlib.Path(sys.executable).parent / "secantusd-py"), "--storage-path", DATA]


def make_administrator():
    server = subprocess.Popen([*SERVER, "--host", "127.0.0.1", "--port", "27018"])
    client = pymongo.MongoClient("mongodb://127.0.0.1:27018/?directConnection=true", serverSelectionTimeoutMS=500)
    for _ in range(120):
        try:
            client.admin.command(
                "createUser", os.environ["MONGO_INITDB_ROOT_USERNAME"],
                pwd=os.environ["MONGO_INITDB_ROOT_PASSWORD"], roles=[{"role": "root", "db": "admin"}])
            break
        except pymongo.errors.ConnectionFailure:
            time.sleep(0.5)
    else:
        sys.exit("The server does not start.")
    client.close()
    server.terminate()
    server.wait()
    READY.touch()


if not READY.exists():
    make_administrator()
os.execv(SERVER[0], [*SERVER, "--auth", "--standalone", "--host", "0.0.0.0", "--port", "27017"])
