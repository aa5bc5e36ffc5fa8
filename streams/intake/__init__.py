"""Intake: a producer's request becomes a normalised one, or a refused one with a reason it understands.

Pure and stateless: the same request at the same place always gives the same result. Duplicates are not
noticed here but where the notification's row lives.
"""

from streams.intake.bounds import MAX_BODY, MAX_MEDIA, MAX_NAME, MAX_REQUEST, MAX_STEPS, MAX_WAIT_MS
from streams.intake.fingerprint import content_hash
from streams.intake.normal import normalise
from streams.intake.policy import IntakePolicy
from streams.intake.refusals import Refusal, Unidentifiable

__all__ = [
    "MAX_BODY",
    "MAX_MEDIA",
    "MAX_NAME",
    "MAX_REQUEST",
    "MAX_STEPS",
    "MAX_WAIT_MS",
    "IntakePolicy",
    "Refusal",
    "Unidentifiable",
    "content_hash",
    "normalise",
]
