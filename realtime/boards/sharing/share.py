"""The page "Share" of a board: everything by which others see, embed, read or write it, for users who may change it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from ..exchange.importing import RIGHTS
from ..exchange.models import RowToken
from ..history import visible_board
from ..models import Board

RIGHT = "boards.change_board"


class NameForm(forms.Form):
    """What a token or a link is for."""

    name = forms.CharField(max_length=100, widget=forms.TextInput({"size": 30, "autocomplete": "off"}))


@permission_required(RIGHT)
def share(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how a board can be shared."""
    return page(request, visible_board(request, slug))


@never_cache
@require_POST
@permission_required([RIGHT, *RIGHTS])
def make_token(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a token with which a program may write a board's rows, and show it, this once."""
    board = visible_board(request, slug)
    form = NameForm(request.POST)
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
    messages.success(request, f"“{token.name}” can no longer write this board.")
    return redirect("boards:share", slug)


def page(request: HttpRequest, board: Board, context: dict[str, Any] | None = None) -> HttpResponse:
    """Return the page, with what was just made."""
    shown: dict[str, Any] = {
        "board": board,
        "rows_address": request.build_absolute_uri(reverse("boards:rows", args=[board.slug])),
        "token_form": NameForm(auto_id="token_%s"),
        "tokens": board.rowtokens.select_related("made_by"),
    }
    return render(request, "boards/share.html", shown | (context or {}))
