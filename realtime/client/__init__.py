"""A client of live topics for Python programs, which needs no Django and no settings.

``async for change in follow("https://example.org/", "products.7")``; a plain ``for`` works as well. ``listen`` yields
who else follows a topic, and what they broadcast. The page client's rules hold here too: docs/protocol.md. It needs
the package websockets: ``pip install "django-tidemark[client]"``.
"""

from .errors import NotSent, Refused
from .follower import Follower, follow
from .listener import Broadcast, Listener, Presence, listen
from .replica import Change, Replica
from .tickets import tickets

__all__ = [
    "Broadcast",
    "Change",
    "Follower",
    "Listener",
    "NotSent",
    "Presence",
    "Refused",
    "Replica",
    "follow",
    "listen",
    "tickets",
]
