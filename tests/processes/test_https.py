"""``HTTPS=1`` on real servers, each as if behind a proxy that ends TLS: cookies, redirects, origins."""

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import websockets
from websockets.asyncio.client import connect

from tests.support import servers
from tests.support.servers import PASSWORD, Server

BY_TLS = {"X-Forwarded-Proto": "https"}
IN_THE_CLEAR = {"X-Forwarded-Proto": "http"}


@pytest.fixture(
    params=[("daphne", "127.0.0.1"), ("uvicorn", "127.0.0.1"), ("uvicorn", "192.0.2.1")],
    ids=["daphne", "uvicorn", "uvicorn that does not trust the proxy"],
)
def server(request, prepared, tmp_path) -> Iterator[Server]:
    name, trusted = request.param
    project = servers.copy(prepared, tmp_path / "project", HTTPS="1", FORWARDED_ALLOW_IPS=trusted)
    with servers.running(project, name) as server:
        yield server


class Browser:
    """Keeps cookies, whatever their flags, and speaks to a server directly."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookies: dict[str, str] = {}
        self.flags: dict[str, str] = {}

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: str = ""
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=20)
        connection.request(method, path, body, {"Cookie": self.cookie, **headers})
        response = connection.getresponse()
        response.text = response.read().decode()
        for header in response.headers.get_all("Set-Cookie", []):
            pair, _, flags = header.partition("; ")
            name, _, value = pair.partition("=")
            self.cookies[name], self.flags[name] = value, flags
        return response

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @property
    def origin(self) -> str:
        return f"https://{self.server.host}:{self.server.port}"

    def sign_in(self) -> None:
        self.ask("GET", "/admin/login/", BY_TLS)
        token = self.cookies["__Host-csrftoken"]
        form = {"username": "editor", "password": PASSWORD, "csrfmiddlewaretoken": token}
        headers = BY_TLS | {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        signed_in = self.ask("POST", "/admin/login/", headers, urlencode(form))
        assert signed_in.status == 302, signed_in.text


async def test_who_signed_in_over_tls_follows_what_staff_may_see(server):
    """The cookies are for this host and TLS alone; the page's origin needs no setting."""
    browser = Browser(server)
    browser.sign_in()

    assert set(browser.cookies) == {"__Host-sessionid", "__Host-csrftoken"}
    for flags in browser.flags.values():
        assert {"Secure", "Path=/", "SameSite=Lax"} <= set(flags.split("; "))
        assert "Domain" not in flags
    assert "HttpOnly" in browser.flags["__Host-sessionid"]

    headers = BY_TLS | {"Origin": browser.origin}
    cookie = {"Cookie": browser.cookie}
    async with connect(server.socket_url, additional_headers=headers | cookie) as socket:
        await socket.recv()
        await socket.send('{"type": "subscribe", "topic": "entries.3"}')
        assert json.loads(await socket.recv())["type"] == "snapshot"
    call = json.dumps({"action": "echo", "args": {"text": "hi"}})
    headers |= {"Content-Type": "application/json"}
    assert browser.ask("POST", "/realtime/calls/", headers, call).status == 200


async def test_a_page_in_the_clear_opens_no_socket(server):
    """Somebody on the way may have written it: its origin differs in the scheme."""
    origin = f"http://{server.host}:{server.port}"

    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(server.socket_url, origin=origin, additional_headers=BY_TLS)

    assert refused.value.response.status_code == 403


async def test_nothing_but_metrics_is_served_in_the_clear(server):
    """A page sends its reader to https and a browser stays there; what is served beside Django is refused."""
    browser = Browser(server)

    page = browser.ask("GET", "/boards/departures/?a=b", IN_THE_CLEAR)
    assert (page.status, page.headers["Location"]) == (301, f"{browser.origin}/boards/departures/?a=b")
    assert browser.ask("GET", "/", BY_TLS).headers["Strict-Transport-Security"] == "max-age=2592000"
    for path in ("/realtime/topics/entries.1/", "/realtime/sse/?topic=entries.1"):
        refused = browser.ask("GET", path, IN_THE_CLEAR)
        assert refused.status == 403
        assert "pages come by https" in refused.text
    with pytest.raises(websockets.InvalidStatus):
        await connect(server.socket_url, additional_headers=IN_THE_CLEAR)
    assert browser.ask("GET", "/realtime/metrics/", IN_THE_CLEAR).status == 403
