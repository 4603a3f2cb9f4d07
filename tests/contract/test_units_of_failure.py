"""A fault stops only what it is in: an outbox row, a row, a topic, a feed. Everything else is sequenced exactly."""

import contextlib
import itertools
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from django.apps.registry import Apps
from django.db import DatabaseError, InterfaceError, OperationalError, connection, models, transaction

from realtime import notices
from realtime.access import revocation
from realtime.boards.models import Board, Entry
from realtime.conf import get_conf
from realtime.engine import messages
from realtime.feeds import Feed, registry
from realtime.models import LogEntry
from realtime.publishing import capture, feed_changes, interest, log, releases, sequencer
from realtime.publishing import slow_feeds as slow_feeds_module
from realtime.publishing.budget import Budget
from realtime.publishing.slow_feeds import slow_feeds
from realtime.runtime import cpu_time
from tests.contract.conftest import Follower
from tests.contract.test_time_limits import ENDLESS

MAX_ROUNDS = 3


class Thing(models.Model):
    """A row in a topic that any text names."""

    shelf: Any = models.TextField(null=True)
    name = models.TextField(default="")

    objects: Any = models.Manager()

    class Meta:
        app_label = "throwaway"
        apps = Apps()


@pytest.fixture
def live(database) -> Iterator[Callable[..., Feed]]:
    """A function that registers a feed for one test."""
    names = []
    with connection.schema_editor() as editor:
        editor.create_model(Thing)

    def register(model: type[models.Model] = Thing, **attributes: Any) -> Feed:
        feed = type("ThrowAwayFeed", (Feed,), {"fields": ["name"], "topic_field": "shelf", **attributes})(
            model
        )
        registry.add(feed)
        names.append(feed.name)
        capture.install()
        database.sequence()
        return feed

    yield register
    for name in names:
        registry.remove(name)


def sequence(database) -> dict[str, str]:
    """Sequence everything that waits; return the kind of the entry of each topic."""
    told: dict[str, str] = {}
    for _ in range(MAX_ROUNDS):
        batch = database.sequence()
        if batch is None:
            return told
        told |= {entry.topic: str(entry.kind) for entry in batch.entries}
    raise AssertionError("something is sequenced again and again")


def spoil(source: str, image: str | None) -> None:
    """Write an outbox row by SQL."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO realtime_outboxrow (source, image) VALUES (%s, %s)", [source, image])


# ---------------------------------------------------------------- topics that cannot be


@pytest.mark.parametrize("shelf", ["x" * 194, "x" * 10_000, "☃" * 195, "\n" * 300], ids=ascii)
def test_a_topic_with_too_long_a_name_affects_no_other(database, live, shelf):
    """Its rows are in no topic; the other rows of the feed and the other feeds are sequenced as ever."""
    live(name="things")
    follower = Follower("entries.2")
    bad, good = Thing.objects.create(shelf=shelf), Thing.objects.create(shelf="s")
    Entry.objects.filter(board=2).update(label="changed")

    assert sequence(database) == {"things.s": "changes", "entries.2": "changes"}
    follower.follow()
    follower.assert_equals_source()
    things = Follower("things.s")
    Thing.objects.filter(pk=bad.pk).update(shelf="s")
    Thing.objects.filter(pk=good.pk).update(shelf=shelf)
    assert sequence(database) == {"things.s": "changes"}
    things.follow()
    things.assert_equals_source()
    assert [row.key for row in things.topic.rows] == [str(bad.pk)]
    Thing.objects.all().delete()
    assert sequence(database) == {"things.s": "changes"}


@pytest.mark.parametrize("shelf", ["", " ", "\n", "a.b", "a\tb", "*", "größe ☃", "x" * 193], ids=ascii)
def test_a_topic_may_have_any_other_name(database, live, shelf):
    """Up to 200 characters, the feed's name included."""
    live(name="things")
    follower = Follower(f"things.{shelf}")

    Thing.objects.create(shelf=shelf, name="in it")

    assert sequence(database) == {f"things.{shelf}": "changes"}
    follower.follow()
    follower.assert_equals_source()
    assert len(follower.topic.rows) == 1


