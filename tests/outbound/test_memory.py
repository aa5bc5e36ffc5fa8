"""How long the journal in memory knows a command: longer than any copy of it can be carried out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from notifystream.settings import Settings
from schemas.topics import Topic, load_topics
from schemas.vocabulary import CommandResult
from sinks.outbound.journal import LONGEST_LIFE_MS, REMEMBERED_MS, Journal, bounded, ended, started
from sinks.outbound.memory import Memory
from tests.outbound.examples import command

DAY_MS = 86_400_000
NOW = 1_790_000_000_000
TIMES = st.integers(NOW, NOW + 30 * DAY_MS)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), TIMES), max_size=20), TIMES)
def test_an_id_is_known_for_as_long_as_asked_and_a_day_longer_at_most(
    added: list[tuple[str, int]], now: int
) -> None:
    memory, first = Memory(3 * DAY_MS), dict[str, int]()
    for name, at in added:
        memory.add(name, at)
        first.setdefault(name, at)
    memory.forget(now)
    for name, at in first.items():
        if at > now - 3 * DAY_MS:
            assert name in memory
        if at <= now - 4 * DAY_MS:
            assert name not in memory
    assert len(memory) == sum(name in memory for name in first)


@given(
    life=st.integers(0, 40 * DAY_MS),
    waited=st.integers(0, LONGEST_LIFE_MS),
    took=st.integers(0, 10 * DAY_MS),
    later=st.integers(0, 20 * DAY_MS),
)
def test_no_copy_of_a_command_outlives_the_memory_of_it(
    life: int, waited: int, took: int, later: int
) -> None:
    """Whatever its own not_after says: a copy of what the journal has forgotten is too late to be started."""
    sent = bounded(command(created_at=NOW, not_after=NOW + life))
    began = NOW + waited
    journal = Journal()
    journal.record(ended(started(sent, began), CommandResult.ACCEPTED, began + took, "SM1"))
    copy_read_at = began + took + later
    journal.forget(copy_read_at)
    assert journal.knows(sent.command_id) or sent.not_after <= copy_read_at


def test_a_command_within_its_life_is_left_as_it_is() -> None:
    usual = command()
    assert bounded(usual) is usual


def test_what_is_open_is_never_forgotten() -> None:
    journal = Journal()
    held = ended(started(command(notification_id="n"), NOW), CommandResult.HELD, NOW + 1)
    journal.record(held)
    journal.forget(NOW + 100 * DAY_MS)
    assert journal.open_entry("n:1") == held


def test_what_a_person_decided_about_is_known_for_unproved_as_long_as_the_topic_knows_it() -> None:
    journal = Journal()
    held = ended(started(command(notification_id="n"), NOW), CommandResult.HELD, NOW + 1)
    dropped = ended(held, CommandResult.DROPPED, NOW + DAY_MS)
    journal.record(held)
    journal.record(dropped)
    journal.forget(NOW + 8 * DAY_MS - 1)
    assert journal.unproved() == (dropped,)
    journal.forget(NOW + 8 * DAY_MS)
    assert journal.unproved() == ()


def test_the_memory_is_as_long_as_the_topics_and_a_life_as_long_as_the_setting_allows() -> None:
    retention = load_topics().topics[Topic.JOURNAL].retention
    assert retention is not None
    assert int(retention.removesuffix("d")) * DAY_MS == REMEMBERED_MS
    (longest,) = (
        limit.le for limit in Settings.model_fields["command_ttl_s"].metadata if hasattr(limit, "le")
    )
    assert longest * 1000 == LONGEST_LIFE_MS
    assert LONGEST_LIFE_MS < REMEMBERED_MS
