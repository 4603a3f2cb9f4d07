"""The contents of messages and rows, for tests of known rows."""

from typing import TypeVar

from realtime.engine.messages import Change, Encoded, Row, ServerMessage, decode_server

M = TypeVar("M", bound=ServerMessage)


def decode_as(kind: type[M], text: Encoded) -> M:
    """Return the message that a server has encoded; fail if it is of another kind."""
    message = decode_server(text)
    assert isinstance(message, kind)
    return message


def json_of(row: Row | Change) -> bytes:
    """Return the fields of a row, as the wire has them."""
    assert row.row
    return bytes(row.row)


def html_of(row: Row | Change) -> str:
    """Return the HTML of a row that has been rendered."""
    assert isinstance(row.html, str)
    return row.html


DEMO_TABLES = {
    "boards_board",
    "boards_boardlink",
    "boards_entry",
    "boards_message",
    "boards_notice",
    "boards_notice_boards",
    "boards_organisation",
    "boards_reactioncount",
    "boards_screen",
    "boards_screen_then",
}
"""The tables of the demo: its feeds read all of them, and no other app of the tests' settings has a feed."""
