"""Refusals of HTTP requests: the status that a code stands for."""

import pytest

from realtime.engine.codes import Code
from realtime.engine.messages import Error
from realtime.runtime.refusals import Refused, status_during, status_of


@pytest.mark.parametrize(
    "code, status",
    [
        (Code.BAD_MESSAGE, 400),
        (Code.SIGNED_OUT, 401),
        (Code.FORBIDDEN, 403),
        (Code.NOT_FOUND, 404),
        (Code.INTERNAL, 500),
        (Code.TOO_SLOW, 503),
        (Code.DRAINING, 503),
        (Code.TOO_MUCH, 429),
    ],
)
def test_a_code_has_a_status_with_its_meaning(code, status):
    """HTTP programs use statuses, not our codes."""
    assert status_of(code) == status


def test_every_code_is_in_the_table_above():
    assert all(400 <= status_of(code) < 600 for code in Code)


def test_a_refusal_has_the_status_of_its_first_error():
    """Unless it is given one that says more, such as 413 or 431."""
    errors = [Error(Code.NOT_FOUND, "no topic 'x'"), Error(Code.FORBIDDEN, "you may not use 'y'")]

    assert Refused(errors).status == 404
    assert Refused(errors, 413).status == 413
    assert str(Refused(errors)) == "no topic 'x'; you may not use 'y'"


def test_an_outage_is_answered_503_and_a_fault_by_its_code():
    """A client may ask again, and so may a proxy in front of several servers."""
    assert status_during(TimeoutError()) == 503
    assert status_during(ValueError("x")) is None
