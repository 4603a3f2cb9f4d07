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
    "name, meant",
    [("HEARTBEAT", "HEARTBEAT_SECONDS"), ("max_topic", "MAX_TOPICS"), ("TICK_SECOND", "TICK_SECONDS")],
)
def test_a_misspelt_setting_is_named_with_the_one_that_is_meant(settings, name, meant):
    """There are more than fifty; the one that is close comes first."""
    settings.REALTIME = {name: 1}

    with pytest.raises(ImproperlyConfigured, match=rf"has no {name} \(do you mean {meant}\?\); it may hold"):
        get_conf()


@pytest.mark.parametrize("given", [[1], "TICK_SECONDS", 3, None, {1, 2}])
def test_settings_that_are_no_dictionary_are_refused_with_words(settings, given):
    settings.REALTIME = given

    with pytest.raises(ImproperlyConfigured, match=r"REALTIME is a .*; write a dictionary"):
        get_conf()


@pytest.mark.parametrize(
    "given",
    [
        {"TICK_SECONDS": "0.5"},
        {"READER_THREADS": 2.5},
        {"READER_THREADS": True},
        {"PUBLISHER": "off"},
        {"TICK_SECONDS": 0},
        {"TICK_SECONDS": float("nan")},
        {"PAGE_THREADS": 0},
        {"HEARTBEAT_SECONDS": -1.0},
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_name(settings, given):
    """It would fail later and elsewhere; and the text "off" would mean on."""
    settings.REALTIME = given

    with pytest.raises(ImproperlyConfigured, match=next(iter(given)).lower()) as caught:
        get_conf()

    assert f"REALTIME[{next(iter(given))!r}]: " in str(caught.value)


def test_every_setting_is_documented():
    """One sentence below each field, complete in itself, for editors and for the table of settings."""
    names = {field.name for field in dataclasses.fields(Conf)}

    assert sentences().keys() == names
    assert all(re.fullmatch(r"[A-Z].*\.", sentence) for sentence in sentences().values())


def test_the_documentation_has_the_same_settings():
    """Names, units, defaults and sentences; ``python -m tests.support.settings_table`` renews them."""
    assert printed() == table()
