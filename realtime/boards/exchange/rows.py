"""The rows of a board for programs: read by all if it is public, and replaced by programs with a token.

``GET`` answers with JSON and an ETag. ``PUT`` accepts JSON or CSV, gives the board these rows, writes only what
differs, and answers with errors by row. Cookies are ignored.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from realtime.engine.bucket import Bucket

from ..due import IS_SHOWN
from ..models import Board, Entry, RowToken
from ..places import lock_board
from ..sharing.origins import origins
from ..times import is_in_reach
from .cells import plain
from .columns import BY_FIELD, COLUMNS, Fault, Row, read, table
from .plan import Mode, carry_out, locked_entries, plan
from .reading import MAX_ROWS, Unreadable, decoded, lines

WRITES_PER_SECOND = 0.5
WRITES_AT_ONCE = 10
NAMES = {column.field.removeprefix("is_"): column.field for column in COLUMNS}
"""The fields of an entry by their names in JSON."""
NAME_OF = {BY_FIELD[field].heading: name for name, field in NAMES.items()}
FOR_WRITERS = {"visible", "shows_from", "shows_until", "weekdays"}
"""Fields that say when an entry is shown: only clients that may write the board may read them."""
SEPARATORS = {"text/csv", "text/tab-separated-values"}


class Refusal(Exception):
    """A request that is answered with an error: a status, a sentence, and the fault of each row."""

    def __init__(self, status: int, words: str, faults: Sequence[Fault] = (), **headers: str) -> None:
        super().__init__(status, words, faults)
        self.status, self.words, self.faults, self.headers = status, words, faults, headers

    def __str__(self) -> str:
        return self.words

    @property
    def response(self) -> HttpResponse:
        """The answer, as JSON."""
        errors = [
            {"row": fault.line, "column": NAME_OF.get(fault.column, fault.column), "message": fault.words}
            for fault in self.faults
        ]
        answer = respond({"error": self.words} | ({"errors": errors} if errors else {}), self.status)
        for name, value in self.headers.items():
            answer[name.replace("_", "-")] = value
        return answer


class Rates:
    """How often each token may still write, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[int, Bucket] = {}
        self._lock = threading.Lock()

    def spend(self, token: int) -> None:
        """Count a write. Raises: Refusal, if there were too many."""
        now = self._clock()
        with self._lock:
            bucket = self._buckets.setdefault(token, Bucket(WRITES_PER_SECOND, WRITES_AT_ONCE))
            if not bucket.take(1, now):
                seconds = int(bucket.seconds_until(1, now)) + 1
                raise Refusal(429, f"Too many writes; try again in {seconds} s.", Retry_After=str(seconds))


rates = Rates()


