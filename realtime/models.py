"""The engine's tables: outbox, log, the state of sequencing, tickets, releases of feeds, claims of triggers, the topics
that processes hold, the cursors of functions of ``on_change``, reports of processes and instructions of operators.
"""

from typing import Any, TypeVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .conf import get_conf
from .databases.registry import on

Model = TypeVar("Model", bound=models.Model)


class EngineManager(models.Manager[Model]):
    """Reads and writes the engine's database, whatever the project's database routers return."""

    def get_queryset(self) -> models.QuerySet[Model]:
        return super().get_queryset().using(get_conf().database)


class EngineTable(models.Model):
    """A table whose rows are valid only in their own database: in another one, their positions would lose changes."""

    class Meta:
        abstract = True

    def _save_table(self, raw: bool = False, *args: Any, **kwargs: Any) -> bool:
        """Save, except rows of a fixture: its loader sets ``raw``, and calls no public method."""
        return not raw and super()._save_table(raw, *args, **kwargs)  # type: ignore[misc]


class WritersTransaction(models.Func):
    """The number of the transaction that writes; NULL on databases whose writers take turns."""

    template = "NULL"
    output_field = models.BigIntegerField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:
        # All 64 bits: the upper half counts wraparounds, so these numbers never repeat.
        return "pg_current_xact_id()::text::bigint", []


class SecondsNow(models.Func):
    """The time, in seconds since 1970, by the database's clock.

    A number, because triggers note it with each row: on SQLite a text takes 20 times as long to make.
    """

    output_field = models.FloatField()

    def as_sql(  # type: ignore[override]
        self, compiler: Any, connection: Any, *arguments: Any, **context: Any
    ) -> tuple[str, list[Any]]:
        return on(connection).NOW, []


def is_over(field: str, seconds: float) -> models.Q:
    """Return the condition that a moment, noted by ``SecondsNow``, is longer ago than that.

    One as far ahead is over, too: the clock was set back since, and would reach it in hours or days.
    """
    now = SecondsNow()
    return models.Q(**{f"{field}__lt": now - seconds}) | models.Q(**{f"{field}__gt": now + seconds})


class TrustedJSONField(models.JSONField):
    """JSON that its reader checks, not the database: SQLite's check of a row takes a tenth of a trigger's time."""

    def db_check(self, connection: Any) -> None:
        return None


class OutboxRow(EngineTable):
    """A change of a row of a live model, written by its table's triggers in the writer's own transaction.

    The stamp orders the changes, and positions count it. On SQLite it is the id, which is never reused
    (AUTOINCREMENT); on PostgreSQL, where ids do not follow the order of commits, the transaction.
    """

    source = models.CharField(max_length=200, help_text="Table that changed, or the name of a notice.")
    image = TrustedJSONField(
        null=True, help_text="Key and topic columns of the row; null: any row of the table may have changed."
    )
    xid = models.BigIntegerField(
        null=True, db_default=WritersTransaction(), help_text="The writer's transaction, on PostgreSQL."
    )
    written_at = models.FloatField(
        db_default=SecondsNow(),
        help_text="When the row was written, in seconds since 1970, by the database's clock.",
    )

    objects = EngineManager["OutboxRow"]()

    class Meta:
        indexes = [
            # No row has an xid on SQLite, so the index is empty there.
            models.Index(fields=["xid"], condition=models.Q(xid__isnull=False), name="realtime_outbox_xid"),
        ]

    def __str__(self) -> str:
        return f"{self.id}: {self.source} {self.image}"


