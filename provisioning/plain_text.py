"""Output on a terminal or into a log that cannot show every character: marks become plain ASCII."""

from __future__ import annotations

import codecs
import io
import sys

PLAIN = {
    "→": "->",
    "✓": "OK",
    "✗": "failed",
    "…": "...",
    "█": "#",
    "░": "-",
    "▒": ":",
    "│": "|",
    "┃": "|",
    "¦": "|",
    "·": ".",
    "•": "*",
}
"""What is printed where the encoding has no such character; any other one becomes a question mark."""

HANDLER = "plain"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in missing), error.end


def use_plain_marks() -> None:
    """Make stdout and stderr print what their encoding can show, and plain ASCII instead of the rest."""
    codecs.register_error(HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)
