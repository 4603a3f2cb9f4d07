"""Close codes: one table, the same in Python, in the browser and in the protocol's documentation."""

import re
from pathlib import Path

import pytest

from realtime.engine.codes import Advice, Code

ROOT = Path(__file__).resolve().parents[2]
TABLE = {int(code): (code.meaning, code.advice.value) for code in Code}


@pytest.mark.parametrize("code", list(Code))
def test_the_range_of_a_code_is_its_rule(code):
    """After 4400 to 4499 a client must not just retry; every server can send codes from 4000 to 4999."""
    is_final = 4400 <= code < 4500

    assert is_final == (code in {Code.BAD_MESSAGE, Code.SIGNED_OUT, Code.FORBIDDEN, Code.NOT_FOUND})
    assert is_final == (code.advice in {Advice.STOP, Advice.CHECK_PAGE})
    assert 4000 <= code <= 4999


def test_the_documentation_has_the_same_table():
    """docs/protocol.md, "Close codes"."""
    rows = re.findall(
        r"^\| (4\d{3}) \| (.+?) \| (.+?) \|$", (ROOT / "docs" / "protocol.md").read_text(), re.MULTILINE
    )

    assert {int(code): (meaning, advice) for code, meaning, advice in rows} == TABLE


def test_the_browser_has_the_same_table():
    """For our own codes; codes.js also describes the codes that browsers and servers send by themselves."""
    source = (ROOT / "realtime" / "static" / "realtime" / "protocol" / "codes.js").read_text()
    texts = dict(re.findall(r'^const (\w+) = "(.+)";$', source, re.MULTILINE))
    rows = re.findall(r'^ +(\d{4}): \{ means: "(.+)", page: "?(.+?)"? \},$', source, re.MULTILINE)

    table = {int(code): (meaning, texts.get(page, page)) for code, meaning, page in rows}

    assert {code: row for code, row in table.items() if code >= 4000} == TABLE
    assert {1000, 1006} <= table.keys()
