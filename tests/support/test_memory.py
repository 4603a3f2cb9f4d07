import os
import tempfile
from types import SimpleNamespace

import pytest

from tests.support import memory


def test_a_folder_with_room_is_fit(tmp_path):
    assert memory.is_fit(tmp_path, enough=1)


def test_a_folder_without_room_is_not(tmp_path):
    assert not memory.is_fit(tmp_path, enough=2**60)


def test_a_folder_that_does_not_exist_is_not(tmp_path):
    assert not memory.is_fit(tmp_path / "none", enough=1)


def test_a_folder_from_which_nothing_can_be_run_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda folder: SimpleNamespace(f_flag=os.ST_NOEXEC))

    assert not memory.is_fit(tmp_path, enough=1)


@pytest.fixture
def files(monkeypatch):
    """Puts back where the process keeps its temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    monkeypatch.setattr(memory, "is_fit", lambda: True)
    return monkeypatch


def test_files_are_in_memory(files):
    files.delenv("TMPDIR")
    memory.keep_files_in_memory()

    assert tempfile.gettempdir() == os.environ["TMPDIR"] == "/dev/shm"


def test_a_folder_that_was_named_is_used(files):
    memory.keep_files_in_memory()

    assert tempfile.gettempdir() == "/tmp"
    assert os.environ["TMPDIR"] == "/elsewhere"


def test_files_are_on_the_disk_where_memory_is_short(files):
    files.delenv("TMPDIR")
    files.setattr(memory, "is_fit", lambda: False)
    memory.keep_files_in_memory()

    assert tempfile.gettempdir() == "/tmp"
