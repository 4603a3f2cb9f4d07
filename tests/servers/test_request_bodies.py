"""How much of requests' bodies may come in, of each and of all; and what a client hears of it."""

import pytest

from realtime.asgi import RealtimeApplication
from realtime.runtime.refusals import Refused
from realtime.servers.request_bodies import AT_ONCE, Body
from tests.support.transports import Request


@pytest.fixture(autouse=True)
def limit(settings) -> int:
    settings.REALTIME = {"MAX_REQUEST_BYTES": 1000}
    return 1000


def test_a_body_may_be_as_long_as_the_limit(limit):
    """One byte more, in whatever parts, is refused."""
    body = Body()
    body.take(limit - 1)
    body.take(1)

    with pytest.raises(Refused) as refused:
        body.take(1)
    body.done()

    assert refused.value.status == 413


def test_all_bodies_together_may_be_as_many_as_fit_at_once(limit):
    """The next one may come when one of them is done."""
    bodies = [Body() for _ in range(AT_ONCE)]
    for body in bodies:
        body.take(limit)
    late = Body()
    with pytest.raises(Refused) as refused:
        late.take(1)
    assert refused.value.status == 503
    late.done()

    bodies[0].done()
    bodies[0].done()
    late.take(limit)

    for body in [*bodies, late]:
        body.done()


async def read(scope, receive, send) -> None:
    """An application that reads a whole body and then answers."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"read"})


async def test_an_application_is_not_given_more_than_that(service, limit, lines):
    """Its client hears 413, and that it need not send the rest."""
    application = RealtimeApplication(read)
    for size in (limit, limit + 1):
        request = Request(application, "/", method="POST", body=b"x" * size)

        status, headers = await request.start()

        assert status == (200 if size == limit else 413)
        assert headers.get("connection") == (None if size == limit else "close")
        await request.chunk()
        await request.wait()
    assert Body._of_all == 0
    (line,) = lines()
    assert "1000 bytes" in line
