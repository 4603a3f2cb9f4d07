"""HTTP addresses under ``/realtime/``."""

from django.urls import path

from . import views

app_name = "realtime"
urlpatterns = [
    path("metrics/", views.metrics, name="metrics"),
    path("inspector/", views.inspector, name="inspector"),
]
