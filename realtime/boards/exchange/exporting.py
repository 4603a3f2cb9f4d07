"""All entries of a board as a file that spreadsheets open, and that imports read as the same rows."""

import csv
import io
from collections.abc import Sequence

from django.contrib.auth.decorators import permission_required
from django.db.models import prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import content_disposition_header

from ..history import visible_board
from ..models import Board
from .cells import CONTROL, safe
from .columns import COLUMNS
from .plan import in_words
from .workbooks import workbook

KINDS = {
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@permission_required("boards.change_entry")
def export(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """Return a board's entries, the hidden ones included, as a file of one of the ``KINDS``."""
    board = visible_board(request, slug)
    if kind not in KINDS:
        raise Http404
    response = HttpResponse(exported(board, kind), content_type=KINDS[kind])
    response["Content-Disposition"] = content_disposition_header(True, f"{board.slug}.{kind}") or "attachment"
    response["Cache-Control"] = "private, no-store"
    return response


def exported(board: Board, kind: str) -> bytes:
    """Return a board's entries as the content of a file."""
    heading = [column.heading for column in COLUMNS]
    entries = board.entries.all()
    prefetch_related_objects([board], "statuses")
    rows = [
        [in_words(column.field, getattr(entry, column.field), board) for column in COLUMNS]
        for entry in entries
    ]
    if kind == "xlsx":
        return workbook(board.title, [heading, *rows])
    # The mark at the beginning makes Excel read the file as UTF-8.
    return ("\ufeff" + separated([heading, *rows], {"csv": ",", "tsv": "\t"}[kind])).encode()


def separated(rows: Sequence[Sequence[str]], separator: str) -> str:
    """Return rows as text with a separator, without a cell that a spreadsheet takes for a formula."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator="\r\n").writerows(
        [safe(CONTROL.sub(" ", text)) for text in row] for row in rows
    )
    return file.getvalue()
