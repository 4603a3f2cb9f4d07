"""Tickets: how clients without cookies identify their user. Each opens one connection, within seconds.

``POST /realtime/ticket/`` returns one for a password, or for the session of a page that hands it to another program
(``transports/ticket_endpoint.py``); a project with tokens of its own calls ``issue``. A client sends ``?ticket=…``;
each ticket is valid once, so an address in a log cannot be used again.
"""

import hashlib
import secrets
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from ..conf import get_conf
from ..databases.transactions import engine_transaction
from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..models import Ticket
from .visitors import Login, Visitor

__all__ = ["BadTicket", "issue", "redeem"]


class BadTicket(RealtimeError):
    """A ticket that was never issued, was used, or is too old; the client does not learn which."""

    code = Code.SIGNED_OUT

    def __str__(self) -> str:
        return "this ticket is not valid, or no longer valid; ask for another at /realtime/ticket/"


def issue(visitor: Visitor) -> str:
    """Return a ticket for a visitor: ``Visitor(login=login_for(user))`` for a user whom your own token identifies."""
    with engine_transaction():
        Ticket.objects.exclude(_is_valid()).delete()
    ticket = secrets.token_urlsafe(32)
    Ticket.objects.create(
        digest=_digest(ticket),
        session=visitor.session or "",
        login=list(visitor.login or ()),
        expires_at=Now() + timedelta(seconds=get_conf().ticket_seconds),
    )
    return ticket


def redeem(ticket: str) -> Visitor:
    """Return the visitor that a ticket was issued for, and make the ticket invalid.

    Raises: BadTicket.
    """
    valid = Ticket.objects.filter(_is_valid(), digest=_digest(ticket))
    found = valid.first()
    if found is None:
        raise BadTicket
    with engine_transaction():
        is_first = bool(valid.delete()[0])  # if two use it at the same moment, only one deletes it
    if not is_first:
        raise BadTicket
    return Visitor(found.session or None, Login(*found.login) if found.login else None)


def _is_valid() -> Q:
    """Return the condition that a ticket has not expired, by the database's clock, which all processes share.

    One that would be valid for twice as long as a new one is not valid: the clock was set back since.
    """
    longest = timedelta(seconds=2 * get_conf().ticket_seconds)
    return Q(expires_at__gte=Now(), expires_at__lte=Now() + longest)


def _digest(ticket: str) -> str:
    """Return the digest of a ticket, which the database stores and which cannot be used as a ticket."""
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
