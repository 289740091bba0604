"""What Microsoft's error codes mean for NocoBase's mail, and what to do about them.

The table is `error_codes.json`. `explain` prints it, and other errors take their reasons from it. `error_texts.json`
has what holds no code: Microsoft's pages, and the lines that Node.js writes to NocoBase's log. Only `explain` looks for
those. Each entry names its source; the wording is this program's own. Pure; reads each table once.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

AADSTS = re.compile(r"AADSTS\s?(\d{4,8})|error\?code=(\d{4,8})|\"error_codes\":\s*\[\s*(\d{4,8})", re.IGNORECASE)
"""How Entra ID's codes are written in messages, links and answers."""

STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")
"""An enhanced mail status code."""

REPLY = re.compile(rf"\b[45]\d\d[ -]{STATUS.pattern}")
"""A mail server's reply: a reply code, then the enhanced one."""

ALIKE = 0.7
"""How alike a text is to a title, 0 to 1, that may be meant by it."""

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
    table = _table("error_codes.json")
    return tuple(_entry(row, table["sources"]) for row in table["codes"])


@dataclass(frozen=True)
class Texts:
    """What a page or a log says without a code.

    alone: what counts only where no code is in the text; one of Microsoft's pages is the entry of the code that it
    stands for, with the page's own words as its matches. network: what counts beside codes, too.
    otherwise: what to do where nothing is recognised, a sentence each.
    """

    alone: tuple[Entry, ...]
    network: tuple[Entry, ...]
    otherwise: tuple[str, ...]


@functools.cache
def texts() -> Texts:
    """The table of texts."""
    table = _table("error_texts.json")
    codes = {entry.code: entry for entry in entries()}
    pages = (replace(codes[row["code"]], matches=tuple(row["matches"])) for row in table["pages"])
    answers, network = ([_entry(row, table["sources"]) for row in table[part]] for part in ("answers", "network"))
    return Texts((*pages, *answers), tuple(network), tuple(table["otherwise"]))


def _table(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return read


def _entry(row: Mapping[str, Any], sources: Mapping[str, str]) -> Entry:
    return Entry(
        code=row["code"],
        title=row["title"],
        meaning=row["meaning"],
        remedy=row["remedy"],
        source=sources[row["source"]],
        deployer=row.get("deployer"),
        also=tuple(row.get("also", ())),
        matches=tuple(row.get("matches", ())),
    )


def find(text: str) -> list[Found]:
    """The codes in `text`, each once, in their order there; also those that the table does not have."""
    return _in_order(_matches(text))


def find_with_texts(text: str) -> list[Found]:
    """The same, and what is said there without a code."""
    codes = list(_matches(text))
    known = texts()
    without = (*known.network, *(() if codes else known.alone))
    return _in_order([*codes, *_recognised(text, without)])


def _in_order(matches: Iterable[tuple[int, str, Entry | None]]) -> list[Found]:
    found: dict[str, Found] = {}
    for _, code, entry in sorted(matches, key=lambda match: match[0]):
        found.setdefault(entry.code if entry else code, Found(code, entry))
    return list(found.values())


def nearest(text: str) -> list[str]:
    """The known codes that `text` may mean: those one character away from it, else those with a title much like it."""
    wanted = text.strip().lower()
    if wanted.isdigit():
        wanted = f"aadsts{wanted}"
    titles = {entry.title.lower(): entry.code for entry in entries()}
    close = [code for entry in entries() for code in (entry.code, *entry.also) if _one_apart(wanted, code.lower())]
    alike = [titles[title] for title in difflib.get_close_matches(wanted, titles, cutoff=ALIKE)]
    return list(dict.fromkeys(close or alike))[:3]


def _one_apart(one: str, other: str) -> bool:
    """Whether a single character more, less or changed makes one text the other."""
    short, long = sorted((one, other), key=len)
    same = next((at for at, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]), len(short))
    return long[same + 1 :] == short[same + (len(short) == len(long)) :]


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
    yield from _recognised(text, entries())
    alone = re.fullmatch(rf"\s*(?:{STATUS.pattern})\s*", text)
    for match in [alone] if alone else REPLY.finditer(text):
        status = STATUS.findall(match[0])[-1]
        if status not in _known_statuses():
            yield match.start(), status, None


def _recognised(text: str, known: Iterable[Entry]) -> Iterator[tuple[int, str, Entry]]:
    """Position, code and entry of what is recognised by its words; apostrophes may be curly."""
    plain = text.replace("\u2019", "'")
    for entry in known:
        for pattern in entry.matches:
            if match := _pattern(pattern).search(plain):
                yield match.start(), entry.code, entry


@functools.cache
def _pattern(words: str) -> re.Pattern[str]:
    """What recognises words of a table: in any case, and wherever a page or a terminal has wrapped them."""
    return re.compile(words.replace(" ", r"\s+"), re.IGNORECASE)


@functools.cache
def _known_statuses() -> frozenset[str]:
    """The mail status codes that the table has."""
    texts = (entry.code + " " + " ".join(entry.matches).replace("\\.", ".") for entry in entries())
    return frozenset(status for text in texts for status in re.findall(r"\d\.\d{1,3}\.\d{1,3}", text))
