"""The addresses of the whole project."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("realtime/", include("realtime.urls")),
    path("", include("realtime.boards.urls")),
]
