"""The channel layer: group names are legal, and every layer can carry the messages."""

import logging

import msgpack
import pytest
from channels.layers import BaseChannelLayer, InMemoryChannelLayer

from realtime.models import LogEntry
from realtime.publishing.layer import (
    EVERYONE_GROUP,
    MAX_PAYLOAD_CHARACTERS,
    channel_layer,
    from_message,
    group,
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
    del message["fingerprint"]

    assert from_message(message)[1].fingerprint == ""


@pytest.mark.parametrize("written_at", [0.0, 1_795_000_000.125])
def test_a_message_says_when_its_change_was_written(written_at):
    """To the millisecond; 0 stands for a time that is not known, as in messages of older versions."""
    entry = LogEntry(
        position=9, topic="boards", kind="changes", after=1, begins=8, payload="[]", fingerprint="f"
    )
    entry.written_at = written_at
    message = to_message("e", entry)

    assert from_message(message)[1].written_at == written_at
    del message["written_ms"]
    assert from_message(message)[1].written_at == 0


def test_a_project_without_a_channel_layer_has_one_in_memory(settings, layer, lines):
    """Nothing but a warning: the log delivers changes between processes, only more slowly."""
    settings.CHANNEL_LAYERS = {}

    assert isinstance(channel_layer(), InMemoryChannelLayer)
    assert channel_layer() is channel_layer()
    assert len(lines(logging.WARNING)) == 1
