"""What is asked of the routes, and how they say no."""

import msgspec

from schemas.vocabulary import Category, Channel


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends this? `recipient` is E.164, `country` its ISO 3166-1 alpha-2 code, `sender` the one that the
    request, or the step of a tenant's chain, names itself."""

    tenant: str
    channel: Channel
    country: str
    category: Category
    recipient: str
    sender: str | None = None


class Refused(msgspec.Struct, frozen=True):
    """Why nobody can. `reason` is a code; `detail` says what to configure, and names no whole number."""

    reason: str
    detail: str
