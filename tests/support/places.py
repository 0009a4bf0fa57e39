"""Real servers for copies elsewhere, for the tests: S3 (moto) or WebDAV (wsgidav). Ends when its standard input closes.

    places.py s3|s3s|webdav FOLDER [--certificate NAME]

Prints the port it listens on, on the loopback interface only. S3 has the bucket `pantry`; the key is `right-key-id`, its
secret `right-secret-key`; as s3s it speaks TLS. So does WebDAV, which serves FOLDER/files to `me` with the password `right-password`.

How it misbehaves is in FOLDER/behave, a JSON object, read anew for every request:
    {"method": "PUT", "least": 1000, "do": "500" | "503" | "cut" | "damage" | "truncate" | "deny" | "full" | "too-large" | "clock" | "locked",
     "tenth": 0 to 9, "times": N}
Only requests of that method with a body of at least so many bytes count. With "after", the first N go well.
After a "cut" with "then": "deny", what follows is denied. With "truncate", half of what was sent is kept, and all is said to be well.
With "clock", a request that is dated more than 15 minutes off is refused as AWS does, which moto does not.
With "locked", a body whose MD5 is not told, or another one, is refused as AWS does for buckets with object lock.
For PROPFIND there is "lie": every file is said to be a byte longer than it is. For the answers to GET there is "cut-answer" (half of it comes, or as many tenths), "stall-answer" (the same, then nothing),
"damage-answer" and "other-etag". FOLDER/seen has a line per request, FOLDER/served the length of each answer to GET.
"""

import argparse
import base64
import datetime
import hashlib
import io
import json
import pathlib
import re
import socket
import ssl
import sys
import threading

from werkzeug.serving import WSGIRequestHandler, make_server

CERTIFICATES = pathlib.Path(__file__).parent.parent / "fixtures" / "smtp"


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_):
        pass


def s3():
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def make_bucket(port, scheme):
    import boto3
    import urllib3

    # The certificate may be one of those that are none.
    urllib3.disable_warnings()
    client = boto3.client("s3", endpoint_url=f"{scheme}://127.0.0.1:{port}", region_name="us-east-1", verify=False,
                          aws_access_key_id="right-key-id", aws_secret_access_key="right-secret-key")
    client.create_bucket(Bucket="pantry")


def webdav(folder):
    from wsgidav.wsgidav_app import WsgiDAVApp

    files = folder / "files"
    files.mkdir(exist_ok=True)
    return WsgiDAVApp({
        "provider_mapping": {"/": str(files)},
        "simple_dc": {"user_mapping": {"*": {"me": {"password": "right-password"}}}},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "logging": {"enable": False, "enable_loggers": []},
        "verbose": 0,
    })


