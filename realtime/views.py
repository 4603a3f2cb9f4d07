"""HTTP views of the engine."""

from asgiref.sync import sync_to_async
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST

from .conf import get_conf
from .feeds import topics_in_use
from .publishing import log
from .runtime.metrics import text
from .service import running_service


@staff_member_required
def inspector(request: HttpRequest) -> HttpResponse:
    """Show the page on which one sees and speaks the protocol."""
    return render(request, "realtime/inspector.html", {"topics": topics_in_use(), "path": "/realtime/ws/"})


async def metrics(request: HttpRequest) -> HttpResponse:
    """Show what this process does, and how large outbox and log are, to staff and to who bears the token."""
    if not (_bears_token(request) or await _is_staff(request)):
        words = "Metrics are for staff, or for who sends REALTIME['METRICS_TOKEN'] as a bearer token.\n"
        return HttpResponse(words, status=403, content_type="text/plain")
    figures = await sync_to_async(log.sizes)()
    service = running_service()
    if service is not None:
        figures += service.figures()
    return HttpResponse(text(figures), content_type=CONTENT_TYPE_LATEST)


def _bears_token(request: HttpRequest) -> bool:
    token = get_conf().metrics_token
    given = request.headers.get("Authorization", "")
    return bool(token) and constant_time_compare(given, f"Bearer {token}")


async def _is_staff(request: HttpRequest) -> bool:
    user = await request.auser()
    return user.is_active and user.is_staff
