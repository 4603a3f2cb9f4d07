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
from django.utils import timezone, translation
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .board_values import key_of
from .history import record
from .languages import LanguageField
from .models import Board, Entry, Sorting
from .own_statuses import Colour, name_for
from .zones import ZoneInput

HEADINGS = ("label_heading", "value_heading", "status_heading", "note_heading")
CELLS = ("label", "value", "unit", "status", "note")


@dataclass(frozen=True, slots=True)
class Kind:
    """A board to start from, in the words that become those of a new board's language.

    ``headings`` are those of label, value, status and note. ``statuses`` are the board's own from the best to the
    worst: name, word, colour, icon. ``rows`` are label, value, unit, the name of a status, and note; a number in front
    is their time, in minutes from now. ``columns`` are other values of the board.
    """

    name: str
    title: Any
    words: Any
    headings: tuple[Any, Any, Any, Any]
    statuses: list[tuple[str, Any, Colour, str]]
    rows: list[tuple[Any, ...]]
    columns: dict[str, Any] = field(default_factory=dict)


KINDS = [
    Kind(
        "departures", _("Departures"), _("What leaves when: the next first, gone ten minutes later."),
        (_("Destination"), _("Departs"), _("Status"), _("Platform and remarks")),
        [
            ("on-time", _("On time"), Colour.OK, "check"),
            ("boarding", _("Boarding"), Colour.INFO, "play"),
            ("delayed", _("Delayed"), Colour.WARNING, "clock"),
            ("cancelled", _("Cancelled"), Colour.CRITICAL, "cross"),
        ],
        [
            (12, _("Harbour"), "", "", "boarding", _("Platform 1")),
            (35, _("City centre"), "", "", "on-time", _("Platform 2")),
            (64, _("Airport"), "", "", "delayed", _("Platform 1 · 5 minutes late")),
        ],
        {"sorting": Sorting.TIME, "hides_after": 10},
    ),
    Kind(
        "status", _("Status page"), _("What works and what does not, the worst first."),
        (_("Service"), _("Availability"), _("Status"), _("What we know")),
        [
            ("running", _("Running"), Colour.OK, "check"),
            ("maintenance", _("Maintenance"), Colour.INFO, "pause"),
            ("disturbed", _("Disturbed"), Colour.WARNING, "alert"),
            ("down", _("Down"), Colour.CRITICAL, "cross"),
        ],
        [
            (_("Website"), "100", "%", "running", ""),
            (_("Payments"), _("99.9"), "%", "running", ""),
            (_("Mail"), _("97.2"), "%", "disturbed", _("Delayed by some minutes; we are working on it")),
        ],
        {"sorting": Sorting.STATUS},
    ),
    Kind(
        "prices", _("Prices"), _("What there is and what it costs."),
        (_("Today"), _("Price"), "", _("Contains")),
        [
            ("new", _("New"), Colour.TEAL, "star"),
            ("few", _("Almost gone"), Colour.WARNING, "clock"),
            ("gone", _("Sold out"), Colour.GREY, "cross"),
        ],
        [
            (_("Coffee"), _("2.80"), "€", "", ""),
            (_("Soup of the day"), _("6.50"), "€", "new", _("Lentils, celery")),
            (_("Cake"), _("3.90"), "€", "few", _("Almonds")),
        ],
        {"shows_updated": False},
    ),
    Kind(
        "scores", _("Scores"), _("Who plays, and how it stands."),
        (_("Match"), _("Score"), _("Status"), _("Remarks")),
        [
            ("playing", _("Playing"), Colour.OK, "play"),
            ("soon", _("Not yet"), Colour.GREY, "clock"),
            ("over", _("Final"), Colour.INFO, "check"),
        ],
        [
            (_("Gulls : Terns"), "2 : 1", "", "playing", _("Second half")),
            (_("Herons : Petrels"), "0 : 0", "", "soon", _("Begins at 18:00")),
        ],
    ),
    Kind(
        "queue", _("Queue numbers"), _("Which number is served where."),
        (_("Counter"), _("Number"), _("Status"), _("For")),
        [
            ("served", _("Being served"), Colour.OK, "play"),
            ("next", _("Please come"), Colour.INFO, "alert"),
            ("closed", _("Closed"), Colour.GREY, "pause"),
        ],
        [
            (_("Counter 1"), "A 017", "", "served", _("Passports")),
            (_("Counter 2"), "B 104", "", "next", _("Registrations")),
            (_("Counter 3"), "-", "", "closed", _("Closed until 13:00")),
        ],
        {"shows_updated": False},
    ),
    Kind(
        "rooms", _("Rooms"), _("What takes place where: an hour after its time an entry is gone."),
        (_("Room"), _("Begins"), _("Status"), _("What")),
        [
            ("free", _("Free"), Colour.OK, "check"),
            ("soon", _("Begins soon"), Colour.INFO, "clock"),
            ("busy", _("Occupied"), Colour.VIOLET, "stop"),
            ("moved", _("Moved"), Colour.WARNING, "play"),
        ],
        [
            (20, _("Hall"), "", "", "soon", _("Opening")),
            (80, _("Room 2.04"), "", "", "free", _("Workshop: first steps")),
        ],
        {"sorting": Sorting.TIME, "hides_after": 60},
    ),
]  # fmt: skip