class Misbehaving:
    """Passes requests on, or does what FOLDER/behave says."""

    def __init__(self, app, folder, kind):
        self.app, self.folder, self.kind = app, folder, kind
        self.how, self.done, self.lock = None, 0, threading.Lock()

    def due(self, method, length):
        try:
            how = json.loads((self.folder / "behave").read_text())
        except (OSError, ValueError):
            self.done = 0
            return None
        if method != how.get("method", method) or length < how.get("least", 0):
            return None
        with self.lock:
            if how != self.how:
                self.how, self.done = how, 0
            self.done += 1
            after = how.get("after", 0)
            if self.done > after + how.get("times", 1_000_000) and "then" in how:
                return {"do": how["then"]}
            return how if after < self.done <= after + how.get("times", 1_000_000) else None

    def spoiled(self, environ, start_response, behaviour):
        """The answer to GET, in which something is wrong."""
        how, head = behaviour["do"], []
        body = b"".join(self.app(environ, lambda status, headers, *_: head.extend((status, headers))))
        status, headers = head
        if how == "other-etag":
            headers = [(name, value) for name, value in headers if name.lower() != "etag"] + [("ETag", '"another"')]
        elif how == "damage-answer":
            body = body[:len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1:]
        start_response(status, headers)
        if how not in ("cut-answer", "stall-answer"):
            yield body
            return
        yield body[:len(body) * behaviour.get("tenth", 5) // 10]
        if how == "stall-answer":
            threading.Event().wait()
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)

    def lying(self, environ, start_response):
        """The answer to PROPFIND, in which no size is right."""
        head = []
        body = b"".join(self.app(environ, lambda status, headers, *_: head.extend((status, headers))))
        longer = lambda found: b"getcontentlength>%d<" % (int(found[1]) + 1)
        body = re.sub(rb"getcontentlength>(\d+)<", longer, body)
        headers = [(name, value) for name, value in head[1] if name.lower() != "content-length"]
        start_response(head[0], headers + [("Content-Length", str(len(body)))])
        return [body]

    def counted(self, environ, start_response):
        """The answer to GET, whose length is written down."""
        length = 0
        answer = self.app(environ, start_response)
        try:
            for piece in answer:
                length += len(piece)
                yield piece
        finally:
            getattr(answer, "close", lambda: None)()
            with self.lock, open(self.folder / "served", "a") as served:
                served.write(f"{length}\n")

    def __call__(self, environ, start_response):
        method = environ["REQUEST_METHOD"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        with self.lock, open(self.folder / "seen", "a") as seen:
            seen.write(f"{method} {environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')} {length}\n")
        sent = environ["wsgi.input"]

        def refuse(status, code):
            # What was sent is read, or the connection would be reset before the answer arrives.
            left = length
            while left > 0 and (piece := sent.read(min(left, 65536))):
                left -= len(piece)
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as told</Message></Error>".encode()
            start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]

        if self.kind != "webdav" and "Credential=right-key-id/" not in environ.get("HTTP_AUTHORIZATION", ""):
            return refuse("403 Forbidden", "InvalidAccessKeyId")
        how = self.due(method, length)
        if how and how["do"] == "500":
            return refuse("500 Internal Server Error", "InternalError")
        if how and how["do"] == "503":
            return refuse("503 Service Unavailable", "SlowDown")
        if how and how["do"] == "deny":
            return refuse("403 Forbidden", "AccessDenied")
        if how and how["do"] == "full":
            return refuse("507 Insufficient Storage", "QuotaExceeded")
        if how and how["do"] == "too-large":
            return refuse("413 Request Entity Too Large", "EntityTooLarge")
        if how and how["do"] == "clock":
            dated = datetime.datetime.strptime(environ["HTTP_X_AMZ_DATE"], "%Y%m%dT%H%M%SZ")
            now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
            if abs(now - dated) > datetime.timedelta(minutes=15):
                return refuse("403 Forbidden", "RequestTimeTooSkewed")
        if how and how["do"] == "locked":
            body = sent.read(length)
            told = environ.get("HTTP_CONTENT_MD5", "")
            if told != base64.b64encode(hashlib.md5(body).digest()).decode():
                sent = io.BytesIO()
                return refuse("400 Bad Request", "InvalidRequest")
            environ["wsgi.input"] = io.BytesIO(body)
        if how and how["do"] == "cut":
            left = length * how["tenth"] // 10
            while left > 0 and (piece := sent.read(min(left, 65536))):
                left -= len(piece)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        if how and how["do"] == "damage":
            body = bytearray(sent.read(length))
            body[len(body) // 2] ^= 1
            environ["wsgi.input"] = io.BytesIO(bytes(body))
        elif how and how["do"] == "truncate":
            environ["wsgi.input"] = io.BytesIO(sent.read(length)[:length // 2])
            environ["CONTENT_LENGTH"] = str(length // 2)
        elif self.kind == "webdav":
            # wsgidav reads on behind the body, where a connection that stays open has nothing yet.
            environ["wsgi.input"] = io.BytesIO(sent.read(length))
        if how and how["do"] == "lie":
            return self.lying(environ, start_response)
        if method != "GET":
            return self.app(environ, start_response)
        return self.spoiled(environ, start_response, how) if how else self.counted(environ, start_response)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["s3", "s3s", "webdav"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--certificate", default="server")
    given = parser.parse_args()
    context = None
    if given.kind != "s3":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / f"{given.certificate}.pem", CERTIFICATES / f"{given.certificate}.key")
    app = webdav(given.folder) if given.kind == "webdav" else s3()
    app = Misbehaving(app, given.folder, given.kind)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if given.kind != "webdav":
        make_bucket(server.port, "https" if context else "http")
    print(server.port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
