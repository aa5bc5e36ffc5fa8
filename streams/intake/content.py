"""What one step says: the text or the approved template, its own or the request's.

A step that names content of its own has that alone; one that names none has the request's. Only WhatsApp may
have both, a text for within 24 hours of a message of the recipient and a template for outside: there each is
taken by itself, the step's before the request's. A template of ours is a text, and on WhatsApp also the
template that the provider approved of it, where the templates file names one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from schemas.records import NotifyRequest, StepRequest, Template
from schemas.vocabulary import Channel
from streams.intake.bounds import MAX_MEDIA
from streams.intake.refusals import Refusal
from streams.templates import Rendered, TemplateError, Templates, render


class Content(NamedTuple):
    """`body` and `content_sid` may both be None when there are media."""

    body: str | None
    content_sid: str | None = None
    variables: Mapping[str, str] = MappingProxyType({})


def content_of(request: NotifyRequest, step: StepRequest, channel: Channel, templates: Templates) -> Content:
    """The step's text and template. Raises Refusal."""
    if channel is Channel.WHATSAPP:
        return _on_whatsapp(request, step, templates)
    own = has_own_content(step)
    body, template = (step.body, step.template) if own else (request.body, request.template)
    if template is None:
        return Content(body)
    if body is not None:
        raise _two_contents()
    if _approved(template):
        return Content(None, template.name, template.variables)
    return Content(_rendered(templates, template).text)


def has_own_content(step: StepRequest) -> bool:
    return step.body is not None or step.template is not None


def check_one_content(request: NotifyRequest) -> None:
    """What steps share is one content. Raises Refusal."""
    if request.template is not None and request.body is not None:
        raise _two_contents()


def check_media(media_urls: tuple[str, ...]) -> None:
    """Raises Refusal."""
    if len(media_urls) > MAX_MEDIA:
        raise Refusal("too-many-media", f"{len(media_urls)} media_urls; at most {MAX_MEDIA} can be sent")
    for url in media_urls:
        if not _fetchable(url):
            raise Refusal("bad-media-url", f"every media_url must be a public http(s) URL; not {url[:80]!r}")


def _on_whatsapp(request: NotifyRequest, step: StepRequest, templates: Templates) -> Content:
    body = step.body if step.body is not None else request.body
    template = step.template or request.template
    if template is None:
        return Content(body)
    if _approved(template):
        shared = request.template
        if body is None and shared is not None and not _approved(shared):
            body = _rendered(templates, shared).text
        return Content(body, template.name, template.variables)
    filled = _rendered(templates, template)
    if step.body is None:
        return Content(filled.text, filled.content_sid, filled.content_variables)
    if step.template is not None and filled.content_sid is None:
        raise Refusal(
            "two-contents",
            f"both body and template are set, and template {template.name!r} has no content_sid, so it is a "
            "text as well; set one, or name a template that the provider approved (HX…)",
        )
    return Content(step.body, filled.content_sid, filled.content_variables)


def _approved(template: Template) -> bool:
    return template.name.startswith("HX")


def _rendered(templates: Templates, template: Template) -> Rendered:
    try:
        return render(templates, template)
    except TemplateError as unfillable:
        raise Refusal(unfillable.reason, str(unfillable)) from unfillable


def _two_contents() -> Refusal:
    return Refusal("two-contents", "both body and template are set; set one")


def _fetchable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # e.g. half an IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
