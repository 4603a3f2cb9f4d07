"""The client address by which limits count a request."""

import pytest

from realtime.runtime.addresses import client_address


@pytest.mark.parametrize(
    "forwarded, peer, proxies, address",
    [
        ([], "1.1.1.1", 0, "1.1.1.1"),
        (["6.6.6.6"], "1.1.1.1", 0, "1.1.1.1"),
        (["6.6.6.6, 2.2.2.2"], "1.1.1.1", 1, "2.2.2.2"),
        (["6.6.6.6", "2.2.2.2"], "1.1.1.1", 1, "2.2.2.2"),
        (["nonsense"], "1.1.1.1", 1, "1.1.1.1"),
        ([], "", 0, None),
        (["2.2.2.2"], "", 1, "2.2.2.2"),
        (["2001:db8:1:2::3"], "::1", 1, "2001:db8:1:2::/64"),
        ([], "2001:db8:1:2:ffff::", 0, "2001:db8:1:2::/64"),
        ([], "::ffff:1.1.1.1", 0, "1.1.1.1"),
        (["2.2.2.2:50123"], "", 1, "2.2.2.2"),
        (["6.6.6.6, 2.2.2.2:50123"], "1.1.1.1", 1, "2.2.2.2"),
        (["[2001:db8:1:2::3]:50123"], "", 1, "2001:db8:1:2::/64"),
        (["[2001:db8:1:2::3]"], "1.1.1.1", 1, "2001:db8:1:2::/64"),
        (["[::ffff:2.2.2.2]:50123"], "1.1.1.1", 1, "2.2.2.2"),
        (["[2.2.2.2", "2.2.2.2:1:1"], "1.1.1.1", 1, "1.1.1.1"),
        ([f"{'[' * 9000}"], "1.1.1.1", 1, "1.1.1.1"),
    ],
)
def test_an_address_is_what_one_client_cannot_change(settings, forwarded, peer, proxies, address):
    """Not what it wrote into the header itself, and not the part of an IPv6 address that is its own choice."""
    settings.REALTIME = {"PROXIES": proxies}

    assert client_address(forwarded, peer) == address
