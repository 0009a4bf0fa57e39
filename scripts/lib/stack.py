#!/usr/bin/env python3
"""A stack's life, from `cp .env.example .env && docker compose up -d` on; scripts/docker-test runs it.

    stack.py IMAGE ARCH [--emulated]

PANTRY_STAND_IN_SERVER is an image that takes the place of MongoDB's, and catches mails instead of mailpit.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import pymongo

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import recipes  # noqa: E402  found by the line before

# What README and docker-compose.yml promise.
IDLE_LIMIT_MB = 15
STOP_LIMIT_SECONDS = 10
# Takes the place of the one in .env.example; it must turn up nowhere else. Without the single quotes around it, Compose would
# make another one of it.
PASSWORD = "pa$word1 #x@/:%"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
STAND_IN = os.environ.get("PANTRY_STAND_IN_SERVER")


class Wrong(Exception):
    pass


def check(good, what, details=""):
    if not good:
        raise Wrong(f"{what}\n{details}".strip())


def ok(what):
    print(f"  {what:66} ok", flush=True)


def limit(what, figure, most, unit):
    check(figure <= most, f"{what}: {figure:.1f} {unit}, over the limit of {most}")
    print(f"  {what:40} {figure:6.1f} {unit:2}  limit {most:3}       ok", flush=True)


class Stack:
    def __init__(self, home, image, arch):
        self.home, self.image, self.arch = home, image, arch
        self.backups = home / "backups"
        # Whose the archives are. Who is not root could not read what belongs to user 1000.
        self.owner = (1000, 1000) if os.getuid() == 0 else (os.getuid(), os.getgid())
        os.environ |= {"COMPOSE_PROJECT_NAME": "pantry-keeper-test", "PANTRY_KEEPER_IMAGE": image}
        # The page at a port of the system's choice: 8080 may be in use here.
        os.environ["HOST_STATUS"] = "127.0.0.1:"
        # The folder of someone who has just cloned this.
        shutil.copy(ROOT / "docker-compose.yml", home)
        self.env = home / ".env"
        self.env.write_text((ROOT / ".env.example").read_text().replace("change-me", PASSWORD))
        if self.owner != (1000, 1000):
            self.set(PUID=self.owner[0], PGID=self.owner[1])
        (home / "docker-compose.override.yml").write_text(json.dumps({"services": self.override()}))

    def override(self):
        """The stack is the user's but for this: what stands in for something, and what makes waiting shorter."""
        ours = {"platform": f"linux/{self.arch}"}
        found = {
            "mongodb": {"ports": ["127.0.0.1::27017"], "healthcheck": {"interval": "1s"}},  # this script talks to it, too
            "pantry-keeper": ours | {"healthcheck": {"interval": "5s"}}, "folders": ours,
        }
        if STAND_IN:
            found["mongodb"]["image"] = STAND_IN
            catcher = ["/venv/bin/python", "-m", "aiosmtpd", "--nosetuid", "--listen", "0.0.0.0:1025"]
            found["mailpit"] = {"image": STAND_IN, "entrypoint": catcher}
        return found

    def set(self, **settings):
        with self.env.open("a") as env:
            env.writelines(f"{name}={value}\n" for name, value in settings.items())

    def unset(self, name):
        self.env.write_text(re.sub(rf"(?m)^{name}=.*\n", "", self.env.read_text()))

    # -- what one types ------------------------------------------------------------------------------------------------

    def run(self, *command, good=True, **options):
        done = subprocess.run(command, cwd=self.home, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        check(not good or done.returncode == 0, f"failed: {' '.join(command)}", done.stdout)
        return done.stdout.strip()

    def compose(self, *words, **options):
        return self.run("docker", "compose", *words, **options)

    def up(self, *words):
        return self.compose(*words, "up", "--detach", "--no-build")

    def keeper(self, *words):
        return self.inside("pantry-keeper", *words)

    def inside(self, *command):
        return self.compose("exec", "-T", "pantry-keeper", *command)

    def inspect(self, template, service="pantry-keeper"):
        return self.run("docker", "inspect", "--format", template, self.compose("ps", "--all", "--quiet", service))

    def is_healthy(self, service="pantry-keeper"):
        return self.inspect("{{.State.Health.Status}}", service) == "healthy"

    def logs(self):
        return self.compose("logs", "--no-color", "pantry-keeper")

    def archives(self):
        return sorted(path.name for path in self.backups.glob("*.tar.gz"))

    def partial(self):
        return list(self.backups.rglob("*.partial"))

    def within(self, seconds, what, so):
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(Wrong):
                if so() is not False:
                    break
            check(time.monotonic() < deadline, f"it did not come: {what}", self.compose("logs", "--tail", "30", good=False))
            time.sleep(0.5)
        ok(what)

    @contextlib.contextmanager
    def server(self):
        host = self.compose("port", "mongodb", "27017")
        with pymongo.MongoClient(f"mongodb://{host}/", username="root", password=PASSWORD, directConnection=True) as client:
            yield client

    def counts(self):
        with self.server() as client:
            names = [name for name in client.jorbites.list_collection_names() if not name.startswith("system.")]
            return {name: client.jorbites[name].count_documents({}) for name in names}

    # -- what is to be so ----------------------------------------------------------------------------------------------

    def is_up(self):
        # From here on as a user; the folders are not there, and Docker makes them, as root's.
        self.up()
        ok("docker compose up")
        self.within(120, "healthy", self.is_healthy)
        check(self.inside("uname", "-m") == MACHINES[self.arch], f"this is not {self.arch}")
        self.within(10, "has said when it backs up", lambda: "next backup: " in self.logs())

    def shows_its_page(self):
        """On this machine alone, as docker-compose.yml publishes it."""
        host = self.compose("port", "pantry-keeper", "8080")
        check(host.startswith("127.0.0.1:"), "the page is published for others, too", host)
        for path, words in {"/": "Pantry Keeper", "/health": '"healthy": true', "/metrics": "pantry_keeper_scheduler_up 1"}.items():
            with urllib.request.urlopen(f"http://{host}{path}", timeout=30) as answer:
                check(words in answer.read().decode(), f"{path} does not show {words!r}")
        ok("shows its page, and metrics, on this machine alone")

    def may_do_nothing_else(self):
        """Every process, not only the first: whoever breaks in has what they have."""
        status = self.inside("sh", "-c", "cat /proc/[0-9]*/status")
        ids = ["\t".join([str(number)] * 4) for number in self.owner]
        nothing = dict.fromkeys(["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"], "0" * 16)
        for key, wanted in {"Uid": ids[0], "Gid": ids[1], "NoNewPrivs": "1", **nothing}.items():
            found = set(re.findall(rf"(?m)^{key}:\s*(.*)$", status))
            check(found == {wanted}, f"{key} of some process is {found}, and should be {wanted}")
        ok(f"every process runs as {self.owner}, without capabilities or a way to any")
        root = next(line.split() for line in self.inside("cat", "/proc/mounts").splitlines() if line.split()[1] == "/")
        check(root[3].split(",")[0] == "ro", "the root filesystem can be written to")
        found = self.inspect("{{.HostConfig.Memory}} {{.HostConfig.Init}} {{.HostConfig.LogConfig.Config}}")
        check(found == "536870912 true map[max-file:3 max-size:10m]", "memory, init or logs are not as promised", found)
        ok("the root filesystem is read-only; memory and logs are limited")

    def has_an_ssh_client(self):
        """What it needs is all there, and it knows the user, whose keys it would look for: else it says nothing of hosts."""
        check("OpenSSH" in self.inside("ssh", "-V"), "ssh does not run")
        said = self.compose("exec", "-T", "pantry-keeper", "ssh", "-p", "9", "-o", "BatchMode=yes", "127.0.0.1", good=False)
        # As another user than 1000, it is the owner who gives it a name.
        if self.owner == (1000, 1000):
            check("port 9: Connection refused" in said, "ssh does not get as far as to connect", said)
        ok("ssh runs, for copies by SFTP")

    def takes_little_memory(self, when):
        """The scheduler alone, and what docker stats shows: all of the container's memory but cached files."""
        status = self.inside("sh", "-c", "cat /proc/[0-9]*/status")
        resident = re.findall(r"Name:\tpantry-keeper\n(?:.*\n)*?VmRSS:\s*(\d+)", status)
        limit(f"memory of the program, {when}", max(map(int, resident)) / 1000, IDLE_LIMIT_MB, "MB")
        shown = self.run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", self.compose("ps", "-q", "pantry-keeper"))
        number, unit = re.match(r"([\d.]+)(\w)iB", shown).groups()
        figure = float(number) * {"K": 1 / 1024, "M": 1, "G": 1024}[unit] * 1.048576
        limit(f"memory of the container, {when}", figure, IDLE_LIMIT_MB, "MB")

    def backs_up_on_schedule(self):
        with self.server() as client, contextlib.redirect_stdout(None):
            recipes.bench(client, 15)
        self.keeper("doctor")
        self.set(BACKUP_SCHEDULE="* * * * *")
        self.up()
        self.within(180, "an archive comes on schedule, every minute now", lambda: bool(self.archives()))
        self.unset("BACKUP_SCHEDULE")
        self.up()
        self.within(60, "healthy again with the schedule as it was", self.is_healthy)
        self.keeper("list")
        self.keeper("verify", "latest")
        self.run("sh", "-c", "cd backups && sha256sum --check --quiet -- *.sha256")
        ok("doctor, list, verify and sha256sum agree")

    def files_are_private(self):
        paths = [path for top in (self.backups, self.home / "logs") for path in [top, *top.rglob("*")]]
        for path in paths:
            found = path.stat()
            check((found.st_uid, found.st_gid) == self.owner, f"{path} belongs to {found.st_uid}:{found.st_gid}")
            # The two folders themselves are as they were mounted.
            top, wanted = path.parent == self.home, 0o700 if path.is_dir() else 0o600
            check(top or found.st_mode & 0o777 == wanted, f"{path} has mode {found.st_mode & 0o777:o}")
        ok(f"archives, logs and state are for user {self.owner[0]} alone")

    def restores(self):
        before = self.counts()
        with self.server() as client:
            client.drop_database("jorbites")
        check(self.counts() == {}, "the database was not dropped")
        self.keeper("restore", self.archives()[-1], "--drop", "--yes")
        check(self.counts() == before, f"restored was something else: {before} before, {self.counts()} now")
        ok("restore brings back a database that was dropped")

    def stops_in_the_middle(self):
        for _ in range(5):
            before = self.archives()
            self.compose("kill", "--signal", "USR1", "pantry-keeper")
            self.within(60, "SIGUSR1 starts a backup", lambda: bool(self.partial()))
            # A server that stands still keeps the dump from ending before it is stopped. On a busy machine it comes too late.
            self.compose("pause", "mongodb")
            if self.partial():
                break
            self.compose("unpause", "mongodb")
        check(self.partial(), "the dump was over too soon to be stopped: give the server more to dump")
        started = time.monotonic()
        self.compose("stop", "pantry-keeper")
        limit("stopped in the middle of a dump, in", time.monotonic() - started, STOP_LIMIT_SECONDS, "s")
        self.compose("unpause", "mongodb")
        check(self.inspect("{{.State.ExitCode}}") == "0", "it did not end with 0")
        check(self.archives() == before, "an archive that is not whole has a final name", self.archives())
        ok("ended with 0, and left no archive that is not whole")

    def starts_again(self):
        self.within(60, "the server, which stood still, is healthy", lambda: self.is_healthy("mongodb"))
        self.compose("start", "pantry-keeper")
        self.within(60, "started again, and healthy", self.is_healthy)
        self.keeper("backup")
        self.keeper("verify", "--all")
        check(not self.partial(), "the leftover of the dump that was stopped is still there")
        ok("makes a backup after that; all are sound, and the leftover is gone")

    def password_is_nowhere(self):
        container = json.loads(self.inspect("{{json .}}"))
        check(PASSWORD in json.dumps(container["Config"].pop("Env")), "the settings are not where this looks for them")
        files = [path for top in (self.backups / ".pantry-keeper", self.home / "logs") for path in top.rglob("*") if path.is_file()]
        places = {
            "docker inspect, beside the settings": json.dumps(container), "docker logs": self.logs(),
            "a file": "".join(path.read_text(errors="replace") for path in files),
            "the image": self.run("docker", "image", "inspect", self.image) + self.run("docker", "history", "--no-trunc", self.image),
            "ps": self.inside("sh", "-c", "cat /proc/[0-9]*/cmdline"),
        }
        for place, text in places.items():
            check(PASSWORD not in text, f"the password is shown by {place}")
        ok("no password in docker inspect beyond the settings, nor in docker logs")

    def explains_a_folder_that_is_not_its_own(self):
        if os.getuid() != 0:
            return print("  Not root: an unwritable folder is left out.")
        theirs = self.home / "theirs"
        theirs.mkdir(mode=0o755)
        os.chown(theirs, 4242, 4242)
        command = ["docker", "compose", "run", "--rm", "-T", "pantry-keeper"]
        done = subprocess.run(command, cwd=self.home, env=os.environ | {"HOST_BACKUP_DIR": str(theirs)}, capture_output=True, text=True)
        check(done.returncode != 0, "it starts where it cannot write", done.stdout)
        for words in ("cannot write in /backups: it belongs to 4242:4242, and this runs as 1000:1000", "sudo chown -R 1000:1000"):
            check(words in done.stdout + done.stderr, f"it does not say {words!r}", done.stdout + done.stderr)
        ok("a folder of somebody else is named, with both owners and chown")

    def mails_can_be_tried(self):
        """As docker-compose.yml shows it in its comments."""
        self.set(SMTP_HOST="mailpit", SMTP_PORT=1025, SMTP_SECURITY="none", EMAIL_FROM="keeper@example.org", EMAIL_TO="me@example.org")
        self.up("--profile", "mail")
        self.within(60, "the mail catcher takes a mail", lambda: self.keeper("notify-test"))

    def secrets_can_be_files(self):
        """As docker-compose.yml shows it in its comments."""
        folder = self.home / "secrets"
        folder.mkdir(mode=0o700)
        secret = folder / "mongodb_password"
        # As an editor on Windows writes it.
        secret.write_text(f"\ufeff{PASSWORD}\r\n", encoding="utf-8", newline="")
        secret.chmod(0o600)
        for path in (folder, secret):
            os.chown(path, *self.owner)
        path = self.home / "docker-compose.yml"
        text, found = re.subn(r"(?m)^ *MONGODB_PASSWORD: .*\n", "", path.read_text())
        check(found == 1, "docker-compose.yml sets no MONGODB_PASSWORD")
        for commented in ("# MONGODB_PASSWORD_FILE:", "# secrets: [mongodb_password, smtp_password]",
                          "# secrets:\n#   mongodb_password:\n#     file:"):
            check(commented in text, f"docker-compose.yml has no comment {commented!r}")
            text = text.replace(commented, commented.replace("# ", "", 1).replace("\n# ", "\n").replace(", smtp_password", ""))
        path.write_text(text)
        self.up()
        self.within(60, "healthy with its password in a file", self.is_healthy)
        self.keeper("backup")
        check("mongodb_password" in self.inspect("{{json .}}"), "it was not started with a secret")
        # MONGO_PASSWORD is MongoDB's own, from the same .env.
        settings = json.loads(self.inspect("{{json .Config.Env}}"))
        check(not any(PASSWORD in one for one in settings if not one.startswith("MONGO_PASSWORD=")),
              "docker inspect shows a password that is in a file")
        ok("makes a backup, and docker inspect shows no password of its own")

    def gone(self):
        self.compose("--profile", "mail", "down", "--volumes", "--remove-orphans", "--timeout", "1", good=False)


def life(stack, emulated):
    stack.gone()
    stack.is_up()
    stack.shows_its_page()
    stack.may_do_nothing_else()
    stack.has_an_ssh_client()
    if not emulated:
        stack.takes_little_memory("idle")
    stack.backs_up_on_schedule()
    stack.files_are_private()
    stack.restores()
    stack.stops_in_the_middle()
    stack.starts_again()
    stack.files_are_private()
    stack.password_is_nowhere()
    stack.explains_a_folder_that_is_not_its_own()
    if not emulated:
        stack.mails_can_be_tried()
        stack.secrets_can_be_files()
        stack.takes_little_memory("after backups")


def main():
    image, arch, *emulated = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="pantry-keeper-stack.") as home:
        stack = Stack(pathlib.Path(home), image, arch)
        try:
            life(stack, bool(emulated))
        except Wrong as wrong:
            sys.exit(f"WRONG: {wrong}")
        finally:
            stack.gone()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
