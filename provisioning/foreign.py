"""Text from outside: NocoBase, Microsoft Graph, the engine, a file. It may be anything, so it is shown, never obeyed.

`quoted` and `listed` are for a text within a sentence, `one_line` for one that stands alone in a cell or in the state,
`harmless` for a whole message where it leaves this program, `harmless_lines` and `visible_lines` for one of any length.
None of them is for a value that is compared, written or sent.

What a text could do: move a terminal's cursor, reverse the line, hide letters, begin a line of its own, or be a command
to the system that runs a job. The Azure DevOps agent obeys `##vso[…]` anywhere in a line, GitHub's runner `##[…]`
anywhere and `::…::` at the beginning, behind blanks. Both compare by the rules of a language, which pass over
characters that nobody sees. Source: the agent's Command.cs, the runner's ActionCommand.cs.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from provisioning.addresses import comparable

LONGEST = 200
"""Characters of one text from outside that are shown or stored."""

LONGEST_MESSAGE = 10_000
"""Characters of a whole message."""

MOST_LISTED = 10
"""How many of many texts are named."""

CUT = "…"

DEEPEST_JSON = 100
"""Levels of JSON. Python itself ends at about 1,000, in whatever function comes upon it."""

GUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""How Entra ID writes every id."""

NO_GUID = "(not a client ID)"
"""What is shown and stored instead of a client ID that cannot be one: somebody may have pasted a secret there."""

WORD = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:///?)?(?!www\.)[A-Za-z0-9](?:[A-Za-z0-9._/?&=%+-]|(?<=[A-Za-z0-9]):(?=[0-9]))*"
)
"""What needs no quotation marks: it cannot be taken for words of this program, or for anything but itself."""

INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that show nothing. Control, format and separating characters are recognised by their category."""

UNSEEN = r"[^\x20-\x7e]*"
BLANK = r"[^\x21-\x7e]*"
"""What may be between the characters of a command: everything that is not surely seen, and blanks."""

ANYWHERE = re.compile(rf"#(?={UNSEEN}#{BLANK}(?:v{BLANK}s{BLANK}o{BLANK})?\[)", re.IGNORECASE)
AT_THE_BEGINNING = re.compile(rf"^({BLANK}:)(?={UNSEEN}:)")


def quoted(value: object) -> str:
    """A text from outside for a sentence: one line, cut, and in quotation marks unless it is a single plain word.

    There are no such marks and no backticks within, so that nobody takes what follows a mark for this program's words.
    """
    text = one_line(_with_ascii_host(str(value)[: 10 * LONGEST]))
    return text if WORD.fullmatch(text) else '"' + text.replace('"', "'").replace("`", "'") + '"'


def listed(values: Iterable[object]) -> str:
    """Many texts from outside for a sentence: the first MOST_LISTED, and how many more there are."""
    return counted(map(quoted, values))


def counted(texts: Iterable[str]) -> str:
    """The same for texts in which what is from outside is quoted already."""
    found = list(texts)
    more = f" and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    return ", ".join(found[:MOST_LISTED]) + more


def one_line(value: object, longest: int = LONGEST) -> str:
    """A text from outside that stands alone: what acts or hides in it is shown by its code, and the end is cut."""
    text = visible(str(value)[: longest + 1])
    text = re.sub(r"#(?=#)", "# ", text)
    text = re.sub(r":(?=:[A-Za-z])", ": ", text)
    return text if len(text) <= longest else f"{text[: longest - 1]}{CUT}"


def harmless(text: str) -> str:
    """A whole message, line by line: no line has a character that acts or hides, or a command to a job's log."""
    left_out = len(text) - LONGEST_MESSAGE
    cut = f"{CUT} ({left_out} characters are left out)" if left_out > 0 else ""
    return harmless_lines(text[:LONGEST_MESSAGE]) + cut


def harmless_lines(text: str) -> str:
    """The same, of any length: a blank is put into each command to a job's log."""
    lines = visible_lines(text).split("\n")
    return "\n".join(AT_THE_BEGINNING.sub(r"\1 ", ANYWHERE.sub("# ", line)) for line in lines)


