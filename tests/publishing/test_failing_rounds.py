"""Rounds of sequencing that fail: what the fault is not in is sequenced as if it were not there."""

import logging
import time

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection
from django.db.models import F

from realtime import notices
from realtime.boards.models import Board, Entry
from realtime.engine.messages import decode_changes
from realtime.models import LogEntry, OutboxRow
from realtime.publishing import interest, positions, releases, sequencer
from realtime.publishing import log as the_log
from realtime.runtime import metrics
from tests.conftest import in_question, summary


def topics_of(*boards: Board) -> list[str]:
    return [f"entries.{board.pk}" for board in boards]


@pytest.fixture
def boards(log) -> list[Board]:
    """Five boards with an entry each, sequenced."""
    boards = [Board.objects.create(slug=slug, title=slug) for slug in "abcde"]
    for board in boards:
        board.entries.create(label=board.slug)
    log.sequence()
    return boards


@pytest.fixture
def refused(monkeypatch) -> set[tuple[str, str]]:
    """The topics and kinds of entries that the database refuses to store."""
    refused: set[tuple[str, str]] = set()
    append = the_log.append

    def append_some(entries: list[LogEntry]) -> None:
        append(entries)
        if bad := [entry for entry in entries if (entry.topic, entry.kind) in refused]:
            raise IntegrityError(f"no {bad[0].topic} here")

    monkeypatch.setattr(the_log, "append", append_some)
    return refused


# ---------------------------------------------------------------- entries that cannot be stored


@pytest.mark.parametrize("number", range(5))
def test_one_of_several_entries_cannot_be_stored(log, boards, refused, lines, number):
    """Its topic is reset in its place, at the same positions and with the same time; the others are as they were."""
    topics = topics_of(*boards)
    before = {topic: log.entries(topic)[-1].position for topic in topics}
    refused.add((topics[number], "changes"))
    for board in boards:
        board.entries.create(label="new")

    batch = log.sequence()

    stored = {topic: log.entries(topic)[-1] for topic in topics}
    assert [entry.topic for entry in batch.entries] == topics
    assert [(entry.topic, entry.kind) for entry in batch.entries] == [
        (topic, "reset" if topic == topics[number] else "changes") for topic in topics
    ]
    for topic, entry in stored.items():
        assert (entry.after, entry.position) == (before[topic], batch.end)
        assert entry.begins == stored[topics[number - 1]].begins
    assert len({entry.written_at for entry in batch.entries}) == 1
    assert batch.entries[0].written_at > 0
    reset = stored[topics[number]]
    assert (reset.payload, reset.fingerprint, reset.format) == ("", "", "")
    assert lines(logging.WARNING) == [
        f"an entry cannot be stored: no {topics[number]} here; the others are"
    ]  # fmt: skip
    assert log.sequence() is None


def test_an_entry_is_left_out_of_which_no_reset_can_be_stored(log, boards, refused, lines):
    """No page can follow a topic of such a name."""
    here, there, *_ = topics_of(*boards)
    refused.update({(here, "changes"), (here, "reset")})
    boards[0].entries.create(label="new")
    boards[1].entries.create(label="new")

    assert list(log.sequenced()) == [there]

    assert f"an entry of topic {here!r} cannot be stored and is left out" in lines(logging.ERROR)


def test_a_notice_that_cannot_be_stored_resets_nothing(log, boards, refused):
    """It has no rows that could be read again."""
    here, *_ = topics_of(*boards)
    refused.add((here, "notice"))
    notices.broadcast("lost", here)
    notices.broadcast("to all")
    boards[1].entries.create(label="new")

    batch = log.sequence()

    assert sorted((entry.topic, entry.kind) for entry in batch.entries) == [
        ("*", "notice"), (topics_of(boards[1])[0], "changes")
    ]  # fmt: skip


def test_after_too_many_attempts_the_feeds_of_the_rest_are_reset(log, boards, refused, monkeypatch):
    """Each once, without looking for further culprits; notices are stored, because no reset brings them back."""
    monkeypatch.setattr(sequencer, "MAX_ATTEMPTS", 1)
    refused.add((topics_of(boards[2])[0], "rights"))
    notices.broadcast("beside it")
    for board in boards:
        board.entries.create(label="new")
        Board.objects.filter(pk=board.pk).update(title="new")

    batch = log.sequence()

    assert len(batch.entries) == len({entry.topic for entry in batch.entries})
    assert {entry.topic: entry.kind for entry in batch.entries} == {
        "entries": "reset", "boards": "reset", "board": "reset", "staffboards": "reset", "notices": "reset",
        "messages": "reset", "moderation": "reset", "reactions": "reset", "viewers": "reset", "editors": "reset",
        "*": "notice",
    }  # fmt: skip


