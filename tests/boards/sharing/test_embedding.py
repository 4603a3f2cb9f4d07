"""A board in a frame on pages of sites that it names, and of no others."""

from html.parser import HTMLParser

import pytest
from django.urls import reverse

from realtime.boards.models import Board


@pytest.fixture
def address(board):
    return reverse("boards:embed", args=[board.slug])


def policy(response):
    return dict(
        part.strip().partition(" ")[::2]
        for part in response["Content-Security-Policy"].split(";")
        if part.strip()
    )


def test_no_site_may_embed_a_board_by_default(client, board, entry, address):
    """The page exists, for the site itself to look at."""
    response = client.get(address)

    assert b"Saltmere" in response.content
    assert policy(response)["frame-ancestors"] == "'none'"
    assert response["X-Frame-Options"] == "DENY"


def test_the_sites_of_a_board_may_embed_it(client, board, address):
    """The rest of the policy stays; X-Frame-Options, which allows no list of sites, is left out."""
    before = policy(client.get(address))
    Board.objects.filter(pk=board.pk).update(embed_origins="https://example.com\nhttp://localhost:8080/")

    response = client.get(address)

    assert policy(response) == before | {"frame-ancestors": "https://example.com http://localhost:8080"}
    assert not response.has_header("X-Frame-Options")


@pytest.mark.parametrize("text", ["*", "'self'", "https://a; script-src *", "data:", "https://*.example.com"])
def test_what_is_written_in_sql_opens_nothing(client, board, address, text):
    """The list becomes part of a header."""
    Board.objects.filter(pk=board.pk).update(embed_origins=text)

    response = client.get(address)

    assert policy(response)["frame-ancestors"] == "'none'"
    assert response["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("name", ["board", "wall", "share", "import", "history"])
def test_only_the_page_for_frames_may_be_embedded(editor_client, board, name):
    """On the others there are buttons, which a page around them could lead clicks to."""
    Board.objects.filter(pk=board.pk).update(embed_origins="https://example.com")

    response = editor_client.get(reverse(f"boards:{name}", args=[board.slug]))

    assert response.status_code == 200
    assert policy(response)["frame-ancestors"] == "'none'"


def test_there_is_nothing_to_click_that_writes(editor_client, board, entry, address):
    """Also for a user who may."""
    html = editor_client.get(address).content.decode()

    assert "<form" not in html
    assert "editing.js" not in html
    assert 'target="_blank" rel="noopener"' in html


def test_a_private_board_is_not_found_in_a_frame(client, staff_board):
    """Browsers send no session there."""
    Board.objects.filter(pk=staff_board.pk).update(embed_origins="https://example.com")

    response = client.get(reverse("boards:embed", args=[staff_board.slug]))

    assert response.status_code == 404
    assert policy(response)["frame-ancestors"] == "'none'"


class Element(HTMLParser):
    """The attributes of the only element of a text."""

    def __init__(self, text):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_the_element_for_the_page_is_complete(editor_client, board, address):
    """Whatever the title has, it is one element with the whole address."""
    title = 'A "quay" <script>'
    Board.objects.filter(pk=board.pk).update(title=title)
    page = Element(editor_client.get(reverse("boards:share", args=[board.slug])).content.decode())
    assert ("script", {}) not in page.found
    html = editor_client.get(reverse("boards:share", args=[board.slug])).context["snippet"]

    [(tag, attributes)] = Element(html).found

    assert tag == "iframe"
    assert attributes["src"] == f"http://testserver{address}"
    assert attributes["title"] == title


class Copied(HTMLParser):
    """The texts of the fields of a page that browsers let a user copy."""

    def __init__(self, html):
        super().__init__()
        self.texts: list[str] = []
        self._is_area = False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        has = dict(attributes)
        self._is_area = tag == "textarea" and "readonly" in has
        if self._is_area:
            self.texts.append("")
        elif tag == "input" and "readonly" in has:
            self.texts.append(has["value"] or "")

    def handle_endtag(self, tag):
        self._is_area = False

    def handle_data(self, data):
        if self._is_area:
            self.texts[-1] += data


@pytest.mark.parametrize(
    "title", ['Pier "A" onload=alert(1) x="', "</textarea><script>", "A & B", "&quot; onload=alert(1)", "'"]
)
def test_the_element_that_an_editor_copies_is_escaped(editor_client, board, title):
    """Browsers decode the text of the field; what is then copied is one element, with the title as its title."""
    Board.objects.filter(pk=board.pk).update(title=title)
    html = editor_client.get(reverse("boards:share", args=[board.slug])).content.decode()

    address, text = Copied(html).texts

    assert address == f"http://testserver{board.get_absolute_url()}"
    [(tag, attributes)] = Element(text).found
    assert (tag, attributes["title"]) == ("iframe", title)
    assert {*attributes} == {"src", "title", "width", "height", "loading", "style"}
