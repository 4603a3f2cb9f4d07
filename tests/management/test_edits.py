"""The edits that a project needs: each once, in files as ``startproject`` writes them and as people change them."""

import ast
from functools import partial

import pytest

from realtime.management import edits
from realtime.management.edits import Unrecognised

SETTINGS = """\
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent

INSTALLED_APPS = [
    'django.contrib.admin',  # größer
    'realtime',
]

MIDDLEWARE = [
    'django.middleware.security.SecurityMiddleware',
    'django.contrib.sessions.middleware.SessionMiddleware',
]

ROOT_URLCONF = 'shop.urls'

WSGI_APPLICATION = 'shop.wsgi.application'

DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.sqlite3',
        'NAME': BASE_DIR / 'db.sqlite3',
    }
}
"""
ASGI = """\
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')

application = get_asgi_application()
"""
URLS = """\
from django.contrib import admin
from django.urls import path

urlpatterns = [
    path('', admin.site.urls),
]
"""
BASE = "<html>\n  <head>\n    <title>größer</title>\n  </head>\n</html>\n"

with_daphne = partial(edits.with_app_first, app="daphne")
with_application = partial(edits.with_application, name="shop.asgi.application")
EDITS = [
    (with_daphne, SETTINGS, "INSTALLED_APPS = [\n    'daphne',\n    'django.contrib.admin',  # größer\n"),
    (
        edits.with_middleware,
        SETTINGS,
        "    'realtime.middleware.PrivatePagesMiddleware',\n    'django.contrib.sessions",
    ),
    (
        edits.with_live_blocks,
        SETTINGS,
        "[\n    'realtime.middleware.LiveBlocksMiddleware',\n    'django.middleware",
    ),
    (
        with_application,
        SETTINGS,
        "WSGI_APPLICATION = 'shop.wsgi.application'\nASGI_APPLICATION = 'shop.asgi.application'\n",
    ),
    (
        edits.with_immediate_transactions,
        SETTINGS,
        "{\n        'OPTIONS': {'transaction_mode': 'IMMEDIATE'},\n        'ENGINE': 'django",
    ),
    (
        edits.with_engine,
        ASGI,
        "get_asgi_application\n\nimport realtime.asgi\n\nos.environ",
    ),
    (edits.with_engine, ASGI, "\napplication = realtime.asgi.application(get_asgi_application())\n"),
    (edits.with_addresses, URLS, "from django.urls import include, path\n"),
    (edits.with_addresses, URLS, "[\n    path('realtime/', include('realtime.urls')),\n    path('', admin"),
    (
        edits.with_outage_page,
        URLS,
        "    path('', admin.site.urls),\n]\n\nhandler500 = 'realtime.views.server_error'\n",
    ),
    (edits.with_head, BASE, "</title>\n    {% load realtime %}{% realtime_head %}\n  </head>"),
]


