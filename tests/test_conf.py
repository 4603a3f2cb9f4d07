"""Settings: one door, read late, dropped on change."""

import ast
import dataclasses
import inspect

import pytest
from django.core.exceptions import ImproperlyConfigured

from realtime.conf import Conf, get_conf


def test_without_settings_the_defaults_hold(settings):
    """Nothing has to be configured."""
    settings.REALTIME = {}

    assert get_conf() == Conf()


def test_a_setting_replaces_its_default_alone(settings):
    """Under its name in capitals."""
    settings.REALTIME = {"TICK_SECONDS": 0.5}

    assert get_conf() == dataclasses.replace(Conf(), tick_seconds=0.5)


def test_changed_settings_are_read_anew(settings):
    """Tests override them; nothing is kept from before."""
    settings.REALTIME = {"TICK_SECONDS": 0.5}
    get_conf()

    settings.REALTIME = {"TICK_SECONDS": 0.7}

    assert get_conf().tick_seconds == 0.7


@pytest.mark.parametrize("name", ["TICK", "tick_seconds", "TICK_SECOND", ""])
def test_an_unknown_setting_is_refused_with_those_there_are(settings, name):
    """A misspelt one would silently do nothing."""
    settings.REALTIME = {name: 1, "TICK_SECONDS": 0.5}

    with pytest.raises(ImproperlyConfigured, match=rf"has no {name}.*it may hold: .*TICK_SECONDS"):
        get_conf()


@pytest.mark.parametrize(
    "given",
    [{"TICK_SECONDS": "0.5"}, {"READER_THREADS": 2.5}, {"READER_THREADS": True}, {"PUBLISHER": "off"}],
)
def test_a_value_of_another_type_is_refused_with_its_name(settings, given):
    """It would fail later, elsewhere; and "off" would be on."""
    settings.REALTIME = given

    with pytest.raises(ImproperlyConfigured, match=next(iter(given)).lower()):
        get_conf()


def test_every_setting_says_what_it_is():
    """One sentence below each field, which docs and editors show."""
    (body,) = [node.body for node in ast.parse(inspect.getsource(Conf)).body]
    fields = [place for place, node in enumerate(body) if isinstance(node, ast.AnnAssign)]

    assert len(fields) == len(dataclasses.fields(Conf))
    assert all(isinstance(body[place + 1], ast.Expr) for place in fields)
