"""The chain of steps of a request: which channels in which order, and what each says, counts and costs.

Guarantees: every step can be sent as it stands: it has content, its text fits, its deadline is one. A refusal
names the step. Leaves to admission which of a WhatsApp step's text and template is sent.
"""

from typing import NamedTuple

import msgspec

from schemas.records import NotifyRequest, Step, StepRequest, Template
from schemas.vocabulary import Category, Channel
from streams.intake import words
from streams.intake.bounds import MAX_BODY, MAX_STEPS, MAX_WAIT_MS
from streams.intake.content import Content, check_media, check_one_content, content_of, has_own_content
from streams.intake.refusals import Refusal
from streams.policy import ChainStep, TenantPolicy
from streams.prices import estimate
from streams.segments import Encoding, Segments, segments
from streams.smart_encoding import smart_encoded
from streams.templates import Templates


class Terms(NamedTuple):
    """What holds for all steps of a request."""

    country: str
    category: Category
    tenant: TenantPolicy
    templates: Templates


def steps_of(request: NotifyRequest, terms: Terms) -> tuple[Step, ...]:
    """The rendered chain, one step at least. Raises Refusal."""
    check_one_content(request)
    check_media(request.media_urls)
    chain = _chain(request, terms)
    steps: list[Step] = []
    for number, asked in enumerate(chain, start=1):
        try:
            steps.append(_step(request, asked, _media_before(steps), terms))
        except Refusal as refusal:
            alone = len(chain) == 1 and not request.steps
            raise (refusal if alone else refusal.of(f"step {number} ({asked.channel[:40]})")) from refusal
    return tuple(steps)


def _chain(request: NotifyRequest, terms: Terms) -> tuple[StepRequest, ...]:
    if request.steps and request.channels:
        raise Refusal(
            "steps-and-channels",
            "both steps and channels are set; steps name their channels, leave out channels",
        )
    if len(request.steps) > MAX_STEPS:
        raise Refusal("too-many-steps", f"{len(request.steps)} steps; at most {MAX_STEPS} can be taken")
    if request.steps:
        return request.steps
    if request.channels:
        return tuple(StepRequest(channel=name) for name in dict.fromkeys(request.channels))
    chain = terms.tenant.chains.get(terms.category) or (ChainStep(Channel.SMS),)
    # A chain for all of a category is no promise of media: without them its MMS steps are passed over.
    fitting = [each for each in chain if each.channel is not Channel.MMS or request.media_urls]
    return tuple(_as_asked(each, request.template) for each in fitting or chain)


def _as_asked(step: ChainStep, template: Template | None) -> StepRequest:
    """A step of the tenant's chain; a template of its own is filled with what the request's would be."""
    own = None
    if step.template is not None:
        own = msgspec.structs.replace(template or Template(name=step.template), name=step.template)
    return StepRequest(channel=step.channel, template=own, sender=step.sender, wait_ms=step.wait_ms)


def _step(request: NotifyRequest, asked: StepRequest, media_before: tuple[str, ...], terms: Terms) -> Step:
    channel = words.channel(asked.channel)
    _check_wait(asked.wait_ms)
    check_media(asked.media_urls)
    content = content_of(request, asked, channel, terms.templates)
    media = asked.media_urls or request.media_urls
    if channel is Channel.SMS and media_before and not asked.media_urls:
        media = ()
        if not has_own_content(asked):
            content = _with_links(content, media_before)
    if channel is Channel.MMS and not media and content.content_sid is None:
        raise Refusal("no-media", "an MMS without media_urls is an SMS; set media_urls, or use sms")
    body = content.body if content.body and content.body.strip() else None
    if body is None and content.content_sid is None and not media:
        raise Refusal("empty-body", "there is nothing to say: set body, template or media_urls")
    smart = _smart(request, channel, body, terms)
    counted = _counted(body or "", channel, smart)
    return Step(
        channel=channel,
        sender=asked.sender or request.sender,
        body=body,
        content_sid=content.content_sid,
        content_variables=dict(content.variables),
        media_urls=media,
        wait_ms=asked.wait_ms,
        encoding=counted.encoding,
        segments=counted.number,
        cost=estimate(terms.tenant.prices, terms.country, channel, counted.number),
        smart_encoded=smart,
    )


def _media_before(steps: list[Step]) -> tuple[str, ...]:
    """What the last MMS step showed: an SMS after it can only point there."""
    return next((step.media_urls for step in reversed(steps) if step.channel is Channel.MMS), ())


def _with_links(content: Content, media_urls: tuple[str, ...]) -> Content:
    if content.content_sid is not None:
        return content  # the provider keeps its text
    text = (content.body or "").rstrip()
    return content._replace(body="\n".join([*([text] if text else []), *media_urls]))


def _smart(request: NotifyRequest, channel: Channel, body: str | None, terms: Terms) -> bool:
    """Only an SMS is counted by its characters."""
    wanted = terms.tenant.smart_encoding if request.smart_encoding is None else request.smart_encoding
    return wanted and channel is Channel.SMS and body is not None


def _counted(body: str, channel: Channel, smart: bool) -> Segments:
    """What the text takes, as it will be sent. Raises Refusal when it is too long.

    Other channels than SMS count messages (facts, Twilio section 2: NumSegments).
    """
    text = smart_encoded(body) if smart else body
    longest = max(len(body), len(text))
    if longest > MAX_BODY:
        by_smart = " after smart encoding" if len(text) > len(body) else ""
        raise Refusal(
            "body-too-long", f"body has {longest} characters{by_smart}; at most {MAX_BODY} can be sent"
        )
    return segments(text) if channel is Channel.SMS else Segments(Encoding.GSM7, 1)


def _check_wait(wait_ms: int | None) -> None:
    if wait_ms is None:
        return
    if wait_ms < 0:
        raise Refusal("negative-wait", f"wait_ms is {wait_ms}; it is counted from the send, from 0 on")
    if wait_ms > MAX_WAIT_MS:
        raise Refusal(
            "wait-too-long", f"wait_ms is {wait_ms}; at most {MAX_WAIT_MS} (366 days) can be waited"
        )
