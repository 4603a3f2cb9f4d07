"""``{% live %}``: the rows of a topic in a page, and the position that they are as of."""

import contextlib
import re
import sqlite3

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import connection, models
from django.template import Context, Template

from realtime.boards.models import Board, Entry
from realtime.engine.errors import UnknownTopic
from realtime.feeds import registry
from realtime.publishing.positions import position_now, read_topic


@pytest.fixture
def paint(rf):
    """Render a template as a page would, for a user: ``paint("{% live … %}", user, name=value)``."""

    def render(source: str, user=None, **values: object) -> str:
        request = rf.get("/")
        request.user = user or AnonymousUser()
        return Template("{% load realtime %}" + source).render(Context({"request": request, **values}))

    return render


def test_the_rows_are_in_an_element_that_names_topic_and_position(paint, quay):
    """With each row's key and order on its root element, in order: the browser goes on from there."""
    page = paint("{% live 'entries' board.pk %}", board=quay)

    topic = f"entries.{quay.pk}"
    assert page.startswith(f'<live-topic topic="{topic}" position="{position_now()}">')
    rows = read_topic(topic).rows
    assert re.findall(r'data-key="(.*?)" data-order="(.*?)"', page) == [(row.key, row.order) for row in rows]
    assert [page.count(row.html) for row in rows] == [1, 1]
    assert page.rstrip().endswith("</live-topic>")


def test_rows_and_position_are_of_one_snapshot(paint, quay, monkeypatch):
    """What is written between reading the one and the other is in neither."""
    feed = registry["entries"]
    topic_rows = feed.topic_rows
    path = connection.settings_dict["NAME"]

    def write_and_read(key):
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as plain:
            plain.execute("UPDATE boards_entry SET label = 'written in between'")
        return topic_rows(key)

    monkeypatch.setattr(feed, "topic_rows", write_and_read)
    before = position_now()

    page = paint("{% live 'entries' board.pk %}", board=quay)

    assert f'position="{before}"' in page
    assert "written in between" not in page
    assert position_now().offset == before.offset + 2


def test_a_template_of_its_own_gets_the_rows(paint, quay, settings, tmp_path):
    """And what else is in the page's context; afterwards the context is as it was."""
    (tmp_path / "table.html").write_text("<table>{{ caption }}<tbody data-rows>{{ rows }}</tbody></table>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]

    page = paint(
        "{% live 'entries' board.pk template='table.html' %}[{{ rows }}]", board=quay, caption="<Ferries>"
    )

    assert "<table>&lt;Ferries&gt;<tbody data-rows><" in page
    assert page.endswith("[]")


def test_what_is_in_a_row_is_escaped(paint, quay):
    """In the page as in a live row."""
    Entry.objects.filter(label="Saltmere").update(label="<script>alert(1)</script>")

    page = paint("{% live 'entries' board.pk %}", board=quay)

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_topic_is_escaped(paint, make_model, live, settings, tmp_path):
    """A text key may hold anything; keys of rows as well."""
    (tmp_path / "thing.html").write_text("<p>{{ thing.pk }}</p>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    nasty = '"><script>'
    things = make_model(
        "Thing", name=models.CharField(primary_key=True, max_length=50), shelf=models.CharField(max_length=50)
    )
    live(things, name="things", topic_field="shelf", template_name="thing.html")
    things.objects.create(name=nasty, shelf=nasty)

    page = paint("{% live 'things' shelf %}", shelf=nasty)

    assert "<script>" not in page
    assert 'topic="things.&quot;&gt;&lt;script&gt;"' in page
    assert 'data-key="&quot;&gt;&lt;script&gt;"' in page


def test_who_may_not_read_gets_no_page(paint, safe, staff):
    """Rather than an empty place: the view should have asked first."""
    with pytest.raises(PermissionDenied, match=f"entries.{safe.pk}"):
        paint("{% live 'entries' board.pk %}", board=safe)

    assert "s3cret" in paint("{% live 'entries' board.pk %}", staff, board=safe)


def test_a_page_without_a_request_is_nobodys(safe, quay):
    """A mail, a management command: what is public is painted, the rest refused."""
    template = Template("{% load realtime %}{% live 'entries' board.pk %}")

    assert "Saltmere" in template.render(Context({"board": quay}))
    with pytest.raises(PermissionDenied):
        template.render(Context({"board": safe}))


def test_an_unknown_feed_is_told_with_those_there_are(paint, log):
    """The developer sees at once what to write."""
    with pytest.raises(ImproperlyConfigured, match=r"no such feed; registered.*board, boards, entries"):
        paint("{% live 'nothing' %}")


def test_a_feed_without_a_row_template_cannot_be_painted(paint, live):
    """The sentence names the class that needs one."""
    live(Board, name="bare")

    with pytest.raises(ImproperlyConfigured, match="give ThrowAwayFeed a template_name"):
        paint("{% live 'bare' %}")


@pytest.mark.parametrize(
    "source", ["{% live 'entries' %}", "{% live 'entries' 'x' %}", "{% live 'entries' '07' %}"]
)
def test_a_key_that_names_no_topic_is_an_error(paint, log, source):
    """Not an empty list that never fills."""
    with pytest.raises(UnknownTopic):
        paint(source)


def test_tabs_of_one_session_share_a_name_that_does_not_give_it_away(rf, client, django_user_model):
    """Empty without a session; another after a sign-in; not the key itself."""
    source = Template("{% load realtime %}{% live_session %}")
    request = rf.get("/")
    names = [source.render(Context({"request": request}))]
    for name in ("one", "other"):
        client.force_login(django_user_model.objects.create_user(name))
        request.session = client.session
        names.append(source.render(Context({"request": request})))
        assert client.session.session_key not in names[-1]

    assert names[0] == ""
    assert len(set(names)) == 3
    assert source.render(Context({"request": request})) == names[-1]
