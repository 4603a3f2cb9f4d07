"""Boards and their entries, the content of a wall screen.

These models contain nothing about live rows; ``live.py`` declares those.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from .charts.models import Reading as Reading
from .clock_times import ClockTime
from .exchange.cells import CONTROL
from .exchange.models import Batch as Batch
from .exchange.models import RowToken as RowToken
from .languages import language_named, validate_language
from .organisations import Logo as Logo
from .organisations import Organisation as Organisation
from .own_statuses import BoardStatus as BoardStatus
from .own_statuses import Look, OrderedQuerySet, StatusField
from .screens.models import Screen as Screen
from .sharing.models import BoardLink as BoardLink
from .sharing.models import Guest as Guest
from .sharing.origins import validate_origins
from .times import Times, days_in_words, is_in_reach, moved
from .voices.models import Message as Message
from .voices.models import Reacted as Reacted
from .voices.models import ReactionCount as ReactionCount
from .voices.models import TwoWay
from .zones import validate_time_zone, zone_named


class BoardQuerySet(models.QuerySet["Board"]):
    def visible_to(self, user: Any) -> "BoardQuerySet":
        """Return the boards that a user may see: all for active staff, the public ones for everyone else.

        A guest also sees those of the secret links that were opened in its browser.
        """
        if user.is_active and user.is_staff:
            return self.all()
        public = models.Q(is_public=True)
        if guest := getattr(user, "guest", None):
            public |= models.Q(pk__in=BoardLink.objects.valid().filter(guests=guest).values("board"))
        return self.filter(public)


class Sorting(models.TextChoices):
    """The sorting of a board's entries; equal ones are sorted by their positions."""

    HAND = "", _("By hand")
    TIME = "time", _("By time, the next first")
    STATUS = "status", _("By status, the worst first")


COLUMN_WORDS = {"label": _("label"), "value": _("value"), "status": _("status"), "note": _("note")}
"""The columns for which a board has a heading, and what screen readers are told where it is blank."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a board's table; one that is not named has a heading for screen readers only."""

    name: str
    heading: str
    is_named: bool
    is_shown: bool


