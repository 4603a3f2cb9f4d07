"""Feeds beyond one table: rows computed from related ones, topics with a limit, rows that change partition.

After one sequencing of any change in any of the tables, a reader of the log has what a SELECT returns.
"""

import contextlib
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import pytest
from django.db import connection, models, transaction
from django.db.migrations import Migration
from django.db.models import Q
from django.utils.html import escape

from realtime.apps import _remove_capture
from realtime.engine.messages import Row
from realtime.feeds import Feed, registry
from realtime.publishing import capture, positions
from tests.apps.library.models import (
    MODELS,
    AudioBook,
    Author,
    Book,
    Chapter,
    Country,
    Cover,
    Prize,
    Publisher,
    Tag,
    Win,
)
from tests.contract.conftest import Database, Follower, copy_of, log_changes


def with_html(row: Row | None, parts: Iterable[str]) -> Row | None:
    """Return a row with the parts as its HTML, which stand for a template that follows relations."""
    return row and msgspec.structs.replace(row, html=f"<li>{escape('; '.join(parts))}</li>")


class Library(Feed):
    """Base of the feeds here: the row of a book contains everything that other tables hold about it."""

    topic_field = "shelf"
    fields = ["title", "rank"]
    ordering = ["author__name", "title"]

    def get_queryset(self):
        to_one = super().get_queryset().select_related("author__country", "publisher", "sequel_of", "cover")
        return to_one.prefetch_related("tags", "prizes", "chapter_set")

    def row(self, instance):
        return with_html(super().row(instance), self.parts(instance))

    def parts(self, book: Any) -> Iterator[str]:
        yield book.title
        if book.author is not None:
            yield f"by {book.author.name}"
            if book.author.country is not None:
                yield f"of {book.author.country.name}"
        if book.publisher is not None:
            yield f"from {book.publisher.name}"
        if book.sequel_of is not None:
            yield f"sequel of {book.sequel_of.title}"
        yield from sorted(tag.name for tag in book.tags.all())
        yield from sorted(f"{prize.name}" for prize in book.prizes.all())
        yield from sorted(str(year) for year in Win.objects.filter(book=book).values_list("year", flat=True))
        yield from sorted(chapter.title for chapter in book.chapter_set.all())
        if hasattr(book, "cover"):
            yield f"in {book.cover.colour}"


EVERYTHING = ["author__country", "publisher", "sequel_of", "tags", "prizes", "chapter_set", "cover"]


class Books(Library):
    depends_on = EVERYTHING


class SeaBooks(Library):
    """Filtered by related rows; several tags of a book may match."""

    filter = Q(tags__name__startswith="sea")
    depends_on = EVERYTHING


class HomeBooks(Library):
    """Filtered over two relations; one topic for all books."""

    topic_field = None
    filter = Q(author__country__name="home")
    depends_on = EVERYTHING


class BestBooks(Library):
    """The three highest ranked books of a shelf."""

    ordering = ["-rank"]
    limit = 3
    depends_on = EVERYTHING


class BestSeaBooks(BestBooks):
    filter = Q(tags__name__startswith="sea")


class AudioBooks(Library):
    """Their titles, authors and more are in the table of books."""

    topic_field = "minutes"
    depends_on = EVERYTHING


class Tags(Feed):
    """Tags with their books: a reverse relation, and one beyond it."""

    fields = ["name"]
    ordering = ["name"]
    depends_on = ["book_set__author"]

    def row(self, instance):
        books = instance.book_set.order_by("pk")
        return with_html(
            super().row(instance), (f"{book.title} {book.author and book.author.name}" for book in books)
        )


FEEDS = {
    "books": (Books, Book), "sea": (SeaBooks, Book), "home": (HomeBooks, Book), "best": (BestBooks, Book),
    "bestsea": (BestSeaBooks, Book), "audio": (AudioBooks, AudioBook), "tags": (Tags, Tag),
}  # fmt: skip
TOPICS = [
    *(f"{name}.{shelf}" for name in ("books", "sea", "best", "bestsea") for shelf in (1, 2)),
    "home", "audio.0", "audio.60", "tags",
]  # fmt: skip


