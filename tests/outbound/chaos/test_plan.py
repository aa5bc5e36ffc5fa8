"""What a run is made of: the same from the same seed, and nobody forbidden whom the plan does not know."""

from __future__ import annotations

import socket
from urllib.parse import urlencode, urlsplit

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingress.callback_url import status_callback_url
from schemas.records import OutboundCommand
from schemas.vocabulary import CommandKind
from tests.outbound.chaos.callbacks import Callbacks
from tests.outbound.chaos.plan import Kind, settlement, story
from tests.outbound.chaos.run import disturbances
from tests.outbound.chaos.terms import Terms
from tests.waiting import wait_until

STORIES = [story(7, number, 1_000_000) for number in range(3_000)]


@given(st.integers(0, 2**32), st.integers(0, 20_000))
def test_a_story_depends_on_the_seed_and_its_number_alone(seed: int, number: int) -> None:
    assert story(seed, number, 5) == story(seed, number, 5)
    assert story(seed, number, 5).command.command_id == story(seed, number, 6).command.command_id


def test_every_kind_of_command_occurs_and_no_command_twice() -> None:
    assert {each.kind for each in STORIES} == set(Kind)
    assert len({each.command.command_id for each in STORIES}) == len(STORIES)


def test_who_opts_out_is_written_to_by_nobody_else() -> None:
    forbidden = {each.command.recipient for each in STORIES if each.opt_out is not None}
    others = {each.command.recipient for each in STORIES if each.kind is not Kind.FORBIDDEN}
    assert forbidden
    assert not forbidden & others


def test_some_commands_cannot_be_told_apart_by_their_messages() -> None:
    def alike(command: OutboundCommand) -> tuple[str, str, str | None]:
        return command.sender, command.recipient, command.body

    assert len({alike(each.command) for each in STORIES}) < len(STORIES)


def test_evidence_names_the_command_and_its_message() -> None:
    command = STORIES[0].command
    proof = settlement(command, "SM1", 2_000)
    assert (proof.kind, proof.sid) == (CommandKind.SETTLE, "SM1")
    assert proof.command_id == f"{command.command_id}:settle"
    assert msgspec.structs.replace(proof, command_id="").sender == command.sender


def test_disturbances_come_at_the_same_moments_of_the_same_seed() -> None:
    terms = Terms(seed=3)
    assert disturbances(terms) == disturbances(terms)
    assert [each.what for each in disturbances(terms)].count("kill") == terms.kills


def test_a_callback_tells_the_message_of_its_command_however_it_is_cut() -> None:
    command = STORIES[0].command
    with Callbacks() as callbacks:
        url = urlsplit(status_callback_url(callbacks.url, command.notification_id, command.attempt))
        form = urlencode({"MessageSid": "SM1", "MessageStatus": "sent"})
        head = f"POST {url.path}?{url.query} HTTP/1.1\r\nContent-Length: {len(form)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", url.port or 0), 5) as caller:
            for piece in (head[:20], head[20:] + form[:5], form[5:]):
                caller.sendall(piece.encode())
            wait_until(lambda: callbacks.heard, 5, "the callback")
            assert caller.recv(100).startswith(b"HTTP/1.1 204")
    assert callbacks.sids == {command.command_id: "SM1"}
