"""The build: one short text for the scripts, styles and templates that pages are made of.

A page has the build of the server that made it. When it reconnects, it requests the present build, and reloads if that
is another one (static/boards/wall/build.js).
"""

import hashlib
from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.template import engines

BOARDS = Path(__file__).resolve().parent
FOLDERS = [BOARDS / "static", BOARDS.parent / "static", BOARDS.parent / "templates"]


@cache
def build() -> str:
    """Return the build of this process. It does not change when files are replaced under a running server."""
    content = hashlib.sha256()
    templates = [Path(folder) for engine in engines.all() for folder in engine.dirs]
    for root in [*FOLDERS, *templates]:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            content.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:12]


def show(request: HttpRequest) -> HttpResponse:
    """Answer with the present build."""
    return HttpResponse(build(), content_type="text/plain", headers={"Cache-Control": "no-store"})
