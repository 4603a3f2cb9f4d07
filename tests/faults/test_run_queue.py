"""The time that processes wait for a processor, from what the scheduler writes."""

from pathlib import Path

from tests.faults.run_queue import RunQueue


def write(proc: Path, process: int, waited: float) -> None:
    folder = proc / str(process) / "task" / str(process)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schedstat").write_text(f"12345 {waited * 1e9:.0f} 67\n")


def test_the_longest_wait_since_the_last_call_counts(tmp_path):
    """Nothing is known of a process that is new, or has ended."""
    queue = RunQueue(tmp_path)
    write(tmp_path, 1, 10.0)
    write(tmp_path, 2, 5.0)
    assert queue.waited([1, 2, 3]) == 0

    write(tmp_path, 1, 10.5)
    write(tmp_path, 2, 7.0)
    assert queue.waited([1, 2, 3]) == 2.0
    assert queue.waited([1, 2, 3]) == 0

    write(tmp_path, 4, 99.0)
    assert queue.waited([1, 2, 4]) == 0