class LogEntry(EngineTable):
    """The changes of one topic between two positions; all readers follow these entries."""

    class Kind(models.TextChoices):
        CHANGES = "changes", "changes of rows"
        RESET = "reset", "too many changes or unknown ones: read the rows"
        UNFOLLOWED = "unfollowed", "changes of rows that no process held: read the rows"
        NOTICE = "notice", "a text for the readers of pages"
        RIGHTS = "rights", "rights may have changed: check them again"

    position = models.BigIntegerField()
    topic = models.CharField(max_length=200, help_text="A topic; a feed's name stands for all of its topics.")
    kind = models.CharField(max_length=10, choices=Kind)
    after = models.BigIntegerField(help_text="Position of the topic before this entry.")
    begins = models.BigIntegerField(help_text="The topic was unchanged from ``after`` to here.")
    payload = models.TextField(help_text="JSON: an array of changes, or a notice.")
    fingerprint = models.CharField(
        max_length=16,
        db_default="",
        help_text="Fingerprint of the feed that made the entry; empty for what concerns every release.",
    )
    format = models.CharField(
        max_length=4,
        default="",
        db_default="",
        help_text="Which processes can use the rows: those that hold the topic in this format alone, or in all; "
        "empty for every process.",
    )
    created_at = models.DateTimeField(db_default=Now())

    written_at: float = 0.0
    """When the oldest change of its round was written, in seconds since 1970; 0 where that is not known. Not a
    column: an entry that is read from the log has the time when it was made."""

    objects = EngineManager["LogEntry"]()

    class Meta:
        verbose_name_plural = "log entries"
        indexes = [
            models.Index(fields=["position", "topic"], name="realtime_log_position"),
            models.Index(fields=["topic", "position"], name="realtime_log_topic"),
            # Queries repeat this condition literally (``heads.py``).
            models.Index(
                fields=["topic", "position"],
                condition=models.Q(kind__in=["reset", "rights", "unfollowed"]),
                name="realtime_log_asking",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.kind} of {self.topic}"


class Sequencer(EngineTable):
    """A single row: how far the outbox has been sequenced (``progress.py``), and by which process (``lease.py``)."""

    epoch = models.CharField(
        max_length=16, help_text="Identifies the log's life; positions compare only within one epoch."
    )
    origin = models.CharField(
        max_length=64, blank=True, help_text="What positions rest on; with another origin they may repeat."
    )
    next = models.BigIntegerField(
        default=1, help_text="All outbox rows with a lower stamp are sequenced, except those in ``open``."
    )
    open = models.JSONField(
        default=list, help_text="Stamps below ``next`` whose outbox rows are not sequenced yet."
    )
    edge = models.BigIntegerField(
        default=1, help_text="The log is complete after this position; older entries were pruned."
    )
    holder = models.CharField(
        max_length=64, blank=True, help_text="Process that sequences and runs the jobs."
    )
    expires_at = models.DateTimeField(null=True, help_text="When another process may take over.")
    sequenced_at = models.DateTimeField(
        null=True, help_text="When a round of sequencing last succeeded, by the database's clock."
    )
    capture_paused_until = models.DateTimeField(
        null=True, help_text="Until then a migration may have removed triggers; they are not repaired."
    )

    objects = EngineManager["Sequencer"]()

    ROW = 1

    def __str__(self) -> str:
        return f"{self.epoch}.{self.next - len(self.open)}"


class Ticket(EngineTable):
    """Authenticates one connection, once (``tickets.py``)."""

    digest = models.CharField(primary_key=True, max_length=64, help_text="SHA-256 of the ticket.")
    session = models.TextField(
        blank=True, help_text="Key of the session that the ticket stands for; empty when ``login`` is used."
    )
    login = models.JSONField(help_text="User, backend and hash as a session would hold them; may be empty.")
    expires_at = models.DateTimeField(db_index=True)

    objects = EngineManager["Ticket"]()

    def __str__(self) -> str:
        return f"until {self.expires_at}"


class FeedRelease(EngineTable):
    """A fingerprint of a feed that has been in use; its first use resets the feed's topics."""

    feed = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=16)
    last_used_at = models.DateTimeField(db_default=Now())

    objects = EngineManager["FeedRelease"]()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["feed", "fingerprint"], name="realtime_feed_release"),
        ]

    def __str__(self) -> str:
        return f"{self.feed} {self.fingerprint}"


class TriggerClaim(EngineTable):
    """A trigger that a running release needs; one without a recent claim is obsolete."""

    name = models.CharField(primary_key=True, max_length=63)
    table = models.CharField(max_length=200)
    claimed_at = models.DateTimeField(db_default=Now())
    seen = models.CharField(
        max_length=64,
        db_default="",
        help_text="What table and trigger were when the table's feeds were last told to read it; empty for never.",
    )

    objects = EngineManager["TriggerClaim"]()

    def __str__(self) -> str:
        return f"{self.name} on {self.table}"


