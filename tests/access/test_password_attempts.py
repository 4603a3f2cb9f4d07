"""Password attempts: counted for each name and from each address."""

import pytest

from realtime.access import password_attempts
from realtime.access.password_attempts import AT_ONCE, PER_SECOND, PasswordAttempts, TooManyPasswords


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "name, address", [("staff", "10.0.0.{}"), ("guess {}", "10.0.0.1")], ids=["one name", "one address"]
)
def test_attempts_are_limited_for_each_name_and_address(name, address):
    """Of one name from many addresses, and of many names from one address."""
    attempts = PasswordAttempts(Clock())
    for number in range(AT_ONCE):
        attempts.count(name.format(number), address.format(number))

    with pytest.raises(TooManyPasswords, match="one every 5 s"):
        attempts.count(name.format("more"), address.format("more"))
    attempts.count("another name", "another address")


def test_another_attempt_is_possible_after_a_while():
    """One in five seconds."""
    clock = Clock()
    attempts = PasswordAttempts(clock)
    for _ in range(AT_ONCE):
        attempts.count("staff", "10.0.0.1")

    clock.now = 1 / PER_SECOND
    attempts.count("staff", "10.0.0.1")

    with pytest.raises(TooManyPasswords):
        attempts.count("staff", "10.0.0.1")


def test_the_least_recently_tried_are_forgotten(monkeypatch):
    """The memory is bounded; a name that is tried again and again stays."""
    monkeypatch.setattr(password_attempts, "MAX_REMEMBERED", 10)
    attempts = PasswordAttempts(Clock())

    for number in range(AT_ONCE):
        attempts.count("staff", f"10.0.0.{number}")

    assert len(attempts._buckets) == 10
    with pytest.raises(TooManyPasswords):
        attempts.count("staff", "10.0.0.99")
