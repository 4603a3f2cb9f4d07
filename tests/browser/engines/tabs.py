"""The operations of a browser that the story uses, however the browser is driven."""

import json
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol, Self

from tests.browser.windows import PATIENCE_MS


class Tab(ABC):
    """One page of a browser, and what a visitor and a script do there."""

    is_closed = False

    @abstractmethod
    def open(self, url: str) -> None: ...

    @abstractmethod
    def run(self, script: str) -> str:
        """Return the text that an expression, or the promise that it is, has as its value."""

    @abstractmethod
    def type(self, text: str) -> None:
        """Press keys; what has the focus receives them."""

    @abstractmethod
    def back(self) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Close it, and set ``is_closed``."""

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression."""
        return json.loads(self.run(f"(async () => JSON.stringify(await ({script}) ?? null))()"))

    def until(self, condition: str) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, f"{condition}\n{self.evaluate('document.body.innerText')}"
            time.sleep(0.05)

    def until_live(self, transport: str = "") -> None:
        """Wait until the badge says "live"; a busy machine may have chosen another transport than WebSocket."""
        self.until(
            f"""((badge) => badge?.dataset.state === "live" && badge.dataset.transport.startsWith("{transport}"))
                (document.querySelector("live-status"))"""
        )

    def until_shown(self, text: str) -> None:
        self.until(f"document.body.innerText.includes({json.dumps(text)})")


class Engine(Protocol):
    """A running browser with a profile of its own."""

    name: str
    version: str

    def __init__(self, folder: Path) -> None: ...

    @classmethod
    def missing(cls) -> str | None:
        """Return what is to be installed for it, None if nothing."""

    def tab(self) -> Tab: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
