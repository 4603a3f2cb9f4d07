"""``{% live %}``: the rows of a topic in a page, and their position."""

import contextlib
import json
import re
import sqlite3

import pytest
from csp.middleware import CSPMiddleware
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, SynchronousOnlyOperation
from django.db import connection, models
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template, TemplateSyntaxError
from django.urls import get_script_prefix, set_script_prefix

from realtime.boards.models import Board, Entry
from realtime.engine.errors import UnknownTopic
from realtime.feeds import Feed, register, registry
from realtime.publishing import interest
from realtime.publishing.positions import read_topic
from realtime.runtime.early_script import early_script
from tests.support.contents import html_of
from tests.support.positions import position_now


@pytest.fixture
def render(rf):
    """Renders a template like a page, for a user: ``render("{% live … %}", user, name=value)``."""

    def render_source(source: str, user=None, **values: object) -> str:
        request = rf.get("/")
        request.user = user or AnonymousUser()
        return Template("{% load realtime %}" + source).render(Context({"request": request, **values}))

    return render_source


def test_the_rows_are_in_an_element_with_topic_and_position(render, quay):
    """Each row's root element has key, order and digest, so that the browser can continue from there and compare."""
    page = render("{% live 'entries' board.pk %}", board=quay)

    topic = f"entries.{quay.pk}"
    assert page.startswith(f'<live-topic topic="{topic}" position="{position_now()}" rows="2">')
    rows = read_topic(topic).rows
    assert re.findall(r'data-key="(.*?)" data-order="(.*?)"', page) == [(row.key, row.order) for row in rows]
    assert re.findall(r'data-digest="(\d+)"', page) == [str(row.digest_in("html")) for row in rows]
    undigested = re.sub(r' data-digest="\d+"', "", page)
    assert [undigested.count(html_of(row)) for row in rows] == [1, 1]
    assert page.rstrip().endswith("</live-topic>")


def test_rows_and_position_are_from_one_snapshot(render, quay, monkeypatch):
    """A write between reading the position and the rows is in neither."""
    feed = registry["entries"]
    topic_rows = feed.topic_rows
    path = connection.settings_dict["NAME"]

    def write_and_read(key):
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as plain:
            plain.execute("UPDATE boards_entry SET label = 'written between'")
        return topic_rows(key)

    monkeypatch.setattr(feed, "topic_rows", write_and_read)
    before = position_now()

    page = render("{% live 'entries' board.pk %}", board=quay)

    assert f'position="{before}"' in page
    assert "written between" not in page
    assert position_now().offset == before.offset + 2


