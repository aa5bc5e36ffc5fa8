"""Texts kept by the platform: name → locale → text with {named} variables.

A locale falls back to its language, then to `en` (`pt-BR` → `pt` → `en`).
"""

import re
from pathlib import Path

import msgspec

from schemas.records import Template

Templates = dict[str, dict[str, str]]
_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class TemplateError(Exception):
    """The template cannot be filled; `reason` is the refusal's code."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def load_templates(path: str | None) -> Templates:
    """The templates file. Raises msgspec.ValidationError or OSError naming what is wrong with it."""
    return msgspec.yaml.decode(Path(path).read_bytes(), type=Templates) if path else {}


def render(templates: Templates, template: Template) -> str:
    """The text of a template in its locale. Raises TemplateError: no such name, locale or variable."""
    texts = templates.get(template.name)
    if texts is None:
        known = ", ".join(sorted(templates)) or "none"
        raise TemplateError("unknown-template", f"no template {template.name!r}; known: {known}")
    language = template.locale.partition("-")[0]
    text = next((texts[tag] for tag in (template.locale, language, "en") if tag in texts), None)
    if text is None:
        raise TemplateError(
            "unknown-locale",
            f"template {template.name!r} has no {template.locale!r}, {language!r} or 'en'; "
            f"it has {', '.join(texts)}",
        )
    missing = sorted(set(_VARIABLE.findall(text)) - set(template.variables))
    if missing:
        raise TemplateError(
            "missing-variable", f"template {template.name!r} needs {', '.join(missing)} in variables"
        )
    return _VARIABLE.sub(lambda found: template.variables[found[1]], text)
