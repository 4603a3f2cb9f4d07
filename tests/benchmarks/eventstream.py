"""django-eventstream as documented. ``GET /send`` sends one message of the usual size to all clients."""

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_eventstream"],
    ROOT_URLCONF="tests.benchmarks.eventstream",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="for the benchmark",
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django_eventstream import send_event  # noqa: E402

MESSAGE = {"type": "changes", "topic": "entries.1", "padding": "x" * 180}


def send(request: HttpRequest) -> HttpResponse:
    send_event("everyone", "message", MESSAGE)
    return HttpResponse(status=204)


urlpatterns = [
    path("events/", include("django_eventstream.urls"), {"channels": ["everyone"]}),
    path("send", send),
    path("", lambda request: HttpResponse(status=204)),
]
application = get_asgi_application()
