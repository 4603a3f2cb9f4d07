"""Boards to start from: the contents of each kind of board, and the page on which an editor chooses one."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .history import record
from .models import Board, Entry, Sorting


@dataclass(frozen=True, slots=True)
class Kind:
    """A board to start from. Its rows are label, value, unit, status and note; a number in front is their time, in
    minutes from now.
    """

    name: str
    title: str
    words: str
    headings: tuple[str, str, str, str]
    rows: list[tuple[Any, ...]]
    columns: dict[str, Any] = field(default_factory=dict)


KINDS = [
    Kind(
        "departures", "Departures", "What leaves when: the next first, gone ten minutes later.",
        ("Destination", "Departs", "Status", "Platform and remarks"),
        [
            (12, "Harbour", "", "", "info", "Platform 1 · boarding"),
            (35, "City centre", "", "", "ok", "Platform 2"),
            (64, "Airport", "", "", "warning", "Platform 1 · 5 minutes late"),
        ],
        {"sorting": Sorting.TIME, "hides_after": 10},
    ),
    Kind(
        "status", "Status page", "What works and what does not, the worst first.",
        ("Service", "Availability", "Status", "What we know"),
        [
            ("Website", "100", "%", "ok", ""),
            ("Payments", "99.9", "%", "ok", ""),
            ("Mail", "97.2", "%", "warning", "Delayed by some minutes; we are working on it"),
        ],
        {"sorting": Sorting.STATUS},
    ),
    Kind(
        "prices", "Prices", "What there is and what it costs.",
        ("Today", "Price", "", "Contains"),
        [
            ("Coffee", "2.80", "€", "", ""),
            ("Soup of the day", "6.50", "€", "", "Lentils, celery"),
            ("Cake", "3.90", "€", "warning", "Almonds · two pieces left"),
        ],
    ),
    Kind(
        "scores", "Scores", "Who plays, and how it stands.",
        ("Match", "Score", "Status", "Remarks"),
        [
            ("Gulls : Terns", "2 : 1", "", "info", "Second half"),
            ("Herons : Petrels", "0 : 0", "", "", "Begins at 18:00"),
        ],
    ),
    Kind(
        "queue", "Queue numbers", "Which number is served where.",
        ("Counter", "Number", "Status", "For"),
        [
            ("Counter 1", "A 017", "", "info", "Passports"),
            ("Counter 2", "B 104", "", "info", "Registrations"),
            ("Counter 3", "-", "", "", "Closed until 13:00"),
        ],
    ),
    Kind(
        "rooms", "Rooms", "What takes place where.",
        ("Room", "Begins", "Status", "What"),
        [
            (20, "Aula", "", "", "info", "Opening"),
            (80, "Room 2.04", "", "", "ok", "Workshop: first steps"),
        ],
        {"sorting": Sorting.TIME, "hides_after": 60},
    ),
]  # fmt: skip


class KindForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes none when the program runs
    """A new board of a kind."""

    kind = forms.ChoiceField(
        choices=[(kind.name, f"{kind.title}: {kind.words}") for kind in KINDS],
        widget=forms.RadioSelect,
        initial=KINDS[0].name,
        label=_("Begin with"),
    )

    class Meta:
        model = Board
        fields = ["title", "slug", "is_public", "time_zone"]
        labels = {"slug": _("Address")}
        error_messages = {"slug": {"unique": _("A board with this address already exists; choose another.")}}

    def create(self, editor: Any) -> Board:
        """Save the board, after all others, with the rows of its kind; the histories name the editor."""
        kind = next(kind for kind in KINDS if kind.name == self.cleaned_data["kind"])
        headings = ("label_heading", "value_heading", "status_heading", "note_heading")
        board: Board = self.instance
        for name, value in {**dict(zip(headings, kind.headings, strict=True)), **kind.columns}.items():
            setattr(board, name, value)
        last = Board.objects.order_by("position").last()
        board.position = last.position + 10 if last else 10
        now = timezone.now().replace(second=0, microsecond=0)
        with transaction.atomic():
            self.save()
            entries = []
            for number, row in enumerate(kind.rows, start=1):
                minutes, texts = (row[0], row[1:]) if isinstance(row[0], int) else (None, row)
                columns = dict(zip(("label", "value", "unit", "status", "note"), texts, strict=True))
                at = None if minutes is None else now + timedelta(minutes=minutes)
                entry = Entry(board=board, position=10 * number, at=at, **columns)
                entry.save()
                entries.append(entry)
            record(editor, dict.fromkeys(entry.pk for entry in entries))
            LogEntry.objects.log_actions(editor.pk, [board], ADDITION, [{"added": {}}])
            if entries:
                LogEntry.objects.log_actions(editor.pk, entries, ADDITION, [{"added": {}}])
        return board


@permission_required(["boards.add_board", "boards.add_entry"])
def new_board(request: HttpRequest) -> HttpResponse:
    """Show the kinds of boards to a member of staff; make the one that is chosen, and show it."""
    if not getattr(request.user, "is_staff", False):
        raise Http404
    form = KindForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return redirect(form.create(request.user))
    return render(request, "boards/new.html", {"form": form})
