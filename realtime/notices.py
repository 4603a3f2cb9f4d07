"""Notices: words for whoever has a page open now, sent through the same log as every change."""

from django.core.exceptions import ValidationError

from .feeds import registry
from .models import OutboxRow
from .publishing.log import EVERYONE

SOURCE = "realtime.notice"
MAX_CHARACTERS = 1000


def broadcast(text: str, topic: str | None = None) -> None:
    """Show a notice on every open page, or on those that follow a topic, when the transaction commits.

    Raises: ValidationError for a text that is empty or too long, UnknownTopic.
    """
    text = text.strip()
    if not 0 < len(text) <= MAX_CHARACTERS:
        raise ValidationError(f"a notice has 1 to {MAX_CHARACTERS} characters, this one has {len(text)}")
    if topic is not None:
        registry.find(topic)
    OutboxRow.objects.create(
        source=SOURCE, image={"text": text, "topic": EVERYONE if topic is None else topic}
    )
