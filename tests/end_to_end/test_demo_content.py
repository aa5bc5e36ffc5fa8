"""What the demo asks for can be sent: its templates and its policy are such as intake and admission take."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sandbox.demo.plan import TEMPLATES, Kind, Planned, make_plan
from sandbox.demo.stage import options
from schemas.records import NotificationRequest, Origin
from schemas.vocabulary import Category, Channel
from streams.intake import IntakePolicy, normalise
from streams.policy import load_policy
from streams.templates import load_templates, read_templates

POLICY = IntakePolicy(templates=read_templates(msgspec.yaml.encode(TEMPLATES)))


def taken(planned: Planned) -> NotificationRequest:
    assert planned.request is not None
    return normalise(planned.request, Origin(topic="t", partition=0, offset=0), 0, POLICY)


@pytest.fixture(scope="module")
def asked() -> tuple[Planned, ...]:
    return tuple(p for p in make_plan(1_000, 7).events if p.kind in (Kind.NOTIFICATION, Kind.STOPPED))


def test_every_notification_becomes_steps_that_say_what_the_plan_says(asked: tuple[Planned, ...]) -> None:
    for planned in asked:
        found = taken(planned)
        assert found.refusal is None, found.refusal_detail
        assert {step.body for step in found.steps} == {planned.text}


def test_whatsapp_is_asked_for_with_a_template_that_the_provider_knows(asked: tuple[Planned, ...]) -> None:
    by_whatsapp = [(p, s) for p in asked for s in taken(p).steps if s.channel is Channel.WHATSAPP]
    assert len(by_whatsapp) > 50
    for planned, step in by_whatsapp:
        assert step.content_sid is not None
        assert step.content_sid == planned.content_sid


def test_an_invalid_event_is_refused() -> None:
    invalid = [p for p in make_plan(1_000, 7).events if p.kind is Kind.INVALID]
    assert {taken(p).refusal for p in invalid} >= {"unknown-channel", "unknown-category", "two-contents"}


def test_the_demo_does_not_depend_on_the_time_of_day(tmp_path: Path) -> None:
    settings = options(tmp_path, seed=7, chaos="none", kafka=None).settings
    assert load_policy(settings["STREAMS_POLICY_FILE"]).of("acme").quiet_hours == {}
    assert load_policy(None).of("acme").quiet_hours.get(Category.MARKETING) is not None
    assert set(load_templates(settings["TEMPLATES_FILE"])) == set(TEMPLATES)
