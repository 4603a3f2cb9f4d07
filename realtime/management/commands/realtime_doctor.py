"""``manage.py realtime_doctor``; ``doctor`` is its older name, which stays."""

from .doctor import Command as Command
