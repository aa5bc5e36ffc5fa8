"""Settings that decide by the clock: bursts of throttling, and lists that lag behind."""

import pytest

from sandbox.carrier.errors import SettingError
from sandbox.carrier.messages import Message, Messages, Window
from sandbox.carrier.request import Status
from sandbox.carrier.settings import Throttling, throttling_of


def test_a_burst_of_429_is_the_end_of_every_period() -> None:
    bursts = throttling_of("10,1.5")
    assert [at for at in range(0, 20_000, 500) if bursts.throttles(at)] == [
        *(8_500, 9_000, 9_500),
        *(18_500, 19_000, 19_500),
    ]


def test_without_bursts_nothing_is_throttled() -> None:
    assert not any(Throttling().throttles(at) for at in range(0, 20_000, 100))


@pytest.mark.parametrize("option", ["", "10", "10,x", "1,1", "1,2", "10,0", "1,2,3"])
def test_bursts_that_cannot_be_are_refused_with_an_example(option: str) -> None:
    with pytest.raises(SettingError, match="as 10,1"):
        throttling_of(option)


def test_a_list_does_not_show_what_was_created_after_its_moment() -> None:
    messages = Messages()
    for at in (1_000, 2_000, 3_000):
        messages.add(
            Message(
                sid=f"SM{at}",
                to="+12025550123",
                sender="+15005550006",
                service=None,
                body="",
                body_sha256="",
                media=0,
                created_ms=at,
                updated_ms=at,
                status=Status.QUEUED,
            )
        )
    found, more = messages.find("+12025550123", "", Window(), "", 50, created_before=2_000)
    assert [message.created_ms for message in found] == [2_000, 1_000]
    assert not more
