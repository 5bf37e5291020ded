"""What is printed where a terminal or a log has a narrow character set, such as ASCII: nothing of it is an error."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

HANDLER = "maskgit_lab.plain"
# Characters of tables and sentences that do not decompose into ASCII: plus-minus, times, dots, dashes, quotes, arrows.
PLAIN = {
    **{"\u00b1": "+/-", "\u00d7": "x", "\u00b7": ".", "\u2248": "~", "\u2264": "<=", "\u2265": ">=", "\u2192": "->"},
    **dict.fromkeys("\u2013\u2014\u2212\u2500\u2501", "-"),
    **dict.fromkeys("\u201c\u201d", '"'),
    **dict.fromkeys("\u2018\u2019", "'"),
}


def make_printable() -> None:
    """Prints characters that the output cannot show as others that are like them."""
    codecs.register_error(HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not where a program has put something else in its place
            stream.reconfigure(errors=HANDLER)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    """A character in ASCII, or its number where none is like it, as for a byte of a file's name that is no UTF-8."""
    if character in PLAIN:
        return PLAIN[character]
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letters or character.encode("ascii", "backslashreplace").decode()
