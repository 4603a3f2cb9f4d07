"""Periodic jobs: whose turn it is, and what happens when one fails."""

import pytest

from realtime.schedule import Job, every, jobs


@pytest.fixture
def job() -> Job:
    return Job("a.job", lambda: None, seconds=5)


def test_a_job_runs_at_once_and_then_in_its_rhythm(job):
    """A started server shows fresh figures without waiting."""
    assert job.claim(100)
    job.run()

    assert not job.claim(104.9)
    assert job.claim(105)


def test_a_job_never_overlaps_itself(job):
    """However long it takes."""
    assert job.claim(100)

    assert not job.claim(1000)


def test_missed_turns_are_skipped(job):
    """After a long one the next is due, not the ten that were missed."""
    job.claim(100)
    job.run()

    assert job.claim(200)
    job.run()
    assert not job.claim(201)


def test_a_failing_job_has_its_next_turn(lines):
    """It stops itself alone; the line says when it comes again."""
    job = Job("a.job", lambda: 1 / 0, seconds=5)
    job.claim(0)

    job.run()

    assert job.claim(5)
    (line,) = lines()
    assert line.startswith("job a.job failed; it runs again in 5 s")


def test_a_decorated_function_is_a_job_and_still_a_function(monkeypatch):
    """Tests and commands may call it as ever."""
    monkeypatch.setattr("realtime.schedule.jobs", dict(jobs))

    @every(seconds=0.5)
    def figures() -> str:
        return "done"

    assert figures() == "done"


@pytest.mark.parametrize("seconds", [0, -1, -0.5])
def test_a_rhythm_is_above_zero(seconds):
    """Without a pause there would be nothing else."""
    with pytest.raises(ValueError, match="must be above 0"):
        every(seconds=seconds)


def test_the_demos_job_is_found():
    """An app's jobs.py is imported when Django starts."""
    assert jobs["realtime.boards.jobs.server_figures"].seconds == 5
