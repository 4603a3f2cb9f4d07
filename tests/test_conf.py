"""Settings: read on first use, checked, read again after a change, and documented."""

import dataclasses
import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from realtime.conf import Conf, get_conf
from tests.support.settings_table import printed, sentences, table


def test_without_settings_the_defaults_apply(settings):
    """Nothing has to be configured."""
    settings.REALTIME = {}

    assert get_conf() == Conf()


def test_a_setting_replaces_only_its_default(settings):
    """Under its name in capitals."""
    settings.REALTIME = {"TICK_SECONDS": 0.5}

    assert get_conf() == dataclasses.replace(Conf(), tick_seconds=0.5)


def test_changed_settings_are_read_again(settings):
    """Tests override settings; no old value is kept."""
    settings.REALTIME = {"TICK_SECONDS": 0.5}
    get_conf()

    settings.REALTIME = {"TICK_SECONDS": 0.7}

    assert get_conf().tick_seconds == 0.7


@pytest.mark.parametrize("name", ["TICK", "tick_seconds", "TICK_SECOND", ""])
def test_an_unknown_setting_is_refused_with_a_list_of_the_known_ones(settings, name):
    """A misspelt setting would otherwise have no effect, silently."""
    settings.REALTIME = {name: 1, "TICK_SECONDS": 0.5}

    with pytest.raises(ImproperlyConfigured, match=rf"has no {name}.*it may hold: .*TICK_SECONDS"):
        get_conf()


@pytest.mark.parametrize(
    "given",
    [{"TICK_SECONDS": "0.5"}, {"READER_THREADS": 2.5}, {"READER_THREADS": True}, {"PUBLISHER": "off"}],
)
def test_a_value_of_another_type_is_refused_with_its_name(settings, given):
    """It would fail later and elsewhere; and the text "off" would mean on."""
    settings.REALTIME = given

    with pytest.raises(ImproperlyConfigured, match=next(iter(given)).lower()):
        get_conf()


def test_every_setting_is_documented():
    """One sentence below each field, complete in itself, for editors and for the table of settings."""
    names = {field.name for field in dataclasses.fields(Conf)}

    assert sentences().keys() == names
    assert all(re.fullmatch(r"[A-Z].*\.", sentence) for sentence in sentences().values())


def test_the_documentation_has_the_same_settings():
    """Names, units, defaults and sentences; ``python -m tests.support.settings_table`` renews them."""
    assert printed() == table()
