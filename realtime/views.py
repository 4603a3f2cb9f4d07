"""HTTP views of the app: the inspector, the metrics, and the answer to an error."""

import random
import sys

from asgiref.sync import sync_to_async
from django.contrib.admin.views.decorators import staff_member_required
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import get_script_prefix
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views import defaults
from prometheus_client import CONTENT_TYPE_LATEST

from .conf import get_conf
from .feeds import Feed, registry
from .publishing import log
from .runtime.metrics import Figure, text
from .runtime.outages import is_outage
from .service import running_service
from .transports.pages import RETRY_SECONDS

MAX_SUGGESTED_KEYS = 100
"""How many topics of one feed the inspector offers to choose from."""


@staff_member_required
def inspector(request: HttpRequest) -> HttpResponse:
    """Show the page that uses the protocol by hand and displays its messages."""
    return render(
        request, "realtime/inspector.html", {"topics": suggested_topics(), "site": get_script_prefix()}
    )


async def metrics(request: HttpRequest) -> HttpResponse:
    """Show the metrics of this process and the sizes of outbox and log, to staff and to bearers of the token."""
    try:
        may_read = _has_token(request) or await _is_staff(request)
    except DatabaseError:
        message = (
            "The database does not answer, so users cannot be identified; METRICS_TOKEN works without it.\n"
        )
        return HttpResponse(message, status=503, content_type="text/plain")
    if not may_read:
        message = (
            "Metrics are for staff, and for clients that send REALTIME['METRICS_TOKEN'] as a bearer token.\n"
        )
        return HttpResponse(message, status=403, content_type="text/plain")
    service = running_service()
    figures = [] if service is None else service.figures()
    try:
        figures += await (sync_to_async(log.sizes)() if service is None else service.health.ask(log.sizes))
        is_up = True
    except (DatabaseError, TimeoutError):
        is_up = False  # the figures of the process are needed most at this moment
    figures.append(Figure("database_up", "1 if the database answers.", int(is_up)))
    return HttpResponse(text(figures), content_type=CONTENT_TYPE_LATEST)


def server_error(request: HttpRequest, template_name: str = "500.html") -> HttpResponse:
    """Answer a request whose view has failed: 503 with the time to try again if that is an outage, otherwise 500.

    ``handler500 = "realtime.views.server_error"`` in the URL configuration has Django call it. A project may have its
    own ``503.html``, which gets ``seconds``, and ``is_safe`` if a browser may ask again by itself.
    """
    if not is_outage(sys.exception()):
        return defaults.server_error(request, template_name)
    seconds = random.randint(*RETRY_SECONDS)
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    if "text/html" in request.headers.get("Accept", ""):
        context = {"seconds": seconds, "is_safe": request.method in ("GET", "HEAD")}
        return HttpResponse(render_to_string("503.html", context), status=503, headers=headers)
    words = _("The server cannot answer now; try again in {seconds} seconds.").format(seconds=seconds)
    return JsonResponse({"error": words}, status=503, headers=headers)


def suggested_topics() -> list[str]:
    """Return topics that have rows now."""
    return [topic for feed in registry for topic in topics_of(feed)]


def topics_of(feed: Feed) -> list[str]:
    """Return some topics of a feed that have rows now."""
    if feed.topic_field is None:
        return [feed.name]
    keys = feed.live_rows().order_by().values_list(feed.topic_field, flat=True).distinct()
    return [feed.topic(key) for key in keys[:MAX_SUGGESTED_KEYS]]


def _has_token(request: HttpRequest) -> bool:
    token = get_conf().metrics_token
    given = request.headers.get("Authorization", "")
    return bool(token) and constant_time_compare(given, f"Bearer {token}")


async def _is_staff(request: HttpRequest) -> bool:
    user = await request.auser()
    return bool(user.is_active and getattr(user, "is_staff", False))
