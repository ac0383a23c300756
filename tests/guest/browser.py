# SPDX-License-Identifier: LGPL-2.1-or-later
"""browser: Debian's Chromium without a window, driven by chromedriver, for tests of the page.

WebDriver is HTTP with JSON; what it has no word for (media features, the tree that screen readers
get) goes through it to the DevTools protocol. A profile of its own, which goes with it.
"""
import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from scene import Cannot, Wrong

START_S, ANSWER_S = 60, 120
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's name for a reference
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": " ", "Left": "\ue012", "Up": "\ue013",
        "Right": "\ue014", "Down": "\ue015", "Home": "\ue011", "End": "\ue010", "Shift": "\ue008"}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1"]


class Browser:
    def __init__(self, width=1200, height=1000):
        for tool in ("chromium", "chromedriver"):
            if not shutil.which(tool):
                raise Cannot(f"{tool} is not installed")
        self.folder = tempfile.TemporaryDirectory(prefix="pshare-browser.")
        self.driver = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "chromedriver", "--port=0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.session = None
        try:
            self.url = f"http://127.0.0.1:{self.port()}"
            profile = pathlib.Path(self.folder.name) / "profile"
            self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {
                    "binary": shutil.which("chromium"),
                    "args": [*FLAGS, f"--user-data-dir={profile}",
                             f"--window-size={width},{height}"]}}}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def port(self):
        end = time.monotonic() + START_S
        for line in self.driver.stdout:
            if "on port" in line and "successfully" in line:
                return int(line.rstrip(" .\n").rpartition(" ")[2])
            if time.monotonic() > end:
                break
        raise Wrong("chromedriver does not start")

    def ask(self, method, path, body=None):
        path = path if path == "/session" else f"/session/{self.session}{path}"
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else
            json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Wrong(f"{path}: {json.load(error)['value']['message']}") from error

    def close(self):
        if self.session:
            try:
                self.ask("DELETE", "")
            except (Wrong, OSError):
                pass
        self.driver.terminate()
        self.driver.wait()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *args):
        """A script's value; what it returns may be a promise."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def devtools(self, command, **params):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def press(self, *names, held=None):
        """Keys, one after another, to whatever has the focus."""
        keys = [KEYS[name] for name in names]
        actions = [a for key in keys for a in ({"type": "keyDown", "value": key},
                                               {"type": "keyUp", "value": key})]
        if held:
            actions = [{"type": "keyDown", "value": KEYS[held]}, *actions,
                       {"type": "keyUp", "value": KEYS[held]}]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})

    def media(self, **features):
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def tree(self):
        """What a screen reader is given: role, name, value, and whether it takes the focus."""
        nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
        return [{"role": node.get("role", {}).get("value"),
                 "name": node.get("name", {}).get("value", ""),
                 "focusable": any(p["name"] == "focusable" and p["value"].get("value")
                                  for p in node.get("properties", []))}
                for node in nodes if not node.get("ignored")]

    def log(self):
        """What the console was told since the last call."""
        return [f"{entry['level']}: {entry['message']}" for entry in
                self.ask("POST", "/se/log", {"type": "browser"})]

    def size(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=False)

    def picture(self):
        """The window, as PNG."""
        return base64.b64decode(self.ask("GET", "/screenshot"))
