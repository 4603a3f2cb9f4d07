"""Pages that depend on their visitor are kept out of shared caches; a refused sign-in says how long to wait."""

import re
from collections.abc import Awaitable

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import OperationalError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.template import RequestContext, Template
from django.views.decorators.cache import cache_control

from realtime.access.password_attempts import TooManyPasswords
from realtime.boards.models import Board
from realtime.middleware import LiveBlocksMiddleware, PasswordAttemptsMiddleware, PrivatePagesMiddleware
from realtime.publishing.positions import probe
from tests.support.positions import position_now


@pytest.fixture
def answer(rf, log):
    """A function that returns the response of a page made from a template, through the middleware."""

    def page(source: str, decorate=lambda view: view) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        def view(request):
            return HttpResponse(Template("{% load realtime %}" + source).render(RequestContext(request)))

        middleware = PrivatePagesMiddleware(SessionMiddleware(AuthenticationMiddleware(decorate(view))))
        return middleware(rf.get("/"))

    return page


@pytest.mark.parametrize(
    "source",
    ["{% live 'boards' %}", "{% live_session %}", "{{ request.user }}"],
    ids=["rows", "session", "user"],
)
def test_a_page_that_depends_on_its_visitor_is_private(answer, source):
    """Without any code in its view."""
    response = answer(source)

    assert {*response["Cache-Control"].split(", ")} == {"private", "no-cache"}
    assert response["Vary"] == "Cookie"


def test_a_page_that_is_the_same_for_all_visitors_is_unchanged(answer):
    """It has no header about caching."""
    assert not answer("Tide table").has_header("Cache-Control")


def test_the_cache_control_of_a_view_is_kept(answer):
    """The view may be stricter."""
    response = answer("{% live 'boards' %}", cache_control(no_store=True))

    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("content", ["not signed in", ""], ids=["an answer of its own", "empty"])
def test_a_view_without_a_form_answers_a_refused_sign_in_with_429_too(rf, content):
    """A program learns from the header when to try again."""

    def view(request):
        request.too_many_passwords = TooManyPasswords(4.2)
        return HttpResponse(content, status=401)

    response = PasswordAttemptsMiddleware(view)(rf.get("/"))

    assert isinstance(response, HttpResponse)
    assert (response.status_code, response["Retry-After"], response.content.decode()) == (429, "5", content)


def test_other_pages_are_left_alone(rf):
    """Failures of other kinds have their own status."""
    response = PasswordAttemptsMiddleware(lambda request: HttpResponse(status=401))(rf.get("/"))

    assert isinstance(response, HttpResponse)
    assert response.status_code == 401
    assert "Retry-After" not in response


BLOCK = "{% load realtime %}{% live_block 'sum' topics='boards' %}{% endlive_block %}"


@pytest.fixture
def blocks(monkeypatch):
    """A function that returns what a page with a live block names as its position; the view writes a row first."""
    monkeypatch.setattr(LiveBlocksMiddleware, "is_needed", False)

    def page(request, write=lambda: None) -> str | None:
        def view(request):
            write()
            return HttpResponse(Template(BLOCK).render(RequestContext(request)))

        response = LiveBlocksMiddleware(view)(request)
        assert isinstance(response, HttpResponse)
        found = re.search('data-realtime-position="(.*?)"', response.content.decode())
        return found[1] if found else None

    return page


def test_a_live_block_names_the_position_from_before_its_view(blocks, rf, quay):
    """Commits while the view runs may be missing in the page. The first page of a process has no position."""
    first = blocks(rf.get("/"))
    before = position_now()

    named = blocks(rf.get("/", headers={"Accept": "text/html"}), lambda: Board.objects.update(title="new"))

    assert first is None
    assert named == str(before)
    assert position_now().offset > before.offset


@pytest.mark.parametrize(
    "method, accept, queries",
    [("GET", "text/html", 1), ("GET", "*/*", 1), ("POST", "text/html", 0), ("GET", "application/json", 0)],
)
def test_only_pages_that_can_be_fetched_again_cost_a_query(
    blocks, rf, quay, monkeypatch, method, accept, queries
):
    asked = []
    blocks(rf.get("/"))
    monkeypatch.setattr("realtime.middleware.probe", lambda: asked.append(probe()) or asked[0])  # type: ignore[func-returns-value]

    LiveBlocksMiddleware(lambda request: HttpResponse())(rf.generic(method, "/", headers={"Accept": accept}))

    assert len(asked) == queries


def test_a_page_is_served_when_its_position_cannot_be_read(blocks, rf, monkeypatch):
    def fails():
        raise OperationalError("database is away")

    blocks(rf.get("/"))
    monkeypatch.setattr("realtime.middleware.probe", fails)

    assert blocks(rf.get("/")) is None
