"""Addresses of the demo's pages."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from . import views

app_name = "boards"
urlpatterns = [
    path("", views.index, name="index"),
    # Whatever a slug holds that was written in SQL: an address that cannot be made would break every list of boards.
    path("boards/<path:slug>/", views.board, name="board"),
    # Pages that are not ours, the admin's above all, name no icon, and browsers ask for this one.
    path("favicon.ico", RedirectView.as_view(url=static("boards/favicon.svg"))),
]
