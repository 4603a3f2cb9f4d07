"""Screens: displays on a wall that a desk runs. The orders of a screen are a row, which its page follows."""

import secrets
from datetime import datetime

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

HOURS = [("", _("never")), *((str(hour), f"{hour:02}:00") for hour in range(24))]
SECONDS = (3, 3600)
"""The shortest and the longest time for which a page of rows is shown."""


def random_topic() -> str:
    """Return a key that cannot be guessed: a client that has it may follow the screen's orders."""
    return secrets.token_hex(16)


class Screen(models.Model):
    """A browser that has opened /screen/. It waits until an editor types its code, and has no name until then.

    The browser keeps a token, of which only a digest is stored. ``pairing.py`` has codes and tokens, ``watch.py``
    writes whether a screen is online.
    """

    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    topic = models.CharField(max_length=32, unique=True, default=random_topic, editable=False)
    code = models.CharField(max_length=6, null=True, unique=True, editable=False)
    code_until = models.DateTimeField(null=True, editable=False)
    address = models.CharField(max_length=60, blank=True, default="", db_default="", editable=False)

    name = models.CharField(_("name"), max_length=100, blank=True, default="", db_default="")
    board = models.ForeignKey(
        "boards.Board", models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("board")
    )
    then = models.ManyToManyField(
        "boards.Board", blank=True, related_name="+", verbose_name=_("in turn with")
    )
    seconds = models.PositiveSmallIntegerField(
        _("seconds for each page"),
        default=12,
        db_default=12,
        validators=[MinValueValidator(SECONDS[0]), MaxValueValidator(SECONDS[1])],
    )
    dim_from = models.CharField(
        _("dim from"), max_length=2, choices=HOURS, blank=True, default="", db_default=""
    )
    dim_until = models.CharField(
        _("dim until"), max_length=2, choices=HOURS, blank=True, default="", db_default=""
    )

    reload_asked = models.DateTimeField(null=True, editable=False)
    identify_until = models.DateTimeField(null=True, editable=False)

    is_online = models.BooleanField(_("online"), default=False, db_default=False, editable=False)
    last_heard = models.DateTimeField(_("last heard"), null=True, editable=False)
    absent_since = models.DateTimeField(null=True, editable=False)
    is_reported = models.BooleanField(default=False, db_default=False, editable=False)
    size = models.CharField(_("size"), max_length=20, blank=True, default="", db_default="", editable=False)
    version = models.CharField(
        _("version"), max_length=20, blank=True, default="", db_default="", editable=False
    )

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("screen")
        verbose_name_plural = _("screens")

    def __str__(self) -> str:
        return self.name or gettext("A screen that waits for its code")

    @property
    def is_waiting(self) -> bool:
        """Whether no editor has typed its code yet."""
        return not self.name

    def has_code(self, now: datetime) -> bool:
        """Return whether its code can be typed."""
        return self.code is not None and self.code_until is not None and now < self.code_until

    @property
    def shows(self) -> str:
        """The boards and the way in which they are shown, as one text: a page that shows another one is outdated."""
        then = " ".join(str(board.pk) for board in self.then.all())
        return f"{self.board_id or ''} {then} {self.seconds} {self.dim_from}-{self.dim_until}"

    @property
    def orders(self) -> str:
        """A text that its page compares with the one that it was loaded with: if they differ, the page reloads."""
        asked = self.reload_asked.timestamp() if self.reload_asked else ""
        return f"{self.shows} {asked}" if self.name else ""
