"""Each page of the boards says of which build it is."""

import pytest

from realtime.boards.builds import build


@pytest.mark.parametrize("path", ["/", "/boards/quay/", "/boards/quay/wall/", "/screen/"])
def test_pages_of_users_have_their_build_and_the_script_that_compares_it(editor_client, board, path):
    html = editor_client.get(path).content.decode()

    assert html.count(f'<meta name="board-build" content="{build()}" data-address="/build/">') == 1
    assert "boards/newer-build.min.js" in html or "boards/wall.min.js" in html


def test_pages_of_visitors_stay_small(client, board):
    """Their first visit has no further request; only walls and screens compare builds without a user."""
    assert "newer-build" not in client.get(board.get_absolute_url()).content.decode()
    assert "board-build" in client.get(f"{board.get_absolute_url()}wall/").content.decode()
