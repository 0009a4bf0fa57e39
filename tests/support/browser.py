"""Looks at the status page with a real Chromium, over its debugging pipe: no driver is needed.

    browser.py CHROMIUM ADDRESS PATH FOLDER

Looks at the overview and at PATH, light and dark, on a desk and on a phone, and leaves pictures in FOLDER. Fails when a
request leaves the page, when the browser complains of anything, when the page is wider than the screen, or when axe-core
(PANTRY_AXE, or below .tools) finds something serious.
"""

import base64
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCREENS = {"desk": (1100, 900, False), "phone": (360, 740, True)}
# What goes into docs/, cut to what a reader sees first; the others are looked at and left.
PICTURES = {("/", "desk", "light"): "status-light", ("/", "desk", "dark"): "status-dark", ("/", "phone", "light"): "status-phone"}
SECONDS = 60


class Browser:
    """Commands go in as JSON that ends with a zero byte, answers and events come out likewise."""

    def __init__(self, program, folder):
        (theirs_in, self.out), (self.into, theirs_out) = os.pipe(), os.pipe()

        def fds():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        flags = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars",
                 "--disable-background-networking", f"--user-data-dir={folder}"]
        if os.getuid() == 0:
            flags.append("--no-sandbox")
        # Descriptors 3 and 4 may be in use by our own ends of the pipes: moved out of the way first.
        theirs_in, theirs_out = (os.dup(fd) if fd > 4 else os.dup2(fd, 60 + fd) for fd in (theirs_in, theirs_out))
        self.out, self.into = (os.dup2(fd, 70 + fd) if fd <= 4 else fd for fd in (self.out, self.into))
        self.process = subprocess.Popen([program, *flags, "about:blank"], preexec_fn=fds, pass_fds=(3, 4),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.numbers, self.buffer, self.events, self.session = itertools.count(1), b"", [], None

    def message(self):
        while b"\0" not in self.buffer:
            more = os.read(self.into, 1 << 16)
            if not more:
                sys.exit("the browser ended")
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        number = next(self.numbers)
        command = {"id": number, "method": method, "params": parameters}
        if self.session:
            command["sessionId"] = self.session
        os.write(self.out, json.dumps(command).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == number:
                if "error" in answer:
                    sys.exit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def until(self, event):
        while not any(seen.get("method") == event for seen in self.events):
            self.events.append(self.message())

    def evaluate(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            sys.exit(f"in the page: {found['exceptionDetails']}")
        return found["result"].get("value")


def axe():
    named = os.environ.get("PANTRY_AXE")
    path = pathlib.Path(named) if named else ROOT / ".tools/axe/node_modules/axe-core/axe.min.js"
    return path.read_text() if path.is_file() else None


def look(browser, address, path, screen, scheme):
    """What is wrong, and a picture of the whole page."""
    width, height, mobile = SCREENS[screen]
    browser.events.clear()
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Page.navigate", url=address + path)
    browser.until("Page.loadEventFired")
    wrong = []
    dark = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    if (scheme == "dark") != (sum(map(int, dark[4:-1].split(","))) < 200):
        wrong.append(f"its background is {dark}")
    wide = browser.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        wrong.append(f"it is {wide} pixels wide")
    if browser.evaluate("document.scripts.length"):
        wrong.append("it holds a script")
    # A field to copy from selects all of its text when it is tabbed into.
    browser.evaluate("document.querySelector('input').focus()")
    checker = axe()
    if checker:
        browser.evaluate(checker + "\n;0")
        found = browser.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations))")
        for violation in json.loads(found):
            places = ", ".join(node["target"][0] for node in violation["nodes"][:3])
            words = f"axe-core: {violation['impact']}: {violation['id']}: {violation['help']} ({places})"
            if violation["impact"] in ("serious", "critical"):
                wrong.append(words)
            else:
                print(words)
    for event in browser.events:
        parameters = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith((address, "about:")):
            wrong.append(f"a request to {parameters['request']['url']}")
        if event.get("method") == "Log.entryAdded":
            wrong.append(f"the browser says: {parameters['entry']['text']}")
    browser.evaluate("document.activeElement.blur()")
    picture = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)
    return wrong, base64.b64decode(picture["data"])


def main():
    program, address, path, folder = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="pantry-keeper-browser.", ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Log", "Runtime"):
                browser.call(f"{domain}.enable")
            failed = False
            for where, screen, scheme in itertools.product(("/", path), SCREENS, ("light", "dark")):
                wrong, picture = look(browser, address, where, screen, scheme)
                name = PICTURES.get((where, screen, scheme)) or f"{'overview' if where == '/' else 'archive'}-{screen}-{scheme}"
                if (where, screen, scheme) in PICTURES or not os.environ.get("UPDATE_SCREENSHOTS"):
                    (pathlib.Path(folder) / f"{name}.png").write_bytes(picture)
                for one in wrong:
                    print(f"WRONG: {where} {screen} {scheme}: {one}")
                failed |= bool(wrong)
            print("looked at 8 views" + ("" if axe() else "; SKIPPED: axe-core is not there (`scripts/setup --browser` gets it)"))
        finally:
            browser.process.kill()
            browser.process.wait(timeout=SECONDS)
    sys.exit(failed)


if __name__ == "__main__":
    main()
