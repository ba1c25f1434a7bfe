"""Headless Chromium through its own debugging pipe: pages opened, clicked, typed into and looked at, with nothing but
Python's library. On Debian: apt-get install chromium.

    with Browser() as browser:
        browser.open("http://127.0.0.1:8080/")
        browser.click("button")
        browser.wait("document.querySelectorAll('td').length > 0")
        png = browser.screenshot()"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--remote-debugging-pipe")
# Key names of the browser to its virtual key codes.
KEYS = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39, "a": 65}


class Browser:
    """One tab. `errors` collects what the page wrote to the console as errors, refusals of its Content-Security-Policy
    included; `requests` the addresses it asked for."""

    def __init__(self, program="chromium", width=1180, height=900, patience=120):
        self.patience = patience
        self.errors, self.requests = [], []
        self._session, self._count, self._unread, self._events = None, 0, b"", []
        self._profile = tempfile.mkdtemp(prefix="browser")
        from_us, self._out = os.pipe()
        self._in, to_us = os.pipe()
        self._process = subprocess.Popen(
            # The browser reads descriptor 3 and writes 4.
            ["bash", "-c", f'exec "$@" 3<&{from_us} 4>&{to_us}', "bash", program, *OPTIONS, f"--window-size={width},{height}",
             f"--user-data-dir={self._profile}", "about:blank"],
            pass_fds=(from_us, to_us), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(to_us)
        tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.size(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait(60)
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method, **parameters):
        """What a method of the DevTools protocol answers."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.patience
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._note(answer)

    def _read(self, deadline):
        while b"\0" not in self._unread:
            if not select.select([self._in], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._unread += part
        message, self._unread = self._unread.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        method, found = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(found["exceptionDetails"].get("exception", {}).get("description")))
        elif method == "Log.entryAdded" and found["entry"]["level"] == "error":
            self.errors.append(f"{found['entry']['text']} {found['entry'].get('url', '')}")
        elif method == "Page.loadEventFired":
            self._events.append(method)

    def open(self, url):
        self._events.clear()
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + self.patience
        while not self._events:
            self._note(self._read(deadline))

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        """"light" or "dark", as the system would say."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def value(self, expression):
        """The value of an expression of JavaScript."""
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            raise RuntimeError(f"{expression}: {got['exceptionDetails'].get('exception', {}).get('description')}")
        return got["result"].get("value")

    def wait(self, expression):
        """Until the expression is true; then its value."""
        deadline = time.monotonic() + self.patience
        while not (got := self.value(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"never true: {expression}\n{self.value('document.body.innerText')}")
            time.sleep(0.05)
        return got

    def click(self, selector, count=1):
        """A press of the mouse in the middle of the element that is seen there."""
        x, y, seen = self.value(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = element.getBoundingClientRect();
            const x = box.x + box.width / 2, y = box.y + box.height / 2;
            const hit = document.elementFromPoint(x, y);
            return [x, y, element.contains(hit) || (hit !== null && hit.contains(element))];
        }})()""")
        if not seen:
            raise RuntimeError(f"{selector} is not to be seen")
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)

    def key(self, name, control=False):
        text = {"text": "\r"} if name == "Enter" and not control else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code="KeyA" if name == "a" else name,
                      windowsVirtualKeyCode=KEYS[name], modifiers=2 if control else 0, **(text if kind == "keyDown" else {}))

    def write(self, selector, text):
        """Replaces what a field holds, as a person does."""
        self.click(selector)
        self.key("a", control=True)
        self.call("Input.insertText", text=text)

    def screenshot(self, whole=False):
        """PNG bytes of what is seen, or of the whole page."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"])
