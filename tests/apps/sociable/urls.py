"""The addresses of the boards, and the page."""

from django.urls import path

from config.urls import urlpatterns as of_the_project

from .views import page

urlpatterns = [path("sociable/", page), *of_the_project]
