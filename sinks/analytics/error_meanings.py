"""What Twilio's error codes mean for whoever reads a report, and what to do (facts, Twilio section 5).

Twilio publishes no advice in a form a table could take; this is the project's reading of the single error
pages, in its own words. A code that is not here is shown with where to look it up.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    meaning: str
    what_to_do: str


_SETUP = "Nothing gets through until it is mended: see the sender and the account in Twilio's console."
_NUMBER = "Stop writing to this number on this channel; correct it at its source."
_LATER = "Tried again by itself. Look closer only when one carrier has many."
_SLOWER = "Lower SENDER_RATE for this sender, or add senders."
_OPTED = "Respect it: the person is on the consent ledger now."
_TEXT = "Change the text or the media; the same content fails again."
_UNSURE = "It may have arrived. Do not send it again unless the provider proves it did not."

MEANINGS: dict[int, Meaning] = {
    20003: Meaning("Twilio does not accept our credentials", "Check the account SID and the API key."),
    20404: Meaning("Twilio knows no such resource", "Check the account and the SIDs in the settings."),
    20429: Meaning("too many calls at once; this one was not processed", _SLOWER),
    20500: Meaning("an error inside Twilio", _UNSURE),
    20503: Meaning("Twilio was not available", _UNSURE),
    21211: Meaning("not a possible phone number", _NUMBER),
    21212: Meaning("the sender is not valid", _SETUP),
    21265: Meaning("the recipient is a short code", _NUMBER),
    21266: Meaning("recipient and sender are the same number", "Correct the recipient in the request."),
    21408: Meaning(
        "sending to this country is switched off",
        "Enable the country under Messaging → Geo permissions.",
    ),
    21606: Meaning("this sender cannot reach this destination", _SETUP),
    21608: Meaning("an unverified recipient on a trial or unapproved account", "Upgrade the account."),
    21610: Meaning("the person has opted out of this sender", _OPTED),
    21611: Meaning("the queue of this sender is full", _SLOWER),
    21612: Meaning("no route from this sender to this number", "Try another sender for this country."),
    21614: Meaning("not a mobile number", _NUMBER),
    21617: Meaning("longer than 1600 characters", "Shorten the text."),
    21635: Meaning("a landline", _NUMBER),
    21659: Meaning("the sender is not a Twilio number", _SETUP),
    21660: Meaning("the sender belongs to another account", _SETUP),
    21661: Meaning("the sender cannot send SMS", _SETUP),
    21703: Meaning("the Messaging Service has no suitable sender", _SETUP),
    21704: Meaning("the Messaging Service has no sender", _SETUP),
    30001: Meaning("waited too long in the queue of the sender", _SLOWER),
    30002: Meaning("the account is suspended", "Stop sending and contact Twilio."),
    30003: Meaning("the handset is off or out of reach", _LATER),
    30004: Meaning(
        "blocked: by the person, a list or the carrier", "Do not repeat it; ask on another channel."
    ),
    30005: Meaning("the number does not exist any more", _NUMBER),
    30006: Meaning("a landline, or a carrier out of reach", _NUMBER),
    30007: Meaning(
        "filtered as spam by Twilio or the carrier",
        "Never repeat it as it is: review the text, its links and the sender's registration.",
    ),
    30008: Meaning("failed for a reason the carrier does not tell", "Tried once more by itself."),
    30009: Meaning("a part of an inbound message is missing", "Nothing; the person may write again."),
    30010: Meaning("dearer than the maximum price set", "Do not set MaxPrice; it is obsolete."),
    30017: Meaning("the carrier was congested", _LATER),
    30018: Meaning("the sender ID will need a registration in this country", "Register it in time."),
    30019: Meaning("larger than the carrier takes", "Use smaller media."),
    30022: Meaning("above the rate of the 10DLC campaign", _SLOWER),
    30023: Meaning("the daily limit of the brand is used up", "Goes on after midnight, Pacific time."),
    30024: Meaning("the numeric sender is not provisioned at the carrier", _SETUP),
    30025: Meaning("50 % of T-Mobile's daily limit is used", "Plan the rest of the day."),
    30026: Meaning("70 % of T-Mobile's daily limit is used", "Plan the rest of the day."),
    30027: Meaning("T-Mobile's daily limit is used up", "Goes on after midnight, Pacific time."),
    30032: Meaning("the toll-free number is not verified", "Submit its verification."),
    30033: Meaning("the 10DLC campaign is suspended", "Ask Twilio why, and appeal."),
    30034: Meaning("the number is in no 10DLC campaign", "Register the campaign and add the number."),
    30035: Meaning("the number is still being set up", "Wait up to 24 hours."),
    30036: Meaning("its validity period was over before it could go", "Allow more time or a faster sender."),
    30037: Meaning("outbound messaging is switched off for the account", "Contact Twilio."),
    30038: Meaning("an inbound one-time code was redacted", "Nothing."),
    30039: Meaning("two machines were answering each other", "Nothing, unless we are one of them."),
    30040: Meaning("the sender ID is not registered in this country", "Register it."),
    30044: Meaning("the segment limit of a trial account", "Upgrade the account."),
    30046: Meaning("delivery was not confirmed", _UNSURE),
    30410: Meaning("the next provider did not answer in time", _UNSURE),
    30450: Meaning(
        "held back as suspected SMS pumping",
        "It lifts after 15 to 30 minutes; look for a form that bots fill in.",
    ),
    30453: Meaning("held back by fraud heuristics", "Wait some hours; check who triggers these messages."),
    30454: Meaning("too many to this destination", "Wait some hours; check who triggers these messages."),
    30500: Meaning("an error inside Twilio", _LATER),
    63001: Meaning("the channel does not accept its credentials", _SETUP),
    63003: Meaning("the recipient is not on this channel", "Use another channel for this person."),
    63005: Meaning("the channel refused the content", _TEXT),
    63007: Meaning("the sender is not set up for this channel", _SETUP),
    63013: Meaning("against the policy of the channel: empty variable, spaces, newlines", _TEXT),
    63015: Meaning("the recipient has not joined the sandbox", "Have them join, or use a real sender."),
    63016: Meaning("free text outside WhatsApp's 24 hours", "Send an approved template."),
    63017: Meaning("above what the account may send per second", _SLOWER),
    63018: Meaning("above what the channel takes per second", _SLOWER),
    63021: Meaning("invalid content, or a template over 1024 characters", _TEXT),
    63024: Meaning("the recipient cannot be reached on this channel", "Use another channel for this person."),
    63032: Meaning("the person takes part in an experiment of Meta", "Use another channel for this one."),
    63036: Meaning("not reachable by RCS", "Falls back to SMS when the request allows it."),
    63038: Meaning("the daily limit of the account is used up", "Wait; it counts the last 24 hours."),
    63049: Meaning("Meta holds marketing back from this person", "Do not repeat; use another channel."),
    11200: Meaning("our webhook answered late or wrongly", "Look at the ingress: its log and its metrics."),
    11205: Meaning("our webhook could not be reached", "Check PUBLIC_BASE_URL, DNS and the certificate."),
}

NO_CODE = Meaning("ended badly without a code", "Nothing to go by; see `show` for single ones.")


def meaning_of(code: int) -> Meaning:
    """What the table says, or where to look a code up that it does not know. 0 is no code."""
    if code == 0:
        return NO_CODE
    return MEANINGS.get(
        code, Meaning("a code this table does not know", f"https://www.twilio.com/docs/api/errors/{code}")
    )
