"""What systems that run jobs take for a command in a job's log: their parsers' rules, and what a person cannot see.

Written from the public behaviour of the Azure DevOps agent (`Command.TryParse`) and of GitHub's runner
(`ActionCommand.TryParse` and `TryParseV2`), without their code. Both read lines that end with CR, LF or CR LF.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

IGNORED = re.compile(
    "[\u00ad\u034f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]|[\x00-\x08\x0e-\x1f\x7f]"
)
"""What .NET's comparison of texts passes over."""

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Categories of characters that act or are not seen."""


def commands(text: str) -> list[str]:
    """Every command in a log, whichever system runs the job."""
    return [found for line in re.split(r"\r\n|\r|\n", text) for found in (*_azure(line), *_github(line))]


def _azure(line: str) -> Iterator[str]:
    """`##vso[area.action name=value;]text`, at any place of a line."""
    seen = IGNORED.sub("", line)
    for start in re.finditer(r"##vso\[", seen, re.IGNORECASE):
        inside, bracket, _ = seen[start.end() :].partition("]")
        if bracket and "." in inside.split(" ")[0]:
            yield seen[start.start() :]


def _github(line: str) -> Iterator[str]:
    """`::name key=value::text` after blanks, and the older `##[name key=value]text` at any place."""
    for start in re.finditer(r"##\[", line):
        inside, bracket, _ = line[start.end() :].partition("]")
        if bracket and inside.split(" ")[0]:
            yield line[start.start() :]
    trimmed = line.strip()
    if trimmed.startswith("::"):
        inside, colons, _ = trimmed[2:].partition("::")
        if colons and inside.split(" ")[0]:
            yield trimmed


def hidden(text: str) -> list[str]:
    """Every character besides line ends that acts or is not seen, and the surrogates that no stream can encode."""
    return [
        f"U+{ord(letter):04X}"
        for letter in text
        if letter != "\n" and (unicodedata.category(letter) in HIDDEN or IGNORED.match(letter))
    ]
