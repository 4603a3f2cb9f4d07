"""Addresses: the client address by which limits count a request."""

import ipaddress
from collections.abc import Iterable

from ..conf import get_conf


def client_address(forwarded: Iterable[str], peer_address: str) -> str | None:
    """Return the address that connected to the outermost of our proxies: an IPv4 address or an IPv6 network (/64).

    ``forwarded`` are the values of the request's ``X-Forwarded-For``: the client may have forged all but those that
    our proxies added. None if no address is known, as behind a Unix socket.
    """
    candidates = [peer_address]
    proxies = get_conf().proxies
    if proxies > 0:
        addresses = ",".join(forwarded).split(",")
        candidates.insert(0, addresses[-min(proxies, len(addresses))].strip())
    return next(filter(None, map(_network, candidates)), None)


def connecting_address(peer_address: str) -> str | None:
    """Return the address of a connection that has not sent a request yet; None if it is one of our own proxies."""
    return None if get_conf().proxies > 0 else _network(peer_address)


def _network(address: str) -> str | None:
    """Return an IPv4 address, or the /64 network of an IPv6 address, which one client has; otherwise None."""
    try:
        parsed = ipaddress.ip_address(_without_port(address))
    except ValueError:
        return None
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def _without_port(address: str) -> str:
    """Return an address without the port that some proxies add: ``192.0.2.1:50123``, ``[2001:db8::1]:50123``.

    Otherwise all clients behind such a proxy would count as one address, or as none behind a Unix socket.
    """
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.partition(":")
    return address if ":" in port else host
