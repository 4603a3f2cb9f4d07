"""HTTP views of the engine."""

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .feeds import topics_in_use


@staff_member_required
def inspector(request: HttpRequest) -> HttpResponse:
    """Show the page on which one sees and speaks the protocol."""
    return render(request, "realtime/inspector.html", {"topics": topics_in_use(), "path": "/realtime/ws/"})
