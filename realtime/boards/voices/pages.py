"""The requests of viewers by the forms of a board's page, and of editors who moderate them.

Each address takes a POST with Django's token, and leads back to the board. Where the page's script asks for JSON, the
answer has the words that it shows.
"""

from math import ceil

from django.contrib import messages as said
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from ..history import visible_board
from ..models import Board
from ..views import page
from . import messages, rates, reactions, visitors
from .messages import MessageForm
from .models import State

CHANGES = {State.SHOWN: "show", State.HIDDEN: "hide"}


@never_cache
@require_POST
def send(request: HttpRequest, slug: str) -> HttpResponse:
    """Store a message of a viewer; it is shown when an editor has approved it."""
    board = seen_board(request, slug)
    if not board.takes_messages:
        raise Http404
    form = MessageForm(request.POST, auto_id="message_%s")
    if not form.is_valid():
        words = " ".join(str(words) for errors in form.errors.values() for words in errors)
        return answer(request, board, words, 422, form)
    if seconds := rates.messages.seconds_until_next(request, board.pk):
        return too_many(request, board, seconds, form)
    try:
        form.send(board)
    except messages.Full:
        return answer(request, board, _("Too many messages are waiting. Try again later."), 503, form)
    return answer(request, board, _("Thank you. Your message is shown when an editor has approved it."))


@never_cache
@require_POST
def react(request: HttpRequest, slug: str) -> HttpResponse:
    """Count a viewer's reaction, or take it back: ``press`` has the entry's key and the kind, ``12.heart``."""
    board = seen_board(request, slug)
    if not board.kinds:
        raise Http404
    if seconds := rates.reactions.seconds_until_next(request, board.pk):
        return too_many(request, board, seconds)
    key, _dot, kind = request.POST.get("press", "").partition(".")
    number = visitors.number_of(request) or visitors.new_number()
    is_key = key.isascii() and key.isdecimal() and len(key) < 19
    is_on = reactions.press(board, int(key), kind, visitors.digest_of(number)) if is_key else None
    if is_on is None:
        return answer(request, board, _("That entry or reaction is no longer there."), 404)
    response = JsonResponse({"is_on": is_on}) if wants_json(request) else redirect(board)
    visitors.keep_number(response, request, number)
    return response


@never_cache
@require_POST
@permission_required("boards.change_message")
def moderate(request: HttpRequest, slug: str) -> HttpResponse:
    """Show, hide or delete a message: ``show=12``, ``hide=12``, ``delete=12``."""
    board = visible_board(request, slug)
    wanted = {verb: state for state, verb in CHANGES.items()} | {"delete": "delete"}
    for verb, change in wanted.items():
        key = request.POST.get(verb, "")
        if key.isascii() and key.isdecimal() and len(key) < 19:
            if verb == "delete" and not request.user.has_perm("boards.delete_message"):
                return answer(request, board, _("You may hide messages, but not delete them."), 403)
            if messages.moderate(board, int(key), change):
                return answer(request, board, "")
    return answer(request, board, _("That message is no longer there."), 404)


def seen_board(request: HttpRequest, slug: str) -> Board:
    return get_object_or_404(Board.objects.visible_to(request.user), slug=slug)


def wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept") == "application/json"


def answer(
    request: HttpRequest, board: Board, words: str, status: int = 200, refused: MessageForm | None = None
) -> HttpResponse:
    """Return a text to the page's script, otherwise the board with it; if refused, with the input."""
    if wants_json(request):
        return JsonResponse({"words": words}, status=status)
    if status == 200:
        if words:
            said.success(request, words)
        return redirect(board)
    if refused is None:
        said.error(request, words)
    return page(request, board, more={"message_form": refused, "message_refused": words}, status=status)


def too_many(
    request: HttpRequest, board: Board, seconds: float, refused: MessageForm | None = None
) -> HttpResponse:
    words = _("Too many messages or reactions at once. Try again in %d s.") % ceil(seconds)
    response = answer(request, board, words, 429, refused)
    response["Retry-After"] = str(ceil(seconds))
    return response
