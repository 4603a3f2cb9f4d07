"""The matrix: scenarios on further combinations of parameters; ``make matrix`` runs it, ``make test`` does not."""

from collections import defaultdict
from collections.abc import Iterable

import pytest


def mark_repetitions(items: Iterable[pytest.Item]) -> None:
    """Mark the tests that only repeat values of the parameters which ``@pytest.mark.combinations`` names.

    Of three transports and two formats, six tests, three stay unmarked: each transport, and each format, is in one.
    """
    tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("combinations"):
            tests[item.nodeid.partition("[")[0]].append(item)
    for test in tests.values():
        names = test[0].get_closest_marker("combinations").args
        parameters = [item.callspec.params for item in test]  # type: ignore[attr-defined]
        values = [_distinct(each[name] for each in parameters) for name in names]
        turns = [[some[turn % len(some)] for some in values] for turn in range(max(map(len, values)))]
        for item, each in zip(test, parameters, strict=True):
            if [each[name] for name in names] not in turns:
                item.add_marker(pytest.mark.matrix)


def _distinct(values: Iterable[object]) -> list[object]:
    """Return the values in their order, each once; they need no hash."""
    found: list[object] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
