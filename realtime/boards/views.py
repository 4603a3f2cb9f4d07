"""The pages of the demo. They are complete without JavaScript; with it, ``{% live %}`` keeps them current."""

import json
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from .charts.pages import small_charts
from .compression import compressed
from .due import has_times
from .models import Board
from .notices import NoticeForm
from .planned import not_shown
from .voices.context import viewers_part
from .wall import WallForm, stamped


@compressed
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "boards/index.html")


@compressed
def board(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one board, or answer 404 if the user may not see it."""
    return page(request, get_object_or_404(Board.objects.visible_to(request.user), slug=slug))


@require_POST
@permission_required("boards.add_notice")
def announce(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a notice from the form on a board's page, and show that page; if it is refused, with the input."""
    shown = get_object_or_404(Board.objects.visible_to(request.user), slug=slug)
    form = NoticeForm(shown, request.POST, auto_id="notice_%s")
    if not form.is_valid():
        return page(request, shown, form)
    form.publish(shown, request.user)
    return redirect(shown)


def page(
    request: HttpRequest,
    shown: Board,
    refused: NoticeForm | None = None,
    more: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Return the page of a board, with a notice that was refused if there is one, or with ``more`` in its context."""
    now = timezone.now()
    times = has_times(shown)
    context: dict[str, Any] = {
        "board": shown,
        "now": now,
        "has_times": times,
        "wall_form": WallForm(shown, request.user),
        "small_charts": small_charts(shown),
    }
    if request.user.has_perm("boards.add_notice"):
        context |= {
            "notice_form": refused or NoticeForm(shown, auto_id="notice_%s"),
            "running": shown.notices.filter(Q(is_shown=True) | Q(shows_until__gt=now) | Q(shows_until=None)),
        }
    if request.user.has_perm("boards.change_entry"):
        context |= {"planned": not_shown(shown), "statuses": json.dumps(shown.offered_statuses)}
    context |= viewers_part(request, shown) | (more or {})
    response = render(request, "boards/board.html", context, status=422 if refused else status)
    return stamped(response) if times else response