@contextlib.contextmanager
def registered(**feeds: tuple[type[Feed], type[models.Model]]) -> Iterator[None]:
    """Register ``name=(feed class, model)``."""
    for name, (feed, model) in feeds.items():
        registry.add(type(feed.__name__, (feed,), {"name": name})(model))
    try:
        yield
    finally:
        for name in feeds:
            registry.remove(name)


@pytest.fixture
def make_live(database) -> Iterator[Callable[..., None]]:
    """Make models live for one test: ``make_live(name=(feed class, model))``."""
    with contextlib.ExitStack() as stack:

        def register(**feeds: tuple[type[Feed], type[models.Model]]) -> None:
            stack.enter_context(registered(**feeds))
            capture.install()
            database.sequence()

        yield register


@pytest.fixture(scope="session")
def prepared(prepared, django_db_blocker) -> Iterator[Database]:
    """To be copied: two shelves of books with rows in all related tables, and the triggers of every feed above."""
    with copy_of(prepared) as database:
        with django_db_blocker.unblock(), database.in_preparation(), registered(**FEEDS):
            with connection.schema_editor() as editor:
                for model in MODELS:
                    editor.create_model(model)
            fill()
            capture.install()
        yield database


def fill() -> None:
    home, away = (Country.objects.create(name=name) for name in ("home", "away"))
    ann, bob = (Author.objects.create(name=n, country=c) for n, c in (("Ann", home), ("Bob", away)))
    press = Publisher.objects.create(code="press", name="The Press")
    sea, seaside, hills = (Tag.objects.create(name=name) for name in ("sea", "seaside", "hills"))
    prize = Prize.objects.create(name="Golden Shell")
    for number in range(1, 9):
        book = Book.objects.create(
            shelf=1 + number % 2, title=f"Book {number}", rank=number, author=ann if number < 5 else bob
        )
        Chapter.objects.create(book=book, title=f"Chapter of {number}")
        book.tags.add(*[sea, seaside, hills][: number % 4])
    Book.objects.filter(pk__lte=2).update(publisher=press, sequel_of=3)
    Win.objects.create(book_id=1, prize=prize, year=1999)
    Cover.objects.create(book_id=1, colour="red")
    AudioBook.objects.create(shelf=1, title="Told", author=ann, minutes=60)


@pytest.fixture
def library(database) -> Iterator[Database]:
    """The books above, with every feed."""
    with registered(**FEEDS):
        yield database


def as_sql(statement: str) -> Callable[[], None]:
    def write() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return write


def save_an_author():
    author = Author.objects.get(name="Ann")
    author.name = "Zoe"
    author.save()


def unlink_and_rename():
    """Delete a link and change its target in one batch: only the link's old image leads to the book."""
    Book.objects.get(pk=1).tags.clear()
    Tag.objects.update(name="renamed")


def relink_on_the_way():
    """Move an author to another country, and change both countries."""
    home, away = Country.objects.order_by("pk")
    Author.objects.filter(name="Ann").update(country=away)
    Country.objects.filter(pk=home.pk).update(name="left")
    Country.objects.filter(pk=away.pk).update(name="home")


def row_and_relation_together():
    with transaction.atomic():
        Book.objects.filter(pk=1).update(shelf=1, title="moved")
        Author.objects.update(name="everyone")
        Book.objects.filter(pk=2).update(author=None)
        Book.objects.get(pk=3).delete()
        Book.objects.create(pk=77, shelf=2, title="new", author=Author.objects.first())


def delete_and_link_again():
    with transaction.atomic():
        Cover.objects.all().delete()
        Cover.objects.create(book_id=2, colour="green")


def clear_from_the_other_side():
    Tag.objects.get(name="sea").book_set.clear()


