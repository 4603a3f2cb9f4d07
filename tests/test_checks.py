"""System checks: each reports its problem with a solution, and none reports anything for the project as it is."""

import datetime
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
from django.apps.registry import Apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.db import connection, connections, models
from django.db.models import Window
from django.db.models.functions import Now, Rank
from django.utils import timezone

from realtime import checks as ours
from realtime.engine.errors import FeedOff
from realtime.feeds import Feed, computed, register, registry
from tests.apps.library.models import Book
from tests.support.contents import DEMO_TABLES
from tests.support.servers import ROOT, Project

IN_MEMORY = "channels.layers.InMemoryChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
IMMEDIATE = {"transaction_mode": "IMMEDIATE"}


def found(*, deploy: bool = True) -> dict[str, str]:
    """Return the current results of our checks: for each id the message and the hint."""
    said = checks.run_checks(tags=["realtime"], include_deployment_checks=deploy)
    return {message.id: f"{message.msg}\n{message.hint}" for message in said}


@pytest.fixture
def spoil(settings, monkeypatch) -> Callable[..., None]:
    """Change a setting, an option of the database, an environment variable, the layer or an installed version."""

    def change(name: str, value: Any) -> None:
        match name.split():
            case ["database", key]:
                monkeypatch.setitem(connections["default"].settings_dict, key, value)
            case ["vendor"]:
                monkeypatch.setattr(type(connections["default"]), "vendor", value)
            case ["environment", key]:
                monkeypatch.setenv(key, value)
            case ["version", package]:
                monkeypatch.setattr(
                    "realtime.checks.version", lambda name: value if name == package else version(name)
                )
            case ["driver"]:
                monkeypatch.setattr(ours, "is_psycopg3", lambda: value == 3)
            case ["layer"]:
                settings.CHANNEL_LAYERS = {"default": value}
            case _:
                setattr(settings, name, value)

    return change


@pytest.mark.parametrize("deploy", [True, False])
def test_nothing_is_reported_for_the_project_as_it_is(deploy):
    """Otherwise its reports would be ignored."""
    assert found(deploy=deploy) == {}


@pytest.mark.parametrize(
    "id, changes, words",
    [
        ("E001", {"REALTIME": {"TICK": 1}}, "has no TICK"),
        ("E001", {"REALTIME": {"TICK_SECONDS": "0.5"}}, "tick_seconds"),
        ("E001", {"REALTIME": {"READER_THREADS": True}}, "reader_threads"),
        ("E001", {"REALTIME": {"DATABASE": None}}, "database"),
        ("W017", {"STATIC_URL": "static/"}, "STATIC_URL is 'static/'"),
        ("W017", {"MEDIA_URL": "media/"}, "MEDIA_URL is 'media/'"),
        ("W002", {"vendor": "postgresql"}, "the database is PostgreSQL"),
        ("W002", {"REALTIME": {"PUBLISHER": False}}, "REALTIME['PUBLISHER'] is off"),
        ("W002", {"environment WEB_CONCURRENCY": "4"}, "WEB_CONCURRENCY is 4"),
        ("W003", {"ALLOWED_HOSTS": ["live.example.com", "*"]}, "Name the hosts"),
        ("W004", {"CSRF_TRUSTED_ORIGINS": ["https://*"]}, "'https://*'"),
        ("W004", {"CSRF_TRUSTED_ORIGINS": ["https://a.example", "https://*.com"]}, "'https://*.com'"),
        ("W005", {"version daphne": "4.2.2"}, "daphne is older than 4.2.3"),
        ("W005", {"version autobahn": "25.12.2"}, "autobahn is older than 26.7.1"),
        ("W006", {"version redis": "8.1.0", "layer": {"BACKEND": CORE}}, "'socket_timeout': 20"),
        (
            "W006",
            {
                "version redis": "8.1.0",
                "layer": {
                    "BACKEND": CORE,
                    "CONFIG": {"hosts": [{"address": "redis://a", "socket_timeout": 20}, "redis://b"]},
                },
            },
            "RedisPubSubChannelLayer",
        ),
        ("W008", {"database ATOMIC_REQUESTS": True}, "ATOMIC_REQUESTS is on"),
        ("W009", {"database OPTIONS": {}}, "'IMMEDIATE'"),
        ("W009", {"database OPTIONS": {"transaction_mode": "deferred"}}, "'IMMEDIATE'"),
        ("E004", {"vendor": "postgresql", "driver": 2, "layer": {"BACKEND": PUBSUB}}, "psycopg2"),
        (
            "E005",
            {"database OPTIONS": IMMEDIATE | {"pool": True}},
            "has 4 of them, but each server process needs",
        ),
        ("E005", {"database OPTIONS": IMMEDIATE | {"pool": {"min_size": 2}}}, "has 2 of them"),
        ("E005", {"database OPTIONS": IMMEDIATE | {"pool": {"min_size": 4, "max_size": 9}}}, "has 9 of them"),
        (
            "E005",
            {
                "database OPTIONS": IMMEDIATE | {"pool": {"max_size": 30}},
                "REALTIME": {"READER_THREADS": 50},
            },
            "has 30 of them, but each server process needs at least",
        ),
        ("W010", {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}, "signed out"),
    ],
)
def test_a_problem_is_reported_with_a_solution(spoil, id, changes, words):
    """By one message, and no other."""
    for name, value in changes.items():
        spoil(name, value)

    said = found()

    assert list(said) == [f"realtime.{id}"]
    assert words in said[f"realtime.{id}"]


