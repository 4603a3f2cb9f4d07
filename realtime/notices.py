"""Notices: short texts for the readers of open pages, sent through the same log as changes."""

from django.core.exceptions import ValidationError

from .feeds import registry
from .models import OutboxRow
from .publishing.log import EVERYONE

__all__ = ["broadcast"]

SOURCE = "realtime.notice"
MAX_CHARACTERS = 1000


def broadcast(text: str, topic: str | None = None) -> None:
    """Show a notice on every open page, or on those that follow a topic, once the transaction commits.

    Raises: ValidationError, if the text is empty or too long; UnknownTopic.
    """
    text = text.strip()
    if not 0 < len(text) <= MAX_CHARACTERS:
        raise ValidationError(
            f"a notice must have 1 to {MAX_CHARACTERS} characters, but this one has {len(text)}"
        )
    if topic is not None:
        registry.find(topic)
    OutboxRow.objects.create(
        source=SOURCE, image={"text": text, "topic": EVERYONE if topic is None else topic}
    )
