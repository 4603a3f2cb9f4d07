"""Periodic jobs: when each is due, and what happens when one fails."""

import pytest

from realtime.schedule import Job, every, jobs


@pytest.fixture
def job() -> Job:
    return Job("a.job", lambda: None, seconds=5)


def test_a_job_runs_at_once_and_then_at_its_interval(job):
    """A started server needs no wait for its first results."""
    assert job.start_if_due(100)
    job.run()

    assert not job.start_if_due(104.9)
    assert job.start_if_due(105)


def test_a_job_never_overlaps_itself(job):
    """However long it runs."""
    assert job.start_if_due(100)

    assert not job.start_if_due(1000)


def test_missed_runs_are_skipped(job):
    """After a long run the next one is due once, not ten times."""
    job.start_if_due(100)
    job.run()

    assert job.start_if_due(200)
    job.run()
    assert not job.start_if_due(201)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt, BaseException])
def test_a_failing_job_runs_again(lines, error):
    """The error is logged, with the time until the next run."""

    def fail() -> None:
        raise error

    job = Job("a.job", fail, seconds=5)
    job.start_if_due(0)

    job.run()

    assert job.start_if_due(5)
    (line,) = lines()
    assert line.startswith("job a.job failed; it runs again in 5 s")


def test_a_job_that_fails_again_in_the_same_way_is_logged_once(lines):
    """A job of every two seconds would log forty thousand lines a day while the database is away."""
    failures = [ValueError("a"), ValueError("a"), KeyError("a"), None, None, KeyError("a")]

    def run() -> None:
        failure = failures.pop(0)
        if failure:
            raise failure

    job = Job("a.job", run, seconds=5)
    for _ in range(6):
        job.run()

    failed = "job a.job failed; it runs again in 5 s"
    assert [line.splitlines()[0] for line in lines()] == [failed, failed, "job a.job works again", failed]


def test_a_decorated_function_is_a_job_and_still_a_function(monkeypatch):
    """Tests and commands may call it directly."""
    monkeypatch.setattr("realtime.schedule.jobs", dict(jobs))

    @every(seconds=0.5)
    def figures() -> str:
        return "done"

    assert figures() == "done"


@pytest.mark.parametrize("seconds", [0, -1, -0.5, "5"])
def test_an_interval_must_be_above_zero(seconds):
    """Without a pause the job would occupy the publisher."""
    with pytest.raises(ValueError, match="must be a number above 0"):
        every(seconds=seconds)


def test_the_job_of_the_demo_is_registered():
    """An app's jobs.py is imported when Django starts."""
    assert jobs["realtime.boards.jobs.server_figures"].seconds == 5
