"""Addresses of the demo's pages."""

from django.templatetags.static import static
from django.urls import path
from django.utils.functional import lazy
from django.views.generic import RedirectView

from . import history, notices, views, wall

app_name = "boards"
urlpatterns = [
    path("", views.index, name="index"),
    # path, not slug: SQL can write any text into a slug, and reversing a pattern that rejects it would fail on
    # every page that lists boards.
    path("boards/<path:slug>/notices/", notices.announce, name="announce"),
    path("boards/<path:slug>/notices/<int:key>/end/", notices.end, name="end_notice"),
    path("boards/<path:slug>/history/", history.history, name="history"),
    path("boards/<path:slug>/history/<int:key>/undo/", history.undo, name="undo"),
    path("boards/<path:slug>/wall/", wall.wall, name="wall"),
    path("boards/<path:slug>/", views.board, name="board"),
    # Browsers request this address for pages that name no icon, such as the admin's.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("boards/favicon.svg"))),
]
