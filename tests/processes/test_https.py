"""``HTTPS=1`` on real servers, used as a proxy that terminates TLS would: cookies, redirects, origins."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlencode

import pytest
import websockets
from websockets.typing import Origin

from tests.processes.sockets import PATIENCE_SECONDS, opened, receive
from tests.support import servers
from tests.support.servers import PASSWORD, Project, Server

OVER_TLS = {"X-Forwarded-Proto": "https"}
UNENCRYPTED = {"X-Forwarded-Proto": "http"}


@pytest.fixture(
    scope="module",
    params=[("daphne", "127.0.0.1"), ("uvicorn", "127.0.0.1"), ("uvicorn", "192.0.2.1")],
    ids=["daphne", "uvicorn", "uvicorn that does not trust the proxy"],
)
def server(
    request: pytest.FixtureRequest, prepared: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    name, trusted = request.param
    project = servers.copy(
        prepared, tmp_path_factory.mktemp("https") / "project", HTTPS="1", FORWARDED_ALLOW_IPS=trusted
    )
    with servers.running(project, name) as server:
        yield server


@dataclass(frozen=True)
class Response:
    status: int
    headers: Message
    text: str


class Browser:
    """Sends requests with the cookies that it received, regardless of their flags."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookies: dict[str, str] = {}
        self.flags: dict[str, str] = {}

    def request(self, method: str, path: str, headers: dict[str, str], body: str = "") -> Response:
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=PATIENCE_SECONDS)
        connection.request(method, path, body, {"Cookie": self.cookie, **headers})
        response = connection.getresponse()
        text = response.read().decode()
        for header in response.headers.get_all("Set-Cookie", []):
            pair, _, flags = header.partition("; ")
            name, _, value = pair.partition("=")
            self.cookies[name], self.flags[name] = value, flags
        connection.close()
        return Response(response.status, response.headers, text)

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @property
    def origin(self) -> str:
        return f"https://{self.server.host}:{self.server.port}"

    def sign_in(self) -> None:
        self.request("GET", "/admin/login/", OVER_TLS)
        token = self.cookies["__Host-csrftoken"]
        form = {"username": "editor", "password": PASSWORD, "csrfmiddlewaretoken": token}
        headers = OVER_TLS | {"Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        signed_in = self.request("POST", "/admin/login/", headers, urlencode(form))
        assert signed_in.status == 302, signed_in.text


async def test_a_session_over_tls_subscribes_to_a_staff_board(server: Server) -> None:
    """The cookies are restricted to this host and to TLS; the page's origin needs no setting."""
    browser = Browser(server)
    browser.sign_in()

    assert set(browser.cookies) == {"__Host-sessionid", "__Host-csrftoken"}
    for flags in browser.flags.values():
        assert {"Secure", "Path=/", "SameSite=Lax"} <= set(flags.split("; "))
        assert "Domain" not in flags
    assert "HttpOnly" in browser.flags["__Host-sessionid"]

    headers = OVER_TLS | {"Origin": browser.origin}
    cookie = {"Cookie": browser.cookie}
    async with opened(server.socket_url, additional_headers=headers | cookie) as socket:
        await socket.send('{"type": "subscribe", "topic": "entries.3"}')
        assert (await receive(socket, "snapshot", "error"))["type"] == "snapshot"
    call = json.dumps({"action": "echo", "args": {"text": "hi"}})
    headers |= {"Content-Type": "application/json"}
    assert browser.request("POST", "/realtime/calls/", headers, call).status == 200


async def test_an_unencrypted_page_cannot_open_a_socket(server: Server) -> None:
    """It may have been injected on the network: its origin differs in the scheme."""
    origin = f"http://{server.host}:{server.port}"

    with pytest.raises(websockets.InvalidStatus) as refused:
        await opened(server.socket_url, origin=Origin(origin), additional_headers=OVER_TLS)

    assert refused.value.response.status_code == 403


async def test_unencrypted_requests_are_redirected_or_refused(server: Server) -> None:
    """Pages redirect to https, where HSTS keeps the browser; streams, polls and sockets are refused.

    Metrics are not redirected, because they are read from each process without the proxy; here they need a right.
    """
    browser = Browser(server)

    page = browser.request("GET", "/boards/departures/?a=b", UNENCRYPTED)
    assert (page.status, page.headers["Location"]) == (301, f"{browser.origin}/boards/departures/?a=b")
    assert browser.request("GET", "/", OVER_TLS).headers["Strict-Transport-Security"] == "max-age=2592000"
    for path in ("/realtime/topics/entries.1/", "/realtime/sse/?topic=entries.1"):
        refused = browser.request("GET", path, UNENCRYPTED)
        assert refused.status == 403
        assert "pages are served over https" in refused.text
    with pytest.raises(websockets.InvalidStatus):
        await opened(server.socket_url, additional_headers=UNENCRYPTED)
    assert browser.request("GET", "/realtime/metrics/", UNENCRYPTED).status == 403
