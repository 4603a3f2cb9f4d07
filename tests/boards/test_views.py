import re
from html import unescape

import pytest
from django.urls import reverse

from realtime.boards.models import Board
from realtime.runtime.early_script import early_script, early_script_hash

from .test_templates import EVIL

INDEX = "/"


def page(client, path=INDEX):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_the_index_shows_a_visitor_the_public_boards(client, board, staff_board):
    """The page does not mention the others."""
    html = page(client)

    assert "The quay" in html
    assert "Harbour safe" not in html
    assert "staffboards" not in html
    assert "For staff only" not in html


def test_the_index_shows_staff_every_board(editor_client, board, staff_board):
    """Each list follows its topic."""
    html = page(editor_client)

    assert "The quay" in html
    assert "Harbour safe" in html
    assert '<live-topic topic="boards" position="' in html
    assert '<live-topic topic="staffboards" position="' in html


def test_a_page_is_complete_without_javascript(client, board, entry):
    """The HTML contains every visible entry and the position of its content."""
    board.entries.create(label="Kept back", is_visible=False)

    html = page(client, board.get_absolute_url())

    assert "<h1>The quay</h1>" in html
    assert f'<live-topic topic="board.{board.pk}" position="' in html
    assert f'<live-topic topic="entries.{board.pk}" position="' in html
    assert all(text in html for text in ["Saltmere", "06:40", "OK", "Pier 2"])
    assert "Kept back" not in html


def test_an_empty_board_has_a_text(client, board):
    """The text for an empty board is always in the page, so that the browser can show it later."""
    assert '<p class="empty" lang="en-gb" data-empty>' in page(client, board.get_absolute_url())

    board.entries.create(label="First")

    assert '<p class="empty" lang="en-gb" data-empty hidden>' in page(client, board.get_absolute_url())


@pytest.mark.parametrize("slug", ["with space", "größe", "a/b", "javascript:alert(1)", EVIL[:50], "?#%"])
def test_a_slug_written_in_sql_breaks_no_list(client, board, slug):
    """Forms accept letters, digits, hyphens and underscores only; SQL can write any slug, and its page works too."""
    Board.objects.filter(pk=board.pk).update(slug=slug)

    html = page(client)

    [link] = re.findall(r'class="card-title" href="(.*?)"', html)
    assert link.startswith("/boards/")
    assert "The quay" in page(client, unescape(link))


def test_a_staff_board_does_not_exist_for_others(client, staff_board, visitor):
    """Its address answers exactly as an unknown one does."""
    client.force_login(visitor)

    hidden = client.get(staff_board.get_absolute_url())
    unknown = client.get(reverse("boards:board", args=["unknown"]))

    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert b"Harbour safe" not in hidden.content
    assert hidden.content.replace(b"safe", b"unknown") == unknown.content


def test_a_staff_board_is_a_page_for_staff(editor_client, staff_board):
    """Its heading is marked as staff only."""
    html = page(editor_client, staff_board.get_absolute_url())

    assert "<h1>Harbour safe</h1>" in html
    assert "Staff only" in html


def test_admin_and_inspector_are_linked_for_staff_only(client, visitor, editor):
    """Other users do not see links to pages that would refuse them."""
    links = [reverse("admin:index"), reverse("realtime:inspector")]

    assert not any(f'href="{link}"' in page(client) for link in links)
    assert "Sign in" in page(client)

    client.force_login(visitor)
    assert not any(f'href="{link}"' in page(client) for link in links)

    client.force_login(editor)
    assert all(f'href="{link}"' in page(client) for link in links)


def test_signing_out_redirects_to_the_boards(editor_client):
    """The user then sees the public page."""
    response = editor_client.post(f"{reverse('admin:logout')}?next={INDEX}", follow=True)

    assert response.redirect_chain == [(INDEX, 302)]
    assert "Sign in" in response.content.decode()


def test_pages_run_no_inline_style_and_one_inline_script(editor_client, board, entry):
    """A strict content security policy forbids both, and allows this script by its hash."""
    for path, modules in [(INDEX, 2), (board.get_absolute_url(), 4)]:
        html = page(editor_client, path)

        assert html.count('<script type="module" src=') == modules
        assert html.count("<script") - modules == html.count(f">{early_script()}</script>") == 1
        assert "<style" not in html
        assert " style=" not in html


def test_the_default_address_of_an_icon_redirects(client, db):
    """Browsers request it for pages that name no icon; a 404 would fill the log."""
    assert client.get("/favicon.ico")["Location"] == "/static/boards/favicon.svg"


