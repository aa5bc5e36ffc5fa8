"""Filling a template, and saying why it cannot be filled."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Template
from streams.templates import TemplateError, Templates, TemplateTexts, load_templates, read_templates, render

SID, SID_PT = "HX" + "0" * 32, "HX" + "1" * 32
TEXTS = {
    "shipped": TemplateTexts(
        texts={
            "en": "Order {order} shipped.",
            "pt": "Pedido {order} enviado.",
            "pt-BR": "Seu pedido {order}.",
        }
    ),
    "greeting": TemplateTexts(texts={"de": "Hallo {name}, {name}!"}),
    "approved": TemplateTexts(
        texts={"en": "Hello {name}", "pt": "Olá {name}"},
        content_sids={"en": SID, "pt": SID_PT},
        content_variables={"1": "name", "2": "order"},
    ),
}


def one(text: str) -> Templates:
    """A single template, `t`, with this text."""
    return {"t": TemplateTexts(texts={"en": text})}


def template(name: str = "shipped", locale: str = "en", /, **variables: str) -> Template:
    return Template(name=name, variables=variables, locale=locale)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("pt-BR", "Seu pedido 7."),
        ("pt-PT", "Pedido 7 enviado."),
        ("pt", "Pedido 7 enviado."),
        ("fr-FR", "Order 7 shipped."),
        ("en-GB", "Order 7 shipped."),
    ],
)
def test_a_locale_falls_back_to_its_language_and_then_to_english(locale: str, text: str) -> None:
    assert render(TEXTS, template("shipped", locale, order="7")).text == text


def test_a_variable_is_filled_everywhere_it_stands() -> None:
    assert render(TEXTS, template("greeting", "de", name="Ada")).text == "Hallo Ada, Ada!"


def test_a_variable_nobody_uses_is_no_error() -> None:
    assert render(TEXTS, template(order="7", colour="red")).text == "Order 7 shipped."


@given(st.text())
def test_a_value_is_put_in_as_it_is_and_never_filled_again(value: str) -> None:
    assert render(one("<{a}{b}>"), template("t", a=value, b="{a}")).text == f"<{value}{{a}}>"


def test_a_brace_that_names_no_variable_stays() -> None:
    assert render(one("{ } {1} {a b}"), template("t")).text == "{ } {1} {a b}"


def test_a_template_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(TemplateError, match="greeting, shipped") as raised:
        render(TEXTS, template("unknown"))
    assert raised.value.reason == "unknown-template"


def test_a_locale_without_text_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(TemplateError, match=r"'fr'.*it has de") as raised:
        render(TEXTS, template("greeting", "fr"))
    assert raised.value.reason == "unknown-locale"


def test_missing_variables_are_all_named() -> None:
    with pytest.raises(TemplateError, match="needs a, b in variables") as raised:
        render(one("{b} {a} {c}"), template("t", c="1"))
    assert raised.value.reason == "missing-variable"


def test_a_value_that_was_given_under_another_name_is_told_beside_the_missing_one() -> None:
    with pytest.raises(TemplateError, match="needs order in variables; given and not used: odrer"):
        render(TEXTS, template(odrer="7"))


@pytest.mark.parametrize(("locale", "sid"), [("en", SID), ("pt-BR", SID_PT), ("de", SID)])
def test_what_the_provider_approved_falls_back_as_the_text_does(locale: str, sid: str) -> None:
    assert render(TEXTS, template("approved", locale, name="Ada", order="7")).content_sid == sid


def test_the_providers_variables_are_filled_from_the_named_ones() -> None:
    found = render(TEXTS, template("approved", name="Ada", order="7", unused="x"))
    assert (found.text, found.content_variables) == ("Hello Ada", {"1": "Ada", "2": "7"})


def test_a_variable_that_only_the_providers_template_has_must_be_given() -> None:
    with pytest.raises(TemplateError, match="needs order in variables"):
        render(TEXTS, template("approved", name="Ada"))


def test_without_a_list_of_its_variables_the_providers_template_has_all_under_their_own_names() -> None:
    kept = {"t": TemplateTexts(texts={"en": "{a}"}, content_sids={"en": SID})}
    assert render(kept, template("t", a="1", b="2")).content_variables == {"a": "1", "b": "2"}


def test_a_text_that_nobody_approved_has_no_variables_for_the_provider() -> None:
    assert render(TEXTS, template(order="7")) == ("Order 7 shipped.", None, {})


def test_templates_are_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "templates.yaml"
    path.write_text("shipped:\n  en: Order {order} shipped.\n")
    assert load_templates(str(path)) == {"shipped": TemplateTexts(texts={"en": "Order {order} shipped."})}


def test_no_templates_file_is_no_templates() -> None:
    assert load_templates(None) == {}


FULL = f"""
order-shipped:
  en: Order {{order}} is on its way.
  content_sid: {{en: {SID}}}
  content_variables: {{"1": order}}
"""


def test_a_file_may_name_what_the_provider_approved() -> None:
    assert read_templates(FULL)["order-shipped"] == TemplateTexts(
        texts={"en": "Order {order} is on its way."},
        content_sids={"en": SID},
        content_variables={"1": "order"},
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("t:\n  en: [1, 2]\n", r"Expected `str \| object`, got `array`"),
        ("t:\n  en: {a: b}\n", "'en' of template 't' must be a text"),
        ("t:\n  en: x\n  content_sid: HX1\n", "content_sid of template 't' must be a mapping"),
        ("t:\n  en: x\n  content_sid: {en: HX1}\n", "a ContentSid is HX and 32 digits"),
        (f"t:\n  content_sid: {{en: {SID}}}\n", "'t' has no text"),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_place(text: str, told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=told):
        read_templates(text)
