"""The hash of a person in sends_by_person."""

from __future__ import annotations

from tests.analytics.chaos.sip import sip_hash


def test_it_is_the_hash_of_the_papers_test_vector() -> None:
    assert sip_hash(bytes(range(15)), key=bytes(range(16))) == 0xA129CA6149BE45E5
