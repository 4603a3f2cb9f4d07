"""The two pages of the demo. They are complete without JavaScript; with it, ``{% live %}`` keeps them current."""

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from .models import Board, Status
from .notices import NoticeForm
from .wall import WallForm


def index(request: HttpRequest) -> HttpResponse:
    return render(request, "boards/index.html")


def board(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one board, or answer 404 if the user may not see it."""
    shown = get_object_or_404(Board.objects.visible_to(request.user), slug=slug)
    context = {
        "board": shown,
        "statuses": json.dumps(Status.choices),
        "wall_form": WallForm(shown, request.user),
    }
    if request.user.has_perm("boards.add_notice"):
        context |= {
            "notice_form": NoticeForm(auto_id="notice_%s"),
            "running": shown.notices.filter(is_shown=True),
        }
    return render(request, "boards/board.html", context)
