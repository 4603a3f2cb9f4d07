"""The messages of viewers in the admin: shown, hidden or deleted, one by one or many at once."""

from typing import TYPE_CHECKING, Any, TypeAlias

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..bounded import Bounded
from ..shared_forms import fields_of
from .models import Message, State

if TYPE_CHECKING:  # Django's own class takes no type argument when the program runs
    MessageModelAdmin: TypeAlias = admin.ModelAdmin[Message]
else:
    MessageModelAdmin = admin.ModelAdmin


@admin.register(Message)
class MessageAdmin(Bounded, MessageModelAdmin):
    list_display = ["text", "name", "board", "state", "at"]
    list_filter = ["state", "board"]
    list_select_related = ["board"]
    list_per_page = 50
    search_fields = ["text", "name"]
    readonly_fields = ["board", "text", "name", "at"]
    actions = ["show", "hide"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(permissions=["change"], description=_("Show on the board"))
    def show(self, request: HttpRequest, found: QuerySet[Message]) -> None:
        self._set(request, found, State.SHOWN)

    @admin.action(permissions=["change"], description=_("Hide from the board"))
    def hide(self, request: HttpRequest, found: QuerySet[Message]) -> None:
        self._set(request, found, State.HIDDEN)

    def _set(self, request: HttpRequest, found: QuerySet[Message], state: State) -> None:
        editor: Any = request.user.pk
        with transaction.atomic():
            chosen = Message.objects.filter(pk__in=[message.pk for message in found])
            count = chosen.update(state=state)
            LogEntry.objects.log_actions(editor, chosen, CHANGE, fields_of(["state"]))
        words = ngettext("%(count)d message: %(state)s.", "%(count)d messages: %(state)s.", count)
        self.message_user(request, words % {"count": count, "state": state.label}, messages.SUCCESS)
