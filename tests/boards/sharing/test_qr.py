"""QR codes of addresses, as SVG."""

import re
from xml.etree import ElementTree

import pytest
import segno
from django.urls import reverse

from realtime.boards.models import Board
from realtime.boards.sharing import qr


def path_of(svg):
    """Return the squares of a code."""
    return re.findall(r' d="([^"]+)"', svg)[-1]


def test_the_code_is_that_of_the_boards_address(client, board):
    """As a phone in the same network would open it."""
    response = client.get(reverse("boards:qr", args=[board.slug]), headers={"Host": "testserver"})

    assert response["Content-Type"] == "image/svg+xml"
    assert path_of(response.content.decode()) == path_of(
        segno.make_qr(f"http://testserver{board.get_absolute_url()}").svg_inline(light="#fff")
    )


def test_the_image_is_xml_whatever_the_title_has(client, board):
    """Opened by itself it runs nothing."""
    Board.objects.filter(pk=board.pk).update(title="</title><script>alert(1)</script>&")

    content = client.get(reverse("boards:qr", args=[board.slug])).content

    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(content).iter()}
    assert tags == {"svg", "title", "g", "path"}


def test_a_private_board_has_no_code_for_others(client, editor_client, staff_board):
    """It would show that the board exists."""
    address = reverse("boards:qr", args=[staff_board.slug])
    assert editor_client.get(address).status_code == 200
    editor_client.logout()

    assert client.get(address).status_code == 404


def test_an_element_has_squares_alone():
    """No text of the address that would have to be escaped, and no style that the policy refuses."""
    html = qr.element('https://example.com/link/#"><script>')

    assert "script" not in html
    assert "example" not in html
    assert "style=" not in html
    assert html.startswith("<svg")


@pytest.mark.parametrize("title", ["a\x0bb", "\ufffe", "\x1f" * 9, "a\x7f"])
def test_the_image_is_xml_though_the_title_has_control_characters(client, board, title):
    """XML has no way to write them."""
    Board.objects.filter(pk=board.pk).update(title=title)

    ElementTree.fromstring(client.get(reverse("boards:qr", args=[board.slug])).content)
