"""A headless Chromium that a test drives, over the DevTools protocol through two pipes."""

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chromium import CHROMIUM

PATIENCE = 60
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Nothing but the address of this machine itself is found.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)


class Page:
    """One tab: commands, questions in JavaScript, and the addresses that it asked for."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self.to_browser, self.from_browser = to_browser, from_browser
        self.left = b""
        self.number = 0
        self.session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.left:
            read = os.read(self.from_browser, 1 << 16)
            assert read, "the browser has ended"
            self.left += read
        message, _, self.left = self.left.partition(b"\0")
        content = json.loads(message)
        if content.get("method") == "Network.requestWillBeSent":
            self.requests.append(content["params"]["request"]["url"])
        if content.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(content["params"]["exceptionDetails"]))
        return content

    def ask(self, expression: str) -> Any:
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if value := self.ask(expression):
                return value
            time.sleep(0.1)
        raise AssertionError(f"never: {expression}; the page says {self.ask('document.body.innerText')!r}")

    def give_file(self, selector: str, file: Path) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def picture(self, path: Path) -> None:
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def opened(address: str, profile: Path, width: int = 1400, height: int = 1000) -> Iterator[Page]:
    """`address` in a tab of a browser that is ended at the end."""
    out_read, out_write = os.pipe()  # what the browser reads as 3
    in_read, in_write = os.pipe()  # what it writes as 4
    shell = f'exec "$@" 3<&{out_read} 4>&{in_write}'
    browser = subprocess.Popen(
        [
            *("bash", "-c", shell, "bash", str(CHROMIUM), *FLAGS),
            *(f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"),
        ],
        pass_fds=(out_read, in_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(out_read)
    os.close(in_write)
    try:
        page = Page(out_write, in_read)
        target = page.send("Target.createTarget", url="about:blank")
        attached = page.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page.session = attached["sessionId"]
        for domain in ("Network", "Page", "Runtime", "DOM"):
            page.send(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        page.send("Emulation.setDeviceMetricsOverride", **size)
        page.send("Page.navigate", url=address)
        yield page
    finally:
        browser.kill()
        browser.wait()
        os.close(out_write)
        os.close(in_read)
