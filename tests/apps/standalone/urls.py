"""The admin, and the app's addresses."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("realtime/", include("realtime.urls"))]