@pytest.mark.parametrize(
    "changes",
    [
        {"REALTIME": {"TICK_SECONDS": 1, "PUBLISHER": True}},
        {"STATIC_URL": "https://static.example.com/", "MEDIA_URL": "/media/"},
        {"STATIC_URL": None},
        {"vendor": "postgresql", "layer": {"BACKEND": PUBSUB, "CONFIG": {"hosts": ["redis://a"]}}},
        {"environment WEB_CONCURRENCY": "1"},
        {"environment WEB_CONCURRENCY": "many"},
        {"ALLOWED_HOSTS": [".example.com"]},
        {"CSRF_TRUSTED_ORIGINS": ["https://example.com", "https://*.example.com"]},
        {"version daphne": "4.10.0", "version autobahn": "26.10.2"},
        {"version redis": "8.1.0", "layer": {"BACKEND": PUBSUB}},
        {"version redis": "7.4.1", "layer": {"BACKEND": CORE}},
        {
            "version redis": "8.1.0",
            "layer": {
                "BACKEND": CORE,
                "CONFIG": {"hosts": [{"address": "redis://a", "socket_timeout": None}]},
            },
        },
        {"database OPTIONS": {"transaction_mode": "EXCLUSIVE"}},
        {"database OPTIONS": {"transaction_mode": "IMMEDIATE", "pool": {"max_size": 30}}},
        {"database OPTIONS": {"transaction_mode": "IMMEDIATE", "pool": False}},
        {"SESSION_ENGINE": "django.contrib.sessions.backends.cached_db"},
        {"INSTALLED_APPS": [name for name in settings.INSTALLED_APPS if name != "daphne"]},
    ],
    ids=str,
)
def test_valid_configurations_are_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    for name, value in changes.items():
        spoil(name, value)

    assert found() == {}


def test_a_package_that_is_not_installed_is_not_reported_as_old(monkeypatch):
    """uvicorn requires neither daphne nor autobahn."""
    monkeypatch.setattr(ours, "LEAST_VERSIONS", {"no-such-package-here": ("1.0", "is old")})

    assert found() == {}


def test_daphne_must_be_the_first_app(settings):
    """It installs Twisted's reactor when it is imported."""
    others = [name for name in settings.INSTALLED_APPS if name != "daphne"]
    settings.INSTALLED_APPS = [others[0], "daphne", *others[1:]]

    assert list(found()) == ["realtime.W007"]


@pytest.mark.parametrize(
    "changes",
    [{"ALLOWED_HOSTS": ["*"]}, {"vendor": "postgresql"}],
    ids=str,
)
def test_checks_for_deployments_run_only_with_deploy(spoil, changes):
    """Both are usual during development."""
    for name, value in changes.items():
        spoil(name, value)

    assert found(deploy=False) == {}


