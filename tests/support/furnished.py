"""A project whose boards have everything that pages can show, for tests that look at all pages.

``python -m tests.support.furnished FOLDER`` makes one there and runs its server, to look at the pages by hand.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support import servers
from tests.support.servers import Project

SETTINGS = {"DJANGO_SETTINGS_MODULE": "config.settings", "HEARTBEAT_SECONDS": "2"}
"""With the history of entries, which tests of other things have off."""


def furnished(project: Project, folder: Path) -> Project:
    """Return a copy of a project of which ``editor`` may do everything and its first board has all there is."""
    copy = servers.copy(project, folder, **SETTINGS)
    copy.manage("shell", "-v", "0", "-c", "from tests.support.furnished import furnish; furnish()")
    return copy


def furnish() -> None:
    """Give the departures times, charts, notices, planned entries, a history, a link, a token and a screen.

    Another board has messages of viewers and reactions, a third one statuses of its own in all colours, a logo, and
    another language than the site.

    Raises: DoesNotExist, if the demo's boards are absent.
    """
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from realtime.boards.charts.models import Reading
    from realtime.boards.exchange.models import RowToken
    from realtime.boards.history import record, states
    from realtime.boards.icons import ICONS
    from realtime.boards.models import Board, Level, Logo, Notice, Organisation
    from realtime.boards.own_statuses import Colour
    from realtime.boards.screens.models import Screen
    from realtime.boards.sharing.models import BoardLink
    from realtime.boards.voices.models import Message, State

    users = get_user_model().objects
    users.filter(username="editor").update(is_superuser=True)
    editor: Any = users.get(username="editor")
    board = Board.objects.get(slug="departures")
    now = timezone.now()

    board.chart_days = 7
    board.embed_origins = "https://example.com"
    board.save()
    entries = [*board.entries.all()]
    before = states(entry.pk for entry in entries)
    for entry, minutes in zip(entries, (-4, 3, 45, 90, 600), strict=False):
        entry.at, entry.value = now + timedelta(minutes=minutes), ""
        entry.save()
    entries[5].is_pinned = True
    entries[5].save()
    record(editor, before)
    for label, value, note in LONG:
        board.entries.create(
            label=label, value=value, note=note, status="warning", position=1000, unit="m³/s"
        )
    board.entries.create(label="The only ferry of tomorrow", shows_from=now + timedelta(days=1))

    for number in range(2):
        figure = board.entries.create(
            label=f"Tide gauge {number + 1}", value="2.75", unit="m", position=2000, status="ok"
        )
        Reading.objects.bulk_create(
            Reading(entry=figure.pk, at=now - timedelta(minutes=20 * step), value=1 + (step * 7 % 11) / 4)
            for step in range(60)
        )

    for level in Level:
        notice = Notice.objects.create(
            text=f"{level.label}: the inner harbour is closed.", level=level, is_shown=True
        )
        notice.boards.add(board)
    later = Notice.objects.create(text="The harbour festival begins.", shows_from=now + timedelta(days=1))
    later.boards.add(board)

    BoardLink.make(board, "Screen in the lobby", editor)
    RowToken.make(board, "Timetable", editor)
    Screen.objects.create(token_digest="a", name="Pier 2", board=board, last_heard=now, size="1920x1080")
    Screen.objects.create(
        token_digest="b", name="Canteen", is_online=True, last_heard=now, size="3840x2160", version="1"
    )
    Board.objects.create(slug="empty", title="A board without entries", position=90)
    canteen = Board.objects.create(
        slug="canteen",
        title="Canteen",
        position=80,
        takes_messages=True,
        reactions="thumb heart",
        shows_viewers=True,
    )
    canteen.entries.create(label="Soup of the day", value="6.50", unit="€")
    organisation = Organisation.objects.create(name="Tidemark Harbour Office", logo=Logo.keep(LOGO))
    harbour = Board.objects.create(
        slug="hafen",
        title="Hafenamt",
        position=70,
        organisation=organisation,
        language="de",
        time_zone="Europe/Berlin",
        label_heading="Schalter",
        status_heading="Zustand",
        shows_value=False,
    )
    for place, (colour, icon) in enumerate(zip([*Colour, *Colour], ["", *ICONS], strict=False), start=1):
        harbour.statuses.create(
            name=f"s{place}", word=f"{colour.label} {place}", colour=colour, icon=icon, position=place
        )
        harbour.entries.create(
            label=f"Schalter {place}", status=f"s{place}", position=place, note="Bis 18 Uhr"
        )

    for state in State:
        Message.objects.create(
            board=canteen, text=f"A message that is {state.value}", name="Ines", state=state
        )


LOGO = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><rect width="120" height="40" fill="#0b4f6c"/>
<path d="M8 26q8-10 16 0t16 0 16 0 16 0 16 0 16 0" fill="none" stroke="#fff" stroke-width="4"/></svg>"""

LONG = [
    (
        "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
        "12345678901234567890",
        "Change at Gaerwen",
    ),
    ("אי הרחוק (Far Island) 3", "18:45", "מזח 4: boarding"),
    ("المرفأ القديم", "١٨:٤٥", "الرصيف ٣"),
]
"""Words without a place to break, and words of languages that are written from right to left."""


if __name__ == "__main__":
    target = Path(sys.argv[1])
    with servers.running(furnished(servers.prepare(target / "prepared"), target / "project")) as running:
        print(running.url, flush=True)
        sys.stdin.read()
