"""The engine's tables: what triggers note, what was sequenced, how far sequencing has come; and tickets."""

from typing import Any

from django.db import models
from django.db.models.functions import Now

from .databases import OutboxCursor


class WritersTransaction(models.Func):
    """The number of the transaction that writes; null on databases whose writers take turns."""

    template = "NULL"
    output_field = models.BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:
        # Whole, with the high half that counts wraps: these never repeat.
        return "pg_current_xact_id()::text::bigint", []


class OutboxRow(models.Model):
    """A row of some live model changed; written by its table's triggers in the writer's own transaction.

    The stamp orders the changes, and positions count it: on SQLite the id, never handed out twice
    (AUTOINCREMENT); on PostgreSQL, where ids do not come in the order of commits, the transaction.
    """

    source = models.CharField(max_length=200, help_text="Table that changed, or the name of a notice.")
    image = models.JSONField(
        null=True, help_text="Key and topic columns of the row; null: any row of the table may have changed."
    )
    xid = models.BigIntegerField(
        null=True, db_default=WritersTransaction(), help_text="The writer's transaction, on PostgreSQL."
    )

    class Meta:
        indexes = [
            # Empty on SQLite, so it costs nothing there.
            models.Index(fields=["xid"], condition=models.Q(xid__isnull=False), name="realtime_outbox_xid"),
        ]

    def __str__(self) -> str:
        return f"{self.id}: {self.source} {self.image}"


class LogEntry(models.Model):
    """What changed in one topic between two positions: the one truth that every reader follows."""

    class Kind(models.TextChoices):
        CHANGES = "changes", "changes of rows"
        RESET = "reset", "too much or unknown: read the rows"
        NOTICE = "notice", "words for the readers of pages"
        RIGHTS = "rights", "rights may have changed: ask them again"

    position = models.BigIntegerField()
    topic = models.CharField(max_length=200, help_text="A topic; a feed's name stands for all of its topics.")
    kind = models.CharField(max_length=10, choices=Kind)
    after = models.BigIntegerField(help_text="Position of the topic before this entry.")
    begins = models.BigIntegerField(help_text="The topic was unchanged from ``after`` to here.")
    payload = models.TextField(help_text="JSON: an array of changes, or a notice.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "log entries"
        indexes = [
            models.Index(fields=["position", "topic"], name="realtime_log_position"),
            models.Index(fields=["topic", "position"], name="realtime_log_topic"),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.kind} of {self.topic}"


class Sequencer(models.Model):
    """The one row that says how far the outbox has been sequenced, and who does it."""

    epoch = models.CharField(max_length=16, help_text="The log's life; positions compare only within one.")
    origin = models.CharField(
        max_length=64, blank=True, help_text="What positions rest on; with another one they may repeat."
    )
    next = models.BigIntegerField(default=1, help_text="Every outbox row with a stamp below is sequenced,")
    open = models.JSONField(default=list, help_text="but those whose stamp is one of these.")
    edge = models.BigIntegerField(default=1, help_text="The log is whole from here on; below, it was pruned.")
    holder = models.CharField(
        max_length=64, blank=True, help_text="Process that sequences and runs the jobs."
    )
    expires_at = models.DateTimeField(null=True, help_text="When another process may take over.")

    ROW = 1

    @property
    def cursor(self) -> OutboxCursor:
        return OutboxCursor(self.next, tuple(self.open))

    def __str__(self) -> str:
        return f"{self.epoch}.{self.cursor.offset}"


class Ticket(models.Model):
    """Lets one connection in as somebody, once (``tickets.py``)."""

    digest = models.CharField(primary_key=True, max_length=64, help_text="SHA-256 of the ticket.")
    session = models.TextField(blank=True, help_text="The session it stands for, or else")
    login = models.JSONField(help_text="the user, backend and hash that a session would hold.")
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"until {self.expires_at}"
