"""Pages: Django's requests have few threads; the others wait, or are answered by a page that tries again."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.urls import reverse

from realtime.routing import django_pages, http_urlpatterns
from realtime.transports import http, pages
from realtime.transports.application import RealtimeApplication
from tests.conftest import PATIENCE_SECONDS, until
from tests.support.transports import Request

OK = [{"type": "http.response.start", "status": 200, "headers": []}, {"type": "http.response.body"}]


class Django:
    """Stands for Django's application: reads a request, runs a view in its thread, and answers."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.bodies: list[bytes] = []
        self.running = 0
        self.may_end = threading.Event()
        self.may_end.set()

    async def __call__(self, scope, receive, send) -> None:
        event = await receive()
        self.bodies.append(event["body"])
        while event.get("more_body"):
            event = await receive()
            self.bodies.append(event["body"])
        await sync_to_async(self._view)()
        await sync_to_async(self._view)()
        for event in OK:
            await send(event)

    def _view(self) -> None:
        self.threads.append(threading.current_thread().name)
        self.running += 1
        self.may_end.wait(PATIENCE_SECONDS)
        self.running -= 1


@pytest.fixture
def django() -> Iterator[Django]:
    """Stands for Django; a view ends at once unless a test holds it up."""
    django = Django()
    yield django
    django.may_end.set()


@pytest.fixture
def site(application, settings, django) -> RealtimeApplication:
    """The engine's addresses and Django's, which has four threads."""
    settings.REALTIME |= {"PAGE_THREADS": 4}
    return RealtimeApplication(URLRouter([*http_urlpatterns, django_pages(django)]))


@pytest.fixture
async def busy(site, service, django) -> Callable[..., asyncio.Task]:
    """A function that asks for a page, whose view does not end."""
    django.may_end.clear()

    def ask(path: str, client: str, method: str = "GET") -> asyncio.Task:
        return asyncio.create_task(Request(site, path, client=client, method=method).start())

    return ask


async def test_all_that_a_request_does_is_done_in_one_of_few_threads(site, service, django):
    """As asgiref promises for one request, but without a new thread for each."""
    for _ in range(10):
        assert (await Request(site, "/").start())[0] == 200

    pairs = list(zip(django.threads[::2], django.threads[1::2], strict=True))
    assert all(first == second for first, second in pairs)
    assert {name.rpartition("_")[0].rpartition("-")[0] for name in django.threads} == {"realtime-page"}
    assert len(set(django.threads)) <= 4


async def test_requests_beyond_the_threads_wait(busy, service, django):
    """And are answered in their turn."""
    asked = [busy(f"/{number}", f"10.0.0.{number}") for number in range(7)]
    await until(lambda: service.page_turns.waiting == 3)
    await until(lambda: django.running == 4)

    django.may_end.set()

    assert [(await task)[0] for task in asked] == [200] * 7


async def test_a_flood_of_one_address_does_not_keep_others_waiting(busy, service, django):
    """Nor does one page of an address keep its other pages waiting."""
    flood = [busy("/admin/login/", "10.0.0.1", method="POST") for _ in range(20)]
    await until(lambda: service.page_turns.waiting == 19)

    others = [busy("/", "10.0.0.1"), busy("/", "10.0.0.2"), busy("/", "10.0.0.3")]
    await until(lambda: service.page_turns.running == 4)

    assert service.page_turns.waiting == 19
    django.may_end.set()
    await asyncio.gather(*flood, *others)


@pytest.mark.parametrize(
    ("method", "accept", "kind", "words", "silent"),
    [
        (
            "GET",
            "text/html,*/*",
            "text/html; charset=utf-8",
            'http-equiv="refresh" content="',
            "send the form",
        ),
        ("POST", "text/html,*/*", "text/html; charset=utf-8", "send the form again in", "http-equiv"),
        ("GET", "application/json", "text/plain; charset=utf-8", "try again in a few seconds", "<"),
        ("HEAD", "text/html", "text/html; charset=utf-8", "", "<"),
    ],
)
async def test_a_request_that_cannot_wait_is_answered_by_a_page_that_says_when(
    busy, site, service, django, monkeypatch, method, accept, kind, words, silent
):
    """503 with Retry-After; a browser tries again by itself what is safe to repeat."""
    monkeypatch.setattr("realtime.access.turns.MAX_WAITING_PER_ADDRESS", 1)
    asked = [busy("/", "10.0.0.1") for _ in range(2)]
    await until(lambda: service.page_turns.waiting == 1)

    request = Request(site, "/", method=method, headers={"accept": accept}, client="10.0.0.1")
    status, headers = await request.start()
    body, more = await request.chunk()

    assert (status, more, headers["content-type"]) == (503, False, kind)
    assert int(headers["retry-after"]) > 0
    assert headers["cache-control"] == "no-store"
    assert words in body
    assert silent not in body
    django.may_end.set()
    await asyncio.gather(*asked)


