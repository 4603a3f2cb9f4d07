"""Tickets: a program with a user's name and password opens connections as that user."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from .addresses import page_address

SECONDS = 20.0
"""How long the server may take to answer a request for a ticket."""


def tickets(url: str, name: str, password: str) -> Callable[[], Awaitable[str]]:
    """Return a function that requests a ticket for a user; each opens one connection.

    The server must allow it (``TICKETS_FOR_PASSWORDS``).
    Raises (when it is called): HTTPError, for a wrong password or a redirect for example; OSError.
    """
    credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    request = Request(  # noqa: S310  # page_address returns http or https
        page_address(url, "realtime/ticket/"), method="POST", headers=headers
    )

    opener = build_opener(_NoRedirects)

    def fetch() -> str:
        with opener.open(request, timeout=SECONDS) as answer:
            return str(json.load(answer)["ticket"])

    async def ticket() -> str:
        return await asyncio.to_thread(fetch)

    return ticket


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: urllib would send the password along, to another host or without TLS too."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        words = f"redirected to {newurl[:200]!r}, where the password is not sent; pass the address of the site itself"
        raise HTTPError(req.full_url, code, words, headers, fp)