class Board(TwoWay):
    """A titled table that stays open on screens; its entries are its rows."""

    slug = models.SlugField(
        _("slug"),
        unique=True,
        help_text=_("The board's part of its address, such as departures in /boards/departures/."),
    )
    title = models.CharField(_("title"), max_length=200)
    description = models.TextField(_("description"), blank=True, default="", db_default="")
    label_heading = models.CharField(_("label heading"), max_length=60, blank=True, default="", db_default="")
    value_heading = models.CharField(_("value heading"), max_length=60, blank=True, default="", db_default="")
    status_heading = models.CharField(
        _("status heading"), max_length=60, blank=True, default="", db_default=""
    )
    note_heading = models.CharField(_("note heading"), max_length=60, blank=True, default="", db_default="")
    shows_value = models.BooleanField(_("values are shown"), default=True, db_default=True)
    shows_status = models.BooleanField(_("statuses are shown"), default=True, db_default=True)
    shows_note = models.BooleanField(_("notes are shown"), default=True, db_default=True)
    shows_updated = models.BooleanField(_("times of changes are shown"), default=True, db_default=True)
    organisation = models.ForeignKey(
        Organisation,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="boards",
        verbose_name=_("organisation"),
        help_text=_("Its name and logo stand above the title."),
    )
    language = models.CharField(
        _("language"),
        max_length=10,
        blank=True,
        default="",
        db_default="",
        validators=[validate_language],
        help_text=_("Dates, fixed headings and standard statuses on the board are in this language."),
    )
    position = models.IntegerField(
        _("position"), default=0, db_default=0, help_text=_("Boards are listed from low to high.")
    )
    is_public = models.BooleanField(
        _("public"),
        default=True,
        db_default=True,
        help_text=_("Everyone can see a public board; only staff can see the others."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=60,
        blank=True,
        default="",
        db_default="",
        validators=[validate_time_zone],
        help_text=_(
            "The zone of the clock and of all times on the board, such as Europe/Oslo; blank means the server's."
        ),
    )
    sorting = models.CharField(
        _("order"), max_length=10, choices=Sorting, blank=True, default=Sorting.HAND, db_default=Sorting.HAND
    )
    hides_after = models.PositiveSmallIntegerField(
        _("hide after minutes"),
        null=True,
        blank=True,
        help_text=_(
            "An entry with a time disappears this many minutes after it; leave it empty to keep such entries."
        ),
    )
    embed_origins = models.TextField(
        _("sites that may embed it"),
        blank=True,
        default="",
        db_default="",
        validators=[validate_origins],
        help_text=_(
            "One per line, such as https://example.com: their pages may show the board in a frame, and if it is "
            "public, read its rows."
        ),
    )

    chart_days = models.PositiveSmallIntegerField(
        _("days of charts"),
        null=True,
        blank=True,
        help_text=_(
            "For how many days the numbers among the values are kept, for charts of each entry; "
            "blank means no charts."
        ),
    )

    objects = BoardQuerySet.as_manager()

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("board")
        verbose_name_plural = _("boards")

    def __str__(self) -> str:
        return self.title

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        super().clean_fields(exclude)
        if "title" not in (exclude or ()) and CONTROL.search(self.title):
            raise ValidationError({"title": _("It has control characters. Type it instead of pasting it.")})

    @transaction.atomic
    def save(self, **options: Any) -> None:
        super().save(**options)
        names = options.get("update_fields")
        if names is None or not {"time_zone", "language"}.isdisjoint(names):
            shown = {"clock": self.time_zone, "language": self.language}
            self.entries.exclude(**shown).update(**shown)
        # Times of entries are in the board's zone: the job checks them again, and its writes change the pages.
        timed = self.entries.filter(is_due__isnull=False)
        if (names is None or not {"time_zone", "hides_after"}.isdisjoint(names)) and timed.exists():
            timed.update(next_change=timezone.now())

    def get_absolute_url(self) -> str:
        return reverse("boards:board", args=[self.slug])

    @property
    def zone(self) -> ZoneInfo:
        return zone_named(self.time_zone)

    @property
    def zone_name(self) -> str:
        """Its zone as a heading shows it: the city, such as Oslo of Europe/Oslo."""
        return self.zone.key.rpartition("/")[2].replace("_", " ")

    @property
    def language_code(self) -> str:
        """The language of its rows."""
        return language_named(self.language)

    @property
    def page_language(self) -> str:
        """The language of pages that show nothing else, walls and frames: its own, or if it has none the visitor's."""
        return self.language_code if self.language else translation.get_language() or self.language_code

    @property
    def columns(self) -> list[Column]:
        """The columns of its table, in their order."""
        with translation.override(self.language_code):
            columns = [
                Column(name, heading or str(word), bool(heading), getattr(self, f"shows_{name}", True))
                for name, word in COLUMN_WORDS.items()
                for heading in [getattr(self, f"{name}_heading")]
            ]
            changed = " ".join([gettext("Changed"), self.zone_name])
        return [*columns, Column("updated", changed, is_named=True, is_shown=self.shows_updated)]

    @property
    def columns_as_text(self) -> str:
        """The headings, a line each, for headings.js: behind "-" where the column is not shown, behind "~" where only
        screen readers are told the heading, otherwise behind "+".
        """
        return "\n".join(
            f"{'-' if not column.is_shown else '+' if column.is_named else '~'}{column.heading}"
            for column in self.columns
        )

    read_statuses: list[BoardStatus] | None = None
    """Its own statuses, where they were read together with those of other boards."""

    @property
    def own_statuses(self) -> list[BoardStatus]:
        """Its own statuses, from the best to the worst."""
        if self.read_statuses is not None:
            return self.read_statuses
        return [*self.statuses.all()] if self.pk else []

    def own_status(self, name: str) -> BoardStatus | None:
        """Return the status of its own that has a name; None if there is none."""
        return next((status for status in self.own_statuses if status.name == name), None)

    @property
    def offered_statuses(self) -> list[tuple[str, str]]:
        """The names and words of the statuses that editors choose from: its own, or without any the standard ones."""
        own = [(status.name, status.word) for status in self.own_statuses]
        standard = [(value, str(word)) for value, word in Status.choices]
        return [standard[0], *own] if own else standard

    def word_of(self, status: str) -> str:
        """Return the word of a status; the text itself, if a program has written one that there is not."""
        own = self.own_status(status)
        return own.word if own else standard_word(status)

    def severity(self, status: str) -> int:
        """Return how bad a status is: its place among the board's own, or among the standard ones."""
        own = self.own_status(status)
        if own:
            return own.position
        return Status.values.index(status) if status in Status.values else 0


class Status(models.TextChoices):
    """The state of an entry. The style sheet has a colour for each value; an entry may have none."""

    NONE = "", _("No status")
    OK = "ok", _("OK")
    INFO = "info", _("Now")
    WARNING = "warning", _("Watch")
    CRITICAL = "critical", _("Alert")


STANDARD_WORDS = dict(Status.choices)


def standard_word(status: str) -> str:
    """Return the word of a standard status in the active language; the text itself, if there is none of this name.

    It is that of ``get_status_display``, which translates the words of all of them to find one.
    """
    return str(STANDARD_WORDS.get(status, status))


class Entry(models.Model):
    """One row of a board. SQL that inserts one needs a board and a label; all other columns have defaults.

    ``is_due`` is whether its times let it be shown now, None if it has no times or if they were not checked yet;
    ``next_change`` is when that changes. ``rank`` is its place where the board is sorted by time or status, ``clock``
    and ``language`` are the zone and the language of its board, ``look`` is how a status of its board's own looks: a
    row of the feed is made of its own columns. Saving sets all of them; see ``due.py``.
    """

    board = models.ForeignKey(Board, models.CASCADE, related_name="entries", verbose_name=_("board"))
    position = models.IntegerField(
        _("position"), default=0, db_default=0, help_text=_("Entries are listed from low to high.")
    )
    label = models.CharField(_("label"), max_length=200)
    value = models.CharField(_("value"), max_length=200, blank=True, default="", db_default="")
    unit = models.CharField(_("unit"), max_length=40, blank=True, default="", db_default="")
    status = StatusField(_("status"), max_length=20, choices=Status, blank=True, default="", db_default="")
    note = models.CharField(_("note"), max_length=500, blank=True, default="", db_default="")
    is_visible = models.BooleanField(_("visible"), default=True, db_default=True)
    is_pinned = models.BooleanField(
        _("pinned"),
        default=False,
        db_default=False,
        help_text=_("A wall screen shows a pinned entry at the top of each of its pages."),
    )
    at = models.DateTimeField(
        _("time"),
        null=True,
        blank=True,
        help_text=_("When it happens; open pages also say in how many minutes."),
    )
    shows_from = models.DateTimeField(
        _("from"), null=True, blank=True, help_text=_("Until then no page shows it.")
    )
    shows_until = models.DateTimeField(
        _("until"), null=True, blank=True, help_text=_("From then on no page shows it.")
    )
    weekdays = models.CharField(
        _("days of the week"),
        max_length=7,
        blank=True,
        default="",
        db_default="",
        help_text=_("On the other days no page shows it; none means every day."),
    )
    is_due = models.BooleanField(_("shown now"), null=True, editable=False)
    next_change = models.DateTimeField(null=True, editable=False)
    rank = models.BigIntegerField(default=0, db_default=0, editable=False)
    clock = models.CharField(max_length=60, default="", db_default="", editable=False)
    language = models.CharField(max_length=10, default="", db_default="", editable=False)
    look = models.CharField(max_length=90, default="", db_default="", editable=False)
    updated = models.DateTimeField(_("updated"), auto_now=True, db_default=Now())

    objects = OrderedQuerySet.as_manager()

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        indexes = [
            models.Index(
                fields=["next_change"],
                name="boards_entry_next_change",
                condition=models.Q(next_change__isnull=False),
            ),
            models.Index(fields=["board"], name="boards_entry_ranked", condition=~models.Q(rank=0)),
            models.Index(
                fields=["id"],
                name="boards_entry_unseen",
                condition=models.Q(is_due=None)
                & ~models.Q(at=None, shows_from=None, shows_until=None, weekdays=""),
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def save(self, **options: Any) -> None:
        names = options.get("update_fields")
        if names is None or not RANKED_BY.isdisjoint(names):
            self.note_times(timezone.now())
            if names is not None:
                options["update_fields"] = [*names, *NOTED]
        super().save(**options)

    def note_times(self, now: datetime) -> bool:
        """Set the columns that follow from the times; return whether one of them has changed."""
        before = [getattr(self, name) for name in NOTED]
        self.is_due, self.next_change = None, None
        self.clock, self.language = self.board.time_zone, self.board.language
        own = self.board.own_status(self.status) if self.status else None
        self.look = own.look if own else ""
        if self.at or self.shows_from or self.shows_until or self.weekdays:
            times = self.times
            self.is_due, self.next_change = times.is_due(now), times.next_change(now)
        is_by_status = self.board.sorting == Sorting.STATUS
        self.rank = rank(self.board.sorting, self.at, self.board.severity(self.status) if is_by_status else 0)
        return [getattr(self, name) for name in NOTED] != before

    @property
    def own_look(self) -> Look | None:
        """How its status looks, if that is one of its board's own; None if SQL has written another one since."""
        look = Look.read(self.look)
        return look if look and look.name == self.status else None

    @property
    def language_code(self) -> str:
        """The language of its row."""
        return language_named(self.language)

    @property
    def zone(self) -> ZoneInfo:
        """The zone by whose clock its time is shown."""
        return zone_named(self.clock)

    @property
    def status_word(self) -> str:
        """Its status in the active language, if that is a standard one."""
        return standard_word(self.status)

    @property
    def shown_at(self) -> ClockTime | None:
        """Its time as pages show it: none, if a program has written one that is too far away."""
        if not self.at or not is_in_reach(self.at):
            return None
        return ClockTime.of(self.at, self.zone, self.language_code, AT_FORMAT)

    @property
    def shown_updated(self) -> ClockTime:
        """When it was last written, as pages show it."""
        return ClockTime.of(self.updated, self.zone, self.language_code, UPDATED_FORMAT)

    @property
    def times(self) -> Times:
        """The times at which it is shown, if its editor has set ``is_visible``."""
        hides_after = self.board.hides_after
        gone_at = (
            None if self.at is None or hides_after is None else moved(self.at, timedelta(minutes=hides_after))
        )
        return Times.of(self.board.zone, self.shows_from, [self.shows_until, gone_at], self.weekdays)


NOTED = ("is_due", "next_change", "rank", "clock", "language", "look")
RANKED_BY = frozenset({"at", "shows_from", "shows_until", "weekdays", "status", "board", "board_id"})
"""The fields of an entry on which those of ``NOTED`` depend."""
TIMELESS = 2**40
AT_FORMAT = gettext_noop("D j M H:i")
UPDATED_FORMAT = gettext_noop("j M H:i:s")


def rank(sorting: str, at: datetime | None, severity: int) -> int:
    """Return the first sort key of an entry, before its position: the seconds of its time, or how bad its status is."""
    if sorting == Sorting.TIME:
        return max(1, int(at.timestamp())) if at else TIMELESS  # 0 is that of an entry that was not ranked
    return -severity if sorting == Sorting.STATUS else 0


class Revision(models.Model):
    """The values of an entry before and after a change. It has no foreign key to the entry, which it outlives.

    One of a board itself has the board's key with a minus as ``entry``: see ``board_values.py``.

    ``left_board`` is the board from which the entry has moved. A baseline has the values of an entry when its
    history began. ``follows`` is the revision of the entry that was moved or added, if this one was renumbered to make
    room for it. See ``history.py``.
    """

    entry = models.BigIntegerField()
    board = models.BigIntegerField(db_index=True)
    left_board = models.BigIntegerField(null=True, db_index=True)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    was = models.JSONField(null=True)
    values = models.JSONField(null=True)
    is_baseline = models.BooleanField(default=False)
    follows = models.BigIntegerField(null=True, db_index=True)
    batch = models.ForeignKey("boards.Batch", models.CASCADE, null=True, related_name="revisions")

    class Meta:
        indexes = [models.Index(fields=["entry", "id"], name="boards_revision_entry")]

    def __str__(self) -> str:
        return f"{self.entry} at {self.at}"


class Level(models.TextChoices):
    """How urgent a notice is. The style sheet has a colour and a sign for each value."""

    INFO = "info", _("Information")
    WARNING = "warning", _("Warning")
    CRITICAL = "critical", _("Alert")


class Notice(models.Model):
    """A sentence on boards for a time. ``is_shown`` follows the times: see ``notices.py``."""

    text = models.CharField(_("text"), max_length=300)
    level = models.CharField(
        _("level"), max_length=20, choices=Level, default=Level.INFO, db_default=Level.INFO, blank=False
    )
    boards = models.ManyToManyField(Board, related_name="notices", verbose_name=_("boards"))
    shows_from = models.DateTimeField(
        _("from"), default=timezone.now, db_default=Now(), help_text=_("Until then no page shows it.")
    )
    shows_until = models.DateTimeField(
        _("until"),
        null=True,
        blank=True,
        help_text=_("Leave it empty to show the notice until you end it."),
    )
    weekdays = models.CharField(
        _("days of the week"),
        max_length=7,
        blank=True,
        default="",
        db_default="",
        help_text=_("On the other days no page shows it; none means every day."),
    )
    is_shown = models.BooleanField(_("shown now"), default=False, db_default=False, editable=False)

    class Meta:
        ordering = ["-shows_from", "pk"]
        verbose_name = _("notice")
        verbose_name_plural = _("notices")

    def __str__(self) -> str:
        return self.text

    def save(self, **options: Any) -> None:
        self.is_shown = self.is_due(timezone.now())
        super().save(**options)

    def is_due(self, now: datetime) -> bool:
        return Times.of(self.zone, self.shows_from, [self.shows_until], self.weekdays).is_due(now)

    @property
    def zone(self) -> ZoneInfo:
        """The zone of its boards, by which its days begin; the server's, if they have several or none."""
        return common_zone(self.boards.all() if self.pk else [])

    @property
    def shown_until(self) -> datetime | None:
        """Its end as pages show it: none, if it is too far away."""
        return self.shows_until if self.shows_until and is_in_reach(self.shows_until) else None

    @property
    def shown_from(self) -> datetime | None:
        """Its beginning as pages show it: none, if it is too far away."""
        return self.shows_from if is_in_reach(self.shows_from) else None

    @property
    def days_in_words(self) -> str:
        return days_in_words(self.weekdays, WEEKDAYS_ABBR)


def common_zone(boards: Iterable[Board]) -> ZoneInfo:
    """Return the zone of boards; the server's, if they have several."""
    zones = {board.zone for board in boards}
    return zones.pop() if len(zones) == 1 else zone_named("")
