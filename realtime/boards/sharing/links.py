"""Secret links: they let browsers without a login see one board.

The secret is behind ``#`` in the address, which browsers send to no server: it is in no log, no proxy and no Referer.
The page ``/link/`` posts it, and the session then names a guest as its user; the feeds ask for the links of that guest.
"""

from datetime import timedelta
from math import ceil
from typing import Any

from django import forms
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from realtime.access.budgets import Budgets
from realtime.access.password_attempts import address_of

from ..models import Board, BoardLink, Guest

KEPT = timedelta(days=365)
"""How long a browser remembers that a link was opened in it."""
GUESTS_PER_SECOND, GUESTS_AT_ONCE = 0.1, 100
"""New guests of one address: a client that has a link could otherwise store sessions without end."""
new_guests = Budgets(GUESTS_PER_SECOND, GUESTS_AT_ONCE)


class LinkGuest(AnonymousUser):
    """The user of a browser in which secret links were opened: not signed in, but identified by these links."""

    def __init__(self, guest: int) -> None:
        super().__init__()
        self.guest = guest


class LinkBackend(BaseBackend):
    """Gives the sessions of guests their user. The key of a guest is negative there: it is never that of a user."""

    def get_user(self, user_id: int) -> Any:
        """Return the guest, whether or not any of its links is left: the boards check the links."""
        return LinkGuest(-user_id) if user_id < 0 else None


class LinkForm(forms.Form):
    """The secret of a link: a script copies it from the address."""

    code = forms.CharField(
        max_length=200,
        label=_("Code of the link"),
        widget=forms.TextInput({"size": 45, "autocomplete": "off"}),
    )


@never_cache
@sensitive_post_parameters("code")
def open_link(request: HttpRequest) -> HttpResponse:
    """Show the page that a link leads to; with the secret of one, let its browser see the board."""
    form = LinkForm(request.POST or None)
    link = BoardLink.found(form.cleaned_data["code"]) if form.is_valid() else None
    if link is None:
        if form.is_bound and form.is_valid():
            form.add_error(
                "code", _("This link is not valid, or no longer valid. Ask for a new one where you got it.")
            )
        response = render(request, "boards/link.html", {"form": form}, status=404 if form.is_bound else 200)
    elif request.user.is_authenticated and link.board not in Board.objects.visible_to(request.user):
        form.add_error(
            None,
            gettext("You are signed in as {user}. Sign out, then open the link again.").format(
                user=request.user
            ),
        )
        response = render(request, "boards/link.html", {"form": form}, status=403)
    elif not request.user.is_authenticated and (seconds := seconds_until_admitted(request)):
        words = gettext("Too many links were opened from your network. Try again in {seconds} s.")
        form.add_error(None, words.format(seconds=ceil(seconds)))
        response = render(request, "boards/link.html", {"form": form}, status=429)
        response["Retry-After"] = str(ceil(seconds))
    else:
        if not request.user.is_authenticated:
            admit(request, link)
        response = redirect(link.board)
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def guest_of(request: HttpRequest) -> Guest | None:
    """Return the guest that the browser of a request is already."""
    return Guest.objects.filter(pk=getattr(request.user, "guest", 0)).first()


def seconds_until_admitted(request: HttpRequest) -> float:
    """Return in how many seconds the browser of a request may open a link; 0 if at once."""
    return 0.0 if guest_of(request) else new_guests.seconds_until(address_of(request), 1)


def admit(request: HttpRequest, link: BoardLink) -> None:
    """Give the browser of a request the right of a link, beside those of other links that were opened in it."""
    known = guest_of(request)
    if not known:
        new_guests.spend(address_of(request), 1)
    guest = known or Guest()
    guest.opened_at = timezone.now()
    guest.save()
    if not guest.links.filter(pk=link.pk).exists():
        guest.links.add(link)
        # The former session may have been planted in this browser by an attacker, who would get the right too.
        request.session.cycle_key()
    request.session[SESSION_KEY] = str(-guest.pk)
    request.session[BACKEND_SESSION_KEY] = f"{LinkBackend.__module__}.{LinkBackend.__qualname__}"
    request.session[HASH_SESSION_KEY] = ""
    request.session.set_expiry(KEPT)


def remove_old_guests() -> None:
    """Remove the guests whose browsers have forgotten them."""
    old = Guest.objects.filter(opened_at__lt=timezone.now() - KEPT)
    # Read first: on SQLite even a statement that writes nothing makes other writers wait.
    if old.exists():
        old.delete()
