"""The service worker of walls: it keeps the pages of public boards for when the network is away.

Each wall registers it for its own address, so that it has no part in any other page.
"""

import json
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from realtime.runtime.script_texts import script_texts

FOLDER = Path(__file__).resolve().parent / "static" / "boards" / "wall"


@cache
def source(name: str) -> str:
    return (FOLDER / name).read_text()


def script(request: HttpRequest) -> HttpResponse:
    """Return the worker, or, where ``BOARDS_WALL_COPIES`` is off, one that removes its predecessor and all it kept."""
    name = "worker.js" if settings.BOARDS_WALL_COPIES else "worker-removal.js"
    # A worker has no page from which it could read the texts. Walls are in the language of the site.
    texts = script_texts("boards", settings.LANGUAGE_CODE)
    own = {"texts": texts, "language": settings.LANGUAGE_CODE}
    first = f"Object.assign(self, {json.dumps(own)});\n" if texts else ""
    return HttpResponse(
        first + source(name),
        content_type="text/javascript; charset=utf-8",
        headers={"Cache-Control": "no-cache", "Content-Language": settings.LANGUAGE_CODE},
    )