def test_a_flood_of_topics_with_long_names_affects_no_other(database, live, settings, caplog):
    """The topics are known from the images only, of which some name none."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    live(name="things")
    Thing.objects.bulk_create(Thing(shelf=shelf) for shelf in ["x" * 300, "s", "t", "s", None])

    with caplog.at_level("INFO", "realtime.sequencer"):
        assert sequence(database) == {"things.s": "reset", "things.t": "reset"}
    assert "more than 3 changes at once; their topics are read again" in caplog.messages


# ---------------------------------------------------------------- outbox rows


MALFORMED = [
    None, "[]", "[1]", "3", '"text"', "true", "null", "{}", '{"topic": "*"}', '{"text": "no topic"}',
    '{"topic": null, "text": "words"}', '{"topic": "*", "text": null}', '{"topic": "*", "text": ""}',
    '{"topic": ["*"], "text": "words"}', '{"topic": "", "text": "words"}', '{"topic": "*", "text": {"a": 1}}',
    json.dumps({"topic": "x" * 201, "text": "words"}), json.dumps({"topic": "*", "text": "x" * 1001}),
    '{"topic": "*", "text": ' + "[" * 900 + "]" * 900 + "}",
]  # fmt: skip


@pytest.mark.parametrize("image", MALFORMED, ids=lambda image: str(image)[:40])
@pytest.mark.parametrize("source", [notices.SOURCE, releases.SOURCE])
def test_a_malformed_row_of_the_engine_itself_affects_no_other(database, source, image):
    """It is skipped; a notice and a change beside it arrive."""
    follower = Follower("entries.2")
    spoil(source, image)
    notices.broadcast("beside it")
    revocation.announce()
    Entry.objects.filter(board=2).update(label="changed")

    told = sequence(database)

    assert told == {"*": "rights", "entries.2": "changes"}
    assert [entry.payload for entry in LogEntry.objects.filter(kind="notice")] == ["beside it"]
    follower.follow()
    follower.assert_equals_source()


@pytest.mark.parametrize("text", ["\\ud800", "a\\udfffb"])
def test_a_notice_that_cannot_be_stored_affects_no_other(database, text):
    """JSON can express what no text can be, where the database does not refuse it."""
    with contextlib.suppress(Exception):
        spoil(notices.SOURCE, f'{{"topic": "*", "text": "{text}"}}')
        spoil(notices.SOURCE, f'{{"topic": "{text}", "text": "words"}}')
    notices.broadcast("beside it")

    sequence(database)

    assert [entry.payload for entry in LogEntry.objects.filter(kind="notice")] == ["beside it"]


@pytest.mark.parametrize("source", ["", "no_such_table", "realtime.unknown", "x" * 200, "größe'\"%s; --"])
def test_a_row_of_an_unknown_source_affects_no_other(database, source):
    """It is skipped."""
    spoil(source, '{"id": 1}')
    Entry.objects.filter(board=2).update(label="changed")

    assert sequence(database) == {"entries.2": "changes"}


@pytest.mark.parametrize(
    "image",
    [None, "[]", "[1]", "3", "null", "{}", '{"id": 1}', '{"board_id": 1}', '{"id": null, "nothing": 1}',
     '{"id": "x", "board_id": 1}', '{"id": 1, "board_id": "x"}', '{"id": {}, "board_id": []}',
     '{"id": 1e400, "board_id": 1}', '{"id": ' + "9" * 400 + ', "board_id": 1}'],
    ids=lambda image: str(image)[:40],
)  # fmt: skip
def test_a_malformed_image_of_a_table_resets_its_feeds(database, image):
    """It is not known which row it belongs to; feeds of other tables get their changes."""
    entries, boards = Follower("entries.2"), Follower("boards")
    spoil("boards_entry", image)
    Entry.objects.filter(board=2).update(label="changed")
    Board.objects.filter(pk=1).update(title="changed")

    told = sequence(database)

    assert told.pop("entries", "reset") == "reset"
    # Changes of a board come with the question whether its readers may still read it.
    assert {"boards": "changes", "board.1": "rights", "entries.1": "rights"}.items() <= told.items()
    for follower in (entries, boards):
        follower.follow()
        follower.assert_equals_source()


@pytest.mark.parametrize("image", ['{"id": 3, "title": "as before"}', '{"id": 3}'])
def test_an_image_of_another_release_is_ignored_beside_the_own_one(database, image):
    """While two releases have their triggers on a table each change is noted for both."""
    with transaction.atomic():
        spoil("boards_entry", image)
        Entry.objects.filter(pk=3).update(label="changed")

    assert sequence(database) == {"entries.2": "changes"}


def test_an_image_of_another_release_alone_resets_the_feed(database):
    """This release's triggers are missing, so the topic that the row was in is not known."""
    spoil("boards_entry", '{"id": 3, "title": "as before"}')
    Entry.objects.filter(pk=4).update(label="changed")

    assert sequence(database) == {"entries": "reset"}


