"""Calls: a client asks for an action, whatever it is connected by, and gets one reply."""

import logging

import msgspec
from django.contrib.auth.models import AnonymousUser

from ..access.limits import TooMuch
from ..access.visitors import NOBODY, Visitor, load_user
from ..actions import ActionRefused, perform
from ..engine.codes import Code
from ..engine.messages import Call, Reply, ReplyError, encode_value
from ..runtime.client_log import SORRY, Log, log_failure
from ..service import Service


async def answer(service: Service, visitor: Visitor, address: str | None, call: Call, log: Log) -> Reply:
    """Run the action as the visitor's user and return the reply; whatever fails is a reply too."""
    try:
        with service.places.one("calls") as place:
            user = AnonymousUser()
            if visitor != NOBODY:  # as of now: it may have been signed out since
                user = await service.reader_threads.run(load_user, visitor)
            # Not by session: whoever makes one up is nobody, and has an address.
            place.take("caller", user.pk or address)
            done = await service.action_threads.run(perform, user, call.action, call.args)
        encoded = msgspec.Raw(encode_value(done))
    except (ActionRefused, TooMuch) as error:
        log(logging.WARNING, "message call %r refused: %s", call.action[:100], error)
        fields = getattr(error, "fields", None) or msgspec.UNSET
        return Reply(id=call.id, error=ReplyError(error.code, str(error), fields))
    except Exception as error:
        log_failure(log, f"call {call.action[:100]!r}", error)
        return Reply(id=call.id, error=ReplyError(Code.INTERNAL, SORRY))
    log(logging.INFO, "message call %r", call.action)
    return Reply(id=call.id, ok=encoded)
