"""Firefox, by WebDriver BiDi: it needs no driver beside it."""

import contextlib
import itertools
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

from tests.browser.engines.tabs import Tab

PROGRAMS = ("firefox-esr", "firefox")
START_SECONDS = 120


class FirefoxTab(Tab):
    def __init__(self, browser: "Firefox", context: str) -> None:
        self._browser, self._context = browser, context

    def open(self, url: str) -> None:
        self._send("browsingContext.navigate", url=url, wait="complete")

    def run(self, script: str) -> str:
        answer = self._browser.send(
            "script.evaluate", expression=script, awaitPromise=True, target={"context": self._context}
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return str(answer["result"]["value"])

    def type(self, text: str) -> None:
        keys = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
        self._send("input.performActions", actions=[{"type": "key", "id": "keyboard", "actions": keys}])

    def back(self) -> None:
        self._send("browsingContext.traverseHistory", delta=-1)

    def close(self) -> None:
        self._send("browsingContext.close")
        self.is_closed = True

    def _send(self, method: str, **parameters: Any) -> None:
        self._browser.send(method, context=self._context, **parameters)


class Firefox:
    name = "Firefox"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._stack = contextlib.ExitStack()

    @classmethod
    def missing(cls) -> str | None:
        return None if any(map(shutil.which, PROGRAMS)) else "Firefox (apt-get install firefox-esr)"

    def __enter__(self) -> Self:
        program = next(filter(None, map(shutil.which, PROGRAMS)))
        log = self._folder / "firefox.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    program,
                    "--headless",
                    "--no-remote",
                    "--profile",
                    self._folder,
                    "--remote-debugging-port",
                    "0",
                ],
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"BiDi listening on (ws://\S+)", log.read_text(errors="replace"))):
            assert time.monotonic() < deadline and self._process.poll() is None, log.read_text()  # noqa: PT018
            time.sleep(0.1)
        self._socket = self._stack.enter_context(connect(f"{found[1]}/session", max_size=None, proxy=None))
        self.version = self.send("session.new", capabilities={})["capabilities"]["browserVersion"]
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._process.terminate()
        self._process.wait(60)

    def tab(self) -> FirefoxTab:
        return FirefoxTab(self, self.send("browsingContext.create", type="tab")["context"])

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; what the browser reports by itself is not subscribed to."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self._socket.recv(timeout=START_SECONDS))).get("id") != number:
            pass
        assert answer["type"] == "success", f"{method}: {answer.get('message')}"
        result: dict[str, Any] = answer["result"]
        return result
