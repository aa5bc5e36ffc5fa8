"""An answer to an inbound message as TwiML.

Guarantees: always well-formed XML that says exactly this text, at most 1600 characters of it; no text, no
message.
"""

import re
from xml.sax.saxutils import escape

from ingress.accepted import Answer

LONGEST_TEXT = 1600
"""Characters of one message; Twilio refuses more with 21617 (facts, Twilio section 4)."""

MEDIA_TYPE = "text/xml"
# What is no Char of XML 1.0 (section 2.2), and the carriage return, of which a parser would make a newline.
_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
SILENCE = Answer(200, f"{_HEAD}<Response/>".encode(), MEDIA_TYPE)


def twiml(text: str | None) -> Answer:
    """`<Response>` with this one message; the empty one for None and for a text without anything to see."""
    if text is None or not (sayable := _NOT_IN_XML.sub("", text)[:LONGEST_TEXT]).strip():
        return SILENCE
    body = f"{_HEAD}<Response><Message>{escape(sayable)}</Message></Response>"
    return Answer(200, body.encode(), MEDIA_TYPE)