async def test_a_refused_page_keeps_its_connection_busy(busy, site, service, django, monkeypatch):
    """It has a place meanwhile: a flood is refused no faster than its address may have connections."""
    monkeypatch.setattr("realtime.access.turns.MAX_WAITING_PER_ADDRESS", 0)
    monkeypatch.setattr(http, "HOLD_SECONDS", 3600)
    asked = busy("/", "10.0.0.1")
    await until(lambda: service.page_turns.running == 1)

    flood = [asyncio.create_task(Request(site, "/", client="10.0.0.1").start()) for _ in range(3)]
    await until(lambda: service.places._in_use[("address", "10.0.0.1")] == 3)

    assert not any(task.done() for task in flood)
    for task in flood:
        task.cancel()
    await asyncio.wait(flood)
    django.may_end.set()
    await asked


@pytest.mark.parametrize(("proxies", "is_told"), [(0, True), (1, False)], ids=["unnamed", "named"])
async def test_the_log_says_if_all_requests_may_be_those_of_one_proxy(
    busy, site, service, django, settings, monkeypatch, lines, proxies, is_told
):
    """Behind a proxy that the settings do not name, all clients share what one address may have."""
    settings.REALTIME |= {"PROXIES": proxies}
    monkeypatch.setattr("realtime.access.turns.MAX_WAITING_PER_ADDRESS", 0)
    asked = busy("/", "127.0.0.1")
    await until(lambda: service.page_turns.running == 1)

    refused = Request(site, "/", headers={"x-forwarded-for": "127.0.0.1"}, client="127.0.0.1")

    assert (await refused.start())[0] == 503
    assert any("set REALTIME['PROXIES']" in line for line in lines(logging.WARNING)) == is_told
    django.may_end.set()
    await asked


async def test_pages_that_fetch_themselves_again_leave_turns_to_visitors(site, service, django):
    """Those with a live block of a slow page: four threads, of which they have two, whoever asks."""
    django.may_end.clear()
    block = {"realtime-block": "summary"}

    fetches = [
        asyncio.create_task(Request(site, "/slow/", client=f"10.0.0.{number}", headers=block).start())
        for number in range(3)
    ]
    await until(lambda: service.page_turns.waiting == 1)
    visit = asyncio.create_task(Request(site, "/", client="10.0.1.1").start())
    await until(lambda: django.running == 3)

    assert (service.page_turns.running, service.page_turns.waiting) == (3, 1)
    django.may_end.set()
    answers = await asyncio.gather(*fetches, visit)
    assert [status for status, _ in answers] == [200] * 4


async def test_files_metrics_and_the_engine_do_not_wait_for_pages(busy, site, service, django, settings):
    """However busy the threads of pages are."""
    settings.STATIC_URL = "/static/"
    asked = [busy("/", f"10.0.0.{number}") for number in range(6)]
    await until(lambda: service.page_turns.waiting == 2)
    await until(lambda: django.running == 4)

    assert (await Request(site, "/realtime/live/", client="10.0.0.1").start())[0] == 200
    assert (await Request(site, "/realtime/topics/boards/", client="10.0.0.1").start())[0] == 200
    assets = [
        busy(path, "10.0.0.1") for path in ("/static/a.js", "/static/b.js", reverse("realtime:metrics"))
    ]
    await until(lambda: django.running == 6)  # of the three one waits: they are bounded too

    assert {name for name in django.threads if name.startswith("realtime-asset")}
    django.may_end.set()
    assert [(await task)[0] for task in [*asked, *assets]] == [200] * 9


