"""Reactions of viewers to entries: counted in rows, once for each browser, entry and kind."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from ..due import IS_SHOWN
from ..models import Board, Entry, Reacted, ReactionCount
from .models import SIGNS, Kind

KEPT = timedelta(days=30)
"""How long a browser that has reacted to an entry is known; afterwards its reaction may count again."""
MAX_KNOWN = 1000
"""How many browsers that have reacted to one entry are known."""


class KindsField(forms.MultipleChoiceField):
    """Kinds of reactions, stored as their names with blanks between them."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, *, max_length: int | None = None, empty_value: str = "", **options: Any) -> None:
        super().__init__(choices=[(kind, f"{SIGNS[kind]} {kind.label}") for kind in Kind], **options)

    def clean(self, value: Any) -> Any:
        chosen = super().clean(value)
        return " ".join(kind for kind in Kind if kind in chosen)

    def prepare_value(self, value: Any) -> Any:
        return value.split() if isinstance(value, str) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


@dataclass(frozen=True, slots=True)
class Reactable:
    """An entry as a browser sees it: for each reaction its sign, its number, and whether the browser has chosen it."""

    entry: Entry
    kinds: list[tuple[Kind, str, int, bool]]


def reactables(board: Board, visitor: str) -> list[Reactable]:
    """Return the shown entries of a board with their reactions."""
    kinds = board.kinds
    if not kinds:
        return []
    entries = [*board.entries.filter(IS_SHOWN).order_by("rank", "position", "pk")]
    counts = {
        (count.entry_id, count.kind): count.number
        for count in ReactionCount.objects.filter(entry__board=board)
    }
    mine = set(Reacted.objects.filter(entry__board=board, visitor=visitor).values_list("entry", "kind"))
    return [
        Reactable(
            entry,
            [
                (kind, SIGNS[kind], counts.get((entry.pk, kind), 0), (entry.pk, kind) in mine)
                for kind in kinds
            ],
        )
        for entry in entries
    ]


@transaction.atomic
def press(board: Board, key: int, kind: str, visitor: str) -> bool | None:
    """Set or remove a browser's reaction; return whether it is set now, None if there is no such entry or kind."""
    if kind not in board.kinds:
        return None
    entry = board.entries.select_for_update().filter(IS_SHOWN, pk=key).first()
    if entry is None:
        return None
    count, _ = ReactionCount.objects.get_or_create(entry=entry, kind=kind, defaults={"board": board})
    counts = ReactionCount.objects.filter(pk=count.pk)
    known = Reacted.objects.filter(entry=entry, kind=kind, visitor=visitor)
    if known.delete()[0]:
        counts.filter(number__gt=0).update(number=F("number") - 1, board=board)
        return False
    Reacted.objects.create(entry=entry, kind=kind, visitor=visitor)
    counts.update(number=F("number") + 1, board=board)
    surplus = Reacted.objects.filter(entry=entry).order_by("-at", "-pk").values_list("pk", flat=True)
    if keys := [*surplus[MAX_KNOWN:]]:
        Reacted.objects.filter(pk__in=keys).delete()
    return True


def remove_old(now: datetime | None = None) -> None:
    """Forget which browsers have reacted long ago, and the reactions to entries that SQL has deleted.

    Let the counts of entries that were moved follow to their board.
    """
    old = Reacted.objects.filter(at__lt=(now or timezone.now()) - KEPT)
    # Read first: on SQLite even a statement that writes nothing makes other writers wait.
    if keys := [*old.values_list("pk", flat=True)[:1000]]:
        Reacted.objects.filter(pk__in=keys).delete()
    for model in (Reacted, ReactionCount):
        left: QuerySet[Any] = model._default_manager.filter(
            ~Exists(Entry.objects.filter(pk=OuterRef("entry_id")))
        )
        if keys := [*left.values_list("pk", flat=True)[:1000]]:
            model._default_manager.filter(pk__in=keys).delete()
    for count in ReactionCount.objects.exclude(board=F("entry__board")).select_related("entry")[:1000]:
        ReactionCount.objects.filter(pk=count.pk).update(board=count.entry.board_id)
