"""Tokens that give a right: shown once, stored as a digest."""

import pytest

from realtime.boards.exchange.models import RowToken
from realtime.boards.secret_tokens import digest_of
from realtime.boards.sharing.models import BoardLink

KINDS = pytest.mark.parametrize("kind", [RowToken, BoardLink])


@KINDS
def test_a_token_is_found_by_its_text_until_it_is_revoked(kind, board, editor):
    """The text that was returned once, and no other."""
    token, text = kind.make(board, "Timetable", editor)

    assert kind.found(text) == token
    assert kind.found(text[:-1]) is None
    assert kind.found(text + "x") is None
    token.delete()
    assert kind.found(text) is None


@KINDS
def test_no_column_has_the_text(kind, board, editor):
    """A reader of a backup of the database cannot use what is stored."""
    token, text = kind.make(board, "Timetable", editor)

    stored = str(kind.objects.filter(pk=token.pk).values().get())

    assert text not in stored
    assert digest_of(text) in stored
    assert kind.found(token.digest) is None


@pytest.mark.parametrize("text", ["", "\0", "\ud800", "é", "a" * 100_000])
def test_a_token_of_any_text_may_be_looked_up(text, db):
    """A client may send any text."""
    assert RowToken.found(text) is None


def test_texts_are_long_and_random(board, editor):
    """256 bits: guessing them is hopeless, so the digest needs no salt and the check no delay."""
    texts = {BoardLink.make(board, "screen", editor)[1] for _ in range(20)}

    assert len(texts) == 20
    assert min(map(len, texts)) >= 43


@KINDS
def test_a_token_of_a_deactivated_account_is_refused(kind, board, editor):
    """A user who may not sign in cannot write by a token; an account that is active again has its tokens again."""
    token, text = kind.make(board, "Timetable", editor)

    editor.is_active = False
    editor.save()
    assert kind.found(text) is None

    editor.is_active = True
    editor.save()
    assert kind.found(text) == token


@KINDS
@pytest.mark.parametrize("delete", ["one", "many", "admin"])
def test_a_token_ends_with_its_account(kind, board, editor, admin_client, delete):
    """An account that was deactivated before does not get its rights back by being deleted."""
    text = kind.make(board, "Timetable", editor)[1]
    kept = kind.make(board, "Command", None)[1]
    users = type(editor).objects.filter(pk=editor.pk)
    users.update(is_active=False)

    match delete:
        case "one":
            editor.delete()
        case "many":
            users.delete()
        case "admin":
            asked = admin_client.get(f"/admin/auth/user/{editor.pk}/delete/")
            assert "Timetable" in asked.content.decode()
            admin_client.post(f"/admin/auth/user/{editor.pk}/delete/", {"post": "yes"})

    assert not users.exists()
    assert kind.found(text) is None
    assert kind.found(kept) is not None
