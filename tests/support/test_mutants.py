"""``make mutants``: what it mutates, and which survivors it reports. mutmut itself is not run: it takes an hour."""

import pytest

from tests.support.mutants import EXPLANATIONS, FILES, ROOT, changed, explained, undecorated

SOURCE = """\
class Cursor:
    @property
    def offset(self) -> int:
        return self.next - 1

    @classmethod
    def parse(cls):
        return cls()

@contextmanager
def opened(name: str):
    yield name
"""


def test_what_is_behind_a_decorator_can_be_mutated():
    """mutmut leaves decorated functions out; the copy that it changes has plain ones in their place."""
    source = undecorated(SOURCE)

    assert "    offset = property(lambda self, *a, **k: self.mutated_offset(*a, **k))\n" in source
    assert "    def mutated_offset(self) -> int:\n" in source
    assert "opened = contextmanager(lambda *a, **k: mutated_opened(*a, **k))\n" in source
    assert "    @classmethod\n    def parse(cls):\n" in source
    compile(source, "cursor.py", "exec")


@pytest.mark.parametrize("pattern", FILES)
def test_what_is_mutated_and_its_tests_exist(pattern):
    """A file that is moved must be moved here too."""
    assert list(ROOT.glob(pattern))
    assert all((ROOT / test).exists() for test in FILES[pattern])


def test_explained_survivors_are_those_of_the_table():
    """A bar within code is escaped in a table."""
    table = "| file | changed line | why |\n|---|---|---|\n| `realtime/a.py` | `` x = a \\| b `` | no `|` differs |\n"

    assert explained(table) == {("realtime/a.py", "x = a | b")}


def test_every_explanation_can_be_read():
    """Each row of the table names an existing file."""
    text = EXPLANATIONS.read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]

    assert len(explained(text)) == len(rows) > 0
    assert all((ROOT / file).is_file() for file, _ in explained(text))


def test_the_changed_lines_of_a_diff():
    """Without the names of the files and without indentation."""
    diff = "--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n     if a:\n-        return 1\n+        return 2\n"

    assert changed(diff) == ("return 1", "return 2")