def test_a_template_of_the_page_gets_the_rows(render, quay, settings, tmp_path):
    """It also gets the page's context, which is unchanged afterwards."""
    (tmp_path / "table.html").write_text("<table>{{ caption }}<tbody data-rows>{{ rows }}</tbody></table>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}]

    page = render(
        "{% live 'entries' board.pk template='table.html' %}[{{ rows }}]", board=quay, caption="<Ferries>"
    )

    assert "<table>&lt;Ferries&gt;<tbody data-rows><" in page
    assert page.endswith("[]")


def test_the_values_of_a_row_are_escaped(render, quay):
    """As in live rows."""
    Entry.objects.filter(label="Saltmere").update(label="<script>alert(1)</script>")

    page = render("{% live 'entries' board.pk %}", board=quay)

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_topic_and_the_keys_of_rows_are_escaped(render, make_model, live, settings, tmp_path):
    """A text key may contain any character."""
    (tmp_path / "thing.html").write_text("<p>{{ thing.pk }}</p>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    nasty = '"><script>'
    things = make_model(
        "Thing", name=models.CharField(primary_key=True, max_length=50), shelf=models.CharField(max_length=50)
    )
    live(things, name="things", topic_field="shelf", template_name="thing.html")
    things.objects.create(name=nasty, shelf=nasty)

    page = render("{% live 'things' shelf %}", shelf=nasty)

    assert "<script>" not in page
    assert 'topic="things.&quot;&gt;&lt;script&gt;"' in page
    assert 'data-key="&quot;&gt;&lt;script&gt;"' in page


def test_a_page_for_a_user_without_the_right_to_read_is_refused(render, safe, staff):
    """Not rendered without the rows: the view must check first."""
    with pytest.raises(PermissionDenied, match=f"entries.{safe.pk}"):
        render("{% live 'entries' board.pk %}", board=safe)

    assert "s3cret" in render("{% live 'entries' board.pk %}", staff, board=safe)


def test_a_page_without_a_request_has_an_anonymous_user(safe, quay):
    """For example a mail: public topics are rendered, others are refused."""
    template = Template("{% load realtime %}{% live 'entries' board.pk %}")

    assert "Saltmere" in template.render(Context({"board": quay}))
    with pytest.raises(PermissionDenied):
        template.render(Context({"board": safe}))


def test_the_error_names_the_rule_of_a_feed_that_declares_none(render, live, log):
    """The first feed of a project most often: its page answers 403, and the log says why."""
    live(Board, name="strict", template_name="boards/_board_heading.html", can_subscribe=Feed.can_subscribe)
    live(
        Board,
        name="own",
        template_name="boards/_board_heading.html",
        can_subscribe=lambda self, user, key: False,
    )
    live(
        Board,
        name="many",
        template_name="boards/_board_heading.html",
        visible_topics=lambda self, user, keys: [],
    )

    with pytest.raises(PermissionDenied, match=r"ThrowAwayFeed declares no can_subscribe.* only staff"):
        render("{% live 'strict' %}")
    for name in ("own", "many"):
        with pytest.raises(PermissionDenied, match=f"'{name}'; check can_subscribe in the view"):
            render(f"{{% live '{name}' %}}")


@pytest.mark.parametrize(
    "source",
    [
        "{% live 'boards' 7 %}", "{% live 'boards' absent %}", "{% live_rows 'boards' 7 %}",
        "{% live_block 'b' topics='boards'|topic:7 %}{% endlive_block %}",
    ],
)  # fmt: skip
def test_a_key_for_a_feed_with_one_topic_raises_an_error(render, log, source):
    """Otherwise the page would show the rows of all keys, where its template asks for those of one."""
    with pytest.raises(
        ImproperlyConfigured, match=r"has one topic .* leave out the key, or give PublicBoardFeed"
    ):
        render(source)


def test_a_block_may_follow_a_feed_that_is_off(render, log):
    """Its subscription is refused with an explanation; the rest of the page is there."""
    register(Board)(type("Off", (Feed,), {"name": "off", "topic_field": "titel"}))
    try:
        page = render("{% live_block 'b' topics='off'|topic:7 %}as of the load{% endlive_block %}")
    finally:
        registry.remove("off")

    assert "as of the load" in page


def test_the_error_for_an_unknown_feed_lists_the_registered_feeds(render, log):
    """The developer sees what to write instead."""
    with pytest.raises(
        ImproperlyConfigured, match=r"no such feed; .* register: .*board, boards, editors, entries"
    ) as caught:
        render("{% live 'nothing' %}")

    assert "realtime_processes" not in str(caught.value)


def test_the_error_in_a_project_without_feeds_says_how_one_is_registered(render, log, monkeypatch):
    monkeypatch.setattr(registry, "_feeds", {})

    with pytest.raises(ImproperlyConfigured, match=r"register: none; write @register\(…\)"):
        render("{% live 'nothing' %}")


@pytest.mark.parametrize(
    "source, words",
    [
        ("{% live entries 7 %}", "The name is a text in quotes"),
        ("{% live 'entries.7' %}", "write {% live 'entries' 7 %}"),
        ("{% live_viewers 'entries.7' %}", "write {% live_viewers 'entries' 7 %}"),
        ("{% live_rows 'PublicBoardFeed' %}", "Do you mean 'boards'?"),
        ("{% live 'entrys' 7 %}", "Do you mean 'entries'?"),
        ("{% live_block 'b' topics='entrie.7' %}{% endlive_block %}", "Do you mean 'entries'?"),
    ],
)
def test_the_error_for_an_unknown_feed_names_the_one_that_is_meant(render, log, source, words):
    """A name without quotes, a topic, a class, a misspelling."""
    with pytest.raises(ImproperlyConfigured, match="no such feed") as caught:
        render(source)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    "source, words",
    [
        ("{% live 'entries' %}", "'entries' has a topic for each board_id: name a key"),
        ("{% live_rows 'entries' absent %}", "the key is empty"),
        ("{% live 'entries' 'x' %}", "'x' is no value of board_id"),
        ("{% live_block 'b' topics='entries' %}{% endlive_block %}", "name a key"),
        ("{% live_block 'b' topics='boards.7' %}{% endlive_block %}", "has one topic: leave out the key"),
    ],
)
def test_the_error_for_a_key_without_a_topic_says_what_is_wrong_with_it(render, log, source, words):
    with pytest.raises(UnknownTopic) as caught:
        render(source)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "{% live 'entries' board %}", "{% live_rows 'entries' board %}", "{% live 'boards' board %}",
        "{% live_block 'b' topics='entries'|topic:board %}{% endlive_block %}",
    ],
)  # fmt: skip
def test_an_instance_as_a_key_is_an_error_that_names_its_primary_key(render, quay, source):
    with pytest.raises(ImproperlyConfigured, match=r"name its primary key, as in board\.pk"):
        render(source, board=quay)


