"""``manage.py realtime_broadcast``; ``broadcast`` is its older name, which stays."""

from .broadcast import Command as Command
