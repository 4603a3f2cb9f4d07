"""The demo product as an app of its own: a project without it leaves it out of INSTALLED_APPS."""

from django.apps import AppConfig


class BoardsConfig(AppConfig):
    name = "realtime.boards"
    label = "boards"
    verbose_name = "Boards"
