"""Notices: short texts for the readers of open pages, sent through the same log as changes."""

from typing import Any

from django.core.exceptions import ValidationError

from .databases.base import is_storable
from .feeds import registry
from .models import OutboxRow
from .publishing.log import EVERYONE
from .rows.feed_topics import is_legal

__all__ = ["broadcast"]

SOURCE = "realtime.notice"
MAX_CHARACTERS = 1000


def broadcast(text: str, topic: str | None = None) -> None:
    """Show a notice on every open page, or on those that follow a topic, once the transaction commits.

    Raises: ValidationError, if the text is empty, too long or cannot be stored; UnknownTopic.
    """
    text = text.strip()
    if not is_storable(text):
        raise ValidationError("a notice must not have null characters or halves of surrogate pairs")
    if not 0 < len(text) <= MAX_CHARACTERS:
        raise ValidationError(
            f"a notice must have 1 to {MAX_CHARACTERS} characters, but this one has {len(text)}"
        )
    if topic is not None:
        registry.find(topic)
    OutboxRow.objects.create(
        source=SOURCE, image={"text": text, "topic": EVERYONE if topic is None else topic}
    )


def parse(image: dict[str, Any] | None) -> tuple[str, str]:
    """Return topic and text of the notice in an outbox row.

    Raises: ValueError, if pages cannot show it.
    """
    match image:
        case {"topic": str(topic), "text": str(text)} if is_legal(topic) and is_storable(text):
            if topic and 0 < len(text) <= MAX_CHARACTERS:
                return topic, text
    raise ValueError("a notice has a topic and a text")
