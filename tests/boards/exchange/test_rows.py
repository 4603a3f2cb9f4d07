"""The rows of a board for programs: who may read and write them, and every kind of error by row."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from realtime.boards import history
from realtime.boards.exchange import rows as endpoint
from realtime.boards.exchange.models import RowToken
from realtime.boards.models import Board

ROWS = [
    {"label": "Saltmere", "value": "07:10", "status": "warning"},
    {"label": "New", "value": 8, "pinned": True},
]


@pytest.fixture(autouse=True)
def _rates_of_one_moment(monkeypatch):
    monkeypatch.setattr(endpoint, "rates", endpoint.Rates(lambda: 0.0))


@pytest.fixture
def token(board, editor):
    return RowToken.make(board, "Timetable", editor)[1]


@pytest.fixture
def address(board):
    return reverse("boards:rows", args=[board.slug])


@pytest.fixture
def put(client, address, token):
    """Sends a body with the board's token."""

    def put(body, content_type="application/json", text=token, path=address, **headers):
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        given = {"Authorization": f"Bearer {text}"} if text else {}
        return client.put(path, content, content_type=content_type, headers=given | headers)

    return put


def state(board):
    return [(entry.label, entry.value, entry.status, entry.note) for entry in board.entries.all()]


def test_a_program_replaces_the_rows(put, board, entry):
    """Fields of an entry that it does not mention stay; the answer has the number of changes."""
    board.entries.create(label="Gone")

    response = put(ROWS)

    assert response.json() == {"new": 1, "changed": 1, "moved": 0, "gone": 1, "unchanged": 0}
    assert state(board) == [("Saltmere", "07:10", "warning", "Pier 2"), ("New", "8", "", "")]
    assert board.entries.get(label="New").is_pinned


@pytest.mark.parametrize(
    "body, content_type",
    [
        ({"rows": ROWS}, "application/json"),
        (json.dumps(ROWS), "application/json; charset=utf-8"),
        ("Label,Value,Status,Pinned\nSaltmere,07:10,Watch,\nNew,8,,yes\n", "text/csv"),
        ("Label;Value;Status;Pinned\r\nSaltmere;07:10;warning;\r\nNew;8;;ja".encode("cp1252"), "text/csv"),
        (
            "Label\tValue\tStatus\tPinned\nSaltmere\t07:10\twarning\t\nNew\t8\t\tx",
            "text/tab-separated-values",
        ),
    ],
    ids=["object", "list", "csv", "semicolons", "tsv"],
)
def test_rows_may_be_json_or_csv(put, board, entry, body, content_type):
    """CSV is read as the import of the page reads it."""
    assert put(body, content_type).json()["new"] == 1
    assert [row[:3] for row in state(board)] == [("Saltmere", "07:10", "warning"), ("New", "8", "")]


