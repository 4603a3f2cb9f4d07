"""What is asked by POST: calls, where no socket gets through, and tickets, for clients without cookies."""

import base64
import logging
from collections import OrderedDict
from time import monotonic
from typing import Any

import msgspec
from django.contrib.auth import authenticate
from django.http import HttpRequest

from ..access import origins as auth
from ..access import tickets
from ..access.limits import address_of
from ..access.visitors import NOBODY, Visitor, load_user, login_for
from ..conf import get_conf
from ..engine.bucket import Bucket
from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..engine.messages import Call, Error, check_arguments
from ..runtime.client_log import one_line
from ..runtime.refusals import Refused, status_of
from ..service import get_service
from . import http as requests
from .calls import answer

logger = logging.getLogger("realtime.connection")

PASSWORDS_PER_SECOND = 0.2
PASSWORDS_AT_ONCE = 10
REMEMBERED = 100_000
"""Of so many names and addresses it is remembered how many passwords were tried."""


async def call(scope: dict[str, Any], receive, send) -> None:
    """Run an action and answer with its reply."""
    try:
        visitor, address, service = _enter(scope), address_of(scope), get_service()
        with requests.refusing("call"), service.places.enter(address, visitor):
            asked = await _asked(scope, receive)
            message = Call(0, asked.action, asked.args)
            reply = await answer(service, visitor, address, message, _log)
    except Refused as refused:
        await requests.refuse(scope, send, refused)
        return
    if isinstance(reply.error, msgspec.UnsetType):
        await requests.respond(send, 200, {"ok": reply.ok})
    else:
        status = status_of(reply.error.code)
        await requests.respond(send, status, {"error": reply.error}, requests.retry_header(status))


async def _asked(scope: dict[str, Any], receive) -> "_Call":
    """Return what a request's body asks for.

    Raises: Refused, or BadMessage.
    """
    if not (auth.header(scope, b"content-type") or "").startswith("application/json"):
        raise Refused([Error(Code.BAD_MESSAGE, "send JSON, as application/json")], 415)
    encoded = await requests.body(receive, get_conf().max_message_bytes)
    try:
        asked = _call_decoder.decode(encoded)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Refused([Error(Code.BAD_MESSAGE, str(error))]) from error
    check_arguments(asked.args)
    return asked


class _Call(msgspec.Struct):
    """A call without an id: the answer is the response."""

    action: str
    args: dict[str, Any] = {}


_call_decoder = msgspec.json.Decoder(_Call)


async def ticket(scope: dict[str, Any], receive, send) -> None:
    """Answer with a ticket for whom a password or a session of ours names."""
    try:
        visitor, service = _enter(scope), get_service()
        with requests.refusing("ticket"):
            credentials = _credentials(auth.header(scope, b"authorization") or "")
            if credentials is None:
                given = await service.reader_threads.run(_ticket_for, visitor)
            else:
                _allow(credentials[0], address_of(scope))
                with service.places.one("passwords"):
                    remote = (scope.get("client") or [""])[0]
                    given = await service.password_threads.run(_ticket_for_password, *credentials, remote)
    except Refused as refused:
        await requests.refuse(scope, send, refused)
    else:
        seconds = get_conf().ticket_seconds
        await requests.respond(send, 200, {"ticket": given, "expires_in_seconds": seconds})


class SignedOut(RealtimeError):
    """Nobody whom we know asks for what is only for those whom we know."""

    code = Code.SIGNED_OUT

    def __str__(self) -> str:
        return "name and password are not known, or not taken here; send them as Authorization: Basic, or sign in first"


class TooManyPasswords(RealtimeError):
    """One password after another is tried, for a name or from an address."""

    code = Code.TOO_MUCH

    def __str__(self) -> str:
        return f"too many passwords; one every {1 / PASSWORDS_PER_SECOND:g} s is looked at"


def _enter(scope: dict[str, Any]) -> Visitor:
    """Return who posts. Raises: Refused."""
    requests.enter(scope, "POST")
    if auth.header(scope, b"origin") is None and auth.header(scope, b"cookie"):
        raise Refused([Error(Code.FORBIDDEN, "who posts with cookies has to name its Origin")])
    return auth.visitor(scope)


def _credentials(authorization: str) -> tuple[str, str] | None:
    """Return name and password, None where there are none to look at.

    Raises: SignedOut.
    """
    if not authorization:
        return None
    scheme, _, text = authorization.partition(" ")
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        raise SignedOut from None
    if scheme.lower() != "basic" or not colon or "\0" in name or not get_conf().tickets_for_passwords:
        raise SignedOut
    return name, password


def _ticket_for(visitor: Visitor) -> str:
    if not load_user(visitor).is_authenticated:
        raise SignedOut
    return tickets.issue(visitor)


def _ticket_for_password(name: str, password: str, remote: str) -> str:
    """Return a ticket for whom all of the project's authentication backends know by that name and password."""
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = remote
    user = authenticate(request, username=name, password=password)
    return _ticket_for(NOBODY if user is None else Visitor(login=login_for(user)))


_tried: OrderedDict[tuple[str, int], Bucket] = OrderedDict()


def _allow(name: str, address: str | None) -> None:
    """Count a password that is tried for a name and from an address; those tried least lately are forgotten.

    Raises: TooManyPasswords.
    """
    for key in (("address", hash(address)), ("name", hash(name))):  # a name may be as long as a header
        bucket = _tried.pop(key, None) or Bucket(PASSWORDS_PER_SECOND, PASSWORDS_AT_ONCE)
        _tried[key] = bucket
        if len(_tried) > REMEMBERED:
            _tried.popitem(last=False)
        if not bucket.take(1, monotonic()):
            raise TooManyPasswords


def _log(level: int, words: str, *values: object) -> None:
    logger.log(level, f"post: {words}", *map(one_line, values))
