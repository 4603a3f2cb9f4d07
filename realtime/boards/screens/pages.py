"""The page of a screen: its code until an editor has typed it, then the boards that the desk has chosen."""

from math import ceil
from typing import Any

import segno
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from ..models import Board
from ..wall import MAX_BOARDS, show, stamped, starts_worker
from . import pairing
from .models import Screen

AGAIN_SECONDS = 60
"""After how long a page that shows neither a board nor a code is loaded again, whatever its topics send."""


@starts_worker
def screen(request: HttpRequest) -> HttpResponse:
    """Show a screen its code, or the boards that an editor has chosen for it."""
    found, token = pairing.screen_of(request), request.COOKIES.get(pairing.COOKIE, "")
    if found is None:
        if request.method != "GET":  # a browser asks for the time, or whether the server answers
            return stamped(HttpResponse())
        found, token = pairing.new_screen(request)
    elif found.is_waiting and not found.has_code(timezone.now()):
        pairing.renew_code(found)
    response = page_of(request, found)
    response["Cache-Control"] = "private, no-cache"
    pairing.keep_token(response, request, token)
    return response


def page_of(request: HttpRequest, screen: Screen) -> HttpResponse:
    if screen.is_waiting:
        until = screen.code_until or timezone.now()
        again = ceil(max(0, (until - timezone.now()).total_seconds())) + 1
        desk = request.build_absolute_uri(reverse("admin:boards_screen_add")) + f"?screen_code={screen.code}"
        return idle(request, "", screen=screen, qr=qr(desk), again=again)
    boards = boards_of(screen, request.user)
    if not boards:
        return idle(
            request,
            _("There is nothing to show here yet. Choose a board for this screen at the desk."),
            screen=screen,
        )
    choices = {"seconds": screen.seconds, "dim_from": screen.dim_from, "dim_until": screen.dim_until}
    return show(request, boards, choices, screen)


def idle(request: HttpRequest, words: str, **context: Any) -> HttpResponse:
    """Return the page of a screen that shows no board."""
    base = {"words": words, "worker": settings.BOARDS_WALL_COPIES, "again": AGAIN_SECONDS}
    return stamped(render(request, "boards/screen.html", base | context))


def boards_of(screen: Screen, user: Any) -> list[Board]:
    """Return those boards of a screen that the user of its browser may see."""
    boards = [screen.board, *screen.then.all()]
    keys = {board.pk for board in boards if board}
    visible = {board.pk: board for board in Board.objects.visible_to(user).filter(pk__in=keys)}
    return [visible[board.pk] for board in dict.fromkeys(boards) if board and board.pk in visible][
        :MAX_BOARDS
    ]


def qr(text: str) -> SafeString:
    """Return a text as a QR code: an SVG element as large as its surroundings let it be."""
    code = segno.make_qr(text, error="m")
    svg = code.svg_inline(omitsize=True, svgclass="qr", lineclass=None, light="#ffffff", title=_("QR code"))
    return mark_safe(svg)  # noqa: S308  # made of numbers
