"""The history of entries, and of boards themselves: a revision for each state that differs from the one before, and who
made the change.

Editors' changes are recorded in the transaction that makes them, with their user. A function of ``on_change`` records
all other changes a moment later: changes that it finds unrecorded were made by a program. Several changes of an entry
within that moment are one revision. Each revision has the values before it, so that it can be undone when older ones
were removed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.db.models import (
    BooleanField,
    DateTimeField,
    Exists,
    F,
    Max,
    OuterRef,
    Q,
    Subquery,
    Value,
    Window,
    prefetch_related_objects,
)
from django.db.models.functions import RowNumber
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_POST

from realtime.changes import Change

from . import board_values
from .board_values import is_board, key_of
from .models import Batch, Board, Entry, Revision
from .time_fields import time_in_words, weekdays_in_words
from .undo import Step, Values, columns, revert, values_of

KEPT = 50
"""The largest number of revisions that are kept of an entry."""
UNDO_RIGHTS = ["boards.add_entry", "boards.change_entry", "boards.delete_entry"]
SHOWN = 200
SHOWN_OF_BATCH = 50
REMOVED_AT_ONCE = 1000
"""The largest number of empty batches that one run of the job removes."""
STAYS = gettext_noop("“{label}” has changed {number} times or more since then, and was left as it is")
States = dict[int, Values | None]
"""Values by the keys of the history: those of entries, and of boards themselves with a minus."""


def kept_days() -> int:
    """Return for how many days revisions are kept; 0 if there is no history."""
    return int(getattr(settings, "BOARDS_HISTORY_DAYS", 30))


def states(keys: Iterable[int]) -> States:
    """Return the values of entries and boards, None for those that do not exist; lock them."""
    wanted = list(keys)
    boards = board_values.states(key_of(key) for key in wanted if is_board(key))
    entries = [key for key in wanted if not is_board(key)]
    found = Entry.objects.select_for_update().filter(pk__in=entries).order_by("pk") if entries else []
    return dict.fromkeys(wanted) | boards | {entry.pk: values_of(entry) for entry in found}


def record(
    actor: Any,
    before: States,
    made_room: Collection[int] = (),
    batch: Batch | None = None,
    made: list[Revision] | None = None,
) -> Batch | None:
    """Record the transaction's changes of entries since ``states`` returned ``before``.

    Entries of ``made_room`` were renumbered for the others: they are undone with the first of these. With a batch,
    which is returned if anything has changed, all are shown and undone as one. ``made`` receives the revisions.
    """
    if not kept_days():
        return None
    after, newest = states(before), newest_of(before)
    found: list[Revision] = []
    renumbered: list[Revision] = []
    if batch and after != before:
        batch.entries = [key for key in before if after[key] != before[key]]
        batch.save()
    for key, was in before.items():
        last = newest.get(key)
        if last is None and was is not None:
            found.append(Revision(entry=key, board=board_of(was) or 0, values=was, is_baseline=True))
        elif last is not None and last.values != was:
            found.append(revised(key, last.values, was))
        if after[key] != was:
            revision = revised(key, was, after[key], actor)
            revision.batch = batch
            (renumbered if key in made_room else found).append(revision)
    Revision.objects.bulk_create(found)
    first = next((each.pk for each in found if each.actor is not None), None)
    for each in renumbered:
        each.follows = first
    Revision.objects.bulk_create(renumbered)
    if made is not None:
        made += [each for each in [*found, *renumbered] if each.actor is not None]
    remove_surplus(before)
    return batch if batch and batch.pk else None


def note(change: Change) -> None:
    """Record the state of an entry that has changed, unless an editor's transaction has recorded it."""
    if change.op != "reset":
        _note(int(change.key), change.is_initial)


def note_board(change: Change) -> None:
    """Record the values of a board itself that has changed, unless an editor's transaction has recorded them."""
    if change.op != "reset":
        _note(key_of(int(change.key)), change.is_initial)


def _note(key: int, is_initial: bool) -> None:
    with transaction.atomic():
        now, last = states([key])[key], newest_of([key]).get(key)
        was = last.values if last else None
        if was != now:
            revision = revised(key, was, now)
            revision.is_baseline = last is None and is_initial
            revision.save()
            remove_surplus([key])


