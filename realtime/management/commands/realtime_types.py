"""``manage.py realtime_types``: TypeScript declarations of messages, and of the rows of each feed."""

from realtime.management.contracts import ContractCommand
from realtime.management.typescript import declarations


class Command(ContractCommand):
    help = (
        "Write TypeScript declarations of the protocol's messages, and of the rows and topics of each feed."
    )

    def contract(self) -> str:
        return declarations()
