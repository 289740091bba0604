"""What Microsoft's error codes mean for NocoBase's mail, and what to do about them.

The table is `error_codes.json`. `explain` prints it, and other errors take their reasons from it. Each entry names its
source; the wording is this program's own. Pure; reads the table once.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

AADSTS = re.compile(r"AADSTS\s?(\d{4,8})|error\?code=(\d{4,8})|\"error_codes\":\s*\[\s*(\d{4,8})", re.IGNORECASE)
"""How Entra ID's codes are written in messages, links and answers."""

STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
"""An enhanced mail status code."""

REPLY = re.compile(rf"\b[45]\d\d[ -]{STATUS.pattern}")
"""A mail server's reply: a reply code, then the enhanced one."""

LOOK_UP = "https://login.microsoftonline.com/error?code="
"""Microsoft's own page for one of Entra ID's codes."""


@dataclass(frozen=True)
class Entry:
    """One code.

    title: what happened, in a few words. meaning: why. remedy: what to do. source: where this is documented.
    deployer: what to do if the error comes from the deployer's own sign-in, if that differs. also: other codes with the
    same meaning. matches: regular expressions that recognise it in a text without its code.
    """

    code: str
    title: str
    meaning: str
    remedy: str
    source: str
    deployer: str | None = None
    also: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """One code as a text has it; entry: None if the table does not have the code."""

    code: str
    entry: Entry | None


@functools.cache
def entries() -> tuple[Entry, ...]:
    """The table."""
    table = json.loads(Path(__file__).with_name("error_codes.json").read_text(encoding="utf-8"))
    sources: dict[str, str] = table["sources"]
    return tuple(
        Entry(
            row["code"],
            row["title"],
            row["meaning"],
            row["remedy"],
            sources[row["source"]],
            row.get("deployer"),
            tuple(row.get("also", ())),
            tuple(row.get("matches", ())),
        )
        for row in table["codes"]
    )


def find(text: str) -> list[Found]:
    """The codes in `text`, each once, in their order there; also those that the table does not have."""
    found: dict[str, Found] = {}
    for _, code, entry in sorted(_matches(text), key=lambda match: match[0]):
        found.setdefault(entry.code if entry else code, Found(code, entry))
    return list(found.values())


def nearest(text: str) -> list[str]:
    """The known codes that come closest to `text`, best first; empty if none is close."""
    names = {name.lower(): entry.code for entry in entries() for name in (entry.code, entry.title, *entry.also)}
    wanted = text.strip().lower()
    if wanted.isdigit():
        wanted = f"aadsts{wanted}"
    close = difflib.get_close_matches(wanted, names, n=5)
    return list(dict.fromkeys(names[match] for match in close))[:3]


def reason(text: str, deployer: bool = False) -> tuple[str, str | None] | None:
    """The first code in an error's `text` with its title, and the remedy; None if there is no code.

    deployer: whether the error comes from the deployer's own sign-in. The rest of the text is not repeated: it may
    contain secrets.
    """
    found = find(text)
    if not found:
        return None
    first = next((match for match in found if match.entry), found[0])
    if first.entry is None:
        return first.code, None
    remedy = (first.entry.deployer if deployer else None) or first.entry.remedy
    return f"{first.code}: {first.entry.title}", remedy


def _matches(text: str) -> Iterator[tuple[int, str, Entry | None]]:
    """Position, code and entry of everything that is recognised."""
    known = {code: entry for entry in entries() for code in (entry.code, *entry.also)}
    numbers = [(match.start(), next(filter(None, match.groups()))) for match in AADSTS.finditer(text)]
    if re.fullmatch(r"[\d\s,]+", text):
        numbers += [(match.start(), match[0]) for match in re.finditer(r"\d{4,8}", text)]
    for position, number in numbers:
        code = f"AADSTS{number}"
        yield position, code, known.get(code)
    for entry in entries():
        for pattern in entry.matches:
            if match := re.search(pattern, text, re.IGNORECASE):
                yield match.start(), entry.code, entry
    alone = re.fullmatch(rf"\s*(?:{STATUS.pattern})\s*", text)
    for match in [alone] if alone else REPLY.finditer(text):
        status = STATUS.findall(match[0])[-1]
        if status not in _known_statuses():
            yield match.start(), status, None


@functools.cache
def _known_statuses() -> frozenset[str]:
    """The mail status codes that the table has."""
    texts = (entry.code + " " + " ".join(entry.matches).replace("\\.", ".") for entry in entries())
    return frozenset(status for text in texts for status in re.findall(r"\d\.\d{1,3}\.\d{1,3}", text))
