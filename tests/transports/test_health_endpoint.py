"""Health endpoints: their status, and which clients may read the reasons."""

import pytest

from realtime.delivery import health as health_module
from tests.support.transports import Request

LIVE, READY = "/realtime/live/", "/realtime/ready/"


@pytest.fixture
def bearer(settings) -> dict[str, str]:
    settings.REALTIME = {**getattr(settings, "REALTIME", {}), "METRICS_TOKEN": "a token"}
    return {"authorization": "Bearer a token"}


@pytest.fixture
def problems(monkeypatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(health_module, "publishing_problems", lambda: list(found))
    return found


async def test_a_process_that_works_is_live_and_ready(application, problems, lines):
    """Both are answered for any host name, and leave no line in the log."""
    before = lines()
    for address, answer in ((LIVE, {"live": True}), (READY, {"ready": True})):
        for headers in ({}, {"host": "10.0.0.7:8000"}, {"host": "nonsense!"}):
            status, given, content = await Request(application, address, headers=headers).fetch()
            assert (status, content) == (200, answer)
            assert "no-cache" in given["cache-control"]

    assert [line for line in lines()[len(before) :] if "started" not in line] == []


async def test_the_reasons_are_shown_with_the_token_only(application, problems, bearer):
    """Others learn only that the process is not ready."""
    problems.append("triggers: those on a_table are missing")

    status, _, content = await Request(application, READY, headers=bearer).fetch()
    assert (status, content) == (503, {"ready": False, "reasons": problems})

    for authorization in ("", "Bearer ", "Bearer another", "a token"):
        status, _, content = await Request(
            application, READY, headers={"authorization": authorization}
        ).fetch()
        assert (status, content) == (503, {"ready": False})


@pytest.mark.parametrize("is_staff", [True, False])
async def test_staff_may_read_the_reasons(application, problems, in_database, sign_in, staff, is_staff):
    """By the session of a page of ours; other users may not."""
    problems.append("publisher: none is running")
    staff.is_staff = is_staff
    await in_database(staff.save)
    headers = {"cookie": f"sessionid={await in_database(sign_in, staff)}", "sec-fetch-site": "none"}

    _, _, content = await Request(application, READY, headers=headers).fetch()

    assert ("reasons" in content) == is_staff


async def test_an_unready_process_is_live(application, problems, service):
    """A restart would not help it."""
    problems.append("database: down")
    service.dismiss()

    assert (await Request(application, LIVE).fetch())[0] == 200
    assert (await Request(application, READY).fetch())[0] == 503


async def test_without_a_token_in_the_settings_no_client_has_it(application, problems):
    """An empty setting is no password."""
    problems.append("publisher: none is running")

    _, _, content = await Request(application, READY, headers={"authorization": "Bearer "}).fetch()

    assert content == {"ready": False}


@pytest.mark.parametrize("address", [LIVE, READY])
async def test_other_methods_are_refused(application, address):
    """The answer names those that are allowed."""
    status, headers, _ = await Request(application, address, method="POST").fetch()

    assert (status, headers["allow"]) == (405, "GET, HEAD")
