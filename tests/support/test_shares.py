"""Tests of one file run in one worker, the longest files first; tests of faults run one by one."""

from types import SimpleNamespace

import pytest

from tests.support.servers import ROOT
from tests.support.shares import LONGEST, ONE_BY_ONE, longest_first, share


@pytest.mark.parametrize("file", [*LONGEST, ONE_BY_ONE])
def test_each_file_that_is_named_exists(file):
    assert (ROOT / file).exists()


def test_tests_of_a_file_are_run_by_one_worker():
    assert share("tests/processes/test_redis.py::test_one") == share(
        "tests/processes/test_redis.py::test_two[a::b]"
    )
    assert share("tests/processes/test_redis.py::test_one") != share("tests/processes/test_logs.py::test_one")


def test_tests_that_need_both_cores_run_one_by_one():
    assert share(f"{ONE_BY_ONE}test_faults.py::test_one") == share(f"{ONE_BY_ONE}test_chaos.py::test_two")


def test_the_longest_files_begin_first():
    """Tests of one file keep their order, and so do the other files."""
    names = ["tests/a.py::b", "tests/a.py::a", f"{LONGEST[1]}::b", f"{LONGEST[0]}::b", f"{LONGEST[0]}::a"]

    first = longest_first([SimpleNamespace(nodeid=name) for name in names])

    assert [item.nodeid for item in first] == [names[3], names[4], names[2], names[0], names[1]]
