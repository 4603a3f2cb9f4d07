"""Calls: a client asks for an action, whatever it is connected by, and gets one reply."""

import logging

import msgspec
from django.contrib.auth.models import AnonymousUser

from . import auth
from .actions import ActionRefused, perform
from .engine.codes import Code
from .engine.messages import Call, Reply, ReplyError, encode_value
from .logs import SORRY, Log, log_failure
from .service import Service


async def answer(service: Service, session_key: str | None, call: Call, log: Log) -> Reply:
    """Run the action as the session's user and return the reply; whatever fails is a reply too."""
    try:
        user = AnonymousUser()
        if session_key is not None:  # as of now: it may have been signed out since
            user = await service.readers.run(auth.load_user, session_key)
        done = await service.action_threads.run(perform, user, call.action, call.args)
        encoded = msgspec.Raw(encode_value(done))
    except ActionRefused as error:
        log(logging.WARNING, "message call %r refused: %s", call.action[:100], error)
        fields = msgspec.UNSET if error.fields is None else error.fields
        return Reply(id=call.id, error=ReplyError(error.code, str(error), fields))
    except Exception as error:
        log_failure(log, f"call {call.action[:100]!r}", error)
        return Reply(id=call.id, error=ReplyError(Code.INTERNAL, SORRY))
    log(logging.INFO, "message call %r", call.action)
    return Reply(id=call.id, ok=encoded)
