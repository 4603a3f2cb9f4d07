"""``manage.py realtime_publish``; ``publish`` is its older name, which stays."""

from .publish import Command as Command
