"""Messages on the channel layer: one per log entry, and broadcasts of clients; strings and integers only.

The layer makes delivery fast; only the log makes it complete. After a message that is lost, late, repeated or
malformed, hubs read the log. Each message has a seal, made with ``SECRET_KEY``; one without a valid seal is handled as
a malformed one. So a program that may publish on the layer cannot change what pages show.
"""

import hashlib
import logging
import re
import time
from functools import lru_cache
from typing import Any

import msgspec
from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import BaseChannelLayer, InMemoryChannelLayer, channel_layers, get_channel_layer
from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from ..models import LogEntry
from .log import EVERYONE

logger = logging.getLogger("realtime.service")

MESSAGE_TYPE = "realtime.entry"
BROADCAST_TYPE = "realtime.broadcast"
MAX_PAYLOAD_CHARACTERS = 256 * 1024
EVERYONE_GROUP = "realtime.everyone"
CLEAN_SECONDS = 1.0
_LEGAL = re.compile(r"[A-Za-z0-9._-]{1,70}")


def channel_layer() -> BaseChannelLayer:
    """Return the project's default channel layer; without one in its settings, a layer of this process alone."""
    if get_channel_layer() is None:
        logger.warning(
            "CHANNEL_LAYERS is not set: messages stay in this process; that is enough where one process serves all"
        )
        channel_layers.set(DEFAULT_CHANNEL_LAYER, InMemoryChannelLayer())
    layer = get_channel_layer()
    if isinstance(layer, InMemoryChannelLayer):
        _clean_seldom(layer)
    return layer


def _clean_seldom(layer: InMemoryChannelLayer) -> None:
    """Let a layer look through all groups for what has expired once a second.

    Channels' own does so twice for each message: with 5,000 groups that takes 4 ms.
    """
    clean = getattr(layer, "_clean_expired", None)
    if clean is None or "_clean_expired" in vars(layer):
        return
    due = 0.0

    def clean_if_due() -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + CLEAN_SECONDS
            clean()

    vars(layer)["_clean_expired"] = clean_if_due


def group(topic: str) -> str:
    """Return the group of a topic; a topic with characters that group names may not have is hashed."""
    if topic == EVERYONE:
        return EVERYONE_GROUP
    if not _LEGAL.fullmatch(topic):
        return f"realtime.hashed.{hashlib.blake2s(topic.encode(), digest_size=20).hexdigest()}"
    return f"realtime.topic.{topic}"


def to_message(epoch: str, entry: LogEntry) -> dict[str, Any]:
    """Return an entry as a layer message; a long payload is left out, and the hub reads it from the log."""
    is_short = len(entry.payload) <= MAX_PAYLOAD_CHARACTERS
    return sealed(
        {
            "type": MESSAGE_TYPE,
            "epoch": epoch,
            "topic": entry.topic,
            "kind": entry.kind if is_short else LogEntry.Kind.RESET.value,
            "after": entry.after,
            "begins": entry.begins,
            "position": entry.position,
            "payload": entry.payload if is_short else "",
            "fingerprint": entry.fingerprint,
            "format": entry.format,
            "written_ms": round(entry.written_at * 1000),
        }
    )


def sealed(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with the seal of this deployment."""
    return {**message, "seal": _seal(message, settings.SECRET_KEY)}


def check_seal(message: dict[str, Any]) -> None:
    """Raises: KeyError, TypeError, ValueError or OverflowError, for a message that no process here has sealed."""
    unsealed = {name: value for name, value in message.items() if name != "seal"}
    if not any(
        constant_time_compare(message["seal"], _seal(unsealed, secret))
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ):
        raise ValueError("it is not from a process with this SECRET_KEY")


def _seal(message: dict[str, Any], secret: str | bytes) -> str:
    values = msgspec.msgpack.encode(sorted(message.items()))
    return hashlib.blake2b(values, key=_key(secret), digest_size=16).hexdigest()


@lru_cache(maxsize=8)
def _key(secret: str | bytes) -> bytes:
    return salted_hmac("realtime.layer", "", secret=secret, algorithm="sha256").digest()


def from_message(message: dict[str, Any]) -> tuple[str, LogEntry]:
    """Return the epoch and the entry that ``to_message`` was given.

    Raises: KeyError, TypeError, ValueError or OverflowError, for a message that it did not make.
    """
    check_seal(message)
    position, begins, after = (int(message[name]) for name in ("position", "begins", "after"))
    kind, payload = LogEntry.Kind(message["kind"]), str(message["payload"])
    entry = LogEntry(
        topic=str(message["topic"]), kind=kind, position=position, begins=begins, after=after, payload=payload,
        fingerprint=str(message.get("fingerprint", "")), format=str(message.get("format", "")),
    )  # fmt: skip
    entry.written_at = int(message.get("written_ms", 0)) / 1000
    return str(message["epoch"]), entry
