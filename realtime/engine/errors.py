"""The engine's errors: one tree, the values as attributes, the sentence in ``__str__``."""

from .codes import Code


class RealtimeError(Exception):
    """What every error of the engine is."""

    code = Code.INTERNAL


class BadMessage(RealtimeError):
    """A client sent something that is not a message of the protocol."""

    code = Code.BAD_MESSAGE

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"bad message: {self.why}; see docs/protocol.md"


class BadPosition(BadMessage):
    """A client named a position that no server can have given it."""

    def __init__(self, text: str) -> None:
        super().__init__(f"position {text[:80]!r} is not <epoch>.<integer>")
        self.text = text


class UnknownTopic(RealtimeError):
    """A topic that no feed has."""

    code = Code.NOT_FOUND

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic

    def __str__(self) -> str:
        return f"no topic {self.topic[:100]!r}; a topic is a feed's name, with a key where the feed has one"


class Forbidden(RealtimeError):
    """A topic or action that this user may not have."""

    code = Code.FORBIDDEN

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"you may not use {self.what[:100]!r}; sign in with an account that may, and reload the page"


class Unrecoverable(RealtimeError):
    """A subscriber asked to resume from a position that the held changes do not reach."""

    def __init__(self, asked: object, oldest: object) -> None:
        super().__init__(asked, oldest)
        self.asked, self.oldest = asked, oldest

    def __str__(self) -> str:
        return f"cannot resume from {self.asked}; the held changes start at {self.oldest}; take a snapshot"


class Gap(RealtimeError):
    """A change set does not follow the position it was to be applied to."""

    def __init__(self, held: int, after: int) -> None:
        super().__init__(held, after)
        self.held, self.after = held, after

    def __str__(self) -> str:
        return f"changes after {self.after} do not follow {self.held}; read the log from {self.held}"