@pytest.mark.parametrize("bad", [{0, 2, 4}, {0, 1, 2, 3}, {4}, {0, 1, 2, 3, 4}], ids=str)
def test_each_notice_that_can_be_stored_is_stored_however_many_others_cannot(
    log, boards, refused, monkeypatch, lines, bad
):
    """In their order; what is tried is bounded by how many there are."""
    monkeypatch.setattr(sequencer, "MAX_ATTEMPTS", 2)
    topics = topics_of(*boards)
    refused |= {(topics[number], "notice") for number in bad} | {(topic, "changes") for topic in topics}
    for number in range(20):
        notices.broadcast(str(number), topics[number % 5])
        notices.broadcast(f"to all, {number}")
    for board in boards:
        board.entries.create(label="new")
    append, tries = the_log.append, []

    def counted(entries: list[LogEntry]) -> None:
        tries.append(1)
        append(entries)

    monkeypatch.setattr(the_log, "append", counted)

    batch = log.sequence()

    told = [
        text for number in range(20) for text in (str(number), f"to all, {number}")
        if text.startswith("to") or number % 5 not in bad
    ]  # fmt: skip
    assert [entry.payload for entry in batch.entries if entry.kind == "notice"] == told
    assert [entry.payload for entry in LogEntry.objects.filter(kind="notice").order_by("id")] == told
    assert {entry.topic: entry.kind for entry in batch.entries if entry.kind != "notice"} == {
        "entries": "reset"
    }
    assert len([line for line in lines(logging.ERROR) if "cannot be stored" in line]) == 4 * len(bad)
    assert len(tries) <= 2 * 40 + 2 * 2 + 2
    assert log.sequence() is None


@pytest.mark.parametrize("error", [OperationalError, DataError])
def test_only_what_a_value_causes_is_tried_in_parts(log, boards, monkeypatch, error):
    """While the database is away, the parts would fail as well."""
    calls = 0

    def append(entries):
        nonlocal calls
        calls += 1
        raise error("no")

    monkeypatch.setattr(the_log, "append", append)
    boards[0].entries.create(label="new")

    if error is OperationalError:
        with pytest.raises(OperationalError):
            log.sequence()
        assert calls == 1
    else:
        assert log.sequence().entries == []
        assert calls == 3  # the round, its entry, the reset


# ---------------------------------------------------------------- rounds that fail while they are read


@pytest.fixture
def culprits(monkeypatch) -> set[str]:
    """The tables for whose rows sequencing raises an error that nothing is prepared for."""
    tables: set[str] = set()
    amount = sequencer._amount

    def fragile(rows):
        if tables & {row.source for row in rows}:
            raise RuntimeError("unforeseen")
        return amount(rows)

    monkeypatch.setattr(sequencer, "_amount", fragile)
    return tables


def test_a_round_that_fails_is_sequenced_in_parts(log, boards, culprits, lines, monkeypatch):
    """Feeds of the culprit are reset; everything else, and the time of the oldest write, is that of the whole round."""
    monkeypatch.setattr(releases, "with_other_topics", lambda: {"entries"})
    here, there, *_ = topics_of(*boards)
    first = boards[0].entries.create(label="first")
    OutboxRow.objects.update(written_at=F("written_at") - 3600)
    Board.objects.filter(pk=boards[1].pk).update(is_public=False)
    second = boards[1].entries.create(label="second")
    notices.broadcast("meanwhile")
    Board.objects.filter(pk=boards[2].pk).update(is_public=False)
    third = boards[0].entries.create(label="third")
    culprits.add("boards_notice")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO realtime_outboxrow (source, image) VALUES ('boards_notice', '{}')")

    batch = log.sequence()

    told = summary(batch.entries)
    assert told[here] == [("upsert", str(first.pk)), ("upsert", str(third.pk))]
    assert told[there] == [("upsert", str(second.pk))]
    assert told["*"] == "notice"
    assert "reset" in {told.get(name) for name in ("notices", f"notices.{boards[0].pk}")}
    assert {there, topics_of(boards[2])[0]} <= in_question(batch.entries)
    assert {entry.position for entry in batch.entries} == {batch.end}
    assert told["entries"] == "reset", "another release does not know which of its topics are touched"
    assert {3600 <= time.time() - entry.written_at < 3900 for entry in batch.entries} == {True}
    assert "a round of sequencing failed; its parts are tried\nTraceback" in lines(logging.ERROR)
    assert log.sequence() is None


