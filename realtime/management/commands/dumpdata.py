"""``manage.py dumpdata``: Django's, without the engine's tables unless they are asked for."""

from typing import Any

from django.core.management.commands import dumpdata


class Command(dumpdata.Command):
    def handle(self, *app_labels: str, **options: Any) -> None:
        """The log has rows of every topic, whoever may read them, and is of no use in another database."""
        if not app_labels:
            options["exclude"] = [*options["exclude"], "realtime"]
        super().handle(*app_labels, **options)
