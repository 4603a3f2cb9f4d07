"""Which models can be live: those of any app, proxies, children, unmanaged ones, those whose managers hide rows.

For each, a reader of the log has after any write what a SELECT returns, and needs no second reading.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, models

from realtime.boards.models import Entry
from realtime.feeds import Feed, registry
from realtime.publishing import capture
from tests.apps.library.models import MODELS, AudioBook, Author, Book, apps
from tests.contract.conftest import Follower
from tests.contract.own_feeds import only_own_feeds, prepared  # noqa: F401


@pytest.fixture
def declare(database) -> Iterator[Callable[..., Feed]]:
    """A function that registers a feed for one test."""
    names: list[str] = []

    def register(name: str, model: type[models.Model], feed: type[Feed] = Feed, **attributes: Any) -> Feed:
        made = type("Probe", (feed,), {"name": name, **attributes})(model)
        assert made.error is None, made.error
        registry.add(made)
        names.append(name)
        capture.install()
        database.sequence()
        return made

    yield register
    for name in names:
        registry.remove(name)


def make(*made: type[models.Model]) -> None:
    with connection.schema_editor() as editor:
        for model in made:
            editor.create_model(model)


def check(database, followers: list[Follower], *writes: Callable[[], Any]) -> None:
    """Each write changes something that a follower has; afterwards all have what the source has."""
    for write in writes:
        write()
        database.sequence()
        missed = [entry for follower in followers for entry in follower.follow()]
        assert missed, "no follower was told of the write"
        for follower in followers:
            follower.assert_equals_source()
    assert [follower.reads for follower in followers] == [1] * len(followers)


@pytest.mark.parametrize("seed", range(3))
def test_feeds_of_one_table_have_topics_of_their_own(database, declare, seed):
    """By different columns, with different filters and fields: triggers note what all of them need."""
    declare("by-board", Entry, topic_field="board_id", fields=["label", "status"])
    declare("by-status", Entry, topic_field="status", fields=["position"], filter=models.Q(is_visible=True))
    declare("all", Entry, fields=["label", "board"], ordering=["-position"])
    declare("each", Entry, topic_field="id", fields=["label"])
    topics = ["by-board.1", "by-board.2", "by-status.ok", "by-status.late", "all", "each.1"]
    followers = [Follower(topic) for topic in topics]
    chance = random.Random(seed)

    def write() -> None:
        entries = Entry.objects.filter(pk__in=chance.sample(range(1, 11), 3))
        chance.choice([
            lambda: entries.update(board_id=chance.randint(1, 2)),
            lambda: entries.update(status=chance.choice(["ok", "late"])),
            lambda: entries.update(label=f"{chance.random()}", is_visible=chance.random() < 0.5),
            lambda: Entry.objects.create(board_id=1, status="late", label="new"),
            lambda: entries.filter(pk__gt=1).delete(),
        ])()  # fmt: skip

    for _ in range(12):
        write()
        database.sequence()
        for follower in followers:
            follower.follow()
            follower.assert_equals_source()
    assert [follower.reads for follower in followers] == [1] * len(followers)


def test_a_feed_that_is_registered_later_adds_its_column_to_the_triggers(database, declare):
    """The first one goes on meanwhile."""
    declare("by-board", Entry, topic_field="board_id", fields=["label"])
    first = Follower("by-board.2")
    declare("by-status", Entry, topic_field="status", fields=["label"])
    first.follow()
    reads = first.reads
    second = Follower(f"by-status.{Entry.objects.get(pk=1).status}")

    Entry.objects.filter(pk=1).update(board_id=1, status="late")
    database.sequence()

    for follower in (first, second):
        assert follower.follow()
        follower.assert_equals_source()
    assert (first.reads, second.reads) == (reads, 1)
    assert capture.missing() == []


def test_a_model_of_another_app_is_live(database, declare):
    """Users, for example, with their groups; no code of that app is changed."""
    declare(
        "users",
        User,
        fields=["username", "get_full_name", "is_active"],
        ordering=["username"],
        depends_on=["groups"],
    )
    ann = User.objects.create(username="ann")
    database.sequence()
    follower = Follower("users")

    check(
        database,
        [follower],
        lambda: User.objects.create(username="bob", first_name="Bob"),
        lambda: User.objects.filter(pk=ann.pk).update(is_active=False),
        lambda: ann.groups.add(Group.objects.create(name="editors")),
        lambda: Group.objects.update(name="writers"),
        lambda: ann.delete(),
    )


class Highest(models.Manager):
    """A manager of a proxy: books above a rank."""

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(rank__gt=2)


class HighBook(Book):
    objects: ClassVar[Any] = Highest()

    class Meta:
        proxy = True
        apps = apps
        app_label = "library"


def test_a_proxy_is_live_with_the_rows_of_its_manager(database, declare):
    """They are in the table of the model behind it, whose own feed is another one."""
    make(*MODELS)
    book = Book.objects.create(title="one", rank=1)
    declare("high", HighBook, fields=["title"])
    declare("books", Book, fields=["title"])

    check(
        database,
        [Follower("high"), Follower("books")],
        lambda: Book.objects.filter(pk=book.pk).update(rank=3),
        lambda: HighBook.objects.update(title="renamed"),
        lambda: Book.objects.filter(pk=book.pk).update(rank=0),
        lambda: Book.objects.all().delete(),
    )


def test_a_child_of_a_model_is_live_and_so_is_its_parent(database, declare):
    """A row of the child is in two tables, and a change of either is a change of it."""
    make(*MODELS)
    told = AudioBook.objects.create(title="told", minutes=60, author=Author.objects.create(name="Ann"))
    declare("audio", AudioBook, topic_field="minutes", fields=["title", "minutes", "author__name"])
    declare("books", Book, topic_field="shelf", fields=["title"])

    check(
        database,
        [Follower("audio.60"), Follower("books.1")],
        lambda: Book.objects.filter(pk=told.pk).update(title="renamed"),
        lambda: AudioBook.objects.filter(pk=told.pk).update(minutes=61),
        lambda: AudioBook.objects.filter(pk=told.pk).update(minutes=60, title="back"),
        lambda: Author.objects.update(name="Zoe"),
        lambda: AudioBook.objects.get().delete(keep_parents=True),
        lambda: Book.objects.all().delete(),
    )


class Legacy(models.Model):
    """A table that another program made, and that Django does not manage."""

    objects: Any
    code = models.CharField(max_length=5, primary_key=True, db_column="CODE")
    words = models.TextField(db_column="some words")

    class Meta:
        managed = False
        db_table = "Legacy table"
        app_label = "library"
        apps = apps


def test_an_unmanaged_model_of_a_real_table_is_live(database, declare):
    """Also with names that need quotes, and for every writer."""
    with connection.cursor() as cursor:
        cursor.execute(
            'CREATE TABLE "Legacy table" ("CODE" varchar(5) PRIMARY KEY, "some words" text NOT NULL)'
        )
    declare("legacy", Legacy, fields=["code", "words"])

    check(
        database,
        [Follower("legacy")],
        lambda: database.sql("""INSERT INTO "Legacy table" VALUES ('a', 'first')"""),
        lambda: Legacy.objects.update(words="second"),
        lambda: database.sql("""UPDATE "Legacy table" SET "CODE" = 'b'"""),
        lambda: Legacy.objects.all().delete(),
    )


class Present(models.Manager):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(is_gone=False)


class Note(models.Model):
    """Deleted by a mark; both managers hide marked rows, the base manager too."""

    objects: Any = Present()
    everything: Any = models.Manager()
    is_gone = models.BooleanField(default=False)
    # A cascade would ask for this table wherever an author is deleted, in tests that do not make it too.
    author = models.ForeignKey(Author, models.DO_NOTHING, related_name="+")
    text = models.TextField()

    class Meta:
        app_label = "library"
        apps = apps
        base_manager_name = "objects"


class Everything(Feed):
    def get_queryset(self) -> Any:
        return Note.everything.all()


def test_rows_that_managers_hide_are_deletes_unless_the_feed_shows_them(database, declare):
    """A change of a related row finds hidden rows as well: they may be shown again by then."""
    make(*MODELS, Note)
    ann = Author.objects.create(name="Ann")
    note = Note.objects.create(author=ann, text="one")
    declare("notes", Note, fields=["text", "author__name"])
    declare("all-notes", Note, Everything, fields=["text", "is_gone", "author__name"])
    shown, everything = Follower("notes"), Follower("all-notes")

    def hide_and_rename() -> None:
        Note.everything.filter(pk=note.pk).update(is_gone=True)
        Author.objects.update(name="Zoe")

    check(
        database,
        [shown, everything],
        hide_and_rename,
        lambda: Author.objects.update(name="Eve"),
        lambda: Note.everything.update(is_gone=False),
        lambda: Author.objects.update(name="Ann"),
        lambda: Note.everything.update(is_gone=True),
        lambda: Note.everything.all().delete(),
    )
    assert shown.topic.rows == everything.topic.rows == []
