"""The addresses of the whole project."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language

handler500 = "realtime.views.server_error"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("realtime/", include("realtime.urls")),
    # Without a token, which would set a cookie for every visitor: another site could change the language, no more.
    path("language/", csrf_exempt(set_language), name="set_language"),
    path("", include("realtime.boards.urls")),
]
