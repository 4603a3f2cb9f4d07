"""Side channels: what can be learned without reading a row. docs/security.md names those that stay."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from realtime.boards.models import Board, Entry
from realtime.engine.messages import Row
from realtime.engine.order import sort_key
from realtime.publishing.positions import probe, read_topic
from tests.conftest import until
from tests.support.transports import TRANSPORTS, Request, make

SECRET = "s3cret"


@pytest.fixture(params=TRANSPORTS)
async def client(request, connect, application):
    """A function that makes clients of one transport; all leave at the end."""
    opened = []

    def of(session: str | None = None):
        opened.append(make(request.param, connect, application, session))
        return opened[-1]

    yield of
    for one in opened:
        await one.close()


@pytest.mark.combinations("client", "kind")
@pytest.mark.parametrize("kind", ["entries", "board"])
@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_topic_that_is_private_and_one_that_does_not_exist_are_refused_alike(
    client, service, safe, sign_in, in_database, kind, signed_in
):
    """The same message of the same length, but for the requested name."""
    gone = await in_database(Board.objects.create, slug="gone", title="Gone")
    nobodys = gone.pk
    await in_database(gone.delete)
    reader = await in_database(get_user_model().objects.create_user, "reader")
    session = await in_database(sign_in, reader) if signed_in else None
    answers = []
    for key in (safe.pk, nobodys):
        one = client(session)
        await one.open(f"{kind}.{key}")
        answers.append(json.dumps(await one.next()).replace(f"{kind}.{key}", "it"))

    assert '"code": 4403' in answers[0]
    assert answers[0] == answers[1]


def test_a_page_that_is_private_and_one_that_does_not_exist_are_refused_alike(safe):
    """By the demo's view: 404, the same page."""
    hidden, absent = (Client().get(f"/boards/{slug}/") for slug in (safe.slug, "none"))

    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert hidden.content.replace(safe.slug.encode(), b"none") == absent.content


def write_unseen(quay: Board, safe: Board) -> None:
    """Write what a visitor may not see: of another topic, excluded by the filter, created and deleted, withheld."""
    safe.entries.create(label=SECRET)
    hidden = quay.entries.create(label=SECRET, is_visible=False)
    Entry.objects.filter(pk=hidden.pk).update(note=SECRET)
    hidden.delete()
    moved = safe.entries.create(label=SECRET)
    moved.delete()
    Board.objects.filter(pk=safe.pk).update(title=SECRET)


@pytest.mark.parametrize("format", ["rows", "signal", "html+signal"])
async def test_writes_that_one_may_not_see_cause_nothing(
    connect, service, quay, safe, log, in_database, format
):
    """No message, no other position, no other digest; and so no other ``ETag``."""
    topic = f"entries.{quay.pk}"
    peer = connect()
    await peer.open()
    await peer.follow(topic, format=format)
    await peer.send("ping")
    before = await peer.receive_next("heartbeat")

    await in_database(write_unseen, quay, safe)
    shared = service.hub._shared[topic]
    end = (await in_database(probe)).offset
    await until(
        lambda: service.hub._compared.offset >= end - 1 and not shared.is_stale and not shared.is_refreshing
    )
    await peer.send("ping")

    assert await peer.receive() == before


async def test_a_value_that_is_not_sent_is_in_no_digest(connect, service, live, quay, in_database):
    """A change of such a value alone is no message."""
    await in_database(live, Entry, name="labels", topic_field="board_id", fields=["label"])
    topic = f"labels.{quay.pk}"
    first = await in_database(read_topic, topic)

    await in_database(Entry.objects.filter(board=quay).update, note=SECRET, value=SECRET)

    second = await in_database(read_topic, topic)
    assert [row.digest_in("rows") for row in first.rows] == [row.digest_in("rows") for row in second.rows]


def contents(rows: list[Row]) -> str:
    return " ".join(f"{row.key} {row.order} {row.row!r} {row.html}" for row in rows)