WRITES = {
    "save": save_an_author,
    "update": lambda: Author.objects.update(name="The same"),
    "bulk_update": lambda: Tag.objects.bulk_update(
        [Tag(pk=tag.pk, name=f"sea {tag.pk}") for tag in Tag.objects.all()], ["name"]
    ),
    "raw sql": as_sql("UPDATE library_author SET name = 'by hand' WHERE name = 'Bob'"),
    "raw sql on a link": as_sql("UPDATE library_book_tags SET book_id = 8 WHERE book_id = 1"),
    "add": lambda: Book.objects.get(pk=4).tags.add(*Tag.objects.all()),
    "remove": lambda: Book.objects.get(pk=1).tags.remove(Tag.objects.get(name="sea")),
    "clear": lambda: Book.objects.get(pk=3).tags.clear(),
    "set": lambda: Book.objects.get(pk=3).tags.set([Tag.objects.get(name="hills")]),
    "clear from the other side": clear_from_the_other_side,
    "link with a field": lambda: Win.objects.update(year=2001),
    "link with a field moves": lambda: Win.objects.update(book=5),
    "prize": lambda: Prize.objects.update(name="Silver Shell"),
    "by a column that is no key": lambda: Publisher.objects.update(name="The Other Press"),
    "a reverse row moves": lambda: Chapter.objects.filter(book=1).update(book=2),
    "a reverse row is created": lambda: Chapter.objects.create(book_id=6, title="Epilogue"),
    "one-to-one": lambda: Cover.objects.update(colour="blue"),
    "one-to-one moves": lambda: Cover.objects.update(book=7),
    "one-to-one, deleted and created": delete_and_link_again,
    "itself": lambda: Book.objects.filter(pk=3).update(title="First of all"),
    "two relations": lambda: Country.objects.filter(name="away").update(name="home"),
    "two relations, link": lambda: Author.objects.filter(name="Bob").update(country=1),
    "two relations, both": relink_on_the_way,
    "cascade": lambda: Publisher.objects.all().delete(),
    "set null": lambda: Author.objects.get(name="Ann").delete(),
    "set null, two relations": lambda: Country.objects.all().delete(),
    "a tag is deleted": lambda: Tag.objects.get(name="sea").delete(),
    "unlink and change": unlink_and_rename,
    "row and relation": row_and_relation_together,
    "parent part": lambda: Book.objects.filter(title="Told").update(title="Retold"),
    "parent part, sql": as_sql("UPDATE library_book SET title = 'Retold' WHERE title = 'Told'"),
    "child part": lambda: AudioBook.objects.update(minutes=0),
    "both parts": lambda: AudioBook.objects.update(minutes=0, title="Short"),
    "a parent is deleted": lambda: Book.objects.get(title="Told").delete(),
    "limit, one enters": lambda: Book.objects.filter(pk__in=[7, 8]).delete(),
    "limit, one rises": lambda: Book.objects.filter(pk=1).update(rank=99),
    "limit, one moves": lambda: Book.objects.filter(pk=8).update(shelf=2),
    "topic changes": lambda: Book.objects.filter(shelf=1).update(shelf=2),
    "topic changes back": lambda: Book.objects.filter(shelf=2).update(shelf=1),
    "topic none": lambda: Book.objects.filter(pk__lt=4).update(shelf=None),
}  # fmt: skip


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_change_of_a_related_row_is_in_the_log(library, write):
    """The entries have exactly the rows it touches; topics with a limit are read again."""
    followers = [Follower(topic) for topic in TOPICS]

    write()
    library.sequence()

    for follower in followers:
        follower.follow()
        follower.assert_equals_source()
        assert follower.reads == 1 or follower.topic.name.startswith("best")
    assert library.sequence() is None


def test_other_rows_are_not_touched(library):
    """An author's name concerns only that author's books."""
    Author.objects.filter(name="Bob").update(name="Bobby")

    logged = {entry.topic: entry for entry in library.sequence().entries}

    assert sorted(change_keys(logged["books.1"]) + change_keys(logged["books.2"])) == ["5", "6", "7", "8"]


def change_keys(entry) -> list[str]:
    return [change.key for change in log_changes(entry)]


def test_a_related_change_reaches_rows_that_the_previous_batch_linked(library):
    """In four batches: link, change, unlink, change."""
    follower, tag = Follower("books.2"), Tag.objects.create(name="new")
    for write in (
        lambda: Book.objects.get(pk=1).tags.set([tag]),
        lambda: Tag.objects.filter(pk=tag.pk).update(name="renamed"),
        lambda: Book.objects.get(pk=1).tags.clear(),
        lambda: Tag.objects.filter(pk=tag.pk).update(name="of no book"),
    ):
        write()
        library.sequence()
        follower.follow()
        follower.assert_equals_source()
    assert follower.reads == 1


