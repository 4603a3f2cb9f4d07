"""Clients that make the server compute: calls with thousands of values, sign-ins, views of long pages."""

import pytest

from tests.processes.hostile.conftest import guarded
from tests.support import attacks
from tests.support.attackers import Address, head, status

OTHER_ADDRESS = "127.0.0.2"
PAGE = head(b"Connection: close")


@guarded
@pytest.mark.parametrize("name", ["calls of many values", "calls"])
def test_calls_do_not_keep_changes_from_other_clients(address: Address, name: str) -> None:
    """They have threads of their own, and each address pays for what its calls cost."""
    with attacks.running(name, address, 1) as attack:
        assert attack.result()["opened"]


@guarded
@pytest.mark.parametrize("name", ["wrong passwords", "right passwords", "views"])
def test_pages_of_one_address_do_not_keep_those_of_others_waiting(address: Address, name: str) -> None:
    """Sixty at once, again and again: another address is answered, and changes are delivered meanwhile."""
    with attacks.running(name, address, 2) as attack:
        statuses = [status(address, PAGE, OTHER_ADDRESS) for _ in range(3)]

        assert attack.result()["opened"] >= 60
    assert statuses == [200] * 3
