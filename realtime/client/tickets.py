"""Tickets: how a program that knows a name and a password opens connections as that user."""

import asyncio
import base64
import json
import urllib.request
from collections.abc import Awaitable, Callable

from .addresses import page_address

SECONDS = 20.0
"""How long the server may take to answer a request for a ticket."""


def tickets(url: str, name: str, password: str) -> Callable[[], Awaitable[str]]:
    """Return a function that requests a ticket for a user; each opens one connection.

    The server must allow it (``TICKETS_FOR_PASSWORDS``).
    Raises (when it is called): HTTPError, for a wrong password for example; OSError.
    """
    credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    request = urllib.request.Request(  # noqa: S310  # page_address returns http or https
        page_address(url, "realtime/ticket/"), method="POST", headers=headers
    )

    def fetch() -> str:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return str(json.load(answer)["ticket"])

    async def ticket() -> str:
        return await asyncio.to_thread(fetch)

    return ticket
