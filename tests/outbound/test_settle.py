"""What a list of messages proves about commands in doubt, and that it proves nothing it does not show."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import text_digest
from schemas.records import JournalEntry
from schemas.vocabulary import CommandResult
from sinks.outbound.journal import UNKNOWN_TEXT, Journal, ended
from sinks.outbound.provider import FoundMessage
from sinks.outbound.settle import CLOCKS_DIFFER_MS, Settlement, settle
from tests.outbound.examples import entry, message

ABSENT, ACCEPTED = CommandResult.ABSENT, CommandResult.ACCEPTED


def nobodys(sid: str) -> bool:
    return False


def always(doubt: JournalEntry) -> bool:
    return True


def test_nothing_at_the_provider_proves_absence() -> None:
    assert settle([entry("a:1")], [], nobodys, always) == (Settlement("a:1", ABSENT),)


def test_messages_of_other_commands_do_not_stand_against_absence() -> None:
    assert settle([entry("a:1")], [message("SM1")], {"SM1"}.__contains__, always) == (
        Settlement("a:1", ABSENT),
    )


def test_an_unclaimed_message_with_another_text_proves_nothing() -> None:
    assert settle([entry("a:1")], [message("SM1", "changed on its way")], nobodys, always) == ()


def test_an_unclaimed_message_with_the_text_is_the_command() -> None:
    assert settle([entry("a:1")], [message("SM1")], nobodys, always) == (Settlement("a:1", ACCEPTED, "SM1"),)


def test_what_may_still_be_under_way_is_neither_absent_nor_found() -> None:
    doubts = [entry("a:1"), entry("b:1")]
    assert settle(doubts, [], nobodys, lambda doubt: doubt.command_id == "a:1") == (
        Settlement("a:1", ABSENT),
    )
    assert settle(doubts, [message("SM1")], nobodys, lambda doubt: doubt.command_id == "a:1") == ()


def test_twins_that_were_both_carried_out_get_their_messages_in_order() -> None:
    doubts = [entry("b:1", started_at=2_000_000), entry("a:1", started_at=1_000_000)]
    found = [message("SM2", created_at=2_000_100), message("SM1", created_at=1_000_100)]
    assert set(settle(doubts, found, nobodys, always)) == {
        Settlement("a:1", ACCEPTED, "SM1"),
        Settlement("b:1", ACCEPTED, "SM2"),
    }


def test_one_message_for_two_twins_proves_nothing_about_either() -> None:
    assert settle([entry("a:1"), entry("b:1")], [message("SM1")], nobodys, always) == ()


def test_more_messages_than_twins_prove_nothing() -> None:
    assert settle([entry("a:1")], [message("SM1"), message("SM2")], nobodys, always) == ()


def test_a_command_of_another_text_is_found_beside_one_that_is_not() -> None:
    doubts = [entry("a:1"), entry("b:1", content_digest=text_digest("another"))]
    assert settle(doubts, [message("SM1", "another")], nobodys, always) == (
        Settlement("b:1", ACCEPTED, "SM1"),
    )


def test_a_templates_text_is_any_text_when_no_other_command_is_in_doubt() -> None:
    doubt = entry("a:1", content_digest=UNKNOWN_TEXT)
    assert settle([doubt], [message("SM1", "filled in there")], nobodys, always) == (
        Settlement("a:1", ACCEPTED, "SM1"),
    )


def test_a_template_claims_no_message_that_may_be_anothers() -> None:
    doubts = [entry("a:1", content_digest=UNKNOWN_TEXT), entry("b:1")]
    assert settle(doubts, [message("SM1", "filled in there")], nobodys, always) == ()
    assert settle(doubts, [message("SM1")], nobodys, always) == (Settlement("b:1", ACCEPTED, "SM1"),)


def test_a_message_that_seems_older_only_because_clocks_differ_stands_against_absence() -> None:
    doubt = entry("a:1", started_at=10_000_000)
    seems_older = message("SM1", "changed on its way", created_at=10_000_000 - CLOCKS_DIFFER_MS)
    assert settle([doubt], [seems_older], nobodys, always) == ()
    older = message("SM1", created_at=10_000_000 - CLOCKS_DIFFER_MS - 1)
    assert settle([doubt], [older], nobodys, always) == (Settlement("a:1", ABSENT),)


def test_no_doubt_nothing_to_settle() -> None:
    assert settle([], [message("SM1")], nobodys, always) == ()


@dataclass(frozen=True, slots=True)
class Sent:
    """What really became of one command: nothing, or a message, perhaps with its text changed."""

    text: str
    template: bool
    carried_out: bool
    changed: bool


COMMANDS = st.lists(
    st.builds(
        Sent,
        text=st.sampled_from(["one", "two"]),
        template=st.booleans(),
        carried_out=st.booleans(),
        changed=st.integers(0, 4).map(lambda drawn: drawn == 0),
    ),
    min_size=1,
    max_size=6,
)


def at_the_provider(truth: list[Sent]) -> list[FoundMessage]:
    return [
        message(
            f"SM{number}",
            # A template never reads like a text that was written out.
            ("filled: " if sent.template else "") + sent.text + ("…" if sent.changed else ""),
            1_000_000 + number,
        )
        for number, sent in enumerate(truth)
        if sent.carried_out
    ]


def in_doubt(truth: list[Sent]) -> list[JournalEntry]:
    return [
        entry(
            f"n{number}:1",
            CommandResult.IN_DOUBT,
            content_digest=UNKNOWN_TEXT if sent.template else text_digest(sent.text),
            started_at=1_000_000 + number,
        )
        for number, sent in enumerate(truth)
    ]


@given(st.data(), COMMANDS)
def test_no_settlement_is_ever_against_the_truth(data: st.DataObject, truth: list[Sent]) -> None:
    """Asked again and again, with what was settled before taken in, as the sink does."""
    journal = Journal()
    for doubt in in_doubt(truth):
        journal.record(doubt)
    found = at_the_provider(truth)
    for _ in range(len(truth) + 1):
        doubts = data.draw(st.permutations(journal.open_entries()))
        due = (
            data.draw(st.sets(st.sampled_from(sorted(each.command_id for each in doubts))))
            if doubts
            else set()
        )
        answer = settle(doubts, found, journal.claimed, lambda each: each.command_id in due)  # noqa: B023
        sids = [settlement.sid for settlement in answer if settlement.sid]
        assert len(set(sids)) == len(sids)
        assert not any(journal.claimed(sid) for sid in sids)
        for settlement in answer:
            assert settlement.command_id in due
            assert truth[int(settlement.command_id[1:-2])].carried_out == (settlement.result is ACCEPTED)
            before = journal.open_entry(settlement.command_id)
            assert before is not None
            journal.record(ended(before, settlement.result, 2_000_000, settlement.sid))


@given(st.data(), COMMANDS)
def test_absence_is_never_said_while_any_message_is_unclaimed(data: st.DataObject, truth: list[Sent]) -> None:
    found = at_the_provider(truth)
    claimed = data.draw(st.sets(st.sampled_from(found))) if found else set()
    answer = settle(in_doubt(truth), found, {each.sid for each in claimed}.__contains__, always)
    absent = [settlement for settlement in answer if settlement.result is ABSENT]
    assert not absent or len(claimed) == len(found)


@given(st.data(), COMMANDS)
def test_the_order_of_doubts_and_messages_does_not_matter(data: st.DataObject, truth: list[Sent]) -> None:
    doubts, found = in_doubt(truth), at_the_provider(truth)
    one = settle(doubts, found, nobodys, always)
    other = settle(data.draw(st.permutations(doubts)), data.draw(st.permutations(found)), nobodys, always)
    assert set(one) == set(other)
