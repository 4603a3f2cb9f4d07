"""``manage.py dumpdata``: Django's, without the engine's tables unless they are named."""

from typing import Any

from django.core.management.commands import dumpdata


class Command(dumpdata.Command):
    def handle(self, *app_labels: str, **options: Any) -> None:
        """Leave out the engine's tables: the log has rows of all topics, and is useless in another database."""
        if not app_labels:
            options["exclude"] = [*options["exclude"], "realtime"]
        super().handle(*app_labels, **options)
