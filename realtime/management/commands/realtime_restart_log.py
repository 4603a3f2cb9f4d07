"""``manage.py realtime_restart_log``; ``restart_log`` is its older name, which stays."""

from .restart_log import Command as Command
