"""The attacks that a proxy may change, through nginx with the documented configuration.

nginx and the server see one attacker: nginx by its own limits for an address, the server by the address that nginx
forwards. With HOSTILE=1 there are more attacks of each kind.
"""

import copy
import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.processes.hostile.bystander import Bystander
from tests.processes.hostile.conftest import attended, some
from tests.support import attacks, nginx
from tests.support.attackers import Address, Attacker, head, status
from tests.support.servers import Server

CALL = head(
    b"Content-Type: application/json", b"Content-Length: 20", b"Connection: close",
    start=b"POST /realtime/calls/ HTTP/1.1",
) + b'{"action":"nothing"}'  # fmt: skip
PAGE = head(b"Connection: close")
OTHER_ADDRESS = "127.0.0.2"


@pytest.fixture(scope="module")
def ports(
    server_named: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, int]]:
    """The ports of nginx in front of a server, the second one for HTTP/2."""
    if nginx.program() is None:
        pytest.skip("nginx is not installed: nothing is attacked through it")
    with nginx.running(tmp_path_factory.mktemp("nginx"), server_named("guarded").port) as ports:
        yield ports


@pytest.fixture(scope="module")
def victim(
    server_named: Callable[[str], Server], ports: tuple[int, int]
) -> Iterator[tuple[Server, Bystander]]:
    """A server that is reached through nginx, by its bystander too."""
    server = copy.copy(server_named("guarded"))
    server.port = ports[0]
    with attended(server) as bystander:
        yield server, bystander


@some(["unread polls", "unread pages"], ["unread refusals", "unread endings"])
def test_answers_that_are_not_read_take_no_memory(address: Address, name: str) -> None:
    """nginx reads the answers instead of the client, as far as its own buffers go."""
    with attacks.running(name, address, 1) as attack:
        assert attack.result()["opened"]


@some(
    ["endless header", "pipelines"],
    ["endless line", "endless headers", "endless extension", "long extensions", "endless trailers", "noise"],
)
def test_a_request_without_end_takes_no_memory(address: Address, name: str) -> None:
    with attacks.running(name, address, 0.5) as attack:
        assert attack.result()["opened"]


@some(
    ["unfinished bodies", "slow bodies", "silence"],
    ["trickled bodies", "endless bodies", "forms", "tricklers"],
)
def test_clients_that_do_not_go_on_keep_no_other_address_waiting(address: Address, name: str) -> None:
    """Their requests wait in nginx, or are refused by it; pages and calls are answered meanwhile."""
    with attacks.running(name, address, 1) as attack:
        pages, calls = set(), set()
        # Nginx bounds what one may ask.
        others = itertools.cycle(f"127.0.1.{number}" for number in range(1, 250))
        while not attack.is_over:
            pages.add(status(address, PAGE, next(others)))
            calls.add(status(address, CALL, next(others)))
        assert attack.result()["opened"]

    assert pages <= {200}
    assert not calls & {0, 429, 502, 503, 504}


@some(
    ["calls of many values", "crowd", "abandoned polls"],
    [
        "abandoned streams",
        "abandoned handshakes",
        "cookies",
        "calls",
        "tiny messages",
        "long messages",
        "bad messages",
        "pings",
        "fragments",
        "reconnects",
        "talkers",
    ],
)
def test_floods_do_not_keep_changes_from_other_clients(address: Address, name: str) -> None:
    """nginx accepts two hundred of a thousand connections from one address."""
    with attacks.running(name, address, 1) as attack:
        assert attack.result()["opened"]


@some(["wrong passwords"], ["right passwords", "views"])
def test_a_flood_of_pages_does_not_keep_those_of_others_waiting(address: Address, name: str) -> None:
    """Sixty at once, again and again; nginx lets few sign-ins of an address through."""
    with attacks.running(name, address, 1) as attack:
        statuses = [status(address, PAGE, OTHER_ADDRESS) for _ in range(3)]

        assert attack.result()["opened"] >= 60
    assert statuses == [200] * 3


@pytest.mark.parametrize("name", attacks.OVER_HTTP2)
def test_streams_of_http2_that_are_cancelled_or_not_read_cost_the_server_little(
    server: Server, ports: tuple[int, int], name: str
) -> None:
    """nginx bounds the requests of an address; those whose client has left are not answered."""
    address = server.host, ports[1]
    with Attacker(address, attacks.HELLO + attacks.http2(4, b"") + attacks.http2_get(b"/", 1)) as client:
        assert b"</html>" in client.receive_until(b"</html>")

    with attacks.running(name, address, 1) as attack:
        assert attack.result()["opened"] >= 20