def newest_of(keys: Iterable[int]) -> dict[int, Revision]:
    """Return the newest revisions of entries, by their keys."""
    by_entry = Revision.objects.filter(entry__in=list(keys)).values("entry")
    newest = by_entry.annotate(newest=Max("pk")).values("newest")
    return {revision.entry: revision for revision in Revision.objects.filter(pk__in=newest)}


def board_of(values: Values | None) -> int | None:
    """Return the key of the board of an entry with these values."""
    return int(values["board_id"] or 0) if values else None


def revised(key: int, was: Values | None, values: Values | None, actor: Any = None) -> Revision:
    """Return an unsaved revision of an entry."""
    old, new = board_of(was), board_of(values)
    left_board = old if old != new and new is not None else None
    return Revision(
        entry=key, board=new or old or 0, left_board=left_board, actor=actor, was=was, values=values
    )


def remove_surplus(keys: Iterable[int]) -> None:
    """Remove the oldest revisions of entries that have too many, and the batches without revisions."""
    rank = Window(RowNumber(), partition_by=F("entry"), order_by=F("pk").desc())
    ranked = Revision.objects.filter(entry__in=list(keys)).annotate(rank=rank)
    surplus = dict(ranked.filter(rank__gt=KEPT).values_list("pk", "batch"))
    if surplus:
        Revision.objects.filter(pk__in=surplus).delete()
        Batch.objects.filter(pk__in={*surplus.values()} - {None}, revisions=None).delete()


def remove_old() -> None:
    """Remove revisions that are too old; of an entry that exists the newest stays, as its baseline."""
    newer = Exists(Revision.objects.filter(entry=OuterRef("entry"), pk__gt=OuterRef("pk")))
    old = Revision.objects.filter(at__lt=kept_since())
    outdated = old.filter(newer | Q(values__isnull=True))
    newest = old.filter(~newer, values__isnull=False, is_baseline=False)
    # Read first: on SQLite a statement that writes nothing would make other writers wait, too.
    if outdated.exists():
        outdated.delete()
    if newest.exists():
        newest.update(actor=None, was=None, is_baseline=True, follows=None, batch=None)
    if emptied := [*Batch.objects.filter(revisions=None).values_list("pk", flat=True)[:REMOVED_AT_ONCE]]:
        Batch.objects.filter(pk__in=emptied, revisions=None).delete()


def kept_since() -> datetime:
    """Return the time before which changes are no longer shown, nor kept."""
    return timezone.now() - timedelta(days=kept_days())


def revisions(board: Board) -> Any:
    """Return the changes of a board's entries, newest first, including moves to it and from it."""
    title = Board.objects.filter(pk=OuterRef("board")).values("title")
    left_title = Board.objects.filter(pk=OuterRef("left_board")).values("title")
    return (
        Revision.objects.filter(Q(board=board.pk) | Q(left_board=board.pk))
        .filter(at__gte=kept_since(), is_baseline=False)
        .select_related("actor")
        .annotate(title=Subquery(title), left_title=Subquery(left_title))
        .order_by("-pk")
    )


def step_of(revision: Any) -> Step | None:
    """Return the step of a revision; None if it only shows an entry as it was."""
    return None if revision.is_baseline else step_between(revision.entry, revision.was, revision.values)


def step_between(key: int, was: Values | None, now: Values | None) -> Step | None:
    """Return the step between two states; a field that one of them lacks, as after a migration, has not changed."""
    if was is None or now is None:
        return None if was is now else Step(key, was, now)
    if is_board(key):
        names = board_values.differing(was, now)
    else:
        names = [field.attname for field in columns()]
        names = [name for name in names if name in was and name in now and was[name] != now[name]]
    before, after = ({name: values.get(name) for name in names} for values in (was, now))
    return Step(key, before, after) if names else None


