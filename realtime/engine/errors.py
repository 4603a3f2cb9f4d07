"""The engine's errors: one tree, the values as attributes, the sentence in ``__str__``."""

from .codes import Code


class RealtimeError(Exception):
    """The base class of the engine's errors; ``code`` is sent to the client."""

    code = Code.INTERNAL


class BadMessage(RealtimeError):
    """A client sent something that is not a message of the protocol."""

    code = Code.BAD_MESSAGE

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"bad message: {self.reason}; see docs/protocol.md"


class BadPosition(BadMessage):
    """A client sent a position that no server can have issued."""

    def __init__(self, text: str) -> None:
        super().__init__(f"position {text[:80]!r} is not <epoch>.<integer>")
        self.args, self.text = (text,), text


class UnknownTopic(RealtimeError):
    """No feed has a topic of this name; ``hint`` says what to do."""

    code = Code.NOT_FOUND

    def __init__(
        self, topic: str, hint: str = "a topic is a feed's name, with a key where the feed has one"
    ) -> None:
        super().__init__(topic, hint)
        self.topic, self.hint = topic, hint

    def __str__(self) -> str:
        return f"no topic {self.topic[:100]!r}; {self.hint}"


class FeedOff(RealtimeError):
    """A feed is not live: it is declared wrongly, or its table cannot be captured. Other feeds are not affected."""

    def __init__(self, feed: str) -> None:
        super().__init__(feed)
        self.feed = feed

    def __str__(self) -> str:
        return (
            f"the feed {self.feed[:100]!r} is off; `manage.py check` and `manage.py doctor` show the reason"
        )


class NoSuchFormat(RealtimeError):
    """A client asked for a topic in a format that its feed does not have."""

    code = Code.NOT_FOUND

    def __init__(self, topic: str, format: str) -> None:
        super().__init__(topic, format)
        self.topic, self.format = topic, format

    def __str__(self) -> str:
        return f"{self.topic[:100]!r} has no {self.format}: its feed has no row template; ask for the format rows"


class Forbidden(RealtimeError):
    """The user may not use this topic or action."""

    code = Code.FORBIDDEN

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"you may not use {self.name[:100]!r}; sign in with an account that may, and reload the page"


class Unreadable(RealtimeError):
    """A topic cannot be read at present, for example because its feed fails."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic

    def __str__(self) -> str:
        return f"{self.topic[:100]} cannot be read at present; the server tries again and sends it then"


class Unrecoverable(RealtimeError):
    """A subscriber asked to resume from a position that the kept changes do not reach."""

    def __init__(self, asked: int | None, oldest: int) -> None:
        super().__init__(asked, oldest)
        self.asked, self.oldest = asked, oldest

    def __str__(self) -> str:
        return f"cannot resume from {self.asked}; the kept changes start at {self.oldest}; send a snapshot"


class Gap(RealtimeError):
    """A change set does not follow the position that it is to be applied to."""

    def __init__(self, position: int, after: int) -> None:
        super().__init__(position, after)
        self.position, self.after = position, after

    def __str__(self) -> str:
        return f"changes after {self.after} do not follow {self.position}; read the log from {self.position}"
