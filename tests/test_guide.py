"""The guide to feeds: every block of Python in it runs, and declares feeds that are live without a warning."""

import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from django.apps.registry import Apps
from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q

from realtime import actions, changes, feeds, schedule
from realtime.checks import feeds as checks
from realtime.rows.registry import Registry

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "feeds.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
guide_apps = Apps(["tests.apps.library"])  # an app of which nothing else is used: relations need one


class Model(models.Model):
    objects: Any

    class Meta:
        abstract = True
        app_label = "library"
        apps = guide_apps


class Country(Model):
    name = models.CharField(max_length=40)


class Author(Model):
    name = models.CharField(max_length=40)
    country = models.ForeignKey(Country, models.CASCADE)


class Tag(Model):
    name = models.CharField(max_length=40)


class Book(Model):
    title = models.CharField(max_length=40)
    author = models.ForeignKey(Author, models.CASCADE)
    tags = models.ManyToManyField(Tag)


class Chapter(Model):
    book = models.ForeignKey(Book, models.CASCADE)


class Board(Model):
    is_public = models.BooleanField()


class Membership(Model):
    board = models.ForeignKey(Board, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE, related_name="+")


class Entry(Model):
    board = models.ForeignKey(Board, models.CASCADE)


class Product(Model):
    name = models.CharField(max_length=40)
    description = models.TextField()
    price = models.DecimalField(max_digits=9, decimal_places=2)
    size = models.CharField(max_length=1, choices=[("s", "Small")])
    owner = models.ForeignKey(User, models.CASCADE, related_name="+")
    picture: Any = models.ImageField()
    created = models.DateTimeField()
    score = models.IntegerField()

    @property
    def is_cheap(self) -> bool:
        return self.price < 5


class Order(Model):
    state = models.CharField(max_length=10)
    email = models.EmailField()
    is_told = models.BooleanField()


class Sale(Model):
    product = models.ForeignKey(Product, models.CASCADE)


@pytest.fixture
def names(monkeypatch) -> dict[str, Any]:
    """The names that the blocks use. Their registrations are undone afterwards."""
    registry: Any = Registry()
    handlers: dict[str, changes.Handler] = {}
    monkeypatch.setattr(feeds, "registry", registry)
    monkeypatch.setattr(checks, "registry", registry)
    monkeypatch.setattr(actions, "actions", {})
    monkeypatch.setattr(changes, "registry", registry)
    monkeypatch.setattr(changes, "handlers", handlers)
    monkeypatch.setattr(checks, "handlers", handlers)
    product_feed = feeds.register(Product)(
        type("ProductFeed", (feeds.Feed,), {"name": "of-products", "fields": ["name"]})
    )
    order_feed = feeds.register(Order)(
        type("OrderFeed", (feeds.Feed,), {"name": "of-orders", "fields": ["state"]})
    )
    monkeypatch.setattr(schedule, "jobs", {})
    return {
        **{name: value for name, value in globals().items() if isinstance(value, type)},
        "models": models, "Q": Q, "F": F, "Count": Count, "Exists": Exists, "OuterRef": OuterRef,
        "Feed": feeds.Feed, "register": feeds.register, "computed": feeds.computed,
        "on_change": changes.on_change, "ProductFeed": product_feed, "OrderFeed": order_feed, "send_mail": send_mail,
        "search": Mock(), "Figure": SimpleNamespace(), "load": SimpleNamespace(),
    }  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS, ids=[block.strip().partition("\n")[0][:60] for block in BLOCKS])
def test_a_block_of_the_guide_runs_and_declares_what_is_live(names, block, monkeypatch, tmp_path, settings):
    """A reader who copies it gets no error, no warning, and no feed that is off."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "_book.html").write_text("<li>{{ book.title }} {{ book.author.name }}</li>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    path = tmp_path / "live.py"
    path.write_text(textwrap.dedent(block))
    exec(compile(path.read_text(), str(path), "exec"), names)

    assert checks.check_feeds() + checks.check_order_keys() == []
    assert feeds.registry.off == []
    assert checks.check_handlers() == []
