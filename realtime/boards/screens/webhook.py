"""One message to an address that the operator has set, within ten seconds, whatever is at that address.

The address is from the environment, so that no editor can let the server call others. Redirects are not followed, and
nothing of the answer is read.
"""

import json
import threading
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

SECONDS = 10.0


class NotSent(Exception):
    """A message was not confirmed by its receiver."""


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        """Return None, with which urllib reports the redirect as an error."""
        return


_opener = urllib.request.build_opener(NoRedirects)
_turn = threading.Lock()
"""Held while a message is sent: a server that never answers occupies one thread, instead of one more each minute."""


def send(address: str, message: dict[str, Any], seconds: float = SECONDS) -> None:
    """Post a message as JSON, in a thread of its own: neither a slow resolver nor a slow answer takes longer.

    Raises: NotSent.
    """
    scheme, host = urlsplit(address).scheme, urlsplit(address).hostname
    if scheme not in ("http", "https"):
        raise NotSent("the address of the webhook is neither http nor https")
    if not _turn.acquire(blocking=False):
        raise NotSent(f"{host} has not answered the previous message yet")
    outcome: list[str] = []
    threading.Thread(
        target=_post, args=(address, message, seconds, outcome), name="boards-webhook", daemon=True
    ).start()
    if _turn.acquire(timeout=seconds):
        _turn.release()
    if not outcome:
        raise NotSent(f"{host} has not answered within {seconds:g} s")
    if outcome[0]:
        raise NotSent(f"{host} has not accepted the message: {outcome[0]}")


def _post(address: str, message: dict[str, Any], seconds: float, outcome: list[str]) -> None:
    body = json.dumps(message).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310  # checked
    try:
        _opener.open(request, timeout=seconds).close()
        outcome.append("")
    except (URLError, OSError, HTTPException, ValueError) as error:
        outcome.append(str(error) or type(error).__name__)
    finally:
        _turn.release()
