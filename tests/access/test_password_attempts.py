"""Password attempts: wrong ones are counted, for a name from an address first, wherever they were tried."""

import pytest
from django.contrib.auth import authenticate
from django.http import HttpRequest

from realtime.access import password_attempts
from realtime.access.password_attempts import (
    AT_ONCE,
    NAME_AT_ONCE,
    PER_SECOND,
    PasswordAttempts,
    TooManyPasswords,
    address_of,
    name_in,
)


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def failed(attempts: PasswordAttempts, name: str, address: str | None) -> None:
    """Try a wrong password."""
    attempts.check(name, address)
    attempts.failed(name, address)


def guessed_from_many_addresses(attempts: PasswordAttempts, name: str) -> None:
    """Try wrong passwords for one name, as often as it is possible before each of them counts for several."""
    for number in range(NAME_AT_ONCE):
        failed(attempts, name, f"10.0.{number // AT_ONCE}.1")


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("staff", [("another name", "10.0.0.2"), ("staff", "10.0.0.2")]),
        ("guess {}", [("another name", "10.0.0.2")]),
    ],
    ids=["one name", "many names"],
)
def test_wrong_passwords_from_one_address_are_limited(name, others):
    """For one name and for many; other addresses are not affected, even for the same name."""
    attempts = PasswordAttempts(Clock())
    for number in range(AT_ONCE):
        failed(attempts, name.format(number), "10.0.0.1")

    with pytest.raises(TooManyPasswords, match=r"Try again in 5 s\."):
        attempts.check(name.format("more"), "10.0.0.1")
    for other in others:
        attempts.check(*other)


def test_another_attempt_is_possible_after_a_while():
    """One in five seconds."""
    clock = Clock()
    attempts = PasswordAttempts(clock)
    for _ in range(AT_ONCE):
        failed(attempts, "staff", "10.0.0.1")

    clock.now = 1 / PER_SECOND
    failed(attempts, "staff", "10.0.0.1")

    with pytest.raises(TooManyPasswords):
        attempts.check("staff", "10.0.0.1")


@pytest.mark.parametrize("addresses", [3, 1000], ids=["three addresses", "a thousand addresses"])
def test_no_attacker_can_lock_the_owner_of_a_name_out(addresses):
    """However many guess it, and however long; the owner may even be wrong twice."""
    clock = Clock()
    attempts = PasswordAttempts(clock)
    for number in range(20 * addresses):
        clock.now += 0.01
        try:
            failed(attempts, "staff", f"10.1.{number % addresses // 250}.{number % addresses % 250}")
        except TooManyPasswords:
            continue

    failed(attempts, "staff", "10.0.0.1")
    failed(attempts, "staff", "10.0.0.1")


def test_while_a_name_is_guessed_from_many_addresses_each_has_two():
    """Guesses of other names, and from addresses without any, go on as before."""
    attempts = PasswordAttempts(Clock())
    guessed_from_many_addresses(attempts, "staff")

    for address in ("10.0.100.1", "10.0.100.2"):
        failed(attempts, "staff", address)
        failed(attempts, "staff", address)
        with pytest.raises(TooManyPasswords, match=r"Try again in \d+ s\."):
            attempts.check("staff", address)
        for _ in range(3):
            failed(attempts, "another name", address)


def test_an_attack_on_a_name_is_over_after_a_while():
    """Each address has ten again."""
    clock = Clock()
    attempts = PasswordAttempts(clock)
    guessed_from_many_addresses(attempts, "staff")
    clock.now = 1000.0

    for _ in range(AT_ONCE):
        failed(attempts, "staff", "10.0.100.1")


# ---------------------------------------------------------------- as Django reports them


def asked(address: str = "10.0.0.1", **headers: str) -> HttpRequest:
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": address, **headers}
    return request


def test_each_wrong_password_that_django_reports_counts(staff):
    """By whatever page or program: Django sends a signal. Right ones do not count."""
    for _ in range(3 * AT_ONCE):
        assert authenticate(asked(), username="staff", password="words") == staff
    for _ in range(AT_ONCE):
        assert authenticate(asked(), username="staff", password="guess") is None

    with pytest.raises(TooManyPasswords):
        password_attempts.attempts.check("staff", "10.0.0.1")


@pytest.mark.parametrize(
    ("credentials", "name"),
    [
        ({"username": "staff", "password": "x"}, "staff"),
        ({"username": "staff", "password": "***"}, "staff"),
        ({"username": 7, "password": "x"}, "7"),
        ({"username": "staff", "password": None}, None),
        ({"username": None, "password": "x"}, None),
        ({"token": "x"}, None),
        ({"remote_user": "staff"}, None),
    ],
    ids=str,
)
def test_credentials_without_a_name_and_a_password_do_not_count(credentials, name):
    """Tokens, and users named by a proxy: these contain no name and password to guess."""
    assert name_in(credentials) == name


@pytest.mark.parametrize(
    ("request_", "proxies", "address"),
    [
        (None, 0, None),
        (asked("10.0.0.1", HTTP_X_FORWARDED_FOR="10.0.0.9"), 0, "10.0.0.1"),
        (asked("127.0.0.1", HTTP_X_FORWARDED_FOR="10.0.0.9, 10.0.0.2"), 1, "10.0.0.2"),
        (asked("2001:db8::1"), 0, "2001:db8::/64"),
        (asked(""), 0, None),
    ],
    ids=["none", "forged", "proxy", "IPv6", "Unix socket"],
)
def test_the_address_is_that_of_the_other_limits(settings, request_, proxies, address):
    """An IPv6 network is one address; a client cannot choose its own."""
    settings.REALTIME = {"PROXIES": proxies}

    assert address_of(request_) == address
