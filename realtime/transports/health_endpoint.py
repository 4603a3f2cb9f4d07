"""Health endpoints: ``GET /realtime/live/`` and ``GET /realtime/ready/``, for load balancers and process managers.

Probes use any host name and send no cookies, so nothing is checked before they are answered, and nothing is logged.
Only staff and clients with the token of the metrics see the reasons, which name tables.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from django.db import Error as DatabaseError
from django.utils.crypto import constant_time_compare

from ..access.handshake import Handshake
from ..access.visitors import ANONYMOUS, load_user
from ..conf import get_conf
from ..runtime.asgi_types import Application, Receive, Scope, Send
from ..service import Service, get_service
from .http import respond


def _probe(
    answer: Callable[[Handshake, Service], Awaitable[tuple[int, dict[str, object]]]],
) -> Application:
    """Make an ASGI application of a function that returns a status and JSON; other methods than GET get 405."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        handshake = Handshake.from_scope(scope)
        if handshake.method not in ("GET", "HEAD"):
            await respond(send, 405, {"error": "use GET"}, [(b"allow", b"GET, HEAD")])
            return
        status, content = await answer(handshake, get_service())
        await respond(send, status, content)

    return application


@_probe
async def live(handshake: Handshake, service: Service) -> tuple[int, dict[str, object]]:
    """Answer 200: the event loop works. The database is not queried: restarting a process would not repair it."""
    return 200, {"live": True}


@_probe
async def ready(handshake: Handshake, service: Service) -> tuple[int, dict[str, object]]:
    """Answer 200 if clients can be sent to this process, otherwise 503."""
    problems = await service.health.problems()
    content: dict[str, object] = {"ready": not problems}
    if problems and await _may_read(problems, handshake, service):
        content["reasons"] = problems
    return 503 if problems else 200, content


async def _may_read(problems: list[str], handshake: Handshake, service: Service) -> bool:
    token = get_conf().metrics_token
    if token and constant_time_compare(handshake.header("authorization") or "", f"Bearer {token}"):
        return True
    visitor = handshake.visitor
    # While the database fails, no user is read from it: only the token counts.
    if visitor == ANONYMOUS or any(problem.startswith("database") for problem in problems):
        return False
    try:
        user = await service.health.ask(partial(load_user, visitor))
    except (DatabaseError, TimeoutError):
        return False
    return bool(user.is_active and getattr(user, "is_staff", False))
