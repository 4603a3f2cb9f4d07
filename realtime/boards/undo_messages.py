"""Undo where it is needed: the admin's messages about boards and entries have a button that undoes the change."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from .history import UNDO_RIGHTS, States, kept_since, permitted, record, states, step_of
from .models import Revision
from .undo import revert

if TYPE_CHECKING:  # Django's own class takes no type argument when the program runs
    AnyModelAdmin: TypeAlias = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = object

MAX_REVISIONS = 500
"""More are undone on the page of the history."""


class UndoableAdmin(AnyModelAdmin):
    """An admin whose success messages undo the changes that ``record`` has recorded for the request."""

    class Media:
        css = {"all": ["boards/admin.css"]}
        js = [Script("boards/unsaved.js", type="module")]

    def record(self, request: HttpRequest, before: States) -> None:
        """Record the request's changes of boards and entries since ``states`` returned ``before``."""
        made: list[Revision] = []
        record(request.user, before, made=made)
        self._revisions_of(request).extend(revision.pk for revision in made)

    def _revisions_of(self, request: HttpRequest) -> list[int]:
        found: list[int] = vars(request).setdefault("_boards_revisions", [])
        return found

    def message_user(
        self,
        request: HttpRequest,
        message: Any,
        level: int | str = messages.INFO,
        extra_tags: str = "",
        fail_silently: bool = False,
    ) -> None:
        keys = self._revisions_of(request)
        if (
            level == messages.SUCCESS
            and 0 < len(keys) <= MAX_REVISIONS
            and request.user.has_perms(UNDO_RIGHTS)
        ):
            message = format_html(
                '{} <form class="undo-form" method="post" action="{}">'
                '<input type="hidden" name="csrfmiddlewaretoken" value="{}">'
                '<input type="hidden" name="revisions" value="{}"><input type="hidden" name="next" value="{}">'
                "<button>{}</button></form>",
                message,
                reverse("boards:undo_revisions"),
                get_token(request),
                ",".join(map(str, keys)),
                self._list_of(request),
                _("Undo"),
            )
            keys.clear()
        super().message_user(request, message, level, extra_tags, fail_silently)

    def _list_of(self, request: HttpRequest) -> str:
        """Return the address of the list, as it was filtered if the request is its own."""
        address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        return request.get_full_path() if request.path == address else address


@require_POST
@permission_required(UNDO_RIGHTS)
def undo_revisions(request: HttpRequest) -> HttpResponse:
    """Undo the revisions that a message names; values that were changed since stay, and are reported."""
    if not getattr(request.user, "is_staff", False):
        raise Http404
    keys = [
        int(key) for key in request.POST.get("revisions", "").split(",") if key.isdecimal() and len(key) < 19
    ]
    found = Revision.objects.filter(pk__in=keys[:MAX_REVISIONS], at__gte=kept_since()).order_by("pk")
    with transaction.atomic():
        steps, refused = permitted(request.user, [step for step in map(step_of, found) if step])
        before = states(step.key for step in steps)
        reverted = revert(steps)
        record(request.user, before)
    if reverted.done:
        messages.success(request, _("Undone."))
    left = refused + reverted.left
    for words in left or ([] if reverted.done else [_("There was nothing to undo.")]):
        messages.warning(request, words)
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return redirect(wanted if is_ours else reverse("admin:boards_entry_changelist"))