def in_words(revision: Any, board: Board) -> dict[str, Any] | None:
    """Return a revision as the page of a board shows it: times by its clock, statuses by its words."""
    step = step_of(revision)
    if step is None:
        return None
    before, after = step.before, step.after
    if is_board(step.key):
        return {"revision": revision, "label": ""} | board_in_words(before, after)
    titles = {field.attname: str(field.verbose_name) for field in columns()}
    if before is None or after is None:
        kind, changes = _("added") if before is None else _("deleted"), []
    else:
        is_moved = "board_id" in after
        if is_moved:
            before = before | {"board_id": revision.left_title or _("a deleted board")}
            after = after | {"board_id": revision.title or _("a deleted board")}
        kind = _("moved") if is_moved else _("changed")
        changes = [
            (titles[name], *(value_in_words(name, values[name], board) for values in (before, after)))
            for name in after
        ]
    named = revision.values or revision.was
    return {"revision": revision, "label": named.get("label"), "kind": kind, "changes": changes}


def board_in_words(before: Values | None, after: Values | None) -> dict[str, Any]:
    """Return a change of a board itself as the page shows it; ``right`` is that to undo it, None if nobody can."""
    if before is None or after is None:
        kind = _("made the board") if before is None else _("deleted the board")
        return {"kind": kind, "changes": [], "right": None}
    changes = [
        (
            board_values.title_of(name),
            *(board_values.in_words(name, values[name]) for values in (before, after)),
        )
        for name in after
    ]
    return {"kind": _("changed the board itself"), "changes": changes, "right": "boards.change_board"}


def value_in_words(name: str, value: str | None, board: Board) -> str | None:
    """Return a value of a revision as an editor of a board reads it: a status by its word, a time by the board's clock,
    days by their names, a switch as yes or no.
    """
    if value and name == "status":
        return board.word_of(value)
    if value and name == "weekdays":
        return weekdays_in_words(value) or value
    field = Entry._meta.get_field(name)
    if value and isinstance(field, BooleanField):
        return _("yes") if field.to_python(value) else _("no")
    if value and isinstance(field, DateTimeField):
        try:
            at = parse_datetime(value)
        except ValueError:
            at = None
        return time_in_words(at, board.zone) if at and at.tzinfo else value
    return value


def batches(board: Board) -> Any:
    """Return the imports into a board, the newest first."""
    found = Batch.objects.filter(board=board.pk, at__gte=kept_since()).select_related("actor")
    return found.annotate(newest=Max("revisions")).filter(newest__isnull=False).order_by("-newest")


def batches_in_words(shown: Sequence[Any], board: Board) -> list[dict[str, Any]]:
    """Return imports as the page shows them: its newest revision stands for each."""
    rank = Window(RowNumber(), partition_by=F("batch"), order_by=F("pk").asc())
    unnamed = Revision.objects.annotate(title=Value(""), left_title=Value(""), rank=rank)
    parts: dict[int | None, list[dict[str, Any]]] = defaultdict(list)
    for revision in unnamed.filter(
        batch__in=[batch.pk for batch in shown], rank__lte=SHOWN_OF_BATCH
    ).order_by("pk"):
        if part := in_words(revision, board):
            parts[revision.batch_id].append(part)
    return [
        {
            "revision": SimpleNamespace(pk=batch.newest, at=batch.at, actor=batch.actor),
            "label": "",
            "kind": batch.summary,
            "parts": parts[batch.pk],
        }
        for batch in shown
    ]


def removed_of(batch: Batch) -> list[str]:
    """Return a text for each entry whose change by a batch is no longer known: its revision was surplus."""
    known = Revision.objects.filter(batch=batch)
    lost = {*batch.entries} - {*known.values_list("entry", flat=True)}
    newest = newest_of(lost).values()
    labels = [
        (each.values or each.was or {}).get("label") for each in sorted(newest, key=lambda each: each.entry)
    ]
    return [_(STAYS).format(label=label, number=KEPT) for label in labels]


def steps_of(board: Board, key: int) -> list[Step]:
    """Return the steps of a board's revision, with the renumbering that made room for a move, and its whole batch.

    For an added entry the other entries keep their numbers: they are in order without it, too.
    """
    chosen = revisions(board).filter(pk=key).first()
    if chosen is None:
        return []
    if chosen.batch_id:
        return [
            step
            for step in map(step_of, Revision.objects.filter(batch=chosen.batch_id).order_by("pk"))
            if step
        ]
    followers = Revision.objects.filter(follows=key).order_by("pk") if chosen.was is not None else []
    return [step for step in map(step_of, [chosen, *followers]) if step]


