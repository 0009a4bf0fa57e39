"""Throw-away MongoDB servers on free ports of 127.0.0.1, for the tests, the demo and the benchmark.

    server.py run N COMMAND...     runs COMMAND in a temporary folder, with the connection strings of N servers appended
    server.py keep FOLDER          one server until standard input closes; see keep()
    server.py shared COMMAND...    runs COMMAND with PANTRY_SHARED_SERVER, one server for many processes of tests

The server is what PANTRY_TEST_SERVER or MONGOD names, mongod on PATH, or the MongoDB-compatible one that scripts/setup has
installed. It is a replica set of one, so that it has an oplog, unless it is to stand alone.
"""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pymongo
import pymongo.errors

READY_SECONDS = 90
STOP_SECONDS = 30


class ServerError(Exception):
    pass


def find_program():
    named = os.environ.get("PANTRY_TEST_SERVER") or os.environ.get("MONGOD") or shutil.which("mongod")
    return named or str(pathlib.Path(sys.executable).parent / "secantusd-py")


class Server:
    def __init__(self, folder, program=None, standalone=False):
        self.folder = pathlib.Path(folder).resolve()
        program = program or find_program()
        # A path may hold spaces; what is no path is a command with arguments.
        self.program = [program] if os.path.isfile(program) else shlex.split(program)
        self.is_mongod = pathlib.Path(self.program[0]).name.startswith("mongod")
        self.standalone = standalone
        self.users = []
        self.process = None
        self.port = None

    def address(self, user=""):
        return f"mongodb://{user}127.0.0.1:{self.port}/?directConnection=true"

    @property
    def uri(self):
        return self.address()

    def client(self, wait_ms=10_000):
        """For the first of the users, once there are any."""
        login = dict(username=self.users[0]["user"], password=self.users[0]["password"]) if self.users else {}
        return pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=wait_ms, **login)

    def command(self, standalone):
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        auth = ["--auth"] if self.users else []
        if not self.is_mongod:
            quiet = ["--log-level", "WARNING"] if self.program[0].endswith("-py") else []
            alone = ["--standalone"] if standalone else []
            return [*self.program, "--port", str(self.port), "--storage-path", str(data), *quiet, *alone, *auth]
        command = [*self.program, "--port", str(self.port), "--bind_ip", "127.0.0.1", "--dbpath", str(data), *auth]
        if standalone:
            return command
        if auth:  # Members of a replica set with users know one another by a key.
            key = self.folder / "key"
            if not key.exists():
                key.touch(0o600)
                key.write_text("cGFudHJ5a2VlcGVy")
            command += ["--keyFile", str(key)]
        return [*command, "--replSet", "pantry"]

    def start(self, standalone=None):
        standalone = self.standalone if standalone is None else standalone
        self.folder.mkdir(parents=True, exist_ok=True)
        # Another program may take the free port first; then the server ends at once, and another port is tried.
        for _ in range(3):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            with open(self.folder / "server.log", "ab") as log:
                # A session of its own: Ctrl-C in the terminal ends the script, and the script ends the server.
                self.process = subprocess.Popen(self.command(standalone), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                cwd=self.folder, start_new_session=True)
            try:
                if self.is_ready(standalone):
                    return self
            except BaseException:
                self.stop()
                raise
        raise ServerError(f"{self.program[0]} does not start:\n{self.log_tail()}")

    def is_ready(self, standalone):
        """True when the server takes writes, False when it has ended by itself."""
        deadline = time.monotonic() + READY_SECONDS
        with self.client(500) as client:
            while time.monotonic() < deadline:
                if self.process.poll() is not None:
                    return False
                with contextlib.suppress(pymongo.errors.PyMongoError):
                    hello = client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return True
                    # A mongod that waits for its configuration. (One whose configuration names another port says so, too,
                    # and never becomes primary: see with_users.)
                    if hello.get("isreplicaset") and not standalone:
                        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
                        client.admin.command("replSetInitiate", {"_id": "pantry", "members": [member]})
                time.sleep(0.05)
        raise ServerError(f"{self.program[0]} is not ready after {READY_SECONDS} s:\n{self.log_tail()}")

    def with_users(self, users, fill):
        """Starts it with data and users, and with a password asked for. Both go in while it stands alone: a replica set's
        configuration names its port, and one that was made before the restart would name the port it had then."""
        self.start(standalone=True)
        with self.client() as client:
            fill(client)
            for user in users:
                client.admin.command("createUser", user["user"], pwd=user["password"], roles=[user["role"]])
        self.stop()
        self.users = users
        return self.start()

    def log_tail(self):
        return "\n".join((self.folder / "server.log").read_text(errors="replace").splitlines()[-10:])

    def stop(self, now=False):
        """`now`: its data is not needed any more."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if now else signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


@contextlib.contextmanager
def ready(folder, standalone=False, seed=(), users=False):
    """A server with these sets of mongo.py, and with the users of users.json; gives a line of JSON with all about it."""
    import mongo

    server = Server(folder, standalone=standalone)
    fill = lambda client: [mongo.seed(client, name) for name in seed]
    try:
        if users:
            server.with_users(json.loads((pathlib.Path(__file__).parent / "users.json").read_text()), fill)
        else:
            server.start()
        with server.client() as client:
            if not users:
                fill(client)
            version = client.server_info()["versionArray"][:2]
            # One that a test has killed is not to remain as a zombie, which looks alive.
            threading.Thread(target=server.process.wait, daemon=True).start()
            yield json.dumps({"port": server.port, "pid": server.process.pid, "users": users, "mongod": server.is_mongod,
                              "version": version})
    finally:
        server.stop(now=True)
        shutil.rmtree(folder, ignore_errors=True)


def keep(folder):
    """Reads what ready() takes as a line of JSON, and prints what it gives."""
    with ready(folder, **json.loads(sys.stdin.readline())) as line:
        print(line, flush=True)
        sys.stdin.read()


def shared(*command):
    with tempfile.TemporaryDirectory(prefix="pantry-keeper.") as folder:
        with ready(pathlib.Path(folder, "server"), seed=["small", "bulk"], users=True) as line:
            code = subprocess.call(command, env=os.environ | {"PANTRY_SHARED_SERVER": line})
    sys.exit(code)


def run(count, *command):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pantry-keeper."))
        servers = []
        for number in range(int(count)):
            servers.append(Server(pathlib.Path(folder, f"server-{number + 1}")))
            stack.callback(servers[-1].stop, now=True)
            servers[-1].start()
        sys.exit(subprocess.call([*command, *(server.uri for server in servers)], cwd=folder))


if __name__ == "__main__":
    # Whoever ends this, ends the servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        {"run": run, "keep": keep, "shared": shared}[sys.argv[1]](*sys.argv[2:])
    except ServerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
