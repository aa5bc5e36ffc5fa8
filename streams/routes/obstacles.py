"""Why a described sender cannot deliver something: what the carriers and the provider would refuse anyway,
found before it costs anything.

Pure. Sources of the codes: facts, Twilio section 5. What differs between countries is in the policy file's
`sender_rules`. Says nothing of what was not described: a Messaging Service without a campaign may have
senders of any kind.
"""

import re

from schemas.vocabulary import Channel
from streams.policy import CampaignState, SenderProfile, SenderRules, SenderType, Verification
from streams.routes.question import Question, Refused

_TEXTS = (Channel.SMS, Channel.MMS)
_LONGEST_NAME = 40
_FEWEST_DIGITS = 7
_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")


def obstacle(sender: str, profile: SenderProfile, question: Question, rules: SenderRules) -> Refused | None:
    """The first thing in the way, or None. What the operator decided comes before what carriers did."""
    name = f"{profile.type} {shown(sender)}"
    return (
        _not_meant_for(name, profile, question)
        or _one_way(name, profile, question, rules)
        or _unregistered(name, sender, profile, question, rules)
        or _unverified(name, profile, question, rules)
    )


def shown(sender: str) -> str:
    """The sender as it may be told: of a phone number, however written, only its end; of anything not too
    much."""
    digits = [each for each in sender if each.isdigit()]
    if len(digits) >= _FEWEST_DIGITS and not _SID.fullmatch(sender):
        return f"…{''.join(digits[-4:])}"
    return sender[:_LONGEST_NAME]


def _not_meant_for(name: str, profile: SenderProfile, question: Question) -> Refused | None:
    tenant, channel, country, category = (
        question.tenant,
        question.channel,
        question.country,
        question.category,
    )
    if profile.tenants is not None and tenant not in profile.tenants:
        return Refused("sender-tenant", f"{name} is for other tenants; add {tenant!r} to its tenants")
    if not profile.carries(channel):
        if channel is Channel.WHATSAPP:
            return Refused(
                "no-whatsapp-sender",
                f"{name} is no WhatsApp sender (Twilio 63007); once it is one, add whatsapp to its channels",
            )
        return Refused(
            "sender-channel", f"{name} sends no {channel}; add {channel} to its channels if it can"
        )
    if profile.countries is not None and country not in profile.countries:
        if profile.type is SenderType.SHORT_CODE:
            return Refused(
                "short-code-abroad",
                f"{name} is for {_listed(profile.countries)} only (Twilio 21606); route {country} elsewhere",
            )
        return Refused(
            "sender-country", f"{name} is for {_listed(profile.countries)}; add {country} to its countries"
        )
    if profile.categories is not None and category not in profile.categories:
        return Refused(
            "sender-category",
            f"{name} is for {_listed(profile.categories)}; add {category} to its categories",
        )
    return None


def _one_way(name: str, profile: SenderProfile, question: Question, rules: SenderRules) -> Refused | None:
    if profile.type is not SenderType.ALPHANUMERIC:
        return None
    if question.country in rules.no_alphanumeric:
        return Refused(
            "alphanumeric-country",
            f"{question.country} takes no names for senders (Twilio 21612): no {name}; route it to a number",
        )
    if question.category in rules.needs_reply and question.category not in (profile.categories or ()):
        return Refused(
            "one-way-sender",
            f"nobody can answer {name}, which {question.category} needs; route it to a number, or name "
            f"{question.category} in the sender's categories",
        )
    return None


def _unregistered(
    name: str, sender: str, profile: SenderProfile, question: Question, rules: SenderRules
) -> Refused | None:
    """10DLC: texts from +1 long codes, and from a Messaging Service that is said to have a campaign."""
    campaign = profile.campaign
    needs = profile.type is SenderType.LONG_CODE and sender.startswith("+1")
    if question.channel not in _TEXTS or question.country not in rules.campaign or not (needs or campaign):
        return None
    if campaign is not None and campaign.state is CampaignState.SUSPENDED:
        return Refused(
            "campaign-suspended",
            f"the campaign of {name} is suspended (Twilio 30033); settle it with the provider",
        )
    if campaign is None or campaign.state is not CampaignState.REGISTERED:
        state = f"its campaign is {campaign.state}" if campaign is not None else "it names none"
        return Refused(
            "campaign-unregistered",
            f"{question.country} takes texts of {name} only with a registered 10DLC campaign (Twilio 30034), "
            f"and {state}; register it and set campaign: {{state: registered}}",
        )
    if campaign.categories is not None and question.category not in campaign.categories:
        return Refused(
            "campaign-category",
            f"the campaign of {name} is registered for {_listed(campaign.categories)}, not for "
            f"{question.category}; route {question.category} to another sender, or register it",
        )
    return None


def _unverified(name: str, profile: SenderProfile, question: Question, rules: SenderRules) -> Refused | None:
    if (
        profile.type is not SenderType.TOLL_FREE
        or question.channel not in _TEXTS
        or question.country not in rules.verification
        or profile.verification is Verification.VERIFIED
    ):
        return None
    return Refused(
        "toll-free-unverified",
        f"{question.country} takes nothing of {name} before it is verified (Twilio 30032), and it is "
        f"{profile.verification or Verification.UNVERIFIED}; set verification: verified once it is",
    )


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
