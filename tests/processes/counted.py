"""The project's application without a garbage collector: ``/left/`` counts the objects of each class."""

import gc
import json
from collections import Counter
from typing import Any

from config.asgi import application as project

PACKAGES = ("realtime", "daphne", "twisted", "autobahn", "uvicorn", "websockets", "httptools")
"""Those whose objects stand for connections."""

gc.disable()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope.get("path") != "/left/":
        await project(scope, receive, send)
        return
    classes = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    counted = {name: count for name, count in classes.items() if name.partition(".")[0] in PACKAGES}
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(counted).encode()})
