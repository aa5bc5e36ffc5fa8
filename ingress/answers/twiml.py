"""An answer to an inbound message as TwiML.

Guarantees: always well-formed XML that says exactly this text, at most 1600 characters of it; no text, no
message.
"""

from xml.sax.saxutils import escape

from ingress.accepted import Answer

LONGEST_TEXT = 1600
"""Characters of one message; Twilio refuses more with 21617 (facts, Twilio section 4)."""

MEDIA_TYPE = "text/xml"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
SILENCE = Answer(200, f"{_HEAD}<Response/>".encode(), MEDIA_TYPE)


def twiml(text: str | None) -> Answer:
    """`<Response>` with this one message; the empty one for None and for a text without anything to see."""
    if text is None or not (sayable := "".join(filter(_in_xml, text))[:LONGEST_TEXT]).strip():
        return SILENCE
    body = f"{_HEAD}<Response><Message>{escape(sayable)}</Message></Response>"
    return Answer(200, body.encode(), MEDIA_TYPE)


def _in_xml(character: str) -> bool:
    """Char of XML 1.0, section 2.2, without the carriage return that a parser would make a newline of."""
    return (
        " " <= character <= "\ud7ff"
        or character in "\t\n"
        or "\ue000" <= character <= "\ufffd"
        or character >= "\U00010000"
    )
