"""Contributions of viewers: messages, and reactions to entries. Both are off by default."""

from django.db import models
from django.utils.translation import gettext_lazy as _

SIGNS = {"thumb": "👍", "heart": "❤", "party": "🎉", "laugh": "😀", "eyes": "👀", "question": "❓"}
MAX_TEXT, MAX_NAME = 280, 40


class Kind(models.TextChoices):
    """The reactions of which an editor chooses those of a board; ``SIGNS`` has the sign of each."""

    THUMB = "thumb", _("Thumbs up")
    HEART = "heart", _("Heart")
    PARTY = "party", _("Party")
    LAUGH = "laugh", _("Laugh")
    EYES = "eyes", _("Eyes")
    QUESTION = "question", _("Question")

    @property
    def sign(self) -> str:
        return SIGNS[self.value]


class TwoWay(models.Model):
    """The fields of a board by which its editor switches on contributions of viewers."""

    takes_messages = models.BooleanField(
        _("messages from viewers"),
        default=False,
        db_default=False,
        help_text=_("Viewers may send messages. Each is shown when an editor has approved it."),
    )
    messages_on_walls = models.BooleanField(
        _("messages on walls"),
        default=False,
        db_default=False,
        help_text=_("Walls show approved messages too."),
    )
    reactions = models.CharField(
        _("reactions"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text=_("With these signs viewers may react to each entry; none means no reactions."),
    )
    shows_viewers = models.BooleanField(
        _("number of viewers"),
        default=False,
        db_default=False,
        help_text=_("The page shows how many are looking at it now."),
    )

    class Meta:
        abstract = True

    @property
    def kinds(self) -> list[Kind]:
        """The reactions that viewers may choose."""
        chosen = self.reactions.split()
        return [kind for kind in Kind if kind in chosen]


class State(models.TextChoices):
    """Whether a message is shown: only after an editor has approved it."""

    WAITING = "waiting", _("Waiting")
    SHOWN = "shown", _("Shown")
    HIDDEN = "hidden", _("Hidden")


class Message(models.Model):
    """A message of a viewer. Nothing else is stored about its sender: no address, no session."""

    board = models.ForeignKey(
        "boards.Board", models.CASCADE, related_name="messages", verbose_name=_("board")
    )
    text = models.CharField(_("text"), max_length=MAX_TEXT)
    name = models.CharField(_("name"), max_length=MAX_NAME, blank=True, default="", db_default="")
    state = models.CharField(
        _("state"), max_length=10, choices=State, default=State.WAITING, db_default=State.WAITING
    )
    at = models.DateTimeField(_("sent"), auto_now_add=True)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name, verbose_name_plural = _("message"), _("messages")
        indexes = [models.Index(fields=["board", "state", "at"], name="boards_message_state")]

    def __str__(self) -> str:
        return self.text


class ReactionCount(models.Model):
    """How many viewers have reacted to an entry in one way.

    Without a constraint in the database: contributions must not keep a program from deleting entries, or emptying
    their table, by SQL.
    """

    board = models.ForeignKey("boards.Board", models.CASCADE, related_name="+")
    entry = models.ForeignKey(
        "boards.Entry", models.CASCADE, related_name="reaction_counts", db_constraint=False
    )
    kind = models.CharField(max_length=20)
    number = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "kind"], name="boards_reactioncount_entry_kind")
        ]


class Reacted(models.Model):
    """A digest that stands for a browser which has reacted, so that it counts once. It is removed after some time."""

    entry = models.ForeignKey("boards.Entry", models.CASCADE, related_name="+", db_constraint=False)
    kind = models.CharField(max_length=20)
    visitor = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", "kind", "visitor"], name="boards_reacted_visitor")
        ]
