"""The service worker of walls: it keeps the pages of public boards for when the network is away.

Each wall registers it for its own address, so that it has no part in any other page.
"""

from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse

FOLDER = Path(__file__).resolve().parent / "static" / "boards" / "wall"


@cache
def source(name: str) -> str:
    return (FOLDER / name).read_text()


def script(request: HttpRequest) -> HttpResponse:
    """Return the worker, or, where ``BOARDS_WALL_COPIES`` is off, one that removes its predecessor and all it kept."""
    name = "worker.js" if settings.BOARDS_WALL_COPIES else "worker-removal.js"
    return HttpResponse(
        source(name), content_type="text/javascript; charset=utf-8", headers={"Cache-Control": "no-cache"}
    )
