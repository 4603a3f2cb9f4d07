"""The page "Share" of a board: everything by which others see, embed, read or write it, for users who may change it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from ..board_values import key_of
from ..exchange.importing import RIGHTS
from ..exchange.models import RowToken
from ..history import record, states, visible_board
from ..models import Board
from ..shared_forms import SharedForm
from . import embedding, qr
from .models import BoardLink
from .syndication import KINDS

RIGHT = "boards.change_board"


class NameForm(forms.Form):
    """The purpose of a token or a link."""

    name = forms.CharField(
        label=_("Name"), max_length=100, widget=forms.TextInput({"size": 30, "autocomplete": "off"})
    )


class SitesForm(SharedForm):
    """The sites that may embed a board; if two editors change them at once, the second is shown both and chooses."""

    class Meta:
        model = Board
        fields = ["embed_origins"]
        widgets = {"embed_origins": forms.Textarea({"rows": 3, "cols": 40, "spellcheck": "false"})}


@never_cache
@permission_required(RIGHT)
def share(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how a board can be shared."""
    return page(request, visible_board(request, slug))


@require_POST
@permission_required(RIGHT)
def set_sites(request: HttpRequest, slug: str) -> HttpResponse:
    """Store which sites may embed a board."""
    board = visible_board(request, slug)
    with transaction.atomic():
        form = SitesForm(request.POST, instance=board, auto_id="sites_%s")
        if not form.is_valid():
            return page(request, visible_board(request, slug), {"sites_form": form})
        before = states([key_of(board.pk)])
        form.save()
        record(request.user, before)
    messages.success(request, _("Saved."))
    return redirect("boards:share", slug)


@never_cache
@require_POST
@permission_required(RIGHT)
def make_link(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a secret link to a board, and show it, this once."""
    board = visible_board(request, slug)
    form = NameForm(request.POST, auto_id="link_%s")
    if not form.is_valid():
        return page(request, board, {"link_form": form})
    link, text = BoardLink.make(board, form.cleaned_data["name"], request.user)
    address = f"{request.build_absolute_uri(reverse('boards:link'))}#{text}"
    return page(request, board, {"made_link": link, "link_address": address, "link_qr": qr.element(address)})


@require_POST
@permission_required(RIGHT)
def revoke_link(request: HttpRequest, slug: str, key: int) -> HttpResponse:
    """End the right of all browsers in which a link was opened: open pages lose the board at once."""
    board = visible_board(request, slug)
    link = get_object_or_404(board.boardlinks, pk=key)
    link.delete()
    messages.success(
        request, gettext("The link “{name}” no longer leads to this board.").format(name=link.name)
    )
    return redirect("boards:share", slug)


@never_cache
@require_POST
@permission_required([RIGHT, *RIGHTS])
def make_token(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a token with which a program may write a board's rows, and show it, this once."""
    board = visible_board(request, slug)
    form = NameForm(request.POST, auto_id="token_%s")
    if not form.is_valid():
        return page(request, board, {"token_form": form})
    token, text = RowToken.make(board, form.cleaned_data["name"], request.user)
    return page(request, board, {"made_token": token, "token_text": text})


@require_POST
@permission_required([RIGHT, *RIGHTS])
def revoke_token(request: HttpRequest, slug: str, key: int) -> HttpResponse:
    """End the right of a token."""
    board = visible_board(request, slug)
    token = get_object_or_404(board.rowtokens, pk=key)
    token.delete()
    messages.success(request, gettext("“{name}” can no longer write this board.").format(name=token.name))
    return redirect("boards:share", slug)


def page(request: HttpRequest, board: Board, context: dict[str, Any] | None = None) -> HttpResponse:
    """Return the page, with the new link or token."""

    def address(name: str, *arguments: str) -> str:
        return request.build_absolute_uri(reverse(f"boards:{name}", args=[board.slug, *arguments]))

    shown: dict[str, Any] = {
        "board": board,
        "board_address": address("board"),
        "rows_address": address("rows"),
        "feeds": [(kind, address("feed", kind)) for kind in KINDS],
        "snippet": embedding.snippet(request, board),
        "sites_form": SitesForm(instance=board, auto_id="sites_%s"),
        "link_form": NameForm(auto_id="link_%s"),
        "links": board.boardlinks.select_related("made_by"),
        "token_form": NameForm(auto_id="token_%s"),
        "tokens": board.rowtokens.select_related("made_by"),
    }
    return render(request, "boards/share.html", shown | (context or {}))