def test_a_flood_that_fails_resets_the_feeds_of_its_tables(log, boards, monkeypatch, settings):
    """Its rows are too many to be tried one by one."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 2}
    monkeypatch.setattr(sequencer, "_flood", lambda *cursors: 1 / 0)
    Entry.objects.update(label="changed")

    assert log.sequenced() == {"entries": "reset"}


def test_a_round_is_not_repeated_on_another_connection(log, boards, monkeypatch):
    """The server has ended the transaction: what was to be written is not known to be missing."""
    rounds = 0

    def lose(*arguments):
        nonlocal rounds
        rounds += 1
        connection.close()
        connection.ensure_connection()
        raise RuntimeError("the connection was lost meanwhile")

    boards[0].entries.create(label="new")
    monkeypatch.setattr(sequencer, "_sequence", lose)

    with pytest.raises(RuntimeError):
        log.sequence()

    assert rounds == 1


# ---------------------------------------------------------------- topics of a round


def test_entries_begin_at_the_last_position_at_which_nothing_waited(log, boards):
    """Pages that were read since need nothing of what came before."""
    quiet = positions.probe()
    boards[0].entries.create(label="new")

    batch = sequencer.sequence(positions.probe(), quiet._replace(offset=quiet.offset + 7))

    assert {entry.begins for entry in batch.entries} == {quiet.offset + 7}


def test_a_quiet_position_of_another_time_is_not_used(log, boards):
    """A position of another epoch, or from before the last sequenced change."""
    quiet = positions.probe()
    for wrong in (
        quiet._replace(epoch="other", offset=quiet.offset + 7),
        quiet._replace(sequenced=quiet.sequenced - 1, offset=quiet.offset + 7),
    ):
        boards[0].entries.create(label="new")
        before = log.state.next
        batch = sequencer.sequence(positions.probe(), wrong)
        assert {entry.begins for entry in batch.entries} == {before}


def test_the_time_from_the_write_to_the_log_is_observed(log, boards):
    """Once a round, for its oldest change."""

    def count() -> float:
        return next(
            sample.value
            for metric in metrics.sequenced.collect()
            for sample in metric.samples
            if sample.name.endswith("_count")
        )

    before = count()
    boards[0].entries.create(label="new")
    boards[1].entries.create(label="new")

    log.sequence()

    assert count() == before + 1


def test_many_rows_of_tables_do_not_keep_a_flood_from_its_notices(log, boards, monkeypatch, settings):
    """As many of the engine's own rows are read as the limit says, whatever is beside them."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    monkeypatch.setattr(sequencer, "MAX_OWN_ROWS", 2)
    for number in range(5):
        boards[0].entries.create(label=f"{number}")
    for text in ("first", "second"):
        notices.broadcast(text)

    batch = log.sequence()

    assert [entry.payload for entry in batch.entries if entry.kind == "notice"] == ["first", "second"]


def test_topics_that_no_page_follows_have_rows_where_a_function_handles_them(log, boards, monkeypatch):
    """A function of on_change needs the rows of all topics."""
    monkeypatch.setattr(interest, "followed", lambda topics: {})
    for is_handled, kind in ((False, "unfollowed"), (True, "changes")):
        monkeypatch.setattr(sequencer, "is_handled", lambda name, answer=is_handled: answer)
        boards[0].entries.create(label="new")
        assert {entry.kind for entry in log.sequence().entries} == {kind}


def test_a_flood_of_live_tables_is_no_matter_of_a_release_with_other_feeds(
    log, boards, monkeypatch, settings
):
    """Feeds of another release alone are read again where tables are written that this release does not need."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 3}
    monkeypatch.setattr(releases, "with_other_topics", lambda: {"elsewhere"})
    Entry.objects.update(label="changed")
    assert "elsewhere" not in log.sequenced()

    Entry.objects.update(label="changed again")
    OutboxRow.objects.create(source="a_table_of_theirs", image={})
    assert log.sequenced()["elsewhere"] == "reset"


def test_an_entry_in_all_formats_has_none(log, boards):
    """It is for whichever format a process holds; likewise a reset, which has no rows."""
    boards[0].entries.create(label="new")
    OutboxRow.objects.create(source="boards_notice", image=None)
    Board.objects.filter(pk=boards[1].pk).delete()

    batch = log.sequence()

    assert {(entry.kind, entry.format) for entry in batch.entries} <= {
        ("changes", ""), ("reset", ""), ("rights", "")
    }  # fmt: skip
    assert "reset" in {entry.kind for entry in batch.entries}


def test_an_entry_that_only_asks_for_rights_is_a_link_of_its_topics_chain(log, boards):
    """After the topic's last entry, or the log's edge; with no changes."""
    here, there, quiet, *_ = topics_of(*boards)
    last = log.entries(here)[-1].position
    Board.objects.filter(pk=boards[0].pk).update(is_public=False)

    batch = log.sequence()

    (asked,) = [entry for entry in batch.entries if entry.topic == here]
    assert (asked.kind, asked.after, asked.position) == ("rights", last, batch.end)
    assert decode_changes(asked.payload) == []
    assert not {there, quiet} & {entry.topic for entry in batch.entries}

    LogEntry.objects.filter(topic=there).delete()
    edge = log.state.edge
    Board.objects.filter(pk=boards[1].pk).update(is_public=False)
    (asked,) = [entry for entry in log.sequence().entries if entry.topic == there]
    assert asked.after == edge