def furnish(board: Board, kind: Kind) -> list[Entry]:
    """Save a new board, after all others, with the statuses and rows of a kind in its language; return the rows."""
    with translation.override(board.language_code):
        for name, heading in zip(HEADINGS, kind.headings, strict=True):
            setattr(board, name, str(heading))
        for name, value in kind.columns.items():
            setattr(board, name, value)
        last = Board.objects.order_by("position").last()
        board.position = last.position + 10 if last else 10
        board.save()
        for place, (name, word, colour, icon) in enumerate(kind.statuses, start=1):
            board.statuses.create(name=name, word=str(word), colour=colour, icon=icon, position=10 * place)
        now = timezone.now().replace(second=0, microsecond=0)
        entries = []
        for number, row in enumerate(kind.rows, start=1):
            minutes, texts = (row[0], row[1:]) if isinstance(row[0], int) else (None, row)
            columns = dict(zip(CELLS, map(str, texts), strict=True))
            at = None if minutes is None else now + timedelta(minutes=minutes)
            entry = Entry(board=board, position=10 * number, at=at, **columns)
            entry.save()
            entries.append(entry)
    return entries


class KindForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes none when the program runs
    """A new board of a kind."""

    kind = forms.ChoiceField(widget=forms.RadioSelect, initial=KINDS[0].name, label=_("Begin with"))

    class Meta:
        model = Board
        fields = ["title", "slug", "is_public", "language", "time_zone"]
        field_classes = {"language": LanguageField}
        widgets = {"time_zone": ZoneInput}
        labels = {"slug": _("Address")}
        help_texts = {"slug": _("Leave it empty to make it of the title.")}
        error_messages = {"slug": {"unique": _("A board with this address already exists; choose another.")}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [  # type: ignore[attr-defined]
            (kind.name, format_html("<strong>{}</strong> {}", kind.title, kind.words)) for kind in KINDS
        ]
        self.fields["slug"].required = False

    def clean(self) -> dict[str, Any]:
        """Make an address of the title, if there is none: another one than those of other boards."""
        cleaned = super().clean() or {}
        if not cleaned.get("slug") and "slug" not in self.errors and cleaned.get("title"):
            taken = Board.objects.values_list("slug", flat=True)
            cleaned["slug"] = name_for(cleaned["title"], taken, "board", allow_unicode=False, longest=50)
        return cleaned

    def create(self, editor: Any) -> Board:
        """Save the board, with the rows of its kind; the histories name the editor."""
        kind = next(kind for kind in KINDS if kind.name == self.cleaned_data["kind"])
        board: Board = self.instance
        with transaction.atomic():
            entries = furnish(board, kind)
            record(editor, dict.fromkeys([key_of(board.pk), *(entry.pk for entry in entries)]))
            LogEntry.objects.log_actions(editor.pk, [board], ADDITION, [{"added": {}}])
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