def test_rows_enter_and_leave_a_filter_over_related_rows(library):
    """Through links and through names: upserts and deletes in the row's own topic."""
    follower, hills = Follower("sea.1"), Tag.objects.get(name="hills")
    Book.objects.get(pk=4).tags.clear()
    steps: list[tuple[Callable[[], object], list[str]]] = [
        (lambda: Book.objects.get(pk=4).tags.add(1), ["upsert"]),
        (lambda: Book.objects.get(pk=4).tags.set([hills]), ["delete"]),
        (lambda: Tag.objects.filter(pk=hills.pk).update(name="sea hills"), ["upsert"]),
        (lambda: Tag.objects.filter(pk=hills.pk).update(name="hills"), ["delete"]),
    ]
    library.sequence()
    follower.follow()
    for write, expected in steps:
        write()
        library.sequence()
        received = [
            change for entry in follower.follow() for change in log_changes(entry) if change.key == "4"
        ]
        assert [change.op for change in received] == expected
        follower.assert_equals_source()


def test_a_row_that_several_related_rows_match_is_one_row(library):
    """Two tags of a book begin with "sea"."""
    keys = [row.key for row in positions.read_topic("sea.1").rows]

    assert sorted(keys) == sorted(set(keys))
    assert "3" in [*keys, *(row.key for row in positions.read_topic("sea.2").rows)]


@pytest.mark.parametrize("is_link_late", [True, False], ids=["link late", "name late"])
def test_link_and_change_in_transactions_that_overlap_are_both_found(library, is_link_late):
    """One commits after the other was sequenced: the later one finds the row."""
    if library.vendor != "postgresql":
        pytest.skip("only on PostgreSQL: elsewhere writers take turns")
    follower = Follower("books.2")
    statements = [
        "INSERT INTO library_book_tags (book_id, tag_id) VALUES (1, 3)",
        "UPDATE library_tag SET name = 'overlapping' WHERE id = 3",
    ]
    late, early = statements if is_link_late else statements[::-1]

    with contextlib.closing(library.connect()) as writer:
        writer.execute("BEGIN")
        writer.execute(late)
        library.sql(early)
        library.sequence()
        follower.follow()
        follower.assert_equals_source()
        writer.execute("COMMIT")
    library.sequence()
    follower.follow()

    follower.assert_equals_source()
    assert "overlapping" in next(str(row.html) for row in follower.topic.rows if row.key == "1")


def test_a_replaced_related_row_is_noted(library):
    """INSERT OR REPLACE: the book of the replaced row has lost it."""
    if library.vendor != "sqlite":
        pytest.skip("only on SQLite")
    followers = [Follower("books.1"), Follower("books.2")]

    library.sql("INSERT OR REPLACE INTO library_cover (id, book_id, colour) VALUES (1, 4, 'stolen')")
    library.sequence()

    for follower in followers:
        assert follower.follow()
        follower.assert_equals_source()


def test_more_touched_rows_than_a_batch_holds_are_a_reset(library, settings):
    """As for one author of many books."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    follower = Follower("books.1")

    Author.objects.filter(name="Bob").update(name="Bobby")
    logged = {entry.topic: entry.kind for entry in library.sequence().entries}

    assert logged["books"] == "reset"
    follower.follow()
    follower.assert_equals_source()


def test_a_flood_of_related_rows_is_a_reset(library, settings):
    """Every feed that depends on their table is reset."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    followers = [Follower("books.1"), Follower("home")]

    for number in range(4):
        Chapter.objects.create(book_id=1, title=f"{number}")
    logged = {entry.topic: entry.kind for entry in library.sequence().entries}

    assert logged["books"] == logged["home"] == logged["audio"] == "reset"
    assert "tags" not in logged
    for follower in followers:
        follower.follow()
        follower.assert_equals_source()


def test_a_related_table_that_was_not_captured_for_a_while_is_a_reset(library, lines):
    """Changes made while its triggers were missing were not noted."""
    followers = [Follower("books.1"), Follower("home")]
    capture.uninstall(["library_author"])
    assert [found.table for found in capture.missing()] == ["library_author"]
    Author.objects.update(name="unnoticed", country=None)

    capture.install()
    logged = {entry.topic: entry.kind for entry in library.sequence().entries}

    assert logged["books"] == logged["home"] == logged["tags"] == "reset"
    assert not lines(logging.ERROR), "a feed has failed"
    for follower in followers:
        follower.follow()
        follower.assert_equals_source()


