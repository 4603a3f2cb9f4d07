"""Messages from viewers: sent by a form, shown once an editor has approved them, bounded in length, rate and number."""

import re
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from realtime.databases.base import is_storable

from ..models import Board, Message
from .models import State

MAX_WAITING, MAX_KEPT = 200, 500
"""How many messages of a board may wait, and how many others are kept."""
KEPT = timedelta(days=30)
"""For how long messages are kept that are not shown."""
JOINERS = "\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""Characters that join letters and emoji, or choose their form: invisible, but parts of visible ones."""
INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    f"\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]|^[{JOINERS}\\s]+$"
)
"""Control characters, those that change the direction of a text, those that Unicode defines as ignored in display, and
a text of joiners alone."""


class Full(Exception):
    """The largest number of messages waits for an editor already."""


def validate_visible(text: str) -> None:
    if INVISIBLE.search(text) or not is_storable(text):
        raise ValidationError(_("It has characters that cannot be shown. Type it instead of pasting it."))


class MessageForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes none when the program runs
    """A message of a viewer, and the viewer's name if it is to be shown."""

    class Meta:
        model = Message
        fields = ["text", "name"]
        labels = {"text": _("Message"), "name": _("Name (optional)")}
        widgets = {
            "text": forms.TextInput({"size": 50, "autocomplete": "off"}),
            "name": forms.TextInput({"size": 20, "autocomplete": "off"}),
        }

    def clean_text(self) -> str:
        return self._visible("text")

    def clean_name(self) -> str:
        return self._visible("name")

    def _visible(self, name: str) -> str:
        text: str = self.cleaned_data[name]
        validate_visible(text)
        return text

    def send(self, board: Board) -> Message:
        """Store the message, to wait for an editor.

        Raises: Full.
        """
        with transaction.atomic():
            # One after the other, so that two cannot take the same last place.
            Board.objects.select_for_update().get(pk=board.pk)
            if board.messages.filter(state=State.WAITING).count() >= MAX_WAITING:
                raise Full
            self.instance.board = board
            message: Message = self.save()
            remove_surplus(board)
        return message


def remove_surplus(board: Board) -> None:
    """Remove the oldest messages beyond ``MAX_KEPT``; those that wait are bounded by themselves."""
    surplus = board.messages.exclude(state=State.WAITING).values_list("pk", flat=True)[MAX_KEPT:]
    if keys := [*surplus]:
        Message.objects.filter(pk__in=keys).delete()


def moderate(board: Board, key: int, wanted: str) -> bool:
    """Show, hide or delete a message of a board; return whether there was one."""
    found = board.messages.filter(pk=key)
    if wanted == "delete":
        return bool(found.delete()[0])
    return bool(found.update(state=wanted))


def remove_old(now: Any = None) -> None:
    """Remove messages that have waited or were hidden for a long time."""
    old = Message.objects.exclude(state=State.SHOWN).filter(at__lt=(now or timezone.now()) - KEPT)
    # Read first: on SQLite even a statement that writes nothing makes other writers wait.
    if keys := [*old.values_list("pk", flat=True)[:1000]]:
        Message.objects.filter(pk__in=keys).delete()