def test_an_unknown_setting_is_an_error_without_a_traceback(tmp_path):
    """In the output of the command; the other checks use the defaults."""
    (tmp_path / "misspelt.py").write_text("from config.settings import *\nREALTIME = {'TICK': 1}\n")
    project = Project(tmp_path, DJANGO_SETTINGS_MODULE="misspelt", PYTHONPATH=str(tmp_path))

    checked = project.manage("check", check=False)

    assert checked.returncode == 1
    assert "(realtime.E001) settings.REALTIME has no TICK" in checked.stderr
    assert "Traceback" not in checked.stderr


def test_every_check_is_in_the_table():
    """In docs/operations.md, with its id."""
    table = re.findall(
        r"^\| `(realtime\.[EWI]\d+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE
    )
    modules = ("checks.py", "management/wiring.py")
    source = [
        found
        for name in modules
        for found in re.findall(r"realtime\.[EWI]\d+", (ROOT / "realtime" / name).read_text())
    ]

    assert sorted(table) == sorted(source)


def test_a_check_warns_of_missing_triggers(uninstalled):
    """A warning, with a hint: an error would block the ``migrate`` that repairs it."""
    warnings = ours.check_capture(databases=["default"])

    assert {warning.id for warning in warnings} == {"realtime.W001"}
    assert {warning.is_serious() for warning in warnings} == {False}
    assert sorted(re.findall(r"table (\w+)", " ".join(warning.msg for warning in warnings))) == sorted(
        DEMO_TABLES
    )
    assert "migrate" in warnings[0].hint


@pytest.mark.parametrize("databases", [None, [], ["other"]])
def test_the_check_of_capture_reads_only_the_databases_it_is_given(uninstalled, databases):
    """A plain ``check`` reads no database."""
    assert ours.check_capture(databases=databases) == []


def test_the_check_of_capture_is_silent_when_all_is_well(log):
    """Then ``check --database default`` reports nothing."""
    assert ours.check_capture(databases=["default"]) == []


def test_the_check_of_capture_leaves_wrong_settings_to_their_own_check(log, settings):
    """Without usable settings it is unknown which database is captured."""
    settings.REALTIME = {"NO_SUCH_SETTING": 1}

    assert ours.check_capture(databases=["default"]) == []


# ---------------------------------------------------------------- feeds


@pytest.fixture
def declare() -> Iterator[Callable[..., None]]:
    """A function that registers a feed as an app's ``live.py`` does, for one test."""

    def register_feed(model: type[models.Model], **attributes: Any) -> None:
        register(model)(type("Probe", (Feed,), {"name": "probe", **attributes}))

    yield register_feed
    registry.remove("probe")


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
        ({"limit": -1}, "limit -1"),
        ({"name": "probe", "refresh_seconds": "often"}, "refresh_seconds 'often'"),
        ({"language": "xx"}, "language 'xx'"),
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

    (error,) = ours.check_feeds()

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


def test_of_two_feeds_of_one_name_the_first_stays_live(declare):
    """The second is reported."""
    declare(Book)
    register(Book)(type("Other", (Feed,), {"name": "probe"}))

    (error,) = ours.check_feeds()

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

    assert about(ours.check_feeds()) == expected


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

    reported = ours.check_order_keys()

    assert about(reported) == ["W015"] * len(withheld)
    assert [re.findall(r"is ordered by '(\w+)'", found.msg) for found in reported] == [
        [name] for name in withheld
    ]
    assert all("opaque_order" in str(found.hint) for found in reported)


def test_order_keys_are_not_checked_with_wrong_settings(declare, settings):
    """Without usable settings the feeds are not checked; another check reports the settings."""
    declare(Book, fields=["title"], ordering=["rank"])
    settings.REALTIME = {"NO_SUCH_SETTING": 1}

    assert ours.check_order_keys() == []