@pytest.mark.parametrize("static_url", ["https://cdn.example.com/", "/", None], ids=repr)
def test_without_files_of_our_own_everything_is_a_page(settings, static_url):
    """An address of another host, or one that covers the whole site, names no files of ours."""
    settings.STATIC_URL = static_url

    assert not pages._is_asset({"path": "/boards/", "root_path": ""})
    assert pages._is_asset({"path": "/tide/realtime/metrics/", "root_path": "/tide"})


async def test_a_request_takes_no_turn_before_its_body_has_arrived(site, service, django):
    """Otherwise a few slow bodies would keep all threads waiting. The body arrives as it was sent."""
    request = Request(site, "/", method="POST")
    await request.send_input({"type": "http.request", "body": b"a", "more_body": True})
    assert await request.receive_nothing()
    assert (service.page_turns.running, service.page_turns.waiting) == (0, 0)

    await request.send_input({"type": "http.request", "body": b"b"})

    assert (await request.receive_output(PATIENCE_SECONDS))["status"] == 200
    assert django.bodies == [b"a", b"b"]


async def test_a_client_that_leaves_keeps_its_turn_until_its_view_has_ended(busy, service, django):
    """The view cannot be stopped: with the turn of a client that left, its thread would do twice the work."""
    left = [busy(f"/{number}", f"10.0.0.{number}") for number in range(4)]
    await until(lambda: django.running == 4)

    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    waits = busy("/", "10.0.0.9")
    await until(lambda: service.page_turns.waiting == 1)

    assert service.page_turns.running == 4
    django.may_end.set()
    assert (await waits)[0] == 200


async def test_a_slow_reader_gives_up_its_turn(application, service, monkeypatch):
    """Its view has ended; what it has not read yet occupies no thread. It counts as a connection instead."""
    monkeypatch.setattr(pages, "IDLE_SECONDS", 0.01)
    may_read, has_begun = asyncio.Event(), threading.Event()

    async def answer(scope, receive, send) -> None:
        await sync_to_async(has_begun.set)()
        await send(OK[0])
        await may_read.wait()
        await send(OK[1])

    request = Request(RealtimeApplication(URLRouter([django_pages(answer)])), "/", client="10.0.0.1")
    await request.start()
    await until(lambda: service.page_turns.running == 0)
    assert service.places._in_use[("address", "10.0.0.1")] == 1

    may_read.set()
    assert await request.chunk() == ("", False)
    await until(lambda: not service.places._in_use)


def _looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the times at which requests are looked at, whether they give up their turns."""
    times: list[float] = []
    look = pages._Request._look

    def noted(request: pages._Request) -> None:
        look(request)
        times.append(time.monotonic())

    monkeypatch.setattr(pages._Request, "_look", noted)
    return times


async def test_a_view_that_works_keeps_its_turn(busy, service, django, monkeypatch):
    """However long it takes."""
    monkeypatch.setattr(pages, "IDLE_SECONDS", 0.01)
    looked = _looks(monkeypatch)
    asked = busy("/", "10.0.0.1")
    await until(lambda: len(looked) > 3)

    assert service.page_turns.running == 1
    django.may_end.set()
    assert (await asked)[0] == 200


async def test_a_stream_that_reads_in_its_thread_keeps_its_turn(application, service, monkeypatch):
    """It may have a cursor there, which the end of another request would close."""
    monkeypatch.setattr(pages, "IDLE_SECONDS", 0.01)
    may_end, looked = asyncio.Event(), _looks(monkeypatch)

    async def answer(scope, receive, send) -> None:
        await send(OK[0])
        await sync_to_async(time.monotonic)()
        await may_end.wait()
        await send(OK[1])

    request = Request(RealtimeApplication(URLRouter([django_pages(answer)])), "/")
    await request.start()
    await until(lambda: len(looked) > 3)

    assert service.page_turns.running == 1
    may_end.set()
    await request.chunk()


async def test_a_stopping_service_waits_for_pages_under_way(busy, service, django):
    """For two seconds; a page that is answered then is no error."""
    asked = busy("/", "10.0.0.1")
    await until(lambda: django.running == 1)

    stopping = asyncio.create_task(service.stop())
    await until(lambda: service.is_stopping)
    django.may_end.set()

    assert (await asked)[0] == 200
    await stopping
