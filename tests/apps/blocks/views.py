"""The page: ``?page=2&q=…`` choose what it lists; it answers 500 while the file ``fails`` exists."""

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render

from realtime.boards.models import Entry


def page(request: HttpRequest) -> HttpResponse:
    if (settings.VAR_DIR / "fails").exists():
        return HttpResponseServerError("the view has failed")
    text = request.GET.get("q", "")
    entries = Entry.objects.filter(board_id=1, label__icontains=text).order_by("pk")
    shown = Paginator(entries, 3).get_page(request.GET.get("page"))
    own = entries if request.user.is_staff else entries.filter(is_visible=True)
    return render(request, "blocks/page.html", {"shown": shown, "count": own.count(), "text": text})
