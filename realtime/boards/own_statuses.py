"""Statuses of a board's own: a word, a colour and an icon each. Entries refer to one by its name.

A board without any has the standard ones of ``models.Status``. One with the name of a standard status replaces it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models.functions import Coalesce, Concat, Lower
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from .icons import ICONS

if TYPE_CHECKING:  # Django's own class takes no type arguments when the program runs
    TextColumn: TypeAlias = models.CharField[Any, Any]
else:
    TextColumn = models.CharField

MAX_NAME = 20
"""The length of the column ``status`` of an entry."""


class Colour(models.TextChoices):
    """The colours that the style sheet has for statuses, each with a readable ink, in light and in dark."""

    GREY = "grey", _("Grey")
    OK = "ok", _("Green")
    INFO = "info", _("Blue")
    WARNING = "warning", _("Amber")
    CRITICAL = "critical", _("Red")
    TEAL = "teal", _("Teal")
    VIOLET = "violet", _("Violet")
    PINK = "pink", _("Pink")


class OrderedQuerySet(models.QuerySet[Any]):
    """Rows that have a place on their board."""

    def next_position(self, board: int) -> int:
        """Return the place after all rows of a board, or the last one that the column can hold."""
        last = self.filter(board=board).aggregate(last=models.Max("position"))["last"]
        column = self.model._meta.get_field("position")
        # Not those of SQLite, which are wider: the row may move to another database.
        _lowest, highest = BaseDatabaseOperations.integer_field_ranges[column.get_internal_type()]
        return 10 if last is None else min(int(last) + 10, highest)


class BoardStatus(models.Model):
    """One status of a board. Its name stays the same when its word is changed, so that entries keep it."""

    board = models.ForeignKey("boards.Board", models.CASCADE, related_name="statuses")
    name = models.CharField(max_length=MAX_NAME, blank=True, editable=False)
    word = models.CharField(_("word"), max_length=40)
    colour = models.CharField(
        _("colour"), max_length=10, choices=Colour, default=Colour.GREY, db_default=Colour.GREY
    )
    icon = models.CharField(
        _("icon"),
        max_length=10,
        blank=True,
        default="",
        db_default="",
        choices=[(name, icon.label) for name, icon in ICONS.items()],
    )
    position = models.PositiveSmallIntegerField(
        _("order"), default=10, db_default=10, help_text=_("From the best to the worst.")
    )

    objects = OrderedQuerySet.as_manager()

    class Meta:
        ordering = ["position", "pk"]
        verbose_name = _("status")
        verbose_name_plural = _("statuses")
        constraints = [models.UniqueConstraint(fields=["board", "name"], name="boards_status_name")]

    def __str__(self) -> str:
        return self.word

    def save(self, **options: Any) -> None:
        if not self.name:
            others = BoardStatus.objects.filter(board=self.board_id).exclude(pk=self.pk)
            self.name = name_for(self.word, others.values_list("name", flat=True))
        with transaction.atomic():
            super().save(**options)
            self._show(self.look)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        with transaction.atomic():
            self._show("")
            return super().delete(*args, **kwargs)

    def _show(self, look: str) -> None:
        """Let the entries that have this status show it as it is now."""
        self.board.entries.filter(status=self.name).exclude(look=look).update(look=look)

    @property
    def look(self) -> str:
        """How rows show it, as ``Look`` reads it."""
        return f"{self.name} {self.colour} {self.icon or '-'} {self.word}"


@dataclass(frozen=True, slots=True)
class Look:
    """How rows show a status of a board's own. Entries have it as one text, so that their rows need no other table."""

    name: str
    colour: str
    icon: str
    word: str

    @classmethod
    def read(cls, text: str) -> "Look | None":
        """Return what a text says; None if there is none, or SQL has written another one."""
        parts = text.split(" ", 3)
        return cls(*parts) if len(parts) == 4 else None

    @property
    def icon_path(self) -> str:
        """What the icon's ``<path>`` draws in a square of 16; "" without an icon."""
        return ICONS[self.icon].path if self.icon in ICONS else ""


class StatusField(TextColumn):
    """A column with the name of a status: a standard one, or one of the board's own."""

    def deconstruct(self) -> Any:
        """Return what migrations write: the column is one of text."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs

    def validate(self, value: Any, model_instance: Any) -> None:
        try:
            super().validate(value, model_instance)
        except ValidationError:
            if not has_status(getattr(model_instance, "board_id", None), value):
                raise


def has_status(board: int | None, name: str) -> bool:
    """Return whether a board has a status of its own with this name."""
    return board is not None and BoardStatus.objects.filter(board=board, name=name).exists()


def name_for(
    word: str,
    taken: Iterable[str],
    default: str = "status",
    allow_unicode: bool = True,
    longest: int = MAX_NAME,
) -> str:
    """Return a short name made of a word, another one than those that are taken."""
    base = slugify(word, allow_unicode=allow_unicode)[:longest].strip("-") or default
    names, found, number = {*taken}, base, 1
    while found in names:
        number += 1
        found = f"{base[: longest - len(str(number)) - 1]}-{number}"
    return found


def own_of_entries() -> models.QuerySet[BoardStatus]:
    """Return, within a query of entries, the status of its board's own that each has."""
    return BoardStatus.objects.filter(board=models.OuterRef("board"), name=models.OuterRef("status"))


def severity() -> models.Subquery:
    """Return, for a query of entries, the place of their status among their board's own from the best to the worst."""
    return models.Subquery(own_of_entries().values("position")[:1], output_field=models.IntegerField())


def overlooked() -> models.Q:
    """Return the entries, of boards that have statuses of their own, which do not show theirs as it is now."""
    icon = models.Case(models.When(icon="", then=models.Value("-")), default="icon")
    parts = ["name", models.Value(" "), "colour", models.Value(" "), icon, models.Value(" "), "word"]
    look = own_of_entries().annotate(now=Concat(*parts, output_field=models.TextField())).values("now")[:1]
    shown = Coalesce(models.Subquery(look), models.Value(""), output_field=models.TextField())
    return models.Q(board__in=BoardStatus.objects.values("board")) & ~models.Q(look=shown)


def words_of_all() -> list[tuple[str, str]]:
    """Return the names and words of the statuses that any board has of its own, each once."""
    rows = BoardStatus.objects.order_by(Lower("word"), "pk").values_list("name", "word")
    return [*dict(rows).items()]
