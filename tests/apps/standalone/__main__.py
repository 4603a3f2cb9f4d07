"""Request every address of the app in this project, and print the answers as JSON: pattern to status or code.

``python -m tests.apps.standalone``, with ``VAR_DIR`` naming an empty folder.
"""

import asyncio
import json
import os
import sys
from typing import Any

import django
from channels.testing import ApplicationCommunicator, WebsocketCommunicator
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.test import Client

READY = "realtime/ready/"
EXAMPLES = {
    "realtime/sse/": ("GET", "/realtime/sse/", b"topic=groups"),
    "^realtime/topics/(?P<topic>.+)/$": ("GET", "/realtime/topics/groups/", b""),
    "realtime/live/": ("GET", "/realtime/live/", b""),
    READY: ("GET", "/realtime/ready/", b""),
    "realtime/calls/": ("POST", "/realtime/calls/", b""),
    "realtime/ticket/": ("POST", "/realtime/ticket/", b""),
    "realtime/ws/": ("GET", "/realtime/ws/", b""),
}
"""A request for each pattern of HTTP that is served beside Django."""


def pages() -> dict[str, int]:
    """Return the status of each page, as a superuser sees it."""
    from django.contrib.auth import get_user_model

    from realtime.urls import urlpatterns

    client = Client(headers={"host": "localhost"})
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return {str(page.pattern): client.get(f"/realtime/{page.pattern}").status_code for page in urlpatterns}


async def addresses() -> dict[str, int | str]:
    """Return the status of each address that is served beside Django; of a socket, the type of its first message."""
    import realtime.asgi
    from realtime.routing import http_urlpatterns, websocket_urlpatterns
    from realtime.service import get_service

    application = realtime.asgi.application(get_asgi_application())
    answers: dict[str, int | str] = {}
    for address in http_urlpatterns:
        answers[str(address.pattern)] = await status(application, *EXAMPLES[str(address.pattern)])
    async with asyncio.timeout(60):
        while answers[READY] == 503:  # until something has been sequenced
            await asyncio.sleep(0.05)
            answers[READY] = await status(application, *EXAMPLES[READY])
    for address in websocket_urlpatterns:
        answers[f"socket {address.pattern}"] = await welcome(application, f"/{address.pattern}")
    await get_service().stop()
    return answers


async def status(application: Any, method: str, path: str, query: bytes) -> int:
    headers = [
        (b"host", b"localhost"),
        (b"origin", b"http://localhost"),
        (b"content-type", b"application/json"),
    ]
    scope = {
        "type": "http", "http_version": "1.1", "scheme": "http", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": query, "root_path": "", "headers": headers,
        "client": ["127.0.0.1", 9], "server": ["localhost", 80],
    }  # fmt: skip
    request = ApplicationCommunicator(application, scope)
    await request.send_input({"type": "http.request", "body": b"{}", "more_body": False})
    start = await request.receive_output(10)
    await request.send_input({"type": "http.disconnect"})
    await request.wait(10)
    return int(start["status"])


async def welcome(application: Any, path: str) -> str:
    """Return the type of the first message."""
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
    peer = WebsocketCommunicator(application, path, headers)
    peer.scope["client"] = ["127.0.0.1", 9]
    is_accepted, _ = await peer.connect(10)
    assert is_accepted
    message = json.loads(await peer.receive_from(10))
    await peer.disconnect(timeout=10)
    return str(message["type"])


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.apps.standalone.settings"
    django.setup()
    call_command("check")
    call_command("migrate", verbosity=0)
    json.dump(pages() | asyncio.run(addresses()), sys.stdout)
