"""What Twilio's smart encoding makes of a text: similar GSM-7 characters for those that would cost UCS-2.

Only for counting and for the length limit: the provider is asked to do it, the text itself is sent as it is.
The pairs are those of Twilio's own calculator (TwilioDevEd/message-segment-calculator, SmartEncodingMap.ts,
June 2024; facts, Twilio section 7), with its peculiarities: most spaces become two, single guillemets turn
round. A text may get longer.
"""

# Each replacement, and every character it stands for.
_SIMILAR: tuple[tuple[str, str], ...] = (
    ('"', "«»“”„‟ʺˮ❝❞〝〞＂"),
    ("'", "‘’‛ʹʻʼʽˈˊˋ´`❛❜\u0313\u0314︐︑＇"),
    ("/", "÷⁄∕⧸\u0337\u0338／"),
    ("\\", "⧵⧹\u20e5﹨＼"),
    ("_", "‗\u0332＿"),
    ("|", "∣⎸⎹⏐⎜⎟\u20d2\u20d3｜"),
    ("-", "‐–—―•⁃⎼⎽﹣－"),
    ("@", "﹫＠"),
    ("$", "﹩＄"),
    ("!", "ǃ︕﹗！"),
    ("#", "﹟＃"),
    ("%", "﹪％"),
    ("&", "﹠＆"),
    (",", "‚\u0326、､﹐﹑，"),
    ("(", "❨❪⟮⦅﹙（"),
    (")", "❩❫⟯⦆﹚）"),
    ("*", "⁎∗⊛✢✣✤✥✱✲✳✺✻✼✽❃❉❊❋⧆﹡＊"),
    ("+", "˖﹢＋"),
    (".", "。｡﹒．"),
    (":", "ː˸⦂꞉︓："),
    (";", "⁏︔﹔；"),
    ("<", "›﹤＜"),
    ("=", "꞊\u0347﹦＝"),
    (">", "‹﹥＞"),
    ("?", "︖﹖？"),
    ("^", "ˆ\u0302\u1dcd＾"),
    ("{", "❴﹛｛"),
    ("}", "❵﹜｝"),
    ("[", "［"),
    ("]", "］"),
    ("~", "˜˷\u0303\u0330\u0334∼～"),
    ("1/4", "¼"),
    ("1/2", "½"),
    ("3/4", "¾"),
    ("!!", "‼"),
    ("...", "…"),
    (" ", "\u2001\u2028\u2029"),
    (
        "  ",
        "\u00a0\u2000\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
        "\u0080\u008d\u0090\u009b\u009f",
    ),
    ("       ", "\t"),
    ("", "\u0000\u0003\u0004\u0010\u0011\u0012\u0013\u0014\u0017\u0019\u200b\u2060\ufeff"),
)
# Letters and digits, one for one: fullwidth forms, and the small capitals that exist.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALL_CAPITALS = dict(zip("ABCDEFGHIJKLMNOPRSTUVWYZ", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", strict=True))
_FULLWIDTH = 0xFEE0

REPLACEMENTS: dict[str, str] = (
    {char: similar for similar, chars in _SIMILAR for char in chars}
    | {chr(ord(char) + _FULLWIDTH): char for char in "0123456789" + _LETTERS}
    | {small: char for char, small in _SMALL_CAPITALS.items()}
)
_TABLE = str.maketrans(REPLACEMENTS)


def smart_encoded(text: str) -> str:
    """The text as the provider will send it. What has no similar character stays, and makes it UCS-2."""
    return text.translate(_TABLE)
