"""QR codes of addresses, as SVG."""

import io

import segno
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString, mark_safe

from ..exchange.cells import plain
from ..models import Board


def qr(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the QR code of a board's address, for printing: it leads phones to the board."""
    board = get_object_or_404(Board.objects.visible_to(request.user), slug=slug)
    file = io.BytesIO()
    code = segno.make_qr(request.build_absolute_uri(board.get_absolute_url()))
    code.save(file, kind="svg", scale=8, light="#fff", title=plain(board.title), nl=False)
    return HttpResponse(file.getvalue(), content_type="image/svg+xml")


def element(address: str) -> SafeString:
    """Return an element with the QR code of an address; it has nothing of the address but its squares."""
    code = segno.make_qr(address)
    return mark_safe(code.svg_inline(scale=5, light="#fff", svgclass="qr"))  # noqa: S308  # paths of numbers