def test_sending_the_same_again_writes_nothing(put, board, entry):
    """Not even the time of a change: a program may send its rows every minute."""
    first = put(ROWS)
    before = [*board.entries.values()]

    with CaptureQueriesContext(connection) as queries:
        second = put(ROWS)

    assert second.json() == {"new": 0, "changed": 0, "moved": 0, "gone": 0, "unchanged": 2}
    assert [*board.entries.values()] == before
    assert second["ETag"] == first["ETag"]
    assert not [each["sql"] for each in queries if each["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_what_a_program_writes_is_one_change_of_the_history(put, board, entry, settings):
    """With the name of its token."""
    settings.BOARDS_HISTORY_DAYS = 30

    put(ROWS)

    [batch] = history.batches(board)
    assert batch.summary == "Program “Timetable”: 1 new, 1 changed"
    assert batch.actor is None


@pytest.mark.parametrize(
    "body, row, column, words",
    [
        ([{"label": "a"}, {"value": "1"}], 2, "label", "name is missing"),
        ([{"label": "a", "status": "late"}], 1, "status", "“late” is not a status"),
        ([{"label": "a", "colour": "red"}], 1, "colour", "no such column"),
        ([{"label": "a", "": "x"}], 1, "", "no such column"),
        ([{"label": "a", "value": ["x"]}], 1, "value", "not a text, a number"),
        ([{"label": {"a": 1}}], 1, "label", "not a text, a number"),
        ([{"label": "x" * 201}], 1, "label", "201 characters long"),
        ([{"label": "a", "visible": "maybe"}], 1, "visible", "neither yes nor no"),
        ([{"label": "a\0"}, {"label": "b\0"}], 1, "label", "cannot be stored"),
        ([{"label": "a"}, "b"], 2, "", "not an object"),
        ([None], 1, "", "not an object"),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_errors_are_named_by_row_and_nothing_is_written(put, board, entry, body, row, column, words):
    """Rows are counted from 1."""
    before = state(board)

    response = put(body)

    if words == "cannot be stored" and response.status_code == 200:
        assert [label for label, *_ in state(board)] == ["a", "b"]  # null characters are blanks here
        return
    assert response.status_code == 422
    [error, *_] = response.json()["errors"]
    assert (error["row"], error["column"]) == (row, column)
    assert words in error["message"]
    assert state(board) == before


def test_errors_of_csv_are_named_by_line(put, board, entry):
    """As an editor of the file sees them."""
    response = put("Name;Status\n\nOslo;late\nRom;ok", "text/csv")

    assert response.status_code == 422
    assert [(error["row"], error["column"]) for error in response.json()["errors"]] == [(3, "status")]


@pytest.mark.parametrize(
    "body, content_type, status",
    [
        (" ", "application/json", 400),
        ("[", "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ("{}", "application/json", 400),
        ('"a"', "application/json", 400),
        ('[{"label": NaN}]', "application/json", 400),
        (b'[{"label": "\xff"}]', "application/json", 400),
        ('[{"label": "\\ud800"}]', "application/json", 400),
        (" ", "text/csv", 400),
        (b"\x89PNG\r\n\x1a\n\0", "text/csv", 400),
        ("a,b,c,d,e,f,g,h,i", "text/csv", 400),
        ("label=a", "application/x-www-form-urlencoded", 415),
        ("x", "application/vnd.ms-excel", 415),
        (json.dumps([{"label": "x"}] * 2001), "application/json", 422),
        ("x,y\n" * 2100, "text/csv", 400),
        ("x" * 3_000_000, "application/json", 413),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str | bytes) else None,
)
def test_a_body_that_cannot_be_read_is_refused_in_json(put, board, entry, body, content_type, status):
    """With a sentence, and nothing is written."""
    response = put(body, content_type)

    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response.json()["error"].endswith(".")
    assert state(board) == [("Saltmere", "06:40", "ok", "Pier 2")]


def test_a_write_requires_a_token_of_this_board(put, client, board, entry, editor, staff_board):
    """All refusals are the same: for a private board, for one that does not exist, and for a token of another one."""
    other = RowToken.make(staff_board, "Other", editor)[1]
    revoked, text = RowToken.make(board, "Old", editor)
    revoked.delete()
    unknown = reverse("boards:rows", args=["unknown"])
    answers = [
        put(ROWS, text=None),
        put(ROWS, text="x"),
        put(ROWS, text=other),
        put(ROWS, text=text),
        put(ROWS, text=other, path=unknown),
        put(ROWS, text=None, path=reverse("boards:rows", args=[staff_board.slug])),
        put(ROWS, text=None, Authorization="Basic c29tZW9uZTpzZWNyZXQ="),
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert state(board) == [("Saltmere", "06:40", "ok", "Pier 2")]
    client.force_login(editor)
    assert put(ROWS, text=None).status_code == 401  # cookies do not count, so no other page can use them


def test_if_match_keeps_a_program_from_overwriting(put, client, board, entry, address, token):
    """It overwrites only what it has read; the answer has the tag of the new rows."""
    read = client.get(address, headers={"Authorization": f"Bearer {token}"})
    assert put(ROWS, **{"If-Match": read["ETag"]}).status_code == 200

    response = put([{"label": "Other"}], **{"If-Match": read["ETag"]})

    assert response.status_code == 412
    assert "Read them again" in response.json()["error"]
    assert len(state(board)) == 2
    again = client.get(address, headers={"Authorization": f"Bearer {token}"})
    assert put([{"label": "Other"}], **{"If-Match": again["ETag"]}).status_code == 200


def test_a_tag_changes_with_every_value_and_place(client, board, entry, address, token):
    """Also of entries that are hidden, for a program that writes them."""
    other = board.entries.create(label="Other", position=5)
    changes: list[dict[str, Any]] = [
        {"value": "x"},
        {"note": "x"},
        {"is_visible": False},
        {"is_pinned": True},
        {"position": 9},
    ]

    tags = [client.get(address, headers={"Authorization": f"Bearer {token}"})["ETag"]]
    for change in changes:
        board.entries.filter(pk=entry.pk).update(**change)
        tags.append(client.get(address, headers={"Authorization": f"Bearer {token}"})["ETag"])

    assert len({*tags}) == len(changes) + 1
    assert other.pk


def test_everyone_may_read_the_visible_rows_of_a_public_board(client, board, entry, address):
    """A second time with nothing but a tag."""
    board.entries.create(label="Hidden", is_visible=False)

    response = client.get(address)

    assert response.json() == {
        "rows": [
            {
                "label": "Saltmere",
                "value": "06:40",
                "unit": "",
                "status": "ok",
                "note": "Pier 2",
                "pinned": False,
                "at": None,
            }
        ]
    }
    again = client.get(address, headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    board.entries.update(value="x")
    assert client.get(address, headers={"If-None-Match": response["ETag"]}).status_code == 200


def test_what_a_program_reads_it_can_write(put, client, board, entry, address, token):
    """The rows of GET are those of PUT."""
    board.entries.create(label="Hidden", is_visible=False, note="=1+1")
    read = client.get(address, headers={"Authorization": f"Bearer {token}"}).json()
    assert [row["label"] for row in read["rows"]] == ["Saltmere", "Hidden"]

    assert put(read).json() == {"new": 0, "changed": 0, "moved": 0, "gone": 0, "unchanged": 2}


def test_a_private_board_is_read_with_its_token_alone(client, editor, staff_board):
    """Without one its address answers as one that is not there, to staff as well: cookies do not count."""
    address = reverse("boards:rows", args=[staff_board.slug])
    token = RowToken.make(staff_board, "Reader", editor)[1]
    client.force_login(editor)

    refused = client.get(address)

    assert refused.status_code == 404
    assert refused.content == client.get(reverse("boards:rows", args=["unknown"])).content
    assert client.get(address, headers={"Authorization": f"Bearer {token}"}).json() == {"rows": []}


def test_too_many_writes_are_refused_with_the_time_to_wait(put, board, entry):
    """Those of one token; another one of the same board may write."""
    answers = [put(ROWS) for _ in range(endpoint.WRITES_AT_ONCE + 1)]

    assert [answer.status_code for answer in answers] == [200] * endpoint.WRITES_AT_ONCE + [429]
    assert 1 <= int(answers[-1]["Retry-After"]) <= 3
    assert put(ROWS, text=RowToken.make(board, "Second", None)[1]).status_code == 200


def test_rates_count_threads_together():
    """Requests run in threads of one process."""
    rates = endpoint.Rates(lambda: 0.0)

    def spend(_: int) -> bool:
        try:
            rates.spend(1)
        except endpoint.Refusal:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        allowed = sum(pool.map(spend, range(100)))

    assert allowed == endpoint.WRITES_AT_ONCE


@pytest.mark.parametrize("method", ["post", "patch", "delete"])
def test_other_methods_are_refused(client, board, address, method):
    """The answer names those that there are."""
    response = getattr(client, method)(address)

    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD, PUT, OPTIONS")


def test_sites_that_the_board_names_may_read_it(client, board, entry, address):
    """Other sites get no permission, nor does any site for a private board."""
    Board.objects.filter(pk=board.pk).update(embed_origins="https://example.com\nhttps://other.example")

    allowed = client.get(address, headers={"Origin": "https://example.com"})
    refused = client.get(address, headers={"Origin": "https://evil.example"})

    assert allowed["Access-Control-Allow-Origin"] == "https://example.com"
    assert allowed["Access-Control-Expose-Headers"] == "ETag"
    assert "Access-Control-Allow-Credentials" not in allowed
    assert not refused.has_header("Access-Control-Allow-Origin")
    assert all("Origin" in answer["Vary"] for answer in (allowed, refused))
    Board.objects.filter(pk=board.pk).update(is_public=False)
    assert not client.get(address, headers={"Origin": "https://example.com"}).has_header(
        "Access-Control-Allow-Origin"
    )


@pytest.mark.parametrize(
    "origin",
    ["null", "https://example.com.evil", "http://example.com", "https://example.com:444"],
)
def test_an_origin_is_compared_as_a_whole(client, board, address, origin):
    """With scheme and port."""
    Board.objects.filter(pk=board.pk).update(embed_origins="https://example.com")

    assert not client.get(address, headers={"Origin": origin}).has_header("Access-Control-Allow-Origin")


def test_a_page_may_ask_with_a_tag_but_not_write(client, board, address):
    """Browsers send a preflight request before such a header."""
    Board.objects.filter(pk=board.pk).update(embed_origins="https://example.com")

    asked = client.options(
        address, headers={"Origin": "https://example.com", "Access-Control-Request-Method": "PUT"}
    )

    assert asked.status_code == 204
    assert asked["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert asked["Access-Control-Allow-Headers"] == "If-None-Match"


def test_the_time_of_the_last_use_is_noted(put, board, entry):
    """At most once a minute, so that a busy program writes no more than its rows."""
    put(ROWS)
    first = RowToken.objects.get().used_at

    put(ROWS)

    assert first is not None
    assert RowToken.objects.get().used_at == first


ROOT = Path(__file__).resolve().parents[3]
COMMANDS = re.findall(r"```sh\n(curl .*?)```", (ROOT / "docs" / "boards.md").read_text(), re.DOTALL)


@pytest.mark.server
def test_the_documented_commands_work_as_they_stand(live_server, tmp_path, editor, settings):
    """With the address and the tag of this server; each prints what the document says."""
    settings.ALLOWED_HOSTS = ["*"]
    board = Board.objects.create(slug="departures", title="Departures")
    board.entries.create(label="Oslo", value="06:00")
    (tmp_path / "rows.csv").write_text("Label,Value\nOslo,07:00\nParis,07:20\n")
    token = RowToken.make(board, "Timetable", editor)[1]
    answers = []
    for command in COMMANDS:
        tag = endpoint.etag_of(endpoint.encoded(board.entries.all(), with_hidden=True))
        command = command.replace("http://localhost:8000", live_server.url)
        command = command.replace('"0123456789abcdef0123456789abcdef"', tag)
        done = subprocess.run(
            ["bash", "-c", f"{command.rstrip()} --silent --show-error"], cwd=tmp_path, capture_output=True, text=True,
            env={"TOKEN": token, "PATH": os.environ["PATH"]}, timeout=60, check=True,
        )  # fmt: skip
        answers.append(done.stdout)

    assert json.loads(answers[0]) == {"new": 1, "changed": 1, "moved": 0, "gone": 0, "unchanged": 0}
    assert json.loads(answers[1]) == {"new": 1, "changed": 1, "moved": 0, "gone": 1, "unchanged": 0}
    assert [row["label"] for row in json.loads(answers[2])["rows"]] == ["Oslo", "Rome"]
    assert 'ETag: "' in answers[3]
    assert json.loads(answers[4])["new"] == 1
    assert len(answers) == 5


@pytest.mark.parametrize("end", ["revoked", "deactivated"])
def test_a_token_that_ends_while_a_write_waits_writes_nothing(put, board, entry, editor, monkeypatch, end):
    """A write waits for the lock of the board; what is true when it has the lock counts."""

    def lock_board(key):
        if end == "revoked":
            RowToken.objects.all().delete()
        else:
            type(editor).objects.update(is_active=False)
        return Board.objects.get(pk=key)

    monkeypatch.setattr(endpoint, "lock_board", lock_board)

    assert put(ROWS).status_code == 401
    assert state(board) == [("Saltmere", "06:40", "ok", "Pier 2")]


AT = "2026-11-26T18:45:00+01:00"


@pytest.fixture
def _in_oslo(board):
    Board.objects.filter(pk=board.pk).update(time_zone="Europe/Oslo")


@pytest.mark.usefixtures("_in_oslo")
def test_a_program_reads_and_writes_times(put, client, board, entry, address, token):
    """With an offset, or by the clock of the board; what it leaves out stays, and null clears."""
    first = put([{"label": "Saltmere", "at": AT, "shows_from": "2026-01-01 08:00", "weekdays": "Mon, Tue"}])
    [row] = client.get(address, headers={"Authorization": f"Bearer {token}"}).json()["rows"]

    assert first.json()["changed"] == 1
    assert (row["at"], row["shows_from"], row["weekdays"]) == (AT, "2026-01-01T08:00:00+01:00", "12")
    assert put({"rows": [row]}).json()["unchanged"] == 1
    assert put([{"label": "Saltmere"}]).json()["unchanged"] == 1
    assert put([{"label": "Saltmere", "at": None}]).json()["changed"] == 1
    entry.refresh_from_db()
    assert (entry.at, entry.weekdays, entry.clock) == (None, "12", "Europe/Oslo")


@pytest.mark.parametrize("name", ["at", "shows_from", "shows_until", "weekdays"])
def test_a_tag_changes_with_times(client, board, entry, address, token, name):
    """A program that states it in If-Match overwrites no change to them."""
    headers = {"Authorization": f"Bearer {token}"}
    before = client.get(address, headers=headers)["ETag"]

    board.entries.update(**{name: "3" if name == "weekdays" else "2026-11-26T18:45Z"})

    assert client.get(address, headers=headers)["ETag"] != before


@pytest.mark.usefixtures("_in_oslo")
@pytest.mark.parametrize(
    "row, column",
    [
        ({"at": "2026-03-29 02:30"}, "at"),
        ({"at": "2026-10-25 02:30"}, "at"),
        ({"shows_until": "soon"}, "shows_until"),
        ({"weekdays": "Foo"}, "weekdays"),
        ({"shows_from": "2026-11-26 18:45", "shows_until": "2026-11-26 18:45"}, "shows_until"),
    ],
)
def test_wrong_times_are_named_by_row(put, board, entry, row, column):
    """By the name of the column in JSON."""
    response = put([{"label": "Saltmere"}, {"label": "Other"} | row])

    assert response.status_code == 422
    assert [(each["row"], each["column"]) for each in response.json()["errors"]] == [(2, column)]


def test_without_a_token_only_the_time_of_an_entry_is_read(client, board, entry, address):
    """When an entry is shown is only for clients with a token."""
    board.entries.update(at="2026-11-26T18:45Z", shows_from="2026-01-01T00:00Z", is_due=True)

    [row] = client.get(address).json()["rows"]

    assert row["at"].startswith("2026-11-26T")
    assert not {"shows_from", "shows_until", "weekdays", "visible"} & {*row}