def test_headings_and_title_of_a_board_are_escaped(client, db):
    """The page around the rows escapes editors' texts, too."""
    headings = dict.fromkeys(["label_heading", "value_heading", "status_heading", "note_heading"], EVIL[:60])
    board = Board.objects.create(slug="evil", title=EVIL, **headings)

    assert "<script>" not in page(client, board.get_absolute_url())


# ---------------------------------------------------------------- headers

OURS = {
    "default-src": "'none'",
    "script-src": f"'self' {early_script_hash()}",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "realtime",
}
# The admin's jQuery makes elements of text in many places.
ADMINS = {name: sources for name, sources in OURS.items() if "trusted-types" not in name}


def assert_is_guarded(response, policy=OURS):
    directives = response["Content-Security-Policy"].split("; ")
    assert dict(directive.split(" ", 1) for directive in directives) == policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.usefixtures("static_files")
@pytest.mark.parametrize(
    "path, status, policy",
    [
        (INDEX, 200, OURS),
        ("/boards/quay/", 200, OURS),
        ("/realtime/inspector/", 200, OURS),
        ("/realtime/metrics/", 200, OURS),
        ("/static/realtime/live.js", 200, OURS),
        ("/static/nothing.js", 404, OURS),
        ("/favicon.ico", 302, OURS),
        ("/boards/nothing/", 404, OURS),
        ("/admin/", 200, ADMINS),
        ("/admin/boards/entry/add/", 200, ADMINS),
        ("/admin/auth/user/", 403, ADMINS),
        ("/admin/nothing/", 404, ADMINS),
    ],
)
def test_every_response_restricts_what_a_page_may_load(editor_client, board, path, status, policy):
    """Pages, files and errors allow nothing inline, nothing from other origins, and no framing."""
    response = editor_client.get(path)

    assert response.status_code == status
    assert_is_guarded(response, policy)


def test_the_sign_in_page_is_guarded(client, db):
    """It is the page that is most worth framing for an attacker."""
    assert_is_guarded(client.get(reverse("admin:login")), ADMINS)


def test_a_refusal_by_middleware_is_guarded(client, db):
    """Django answers a bad Host before any view runs."""
    response = client.get(INDEX, headers={"host": "evil.example"})

    assert response.status_code == 400
    assert_is_guarded(response)


def test_a_failure_is_guarded(client, db, monkeypatch):
    """The page for an unhandled exception has the same headers."""
    monkeypatch.setattr("realtime.boards.views.render", None)
    client.raise_request_exception = False

    response = client.get(INDEX)

    assert (response.status_code, b"An error occurred" in response.content) == (500, True)
    assert_is_guarded(response)


def test_a_failed_csrf_check_answers_with_the_projects_page(client, db):
    """Django's own page has inline style, which the policy forbids."""
    client.handler.enforce_csrf_checks = True

    response = client.post(reverse("admin:login"))

    assert (response.status_code, b"This form was not accepted" in response.content) == (403, True)
    assert_is_guarded(response, ADMINS)


@pytest.mark.parametrize("path", [INDEX, "/boards/quay/", "/boards/safe/", "/realtime/inspector/", "/admin/"])
@pytest.mark.parametrize("is_staff", [True, False], ids=["staff", "anonymous"])
def test_no_shared_cache_may_store_a_page(client, board, staff_board, editor, path, is_staff):
    """Pages differ by user: one user's 404 is another user's board."""
    if is_staff:
        client.force_login(editor)

    response = client.get(path)

    assert {"private", "no-cache"} <= {*response["Cache-Control"].split(", ")}
    assert "Cookie" in response["Vary"]
    # Pages with no-store are not kept in the back/forward cache, from which boards are restored.
    assert path == "/admin/" or "no-store" not in response["Cache-Control"]


@pytest.mark.parametrize("count", [0, 60])
def test_the_number_of_queries_does_not_grow_with_the_entries(
    count, client, board, django_assert_max_num_queries
):
    """Rendering a row needs no query."""
    for number in range(count):
        board.entries.create(label=f"Entry {number}")

    with django_assert_max_num_queries(12):
        page(client, board.get_absolute_url())


def test_an_editor_is_offered_to_edit_a_board(editor_client, board, entry):
    """Without JavaScript the link leads to the entries in the admin; other users get no link, script or style."""
    path = board.get_absolute_url()
    html = page(editor_client, path)
    (address,) = re.findall(r'<a class="button" href="([^"]+)" data-edit-board="\d+"[^>]*>Edit</a>', html)

    assert entry.label in page(editor_client, address)
    editor_client.logout()
    assert "edit" not in page(editor_client, path).casefold()
