"""The ticket endpoint, ``POST /realtime/ticket/``: tickets for a password, or for the session of a page."""

import base64

from django.contrib.auth import authenticate
from django.http import HttpRequest

from ..access import password_attempts, tickets
from ..access.budgets import Budgets
from ..access.handshake import Handshake
from ..access.visitors import Visitor, load_user, login_for
from ..conf import get_conf
from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..runtime.asgi_types import Receive, Send
from ..runtime.client_log import ClientLog
from ..service import get_service
from . import http


class NotSignedIn(RealtimeError):
    """A client without a valid password or session requests a ticket."""

    code = Code.SIGNED_OUT

    def __str__(self) -> str:
        return (
            "name and password are not valid, or passwords are not accepted here; "
            "send them as Authorization: Basic, or sign in first"
        )


class TooManyTickets(RealtimeError):
    """A user has requested more tickets than its clients need."""

    code = Code.TOO_MUCH

    def __str__(self) -> str:
        return "too many tickets for one user; use those that you have, or try again in a few seconds"


@http.endpoint("POST")
async def ticket(handshake: Handshake, receive: Receive, send: Send) -> None:
    """Answer with a ticket for the user that a password or the session identifies."""
    log = ClientLog(handshake.client)
    with http.refusing("ticket", log):
        place = get_service().places.enter(handshake.address, handshake.visitor)
    with place:
        with http.refusing("ticket", log):
            issued = await _issued(handshake)
        await http.respond(send, 200, {"ticket": issued, "expires_in_seconds": get_conf().ticket_seconds})


async def _issued(handshake: Handshake) -> str:
    """Return a ticket for a request.

    Raises: NotSignedIn, TooManyPasswords, TooManyTickets, TooMuch.
    """
    service, address = get_service(), handshake.address
    credentials = _credentials(handshake.header("authorization") or "")
    if credentials is None:
        return await service.run_for(
            address, service.reader_threads, _ticket_for, handshake.visitor, service.tickets
        )
    name, password = credentials
    password_attempts.attempts.check(name, address)
    with service.places.one("passwords") as place:
        place.count_for("guesser", address)
        return await service.run_for(
            address,
            service.password_threads,
            _ticket_for_password,
            name,
            password,
            handshake,
            service.tickets,
        )


def _credentials(authorization: str) -> tuple[str, str] | None:
    """Return name and password, None if the header is empty.

    Raises: NotSignedIn.
    """
    if not authorization:
        return None
    scheme, _, text = authorization.partition(" ")
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        raise NotSignedIn from None
    if scheme.lower() != "basic" or not colon or "\0" in name or not get_conf().tickets_for_passwords:
        raise NotSignedIn
    return name, password


def _ticket_for(visitor: Visitor, budget: Budgets) -> str:
    """Raises: NotSignedIn, TooManyTickets."""
    user = load_user(visitor)
    if not user.is_authenticated:
        raise NotSignedIn
    if budget.seconds_until(user.pk, 1) > 0:
        raise TooManyTickets
    budget.spend(user.pk, 1)
    return tickets.issue(visitor)


def _ticket_for_password(name: str, password: str, handshake: Handshake, budget: Budgets) -> str:
    """Return a ticket for the user that one of the project's authentication backends identifies.

    Raises: NotSignedIn, TooManyTickets; TooManyPasswords, if those that waited before this one were wrong.
    """
    password_attempts.attempts.check(name, handshake.address)
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = handshake.peer_address
    request.META["HTTP_X_FORWARDED_FOR"] = ",".join(handshake.headers.get("x-forwarded-for", ()))
    user = authenticate(request, username=name, password=password)
    if user is None:
        raise NotSignedIn
    return _ticket_for(Visitor(login=login_for(user)), budget)
