"""Just enough reading of SQL to serve it over HTTP: what kind it is, its FORMAT, where inline data begins.

Guarantees: strings, quoted names and comments are never taken for keywords; a second statement is refused as
ClickHouse's HTTP interface does; the bytes after `FORMAT name` of an INSERT are data, whatever is in them.
Leaves to the engine everything else, above all whether the statement is right.
"""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.clickhouse_errors import Code, refusal

TOKEN = re.compile(
    rb"""(?P<blank> \s+ | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/ )
       | (?P<quoted> '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*`
                   | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
       | (?P<word> [A-Za-z_]\w* )
       | (?P<other> \d\w* | . )""",
    re.VERBOSE | re.DOTALL,
)
# What a GET may run: over HTTP it implies readonly.
READING = frozenset(
    {b"SELECT", b"WITH", b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS", b"VALUES", b"FROM", b"("}
)
# Blanks the parser skips between the format's name and the data; of line ends only the first.
DATA_GAP = re.compile(rb"[ \t\f]*(?:\r?\n)?")


class Kind(enum.Enum):
    """What a statement does, as far as HTTP cares."""

    READ = "read"
    """Answers with a result in its format."""
    WRITE = "write"
    """Changes something, all of it said in the statement."""
    INSERT = "insert"
    """Inserts data that follows the statement, in its format."""
    INSERT_SELECT = "insert select"
    """Inserts what a SELECT makes of the data that follows, which it calls `input(…)`."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, without the data that may follow it; `format` is the one it names.

    `data_at` is where the data begin in the source; `data_source` is the part of `sql` to be replaced by
    where they are read from (of an INSERT an empty part, of an INSERT_SELECT its `input(`).
    """

    kind: Kind
    sql: bytes
    format: str | None = None
    data_at: int | None = None
    data_source: tuple[int, int] = (0, 0)

    def reading_from(self, file: str) -> bytes:
        """The statement that reads its data from `file`, a name in the engine's own form, without quotes."""
        start, end = self.data_source
        if self.kind is Kind.INSERT:
            source = f" FROM INFILE '{file}' COMPRESSION 'none' "
        else:
            source = f"file('{file}', '{self.format}', "
        return self.sql[:start] + source.encode() + self.sql[end:]


@dataclass(frozen=True, slots=True)
class _Token:
    text: bytes
    start: int
    end: int
    word: bool

    @property
    def key(self) -> bytes:
        return self.text.upper() if self.word or len(self.text) == 1 else b""


def read_statement(source: bytes) -> Statement:
    """The statement that `source` begins with, together with where its data begin.

    Raises ClickHouseError SYNTAX_ERROR for a second statement and UNKNOWN_TYPE_OF_QUERY for FROM INFILE.
    """
    tokens = _tokens(source)
    first = next(tokens, None)
    if first is None:
        raise refusal(Code.SYNTAX_ERROR, "Empty query")
    if first.key == b"INSERT":
        return _read_insert(source, tokens)
    named: str | None = None
    before = first
    end = first.end
    for token in tokens:
        if token.key == b";":
            _expect_end(tokens)
            break
        if before.key == b"FORMAT" and token.word:
            named = token.text.decode()
        before, end = token, token.end
    kind = Kind.READ if first.key in READING else Kind.WRITE
    return Statement(kind, source[:end], named)


def _read_insert(source: bytes, tokens: Iterator[_Token]) -> Statement:
    settings_at: int | None = None
    input_at: tuple[int, int] | None = None
    selects = False
    depth = 0
    before = _Token(b"INSERT", 0, 0, True)
    end = 0
    for token in _after_table(tokens):
        if token.key == b"(":
            if before.key == b"INPUT":
                input_at = (before.start, token.end)
            depth += 1
        elif token.key == b")":
            depth -= 1
        elif token.key in (b"SELECT", b"WITH"):
            selects = True
        elif depth == 0 and before.key == b"FROM" and token.key == b"INFILE":
            raise refusal(
                Code.UNKNOWN_TYPE_OF_QUERY, "Query has infile and was sent directly to server: send the data"
            )
        elif depth == 0 and token.key == b"VALUES" and not selects:
            # The engine reads the values itself, also expressions among them.
            return Statement(Kind.WRITE, source)
        elif depth == 0 and token.key == b"SETTINGS" and settings_at is None and not selects:
            settings_at = token.start
        elif depth == 0 and before.key == b"FORMAT" and token.word and (not selects or input_at is not None):
            gap = DATA_GAP.match(source, token.end)
            data_at = gap.end() if gap is not None else token.end
            if source[data_at : data_at + 1] == b";":
                raise refusal(Code.SYNTAX_ERROR, "You have ';' symbol before data in INSERT query")
            name = token.text.decode()
            if input_at is not None:
                return Statement(Kind.INSERT_SELECT, source[: before.start], name, data_at, input_at)
            at = before.start if settings_at is None else settings_at
            return Statement(Kind.INSERT, source[: token.end], name, data_at, (at, at))
        elif token.key == b";":
            _expect_end(tokens)
            break
        before, end = token, token.end
    return Statement(Kind.WRITE, source[:end])


def _after_table(tokens: Iterator[_Token]) -> Iterator[_Token]:
    """The tokens of an INSERT after the table's name, which may be any word, `format` and `values` too."""
    expected = False
    for token in tokens:
        if token.key in (b"INTO", b"TABLE"):
            expected = True
        elif token.key == b"FUNCTION":
            expected = False
        elif expected:
            break
        else:
            yield token
    for token in tokens:
        if expected and token.key == b".":
            next(tokens, None)
            continue
        expected = False
        yield token


def _expect_end(tokens: Iterator[_Token]) -> None:
    for token in tokens:
        if token.key != b";":
            raise refusal(
                Code.SYNTAX_ERROR,
                f"Syntax error (Multi-statements are not allowed): failed at position {token.start}: "
                f"{token.text[:40].decode(errors='replace')}. Send one statement in one request",
            )


def _tokens(source: bytes) -> Iterator[_Token]:
    for match in TOKEN.finditer(source):
        if match.lastgroup != "blank":
            yield _Token(match[0], match.start(), match.end(), match.lastgroup == "word")
