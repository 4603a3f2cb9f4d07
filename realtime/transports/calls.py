"""Calls: a client of any transport calls an action, and gets one reply."""

from typing import Any

import msgspec
from django.contrib.auth.models import AnonymousUser

from ..access.limits import TooMuch
from ..access.visitors import ANONYMOUS, Visitor, load_user
from ..actions import ActionRefused, perform
from ..engine.codes import Code
from ..engine.errors import BadMessage
from ..engine.messages import Call, Encoding, Reply, ReplyError, decode_arguments, encode_value
from ..runtime.client_log import SERVER_FAILED, ClientLog
from ..service import Service


async def answer(
    service: Service, visitor: Visitor, address: str | None, call: Call, encoding: Encoding, log: ClientLog
) -> Reply:
    """Run the action as the visitor's user and return the reply, which is an error if the action fails.

    Raises: BadMessage, if the arguments cannot be used.
    """
    try:
        return await run(service, visitor, address, call, encoding, log)
    except BadMessage:
        raise
    except Exception as error:
        log.failure(name_of(call), error)
        return Reply(id=call.id, error=ReplyError(Code.INTERNAL, SERVER_FAILED))


async def run(
    service: Service, visitor: Visitor, address: str | None, call: Call, encoding: Encoding, log: ClientLog
) -> Reply:
    """Run the action as the visitor's user and return the reply, which is an error if the action is refused.

    Limits are checked first, because validating the arguments costs more than everything before it.
    Raises: BadMessage, if the arguments cannot be used; what loading the user and the action raise.
    """
    try:
        with service.places.one("calls") as place:
            user = AnonymousUser()
            if visitor != ANONYMOUS:
                # Read again: the user may have signed out since the connection was opened.
                user = await service.run_for(address, service.reader_threads, load_user, visitor)
            # Not counted by session: an anonymous client could invent any number of sessions.
            place.count_for("caller", user.pk or address)
            encoded = await service.run_for(address, service.action_threads, _perform, user, call, encoding)
    except (ActionRefused, TooMuch) as error:
        log.warning("message call %r refused: %s", call.action[:100], error)
        fields = getattr(error, "fields", None) or msgspec.UNSET
        return Reply(id=call.id, error=ReplyError(error.code, str(error), fields))
    log.info("message call %r", call.action)
    return Reply(id=call.id, ok=encoded)


def name_of(call: Call) -> str:
    """Return how a call is named in the log."""
    return f"call {call.action[:100]!r}"


def _perform(user: Any, call: Call, encoding: Encoding) -> msgspec.Raw:
    """Run the action in this thread and return its encoded result.

    Raises: BadMessage, ActionRefused, and whatever the action raises.
    """
    return msgspec.Raw(encode_value(perform(user, call.action, decode_arguments(call.args, encoding))))
