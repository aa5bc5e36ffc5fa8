"""What was started once is known for good, and what was ended once stays ended, in any order of entries."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import text_digest
from schemas.records import JournalEntry
from schemas.vocabulary import CommandResult
from sinks.outbound.journal import UNKNOWN_TEXT, Journal, ended, started
from tests.outbound.examples import BODY, command, entry

OPEN = (CommandResult.STARTED, CommandResult.IN_DOUBT, CommandResult.HELD)
ENDED = tuple(set(CommandResult) - set(OPEN))

SIDS = st.sampled_from([None, "SM1", "SM2", "SM3"])
ENTRIES = st.lists(
    st.builds(
        entry,
        command_id=st.sampled_from(["a:1", "a:2", "b:1"]),
        state=st.sampled_from(CommandResult),
        sid=SIDS,
    ),
    max_size=12,
)


def journal_of(entries: list[JournalEntry]) -> Journal:
    journal = Journal()
    for each in entries:
        journal.record(each)
    return journal


@given(ENTRIES)
def test_every_command_ever_recorded_is_known_and_no_other(entries: list[JournalEntry]) -> None:
    journal, known = Journal(), set[str]()
    for each in entries:
        journal.record(each)
        known.add(each.command_id)
        assert {name for name in ("a:1", "a:2", "b:1", "c:1") if journal.knows(name)} == known
        assert len(journal) == len(known)


@given(ENTRIES)
def test_an_ended_command_never_reopens(entries: list[JournalEntry]) -> None:
    journal, over = Journal(), set[str]()
    for each in entries:
        journal.record(each)
        if each.state in ENDED:
            over.add(each.command_id)
        assert not over & {left.command_id for left in journal.open_entries()}
        assert all(journal.open_entry(name) is None for name in over)


@given(st.data(), ENTRIES)
def test_the_order_of_entries_does_not_matter(data: st.DataObject, entries: list[JournalEntry]) -> None:
    one = journal_of(entries)
    other = journal_of(data.draw(st.permutations(entries)))
    for name in ("a:1", "a:2", "b:1"):
        assert one.knows(name) == other.knows(name)
        mine, others = one.open_entry(name), other.open_entry(name)
        assert (mine and mine.state) == (others and others.state)
    for sid in ("SM1", "SM2", "SM3"):
        assert one.claimed(sid) == other.claimed(sid)


@given(ENTRIES)
def test_reading_the_topic_twice_is_reading_it_once(entries: list[JournalEntry]) -> None:
    one, twice = journal_of(entries), journal_of(entries + entries)
    assert set(one.open_entries()) == set(twice.open_entries())
    assert len(one) == len(twice)


def test_a_message_that_is_somebodys_stays_claimed_when_its_command_ends_otherwise() -> None:
    journal = journal_of(
        [entry("a:1", CommandResult.ABSENT), entry("a:1", CommandResult.ACCEPTED, sid="SM1")]
    )
    assert journal.claimed("SM1")
    assert not journal.claimed("SM2")


@pytest.mark.parametrize("state", sorted(ENDED))
def test_a_result_closes_the_command_and_keeps_its_message(state: CommandResult) -> None:
    begun = started(command(notification_id="n"), 5)
    journal = journal_of([begun])
    assert journal.open_entry("n:1") == begun
    journal.record(ended(begun, state, 9, "SM9"))
    assert journal.open_entries() == ()
    assert journal.claimed("SM9")


def test_a_started_command_remembers_its_text_by_digest_only() -> None:
    begun = started(command(), 5)
    assert begun.content_digest == text_digest(BODY)
    assert BODY not in msgspec.json.encode(begun).decode()


def test_the_text_of_a_template_is_unknown_whatever_the_body_says() -> None:
    assert started(command(content_sid="HX" + "0" * 32), 5).content_digest == UNKNOWN_TEXT
    assert started(command(body=None, media_urls=("https://a/b.png",)), 5).content_digest != UNKNOWN_TEXT


def test_a_later_entry_keeps_the_start_and_the_message_known_before() -> None:
    begun = started(command(), 5)
    known = ended(begun, CommandResult.IN_DOUBT, 7, "SM1")
    assert ended(known, CommandResult.ACCEPTED, 9).sid == "SM1"
    assert (known.started_at, known.at) == (5, 7)