def test_a_truncated_related_table_is_a_reset(library):
    """On PostgreSQL; SQLite deletes every row instead."""
    follower = Follower("books.1")

    library.sql(
        "TRUNCATE library_chapter" if library.vendor == "postgresql" else "DELETE FROM library_chapter"
    )
    library.sequence()

    follower.follow()
    follower.assert_equals_source()


def test_an_unsequenced_related_change_counts_as_a_change(library):
    """The log does not show yet which rows it touches."""
    Author.objects.update(name="waiting")

    reading = positions.read_topic("books.1")

    assert reading.unchanged_since == reading.position.offset


def test_touching_a_hidden_row_changes_no_topic(library):
    """The log has its delete, and topics do not hold the row."""
    Book.objects.get(pk=4).tags.clear()
    library.sequence()
    follower = Follower("sea.1")
    Chapter.objects.filter(book=4).update(title="hidden")

    (entry,) = (entry for entry in library.sequence().entries if entry.topic == "sea.1")

    (change,) = log_changes(entry)
    assert (change.op, change.key) == ("delete", "4")
    assert not follower.topic.apply(entry.after, entry.begins, entry.position, [change])


def test_triggers_are_dropped_before_a_migration_of_a_related_app(library):
    """With them it might be refused; afterwards they are installed again."""
    _remove_capture([(Migration("0002", "library"), False)], using="default", apps=None)
    absent = {found.table for found in capture.missing()}

    assert absent == {model._meta.db_table for model in MODELS} | {"library_book_tags"}
    assert {found.table for found in capture.install()} == absent


# ---------------------------------------------------------------- any order of anything


def random_write(chance: random.Random) -> None:
    """Change a book, a link or a related row in one of many ways."""
    books, tags, authors = (
        list(model.objects.values_list("pk", flat=True).order_by("pk")) for model in (Book, Tag, Author)
    )
    book = Book.objects.get(pk=chance.choice(books))
    author, tag = chance.choice([*authors, None]), chance.choice(tags)
    name = chance.choice(["sea", "seaside", "hills", "home", "away", f"name {chance.random()}"])
    country = chance.choice([*Country.objects.values_list("pk", flat=True), None])
    publisher = chance.choice([*Publisher.objects.values_list("code", flat=True), None])
    chance.choice([
        lambda: Book.objects.create(shelf=1, title=name, author_id=author, rank=chance.randint(0, 9)),
        lambda: Book.objects.create(shelf=2, title=name, publisher_id=publisher, rank=chance.randint(0, 9)),
        lambda: AudioBook.objects.create(shelf=1, title=name, author_id=author, minutes=chance.choice([0, 60])),
        lambda: AudioBook.objects.filter(shelf=chance.randint(1, 2)).update(minutes=chance.choice([0, 60])),
        lambda: book.delete() if len(books) > 6 else None,
        lambda: Book.objects.filter(pk=book.pk).update(shelf=chance.choice([1, 2, None]), title=name),
        lambda: Book.objects.filter(pk=book.pk).update(rank=chance.randint(0, 9)),
        lambda: Book.objects.filter(pk=book.pk).update(author=author, publisher=publisher),
        lambda: Book.objects.filter(pk=book.pk).update(sequel_of=chance.choice(books)),
        lambda: book.tags.set(chance.sample(tags, chance.randint(0, min(3, len(tags))))),
        lambda: book.tags.add(tag),
        lambda: book.tags.remove(tag),
        lambda: book.tags.clear(),
        lambda: Tag.objects.filter(pk=tag).update(name=name),
        lambda: Tag.objects.create(name=name),
        lambda: Tag.objects.get(pk=tag).delete() if len(tags) > 3 else None,
        lambda: Author.objects.filter(pk=author).update(name=name),
        lambda: Author.objects.filter(pk=author).update(country=country),
        lambda: Author.objects.create(name=name, country_id=country),
        lambda: Author.objects.filter(pk=author).delete() if len(authors) > 2 else None,
        lambda: Country.objects.filter(pk=country).update(name=name),
        lambda: Country.objects.create(name=name),
        lambda: Country.objects.filter(pk=country).delete(),
        lambda: Publisher.objects.filter(code=publisher).update(name=name),
        lambda: Publisher.objects.get_or_create(code=name[:10], defaults={"name": name}),
        lambda: Publisher.objects.filter(code=publisher).delete() if chance.random() < 0.2 else None,
        lambda: Chapter.objects.create(book=book, title=name),
        lambda: Chapter.objects.filter(book__lt=book.pk).update(book=book, title=name),
        lambda: Chapter.objects.filter(book=book).delete(),
        lambda: Win.objects.create(book=book, prize=Prize.objects.first(), year=chance.randint(1900, 2000)),
        lambda: Win.objects.update(book=book),
        lambda: Win.objects.filter(book=book).delete(),
        lambda: Prize.objects.update(name=name),
        lambda: Cover.objects.update_or_create(book=book, defaults={"colour": name}),
        lambda: Cover.objects.filter(book=book).delete(),
    ])()  # fmt: skip


