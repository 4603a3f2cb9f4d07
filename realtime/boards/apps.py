"""The demo as an app of its own: a project without the demo leaves it out of INSTALLED_APPS."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BoardsConfig(AppConfig):
    name = "realtime.boards"
    label = "boards"
    verbose_name = _("Boards")

    def ready(self) -> None:
        from . import editing, history  # noqa: F401  # the first declares its actions
        from .screens import reports  # noqa: F401  # declares an action

        if history.kept_days():
            from . import all_entries  # noqa: F401  # a feed, and the function that is called for its changes
