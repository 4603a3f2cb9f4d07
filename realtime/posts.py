"""What is asked by POST: calls, where no socket gets through, and tickets, for clients without cookies."""

import base64
import binascii
import logging
from collections import OrderedDict
from time import monotonic
from typing import Any

import msgspec
from django.contrib.auth import authenticate
from django.http import HttpRequest

from . import auth, requests, tickets
from .calls import answer
from .conf import get_conf
from .engine.bucket import Bucket
from .engine.codes import Code
from .engine.errors import BadMessage, RealtimeError
from .engine.messages import Call, Error, check_arguments
from .limits import address_of
from .logs import one_line
from .requests import Refused
from .service import get_service
from .visitors import NOBODY, Visitor, load_user, login_for

logger = logging.getLogger("realtime.connection")

PASSWORDS_PER_SECOND = 0.2
PASSWORDS_AT_ONCE = 10
ADDRESSES = 10_000
"""Of so many addresses it is remembered how many passwords they have tried."""


async def call(scope: dict[str, Any], receive, send) -> None:
    """Run an action and answer with its reply."""
    try:
        visitor = _enter(scope)
        if not (auth.header(scope, b"content-type") or "").startswith("application/json"):
            raise Refused([Error(Code.BAD_MESSAGE, "send JSON, as application/json")], 415)
        try:
            asked = _call_decoder.decode(await requests.body(receive, get_conf().max_message_bytes))
            check_arguments(asked.args)
        except (BadMessage, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Refused([Error(Code.BAD_MESSAGE, str(error))]) from error
    except Refused as refused:
        await requests.refuse(scope, send, refused)
        return
    message = Call(0, asked.action, asked.args)
    reply = await answer(get_service(), visitor, address_of(scope), message, _log)
    if isinstance(reply.error, msgspec.UnsetType):
        await requests.respond(send, 200, {"ok": reply.ok})
    else:
        await requests.respond(send, requests.status_of(reply.error.code), {"error": reply.error})


class _Call(msgspec.Struct):
    """A call without an id: the answer is the response."""

    action: str
    args: dict[str, Any] = {}


_call_decoder = msgspec.json.Decoder(_Call)


async def ticket(scope: dict[str, Any], receive, send) -> None:
    """Answer with a ticket for whom a password or a session of ours names."""
    try:
        visitor = _enter(scope)
        service = get_service()
        authorization, address = auth.header(scope, b"authorization") or "", address_of(scope)
        with requests.refusing("ticket"), service.places.call(address, visitor):
            given = await service.action_threads.run(_ticket_for, visitor, authorization, address)
    except Refused as refused:
        await requests.refuse(scope, send, refused)
    else:
        seconds = get_conf().ticket_seconds
        await requests.respond(send, 200, {"ticket": given, "expires_in_seconds": seconds})


class SignedOut(RealtimeError):
    """Nobody whom we know asks for what is only for those whom we know."""

    code = Code.SIGNED_OUT

    def __str__(self) -> str:
        return "name and password are not known; send them as Authorization: Basic, or sign in first"


class TooManyPasswords(RealtimeError):
    """An address tries one password after another."""

    code = Code.TOO_MUCH

    def __str__(self) -> str:
        return f"too many passwords; one every {1 / PASSWORDS_PER_SECOND:g} s is looked at"


def _enter(scope: dict[str, Any]) -> Visitor:
    """Return who posts. Raises: Refused."""
    requests.enter(scope, "POST")
    if auth.header(scope, b"origin") is None and auth.header(scope, b"cookie"):
        raise Refused([Error(Code.FORBIDDEN, "who posts with cookies has to name its Origin")])
    return auth.visitor(scope)


def _ticket_for(visitor: Visitor, authorization: str, address: str | None) -> str:
    if authorization:
        visitor = _by_password(authorization, address)
    if not load_user(visitor).is_authenticated:
        raise SignedOut
    return tickets.issue(visitor)


def _by_password(authorization: str, address: str | None) -> Visitor:
    """Return whom name and password name, asking all of the project's authentication backends."""
    scheme, _, text = authorization.partition(" ")
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError):
        raise SignedOut from None
    if scheme.lower() != "basic" or not colon or "\0" in name:
        raise SignedOut
    if not _may_try(address):
        raise TooManyPasswords
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = address or ""
    user = authenticate(request, username=name, password=password)
    return NOBODY if user is None else Visitor(login=login_for(user))


_tried: OrderedDict[str | None, Bucket] = OrderedDict()


def _may_try(address: str | None) -> bool:
    """Whether an address may try another password; those that have tried least lately are forgotten."""
    bucket = _tried.pop(address, None) or Bucket(PASSWORDS_PER_SECOND, PASSWORDS_AT_ONCE)
    _tried[address] = bucket
    if len(_tried) > ADDRESSES:
        _tried.popitem(last=False)
    return bucket.take(1, monotonic())


def _log(level: int, words: str, *values: object) -> None:
    logger.log(level, f"post: {words}", *map(one_line, values))
