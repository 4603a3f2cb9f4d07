"""The page on which an editor imports a table: it previews what the import would do, and then does exactly that."""

import hashlib
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from .. import history
from ..models import Board
from ..places import lock_board
from .columns import Table, table
from .models import Batch
from .plan import Mode, Plan, carry_out, locked_entries, plan
from .reading import Unreadable, lines, text_of

SHOWN = 300
"""The number of changes that a preview lists; of further ones it shows only how many there are."""
MAX_CHARACTERS = 500_000
"""Length of a table in the form: Django accepts 2.5 MB of text in a request, and a character has up to four bytes."""
MARK = 12
"""The number of characters of a change's mark."""
RIGHTS = ["boards.add_entry", "boards.change_entry", "boards.delete_entry"]


class ImportForm(forms.Form):
    """A table, as text or as a file, whose content replaces the text; and the contents of the last preview."""

    file = forms.FileField(required=False, allow_empty_file=True)
    table = forms.CharField(
        required=False,
        strip=False,
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea({"rows": 10, "spellcheck": "false", "wrap": "off"}),
    )
    mode = forms.ChoiceField(choices=Mode.choices, widget=forms.RadioSelect, initial=Mode.UPDATE)
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    previewed = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        """Put the text of the file in the place of the table; a fault of the file leaves the table as it was."""
        cleaned = super().clean() or {}
        file = cleaned.get("file")
        if file:
            try:
                text = text_of(file.read())
            except Unreadable as error:
                raise ValidationError(str(error)) from error
            if len(text) > MAX_CHARACTERS:
                raise ValidationError(
                    _("The table has more than {number} characters. Split it.").format(number=MAX_CHARACTERS)
                )
            cleaned["table"] = text
        cleaned["table"] = cleaned.get("table", "").replace("\r\n", "\n").replace("\r", "\n")
        return cleaned


@permission_required(RIGHTS)
def import_rows(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the form; with a table, preview the import; if the user has seen this preview, do the import."""
    board = history.visible_board(request, slug)
    if request.method != "POST":
        form = ImportForm()
        form.fields["table"].widget.attrs["autofocus"] = True
        return page(request, board, form)
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return page(request, board, form)
    try:
        given = table(lines(form.cleaned_data["table"]), board)
    except Unreadable as error:
        form.add_error("table", str(error))
        return page(request, board, again(form, {}))
    if "import" not in request.POST:
        return preview(
            request, board, form, given, plan([*board.entries.all()], given.rows, form.cleaned_data["mode"])
        )
    with transaction.atomic():
        lock_board(board.pk)
        planned = plan(locked_entries(board), given.rows, form.cleaned_data["mode"])
        is_seen = planned.seen == form.cleaned_data["seen"] and not (given.faults or planned.faults)
        batch = carry_out(planned, board, request.user, _("Import")) if is_seen else None
    if not is_seen:
        return preview(request, board, form, given, planned)
    return done(request, board, planned, batch)


def done(request: HttpRequest, board: Board, planned: Plan, batch: Batch | None) -> HttpResponse:
    """Show the board, with a message that counts the changes and says where they can be undone."""
    actor: Any = request.user.pk
    LogEntry.objects.log_actions(actor, [board], CHANGE, f"Imported: {planned.summary}.")
    address = reverse("boards:history", args=[board.slug])
    undo = format_html(' <a href="{}">{}</a>', address, _("Undo it in the history")) if batch else ""
    messages.success(request, format_html("{}: {}.{}", _("Imported"), planned.summary, undo))
    return redirect(board)


def preview(
    request: HttpRequest, board: Board, form: ImportForm, given: Table, planned: Plan
) -> HttpResponse:
    """Show the changes that an import would make now; mark those that an earlier preview has not shown."""
    data = form.cleaned_data
    digest = hashlib.sha256(f"{data['mode']} {data['table']}".encode("utf-8", "surrogatepass")).hexdigest()[
        :MARK
    ]
    known = {*data["seen"].split()} if "import" in request.POST and data["previewed"] == digest else None
    shown = planned.items[:SHOWN]
    prefetch_related_objects([board], "statuses")
    context = {
        "notes": given.notes,
        "faults": [*given.faults, *planned.faults][:SHOWN],
        "fault_count": len(given.faults) + len(planned.faults),
        "plan": planned,
        "shown": [
            (replace(item, board=board), known is not None and item.mark not in known) for item in shown
        ],
        "more": len(planned.items) - len(shown),
        "is_overtaken": known is not None,
        "is_edited": "import" in request.POST and known is None,
    }
    return page(request, board, again(form, {"seen": planned.seen, "previewed": digest}), context)


def again(form: ImportForm, hidden: dict[str, str]) -> ImportForm:
    """Return the form with the table that was read, and with the contents of the new preview."""
    sent: Any = form.data
    form.data = sent = sent.copy()
    sent.update({"seen": "", "previewed": ""} | hidden)
    sent["table"] = form.cleaned_data.get("table", sent.get("table", ""))
    return form


def page(
    request: HttpRequest, board: Board, form: ImportForm, context: dict[str, Any] | None = None
) -> HttpResponse:
    return render(request, "boards/import.html", {"board": board, "form": form} | (context or {}))
