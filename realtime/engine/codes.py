"""Close codes. The range is the rule: 4400-4499 mean "do not just retry", all others "come back"."""

from enum import IntEnum


class Code(IntEnum):
    """Why a message was refused or a connection closed; ``docs/protocol.md`` has the client's side."""

    BAD_MESSAGE = 4400
    SIGNED_OUT = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    INTERNAL = 4500
    TOO_SLOW = 4508
    DRAINING = 4512
    TOO_MUCH = 4529

    @property
    def is_final(self) -> bool:
        """Whether a client that meets it must not simply come back."""
        return 4400 <= self < 4500
