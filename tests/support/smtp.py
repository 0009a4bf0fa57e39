"""A real mail server (aiosmtpd) for the tests, which can be told to misbehave. Ends when its standard input closes.

    smtp.py FOLDER [OPTION...]

Prints the port it listens on, on the loopback interface only. Each mail it accepts becomes FOLDER/NUMBER.eml, with the
same decoded in FOLDER/NUMBER.json. FOLDER/seen has one line per command: `clear` or `tls`, and the command's word.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import os
import pathlib
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

CERTIFICATES = pathlib.Path(__file__).parent.parent / "fixtures" / "smtp"
DRIP_SECONDS = 1


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0, help="an old port, to come back on it")
    parser.add_argument("--security", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--certificate", default="server",
                        choices=["server", "other-name", "expired", "self-signed"])
    parser.add_argument("--login", nargs=2, metavar=("USER", "PASSWORD"), help="wanted before any mail")
    parser.add_argument("--answer", action="append", default=[], metavar="START=REPLY",
                        help="the reply to commands that start like this, such as 'RCPT TO:<a@b>=550 no'")
    parser.add_argument("--hang", choices=["accept", "banner"], help="say nothing after this")
    parser.add_argument("--drip", action="store_true", help="a banner without end, byte by byte")
    parser.add_argument("--break-at", metavar="WORD", help="break off at a mail that holds this")
    parser.add_argument("--slow", type=float, default=0, help="take so many seconds over each mail, having it already")
    return parser.parse_args()


class Mails:
    def __init__(self, options):
        self.options = options
        self.folder = options.folder

    async def handle_DATA(self, server, session, envelope):
        if self.options.break_at and self.options.break_at.encode() in envelope.original_content:
            server.transport.abort()
            return "421 too late to be heard"
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        body = lambda kind: mail.get_body((kind,)).get_content()
        decoded = {"subject": mail["Subject"], "text": body("plain"), "html": body("html"),
                   "headers": [[name, str(value)] for name, value in mail.items()],
                   "from": envelope.mail_from, "to": envelope.rcpt_tos}
        name = self.folder / str(len(list(self.folder.glob("*.eml"))))
        # Whoever looks at this moment finds it whole or not at all.
        name.with_suffix(".new").write_text(json.dumps(decoded))
        name.with_suffix(".new").rename(name.with_suffix(".json"))
        name.with_suffix(".eml").write_bytes(envelope.original_content)
        await asyncio.sleep(self.options.slow)
        return "250 2.0.0 queued"


class Server(SMTP):
    def __init__(self, options, context):
        super().__init__(
            Mails(options), hostname="mail.test", ident="ready", enable_SMTPUTF8=True,
            tls_context=context if options.security == "starttls" else None,
            require_starttls=options.security == "starttls",
            authenticator=self.check, auth_required=bool(options.login), auth_require_tls=False)
        self.options = options

    def check(self, server, session, envelope, mechanism, data):
        wanted = [part.encode() for part in self.options.login or ()]
        good = isinstance(data, LoginPassword) and [data.login, data.password] == wanted
        return AuthResult(success=good, handled=False)


def noting(word, method):
    async def command(self, argument):
        line = " ".join([word, argument or ""])
        tls = self.transport.get_extra_info("ssl_object") is not None
        with (self.options.folder / "seen").open("a") as seen:
            print("tls" if tls else "clear", word, file=seen)
        for answer in self.options.answer:
            start, reply = answer.split("=", 1)
            if line.startswith(start):
                return await self.push(reply)
        return await method(self, argument)
    return command


for word in ["EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "RSET", "QUIT"]:
    setattr(Server, "smtp_" + word, noting(word, getattr(SMTP, "smtp_" + word)))


async def misbehave(options, reader, writer):
    if options.drip:
        writer.write(b"220-")
        while True:
            writer.write(b"x")
            await asyncio.sleep(DRIP_SECONDS)
    if options.hang == "banner":
        writer.write(b"220 mail.test ready\r\n")
    await asyncio.Event().wait()


async def main():
    options = arguments()
    # What it complains of is what the tests are about.
    warnings.simplefilter("ignore")
    logging.getLogger("mail").setLevel(logging.CRITICAL)
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate = CERTIFICATES / options.certificate
    context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
    over = context if options.security == "tls" else None
    if options.hang or options.drip:
        server = await asyncio.start_server(lambda r, w: misbehave(options, r, w), "127.0.0.1", options.port, ssl=over)
    else:
        server = await loop.create_server(lambda: Server(options, context), "127.0.0.1", options.port, ssl=over)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    # Conversations that hang would keep an orderly end waiting.
    os._exit(0)


asyncio.run(main())
