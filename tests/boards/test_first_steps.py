"""The first steps of a newcomer at a terminal."""

import pytest

from realtime.boards import first_steps
from realtime.boards.kinds import KINDS
from realtime.boards.models import Board


def typed(*answers):
    """Return a function that reads these answers, and then the end of the input."""
    rest = iter(answers)

    def read(_question):
        try:
            return next(rest)
        except StopIteration:
            raise EOFError from None

    return read


@pytest.mark.parametrize(
    "answers, chosen",
    [
        (["1"], KINDS[0]),
        ([f" {len(KINDS)} "], KINDS[-1]),
        (["0", "99", "x", "²", "3"], KINDS[2]),
        ([""], None),
        ([], None),
        (["nonsense"], None),
    ],
)
def test_a_kind_is_chosen_by_its_number(answers, chosen):
    """Another answer is asked for again; Enter, and the end of the input, choose none."""
    said: list[str] = []

    assert first_steps.choose(typed(*answers), said.append) is chosen
    assert any(f"{KINDS[2].title}: {KINDS[2].words}" in line for line in said)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_first_board_is_of_the_chosen_kind(board, kind):
    made = first_steps.begin(kind)

    assert Board.objects.get(slug=f"my-{str(kind.title).lower()}".replace(" ", "-")) == made
    assert made.entries.count() == len(kind.rows)
    assert made.position > board.position


def test_the_guide_names_page_and_wall(board, monkeypatch):
    """On a machine without a network there is no line for phones."""
    monkeypatch.setattr(first_steps, "address_in_network", lambda: None)

    text = first_steps.guide(board, "http://127.0.0.1:8000", "127.0.0.1", 8000)

    assert f"http://127.0.0.1:8000/admin/login/?next={board.get_absolute_url()}" in text
    assert f"http://127.0.0.1:8000{board.get_absolute_url()}wall/" in text
    assert "phone" not in text


@pytest.mark.parametrize(
    "host, allowed, has_code",
    [
        ("127.0.0.1", ["localhost"], False),
        ("127.0.0.1", ["192.168.7.9"], False),
        ("0.0.0.0", ["localhost"], False),
        ("0.0.0.0", ["localhost", "192.168.7.9"], True),
        ("tide.example", ["*"], False),
    ],
)
def test_a_phone_gets_a_code_only_where_it_would_be_answered(
    board, settings, monkeypatch, host, allowed, has_code
):
    """Otherwise the guide has the line that makes it so: the network is let in by choice only."""
    monkeypatch.setattr(first_steps, "address_in_network", lambda: "192.168.7.9")
    settings.ALLOWED_HOSTS = allowed

    text = first_steps.guide(board, "http://127.0.0.1:8000", host, 8000)

    assert (f"http://192.168.7.9:8000{board.get_absolute_url()}" in text) == has_code
    assert ("█" in text or "▀" in text or "▄" in text) == has_code
    assert ("HOST=0.0.0.0 ALLOWED_HOSTS='" in text) == (not has_code)


def test_an_address_in_the_network_is_none_of_this_machine_alone():
    address = first_steps.address_in_network()

    assert address is None or not address.startswith("127.")