@pytest.mark.parametrize("name", ["live", "live_rows", "live_viewers"])
async def test_a_tag_in_an_async_view_says_how_to_render_it(rf, monkeypatch, name):
    """Django's error for a query in a coroutine does not say what to write."""
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)
    template = Template("{% load realtime %}{% " + name + " 'boards' %}")

    with pytest.raises(SynchronousOnlyOperation, match=r"await sync_to_async\(render\)"):
        template.render(Context({"request": rf.get("/")}))


def test_with_debug_a_page_without_rows_says_why(render, live, quay, settings, tmp_path):
    """The reason is in the log, too; visitors of a deployed site do not see it."""
    (tmp_path / "row.html").write_text("<li>{{ board.slug }}{% url 'nowhere' %}</li>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    live(Board, name="failing", template_name="row.html")

    deployed = render("{% live 'failing' %}")
    settings.DEBUG = True
    developed = render("{% live 'failing' %}")

    assert "NoReverseMatch" not in deployed
    assert "NoReverseMatch" in developed


def test_a_feed_without_a_row_template_cannot_be_rendered(render, live):
    """The error names the class that needs one."""
    live(Board, name="bare")

    with pytest.raises(ImproperlyConfigured, match="give ThrowAwayFeed a template_name"):
        render("{% live 'bare' %}")


@pytest.mark.parametrize(
    "source", ["{% live 'entries' %}", "{% live 'entries' 'x' %}", "{% live 'entries' '07' %}"]
)
def test_a_key_without_a_topic_raises_an_error(render, log, source):
    """Otherwise the page would show an empty list that never changes."""
    with pytest.raises(UnknownTopic):
        render(source)


def test_the_head_has_all_that_a_page_loads(render):
    """The address of the server, the session, the style and the script."""
    head = render("{% realtime_head %}")

    assert '<meta name="realtime-path" content="/realtime/ws/">' in head
    assert '<meta name="realtime-session" content="">' in head
    assert '<link rel="stylesheet" href="/static/realtime/live.css">' in head
    assert '<script type="module" src="/static/realtime/live.min.js"></script>' in head
    assert "nonce" not in head
    assert "stylesheet" not in render("{% realtime_head style=False %}")


def test_the_head_opens_the_connection_early_where_it_is_asked_to(rf, render):
    """By a script in the page, which not every policy allows; before the style, which a script may have to wait for."""
    request = rf.get("/")
    nonce = nonce_of_django_csp(request)
    source = "{% load realtime %}{% realtime_head early=True %}"

    head = Template(source).render(Context({"request": request}))

    assert f'<script type="module" async nonce="{nonce}">{early_script()}</script>' in head
    assert head.index(early_script()) < head.index("stylesheet")
    assert f'<script type="module" async>{early_script()}</script>' in render(
        "{% realtime_head early=True %}"
    )
    assert early_script() not in render("{% realtime_head %}")


def nonce_of_django_csp(request: HttpRequest) -> str:
    CSPMiddleware(lambda request: HttpResponse()).process_request(request)
    return str(getattr(request, "csp_nonce"))  # noqa: B009 - django-csp sets it


def nonce_of_django(request: HttpRequest) -> str:
    csp = pytest.importorskip("django.middleware.csp", reason="Django 6 has it")
    csp.ContentSecurityPolicyMiddleware(lambda request: HttpResponse()).process_request(request)
    return str(csp.get_nonce(request))


@pytest.mark.parametrize("nonce_of", [nonce_of_django_csp, nonce_of_django])
def test_the_head_has_the_nonce_of_the_policy(rf, nonce_of):
    """The policy of a page may allow no other scripts and styles."""
    request = rf.get("/")
    nonce = nonce_of(request)

    head = Template("{% load realtime %}{% realtime_head %}").render(Context({"request": request}))

    assert nonce
    assert re.findall(r'<(\w+) [^>]*nonce="([^"]+)"', head) == [
        ("link", nonce),
        ("link", nonce),
        ("script", nonce),
    ]


def test_the_head_asks_for_the_nonce_of_the_policy(rf):
    """Both middlewares put it into the policy only if a template has used it."""
    request = rf.get("/")
    CSPMiddleware(lambda request: HttpResponse()).process_request(request)

    Template("{% load realtime %}{% realtime_head %}").render(Context({"request": request}))

    assert bool(request.csp_nonce)


def test_tabs_of_one_session_share_a_name_that_does_not_reveal_its_key(rf, client, django_user_model):
    """It is empty without a session, differs after a sign-in, and does not contain the key."""
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


def test_the_path_of_sockets_is_below_the_script_prefix():
    """A page below a path connects below it."""
    source = Template("{% load realtime %}{% live_path %}")
    before = get_script_prefix()
    try:
        set_script_prefix("/tide/")
        assert source.render(Context()) == "/tide/realtime/ws/"
    finally:
        set_script_prefix(before)


@pytest.mark.parametrize(
    "source, words",
    [
        (
            "<dt>{{ board.slug }}</dt><dd></dd>",
            "row.html must render one element, but it rendered 2 elements",
        ),
        ("{{ board.slug }}", "but it rendered the text &#x27;quay&#x27; outside of an element"),
        ("{# nothing #}", "but it rendered no element"),
    ],
)
def test_a_row_template_without_one_root_is_named_in_place_of_the_rows(
    render, live, quay, settings, tmp_path, source, words
):
    """The developer sees it in the page; the rest of the page is there."""
    (tmp_path / "row.html").write_text(source)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    live(Board, name="rooted", template_name="row.html")

    page = render("before {% live 'rooted' %} after")

    assert words in page
    assert '<p class="realtime-fault" role="alert">' in page
    assert page.startswith("before <live-topic ")
    assert page.endswith(" after")


def test_a_feed_that_is_off_is_named_in_place_of_its_rows(render, log):
    """The rest of the page is there."""
    for wrong in ({"ordering": ["titel"]}, {"limit": -1}):
        register(Board)(type("Off", (Feed,), {"name": "off", **wrong}))
        try:
            page = render("before {% live 'off' %} after")
        finally:
            registry.remove("off")

        assert "the feed &#x27;off&#x27; is off; `manage.py check`" in page
        assert page.startswith("before ")
        assert page.endswith(" after")


def test_a_topic_without_rows_names_no_fault(render, live, log):
    live(Board, name="empty", filter=models.Q(pk=-1), template_name="boards/_board_heading.html")

    assert "realtime-fault" not in render("{% live 'empty' %}")


def test_the_rows_may_be_in_an_element_of_any_name(render, quay):
    """For tables, lists and selects, in which a browser accepts no other; it has the attributes that are given."""
    page = render(
        "{% live 'entries' board.pk tag='tbody' class=c data_x=1 hidden=True %}", board=quay, c="a&b"
    )

    topic, position = f"entries.{quay.pk}", position_now()
    assert page.startswith(
        f'<tbody data-realtime-topic="{topic}" data-realtime-position="{position}" data-realtime-rows="2"'
    )
    assert ' class="a&amp;b" data-x="1" hidden>' in page
    assert page.endswith("</tbody>")
    assert page.count("<tr") == 2


def test_rows_that_a_browser_would_move_out_of_their_element_are_refused_with_words(render, quay):
    """The row template is a table row: it can stand in a table only."""
    page = render("{% live 'entries' board.pk tag='ul' %}", board=quay)

    assert "browsers accept in &lt;tbody&gt; only: write {% live &quot;entries&quot;" in page
    assert "<tr" not in page


@pytest.mark.parametrize(
    "tag, row, is_accepted",
    [
        ("tbody", "<li>", False), ("tbody", "<div>", False), ("table", "<p>", False), ("tr", "<li>", False),
        ("table", "<tbody>", True), ("tr", "<td>", True), ("ul", "<li>", True), ("ol", "<div>", True),
    ],
)  # fmt: skip
def test_a_row_that_a_table_does_not_accept_is_refused_with_words(
    render, live, quay, settings, tmp_path, tag, row, is_accepted
):
    """A browser moves it out of the table, where it is not live."""
    (tmp_path / "row.html").write_text(f"{row}{{{{ board.slug }}}}{row.replace('<', '</')}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    live(Board, name="moved", template_name="row.html")

    page = render(f"{{% live 'moved' tag='{tag}' %}}")

    assert ("browsers accept only" in page) is not is_accepted
    assert ("quay" in page) is is_accepted


def test_attributes_need_an_element_of_their_own(render, quay):
    with pytest.raises(TemplateSyntaxError, match="tag="):
        render("{% live 'entries' board.pk class='wide' %}", board=quay)


def test_a_live_block_names_its_topics_and_the_position_before_its_view(render, quay, rf):
    page = render(
        "{% live_block 'sum' topics='entries'|topic:board.pk tag='p' class='x' %}{{ board }}{% endlive_block %}",
        board=quay,
    )

    assert (
        page == f'<p data-realtime-block="sum" data-realtime-topics="entries.{quay.pk}" class="x">{quay}</p>'
    )


def test_a_block_in_the_answer_to_a_post_is_not_fetched_again(rf, quay):
    """A form would lose its errors, and what was typed."""
    context = Context({"request": rf.post("/"), "topics": "boards"})

    assert Template("{% load realtime %}" + BLOCK).render(context) == '<div data-realtime-block="sum">x</div>'


BLOCK = "{% live_block 'sum' topics=topics %}x{% endlive_block %}"


def test_the_topics_of_a_block_may_be_a_list(render, quay):
    topics = ["boards", f"entries.{quay.pk}"]

    assert f'data-realtime-topics="boards entries.{quay.pk}"' in render(BLOCK, topics=topics)
    assert f'data-realtime-topics="boards entries.{quay.pk}"' in render(BLOCK, topics=" ".join(topics))


@pytest.mark.parametrize("topics", ["", "  ", [], None, ()])
def test_a_live_block_without_topics_is_refused(render, topics):
    with pytest.raises(TemplateSyntaxError, match="has no topics"):
        render(BLOCK, topics=topics)


@pytest.mark.parametrize("topics", ["nonsense", "boards nonsense.7"])
def test_a_live_block_of_an_unknown_feed_is_refused(render, quay, topics):
    with pytest.raises(ImproperlyConfigured, match="no such feed"):
        render(BLOCK, topics=topics)


def test_a_live_block_of_a_topic_that_the_user_may_not_read_is_refused(render, quay, django_user_model):
    Board.objects.filter(pk=quay.pk).update(is_public=False)
    topics = f"boards entries.{quay.pk}"

    with pytest.raises(PermissionDenied):
        render(BLOCK, topics=topics)
    assert render(BLOCK, django_user_model(is_staff=True, is_active=True), topics=topics)


def test_live_blocks_in_each_other_are_refused(render, quay):
    """Also if the inner one comes from an included template; what a user wrote looks like nothing of the kind."""
    inner = BLOCK.replace("sum", "inner")

    with pytest.raises(TemplateSyntaxError, match="another live block in it"):
        render(BLOCK.replace("x", inner), topics="boards")
    evil = '<p data-realtime-block="x">'
    assert "data-realtime-block=&quot;" in render(
        BLOCK.replace("x", "{{ evil }}"), topics="boards", evil=evil
    )


def test_rows_for_scripts_are_in_the_page_as_json(render, quay):
    """With their position and digests; nothing that a user wrote ends the script."""
    Entry.objects.filter(board=quay).update(label="</script><b>&")

    page = render("{% live_rows 'entries' board.pk %}", board=quay)

    topic = f"entries.{quay.pk}"
    head = f'<script type="application/json" data-realtime-rows="{topic}" data-realtime-position="{position_now()}">'
    assert page.startswith(head)
    text = page.removeprefix(head).removesuffix("</script>")
    assert not {"<", ">", "&"} & {*text}
    rows = json.loads(text)
    assert [row["row"]["label"] for row in rows] == ["</script><b>&"] * 2
    assert [row["digest"] for row in rows] == [row.digest_in("rows") for row in read_topic(topic).rows]


def test_rows_for_scripts_are_for_those_who_may_read_them(render, quay):
    Board.objects.filter(pk=quay.pk).update(is_public=False)

    with pytest.raises(PermissionDenied):
        render("{% live_rows 'entries' board.pk %}", board=quay)
    with pytest.raises(ImproperlyConfigured, match="no such feed"):
        render("{% live_rows 'nonsense' %}")


# ---------------------------------------------------------------- viewers


def test_the_number_of_viewers_is_in_the_first_paint(sociable, render, quay):
    """The viewers of all processes, in an element that keeps the number current."""
    topic = f"entries.{quay.pk}"
    interest.note(interest.begin("one"), {topic: 3}, names={topic: ["<b>", "ada"]})

    number = render("{% live_viewers 'entries' board.pk %}", board=quay)
    names = render("{% live_viewers 'entries' board.pk show='names' class='who' %}", board=quay)

    assert number == f'<live-viewers topic="{topic}">3</live-viewers>'
    assert names == f'<live-viewers topic="{topic}" show="names" class="who">&lt;b&gt;, ada</live-viewers>'


def test_a_user_that_may_not_read_a_topic_learns_nothing_of_its_viewers(sociable, render, safe):
    """The view has to check that, as for rows."""
    with pytest.raises(PermissionDenied):
        render("{% live_viewers 'entries' board.pk %}", board=safe)


@pytest.mark.parametrize(
    "presence, source, error",
    [
        (None, "{% live_viewers 'entries' 1 %}", 'write presence = "count"'),
        ("count", "{% live_viewers 'entries' 1 show='names' %}", 'write presence = "names"'),
        ("names", "{% live_viewers 'unknown' %}", "no such feed"),
    ],
)
def test_a_feed_that_does_not_tell_it_is_an_error_that_says_what_to_write(
    sociable, monkeypatch, render, quay, presence, source, error
):
    """It is one of the page's developer."""
    monkeypatch.setattr(sociable, "presence", presence)

    with pytest.raises(ImproperlyConfigured, match=error):
        render(source)


def test_an_unknown_way_to_show_viewers_is_an_error(sociable, render, quay):
    """Otherwise a typing error would show a number."""
    with pytest.raises(TemplateSyntaxError, match="show"):
        render("{% live_viewers 'entries' 1 show='name' %}")
