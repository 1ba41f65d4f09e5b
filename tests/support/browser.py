# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real headless browser, driven over the WebDriver protocol. Standard library only; needs chromium and chromedriver."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1240,1400",
)

# The WCAG contrast ratio between the text of an element and its background.
CONTRAST = """
const parse = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return {rgb: n.slice(0, 3), alpha: n.length > 3 ? n[3] : 1}; };
const light = (rgb) => { const [r, g, b] = rgb.map((c) => { c /= 255; return c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b; };
const element = document.querySelector(arguments[0]);
let ground = element;
while (ground && parse(getComputedStyle(ground).backgroundColor).alpha === 0) ground = ground.parentElement;
const pair = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor].map((text) => light(parse(text).rgb));
return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
"""


class Browser:
    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._profile = tempfile.TemporaryDirectory()
        self._driver = subprocess.Popen(["chromedriver", f"--port={self._port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        chromium = {"args": [*OPTIONS, f"--user-data-dir={self._profile.name}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": chromium, "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}
        deadline = time.monotonic() + 30
        while True:
            try:
                self._session = ""
                self._session = self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
                return self
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ask("DELETE", "")
        self._driver.terminate()
        self._driver.wait()
        self._profile.cleanup()

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            session = f"/session/{self._session}" if self._session else "/session"
            connection.request(method, session + path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["message"])
        return answer

    def prefer(self, scheme: str, media: str = "") -> None:
        """Light or dark, as in the system of the user. ``media`` "print" shows the page as on paper."""
        self._devtools("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def resize(self, width: int) -> None:
        """The width of the page in CSS pixels. Unlike a window, it has no minimum width."""
        self._devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def screenshot(self) -> bytes:
        """A PNG image of the whole page."""
        return base64.b64decode(self._devtools("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def print_to_pdf(self) -> bytes:
        return base64.b64decode(self._devtools("Page.printToPDF", printBackground=True)["data"])

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path: Path, fragment: str = "", query: str = "") -> None:
        """``fragment``: the id of the part of the page to go to."""
        self._ask("POST", "/url", {"url": "about:blank"})
        self._log("performance")
        self._log("browser")
        self._ask("POST", "/url", {"url": path.as_uri() + (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")})

    def _log(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("POST", "/se/log", {"type": kind})
        return found

    def requests(self) -> list[str]:
        """All URLs that were requested since the page was opened, with the file itself, but without `data:` URLs."""
        messages = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        urls = [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("chrome", "data:"))]  # chrome: the browser's own first page

    def errors(self) -> list[str]:
        """The text in the console."""
        return [entry["message"] for entry in self._log("browser")]

    def title(self) -> str:
        return str(self._ask("GET", "/title"))

    def value(self, expression: str) -> Any:
        return self._ask("POST", "/execute/sync", {"script": f"return {expression}", "args": []})

    def wait_for(self, expression: str) -> Any:
        """The value of the expression as soon as it is true. A page handles a click on a link after the click has returned."""
        deadline = time.monotonic() + 20
        while not (found := self.value(expression)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def contrast(self, selector: str) -> float:
        return float(self._ask("POST", "/execute/sync", {"script": CONTRAST, "args": [selector]}))

    def _find(self, selector: str) -> str:
        return str(next(iter(self._ask("POST", "/element", {"using": "css selector", "value": selector}).values())))

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Replaces the text in the field."""
        element = self._find(selector)
        self._ask("POST", f"/element/{element}/clear", {})
        self._ask("POST", f"/element/{element}/value", {"text": text or " "})

    def shown_rows(self) -> list[str]:
        """The ENIs that the table shows."""
        rows: list[str] = self.value(
            "[...document.querySelectorAll('#table tbody tr')].filter(row => !row.hidden).map(row => row.querySelector('.mono').innerText)"
        )
        return rows
