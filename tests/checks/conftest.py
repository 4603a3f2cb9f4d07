"""The messages of our checks, settings that a test changes, and feeds that a test declares."""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
from django.core import checks
from django.db import connections, models

from realtime.checks import database
from realtime.feeds import Feed, register, registry


def found(*, deploy: bool = True) -> dict[str, str]:
    """Return the current results of our checks: for each id the message and the hint."""
    said = checks.run_checks(tags=["realtime"], include_deployment_checks=deploy)
    return {message.id: f"{message.msg}\n{message.hint}" for message in said}


def expect_only(spoil: Callable[..., None], id: str, changes: dict[str, Any], words: str) -> None:
    """Make changes; expect one message, with this id and these words."""
    for name, value in changes.items():
        spoil(name, value)

    said = found()

    assert list(said) == [f"realtime.{id}"]
    assert words in said[f"realtime.{id}"]


def expect_nothing(spoil: Callable[..., None], changes: dict[str, Any]) -> None:
    """Make changes; expect no message."""
    for name, value in changes.items():
        spoil(name, value)

    assert found() == {}


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
                    "realtime.checks.versions.version",
                    lambda name: value if name == package else version(name),
                )
            case ["driver"]:
                monkeypatch.setattr(database, "is_psycopg3", lambda: value == 3)
            case ["layer"]:
                settings.CHANNEL_LAYERS = {"default": value}
            case _:
                setattr(settings, name, value)

    return change


@pytest.fixture
def declare() -> Iterator[Callable[..., None]]:
    """A function that registers a feed as an app's ``live.py`` does, for one test."""

    def register_feed(model: type[models.Model], **attributes: Any) -> None:
        register(model)(type("Probe", (Feed,), {"name": "probe", **attributes}))

    yield register_feed
    registry.remove("probe")
