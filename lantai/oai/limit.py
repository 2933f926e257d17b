"""How much one client may ask for."""

from __future__ import annotations

import mmap
import secrets
from collections.abc import MutableSequence
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import cast

_SLOTS = 1 << 16
"""Clients told apart, of 8 bytes each. Two that meet in one slot share what one may have; which do, nobody outside can
know."""
_MINUTE = 60.0


class Limit:
    """A bucket for each client that holds a minute's requests and fills up evenly (the generic cell rate algorithm: of
    each bucket one number is kept, the instant at which it is full again). Its memory is shared with the processes that
    are forked from this one; what two of them write at once costs a count and no more.
    """

    def __init__(self, per_minute: int) -> None:
        self._each = _MINUTE / per_minute
        # Of anonymous memory, which a fork shares, and which is all zeros.
        self._full = cast(MutableSequence[float], memoryview(mmap.mmap(-1, _SLOTS * 8)).cast("d"))
        self._secret = secrets.token_bytes(16)

    def wait(self, client: str, now: float) -> float:
        """0: a request of client is granted. Else the seconds after which one will be. now: of a clock that all
        processes share and that is never set.
        """
        slot = int.from_bytes(blake2b(network(client), digest_size=8, key=self._secret).digest()) % _SLOTS
        full = max(self._full[slot], now)
        over = full - now - (_MINUTE - self._each)
        if over > self._each / 2:
            return over
        self._full[slot] = full + self._each
        return 0.0


def network(client: str) -> bytes:
    """Of the client at that address: who has one IPv6 address has 2^64 of them."""
    try:
        address = ip_address(client)
    except ValueError:
        return client.encode("utf-8", "replace")
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped.packed if address.ipv4_mapped else address.packed[:8]
    return address.packed
