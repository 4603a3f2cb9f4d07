"""The demo as an app of its own: a project that does not want it leaves it out of INSTALLED_APPS."""

from django.apps import AppConfig


class BoardsConfig(AppConfig):
    name = "realtime.boards"
    label = "boards"
    verbose_name = "Boards"

    def ready(self) -> None:
        from . import editing  # noqa: F401  # declares its actions
