"""The sink as a process, steered and watched: pauses, decisions about what is held, states, metrics."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from notifystream import decisions
from notifystream.decisions import Held, Who
from notifystream.sending_state import HeldCommand, held_commands
from sandbox.carrier.magic import Magic
from schemas.clients import Kafka
from schemas.records import OutboundCommand, OutboundControl, SenderState
from schemas.topics import Topic
from schemas.vocabulary import CommandResult, ControlScope, Priority
from sinks.outbound.metrics import HELP, Name
from tests.outbound.examples import command, now_ms
from tests.outbound.simulator import ACCOUNT, KEY, SECRET, Simulator
from tests.outbound.world import World, on_a_real_broker, on_the_embedded_broker, outbound
from tests.waiting import wait_until

ACCEPTED, IN_DOUBT, HELD = CommandResult.ACCEPTED, CommandResult.IN_DOUBT, CommandResult.HELD
ABSENT = CommandResult.ABSENT
WAIT_S = 60.0


class Steered:
    """A process that is ended and begun again, and the decisions people make."""

    def __init__(self, world: World, simulator: Simulator, directory: Path) -> None:
        self.world = world
        self.simulator = simulator
        self.directory = directory
        self.kafka = Kafka(bootstrap_servers=world.bootstrap)
        self.ports = free_port(), free_port()

    def who(self) -> Who:
        return Who("kim", "looked", now_ms())

    def decide(self, control: OutboundControl) -> None:
        decisions.write_pauses(self.kafka, self.world.codec, control)

    def held(self, command_id: str) -> HeldCommand:
        def found() -> list[HeldCommand]:
            held = held_commands(self.kafka, self.world.codec)
            return [each for each in held if each.entry.command_id == command_id]

        return wait_until(found, WAIT_S, f"{command_id} to be held")[0]

    def state(self, sender: str) -> SenderState | None:
        states = {state.sender: state for state in self.world.read(Topic.SENDERS, SenderState)}
        return states.get(sender)

    def await_state(self, sender: str, what: str, fits: Callable[[SenderState], bool]) -> None:
        def there() -> bool:
            state = self.state(sender)
            return state is not None and fits(state)

        wait_until(there, WAIT_S, f"{sender} {what}")

    def await_paused(self, sender: str, scope: ControlScope, waiting: int) -> None:
        self.await_state(
            sender,
            f"to be paused by its {scope} with {waiting} waiting",
            lambda state: (
                scope in {each.scope for each in state.pauses}
                and sum(lane.waiting for lane in state.lanes) == waiting
            ),
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: bytes = answer.read()
    return text.decode()


@pytest.fixture(scope="module")
def steered(
    registry: str, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Steered]:
    directory = tmp_path_factory.mktemp("steering")
    with on_the_embedded_broker(directory, registry) as world:
        made = Steered(world, simulator, directory)
        ports = ("--metrics-port", str(made.ports[0]), "--health-port", str(made.ports[1]))
        short = ("--settle-after-s", "3.6", "--hold-after-s", "7.2")
        with outbound(world, simulator.url, directory / "outbound", *ports, *short):
            yield made


@pytest.mark.parametrize(
    ("scope", "number"),
    [
        (ControlScope.SENDER, "21"),
        (ControlScope.TENANT, "22"),
        (ControlScope.PROVIDER, "23"),
        (ControlScope.EVERYTHING, "24"),
    ],
)
def test_what_is_paused_waits_and_goes_when_it_is_resumed(
    steered: Steered, scope: ControlScope, number: str
) -> None:
    wanted = command(sender=f"+150055500{number}", tenant=f"t{number}", recipient=f"+120255504{number}")
    target = {
        ControlScope.SENDER: wanted.sender,
        ControlScope.TENANT: wanted.tenant,
        ControlScope.PROVIDER: wanted.provider,
    }.get(scope, "")
    steered.decide(decisions.pause(scope, target, steered.who()))
    # A command that is read before the pause is sent. A pause of the sender, once known, tells that what was
    # decided before it, on the same partition, is known too.
    if scope is not ControlScope.SENDER:
        steered.decide(decisions.pause(ControlScope.SENDER, wanted.sender, steered.who()))
    steered.await_paused(wanted.sender, ControlScope.SENDER, waiting=0)
    if scope is not ControlScope.SENDER:
        steered.decide(decisions.resume(ControlScope.SENDER, wanted.sender, steered.who()))
    steered.world.command(wanted, lane=Priority.URGENT)
    steered.await_paused(wanted.sender, scope, waiting=1)
    assert steered.simulator.requests(wanted.command_id) == []
    steered.decide(decisions.resume(scope, target, steered.who()))
    steered.world.await_result(wanted.command_id, ACCEPTED)


def doubtful(steered: Steered, sender: str) -> OutboundCommand:
    """A command that will be held: nobody can tell whether a message at the provider is its own."""
    recipient = Magic.ERROR_BEFORE_ONCE.number
    for _ in range(2):  # the second time the simulator takes it
        form = {"To": recipient, "From": sender, "Body": "by somebody else"}
        messages = f"{steered.simulator.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        httpx2.post(messages, data=form, auth=(KEY, SECRET))
    wanted = command(recipient=recipient, sender=sender, body="ours")
    steered.world.command(wanted)
    return wanted


def test_a_held_command_is_decided_about_once_as_released_or_as_dropped(steered: Steered) -> None:
    released, dropped = doubtful(steered, "+15005550031"), doubtful(steered, "+15005550032")
    for wanted in (released, dropped):
        steered.world.await_result(wanted.command_id, IN_DOUBT, HELD)
        steered.await_state(wanted.sender, "to show what is held", lambda state: state.held == 1)
    decided = [
        (
            Held(wanted.command_id, steered.held(wanted.command_id).partition),
            make(wanted.command_id, steered.who()),
        )
        for wanted, make in ((released, decisions.release), (dropped, decisions.drop))
    ]
    for _ in range(2):  # a second copy of each changes nothing
        decisions.write_decisions(steered.kafka, steered.world.codec, decided)
    told = steered.world.await_result(released.command_id, IN_DOUBT, HELD, ABSENT)
    assert told.detail == "released by kim: looked"
    told = steered.world.await_result(dropped.command_id, IN_DOUBT, HELD, HELD)
    assert told.detail == "dropped by kim: looked"
    for wanted in (released, dropped):
        steered.await_state(wanted.sender, "to show nothing held", lambda state: state.held == 0)
        assert len(steered.simulator.requests(wanted.command_id)) == 1
        assert len(steered.world.results(wanted.command_id)) == 3
    assert not {released.command_id, dropped.command_id} & {
        each.entry.command_id for each in held_commands(steered.kafka, steered.world.codec)
    }


def test_the_process_says_that_it_is_alive_and_what_it_does(steered: Steered) -> None:
    wanted = command(sender="+15005550041", recipient="+12025550441")
    steered.world.command(wanted)
    steered.world.await_result(wanted.command_id, ACCEPTED)
    metrics_port, health_port = steered.ports
    assert '"alive": true' in get(health_port, "/healthz")
    families = list(text_string_to_metric_families(get(metrics_port, "/metrics")))
    assert {name.value: HELP[name] for name in Name}.items() <= {
        f.name: f.documentation for f in families
    }.items()
    values = {
        (sample.name, sample.labels.get("sender", ""), sample.labels.get("result", "")): sample.value
        for family in families
        for sample in family.samples
    }
    assert values["outbound_results_total", wanted.sender, "accepted"] == 1
    assert values[Name.STUCK, "", ""] == 0
    assert values[Name.TURNS + "_total", "", ""] >= 1


def lag(text: str) -> float:
    families = text_string_to_metric_families(text)
    return sum(sample.value for f in families for sample in f.samples if sample.name == Name.LAG)


def waits_paused(since: int, state: SenderState) -> bool:
    return state.at >= since and bool(state.pauses) and sum(lane.waiting for lane in state.lanes) == 1


@pytest.fixture
def restarted(
    registry: str, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Steered]:
    """On a real broker, which keeps the offsets of transactions and writes markers behind the records."""
    directory = tmp_path_factory.mktemp("restart")
    with on_a_real_broker(directory, registry) as world:
        yield Steered(world, simulator, directory)


@pytest.mark.broker
def test_a_pause_outlives_the_process_and_what_stands_behind_the_last_record_is_no_lag(
    restarted: Steered,
) -> None:
    world, simulator, port = restarted.world, restarted.simulator, restarted.ports[0]
    wanted = command(sender="+15005550051", recipient="+12025550451")
    restarted.decide(decisions.resume(ControlScope.SENDER, wanted.sender, restarted.who()))
    restarted.decide(decisions.pause(ControlScope.SENDER, wanted.sender, restarted.who()))
    world.command(wanted)
    for number in range(2):
        began = now_ms()
        log = restarted.directory / f"outbound{number}"
        with outbound(world, simulator.url, log, "--metrics-port", str(port)):
            restarted.await_state(wanted.sender, "to wait paused", partial(waits_paused, began))
            wait_until(lambda: lag(get(port, "/metrics")) == 0, WAIT_S, "everything to be read")
            assert simulator.requests(wanted.command_id) == []
            if number == 1:
                restarted.decide(decisions.resume(ControlScope.SENDER, wanted.sender, restarted.who()))
                world.await_result(wanted.command_id, ACCEPTED)


@pytest.mark.broker
def test_a_sender_the_provider_does_not_know_costs_one_command_also_when_the_process_begins_anew(
    restarted: Steered,
) -> None:
    world, simulator, unknown = restarted.world, restarted.simulator, "+15005550001"
    first = command(sender=unknown, recipient="+12025550461")
    with outbound(world, simulator.url, restarted.directory / "outbound0"):
        world.command(first)
        world.await_result(first.command_id, CommandResult.REJECTED)
        restarted.await_paused(unknown, ControlScope.SENDER, waiting=0)
    wanted = command(sender=unknown, recipient="+12025550462")
    world.command(wanted)
    began = now_ms()
    with outbound(world, simulator.url, restarted.directory / "outbound1"):
        restarted.await_state(unknown, "to wait paused", partial(waits_paused, began))
        state = restarted.state(unknown)
        assert state is not None
        assert [each.reason for each in state.pauses] == [
            "twilio answers 21212 (configuration) (notifystream outbound)"
        ]
        assert simulator.requests(wanted.command_id) == []
        restarted.decide(decisions.resume(ControlScope.SENDER, unknown, restarted.who()))
        world.await_result(wanted.command_id, CommandResult.REJECTED)
