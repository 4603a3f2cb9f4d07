"""Limits for request bodies, for each and for all together, and the answer to a client that exceeds one."""

import pytest

from realtime.runtime.refusals import Refused
from realtime.servers.request_bodies import AT_ONCE, Body, RequestBodies
from realtime.transports.application import RealtimeApplication
from tests.support.transports import Request


@pytest.fixture(autouse=True)
def limit(settings) -> int:
    settings.REALTIME = {"MAX_REQUEST_BYTES": 1000}
    return 1000


def test_a_body_may_be_as_long_as_the_limit(limit):
    """One byte more, in whatever parts, is refused."""
    body = Body(RequestBodies())
    body.count(limit - 1)
    body.count(1)

    with pytest.raises(Refused) as refused:
        body.count(1)

    assert refused.value.status == 413


def test_all_bodies_together_are_limited(limit):
    """The next one is accepted when one of them is done."""
    all_bodies = RequestBodies()
    bodies = [Body(all_bodies) for _ in range(AT_ONCE)]
    for body in bodies:
        body.count(limit)
    late = Body(all_bodies)
    with pytest.raises(Refused) as refused:
        late.count(1)
    assert refused.value.status == 503
    late.release()

    bodies[0].release()
    bodies[0].release()
    late.count(limit)

    for body in [*bodies, late]:
        body.release()
    assert all_bodies.received_bytes == 0


def refused_after(all_bodies: RequestBodies, address: str, size: int) -> int:
    """Return the status with which an address is refused after bodies of a size that it does not end."""
    try:
        for _ in range(2 * AT_ONCE):
            Body(all_bodies, address).count(size)
    except Refused as refused:
        return refused.status
    return 200


@pytest.mark.parametrize("attackers", [1, 4, 100])
def test_no_address_takes_the_room_of_another(limit, attackers):
    """Each attacker sends bodies of one byte less than the limit until it is refused; a form of another is accepted."""
    all_bodies = RequestBodies()
    for number in range(attackers):
        assert refused_after(all_bodies, f"10.0.0.{number}", limit - 1) == 503

    honest = Body(all_bodies, "192.0.2.1")
    honest.count(limit // 100)

    assert all_bodies.received_bytes <= AT_ONCE * limit


def test_an_address_gets_its_share_back(limit):
    """When its bodies are done; nothing is kept of an address without a body."""
    all_bodies = RequestBodies()
    bodies = [Body(all_bodies, "10.0.0.1") for _ in range(5)]
    for body in bodies:
        body.count(limit)
    late = Body(all_bodies, "10.0.0.1")
    with pytest.raises(Refused):
        late.count(limit)

    for body in [*bodies, late]:
        body.release()

    Body(all_bodies, "10.0.0.1").count(limit)
    assert all_bodies.received_bytes == limit


async def read(scope, receive, send) -> None:
    """An application that reads a whole body and then answers."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"read"})


async def test_an_application_receives_no_more_than_the_limit(service, limit, lines):
    """Its client gets 413, and the connection is closed: it need not send the rest."""
    application = RealtimeApplication(read)
    for size in (limit, limit + 1):
        request = Request(application, "/", method="POST", body=b"x" * size)

        status, headers = await request.start()

        assert status == (200 if size == limit else 413)
        assert headers.get("connection") == (None if size == limit else "close")
        await request.chunk()
        await request.wait()
    assert service.request_bodies.received_bytes == 0
    (line,) = lines()
    assert "1000 bytes" in line
