"""The answers file: what is right is taken over, what is wrong is named with its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingress.answers.config import load_answers
from ingress.answers.decide import Answers, Section, decide
from ingress.answers.guard import Limit, LoopGuard
from ingress.errors import ConfigError
from schemas.consent_words import HELP_WORDS, STOP_WORDS
from schemas.vocabulary import Channel
from tests.ingress.answers.messages import LONG_CODE, message

EXAMPLE = Path(__file__).parents[3] / "deploy" / "ingress-answers.example.yaml"
TENANTS = {LONG_CODE: "operations", "whatsapp:+14155550111": "acme"}


def loaded(folder: Path, text: str) -> Answers:
    path = folder / "answers.yaml"
    path.write_text(text)
    return load_answers(path, TENANTS)


def wrong(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        loaded(folder, text)
    assert str(folder / "answers.yaml") in str(raised.value)
    return str(raised.value)


def test_the_example_can_be_loaded_and_does_what_it_says() -> None:
    answers = load_answers(EXAMPLE, TENANTS)
    ack = decide(message("ack INC-17", tenant="operations"), answers, LoopGuard())
    assert ack.keyword is not None
    assert (ack.keyword.keyword, ack.keyword.argument) == ("ACK", "INC-17")
    assert "INC-17" in (ack.text or "")
    stop = decide(message("STOP", channel=Channel.WHATSAPP), answers, LoopGuard())
    assert stop.text == answers.default.opted_out
    assert decide(message("hello"), answers, LoopGuard()).text is None


def test_without_a_file_nothing_is_answered() -> None:
    answers = load_answers(None, TENANTS)
    assert answers.default == Section()
    assert decide(message("HELP", channel=Channel.WHATSAPP), answers, LoopGuard()).text is None


@pytest.mark.parametrize("text", ["", "{}", "default: {}"])
def test_an_empty_file_answers_nothing(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text).default == Section()


def test_a_section_takes_from_the_one_above_what_it_leaves_out(tmp_path: Path) -> None:
    answers = loaded(
        tmp_path,
        """
default: {help: above, otherwise: above, limit: {replies: 2, window_s: 10}, keywords: [{match: PING}]}
tenants: {acme: {otherwise: null, keywords: [{match: PONG}]}}
senders: {"55501": {help: sender}}
""",
    )
    tenant = answers.tenants["acme"]
    assert (tenant.help, tenant.otherwise, list(tenant.keywords)) == ("above", None, ["pong"])
    assert tenant.limit == Limit(replies=2, window_s=10)
    alone, with_tenant = answers.senders["55501", None], answers.senders["55501", "acme"]
    assert (alone.help, alone.otherwise, list(alone.keywords)) == ("sender", "above", ["ping"])
    assert (with_tenant.help, with_tenant.otherwise, list(with_tenant.keywords)) == ("sender", None, ["pong"])


def test_our_own_numbers_are_all_that_are_named_without_their_channel(tmp_path: Path) -> None:
    answers = loaded(tmp_path, 'senders: {"whatsapp:+14155550122": {}, "55501": {}}')
    assert answers.own == {LONG_CODE, "+14155550111", "+14155550122", "55501"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("default: [", "example"),
        ("defaults: {}", "defaults"),
        ("default: {hepl: x}", "hepl"),
        ("default: {help: 5}", r"default.help"),
        ("default: {help: ' '}", "default.help"),
        (f"default: {{otherwise: {'x' * 1601}}}", "1600"),
        ("default: {limit: {replies: 0}}", "default.limit"),
        ("default: {limit: {window_s: 0}}", "default.limit"),
        ("default: {keywords: [{match: 'TWO WORDS'}]}", "default.keywords[0]"),
        ("default: {keywords: [{match: A}, {match: B, reply: '{x}'}]}", "default.keywords[1]"),
        ("default: {keywords: [{match: Ack}, {match: ÁCK <id>}]}", "twice"),
        (f"default: {{keywords: [{{match: A, reply: {'x' * 1601}}}]}}", "default.keywords[0].reply"),
        (f"default: {{keywords: [{{match: A, reply: '{'x' * 1500}{{argument}}'}}]}}", "1600"),
        ("tenants: {acme: {help: ''}}", "tenants.acme.help"),
        ("senders: {'55501': {help: ''}}", "senders.55501.help"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_place(tmp_path: Path, text: str, named: str) -> None:
    assert named in wrong(tmp_path, text)


@pytest.mark.parametrize("word", sorted(STOP_WORDS | HELP_WORDS | {"START", "UNSTOP"}))
def test_words_of_consent_and_help_cannot_be_keywords(tmp_path: Path, word: str) -> None:
    assert word in wrong(tmp_path, f"default: {{keywords: [{{match: {word}}}]}}")


def test_yes_can_be_a_keyword(tmp_path: Path) -> None:
    assert list(loaded(tmp_path, "default: {keywords: [{match: 'YES'}]}").default.keywords) == ["yes"]


def test_a_file_that_cannot_be_read_is_named_with_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml.*INGRESS_ANSWERS_FILE"):
        load_answers(tmp_path / "nowhere.yaml", {})


def test_a_file_that_is_no_text_is_said_to_be_wrong(tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"answers\.yaml is wrong"):
        load_answers(tmp_path / "answers.yaml", {})
