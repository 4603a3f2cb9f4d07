"""The first steps of a newcomer at a terminal: a board of a chosen kind, a first change, the wall, the phone."""

import io
import socket
from collections.abc import Callable
from ipaddress import ip_address

import segno
from django.conf import settings
from django.http.request import validate_host
from django.urls import reverse

from .kinds import KINDS, Kind, furnish
from .models import Board

ELSEWHERE = ("192.0.2.1", 9)
"""An address outside of every network (RFC 5737): nothing is sent to it."""


def choose(read: Callable[[str], str], write: Callable[[str], object]) -> Kind | None:
    """Ask which kind of board to begin with; return None if none is chosen, or if the input ends."""
    write("What shall your first board show?")
    for number, kind in enumerate(KINDS, start=1):
        write(f"  {number}  {kind.title}: {kind.words}")
    while True:
        try:
            answer = read("A number, or Enter for the demo's boards alone: ").strip()
        except EOFError:
            return None
        if not answer:
            return None
        if answer in [str(number) for number in range(1, len(KINDS) + 1)]:
            return KINDS[int(answer) - 1]
        write(f"Type a number from 1 to {len(KINDS)}, or press Enter.")


def begin(kind: Kind) -> Board:
    """Save and return a board of a kind, after all others."""
    title = f"My {str(kind.title).lower()}"
    board = Board(slug=title.lower().replace(" ", "-"), title=title)
    furnish(board, kind)
    return board


def guide(board: Board, origin: str, host: str, port: int) -> str:
    """Return what to try with a board, and how a phone in the same network shows it."""
    page = board.get_absolute_url()
    lines = [
        "First steps",
        f"  change  {origin}{reverse('admin:login')}?next={page}",
        "          sign in, press Edit, click a cell, type, press Enter; open pages follow",
        f"  wall    {origin}{reverse('boards:wall', args=[board.slug])}",
    ]
    nearby = address_in_network()
    if nearby is None:
        return "\n".join(lines)
    if is_everywhere(host) and validate_host(nearby, settings.ALLOWED_HOSTS):
        address = f"http://{nearby}:{port}{page}"
        code = io.StringIO()
        segno.make_qr(address).terminal(code, border=2, compact=True)
        return "\n".join([*lines, f"  phone   {address}", code.getvalue()])
    hosts = ",".join([*settings.ALLOWED_HOSTS, nearby])
    return "\n".join(
        [
            *lines,
            "  phone   to show boards to your network, whose devices then reach this server, stop it (Ctrl-C) and run",
            f"          HOST=0.0.0.0 ALLOWED_HOSTS='{hosts}' make run",
        ]
    )


def is_everywhere(host: str) -> bool:
    """Return whether a server that listens at a host can be reached from the network by IPv4."""
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def address_in_network() -> str | None:
    """Return the address of this machine in its network; None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if ip_address(address).is_loopback else address
