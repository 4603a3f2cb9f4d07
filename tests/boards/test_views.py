import re
from html import unescape

import pytest
from django.urls import reverse

from realtime.boards.models import Board

from .test_templates import EVIL

INDEX = "/"


def page(client, path=INDEX):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_the_index_shows_a_visitor_the_public_boards(client, board, staff_board):
    """Others are not so much as mentioned."""
    html = page(client)

    assert "The quay" in html
    assert "Harbour safe" not in html
    assert "staffboards" not in html
    assert "For staff only" not in html


def test_the_index_shows_staff_every_board(editor_client, board, staff_board):
    """Both lists follow their topic."""
    html = page(editor_client)

    assert "The quay" in html
    assert "Harbour safe" in html
    assert '<live-topic topic="boards" position="' in html
    assert '<live-topic topic="staffboards" position="' in html


def test_a_page_is_complete_without_javascript(client, board, entry):
    """The first paint holds every visible entry, and the position it is as of."""
    board.entries.create(label="Kept back", is_visible=False)

    html = page(client, board.get_absolute_url())

    assert "<h1>The quay</h1>" in html
    assert f'<live-topic topic="board.{board.pk}" position="' in html
    assert f'<live-topic topic="entries.{board.pk}" position="' in html
    assert all(text in html for text in ["Saltmere", "06:40", "OK", "Pier 2"])
    assert "Kept back" not in html


def test_an_empty_board_says_so(client, board):
    """The words for an empty board are in the page from the start, so that they can show later."""
    assert '<p class="empty" data-empty>' in page(client, board.get_absolute_url())

    board.entries.create(label="First")

    assert '<p class="empty" data-empty hidden>' in page(client, board.get_absolute_url())


@pytest.mark.parametrize("slug", ["with space", "größe", "a/b", "javascript:alert(1)", EVIL[:50], "?#%"])
def test_a_slug_written_in_sql_breaks_no_list(client, board, slug):
    """Forms take letters and digits alone; whatever else is there has its page like the others."""
    Board.objects.filter(pk=board.pk).update(slug=slug)

    html = page(client)

    [link] = re.findall(r'class="card-title" href="(.*?)"', html)
    assert link.startswith("/boards/")
    assert "The quay" in page(client, unescape(link))


def test_a_staff_board_does_not_exist_for_others(client, staff_board, visitor):
    """Its address answers as one that was never given out does."""
    client.force_login(visitor)

    hidden = client.get(staff_board.get_absolute_url())
    unknown = client.get(reverse("boards:board", args=["unknown"]))

    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert b"Harbour safe" not in hidden.content
    assert hidden.content.replace(b"safe", b"unknown") == unknown.content


def test_a_staff_board_is_a_page_for_staff(editor_client, staff_board):
    """Its heading says that others do not see it."""
    html = page(editor_client, staff_board.get_absolute_url())

    assert "<h1>Harbour safe</h1>" in html
    assert "Staff only" in html


def test_the_way_to_the_tools_is_shown_to_staff_only(client, visitor, editor):
    """Everyone else is not bothered with pages that would turn them away."""
    links = [reverse("admin:index"), reverse("realtime:inspector")]

    assert not any(f'href="{link}"' in page(client) for link in links)
    assert "Sign in" in page(client)

    client.force_login(visitor)
    assert not any(f'href="{link}"' in page(client) for link in links)

    client.force_login(editor)
    assert all(f'href="{link}"' in page(client) for link in links)


def test_signing_out_leads_back_to_the_boards(editor_client):
    """Whoever signs out sees what everyone sees."""
    response = editor_client.post(f"{reverse('admin:logout')}?next={INDEX}", follow=True)

    assert response.redirect_chain == [(INDEX, 302)]
    assert "Sign in" in response.content.decode()


def test_pages_run_no_inline_script_or_style(editor_client, board, entry):
    """So that a strict content security policy can forbid them."""
    for path in [INDEX, board.get_absolute_url()]:
        html = page(editor_client, path)

        assert html.count("<script") == html.count('<script type="module" src=') == 1
        assert "<style" not in html
        assert " style=" not in html


def test_pages_that_name_no_icon_get_one(client):
    """Browsers ask for it there; the log stays free of it."""
    assert client.get("/favicon.ico")["Location"] == "/static/boards/favicon.svg"


def test_headings_and_title_of_a_board_are_escaped(client, db):
    """The page's own frame treats editors' texts as text, too."""
    headings = dict.fromkeys(["label_heading", "value_heading", "status_heading", "note_heading"], EVIL[:60])
    board = Board.objects.create(slug="evil", title=EVIL, **headings)

    assert "<script>" not in page(client, board.get_absolute_url())


# ---------------------------------------------------------------- headers

OURS = {
    "default-src": "'none'",
    "script-src": "'self'",
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
# Its jQuery turns text into elements all over.
ADMINS = {name: sources for name, sources in OURS.items() if "trusted-types" not in name}


def assert_is_guarded(response, policy=OURS):
    directives = response["Content-Security-Policy"].split("; ")
    assert dict(directive.split(" ", 1) for directive in directives) == policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"


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
def test_every_answer_may_run_and_load_its_own_files_and_nothing_else(
    editor_client, board, path, status, policy
):
    """Pages, files and refusals: nothing inline, nothing from elsewhere, in no frame."""
    response = editor_client.get(path)

    assert response.status_code == status
    assert_is_guarded(response, policy)


def test_the_sign_in_page_is_guarded(client, db):
    """It is the one that others would most like to stand in a frame."""
    assert_is_guarded(client.get(reverse("admin:login")), ADMINS)


def test_a_refusal_before_any_view_is_guarded(client):
    """Django gives it in the middle of the middleware."""
    response = client.get(INDEX, headers={"host": "evil.example"})

    assert response.status_code == 400
    assert_is_guarded(response)


def test_a_failure_is_guarded(client, monkeypatch):
    """Its page is shown when all else has failed."""
    monkeypatch.setattr("realtime.boards.views.render", None)
    client.raise_request_exception = False

    response = client.get(INDEX)

    assert (response.status_code, b"Something failed here" in response.content) == (500, True)
    assert_is_guarded(response)


def test_a_form_from_elsewhere_is_refused_with_a_page_of_ours(client, db):
    """Django's own has its style inline, which the policy forbids."""
    client.handler.enforce_csrf_checks = True

    response = client.post(reverse("admin:login"))

    assert (response.status_code, b"This form was not taken" in response.content) == (403, True)
    assert_is_guarded(response, ADMINS)


@pytest.mark.parametrize("path", [INDEX, "/boards/quay/", "/boards/safe/", "/realtime/inspector/", "/admin/"])
@pytest.mark.parametrize("is_staff", [True, False], ids=["staff", "nobody"])
def test_no_cache_answers_others_with_a_page(client, board, staff_board, editor, path, is_staff):
    """Each says to whom it leads and who may see what; a board that is not there for one is there for another."""
    if is_staff:
        client.force_login(editor)

    response = client.get(path)

    assert {"private", "no-cache"} <= {*response["Cache-Control"].split(", ")}
    assert "Cookie" in response["Vary"]
    # Boards come back from the back/forward cache, which keeps nothing that is not to be stored.
    assert path == "/admin/" or "no-store" not in response["Cache-Control"]


@pytest.mark.parametrize("count", [0, 60])
def test_a_board_takes_as_many_queries_with_many_entries_as_with_none(
    count, client, board, django_assert_max_num_queries
):
    """No query per row."""
    for number in range(count):
        board.entries.create(label=f"Entry {number}")

    with django_assert_max_num_queries(12):
        page(client, board.get_absolute_url())
