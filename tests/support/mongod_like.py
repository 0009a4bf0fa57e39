"""As strict about replica sets as a real mongod, in front of the MongoDB-compatible server: a check of server.py where there is
no mongod. It takes a mongod's options. With --replSet it is no primary before replSetInitiate, and never when its
configuration names another port than the one it was started on; such a server takes no command but those below.
"""

import argparse
import ctypes
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading

import bson

ALWAYS = {"hello", "ismaster", "isMaster", "ping", "buildInfo", "buildinfo", "saslStart", "saslContinue", "endSessions", "connectionStatus"}
NOT_PRIMARY = {"ok": 0.0, "errmsg": "not primary", "code": 10107, "codeName": "NotWritablePrimary"}
INITIALIZED = {"ok": 0.0, "errmsg": "already initialized", "code": 23, "codeName": "AlreadyInitialized"}
MESSAGE, QUERY = 2013, 2004


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("--port", "--dbpath", "--bind_ip", "--replSet", "--keyFile"):
        parser.add_argument(name)
    parser.add_argument("--auth", action="store_true")
    options = parser.parse_args()
    if options.auth and options.replSet and not options.keyFile:
        sys.exit("BadValue: security.keyFile is required when authorization is enabled with replica sets")
    return options


class Front:
    def __init__(self, options):
        self.options = options
        self.configuration = pathlib.Path(options.dbpath, "replica-set.json")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.inner = probe.getsockname()[1]
        words = ["--port", str(self.inner), "--storage-path", options.dbpath, "--log-level", "WARNING"]
        words += ["--auth"] * options.auth + ["--standalone"] * (not options.replSet)
        # It must not outlive this process, however that ends.
        end = lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        program = pathlib.Path(sys.executable).parent / "secantusd-py"
        self.server = subprocess.Popen([program, *words], preexec_fn=end)

    def is_primary(self):
        if not self.options.replSet:
            return True
        host = json.loads(self.configuration.read_text())["members"][0]["host"] if self.configuration.exists() else ""
        return host.endswith(f":{self.options.port}")

    def answer(self, command):
        """What the server behind is not asked."""
        name = next(iter(command))
        if name == "replSetInitiate":
            if self.configuration.exists():
                return INITIALIZED
            self.configuration.write_text(json.dumps(command[name]))
            return {"ok": 1.0}
        return None if name in ALWAYS or self.is_primary() else NOT_PRIMARY

    def changed(self, command, reply):
        if next(iter(command)).lower() in ("hello", "ismaster") and not self.is_primary():
            for name in ("setName", "hosts", "primary", "me", "setVersion", "electionId"):
                reply.pop(name, None)
            reply |= {"ismaster": False, "isWritablePrimary": False, "secondary": False, "isreplicaset": True}
        return reply

    def talk(self, client):
        server = socket.create_connection(("127.0.0.1", self.inner))
        with client, server:
            while message := read(client):
                length, number, _, kind = struct.unpack_from("<iiii", message)
                # The body is the first section of a message, and follows name, skip and limit in a query.
                start = 21 if kind == MESSAGE else message.index(b"\0", 20) + 9
                command = bson.decode(message[start:start + struct.unpack_from("<i", message, start)[0]])
                reply = self.answer(command)
                if reply is None:
                    server.sendall(message)
                    received = read(server)
                    if not received:
                        return
                    at = 21 if kind == MESSAGE else 36
                    reply = self.changed(command, bson.decode(received[at:]))
                body = bson.encode(reply)
                head = struct.pack("<iB", 0, 0) if kind == MESSAGE else struct.pack("<iqii", 8, 0, 0, 1)
                code = MESSAGE if kind == MESSAGE else 1
                client.sendall(struct.pack("<iiii", 16 + len(head) + len(body), 0, number, code) + head + body)


def read(stream):
    data = b""
    while len(data) < (struct.unpack_from("<i", data)[0] if len(data) >= 4 else 4):
        wanted = (struct.unpack_from("<i", data)[0] if len(data) >= 4 else 4) - len(data)
        part = stream.recv(wanted)
        if not part:
            return b""
        data += part
    return data


def main():
    options = arguments()
    front = Front(options)
    signal.signal(signal.SIGTERM, lambda *_: (front.server.terminate(), front.server.wait(), os._exit(0)))
    while front.server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", front.inner)).close()
            break
        except ConnectionRefusedError:
            pass
    with socket.create_server(("127.0.0.1", int(options.port))) as listener:
        while True:
            threading.Thread(target=front.talk, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
