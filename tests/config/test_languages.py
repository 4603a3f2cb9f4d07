"""Pages are in the visitor's language, rows in that of the site, and no cache mixes them up."""

import pytest
from django.template import Context, Template
from django.test import Client
from django.utils import translation

from realtime.boards.models import Board, Entry

GERMAN = {"accept-language": "de-AT,de;q=0.9"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def address() -> str:
    board = Board.objects.create(slug="pier", title="Pier")
    Entry.objects.create(board=board, label="Ferry", status="warning")
    return board.get_absolute_url()


@pytest.mark.parametrize(
    "languages, lang, words",
    [
        ("de-AT,de;q=0.9", "de", "Anmelden"),
        ("en-US,en;q=0.9,de;q=0.8", "en-gb", "Sign in"),
        ("fr,de;q=0.5", "de", "Anmelden"),
        ("fr", "en-gb", "Sign in"),
        ("", "en-gb", "Sign in"),
    ],
)
def test_a_page_is_in_the_first_language_that_both_know(client, address, languages, lang, words):
    page = client.get(address, headers={"accept-language": languages})

    assert f'<html lang="{lang}">' in page.text
    assert (">Deutsch<" in page.text, ">English<" in page.text) == (lang != "de", lang == "de")
    assert words in page.text
    assert page["Content-Language"] == lang


def test_a_choice_counts_for_more_than_the_browser(client, address):
    """By a plain form, without a token and without JavaScript; afterwards the same page is shown."""
    chosen = Client(enforce_csrf_checks=True)
    answer = chosen.post("/language/", {"language": "en-gb", "next": address}, headers=GERMAN)

    assert (answer.status_code, answer["Location"]) == (302, address)
    assert '<html lang="en-gb">' in chosen.get(address, headers=GERMAN).text


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_a_choice_leads_to_no_other_site(client, target):
    answer = client.post("/language/", {"language": "de", "next": target})

    assert answer["Location"] == "/"


@pytest.mark.parametrize("path", ["/", "/boards/pier/", "/nowhere/", "/admin/login/", "/link/"])
def test_no_cache_may_show_a_page_to_a_visitor_with_another_language(client, address, path):
    page = client.get(path, headers=GERMAN)

    varied = {each.strip().lower() for each in page["Vary"].split(",")}
    assert {"cookie", "accept-language"} <= varied
    assert "private" in page["Cache-Control"]


@pytest.mark.parametrize("path", ["rows", "feed/rss/", "feed/atom/", "feed/json/", "qr.svg"])
def test_rows_and_feeds_are_the_same_for_all(client, address, path):
    """They depend on no visitor's language, so that caches may share them."""
    both = [client.get(f"{address}{path}", headers=given) for given in ({}, GERMAN)]

    assert [each.status_code for each in both] == [200, 200]
    assert both[0].content == both[1].content
    assert "accept-language" not in both[0].get("Vary", "").lower()


def test_rows_in_a_german_page_are_those_of_every_page(client, address):
    """A row is the same wherever it is rendered: the page around it is in another language."""
    pages = [client.get(address, headers=given).text for given in ({}, GERMAN)]
    rows = [page.partition("data-rows>")[2].partition("</tbody>")[0] for page in pages]

    assert rows[0] == rows[1]
    assert "Watch" in rows[0]


def test_texts_of_scripts_are_in_pages_of_other_languages_only(client, address):
    english, german = (client.get(address, headers=given).text for given in ({}, GERMAN))

    assert "data-realtime-texts" not in english
    assert '"no longer allowed":"nicht mehr erlaubt"' in german


def test_a_translation_ends_no_script(monkeypatch):
    """Translations are text, whatever they hold."""
    rendered = Template("{% load realtime %}{% realtime_texts %}")
    monkeypatch.setattr("realtime.templatetags.realtime.script_texts", lambda *_: {"live": "</script><b>"})

    with translation.override("de"):
        html = rendered.render(Context())

    assert html.count("</script>") == 1
    assert "\\u003C/script\\u003E" in html
