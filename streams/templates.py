"""Texts kept by the platform: name → locale → text with {named} variables.

A locale falls back to its language, then to `en` (`pt-BR` → `pt` → `en`). A template may also name, by
locale, the one the provider approved of the same content (WhatsApp outside its 24 hours), and for each of
that one's variables which of ours fills it:

    order-shipped:
      en: Order {order} is on its way.
      de: Bestellung {order} ist unterwegs.
      content_sid: {en: HX0123456789abcdef0123456789abcdef}
      content_variables: {"1": order}
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from schemas.records import Template

_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_CONTENT_SID = re.compile(r"HX[0-9a-fA-F]{32}")
_APPROVED, _FILLS = "content_sid", "content_variables"  # no locales: BCP 47 tags have no underscore


class TemplateTexts(msgspec.Struct, frozen=True, kw_only=True):
    """One template. `content_variables` is the provider's placeholder → our variable."""

    texts: dict[str, str]
    content_sids: dict[str, str] = {}
    content_variables: dict[str, str] = {}


Templates: TypeAlias = Mapping[str, TemplateTexts]


class Rendered(NamedTuple):
    """A template filled in: its text, and what the provider keeps of it, if anything."""

    text: str
    content_sid: str | None
    content_variables: dict[str, str]


class TemplateError(Exception):
    """The template cannot be filled; `reason` is the refusal's code."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def load_templates(path: str | None) -> Templates:
    """The templates file. Raises msgspec.ValidationError or OSError naming what is wrong with it."""
    return read_templates(Path(path).read_bytes()) if path else {}


def read_templates(text: bytes | str) -> Templates:
    """The templates in a file's text. Raises msgspec.ValidationError naming what is wrong with it."""
    entries = msgspec.yaml.decode(text, type=dict[str, dict[str, str | dict[str, str]]])
    return {name: _template(name, entry) for name, entry in entries.items()}


def render(templates: Templates, template: Template) -> Rendered:
    """A template in its locale. Raises TemplateError: no such name, locale or variable."""
    kept = templates.get(template.name)
    if kept is None:
        known = ", ".join(sorted(templates)) or "none"
        raise TemplateError("unknown-template", f"no template {template.name[:80]!r}; known: {known}")
    text = _in_locale(kept.texts, template.locale)
    if text is None:
        raise TemplateError(
            "unknown-locale",
            f"template {template.name!r} has no {', '.join(map(repr, _fallbacks(template.locale)))}; "
            f"it has {', '.join(kept.texts)}",
        )
    content_sid = _in_locale(kept.content_sids, template.locale)
    needed = set(_VARIABLE.findall(text))
    _check_variables(template, needed | (set(kept.content_variables.values()) if content_sid else set()))
    filled = _VARIABLE.sub(lambda found: template.variables[found[1]], text)
    if content_sid is None:
        return Rendered(filled, None, {})
    fills = kept.content_variables or {name: name for name in template.variables}
    return Rendered(filled, content_sid, {slot: template.variables[name] for slot, name in fills.items()})


def _check_variables(template: Template, needed: set[str]) -> None:
    missing = sorted(needed - set(template.variables))
    if not missing:
        return  # a value that nobody uses is no error: the texts of other locales may use it
    unused = sorted(set(template.variables) - needed)
    given = f"; given and not used: {', '.join(unused)[:200]}" if unused else ""
    raise TemplateError(
        "missing-variable", f"template {template.name!r} needs {', '.join(missing)} in variables{given}"
    )


def _fallbacks(locale: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((locale[:40], locale.partition("-")[0][:40], "en")))


def _in_locale(texts: Mapping[str, str], locale: str) -> str | None:
    return next((texts[tag] for tag in _fallbacks(locale) if tag in texts), None)


def _template(name: str, entry: Mapping[str, str | dict[str, str]]) -> TemplateTexts:
    texts: dict[str, str] = {}
    others: dict[str, dict[str, str]] = {}
    for key, value in entry.items():
        if key in (_APPROVED, _FILLS):
            if not isinstance(value, dict):
                raise msgspec.ValidationError(f"{key} of template {name!r} must be a mapping, not a text")
            others[key] = value
        elif isinstance(value, str):
            texts[key] = value
        else:
            raise msgspec.ValidationError(
                f"{key!r} of template {name!r} must be a text; mappings are only {_APPROVED} and {_FILLS}"
            )
    if not texts:
        raise msgspec.ValidationError(f"template {name!r} has no text in any locale")
    sids = others.get(_APPROVED, {})
    for locale, sid in sids.items():
        if not _CONTENT_SID.fullmatch(sid):
            raise msgspec.ValidationError(
                f"{_APPROVED} {locale} of template {name!r} is {sid!r}; a ContentSid is HX and 32 digits a–f"
            )
    return TemplateTexts(texts=texts, content_sids=sids, content_variables=others.get(_FILLS, {}))