def permitted(user: Any, steps: list[Step]) -> tuple[list[Step], list[str]]:
    """Return the steps that an editor of entries may undo, and a text if there are others, of boards themselves."""
    if user.has_perm("boards.change_board") or not any(is_board(step.key) for step in steps):
        return steps, []
    words = _("The board itself was left as it is: undoing its changes requires the right to change boards.")
    return [step for step in steps if not is_board(step.key)], [words]


def steps_since(board: Board, key: int) -> tuple[list[Step], list[str]]:
    """Return the steps of a board and its entries after a revision, and texts for those whose changes are not known."""
    if not Revision.objects.filter(pk__lte=key, at__gte=kept_since()).exists():
        return [], [_("The history no longer reaches back to that time: load the page again.")]
    # The renumbering that made room for a move is recorded after it, and is part of it.
    later = Revision.objects.filter(pk__gt=key, is_baseline=False).exclude(follows=key)
    touched = later.filter(Q(board=board.pk) | Q(left_board=board.pk)).values("entry")
    by_entry: dict[int, list[Revision]] = {}
    for revision in later.filter(entry__in=touched).order_by("pk"):
        by_entry.setdefault(revision.entry, []).append(revision)
    steps: list[Step] = []
    unknown: list[str] = []
    for entry, found in by_entry.items():
        was, now = found[0].was, found[-1].values
        step = step_between(entry, was, now)
        if step is None or board.pk not in (board_of(was), board_of(now)):
            continue
        if len(found) < KEPT:
            steps.append(step)
        else:
            label = board if is_board(entry) else (now or was or {}).get("label")
            unknown.append(_(STAYS).format(label=label, number=KEPT))
    return steps, unknown


@permission_required("boards.change_entry")
def history(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the changes of a board and its entries, each with its user."""
    board = visible_board(request, slug)
    prefetch_related_objects([board], "statuses")
    single = revisions(board).filter(follows=None, batch=None)[:SHOWN]
    items = [item for each in single if (item := in_words(each, board))]
    items += batches_in_words(batches(board)[:SHOWN], board)
    items = sorted(items, key=lambda item: -item["revision"].pk)[:SHOWN]
    for item in items:
        right = item.get("right", "boards.change_entry")
        item["is_undoable"] = right is not None and request.user.has_perms([*UNDO_RIGHTS, right])
    return render(request, "boards/history.html", {"board": board, "items": items, "days": kept_days()})


@require_POST
@permission_required(UNDO_RIGHTS)
def undo(request: HttpRequest, slug: str, key: int) -> HttpResponse:
    """Undo one revision, or with ``later`` all after it; values that were changed since stay, and are reported."""
    board = visible_board(request, slug)
    actor: Any = request.user
    made_room: list[int] = []
    batch = None
    if "later" in request.POST:
        steps, unknown = steps_since(board, key)
    else:
        steps, unknown = steps_of(board, key), []
        made_room = [step.key for step in steps[1:]]
        if undone := Batch.objects.filter(board=board.pk, revisions=key).first():
            batch = Batch(
                board=board.pk,
                actor=actor,
                summary=_("Undone: {summary}").format(summary=undone.summary)[:300],
            )
            made_room, unknown = [], removed_of(undone)
    steps, refused = permitted(actor, steps)
    unknown += refused
    with transaction.atomic():
        before = states(step.key for step in steps)
        reverted = revert(steps)
        record(actor, before, made_room, batch)
    if reverted.done:
        messages.success(request, _("Undone."))
    left = unknown + reverted.left
    for words in left or ([] if reverted.done else [_("There was nothing to undo.")]):
        messages.warning(request, words)
    board.refresh_from_db(fields=["slug"])  # the address may be one of the values that have gone back
    return redirect("boards:history", slug=board.slug)


def visible_board(request: HttpRequest, slug: str) -> Board:
    """Return a board for a member of staff.

    Raises: Http404, for everyone else, and if there is no such board.
    """
    if not getattr(request.user, "is_staff", False):
        raise Http404
    return get_object_or_404(Board.objects.visible_to(request.user), slug=slug)
