"""The application that a project's ``asgi.py`` makes: what it routes to the engine, to Django, to Channels."""

import subprocess
import sys
from typing import Any

import pytest
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from channels.testing import WebsocketCommunicator
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.urls import path, set_script_prefix

import realtime.asgi
from realtime.engine.codes import Code
from tests.conftest import PATIENCE_SECONDS
from tests.support.asgi import ended, socket_scope
from tests.support.servers import ROOT
from tests.support.transports import Request

SCRIPT = "/static/realtime/live.min.js"


@pytest.fixture
async def ready(application) -> None:
    """A service that a test may start; it is stopped after it."""


async def chat(scope: Any, receive: Any, send: Any) -> None:
    """A consumer of the project."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "chat"})
    await send({"type": "websocket.close", "code": 4001})


addresses: list[Any] = [path("chat/<int:room>/", chat)]
ROUTERS = {
    "router": URLRouter(addresses),
    "middleware": AuthMiddlewareStack(URLRouter(addresses)),
    "by type": ProtocolTypeRouter({"websocket": URLRouter(addresses)}),
}


@pytest.mark.parametrize("router", ROUTERS.values(), ids=ROUTERS)
async def test_a_projects_own_sockets_keep_their_addresses(ready, log, router):
    """The engine has one address, all others are theirs; an address of neither is closed, and not left open."""
    application = realtime.asgi.application(get_asgi_application(), websocket=router)
    ours = WebsocketCommunicator(application, "/realtime/ws/", socket_scope()["headers"])
    ours.scope["client"] = ["127.0.0.1", 9]

    theirs = await ended(application, socket_scope("/chat/7/"))
    nobodys = await ended(application, socket_scope("/chat/nothing/"))

    assert [event.get("subprotocol") for event in theirs][:1] == ["chat"]
    assert theirs[-1]["code"] == 4001
    assert await ours.connect(PATIENCE_SECONDS) == (True, None)
    assert nobodys[-1]["type"] == "websocket.close"
    await ours.disconnect(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "headers, is_open",
    [
        ([(b"origin", b"http://localhost")], True),
        ([(b"origin", b"https://evil.example")], False),
        ([(b"origin", b"http://localhost.evil.example")], False),
        ([(b"origin", b"null")], False),
        ([(b"origin", b"")], False),
        ([(b"origin", b"http://")], False),
        ([(b"origin", b"http://localhost"), (b"origin", b"https://evil.example")], False),
        ([(b"origin", b"http://localhost, https://evil.example")], False),
        ([(b"origin", b"http://localhost@evil.example")], False),
        ([(b"origin", b"\xff\xfe")], False),
        ([], False),
    ],
)
async def test_a_projects_sockets_are_closed_to_pages_of_others_as_the_example_has_it(
    ready, log, settings, headers, is_open
):
    """The engine checks the origin of its own socket alone; operations.md shows what checks that of others.

    Channels' validator compares the host, and of two headers, which no browser sends, the last one counts.
    """
    settings.ALLOWED_HOSTS = ["localhost"]
    example = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(addresses)))
    application = realtime.asgi.application(get_asgi_application(), websocket=example)
    theirs = WebsocketCommunicator(application, "/chat/7/", [(b"host", b"localhost"), *headers], ["chat"])
    theirs.scope["client"] = ["127.0.0.1", 9]

    accepted, _ = await theirs.connect(PATIENCE_SECONDS)

    assert accepted is is_open
    await theirs.disconnect(timeout=PATIENCE_SECONDS)


def test_the_documented_example_has_the_validator_outermost():
    """The text of the page is what the test above runs."""
    text = (ROOT / "docs" / "operations.md").read_text()

    assert "websocket=AllowedHostsOriginValidator(" in text
    assert "AuthMiddlewareStack(URLRouter(chat.routing.websocket_urlpatterns))" in text


async def test_without_sockets_of_its_own_other_addresses_are_refused(ready, log):
    sent = await ended(realtime.asgi.application(get_asgi_application()), socket_scope("/chat/7/"))

    assert sent[-1]["code"] == Code.NOT_FOUND


async def test_other_protocols_are_the_projects(ready, log):
    """A worker of Channels gets scopes of the type ``channel``."""
    seen = []

    async def work(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await ended(
        realtime.asgi.application(get_asgi_application(), channel=work), {"type": "channel", "path": "/"}
    )

    assert seen == ["channel"]


@pytest.mark.parametrize(("debug", "status"), [(True, 200), (False, 404)])
async def test_static_files_are_served_in_development(ready, log, settings, debug, status):
    """As ``runserver`` does; otherwise a page under ``daphne`` would stay without its script."""
    settings.DEBUG = debug
    settings.MIDDLEWARE = []
    request = Request(realtime.asgi.application(get_asgi_application()), SCRIPT)

    assert (await request.start())[0] == status
    await request.leave()


async def test_a_page_is_django_s(ready, log):
    request = Request(realtime.asgi.application(get_asgi_application()), "/")

    assert (await request.start())[0] == 200
    await request.leave()


@pytest.mark.parametrize(("prefix", "url"), [(None, "/static/"), ("/tide", "/tide/static/")])
def test_a_relative_address_of_static_files_is_fixed_before_the_first_request(settings, prefix, url):
    """Django would prepend the prefix of whichever request reads it first; a client of daphne can set that prefix."""
    settings.FORCE_SCRIPT_NAME = prefix
    settings.STATIC_URL = "static/"
    settings.MIDDLEWARE = []
    vars(django_settings).pop("STATIC_URL", None)  # where Django keeps what it has read
    try:
        realtime.asgi.application(get_asgi_application())
        set_script_prefix("https://evil.example/")

        assert url == django_settings.STATIC_URL
    finally:
        set_script_prefix("/")


@pytest.mark.server
def test_it_can_be_imported_before_django_is_set_up():
    """``import realtime.asgi`` stands above the line that calls ``get_asgi_application``."""
    subprocess.run(
        [sys.executable, "-c", "import realtime.asgi"], cwd=ROOT, env={"PATH": ""}, check=True, timeout=120
    )


def with_toolbar(settings: Any) -> None:
    settings.DEBUG = True
    settings.INTERNAL_IPS = ["127.0.0.1"]
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "debug_toolbar"]
    settings.MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware", *settings.MIDDLEWARE]
    settings.ROOT_URLCONF = "tests.apps.toolbar"
    settings.DEBUG_TOOLBAR_CONFIG = {"SHOW_TOOLBAR_CALLBACK": lambda request: True}


def with_whitenoise(settings: Any) -> None:
    settings.WHITENOISE_USE_FINDERS = True
    settings.MIDDLEWARE = [
        "whitenoise.middleware.WhiteNoiseMiddleware",
        *(name for name in settings.MIDDLEWARE if "static_files" not in name),
    ]


def with_servestatic(settings: Any) -> None:
    settings.MIDDLEWARE = [
        "servestatic.middleware.ServeStaticMiddleware",
        *(name for name in settings.MIDDLEWARE if "static_files" not in name),
    ]


@pytest.mark.parametrize(
    ("install", "sign"), [(with_toolbar, "djDebug"), (with_whitenoise, ""), (with_servestatic, "")]
)
@pytest.mark.usefixtures("static_files")
# WhiteNoise opens files as an answer of the old kind, which Django warns of under ASGI.
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
async def test_other_packages_of_many_projects_work_beside_the_engine(ready, quay, settings, install, sign):
    """A page with live rows has them, its script is served, and a poll is answered."""
    install(settings)
    application = realtime.asgi.application(get_asgi_application())

    page = Request(application, f"/boards/{quay.slug}/", headers={"accept": "text/html"})
    status, _ = await page.start()
    text, has_more = await page.chunk()
    while has_more:
        part, has_more = await page.chunk()
        text += part
    script = Request(application, SCRIPT)
    poll = Request(application, f"/realtime/topics/entries.{quay.pk}/")

    assert status == 200
    assert f'<live-topic topic="entries.{quay.pk}" position="' in text
    assert sign in text
    assert (await script.start())[0] == 200
    assert (await poll.fetch())[0] == 200
    await page.leave()
    await script.leave()
    await poll.leave()