@pytest.mark.parametrize(("edit", "source", "expected"), EDITS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
def test_what_is_missing_is_added_at_its_place(edit, source, expected, newline):
    """Nothing else changes: each line of the file is still there, with its own line ends."""
    given = source.replace("\n", newline)

    edited = edit(given)

    assert expected.replace("\n", newline) in edited
    assert edited.count("\n") == edited.count(newline)
    replaced = ("application = get_asgi_application()", "from django.urls import path")
    kept = [line for line in given.splitlines() if line and line not in replaced]
    assert [line for line in edited.splitlines() if line in kept] == kept


@pytest.mark.parametrize(("edit", "source"), [(edit, source) for edit, source, _ in EDITS])
def test_it_is_added_once(edit, source):
    """The command may be run again, after an upgrade."""
    edited = edit(source)

    assert edit(edited) == edited


@pytest.mark.parametrize(
    ("edit", "source", "expected"),
    [
        (with_daphne, "INSTALLED_APPS = ['a', 'b']\n", "['daphne', 'a', 'b']"),
        (with_daphne, 'INSTALLED_APPS = ["a"]\n', "['daphne', \"a\"]"),
        (with_daphne, "INSTALLED_APPS = [\n    *BASE,\n    'b']\n", "[\n    'daphne',\n    *BASE,"),
        (with_application, "ROOT_URLCONF = 'a.urls'", "ROOT_URLCONF = 'a.urls'\nASGI_APPLICATION = "),
        (
            edits.with_addresses,
            "from django.urls import include, path\nurlpatterns = [path('', x)]\n",
            "[path('realtime/', include('realtime.urls')), path('', x)]",
        ),
        (
            edits.with_addresses,
            "from django.urls import (\n    path,\n    re_path,\n)\nurlpatterns = [path('', x)]\n",
            "(\n    include,\n    path,\n",
        ),
        (
            edits.with_outage_page,
            "urlpatterns = i18n_patterns(\n    x\n)\nurlpatterns += y\n",
            ")\n\nhandler500 = 'realtime.views.server_error'\nurlpatterns += y\n",
        ),
        (edits.with_head, "<html><head>\n</head>\n", "<head>\n  {% load realtime %}"),
    ],
)
def test_other_styles_are_understood(edit, source, expected):
    assert expected in edit(source)


@pytest.mark.parametrize(
    ("edit", "source", "words"),
    [
        (with_daphne, "INSTALLED_APPS = BASE + ['a']\n", "not written as one list"),
        (with_daphne, "INSTALLED_APPS = ('a',)\n", "not written as one list"),
        (with_daphne, "INSTALLED_APPS = []\n", "not written as one list"),
        (with_daphne, "from .base import *\n", "not written as one list"),
        (with_daphne, "INSTALLED_APPS = [\n", "it is not Python"),
        (edits.with_middleware, "MIDDLEWARE = ['a.B']\n", "does not list 'django.contrib.sessions"),
        (with_application, "", "add ASGI_APPLICATION = 'shop.asgi.application'"),
        (edits.with_immediate_transactions, "DATABASES = {'default': env.db()}\n", "add 'OPTIONS'"),
        (edits.with_immediate_transactions, "DATABASES = {'default': {**BASE}}\n", "add 'OPTIONS'"),
        (edits.with_immediate_transactions, "DATABASES = {'default': {'OPTIONS': {}}}\n", "has OPTIONS"),
        (
            edits.with_immediate_transactions,
            "DATABASES = {'a': {'NAME': 1}, 'b': {'NAME': 2}}\n",
            "one database",
        ),
        (
            edits.with_engine,
            "from django.core.asgi import get_asgi_application\napplication = X()\n",
            "realtime.asgi",
        ),
        (edits.with_engine, "application = get_asgi_application()\n", "realtime.asgi.application("),
        (edits.with_addresses, "urlpatterns = i18n_patterns()\n", "add path('realtime/'"),
        (edits.with_addresses, "urlpatterns = [x]\n", "does not import path"),
        (edits.with_outage_page, "from .addresses import *\n", "add handler500 = "),
        (edits.with_head, "<html>", "{% realtime_head %}"),
    ],
)
def test_what_is_not_recognised_is_left_alone_with_words(edit, source, words):
    """The message says what to add by hand."""
    with pytest.raises(Unrecognised, match=r".*") as refused:
        edit(source)

    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("edit", "source"), [(edit, source) for edit, source, _ in EDITS if source is not BASE]
)
def test_the_result_is_python(edit, source):
    ast.parse(edit(source))


@pytest.mark.parametrize(
    "character", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"], ids=ascii
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["unix", "windows", "mac"])
@pytest.mark.parametrize(
    ("edit", "source"), [(edit, source) for edit, source, _ in EDITS if source is not BASE]
)
def test_other_characters_that_end_lines_elsewhere_end_none_of_python(edit, source, newline, character):
    """Such as a form feed between the parts of a file: nothing but the edit changes."""
    given = f"# a{character}b{character}" + f"\n{source}".replace("\n", newline)

    edited = edit(given)

    assert ast.dump(ast.parse(edited)) == ast.dump(ast.parse(edit(source)))
    assert edited.startswith(f"# a{character}b{character}{newline}")


@pytest.mark.parametrize(
    "own",
    ["handler500 = 'shop.views.failed'", "from .errors import handler500", "def handler500(request): ..."],
)
def test_a_view_for_errors_of_the_project_stays_the_only_one(own):
    """It may do more than ours."""
    source = f"{URLS}\n{own}\n"

    assert edits.with_outage_page(source) == source