POISON: list[Callable[[random.Random], object]] = [
    lambda chance: spoil(notices.SOURCE, chance.choice(MALFORMED)),
    lambda chance: spoil(releases.SOURCE, chance.choice(MALFORMED)),
    lambda chance: spoil(chance.choice(["", "gone", "realtime.x"]), chance.choice(MALFORMED)),
    lambda chance: spoil("throwaway_thing", chance.choice(MALFORMED)),
    lambda chance: spoil("throwaway_thing", '{"id": "x", "shelf": 3}'),
    lambda chance: Thing.objects.create(shelf="x" * chance.randrange(190, 2000)),
    lambda chance: Thing.objects.filter(shelf="s").update(shelf="x" * 250),
    lambda chance: Thing.objects.create(shelf=chance.choice("st"), name="bad"),
]


@pytest.mark.parametrize("seed", range(4))
def test_good_rows_arrive_exactly_whatever_is_beside_them(database, live, seed, settings):
    """After each round, readers that follow nothing but the log have what a SELECT returns."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 30}
    chance = random.Random(seed)
    live(name="things")
    live(name="broken", template_name="no/such/template.html")
    followers = [Follower(topic) for topic in ("entries.1", "entries.2", "boards", "things.s", "things.t")]
    sent = []
    for number in range(12):
        with transaction.atomic() if chance.random() < 0.5 else contextlib.nullcontext():
            for _ in range(chance.choice([1, 3, 10, 40])):
                kind = chance.randrange(5)
                if kind == 0:
                    Entry.objects.filter(pk=chance.randrange(1, 11)).update(board_id=chance.choice([1, 2]))
                elif kind == 1:
                    Board.objects.filter(pk=chance.randrange(1, 4)).update(title=f"{number}")
                elif kind == 2:
                    Thing.objects.filter(name="").update(shelf=chance.choice("st"))
                elif kind == 3:
                    Thing.objects.create(shelf=chance.choice("st"))
                else:
                    chance.choice(POISON)(chance)
            sent.append(f"notice {number}")
            notices.broadcast(sent[-1])

        sequence(database)

        for follower in followers:
            follower.follow()
            follower.assert_equals_source()
    assert [entry.payload for entry in LogEntry.objects.filter(kind="notice").order_by("id")] == sent


# ---------------------------------------------------------------- what fails as a whole


def test_an_entry_that_cannot_be_stored_is_a_reset_of_its_topic(database, monkeypatch, caplog):
    """The database refuses one of many: the others are stored as they are, here with the question of rights."""
    encode = messages.encode_changes

    def encode_badly(changed):
        return encode(changed) + ("\ud800" if any(change.key == "3" for change in changed) else "")

    monkeypatch.setattr(messages, "encode_changes", encode_badly)
    good, bad = Follower("entries.1"), Follower("entries.2")
    Entry.objects.filter(pk__in=[2, 3]).update(label="changed")
    Board.objects.filter(pk=1).update(title="changed")

    told = sequence(database)

    assert told == {
        "entries.1": "rights", "entries.2": "reset", "boards": "changes",
        "board.1": "rights", "notices.1": "rights", "staffboards": "changes",
        "messages.1": "rights", "moderation.1": "rights", "reactions.1": "rights", "viewers.1": "rights",
        "editors.1": "rights",
    }  # fmt: skip
    for follower in (good, bad):
        follower.follow()
        follower.assert_equals_source()


def test_an_entry_of_which_nothing_can_be_stored_is_left_out(database, monkeypatch):
    """A topic whose name the database refuses has no subscribers."""
    topic_of = type(registry["entries"]).topic_of
    monkeypatch.setattr(
        type(registry["entries"]), "topic_of",
        lambda self, instance: "\ud800" if instance.pk == 3 else topic_of(self, instance),
    )  # fmt: skip
    monkeypatch.setattr(log, "newest", lambda topics: {})
    monkeypatch.setitem(registry._feeds, "\ud800", registry["entries"])
    Entry.objects.filter(pk__in=[2, 3]).update(label="changed")

    assert sequence(database) == {"entries.1": "changes", "entries.2": "changes"}


@pytest.mark.parametrize("bad", ["\ud800", "\0"])
def test_notices_beside_many_that_cannot_be_stored_are_stored(database, monkeypatch, bad):
    """A reset brings no notice back, so that each one is tried, in transactions that leave nothing behind."""
    monkeypatch.setattr(sequencer, "MAX_ATTEMPTS", 3)
    monkeypatch.setattr(
        notices, "parse",
        lambda image: ("*" if image["text"] != "names" else bad, image["text"].replace("bad", bad)),
    )  # fmt: skip
    texts = (
        ["good", "bad", "bad and worse", "names"]
        if database.vendor == "postgresql" or bad > "a"
        else ["good"]
    )
    with transaction.atomic():
        for number in range(10):
            for text in texts:
                notices.broadcast(text if text == "names" else f"{text} {number}")
        Entry.objects.filter(pk=3).update(label="changed")

    sequence(database)

    stored = list(LogEntry.objects.filter(kind="notice").order_by("id").values_list("payload", flat=True))
    assert stored == [f"good {number}" for number in range(10)]
    assert list(log.missed("entries.2", "entries", 0).entries)[-1].kind == "changes"


@pytest.mark.parametrize("culprits", [1, 7])
def test_a_round_that_fails_as_a_whole_is_split_until_the_culprit_is_alone(database, monkeypatch, culprits):
    """Its feeds are reset; the rest of the round is sequenced exactly."""
    amount = sequencer._amount

    def fragile(rows):
        assert not any(row.source == "boards_board" for row in rows), "a fault that nobody has thought of"
        return amount(rows)

    monkeypatch.setattr(sequencer, "_amount", fragile)
    follower = Follower("entries.2")
    for number in range(culprits):
        Entry.objects.filter(pk=1 + number).update(label=f"{number}")
        Board.objects.filter(pk=1).update(title=f"{number}")
    Entry.objects.filter(pk=3).update(board_id=1)

    told = sequence(database)

    assert told["board"] == told["boards"] == told["staffboards"] == "reset"
    assert told["entries.2"] == "changes"
    follower.follow()
    follower.assert_equals_source()


def test_a_round_with_too_many_culprits_ends(database, monkeypatch, caplog):
    """Then all of its feeds are reset, and the log counts what they were reset for."""
    monkeypatch.setattr(sequencer, "MAX_ATTEMPTS", 5)
    monkeypatch.setattr(sequencer, "_amount", lambda rows: 1 / 0)
    with transaction.atomic():
        for number in range(40):
            Entry.objects.filter(pk=1).update(label=f"{number}")
    follower = Follower("entries.2")

    assert sequence(database) == {"entries": "reset"}
    follower.follow()
    follower.assert_equals_source()
    counted = [
        re.fullmatch(r"sequencing fails for (\d+) outbox rows of 'boards_entry', the first is \d+", line)
        for line in caplog.messages
    ]
    assert sum(int(found[1]) for found in counted if found) == 40


def test_a_database_that_is_away_is_no_reason_to_split(database, monkeypatch):
    """The next round sequences everything as it is."""
    entries, calls = sequencer._entries, []

    def away(*arguments):
        calls.append(1)
        raise OperationalError("the server closed the connection")

    Entry.objects.filter(pk=3).update(label="changed")
    monkeypatch.setattr(sequencer, "_entries", away)
    with pytest.raises(OperationalError):
        database.sequence()
    monkeypatch.setattr(sequencer, "_entries", entries)

    assert len(calls) == 1
    assert sequence(database) == {"entries.2": "changes"}


@pytest.mark.parametrize("limit", ["idle_in_transaction_session_timeout", "transaction_timeout"])
def test_a_transaction_that_the_server_ends_is_no_reason_to_split(on_postgresql, monkeypatch, caplog, limit):
    """PostgreSQL reports it as an internal error, which a statement may cause too; the connection is closed."""
    append, appended = log.append, []

    def append_and_be_ended(entries):
        appended.append(len(entries))
        append(entries)
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL {limit} = '1ms'")
        with contextlib.closing(on_postgresql.connect()) as other:
            ours = [connection.connection.info.backend_pid]
            while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", ours).fetchone():
                pass
        append(entries)

    Entry.objects.filter(pk=3).update(label="changed")
    monkeypatch.setattr(log, "append", append_and_be_ended)
    with pytest.raises(DatabaseError):
        on_postgresql.sequence()
    monkeypatch.setattr(log, "append", append)
    connection.close()

    assert appended == [1]
    assert "its parts are tried" not in caplog.text
    assert sequence(on_postgresql) == {"entries.2": "changes"}


# ---------------------------------------------------------------- slow feeds


@pytest.fixture
def quick_rounds(database, settings) -> None:
    """A feed's share of a round is short, but longer than a query of a healthy feed takes on a loaded machine.

    On SQLite the time in which a query waits for a core does not count.
    """
    settings.REALTIME = {**settings.REALTIME, "FEED_SECONDS": 0.3 if database.vendor == "sqlite" else 1.0}


@pytest.mark.usefixtures("quick_rounds")
def test_a_feed_whose_query_does_not_end_delays_no_other_for_long(database, live):
    """Its topics are reset; then it is not asked at all."""
    asked = []

    def get_queryset(self):
        asked.append(1)
        return Thing.objects.extra(where=[f"({ENDLESS[database.vendor]}) IS NOT NULL"])

    feed = live(name="slow", get_queryset=get_queryset)
    live(name="quick")
    assert not feed.is_read_whole  # which looks at the queryset, once
    asked.clear()
    told = []
    for number in range(4):
        Thing.objects.create(shelf="s", name=f"{number}")
        Entry.objects.filter(pk=3).update(label=f"{number}")
        told.append(sequence(database))

    assert told == [{"slow.s": "reset", "quick.s": "changes", "entries.2": "changes"}] * 4
    assert len(asked) == 1
    assert feed in slow_feeds


@pytest.mark.usefixtures("quick_rounds", "no_pauses")
def test_a_trial_whose_rows_are_gone_shows_nothing(database, slow):
    """Many queries end at once where there is no row; the next trial reads rows that have changed since."""
    slow.quick = True
    Thing.objects.all().delete()
    try_slow_feeds()
    is_slow_without_rows = slow.feed in slow_feeds
    sequence(database)
    Thing.objects.create(shelf="s")
    sequence(database)

    try_slow_feeds()

    assert is_slow_without_rows
    assert slow.feed not in slow_feeds


@pytest.fixture
def no_pauses(monkeypatch) -> None:
    """The pause after which a slow feed is tried is over at once."""
    monkeypatch.setattr(slow_feeds_module, "FIRST_PAUSE_SECONDS", 0.0)


@pytest.fixture
def slow(database, live) -> Iterator[Any]:
    """A feed whose query does not end until the test has it ``quick``, and that was found to be slow."""
    switch = SimpleNamespace(quick=False, asked=0)

    def get_queryset(self):
        switch.asked += 1
        endless = Thing.objects.extra(where=[f"({ENDLESS[database.vendor]}) IS NOT NULL"])
        return Thing.objects.all() if switch.quick else endless

    switch.feed = live(name="slow", get_queryset=get_queryset)
    Thing.objects.create(shelf="s")
    assert not switch.feed.is_read_whole  # which looks at the queryset, once
    sequence(database)
    switch.asked = 0
    assert switch.feed in slow_feeds
    return switch


def try_slow_feeds() -> None:
    for trial in slow_feeds.take_to_try():
        feed_changes.try_slow_feed(*trial)


@pytest.mark.usefixtures("quick_rounds", "no_pauses")
def test_a_feed_that_stays_slow_delays_the_others_once(database, slow):
    """After its pause a trial shows whether it is quick again: apart from the rounds, which do not wait for it."""
    Thing.objects.create(shelf="s")
    in_round, asked_in_round = sequence(database), slow.asked

    try_slow_feeds()

    assert in_round == {"slow.s": "reset"}
    assert asked_in_round == 0
    assert slow.asked == 1
    assert slow.feed in slow_feeds


@pytest.mark.usefixtures("quick_rounds", "no_pauses")
def test_rows_of_a_feed_that_is_quick_again_are_read_in_rounds(database, slow):
    """After the trial."""
    slow.quick = True

    try_slow_feeds()
    Thing.objects.create(shelf="s")

    assert slow.feed not in slow_feeds
    assert sequence(database) == {"slow.s": "changes"}


@pytest.mark.usefixtures("quick_rounds", "no_pauses")
def test_a_trial_reads_rows_that_nobody_follows(database, slow, monkeypatch):
    """A feed of which nothing is read is as quick as any other, and would delay the next round."""
    monkeypatch.setattr(interest, "followed", lambda topics: {})

    try_slow_feeds()

    assert slow.feed in slow_feeds


@pytest.mark.usefixtures("quick_rounds", "no_pauses")
def test_a_trial_reads_the_rows_for_which_the_feed_was_slow(database, live):
    """A query may be slow for some rows alone; that others are read quickly shows nothing."""
    asked = []

    def get_queryset(self):
        asked.append(1)
        return Thing.objects.extra(where=[f"name <> 'slow' OR ({ENDLESS[database.vendor]}) IS NOT NULL"])

    feed = live(name="slow", get_queryset=get_queryset)
    assert not feed.is_read_whole
    for name in ("slow", "quick"):
        Thing.objects.create(shelf="s", name=name)
        sequence(database)
    asked.clear()

    try_slow_feeds()

    assert len(asked) == 1
    assert feed in slow_feeds


@pytest.mark.usefixtures("quick_rounds", "no_pauses")
def test_a_feed_that_fails_in_its_trial_is_not_slow(database, slow, monkeypatch, caplog):
    """The next round reports what fails."""
    monkeypatch.setattr(slow.feed, "read_rows", Mock(side_effect=RuntimeError("no rows")))

    try_slow_feeds()
    Thing.objects.create(shelf="s")

    assert sequence(database) == {"slow": "reset"}
    assert "feed slow cannot read its changed rows" in caplog.text


@pytest.mark.usefixtures("quick_rounds", "no_pauses")
def test_a_trial_shows_nothing_while_the_database_is_away(database, slow, monkeypatch):
    """The feed stays slow; the error is that of the thread, which then opens another connection."""
    monkeypatch.setattr(slow.feed, "read_rows", Mock(side_effect=InterfaceError("closed")))

    with pytest.raises(InterfaceError):
        try_slow_feeds()

    assert slow.feed in slow_feeds


@pytest.mark.usefixtures("quick_rounds")
def test_a_feed_that_renders_slowly_delays_no_other_for_long(database, live, monkeypatch):
    """Its remaining topics are reset when its time is over; then nothing of it is rendered."""
    monkeypatch.setattr(feed_changes, "ROWS_AT_ONCE", 1)
    feed = live(name="slow")
    rendered, render = [], feed.row

    def row(instance):
        rendered.append(instance.pk)
        monkeypatch.setattr(Budget, "left", 0.0)  # the time is over
        return render(instance)

    monkeypatch.setattr(feed, "row", row)
    Thing.objects.bulk_create(Thing(shelf=shelf) for shelf in "abcde")

    first = sequence(database)
    monkeypatch.undo()
    monkeypatch.setattr(feed, "row", lambda instance: rendered.append(instance.pk))
    Thing.objects.filter(shelf="a").update(name="again")
    second = sequence(database)

    assert len(rendered) == 1
    assert sorted(first.values()) == ["changes", *["reset"] * 4]
    assert second == {"slow.a": "reset"}


def test_a_feed_that_waits_for_a_core_is_not_slow(database, live, settings, monkeypatch):
    """Its rows are read, though its query and its rendering take longer than its share of a round by the clock."""
    settings.REALTIME = {**settings.REALTIME, "FEED_SECONDS": 0.1}
    monkeypatch.setattr(feed_changes, "BUSY_FACTOR", 1_000_000)
    totals = itertools.count(step=1000)  # seconds that the thread has waited, at each look
    monkeypatch.setattr(cpu_time, "waited", lambda: next(totals))

    def wait() -> None:
        ends = time.monotonic() + get_conf().feed_seconds
        while time.monotonic() < ends:
            time.sleep(0.01)

    def get_queryset(self):
        wait()
        return Thing.objects.all()

    def row(self, instance):
        wait()
        return Feed.row(self, instance)

    feed = live(name="starved", get_queryset=get_queryset, row=row)
    Thing.objects.create(shelf="a")

    assert sequence(database) == {"starved.a": "changes"}
    assert feed not in slow_feeds


@pytest.mark.usefixtures("quick_rounds")
def test_a_slow_feed_of_related_rows_is_reset_as_a_whole(database, live, monkeypatch):
    """Only a query shows which of its rows depend on a row of another table."""
    feed = live(name="slow", model=Entry, topic_field="board_id", fields=["label"], depends_on=["board"])
    monkeypatch.setattr(type(slow_feeds), "__contains__", lambda self, asked: asked is feed)
    Board.objects.filter(pk=2).update(title="changed")

    assert sequence(database)["slow"] == "reset"


def test_many_rows_do_not_make_a_feed_slow(database, live, monkeypatch):
    """A feed that renders many rows within its time is quick, even if there are more."""
    monkeypatch.setattr(feed_changes, "SLOW_ROWS", 3)
    monkeypatch.setattr(feed_changes, "ROWS_AT_ONCE", 2)
    feed = live(name="many")
    rendered, render = [], feed.row

    def row(instance):
        rendered.append(instance.pk)
        if len(rendered) == 4:
            monkeypatch.setattr(Budget, "left", 0.0)
        return render(instance)

    monkeypatch.setattr(feed, "row", row)
    Thing.objects.bulk_create(Thing(shelf=shelf) for shelf in "abcdefgh")

    told = sequence(database)

    assert list(told.values()).count("changes") == 4
    assert feed not in slow_feeds


def test_topics_of_a_feed_that_is_read_whole_have_entries_without_rows(database, live):
    """A rank depends on other rows than the one that was written."""
    ranks = models.Window(models.functions.RowNumber(), order_by="name")
    live(name="ranked", get_queryset=lambda self: Thing.objects.annotate(rank=ranks))
    Thing.objects.create(shelf="s", name="b")

    assert sequence(database) == {"ranked.s": "reset"}


# ---------------------------------------------------------------- floods and large rows


def test_a_flood_resets_only_the_topics_that_its_images_name(database, live, settings):
    """The topics that rows left and those that they entered; other topics of the feed are not affected."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    live(name="things")
    live(name="all", topic_field=None)
    Thing.objects.bulk_create([Thing(shelf=shelf) for shelf in ("a", "a", "b", "c", None)])
    sequence(database)

    with transaction.atomic():
        Thing.objects.filter(shelf="a").update(shelf="d")
        Thing.objects.filter(shelf=None).update(name="x")
        Entry.objects.filter(pk=3).update(label="beside it")

    assert sequence(database) == {
        "things.a": "reset", "things.d": "reset", "all": "reset", "entries.2": "reset",
    }  # fmt: skip


