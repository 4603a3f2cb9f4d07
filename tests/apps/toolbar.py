"""The addresses of this project, with those of the debug toolbar; to be imported when it is installed."""

from debug_toolbar.toolbar import debug_toolbar_urls

from config.urls import urlpatterns as project_urlpatterns

urlpatterns = [*project_urlpatterns, *debug_toolbar_urls()]
