"""What entries were, and by whom they were changed: a revision for each state that differs from the one before.

Editors' changes are recorded in the transaction that makes them, with their user. A function of ``on_change`` records
all others a moment later: what it finds changed and not recorded was written by a program. Several changes of an entry
within that moment are one revision.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import Lag
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from realtime.changes import Change

from .models import Board, Entry, Revision
from .undo import Step, Values, columns, revert, values_of

KEPT = 50
"""Revisions of an entry that are kept at most."""
SHOWN = 200
States = dict[int, Values | None]


def kept_days() -> int:
    """Return for how many days revisions are kept; 0 if there is no history."""
    return int(getattr(settings, "BOARDS_HISTORY_DAYS", 30))


def states(keys: Iterable[int]) -> States:
    """Return the values of entries, None for those that do not exist, and lock them until the transaction ends."""
    wanted = list(keys)
    found = Entry.objects.select_for_update().filter(pk__in=wanted).order_by("pk") if wanted else []
    return dict.fromkeys(wanted) | {entry.pk: values_of(entry) for entry in found}


def record(actor: Any, before: States) -> None:
    """Record what the transaction has made of entries since ``states`` returned ``before``."""
    if not kept_days():
        return
    after = states(before)
    for key, was in before.items():
        last = Revision.objects.filter(entry=key).order_by("-pk").first()
        if was is not None and (last is None or last.values != was):
            add(key, was, None, is_baseline=last is None)
        if after[key] != was:
            add(key, after[key], actor, board=was and was["board_id"])


def note(change: Change) -> None:
    """Record the state of an entry that has changed, unless an editor's transaction has recorded it."""
    if change.op == "reset":
        return
    with transaction.atomic():
        key = int(change.key)
        now = states([key])[key]
        last = Revision.objects.filter(entry=key).order_by("-pk").first()
        if (last.values if last else None) != now:
            board = last and last.values and last.values["board_id"]
            add(key, now, None, board=board or None, is_baseline=last is None and change.is_initial)


def add(key: int, values: Values | None, actor: Any, board: Any = None, is_baseline: bool = False) -> None:
    """Add a revision, and remove those of the entry that are too many or too old; the newest stays."""
    place = values["board_id"] if values else board
    Revision.objects.create(
        entry=key, board=int(place or 0), actor=actor, values=values, is_baseline=is_baseline
    )
    of_entry = Revision.objects.filter(entry=key).order_by("-pk")
    newest = list(of_entry.values_list("pk", flat=True)[:KEPT])
    of_entry.filter(pk__lt=newest[-1]).delete()
    of_entry.filter(at__lt=timezone.now() - timedelta(days=kept_days())).exclude(pk=newest[0]).delete()


def revisions(board: Board) -> Any:
    """Return the revisions of a board's entries, newest first, each with the values before it as ``was``."""
    was = Window(Lag("values"), partition_by=F("entry"), order_by=F("pk").asc())
    return Revision.objects.filter(board=board.pk).select_related("actor").annotate(was=was).order_by("-pk")


def step_of(revision: Any) -> Step | None:
    """Return what a revision did; None for one that begins the history of an entry that was there before."""
    was, now = revision.was, revision.values
    if revision.is_baseline or was == now:
        return None
    if was is None or now is None:
        return Step(revision.entry, was, now)
    names = [name for name in now if name in was and was[name] != now[name]]
    return Step(revision.entry, {name: was[name] for name in names}, {name: now[name] for name in names})


def in_words(revision: Any) -> dict[str, Any] | None:
    """Return a revision as the page shows it."""
    step = step_of(revision)
    if step is None:
        return None
    titles = {field.attname: str(field.verbose_name) for field in columns()}
    before, after = step.before, step.after
    changes = (
        [(titles.get(name, name), before[name], after[name]) for name in after] if before and after else []
    )
    named = revision.values or revision.was or {}
    kind = "changed" if changes else "added" if before is None else "deleted"
    return {"revision": revision, "label": named.get("label"), "kind": kind, "changes": changes}


@permission_required("boards.change_entry")
def history(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who has changed what of a board's entries."""
    board = visible_board(request, slug)
    items = [item for item in map(in_words, revisions(board)[:SHOWN]) if item]
    return render(request, "boards/history.html", {"board": board, "items": items, "days": kept_days()})


@require_POST
@permission_required(["boards.add_entry", "boards.change_entry", "boards.delete_entry"])
def undo(request: HttpRequest, slug: str, key: int) -> HttpResponse:
    """Undo one revision, or with ``later`` all after it; values that were changed since stay, and are named."""
    board = visible_board(request, slug)
    wanted = revisions(board).order_by("pk")
    chosen = [each for each in wanted if (each.pk > key if "later" in request.POST else each.pk == key)]
    steps = [step for step in map(step_of, chosen) if step]
    with transaction.atomic():
        before = states({step.key for step in steps})
        reverted = revert(steps)
        record(request.user, before)
    if reverted.done:
        messages.success(request, "Undone.")
    for words in reverted.left or ([] if reverted.done else ["There was nothing to undo."]):
        messages.warning(request, words)
    return redirect("boards:history", slug=slug)


def visible_board(request: HttpRequest, slug: str) -> Board:
    """Return a board for a member of staff.

    Raises: Http404, for everyone else, and if there is no such board.
    """
    if not getattr(request.user, "is_staff", False):
        raise Http404
    return get_object_or_404(Board.objects.visible_to(request.user), slug=slug)
