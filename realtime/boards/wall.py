"""A board as a wall screen shows it, and the form in which a viewer chooses how."""

from typing import Any

from csp.decorators import csp_update
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from realtime.databases.base import is_storable

from .models import Board
from .screens.models import HOURS, SECONDS, Screen

MAX_BOARDS = 12
"""How many boards one screen shows in turn: it follows all of them."""


starts_worker = csp_update({"trusted-types": ["boards"]})
"""For pages whose script starts the service worker (static/boards/wall/copies.js): the browser refuses it elsewhere."""


class WallForm(forms.Form):
    """The query of a wall's address. A wall ignores invalid values, so that it always shows something."""

    then = forms.ModelMultipleChoiceField(
        Board.objects.none(),
        to_field_name="slug",
        required=False,
        label=_("In turn with"),
        widget=forms.CheckboxSelectMultiple,
    )
    seconds = forms.IntegerField(
        min_value=SECONDS[0],
        max_value=SECONDS[1],
        initial=12,
        required=False,
        label=_("Seconds for each page"),
    )
    dim_from = forms.ChoiceField(choices=HOURS, required=False, label=_("Dim from"))
    dim_until = forms.ChoiceField(choices=HOURS, required=False, label=_("until"))

    def __init__(self, board: Board, user: Any, data: Any = None) -> None:
        super().__init__(data)
        then = self.fields["then"]
        assert isinstance(then, forms.ModelMultipleChoiceField)
        then.queryset = Board.objects.visible_to(user).exclude(pk=board.pk)

    @property
    def choices(self) -> dict[str, Any]:
        """The valid values, and the default of each other one."""
        self.full_clean()
        valid = getattr(self, "cleaned_data", {})
        return {name: valid.get(name) or field.initial or "" for name, field in self.fields.items()}


@starts_worker  # type: ignore[arg-type]  # its types know views without arguments
def wall(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a board, or several in turn, on a screen without a keyboard.

    Raises: Http404, if the user may not see the first board; the others are left out.
    """
    first = get_object_or_404(Board.objects.visible_to(request.user), slug=slug)
    # Not validated by the form, which would refuse all of them if one has been deleted.
    query = request.GET.copy()
    then = [slug for slug in query.pop("then", [])[:MAX_BOARDS] if is_storable(slug)]
    choices = WallForm(first, request.user, query).choices
    others = Board.objects.visible_to(request.user).filter(slug__in=then).exclude(pk=first.pk)
    boards = [first, *sorted(others, key=lambda board: then.index(board.slug))][:MAX_BOARDS]
    return show(request, boards, choices)


def show(
    request: HttpRequest, boards: list[Board], choices: dict[str, Any], screen: Screen | None = None
) -> HttpResponse:
    """Return the page of boards in turn; of a screen that is run from the desk, if one is given."""
    is_kept = settings.BOARDS_WALL_COPIES and all(board.is_public for board in boards)
    context = {
        "boards": boards,
        "choices": choices,
        "now": timezone.now(),
        "worker": settings.BOARDS_WALL_COPIES,
        "is_kept": is_kept,
        "screen": screen,
    }
    with translation.override(boards[0].page_language):
        response = render(request, "boards/wall.html", context)
    if is_kept:
        # The worker stores no other page: private content must not outlast a sign-out.
        response["Wall-Copy"] = "keep"
    return stamped(response)


def stamped(response: HttpResponse) -> HttpResponse:
    """Return a response with the time of the server, which the clock of a wall follows."""
    # A header of our own: daphne sends no Date, and beside ours uvicorn would send a second one.
    response["Server-Time"] = f"{timezone.now().timestamp():.3f}"
    return response
