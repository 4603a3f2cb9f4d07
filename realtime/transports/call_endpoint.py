"""The call endpoint, ``POST /realtime/calls/``: actions for clients without a WebSocket."""

import msgspec

from ..access.handshake import Handshake
from ..conf import get_conf
from ..engine.codes import Code
from ..engine.messages import Call, Error, decoded
from ..runtime.asgi_types import Receive, Send
from ..runtime.client_log import ClientLog
from ..runtime.refusals import Refused, status_of
from ..service import get_service
from . import http
from .calls import name_of, run


class _Body(msgspec.Struct):
    """A call without an id: the answer is the response."""

    action: str
    args: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decoder: msgspec.json.Decoder[_Body] = msgspec.json.Decoder(_Body)


@http.endpoint("POST")
async def call(handshake: Handshake, receive: Receive, send: Send) -> None:
    """Run an action and answer with its reply; if the server fails, refuse the request: with 503 in an outage."""
    service, visitor, address = get_service(), handshake.visitor, handshake.address
    log = ClientLog(handshake.client)
    with http.refusing("call", log):
        place = service.places.enter(address, visitor)
    with place:
        with http.refusing("call", log):
            if not (handshake.header("content-type") or "").startswith("application/json"):
                raise Refused([Error(Code.BAD_MESSAGE, "send JSON, as application/json")], 415)
            body = decoded(_decoder.decode, await http.read_body(receive, get_conf().max_message_bytes))
            asked = Call(0, body.action, body.args)
            with http.refusing(name_of(asked), log):
                reply = await run(service, visitor, address, asked, "json", log)
        if isinstance(reply.error, msgspec.UnsetType):
            await http.respond(send, 200, {"ok": reply.ok})
        else:
            status = status_of(reply.error.code)
            await http.respond(send, status, {"error": reply.error}, http.retry_header(status))
