"""Health: what makes a process unfit, and that asking is bounded."""

import asyncio
import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from realtime.boards.models import Board
from realtime.delivery import health as health_module
from realtime.models import OutboxRow, SecondsNow, Sequencer
from realtime.publishing import capture, lease
from realtime.publishing import log as log_module
from tests.conftest import until
from tests.delivery.conftest import Broken, Follower


def sequenced(seconds_ago: float) -> None:
    Sequencer.objects.update(sequenced_at=Now() - timedelta(seconds=seconds_ago))


def test_a_log_that_is_sequenced_has_no_problems(quay):
    """A process has published lately, and nothing waits."""
    sequenced(1)

    assert health_module.publishing_problems() == []


@pytest.mark.parametrize("is_new", [True, False], ids=["sequenced lately", "before the first round"])
def test_without_a_publisher_it_is_not_ready(quay, is_new):
    """Neither one whose last round is long ago, nor none at all."""
    if is_new:
        sequenced(60)
    else:
        Sequencer.objects.update(sequenced_at=None, holder="", expires_at=None)

    (problem,) = health_module.publishing_problems()

    assert problem.startswith("publisher: none")
    assert lease.acquire("a process")


def test_changes_that_wait_are_a_problem_beyond_the_limit(quay):
    """Counted from the oldest."""
    sequenced(0)
    quay.entries.create(label="waits")
    assert health_module.publishing_problems() == []

    OutboxRow.objects.update(written_at=SecondsNow() - 60)

    (problem,) = health_module.publishing_problems()
    assert problem.startswith("lag: a change has waited for 6")


def test_missing_triggers_are_named_by_table(quay):
    """Each table once."""
    sequenced(0)
    capture.uninstall()
    problems = health_module.publishing_problems()
    capture.install()

    assert "triggers: those on boards_board are missing" in problems
    assert len(problems) == len(set(problems))


@pytest.fixture
def hashed(settings, tmp_path) -> Path:
    """The folder of static files whose names have a hash; nothing is in it."""
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {
        **settings.STORAGES, "staticfiles": {"BACKEND": "config.static_files.HashedStaticFilesStorage"}
    }  # fmt: skip
    return tmp_path


def test_with_the_list_of_static_files_pages_work(hashed):
    """Whether this machine has the files is no matter: a proxy or another host may serve them."""
    paths = {"realtime/live.min.js": "realtime/live.min.0123456789ab.js"}
    (hashed / "staticfiles.json").write_text(json.dumps({"version": "1.1", "paths": paths}))

    assert health_module.page_problems() == []


async def test_without_the_list_of_static_files_a_process_is_not_ready(service, hashed):
    """Every page fails, with status 500: the process must not replace one that works."""
    assert any("collectstatic" in problem for problem in await service.health.problems())


async def test_a_process_that_stops_is_not_ready(service):
    """Before anything is asked of the database."""
    service.dismiss()

    assert await service.health.problems() == ["draining: this process is stopping"]


async def test_a_database_that_fails_is_the_reason(service, monkeypatch):
    """In its own words."""
    broken = Broken(OperationalError("the database has gone away"))
    monkeypatch.setattr(health_module, "publishing_problems", broken.wrap(health_module.publishing_problems))

    assert await service.health.problems() == ["database: OperationalError: the database has gone away"]


async def test_a_database_that_hangs_is_answered_within_the_limit(service, monkeypatch):
    """And a thousand questions meanwhile ask it once."""
    monkeypatch.setattr(health_module, "ANSWER_SECONDS", 0.05)
    asked, release = [], threading.Event()

    def hang() -> list[str]:
        asked.append(1)
        release.wait(20)
        return []

    monkeypatch.setattr(health_module, "publishing_problems", hang)
    answers = await asyncio.gather(*(service.health.problems() for _ in range(1000)))
    again = await service.health.problems()
    release.set()

    assert {tuple(answer) for answer in [*answers, again]} == {("database: no answer within 0.05 s",)}
    assert len(asked) == 1
    await until(lambda: not service.health._asked)


async def test_a_process_that_is_behind_is_not_ready(service, in_database, monkeypatch):
    """It has a connection, and its hub has not read the log for long."""
    await in_database(sequenced, 0)
    assert await in_database(Board.objects.count) == 0
    broken = Broken(OperationalError("the log cannot be read"))
    monkeypatch.setattr(log_module, "tail", broken.wrap(log_module.tail))
    service.hub.connect(Follower("entries.1"))
    service.hub._looked_at -= 1000

    problems = await service.health.problems()

    assert [problem.partition(":")[0] for problem in problems] == ["lag"]


@pytest.mark.parametrize(
    "had_a_connection", [False, True], ids=["since its start", "since its last connection"]
)
async def test_a_process_without_connections_stays_ready(service, in_database, had_a_connection):
    """It does not read the log, and is behind in nothing: unready, it would never be sent a client again."""
    await in_database(sequenced, 0)
    assert await in_database(Board.objects.count) == 0
    if had_a_connection:
        follower = Follower("entries.1")
        service.hub.connect(follower)
        service.hub._waiting_seconds = 300
        service.hub.disconnect(follower, [])
    service.hub._looked_at -= 1000

    assert await service.health.problems() == []