@csrf_exempt
def rows(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the rows of a board, or replace them."""
    try:
        match request.method:
            case "GET" | "HEAD":
                response = got(request, slug)
            case "PUT":
                response = put(request, slug)
            case "OPTIONS":
                response = HttpResponse(status=204, headers={"Allow": "GET, HEAD, PUT, OPTIONS"})
            case _:
                raise Refusal(405, "Use GET or PUT.", Allow="GET, HEAD, PUT, OPTIONS")
    except Refusal as refusal:
        response = refusal.response
    shared(request, response, slug)
    return response


def got(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer with the visible rows of a public board, or with all rows of the board of a token."""
    if "Authorization" in request.headers:
        content = encoded(bearer(request, slug).board.entries.all(), with_hidden=True)
    else:
        board = Board.objects.filter(slug=slug, is_public=True).first()
        if board is None:
            raise Refusal(404, "There is no public board of this name. For another one send a token of it.")
        content = encoded(board.entries.filter(IS_SHOWN).order_by("rank", "position", "pk"))
    response = HttpResponse(content, content_type="application/json")
    response["ETag"] = etag_of(content)
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


def put(request: HttpRequest, slug: str) -> HttpResponse:
    """Give the board of a token the rows of the body, in one transaction."""
    token = bearer(request, slug)
    rates.spend(token.pk)
    given, faults = body_of(request, token.board)
    with transaction.atomic():
        board = lock_board(token.board_id)
        token = bearer(request, slug)  # it may have been revoked while this waited for the lock
        if board is None:
            raise Refusal(401, NEEDS_BEARER, WWW_Authenticate="Bearer")
        entries = locked_entries(board)
        unmet = get_conditional_response(request, etag=etag_of(encoded(entries, with_hidden=True)))
        if unmet is not None:
            raise Refusal(412, "The rows are not those of your If-Match. Read them again, then write.")
        planned = plan(entries, given, Mode.REPLACE)
        if faults or planned.faults:
            found = [*faults, *planned.faults]
            lines_of = len({fault.line for fault in found})
            raise Refusal(422, f"{lines_of} rows have errors, so nothing was written. Correct them.", found)
        carry_out(planned, board, None, f"Program “{token.name}”")
        content = encoded(board.entries.all(), with_hidden=True)
    note_use(token)
    counts = {kind: planned.count(kind) for kind in ("new", "changed", "moved", "gone")}
    response = respond(counts | {"unchanged": planned.unchanged}, 200)
    response["ETag"] = etag_of(content)
    return response


NEEDS_BEARER = (
    "This requires a token of the board: send “Authorization: Bearer TOKEN”. "
    "The board's page “Share” makes tokens."
)


def bearer(request: HttpRequest, slug: str) -> RowToken:
    """Return the token of a request.

    Raises: Refusal, in the same words if there is no such token and if it is of another board.
    """
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    token = RowToken.found(text.strip()) if scheme.lower() == "bearer" else None
    if token is None or token.board.slug != slug:
        raise Refusal(401, NEEDS_BEARER, WWW_Authenticate="Bearer")
    return token


def note_use(token: RowToken) -> None:
    """Write when a token was used, at most once a minute."""
    now = timezone.now()
    if token.used_at is None or now - token.used_at > timedelta(minutes=1):
        RowToken.objects.filter(pk=token.pk).update(used_at=now)


def body_of(request: HttpRequest, board: Board) -> tuple[list[Row], list[Fault]]:
    """Return the rows of a body, and the faults of those that cannot be read.

    Raises: Refusal, if it cannot be read.
    """
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise Refusal(413, "The body is too long. Send fewer rows.") from error
    kind = request.content_type
    if kind == "application/json":
        return of_json(body, board)
    if kind in SEPARATORS:
        try:
            found = table(lines(decoded(body)), board)
        except Unreadable as error:
            raise Refusal(400, str(error)) from error
        return found.rows, found.faults
    raise Refusal(415, "Send Content-Type: application/json or text/csv.")


def of_json(body: bytes, board: Board) -> tuple[list[Row], list[Fault]]:
    """Return the rows of a JSON body, a list of objects or ``{"rows": […]}``; rows are counted from 1.

    Raises: Refusal, if it is not that.
    """
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, f"The body is not valid JSON: {error}.") from error
    if isinstance(sent, dict):
        sent = sent.get("rows")
    if not isinstance(sent, list):
        raise Refusal(400, 'Send a list of objects, or {"rows": […]}.')
    if len(sent) > MAX_ROWS:
        raise Refusal(422, f"{len(sent)} rows are too many; a board takes {MAX_ROWS} at a time.")
    faults: list[Fault] = []
    given: list[tuple[int, dict[str, str]]] = []
    for number, row in enumerate(sent, start=1):
        wrong = faults_of(number, row)
        faults += wrong
        if not wrong:
            given.append((number, {NAMES[name]: text_of(value) for name, value in row.items()}))
    rows, others = read(given, board)
    return rows, sorted([*faults, *others], key=lambda fault: fault.line)


def faults_of(number: int, row: Any) -> list[Fault]:
    """Return the faults of an element of a JSON list, except those of its values."""
    if not isinstance(row, dict):
        return [Fault(number, "", "It is not an object. Send an object for each row.")]
    known = ", ".join(NAMES)
    return [
        Fault(number, plain(str(name)), f"There is no such column; the columns are {known}.")
        if name not in NAMES
        else Fault(number, name, "It is not a text, a number, true or false. Send one of these, or null.")
        for name, value in row.items()
        if name not in NAMES or not isinstance(value, str | int | float | None)
    ]


def text_of(value: str | float | bool | None) -> str:
    """Return a value of JSON as a cell has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)


def encoded(entries: Any, with_hidden: bool = False) -> bytes:
    """Return entries as JSON; ``with_hidden`` includes the columns that only clients with a token may read."""
    names = [name for name in NAMES if with_hidden or name not in FOR_WRITERS]
    found: list[Mapping[str, Any]] = [
        {name: in_zone(getattr(entry, NAMES[name]), entry.board.zone) for name in names}
        for entry in entries
        if isinstance(entry, Entry)
    ]
    return msgspec.json.encode({"rows": found})


def in_zone(value: Any, zone: ZoneInfo) -> Any:
    """Return a time by the clock of a zone, with its offset, and any other value as it is."""
    if not isinstance(value, datetime):
        return value
    return (value.astimezone(zone) if is_in_reach(value) else value).isoformat()


def etag_of(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def respond(content: Mapping[str, Any], status: int) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(content), status=status, content_type="application/json")


def shared(request: HttpRequest, response: HttpResponse, slug: str) -> None:
    """Add the headers by which pages of other sites may read a public board, those that the board names."""
    response["Cache-Control"] = "no-cache" if request.method in ("GET", "HEAD") else "no-store"
    patch_vary_headers(response, ["Authorization", "Origin"])
    origin = request.headers.get("Origin")
    if not origin or request.method not in ("GET", "HEAD", "OPTIONS"):
        return
    allowed = Board.objects.filter(slug=slug, is_public=True).values_list("embed_origins", flat=True).first()
    if origin in origins(allowed or ""):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = "ETag"
        if request.method == "OPTIONS":
            response["Access-Control-Allow-Methods"] = "GET, HEAD"
            response["Access-Control-Allow-Headers"] = "If-None-Match"
            response["Access-Control-Max-Age"] = "600"
