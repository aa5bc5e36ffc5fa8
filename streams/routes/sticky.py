"""The same person always hears from the same sender of a pool: rendezvous hashing.

Guarantees: a choice depends on the set of the pool and not on its order; when a sender leaves the pool only
those it served move, when one joins, only those move that move to it.
Source: D. Thaler, C. Ravishankar, Using Name-Based Mappings to Increase Hit Rates, 1998.
"""

import hashlib
from collections.abc import Iterable


def preferred(pool: Iterable[str], tenant: str, recipient: str) -> str:
    """The sender of this tenant's recipient. Raises ValueError for an empty pool."""
    person = hashlib.blake2b(f"{tenant}\0{recipient}".encode(), digest_size=16).digest()
    return max(pool, key=lambda sender: (_weight(sender, person), sender))


def _weight(sender: str, person: bytes) -> bytes:
    return hashlib.blake2b(sender.encode(), digest_size=8, key=person).digest()