class Process(EngineTable):
    """A server process whose hub notes the topics that it holds (``interest.py``)."""

    name = models.CharField(max_length=64, unique=True)
    seen_at = models.FloatField(
        db_default=SecondsNow(),
        help_text="When it last renewed its notes, in seconds since 1970, by the database's clock.",
    )

    objects = EngineManager["Process"]()

    def __str__(self) -> str:
        return self.name


class Interest(EngineTable):
    """A topic that a process holds: rows are read for these only when they change."""

    # Without a constraint: PostgreSQL makes tables unlogged one by one.
    process = models.ForeignKey(
        Process, models.CASCADE, db_constraint=False, db_index=False, related_name="interest"
    )
    topic = models.CharField(max_length=200)
    viewers = models.PositiveIntegerField(
        default=0, help_text="How many connections followed it when the process last renewed its notes."
    )
    format = models.CharField(
        max_length=4, db_default="", help_text="The only format that it is held in; empty for all formats."
    )
    names = models.TextField(
        default="",
        db_default="",
        help_text="Names of its viewers as a JSON array, where the feed gives them; empty for none.",
    )

    objects = EngineManager["Interest"]()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["topic", "process"], name="realtime_interest_topic"),
        ]

    def __str__(self) -> str:
        return self.topic


class HandlerCursor(models.Model):
    """How far a function of ``on_change`` has come in the log (``publishing/handler_cursors.py``)."""

    name = models.CharField(primary_key=True, max_length=200)
    version = models.BigIntegerField(default=0, help_text="Grows with each move: of two processes one moves.")
    epoch = models.CharField(max_length=16)
    position = models.BigIntegerField(help_text="Entries of the log before this one are handled.")
    entry = models.BigIntegerField(
        help_text="Of the entries at ``position`` those up to this id are handled."
    )
    done = models.IntegerField(default=0, help_text="How many changes of the next entry are handled.")
    reading = models.CharField(
        max_length=200,
        blank=True,
        help_text="Topic, or feed, of which all rows are handled before the next entry.",
    )
    after_key = models.TextField(null=True, help_text="Those of its rows up to this key are handled.")
    read_at = models.BigIntegerField(
        default=0, help_text="Position of the latest reading: older entries do not have newer values."
    )
    failures = models.IntegerField(default=0, help_text="How often it has failed for its next change.")
    error = models.TextField(blank=True, help_text="How it failed the last time.")
    moved_at = models.FloatField(
        db_default=SecondsNow(),
        help_text="When it last moved, in seconds since 1970, by the database's clock.",
    )

    objects = EngineManager["HandlerCursor"]()

    def __str__(self) -> str:
        return self.name


class ProcessReport(EngineTable):
    """The report of a server process while an operator watches (``operators/reports.py``)."""

    name = models.CharField(primary_key=True, max_length=64, help_text="As in the table of processes.")
    report = models.TextField(help_text="Its figures, as JSON.")
    reported_at = models.FloatField(
        db_default=SecondsNow(), help_text="In seconds since 1970, by the database's clock."
    )

    objects = EngineManager["ProcessReport"]()

    class Meta:
        verbose_name = _("server process")
        verbose_name_plural = _("server processes")
        default_permissions = ()
        permissions = [("operate", "Can watch server processes, and close or reload their connections")]

    def __str__(self) -> str:
        return self.name


class Instruction(EngineTable):
    """An instruction of an operator to processes (``operators/instructions.py``)."""

    class Kind(models.TextChoices):
        WATCH = "watch", "report"
        CLOSE = "close", "close connections"
        RELOAD = "reload", "reload the pages of connections"
        SIGN_OUT = "sign_out", "end the sessions of a user's connections"
        READ = "read", "read a topic anew"

    kind = models.CharField(max_length=10, choices=Kind)
    process = models.CharField(max_length=64, blank=True, help_text="Which one; empty for all.")
    target = models.CharField(
        max_length=200,
        blank=True,
        help_text="A connection, a topic, or the primary key of a user; empty for all connections.",
    )
    given_at = models.FloatField(
        db_default=SecondsNow(), help_text="In seconds since 1970, by the database's clock."
    )

    objects = EngineManager["Instruction"]()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.process} {self.target}"
