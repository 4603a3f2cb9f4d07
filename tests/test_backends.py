"""The backend that refuses to have passwords guessed: it ends a sign-in, and does nothing else."""

import asyncio

import pytest
from django.contrib.auth import aauthenticate, authenticate
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse

from realtime.access import password_attempts
from realtime.access.password_attempts import AT_ONCE, PasswordAttempts

LOGIN = {"username": "staff", "next": "/admin/"}


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch) -> None:
    """Passwords of one moment."""
    monkeypatch.setattr(password_attempts, "attempts", PasswordAttempts(lambda: 0.0))


def sign_in(password: str, address: str = "10.0.0.1"):
    return Client(REMOTE_ADDR=address).post(reverse("admin:login"), {**LOGIN, "password": password})


def test_after_ten_wrong_passwords_the_sign_in_page_says_how_long_to_wait(staff):
    """Even the right one is not checked then; from another address it is."""
    for number in range(AT_ONCE):
        assert sign_in(f"guess {number}").status_code == 200

    refused = sign_in("words")

    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    assert "Too many wrong passwords. Try again in 5 s." in refused.content.decode()
    assert "Please enter the correct" not in refused.content.decode()
    assert sign_in("words", "10.0.0.2").status_code == 302


def test_what_is_refused_does_not_count(staff, monkeypatch):
    """Further attempts do not lengthen the wait: the owner at this address may be the next to try."""
    now = [0.0]
    monkeypatch.setattr(password_attempts, "attempts", PasswordAttempts(lambda: now[0]))
    for _ in range(3 * AT_ONCE):
        sign_in("guess")

    now[0] = 5.0

    assert sign_in("words").status_code == 302


def test_authenticate_itself_is_refused(staff):
    """For programs, whose project checks passwords by itself: basic authentication, for instance."""
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = "10.0.0.1"
    for _ in range(AT_ONCE):
        authenticate(request, username="staff", password="guess")

    assert authenticate(request, username="staff", password="words") is None
    assert authenticate(None, username="staff", password="words") == staff
    assert authenticate(request, token="anything") is None


async def test_authenticate_is_refused_in_asynchronous_views_too(staff):
    """And what is refused there does not count."""
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = "10.0.0.1"
    for _ in range(2 * AT_ONCE):
        await aauthenticate(request, username="staff", password="guess")

    assert await aauthenticate(request, username="staff", password="words") is None
    assert password_attempts.attempts._pairs.seconds_until(("staff", "10.0.0.1"), 1) == 5


def test_signing_in_without_a_password_is_not_concerned(staff):
    """``login`` and ``force_login`` take the first backend that has users."""
    client = Client()
    client.force_login(staff)

    assert client.get(reverse("admin:index")).status_code == 200
    assert client.session["_auth_user_backend"] == "django.contrib.auth.backends.ModelBackend"


async def test_passwords_of_many_threads_are_counted_exactly(staff):
    """Sign-ins are checked in the threads of pages."""
    await asyncio.gather(
        *(asyncio.to_thread(password_attempts.attempts.failed, "staff", "10.0.0.1") for _ in range(9))
    )

    password_attempts.attempts.check("staff", "10.0.0.1")
    password_attempts.attempts.failed("staff", "10.0.0.1")
    with pytest.raises(password_attempts.TooManyPasswords):
        password_attempts.attempts.check("staff", "10.0.0.1")
