"""Which browser reacts: a number that it cannot choose."""

import pytest
from django.http import HttpResponse

from realtime.boards.voices import visitors


@pytest.fixture
def request_with(rf):
    def request_with(cookie):
        request = rf.get("/")
        if cookie is not None:
            request.COOKIES[visitors.COOKIE] = cookie
        return request

    return request_with


def cookie_for(request, number):
    response = HttpResponse()
    visitors.keep_number(response, request, number)
    return response.cookies[visitors.COOKIE]


def test_a_browser_keeps_its_number(request_with):
    kept = cookie_for(request_with(None), "number")

    assert visitors.number_of(request_with(kept.value)) == "number"
    assert kept["httponly"]
    assert kept["samesite"] == "Lax"


@pytest.mark.parametrize("forged", [None, "", "number", "number:1abc:signature", ":", "\x00"])
def test_a_number_that_was_not_signed_is_ignored(request_with, forged):
    assert visitors.number_of(request_with(forged)) == ""


def test_the_database_has_a_digest():
    number = visitors.new_number()

    assert number not in visitors.digest_of(number)
    assert (
        visitors.digest_of(number) == visitors.digest_of(number) != visitors.digest_of(visitors.new_number())
    )
    assert len(visitors.digest_of(number)) == 64
