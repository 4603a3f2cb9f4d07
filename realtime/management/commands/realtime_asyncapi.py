"""``manage.py realtime_asyncapi``: the protocol and the registered feeds as an AsyncAPI document."""

import json

from realtime.management.asyncapi import document
from realtime.management.contracts import ContractCommand


class Command(ContractCommand):
    help = "Write the AsyncAPI document of the protocol and of the registered feeds, as JSON."

    def contract(self) -> str:
        return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
