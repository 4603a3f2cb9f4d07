"""Addresses of the demo's pages."""

from django.templatetags.static import static
from django.urls import path, register_converter
from django.urls.converters import IntConverter, PathConverter, StringConverter
from django.utils.functional import lazy
from django.views.generic import RedirectView

from realtime.databases.base import is_storable

from . import builds, history, kinds, notices, organisations, undo_messages, views, wall, wall_worker
from .charts import pages as charts
from .exchange import exporting, importing, rows
from .screens import pages as screens
from .sharing import embedding, links, qr, share, syndication
from .voices import pages as voices

MAX_KEY = 2**63 - 1


class SlugConverter(PathConverter):
    """The slug of a board. Not of letters and digits alone: SQL can write any text into a slug, and reversing a
    pattern that rejects it would fail on every page that lists boards."""

    def to_python(self, value: str) -> str:
        return storable(value)


class DigestConverter(StringConverter):
    """The digest of a picture; any text, for the same reason."""

    def to_python(self, value: str) -> str:
        return storable(value)


class KeyConverter(IntConverter):
    """The key of a row."""

    def to_python(self, value: str) -> int:
        """Return the key.

        Raises: ValueError, which Django answers with 404, if it is larger than any key: SQLite cannot compare with it.
        """
        key = int(value) if len(value) < 20 else MAX_KEY + 1
        if key > MAX_KEY:
            raise ValueError(value)
        return key


def storable(value: str) -> str:
    """Return a text of an address.

    Raises: ValueError, which Django answers with 404, if no database can store it: PostgreSQL rejects the query.
    """
    if not is_storable(value):
        raise ValueError(value)
    return value


register_converter(SlugConverter, "board")
register_converter(DigestConverter, "digest")
register_converter(KeyConverter, "key")

app_name = "boards"
urlpatterns = [
    path("", views.index, name="index"),
    path("new-board/", kinds.new_board, name="new"),
    path("boards/<board:slug>/notices/", views.announce, name="announce"),
    path("boards/<board:slug>/notices/<key:key>/end/", notices.end, name="end_notice"),
    path("boards/<board:slug>/export/<str:kind>/", exporting.export, name="export"),
    path("boards/<board:slug>/import/", importing.import_rows, name="import"),
    path("boards/<board:slug>/rows", rows.rows, name="rows"),
    path("boards/<board:slug>/share/", share.share, name="share"),
    path("boards/<board:slug>/share/tokens/", share.make_token, name="make_token"),
    path("boards/<board:slug>/share/tokens/<key:key>/revoke/", share.revoke_token, name="revoke_token"),
    path("boards/<board:slug>/share/sites/", share.set_sites, name="set_sites"),
    path("boards/<board:slug>/share/links/", share.make_link, name="make_link"),
    path("boards/<board:slug>/share/links/<key:key>/revoke/", share.revoke_link, name="revoke_link"),
    path("boards/<board:slug>/embed/", embedding.embed, name="embed"),
    path("boards/<board:slug>/qr.svg", qr.qr, name="qr"),
    path("boards/<board:slug>/feed/<str:kind>/", syndication.syndicated, name="feed"),
    path("link/", links.open_link, name="link"),
    path("boards/<board:slug>/history/", history.history, name="history"),
    path("boards/<board:slug>/history/<key:key>/undo/", history.undo, name="undo"),
    path("history/undo/", undo_messages.undo_revisions, name="undo_revisions"),
    path("boards/<board:slug>/charts/<key:key>/", charts.large, name="chart"),
    path("boards/<board:slug>/charts/<key:key>.csv", charts.download, name="readings"),
    path("boards/<board:slug>/messages/", voices.send, name="send_message"),
    path("boards/<board:slug>/messages/moderate/", voices.moderate, name="moderate"),
    path("boards/<board:slug>/reactions/", voices.react, name="react"),
    path("boards/<board:slug>/wall/", wall.wall, name="wall"),
    path("boards/<board:slug>/", views.board, name="board"),
    path("logos/<digest:digest>/", organisations.logo, name="logo"),
    path("screen/", screens.screen, name="screen"),
    path("build/", builds.show, name="build"),
    # At the root of the boards, so that a wall may register it for its own address.
    path("wall-worker.js", wall_worker.script, name="wall_worker"),
    # Browsers request this address for pages that name no icon, such as the admin's.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("boards/favicon.svg"))),
]
