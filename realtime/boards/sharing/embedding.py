"""A board in a frame on a page of another site, one of those that the board names."""

from csp.decorators import csp_replace
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.html import format_html
from django.views.decorators.clickjacking import xframe_options_exempt

from ..compression import compressed
from ..due import has_times
from ..models import Board
from ..wall import stamped
from .origins import origins


@compressed
def embed(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Show a board without navigation. There is nothing on it to click that would write."""
    board = get_object_or_404(Board.objects.visible_to(request.user), slug=slug)

    def show(request: HttpRequest) -> HttpResponseBase:
        context = {"board": board, "now": timezone.now(), "has_times": has_times(board)}
        with translation.override(board.page_language):
            return stamped(render(request, "boards/embed.html", context))

    allowed = origins(board.embed_origins)
    view = xframe_options_exempt(csp_replace({"frame-ancestors": allowed})(show)) if allowed else show
    response = view(request)
    response["X-Robots-Tag"] = "noindex"  # the board itself is to be found
    return response


def snippet(request: HttpRequest, board: Board) -> str:
    """Return the element that a page of another site needs, as text: a template that shows it escapes it again."""
    address = request.build_absolute_uri(reverse("boards:embed", args=[board.slug]))
    element = format_html(
        '<iframe src="{}" title="{}" width="100%" height="600" loading="lazy" style="border: 0"></iframe>',
        address,
        board.title,
    )
    return str.__str__(element)