@pytest.mark.parametrize("number", [60, pytest.param(200, marks=pytest.mark.matrix)])
def test_after_any_changes_a_reader_of_the_log_has_what_a_select_returns(library, number):
    """Random writes in batches of one or more; some readers begin in between."""
    chance = random.Random(1)
    followers = [Follower(topic) for topic in TOPICS]
    writes = 0
    while writes < number:
        for _ in range(chance.choice([1, 1, 2, 5])):
            with transaction.atomic():
                random_write(chance)
                random_write(chance)
            writes += 2
            if chance.random() < 0.2:
                followers.append(Follower(chance.choice(TOPICS)))
        library.sequence()
        for follower in followers:
            follower.follow()
            follower.assert_equals_source()
        followers = [*followers[: len(TOPICS)], *followers[-4:]]


# ---------------------------------------------------------------- partitions


class Part(models.Model):
    shelf = models.IntegerField()
    place = models.IntegerField()
    note = models.CharField(max_length=40)

    class Meta:
        managed = False
        app_label = "library"
        apps = Book._meta.apps


class Parts(Feed):
    fields = ["shelf", "place", "note"]


PARTITIONED = {
    "insert": "INSERT INTO library_part VALUES (5, 1, 1, 'e'), (6, 2, 2, 'f')",
    "update": "UPDATE library_part SET note = 'x'",
    "delete": "DELETE FROM library_part WHERE shelf = 1",
    "partition": "UPDATE library_part SET place = 3 - place",
    "partition and topic": "UPDATE library_part SET place = 3 - place, shelf = 3 - shelf WHERE id < 3",
    "key": "UPDATE library_part SET id = id + 10, place = 2",
    "upsert": "INSERT INTO library_part VALUES (1, 2, 1, 'up'), (9, 2, 2, 'in') "
    "ON CONFLICT (id, place) DO UPDATE SET shelf = excluded.shelf, note = excluded.note",
    "truncate": "TRUNCATE library_part",
}


@pytest.mark.parametrize("statement", PARTITIONED.values(), ids=PARTITIONED)
def test_a_partitioned_table_is_followed(on_postgresql, make_live, statement):
    """For writes through the table's root: a row that changes partition stays the same row."""
    on_postgresql.sql(
        "CREATE TABLE library_part (id bigint, shelf int, place int, note text, PRIMARY KEY (id, place)) "
        "PARTITION BY LIST (place)",
        "CREATE TABLE library_part_1 PARTITION OF library_part FOR VALUES IN (1)",
        "CREATE TABLE library_part_2 PARTITION OF library_part FOR VALUES IN (2)",
        "INSERT INTO library_part VALUES (1, 1, 1, 'a'), (2, 1, 2, 'b'), (3, 2, 1, 'c'), (4, 2, 2, 'd')",
    )
    by_shelf = type("PartsByShelf", (Parts,), {"topic_field": "shelf"})
    by_place = type("PartsByPlace", (Parts,), {"topic_field": "place", "filter": Q(shelf=1)})
    make_live(parts=(Parts, Part), byshelf=(by_shelf, Part), byplace=(by_place, Part))
    topics = ["parts", "byshelf.1", "byshelf.2", "byplace.1", "byplace.2"]
    followers = [Follower(topic) for topic in topics]

    on_postgresql.sql(statement)
    on_postgresql.sequence()

    for follower in followers:
        follower.follow()
        follower.assert_equals_source()