def test_a_live_model_over_a_view_is_an_error(declare, make_model, log):
    """No trigger notes its changes; one that has no table at all neither."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW throwaway_seen AS SELECT id, title FROM boards_board")
    options = {"app_label": "throwaway", "apps": Apps(), "managed": False}
    try:
        for table, words in (
            ("throwaway_seen", "throwaway_seen is a view"),
            ("nothing", "nothing is not in"),
        ):
            meta = type("Meta", (), {**options, "db_table": table})
            model = type(f"Of{table}", (models.Model,), {"__module__": __name__, "Meta": meta})
            declare(model)

            (error,) = [found for found in ours.check_capture(["default"]) if found.is_serious()]

            assert error.id == "realtime.E006"
            assert words in error.msg
            registry.remove("probe")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP VIEW throwaway_seen")


def test_checks_work_where_there_is_no_database(tmp_path):
    """In a build, for example: the server's name does not resolve, and nothing waits for it."""
    project = Project(tmp_path, DATABASE_URL="postgresql://nobody@no-such-host.invalid:1/nothing")

    checked = project.manage("check", check=False)

    assert checked.returncode == 0, checked.stderr
    assert "Traceback" not in checked.stderr


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


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AUTHENTICATION_BACKENDS", ["django.contrib.auth.backends.ModelBackend"], "guessed at will"),
        ("AUTHENTICATION_BACKENDS", [*reversed(settings.AUTHENTICATION_BACKENDS)], "guessed at will"),
        ("AUTHENTICATION_BACKENDS", [], "guessed at will"),
        ("MIDDLEWARE", [], "how long to wait"),
    ],
    ids=["no backend", "not the first", "none at all", "no middleware"],
)
def test_passwords_that_may_be_guessed_are_reported(spoil, name, value, words):
    """Django itself does not count wrong passwords."""
    spoil(name, value)

    assert words in found()["realtime.W013"]


@pytest.mark.parametrize("allowed", [1024, 11_684])
def test_too_few_open_files_are_reported(monkeypatch, allowed):
    """A server then accepts fewer connections than the settings say. 10,000 connections need 11,685 files."""
    monkeypatch.setattr("realtime.servers.open_files.limits", lambda: (512, allowed))

    assert f"may open {allowed} files" in found()["realtime.W014"]
    assert "LimitNOFILE=11685" in found()["realtime.W014"]


@pytest.mark.parametrize("allowed", [11_685, 2**31], ids=["enough", "unlimited"])
def test_enough_open_files_are_not_reported(monkeypatch, allowed):
    """The limit that a server raises, not the one that it starts with."""
    monkeypatch.setattr("realtime.servers.open_files.limits", lambda: (512, allowed))

    assert "realtime.W014" not in found()


@pytest.mark.parametrize(
    "storage",
    ["config.static_files.HashedStaticFilesStorage", "django.contrib.staticfiles.storage.StaticFilesStorage"],
)
def test_static_files_that_were_not_collected_are_reported(settings, tmp_path, storage):
    """Every page is answered 500 then, or lacks its script."""
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": storage}}

    assert "manage.py collectstatic --no-input" in found()["realtime.E007"]
    assert "realtime.E007" not in found(deploy=False)


HASHED = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


@pytest.mark.parametrize(
    ("storage", "removed"),
    [
        (HASHED, []),
        (HASHED, ["realtime/live.min.js"]),
        ("django.contrib.staticfiles.storage.StaticFilesStorage", []),
    ],
    ids=["hashed", "hashed alone", "plain"],
)
def test_static_files_of_another_release_are_reported(settings, tmp_path, storage, removed):
    """Pages work with them, with yesterday's script."""
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": storage}}
    call_command("collectstatic", "--no-input", verbosity=0)
    for name in removed:
        (tmp_path / name).unlink()
    assert "realtime.E007" not in found()

    for path in tmp_path.glob("realtime/live.min*.js"):
        path.write_text("another release")

    assert "realtime/live.min.js in" in found()["realtime.E007"]


@pytest.mark.parametrize("url", [None, "/static/"])
def test_static_files_that_are_served_from_the_apps_are_not_reported(settings, url):
    settings.STATIC_URL = url

    assert "realtime.E007" not in found()
