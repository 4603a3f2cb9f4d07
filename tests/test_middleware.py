"""Caching: pages that depend on their visitor are kept out of shared caches."""

from collections.abc import Awaitable

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.template import RequestContext, Template
from django.views.decorators.cache import cache_control

from realtime.middleware import PrivatePagesMiddleware


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
