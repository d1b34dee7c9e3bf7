"""A headless Chromium by the WebDriver protocol of its chromedriver (W3C), with Python's standard
library only.

    with Browser(width=1280, height=900) as browser:
        browser.open("http://127.0.0.1:8080/")
        browser.type(browser.find("#prompt"), "Hello" + ENTER)
"""

import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.request

ENTER, ESCAPE, TAB, LEFT, RIGHT, SHIFT = (chr(c) for c in
                                          (0xE007, 0xE00C, 0xE004, 0xE012, 0xE014, 0xE008))
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name the standard gives


class Browser:
    def __init__(self, width=1280, height=900, dark=False):
        self.size = (width, height)
        self.dark = dark

    def __enter__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                self.base = f"http://127.0.0.1:{found[1]}"
                break
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                     "--disable-dev-shm-usage", "--window-size=%d,%d" % self.size]
        capabilities = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments},
                        "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = "/session/" + answer["sessionId"]
        # The window's size has a lower bound; the page's size and colours are set without one.
        self.devtools("Emulation.setDeviceMetricsOverride", width=self.size[0],
                      height=self.size[1], deviceScaleFactor=1, mobile=self.size[0] < 600)
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"}])
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait()

    def call(self, method, path, body=None):
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, method=method,
                                         headers={"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def devtools(self, command, **parameters):
        self.call("POST", self.session + "/goog/cdp/execute",
                  {"cmd": command, "params": parameters})

    def open(self, address):
        self.call("POST", self.session + "/url", {"url": address})

    def find(self, selector):
        return self.call("POST", self.session + "/element",
                         {"using": "css selector", "value": selector})[ELEMENT]

    def type(self, element, text):
        self.call("POST", f"{self.session}/element/{element}/value", {"text": text})

    def click(self, selector):
        self.call("POST", f"{self.session}/element/{self.find(selector)}/click")

    def press(self, key):
        """A key for whatever has the focus."""
        self.call("POST", self.session + "/actions", {"actions": [{
            "type": "key", "id": "keyboard",
            "actions": [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})

    def run(self, script, *arguments):
        """The value that the JavaScript function's body returns."""
        return self.call("POST", self.session + "/execute/sync",
                         {"script": script, "args": list(arguments)})

    def wait(self, script, seconds=60):
        """The first true value of the script within that time, else the last one."""
        until = time.monotonic() + seconds
        while True:
            value = self.run(script)
            if value or time.monotonic() > until:
                return value
            time.sleep(0.05)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", self.session + "/screenshot")))

    def problems(self):
        """What the page wrote to the console as errors."""
        log = self.call("POST", self.session + "/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]
