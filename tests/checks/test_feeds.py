"""A declaration that cannot work, or whose rows would show changes late, is reported, and the other feeds are live."""

import datetime
import re

import pytest
from django.core.checks import CheckMessage
from django.db import models
from django.db.models import Window
from django.db.models.functions import Now, Rank
from django.utils import timezone

from realtime.checks.feeds import check_feeds, check_names, check_order_keys, check_templates
from realtime.engine.errors import FeedOff
from realtime.feeds import Feed, computed, register, registry
from tests.apps.library.models import Author, Book
from tests.support.servers import Project

RANK = Window(Rank(), order_by="rank")


def about(found: list[CheckMessage]) -> list[str]:
    return [str(message.id).removeprefix("realtime.") for message in found if "'probe'" in message.msg]


@pytest.mark.parametrize(
    "attributes, words",
    [
        ({"ordering": ["titel"]}, "ordering has 'titel'"),
        ({"ordering": ["?"]}, "a random order"),
        ({"ordering": [models.F("title").asc()]}, "ordering has an expression"),
        ({"fields": ["tags"]}, "fields has 'tags'"),
        ({"fields": ["nothing"]}, "Book has no field named 'nothing'"),
        ({"topic_field": "nothing"}, "Book has no field named 'nothing'"),
        ({"depends_on": ["nothing"]}, "no relation 'nothing'"),
        ({"fields": None}, "fields is None"),
        ({"fields": [Book]}, "fields is [<class"),
        ({"depends_on": [Book]}, "depends_on is [<class"),
        ({"depends_on": None}, "depends_on is None"),
        ({"ordering": None}, "ordering is None"),
        ({"topic_field": ["shelf"]}, "topic_field is ['shelf']"),
        ({"template_name": ["a.html", "b.html"]}, "template_name is ['a.html', 'b.html']"),
        ({"language": 3}, "language is 3"),
        ({"time_zone": 1}, "time_zone is 1"),
        ({"limit": -1}, "limit -1"),
        ({"name": "probe", "refresh_seconds": "often"}, "refresh_seconds 'often'"),
        ({"language": "xx"}, "language 'xx'"),
        ({"topic_field": "shelf__name"}, "a column of its own table: id, shelf"),
        ({"fields": ["titel"]}, "its columns are: id, shelf"),
        ({"fields": "__all__"}, "fields is a text"),
        ({"filter": {"title": "x"}}, "filter is {'title': 'x'}: use a Q"),
        ({"filter": "title"}, "filter is 'title'"),
        ({"get_queryset": lambda self: [Book()]}, "get_queryset returns list, not a queryset"),
        ({"get_queryset": lambda self: None}, "get_queryset returns NoneType"),
        ({"get_queryset": lambda self: Book.objects}, "get_queryset returns Manager"),
        ({"get_queryset": lambda self: Author.objects.all()}, "its queryset has rows of Author"),
        ({"get_queryset": lambda self: Book.objects.raw("SELECT 1")}, "get_queryset returns RawQuerySet"),
        ({"get_queryset": lambda self: Book.objects.all()[:5]}, "its queryset is a slice"),
        ({"get_queryset": lambda self: Book.objects.values("title")}, "its queryset has values()"),
        ({"get_queryset": lambda self: Book.objects.values_list("pk", flat=True)}, "has values()"),
        ({"get_queryset": lambda: Book.objects.all()}, "get_queryset does not take (self)"),
        ({"can_subscribe": lambda user, key: True}, "can_subscribe does not take (self, user, key)"),
        ({"can_subscribe": lambda self, user: True}, "can_subscribe does not take (self, user, key)"),
        ({"can_subscribe": True}, "can_subscribe is True, not a method"),
        ({"can_broadcast": False}, "can_broadcast is False, not a method"),
        ({"visible_topics": lambda self, keys: keys}, "visible_topics does not take (self, user, keys)"),
        ({"same_rights": lambda user: 1}, "same_rights does not take (self, user)"),
        ({"viewer_name": lambda self: ""}, "viewer_name does not take (self, user)"),
        ({"can_broadcast": lambda self, user: True}, "can_broadcast does not take (self, user, key)"),
        ({"template_name": "no/such.html"}, "its template no/such.html cannot be loaded"),
        ({"filter": models.Q(titel="x")}, "its queryset raises FieldError"),
        ({"get_queryset": lambda self: 1 / 0}, "its queryset raises ZeroDivisionError"),
        (
            {"get_queryset": lambda self: Book.objects.using("other")},
            "its queryset reads the database 'other'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_declaration_that_cannot_work_is_an_error_of_its_feed_alone(declare, attributes, words):
    """The project starts, and the other feeds are live; the error has a hint."""
    declare(Book, **attributes)

    (error,) = check_feeds()

    assert error.id == "realtime.E003"
    assert "'probe'" in error.msg
    assert words in error.msg
    assert error.hint
    assert "entries" in {feed.name for feed in registry}


def test_a_feed_that_is_off_refuses_subscriptions_with_words(declare):
    """Declared wrongly or not at all makeable; it is neither captured nor sequenced."""
    for attributes in ({"ordering": ["titel"]}, {"limit": -1}):
        declare(Book, **attributes)

        with pytest.raises(FeedOff, match="the feed 'probe' is off") as refused:
            registry.find("probe")
        assert refused.value.code == 4500
        assert "probe" not in {feed.name for feed in registry}
        registry.remove("probe")


def name_of_author(self, book):
    return {"name": book.author.name}


def key_of_author(self, book):
    return book.author_id or book.author.pk


@pytest.mark.parametrize(
    "attributes, hints",
    [
        ({"can_subscibe": lambda self, user, key: True}, ["can_subscribe"]),
        ({"order_by": ["title"]}, ["ordering"]),
        ({"field": ["title"], "depend_on": ["tags"]}, ["depends_on", "fields"]),
        ({"template": "x.html"}, ["template_name"]),
        ({"permission_classes": []}, ["can_subscribe"]),
        ({"label": computed(lambda self, book: ""), "page_size": 20, "_order_by": 1}, []),
        ({"names": computed(lambda self, book: "")}, []),
    ],
    ids=["a letter", "of a queryset", "two", "short", "of another package", "others", "a value"],
)
def test_a_misspelt_attribute_is_reported_with_the_one_that_is_meant(declare, attributes, hints):
    """Nothing reads it, so the feed would have its default: only staff may read it, its rows are in no order."""
    declare(Book, **attributes)

    found = check_names()

    assert about(found) == ["W027"] * len(hints)
    assert [str(message.hint).split()[3].strip("?") for message in found] == hints


@pytest.mark.parametrize(
    "source, expected",
    [
        ("{{ book.title }}", []),
        ("{% if book %}x{% endif %}", []),
        ("{{ object.title }}", ["W028"]),
        ("{{ Book.title }}", ["W028"]),
        ("no name", ["W028"]),
        ('{% url "book" %}', ["W028"]),
        ("{% load realtime %}{% live_path %}", []),
        ("{% include part %}", []),
        ("{{ book.title }} {{ request.user }}", ["W029"]),
        ("{{ book.title }}{% if user.is_staff %}!{% endif %}", ["W029"]),
        ("{{ book.title }}{% csrf_token %}{% if perms.shop.add %}!{% endif %}", ["W029", "W029"]),
        ("{{ book.user }} {{ book.title|default:'user' }} {# user #}", []),
        ("{% with user=book.author %}{{ user.name }}{% endwith %}", []),
        ("{% for at, user in book.readers %}{{ user.name }}{% endfor %}", []),
    ],
)
def test_a_row_template_that_cannot_show_its_row_is_reported(declare, settings, tmp_path, source, expected):
    """It does not name the row, or it names values of one visitor."""
    (tmp_path / "probe.html").write_text(f"<li>{source}</li>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    declare(Book, template_name="probe.html")

    found = check_templates()

    assert about(found) == expected
    assert all(message.hint for message in found)


def test_of_two_feeds_of_one_name_the_first_stays_live(declare):
    """The second is reported."""
    declare(Book)
    register(Book)(type("Other", (Feed,), {"name": "probe"}))

    (error,) = check_feeds()

    assert "two feeds have the name 'probe'" in error.msg
    assert registry.find("probe")[0] is registry["probe"]


@pytest.mark.parametrize(
    "attributes, expected",
    [
        ({}, []),
        ({"filter": models.Q(title__lte=Now())}, ["W011"]),
        ({"filter": models.Q(title__lte=Now()), "refresh_seconds": 60}, []),
        ({"get_queryset": lambda self: Book.objects.filter(title__lte=Now())}, ["W011"]),
        ({"get_queryset": lambda self: Book.objects.filter(title__lte=timezone.now())}, ["W011"]),
        ({"get_queryset": lambda self: Book.objects.filter(title__lte=datetime.date.today())}, ["W011"]),
        ({"filter": models.Q(author__name="x")}, ["W012"]),
        ({"filter": models.Q(author__name="x"), "depends_on": ["author"]}, []),
        ({"filter": models.Q(author__country__name="x"), "depends_on": ["author"]}, ["W012"]),
        ({"filter": models.Q(author=1)}, []),
        ({"filter": models.Q(tags__name="x")}, ["W012", "W012"]),
        ({"ordering": ["author__name"]}, ["W012"]),
        ({"ordering": ["author"]}, []),
        ({"ordering": ["-author__pk"]}, []),
        ({"ordering": ["author__name"], "depends_on": ["author__country"]}, []),
        ({"get_queryset": lambda self: Book.objects.select_related("author")}, ["W012"]),
        ({"get_queryset": lambda self: Book.objects.prefetch_related("chapter_set")}, ["W012"]),
        ({"get_queryset": lambda self: Book.objects.annotate(chapters=models.Count("chapter"))}, ["W012"]),
        ({"get_queryset": lambda self: Book.objects.annotate(place=RANK)}, ["I001"]),
        ({"name_of": computed(name_of_author)}, ["W012"]),
        ({"name_of": computed(name_of_author), "depends_on": ["author"]}, []),
        ({"key_of": computed(key_of_author)}, []),
        ({"fields": ["author__name"]}, []),
        ({"fields": ["author__country__name"], "filter": models.Q(author__country__name="x")}, []),
        ({"annotations": {"chapters": models.Count("chapter")}, "fields": ["chapters"]}, ["W012"]),
        ({"serialize": name_of_author}, ["W012"]),
        ({"template_name": "{{ book.author.name }}"}, ["W012"]),
        ({"template_name": "{{ book.author.country.name }}", "depends_on": ["author__country"]}, []),
        ({"template_name": "{{ book.author_id }} {{ book.author.pk }} {{ other.author.name }}"}, []),
        ({"template_name": "{{ book.chapter_set.count|add:1 }}"}, ["W012"]),
    ],
)
def test_a_feed_that_would_show_changes_late_is_reported(declare, settings, tmp_path, attributes, expected):
    """The passing of time, related rows that are not named, and other rows of its table."""
    if "template_name" in attributes:
        (tmp_path / "probe.html").write_text(f"<li>{attributes['template_name']}</li>")
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
        attributes = {**attributes, "template_name": "probe.html"}
    declare(Book, **attributes)

    assert about(check_feeds()) == expected


@pytest.mark.parametrize(
    "attributes, withheld",
    [
        ({"ordering": ["rank"]}, ["rank"]),
        ({"ordering": ["-rank"]}, ["rank"]),
        ({"ordering": ["-rank", "title", "shelf"]}, ["rank", "shelf"]),
        ({"ordering": ["rank"], "fields": ["title", "rank"]}, []),
        ({"ordering": ["-rank"], "opaque_order": True}, []),
        ({"ordering": ["title", "pk"]}, []),
        ({"ordering": ["-id"]}, []),
        ({"ordering": ["author"]}, ["author"]),
        ({"ordering": ["author__pk"], "fields": ["author"]}, []),
        ({"ordering": ["author_id"], "fields": ["author"]}, []),
        ({"ordering": ["author__name"], "fields": ["author"]}, ["author__name"]),
        ({"ordering": ["rank"], "template_name": "{{ book.rank|add:1 }}"}, []),
        ({"ordering": ["rank"], "template_name": "{% if other.rank %}{{ book.title }}{% endif %}"}, ["rank"]),
        ({"ordering": ["author__name"], "template_name": "{{ book.author.name }}"}, []),
        ({"ordering": ["author__name"], "template_name": "{{ book.author.country.name }}"}, ["author__name"]),
    ],
)  # fmt: skip
def test_an_order_by_what_is_not_shown_is_reported(declare, settings, tmp_path, attributes, withheld):
    """Every subscriber could read these values from the order keys; the hint names the way out."""
    (tmp_path / "probe.html").write_text(f"<li>{attributes.get('template_name')}</li>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    template = {"template_name": "probe.html"} if "template_name" in attributes else {}
    declare(Book, **{"fields": ["title"], **attributes, **template})

    reported = check_order_keys()

    assert about(reported) == ["W015"] * len(withheld)
    assert [re.findall(r"is ordered by '(\w+)'", found.msg) for found in reported] == [
        [name] for name in withheld
    ]
    assert all("opaque_order" in str(found.hint) for found in reported)


def test_order_keys_are_not_checked_with_wrong_settings(declare, settings):
    """Without usable settings the feeds are not checked; another check reports the settings."""
    declare(Book, fields=["title"], ordering=["rank"])
    settings.REALTIME = {"NO_SUCH_SETTING": 1}

    assert check_order_keys() == []


def test_a_feed_declared_wrongly_does_not_keep_a_project_from_starting(tmp_path):
    """``check`` exits with the error, without a traceback."""
    app = tmp_path / "wrong"
    app.mkdir()
    (app / "__init__.py").write_text("")
    (app / "live.py").write_text(
        "from realtime.boards.models import Board, Entry\n"
        "from realtime.feeds import Feed, register\n"
        "@register(Board)\nclass Wrong(Feed):\n    name = 'wrong'\n    ordering = ['titel']\n"
        "@register(Entry)\nclass Worse(Feed):\n    name = 'worse'\n    fields = ['nothing']\n"
    )
    (tmp_path / "with_wrong.py").write_text(
        "from config.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'wrong']\n"
    )
    project = Project(tmp_path, DJANGO_SETTINGS_MODULE="with_wrong", PYTHONPATH=str(tmp_path))

    checked = project.manage("check", check=False)

    assert checked.returncode == 1
    assert checked.stderr.count("realtime.E003") == 2
    assert "Traceback" not in checked.stderr
