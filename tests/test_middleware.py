"""Which pages caches may keep for others: those that do not depend on who asks."""

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.template import RequestContext, Template
from django.views.decorators.cache import cache_control

from realtime.middleware import PrivatePagesMiddleware


@pytest.fixture
def answer(rf, log):
    """Answer with a page made of a template, as a project with this middleware does."""

    def page(source: str, decorate=lambda view: view) -> HttpResponse:
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
def test_a_page_that_depends_on_its_visitor_is_the_visitors_own(answer, source):
    """The developer of the page does nothing for it."""
    response = answer(source)

    assert {*response["Cache-Control"].split(", ")} == {"private", "no-cache"}
    assert response["Vary"] == "Cookie"


def test_a_page_that_is_the_same_for_all_may_be_kept(answer):
    """Nothing is said of it."""
    assert not answer("Tide table").has_header("Cache-Control")


def test_a_view_that_speaks_of_caching_is_not_contradicted(answer):
    """It knows better, and may be stricter."""
    response = answer("{% live 'boards' %}", cache_control(no_store=True))

    assert response["Cache-Control"] == "no-store"