def test_opaque_order_keys_show_the_place_alone(log, live, quay):
    """Neither rows nor HTML contain the value that they are ordered by, in any form; the order is right."""
    values = ["s3cret b", "s3cret a", "s3cret c"]
    Entry.objects.all().delete()
    for value in values:
        quay.entries.create(label=value[-1], note=value)
    plain, opaque = (
        live(
            Entry, name=name, topic_field="board_id", fields=["label"], ordering=["-note"], opaque_order=is_opaque,
            template_name="boards/_board_card.html",
        )
        for name, is_opaque in (("plain", False), ("opaque", True))
    )  # fmt: skip

    rows = opaque.read_topic(quay.pk)

    in_hex = {sort_key([(value, True)])[:20] for value in values}
    assert [json.loads(bytes(row.row))["label"] for row in rows] == ["c", "b", "a"]
    assert [row.order for row in rows] == ["00000000", "00000001", "00000002"]
    assert [f'data-order="{row.order}"' in str(row.html) for row in rows] == [True] * 3
    assert not [digits for digits in in_hex if digits in contents(rows)]
    assert [digits for digits in in_hex if digits in contents(plain.read_topic(quay.pk))], "the test sees it"


async def test_a_topic_with_opaque_order_follows_every_change(client, service, live, quay, in_database):
    """Rows that move take their place, by every transport."""
    await in_database(
        live,
        Entry,
        name="ranked",
        topic_field="board_id",
        fields=["label"],
        ordering=["value"],
        opaque_order=True,
    )
    one = client()
    await one.open(f"ranked.{quay.pk}")
    rows = {row["key"]: (row["order"], row["row"]["label"]) for row in (await one.next())["rows"]}

    await in_database(Entry.objects.filter(label="Kelpstone").update, value="a")
    await in_database(Entry.objects.filter(label="Saltmere").update, value="b")
    await in_database(quay.entries.create, label="first", value="0")

    def labels() -> list[str]:
        return [label for _, label in sorted(rows.values())]

    while labels() != ["first", "Kelpstone", "Saltmere"]:
        for change in (await one.next())["changes"]:
            rows[change["key"]] = (change["order"], change["row"]["label"])


# ---------------------------------------------------------------- named in docs/security.md


def test_positions_count_the_writes_of_the_whole_database(log, quay, safe):
    """The positions of two readings of a public topic differ by the private writes in between (SQLite)."""
    topic = f"entries.{quay.pk}"
    before = read_topic(topic).position.offset

    for _ in range(7):
        safe.entries.create(label=SECRET)

    assert read_topic(topic).position.offset - before == 7


async def test_behind_seconds_are_those_of_the_whole_log(connect, service, quay, monkeypatch):
    """Followers of public topics learn of a private change that waits."""
    monkeypatch.setattr(type(service.hub), "behind_seconds", 7.0)
    peer = connect()
    await peer.open()
    await peer.follow(f"entries.{quay.pk}")
    await peer.send("ping")

    # An unrequested heartbeat may come first, if the topic was behind for a moment.
    while "behind_seconds" not in (heartbeat := await peer.receive_next("heartbeat")):
        pass
    assert heartbeat["behind_seconds"] == 7.0


def test_a_key_that_counts_shows_what_was_created_in_between(log, quay, safe):
    """By the keys of two rows of a public topic."""
    first = quay.entries.create(label="first")
    for _ in range(5):
        safe.entries.create(label=SECRET)

    assert quay.entries.create(label="second").pk - first.pk == 6


async def test_the_name_of_a_feed_is_no_secret(application, service):
    """A feed that exists is refused with another code than one that does not."""
    codes = [
        (await Request(application, f"/realtime/topics/{topic}/").fetch())[2]["errors"][0]["code"]
        for topic in ("staffboards", "nothing")
    ]

    assert codes == [4403, 4404]
