"""The service worker of walls, as the server has it; tests/browser/test_screens.py has what it does."""

from django.urls import reverse

from realtime.boards.models import Board


def test_walls_of_public_boards_are_kept(client, board):
    response = client.get(reverse("boards:wall", args=["quay"]))

    assert response["Wall-Copy"] == "keep"
    assert "data-is-kept" in response.content.decode()


def test_no_wall_with_a_private_board_is_kept(editor_client, board, staff_board):
    """Its copy would outlast a sign-out."""
    for query in ["safe/wall/", "quay/wall/?then=safe"]:
        response = editor_client.get(f"/boards/{query}")

        assert "Wall-Copy" not in response
        assert "data-is-kept" not in response.content.decode()


def test_the_worker_can_be_switched_off(client, board, settings):
    """The script that browsers fetch instead removes it and all that it kept."""
    assert "respondWith" in client.get("/wall-worker.js").content.decode()

    settings.BOARDS_WALL_COPIES = False

    response = client.get("/wall-worker.js")
    assert "unregister" in response.content.decode()
    assert "respondWith" not in response.content.decode()
    assert response["Cache-Control"] == "no-cache"
    assert response["Content-Type"].startswith("text/javascript")
    wall = client.get(reverse("boards:wall", args=["quay"]))
    assert "Wall-Copy" not in wall
    assert "data-worker" not in wall.content.decode()


def test_the_worker_stands_above_every_wall(client, db):
    """A browser lets it have addresses below its own alone, also under a script prefix."""
    worker = reverse("boards:wall_worker").rpartition("/")[0]

    for board in Board.objects.all():
        assert reverse("boards:wall", args=[board.slug]).startswith(worker)
    assert reverse("boards:screen").startswith(worker)


def test_only_the_pages_of_walls_may_start_it(client, board):
    walls = [reverse("boards:wall", args=["quay"]), reverse("boards:screen")]

    assert all(
        "trusted-types realtime boards" in client.get(page)["Content-Security-Policy"] for page in walls
    )
    assert "boards" not in client.get(board.get_absolute_url())["Content-Security-Policy"]
