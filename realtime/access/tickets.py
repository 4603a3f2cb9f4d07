"""Tickets: how clients without cookies say who they are. One is good for one connection, within seconds.

``POST /realtime/ticket/`` gives one for a password, or to a page that passes it on (``posts.py``); a project with
tokens of its own gives them by ``issue``. ``?ticket=…`` uses it: an address that a log keeps opens nothing any more.
"""

import hashlib
import secrets
from datetime import timedelta
from urllib.parse import parse_qs

from django.utils import timezone

from ..conf import get_conf
from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..models import Ticket
from .visitors import Login, Visitor


class BadTicket(RealtimeError):
    """A ticket that was never given, was used, or is too old; which of these is nobody's business."""

    code = Code.SIGNED_OUT

    def __str__(self) -> str:
        return "this ticket is not good, or not any more; ask for another at /realtime/ticket/"


def issue(visitor: Visitor) -> str:
    """Return a ticket for a visitor; ``Visitor(login=login_for(user))`` for a user whom your own token names."""
    tickets = Ticket.objects.using(get_conf().database)
    now = timezone.now()
    tickets.filter(expires_at__lt=now).delete()
    ticket = secrets.token_urlsafe(32)
    tickets.create(
        digest=_digest(ticket),
        session=visitor.session or "",
        login=list(visitor.login or ()),
        expires_at=now + timedelta(seconds=get_conf().ticket_seconds),
    )
    return ticket


def redeem(ticket: str) -> Visitor:
    """Return whose ticket it is, and take it from everybody else.

    Raises: BadTicket.
    """
    good = Ticket.objects.using(get_conf().database).filter(
        digest=_digest(ticket), expires_at__gte=timezone.now()
    )
    found = good.first()
    if found is None or not good.delete()[0]:  # of two who come at once one has deleted it
        raise BadTicket
    return Visitor(found.session or None, Login(*found.login) if found.login else None)


def named_in(query: bytes) -> str:
    """Return the ticket in an address, empty when there is none."""
    return parse_qs(query.decode("latin-1")).get("ticket", [""])[-1]


def _digest(ticket: str) -> str:
    """Return what the database keeps of a ticket: who reads it there cannot use it."""
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
