"""For tests of a project: clients of topics without a server, in the test's own database connection.

docs/testing.md has the recipes. The names are loaded when they are used: a plugin of pytest is imported before there
are settings.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .application import serving
    from .cases import LiveTestMixin
    from .clients import LiveClient
    from .leftovers import close_leftovers
    from .sequencing import asequence_now, sequence_now

__all__ = ["LiveClient", "LiveTestMixin", "asequence_now", "close_leftovers", "sequence_now", "serving"]

_MODULES = {
    "LiveClient": ".clients",
    "LiveTestMixin": ".cases",
    "asequence_now": ".sequencing",
    "close_leftovers": ".leftovers",
    "sequence_now": ".sequencing",
    "serving": ".application",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
