"""Notices on boards: made and ended on a board's page, shown and hidden when it is time.

A notice is shown while ``is_shown`` is set. Saving sets it, and ``write_due``, which a periodic job calls, keeps it in
step with the clock and with every other writer: notices come and go as rows do, on pages without JavaScript too.
"""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from .models import Board, Notice
from .time_fields import WeekdaysField, ZonedTimeField, check_order, show_by_clock_of

LENGTHS = [("15", _("15 minutes")), ("60", _("1 hour")), ("240", _("4 hours")), ("", _("until I end it"))]


class NoticeForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes none when the program runs
    """A notice on one board or on all that its author may see: for a time, from now or later, on some days or all."""

    begins = ZonedTimeField(required=False, label=_("From"))
    ends = ZonedTimeField(required=False, label=_("until"))
    weekdays = WeekdaysField(required=False, label=_("Only on"))
    minutes = forms.ChoiceField(choices=LENGTHS, required=False, label=_("Show it for"))
    everywhere = forms.BooleanField(required=False, label=_("on all boards"))

    class Meta:
        model = Notice
        fields = ["text", "level", "weekdays"]
        widgets = {"text": forms.TextInput({"size": 50, "autocomplete": "off"})}

    def __init__(self, board: Board, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        show_by_clock_of(self, board)

    def clean(self) -> Any:
        cleaned = super().clean()
        check_order(self, self.cleaned_data.get("begins") or timezone.now(), "ends")
        return cleaned

    def publish(self, board: Board, user: Any) -> Notice:
        """Save the notice, and put it on the board or on all."""
        notice: Notice = self.instance
        if self.cleaned_data["begins"]:
            notice.shows_from = self.cleaned_data["begins"]
        if self.cleaned_data["ends"]:
            notice.shows_until = self.cleaned_data["ends"]
        elif minutes := self.cleaned_data["minutes"]:
            notice.shows_until = notice.shows_from + timedelta(minutes=int(minutes))
        with transaction.atomic():
            self.save()
            notice.boards.set(Board.objects.visible_to(user) if self.cleaned_data["everywhere"] else [board])
            notice.save(update_fields=["is_shown"])  # its days are those of its boards
        return notice


@require_POST
@permission_required("boards.change_notice")
def end(request: HttpRequest, slug: str, key: int) -> HttpResponse:
    """End a notice on all its boards, and show the board whose page has requested this."""
    board = get_object_or_404(Board.objects.visible_to(request.user), slug=slug)
    notice = get_object_or_404(board.notices, pk=key)
    notice.shows_until = timezone.now()
    notice.save(update_fields=["shows_until", "is_shown"])
    return redirect(board)


def write_due() -> int:
    """Show the notices whose time has come, and hide those whose time is over; return their number."""
    now = timezone.now()
    has_begun = Q(shows_from__lte=now)
    is_over = Q(shows_until__lte=now)
    late = {
        True: Notice.objects.filter(has_begun & ~is_over, is_shown=False, weekdays=""),
        False: Notice.objects.filter(~has_begun | is_over, is_shown=True),
    }
    # Read first: on SQLite even a statement that writes nothing makes other writers wait.
    keys = {is_shown: [*notices.values_list("pk", flat=True)] for is_shown, notices in late.items()}
    for notice in Notice.objects.filter(has_begun & ~is_over).exclude(weekdays="").prefetch_related("boards"):
        is_due = notice.is_due(now)
        if is_due != notice.is_shown:
            keys[is_due].append(notice.pk)
    return sum(
        Notice.objects.filter(pk__in=found).update(is_shown=is_shown)
        for is_shown, found in keys.items()
        if found
    )
