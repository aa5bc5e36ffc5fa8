"""Filling a template, and saying why it cannot be filled."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Template
from streams.templates import TemplateError, load_templates, render

TEXTS = {
    "shipped": {
        "en": "Order {order} shipped.",
        "pt": "Pedido {order} enviado.",
        "pt-BR": "Seu pedido {order}.",
    },
    "greeting": {"de": "Hallo {name}, {name}!"},
}


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
    assert render(TEXTS, template("shipped", locale, order="7")) == text


def test_a_variable_is_filled_everywhere_it_stands() -> None:
    assert render(TEXTS, template("greeting", "de", name="Ada")) == "Hallo Ada, Ada!"


def test_a_variable_nobody_uses_is_no_error() -> None:
    assert render(TEXTS, template(order="7", colour="red")) == "Order 7 shipped."


@given(st.text())
def test_a_value_is_put_in_as_it_is_and_never_filled_again(value: str) -> None:
    assert render({"t": {"en": "<{a}{b}>"}}, template("t", a=value, b="{a}")) == f"<{value}{{a}}>"


def test_a_brace_that_names_no_variable_stays() -> None:
    assert render({"t": {"en": "{ } {1} {a b}"}}, template("t")) == "{ } {1} {a b}"


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
        render({"t": {"en": "{b} {a} {c}"}}, template("t", c="1"))
    assert raised.value.reason == "missing-variable"


def test_templates_are_read_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "templates.yaml"
    path.write_text("shipped:\n  en: Order {order} shipped.\n")
    assert load_templates(str(path)) == {"shipped": {"en": "Order {order} shipped."}}


def test_no_templates_file_is_no_templates() -> None:
    assert load_templates(None) == {}


def test_a_templates_file_of_another_form_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "templates.yaml"
    path.write_text("shipped:\n  en: [1, 2]\n")
    with pytest.raises(msgspec.ValidationError, match=r"Expected `str`, got `array`"):
        load_templates(str(path))