@pytest.mark.parametrize("image", [None, "{}", "[]", '{"id": 1}'])
def test_a_flood_with_an_image_that_names_no_topic_resets_the_feed(database, live, settings, image):
    """Any row may have changed."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    live(name="things")
    Thing.objects.bulk_create([Thing(shelf="a")] * 5)
    spoil("throwaway_thing", image)

    assert sequence(database) == {"things": "reset"}


def test_a_flood_of_topics_resets_the_feed(database, live, settings, monkeypatch):
    """A bounded number is reset one by one."""
    monkeypatch.setattr(feed_changes, "MAX_FLOOD_TOPICS", 4)
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    live(name="things")
    told = []
    for number in (4, 5):
        Thing.objects.bulk_create(Thing(shelf=f"{shelf}") for shelf in range(number))
        told.append(sequence(database))

    assert told == [{f"things.{shelf}": "reset" for shelf in range(4)}, {"things": "reset"}]


def test_changes_that_are_too_large_for_a_message_are_a_reset(database, live, monkeypatch):
    """Instead of a log entry of many megabytes; smaller topics keep their changes."""
    monkeypatch.setattr(feed_changes, "MAX_TOPIC_BYTES", 100_000)
    live(name="things")
    follower = Follower("things.large")
    Thing.objects.bulk_create(
        [Thing(shelf="large", name="x" * 30_000) for _ in range(6)] + [Thing(shelf="small")]
    )

    assert sequence(database) == {"things.large": "reset", "things.small": "changes"}
    follower.follow()
    follower.assert_equals_source()


def test_what_a_round_keeps_of_a_feed_is_bounded(database, live, monkeypatch):
    """The topics of the rest are reset without reading its rows."""
    monkeypatch.setattr(feed_changes, "MAX_FEED_BYTES", 100_000)
    monkeypatch.setattr(feed_changes, "ROWS_AT_ONCE", 2)
    feed = live(name="things")
    render = Mock(wraps=feed.row)
    monkeypatch.setattr(feed, "row", render)
    Thing.objects.bulk_create(Thing(shelf=f"{number}", name="x" * 30_000) for number in range(10))

    told = sequence(database)

    assert render.call_count == 4
    assert sorted(told.values()) == ["changes"] * 4 + ["reset"] * 6


def test_entries_are_added_by_few_statements_of_bounded_size(database, monkeypatch):
    """None by ``executemany``: psycopg sends that as a pipeline, in which no time-out runs."""
    monkeypatch.setattr(log, "APPEND_ROWS", 3)
    monkeypatch.setattr(log, "APPEND_CHARACTERS", 1000)
    statements = []

    def watch(execute, sql, parameters, many, context):
        statements.append((sql, many))
        return execute(sql, parameters, many, context)

    fields = {"position": 10**15, "kind": "changes", "after": 1, "begins": 1, "fingerprint": ""}
    sizes = [10, 10, 10, 10, 900, 200, 5000, 10]
    entries = [
        LogEntry(topic=f"t{number}", payload="x" * size, **fields) for number, size in enumerate(sizes)
    ]
    with connection.execute_wrapper(watch), transaction.atomic():
        log.append(entries)
        log.append([])

    inserts = [sql.count("(%s") for sql, _ in statements if sql.startswith("INSERT")]
    assert inserts == [3, 2, 1, 1, 1]
    assert not any(many for _, many in statements)
    assert LogEntry.objects.filter(position=10**15).count() == len(sizes)