def visible_lines(text: str) -> str:
    """Each line of `text` as `visible` shows it, with blanks for tabs."""
    return "\n".join(map(visible, text.replace("\r\n", "\n").expandtabs(4).split("\n")))


def visible(text: str) -> str:
    r"""`text` with every character that acts, hides or begins a line as its code, like \x1b and \u202e."""
    if text.isprintable() and not INVISIBLE.search(text):
        return text
    return text.translate({ord(letter): _code(letter) for letter in set(text)})


def _code(letter: str) -> str:
    if letter.isprintable() and not INVISIBLE.match(letter):
        return letter
    if unicodedata.category(letter) == "Zs":
        return " "
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _with_ascii_host(text: str) -> str:
    """A URL whose host has letters that may look like others, with the host as the network knows it (punycode).

    If there is no such form, its letters beyond ASCII are shown by their codes.
    """
    if text.isascii() or "://" not in text:
        return text
    known = comparable(text)
    try:
        if urlsplit(known).netloc.isascii():
            return known
    except ValueError:
        pass
    return text.encode("ascii", "backslashreplace").decode()


def guid(text: object, otherwise: str = NO_GUID) -> str:
    """An id of Entra ID as it is, and `otherwise` for what cannot be one."""
    return str(text) if re.fullmatch(GUID, str(text)) else otherwise


def redact(text: str, secrets: Collection[str]) -> str:
    """`text` with each of `secrets` replaced by a placeholder, also in the form of `one_line`, and where it was cut."""
    for secret in sorted({form for one in secrets if one for form in _forms(one)}, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
        for length in range(min(len(secret) - 1, LONGEST), SHORTEST_PART, -1) if CUT in text else ():
            text = text.replace(f"{secret[:length]}{CUT}", f"{REDACTED}{CUT}")
    return text


REDACTED = "[secret]"

SHORTEST_PART = 3
"""Characters of a secret before a cut that may stay: any other word may begin with them, too."""


def _forms(secret: str) -> set[str]:
    line = one_line(secret, 10 * len(secret) + 1)
    return {secret, line, line.replace('"', "'").replace("`", "'")}


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError, also for one that is more than DEEPEST_JSON levels deep."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is too deep") from None
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _content(one)]
        if not level:
            return value
    raise ValueError("JSON that is too deep")


def _content(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


PARTS = re.compile(r"""(?P<own>`[^`\n]+`)|"(?P<quoted>[^"\n]*)"|(?P<url>\b(?:https?://|www\.)[^\s"`]*[^\s"`.,;:)])""")
"""What has a form of its own in a sentence: this program's code, a quoted text from outside, an address."""

ACTIVE = re.compile(r"[`*<>\[\]\\&~#|@]|://|(?<!\w)_|_(?!\w)")
"""What Markdown or GitHub may take for more than text."""


def markdown(text: str) -> str:
    """A sentence or value as Markdown on one line: what comes from outside is code, and so is all that is not plain."""
    text = one_line(text, LONGEST_MESSAGE).replace("|", "¦")  # which would end a cell, in code, too
    if "``" in text or text.count("`") % 2:
        return code_span(text)
    made, end = "", 0
    for part in PARTS.finditer(text):
        own = part["own"] or code_span(part["url"] or part["quoted"])
        made = _beside(_beside(made, _plain_or_code(text[end : part.start()])), own)
        end = part.end()
    return _beside(made, _plain_or_code(text[end:]))


def _beside(before: str, after: str) -> str:
    """Two pieces of Markdown; the backticks of two pieces of code must not meet."""
    return f"{before} {after}" if before.endswith("`") and after.startswith("`") else before + after


def _plain_or_code(text: str) -> str:
    """`text` with each word that may be more than text as code."""
    return "".join(code_span(word) if ACTIVE.search(word) else word for word in re.split("( +)", text))


def code_span(text: str) -> str:
    """`text` word for word as code within a line of Markdown."""
    ticks = "`" * (longest_run(text) + 1)
    blank = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{ticks}{blank}{text}{blank}{ticks}"


def longest_run(text: str) -> int:
    """How many backticks follow each other in `text` at most."""
    return max(map(len, re.findall("`+", text)), default=0)
