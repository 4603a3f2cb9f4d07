"""Tests of one file run in one worker, the longest files first; those that share nothing are run apart."""

from types import SimpleNamespace

import pytest

from tests.support.servers import ROOT
from tests.support.shares import APART, LONGEST, longest_first, share


@pytest.mark.parametrize("file", [*LONGEST, *APART])
def test_each_file_that_is_named_exists(file):
    assert (ROOT / file).is_file()


def test_tests_of_a_file_are_run_by_one_worker():
    assert share("tests/processes/test_redis.py::test_one") == share(
        "tests/processes/test_redis.py::test_two[a::b]"
    )
    assert share("tests/processes/test_redis.py::test_one") != share("tests/processes/test_logs.py::test_one")


def test_tests_that_share_nothing_are_run_apart():
    assert share(f"{APART[0]}::test_one[0]") != share(f"{APART[0]}::test_one[1]")


def test_the_longest_files_begin_first():
    """Tests of one file keep their order, and so do the other files."""
    names = ["tests/a.py::b", "tests/a.py::a", f"{LONGEST[1]}::b", f"{LONGEST[0]}::b", f"{LONGEST[0]}::a"]

    first = longest_first([SimpleNamespace(nodeid=name) for name in names])

    assert [item.nodeid for item in first] == [names[3], names[4], names[2], names[0], names[1]]
