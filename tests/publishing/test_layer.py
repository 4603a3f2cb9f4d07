"""The channel layer: group names are legal, and every layer can carry the messages."""

import logging

import msgpack
import pytest
from channels.layers import BaseChannelLayer, InMemoryChannelLayer

from realtime.models import LogEntry
from realtime.publishing.layer import (
    CLEAN_SECONDS,
    EVERYONE_GROUP,
    MAX_PAYLOAD_CHARACTERS,
    channel_layer,
    from_message,
    group,
    sealed,
    to_message,
)
from realtime.publishing.log import EVERYONE

TOPICS = [
    "boards", "entries.7", "entries." + "7" * 190, "x" * 64 + ".y", "things.größe", "things.a b", "things.☃" * 20,
    "things.", "things." + "a" * 62, "things." + "a" * 63, "things." + "a" * 64, "things.{x}", "things.\n",
    "realtime.everyone", "things.*",
]  # fmt: skip


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic[:20])
def test_every_topic_has_a_legal_group(topic):
    """Channels allows ASCII letters, digits, hyphens, underscores and periods, under a hundred of them."""
    name = group(topic)

    assert BaseChannelLayer().require_valid_group_name(name)
    assert len(name) < 100


def test_topics_share_no_group():
    """Neither do topics that look alike, nor is one in the group of everyone."""
    assert len({group(topic) for topic in TOPICS}) == len(TOPICS)
    assert group(EVERYONE) == EVERYONE_GROUP
    assert EVERYONE_GROUP not in {group(topic) for topic in TOPICS}


@pytest.mark.parametrize("kind", list(LogEntry.Kind))
@pytest.mark.parametrize("payload", ["", "[]", '[{"op":"delete","key":"größe ☃"}]', "\x00"], ids=ascii)
def test_a_message_arrives_unchanged(kind, payload):
    """Redis layers pack it: strings and integers under string keys are unpacked unchanged."""
    entry = LogEntry(
        position=2**63 - 1, topic="things.größe", kind=kind, after=0, begins=2**53 + 1, payload=payload,
        fingerprint="0123456789abcdef",
    )  # fmt: skip
    message = to_message("0123abcd", entry)

    arrived = msgpack.unpackb(msgpack.packb(message), strict_map_key=True)

    assert arrived == message
    assert {type(value) for value in arrived.values()} == {str, int}
    assert arrived["payload"] == payload
    assert from_message(arrived)[1].fingerprint == "0123456789abcdef"
    assert arrived["type"].replace(".", "_").isidentifier()


def test_a_long_payload_stays_in_the_log():
    """The message only makes the hub read the log."""
    fields = {
        "position": 9,
        "topic": "boards",
        "kind": LogEntry.Kind.CHANGES,
        "after": 1,
        "begins": 8,
        "fingerprint": "",
    }

    fits = to_message("e", LogEntry(payload="x" * MAX_PAYLOAD_CHARACTERS, **fields))
    is_too_long = to_message("e", LogEntry(payload="x" * (MAX_PAYLOAD_CHARACTERS + 1), **fields))

    assert (fits["kind"], len(fits["payload"])) == ("changes", MAX_PAYLOAD_CHARACTERS)
    assert (is_too_long["kind"], is_too_long["payload"], is_too_long["position"]) == ("reset", "", 9)


def test_a_message_of_a_version_without_fingerprints_is_understood():
    """While releases are exchanged, both versions publish; the entry is of no known form."""
    entry = LogEntry(
        position=9, topic="boards", kind="changes", after=1, begins=8, payload="[]", fingerprint="f"
    )
    message = to_message("e", entry)
    del message["fingerprint"], message["seal"]

    assert from_message(sealed(message))[1].fingerprint == ""


@pytest.mark.parametrize("written_at", [0.0, 1_795_000_000.125])
def test_a_message_says_when_its_change_was_written(written_at):
    """To the millisecond; 0 stands for a time that is not known, as in messages of older versions."""
    entry = LogEntry(
        position=9, topic="boards", kind="changes", after=1, begins=8, payload="[]", fingerprint="f"
    )
    entry.written_at = written_at
    message = to_message("e", entry)

    assert from_message(message)[1].written_at == written_at
    del message["written_ms"], message["seal"]
    assert from_message(sealed(message))[1].written_at == 0


FORGED = [
    {"epoch": "f"}, {"topic": "entries.8"}, {"kind": "rights"}, {"after": 2}, {"begins": 9}, {"position": 10},
    {"payload": '[{"op":"delete","key":"1"}]'}, {"fingerprint": "g"}, {"written_ms": 1}, {"after": "1"}, {"more": ""},
    {"seal": ""}, {"seal": "0" * 32}, {"seal": "größe"},
]  # fmt: skip


@pytest.mark.parametrize("change", FORGED, ids=str)
def test_a_message_that_another_program_has_made_or_changed_is_refused(change):
    """A program that may publish on the layer could otherwise write what pages show."""
    entry = LogEntry(
        position=9, topic="entries.7", kind="changes", after=1, begins=8, payload="[]", fingerprint="f"
    )
    message = to_message("e", entry)

    with pytest.raises((KeyError, TypeError, ValueError)):
        from_message({**message, **change})
    with pytest.raises(KeyError):
        from_message({name: value for name, value in message.items() if name != "seal"})


def test_a_message_sealed_with_the_key_of_before_is_understood(settings):
    """While the key is exchanged, processes have the old one and the new one; one with a foreign key is refused."""
    entry = LogEntry(
        position=9, topic="boards", kind="changes", after=1, begins=8, payload="[]", fingerprint=""
    )
    own, settings.SECRET_KEY = settings.SECRET_KEY, "another key"
    message = to_message("e", entry)

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = own, ["another key"]
    assert from_message(message)[1].position == 9

    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(ValueError, match="SECRET_KEY"):
        from_message(message)


def test_a_project_without_a_channel_layer_has_one_in_memory(settings, layer, lines):
    """Nothing but a warning: the log delivers changes between processes, only more slowly."""
    settings.CHANNEL_LAYERS = {}

    assert isinstance(channel_layer(), InMemoryChannelLayer)
    assert channel_layer() is channel_layer()
    assert len(lines(logging.WARNING)) == 1


async def test_a_layer_in_memory_does_not_look_through_its_groups_with_each_message(layer, monkeypatch):
    """Channels' own does so twice for each, which takes the longer the more topics are held."""
    now, looks = 0.0, []
    monkeypatch.setattr("realtime.publishing.layer.time.monotonic", lambda: now)
    monkeypatch.setattr(InMemoryChannelLayer, "_clean_expired", lambda self: looks.append(now))
    used = channel_layer()
    await used.group_add("topic", "channel")

    for turn in range(20):
        now = 5 + turn * CLEAN_SECONDS / 10
        await used.group_send("topic", {"type": "change", "turn": turn})

    assert [(await used.receive("channel"))["turn"] for _ in range(20)] == list(range(20))
    assert len(looks) == 2
