"""The addresses of the demo's pages."""

import pytest
from django.urls import Resolver404, resolve, reverse

from realtime.boards import urls


@pytest.mark.parametrize("slug", ["quay", "a board", "à/b", "50%", "?x#y"])
def test_every_slug_has_an_address(slug):
    """SQL can write any text into a slug, and an address that cannot be made would break the list of boards."""
    address = reverse("boards:board", args=[slug])

    assert address.startswith("/boards/")
    assert "?" not in address
    assert "#" not in address


@pytest.mark.combinations("slug", "page", "method")
@pytest.mark.parametrize("slug", ["%00", "a%00", "%00/b", "%ED%A0%80"])
@pytest.mark.parametrize("page", ["", "wall/", "history/", "notices/", "notices/1/end/", "history/1/undo/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_slug_that_no_database_can_store_is_not_found(
    slug, page, method, editor_client, board, storable_queries
):
    """PostgreSQL rejects a query with a null character."""
    with storable_queries():
        response = getattr(editor_client, method)(f"/boards/{slug}/{page}")

    assert response.status_code in (404, 405)


@pytest.mark.parametrize("slug", ["a\0b", "\ud800"])
def test_an_address_has_no_slug_that_no_database_can_store(slug):
    with pytest.raises(Resolver404):
        resolve(f"/boards/{slug}/")


@pytest.mark.parametrize("digest", ["%00", "a%00", "%ED%A0%80"])
def test_a_digest_that_no_database_can_store_is_not_found(digest, client, board, storable_queries):
    """Logos have an address for everybody."""
    with storable_queries():
        response = client.get(f"/logos/{digest}/")

    assert response.status_code == 404


def test_the_index_is_the_front_page():
    assert reverse("boards:index") == "/"
    assert resolve("/").view_name == "boards:index"


KEYED = [each for each in urls.urlpatterns if "key" in each.pattern.converters]


@pytest.mark.combinations("pattern", "key", "method")
@pytest.mark.parametrize("pattern", KEYED, ids=lambda each: each.name)
@pytest.mark.parametrize(
    "key", [2**63 - 1, 2**63, 10**22, 10**5000], ids=["last", "next", "large", "endless"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_key_that_no_row_has_is_not_found(pattern, key, method, editor_client, board):
    """However large it is: SQLite cannot compare with a number above 63 bits, and Python reads no endless one."""
    digits = str(key) if key < 10**100 else "1" + "0" * 5000
    path = "/" + str(pattern.pattern).replace("<board:slug>", board.slug)

    response = getattr(editor_client, method)(path.replace("<key:key>", digits), follow=True)

    is_undo = pattern.name == "undo" and method == "post" and key < 2**63
    assert response.status_code in ([200] if is_undo else [404, 405])
