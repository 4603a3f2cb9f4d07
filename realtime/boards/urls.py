"""Addresses of the demo's pages."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from . import views

app_name = "boards"
urlpatterns = [
    path("", views.index, name="index"),
    path("boards/<slug:slug>/", views.board, name="board"),
    # Pages that are not ours, the admin's above all, name no icon, and browsers ask for this one.
    path("favicon.ico", RedirectView.as_view(url=static("boards/favicon.svg"))),
]
