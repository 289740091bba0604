"""What a job prints of `pulumi` and of files, so that no system takes a part of it for a command.

Azure DevOps' agent obeys `##vso[` anywhere in a line, GitHub's runner `##[` anywhere and `::` at the beginning, behind
blanks. Both look for them by the rules of a language, which pass over characters that nobody sees. Source: the agent's
Command.cs, the runner's ActionCommand.cs.
"""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

UNSEEN = r"[^\x20-\x7e\n]*"
"""What may be between the characters of a command: everything that is not surely seen."""

ANYWHERE = re.compile(rf"#(?={UNSEEN}#{UNSEEN}(?:v{UNSEEN}s{UNSEEN}o{UNSEEN})?\[)", re.IGNORECASE)
AT_THE_BEGINNING = re.compile(rf"^([^\x21-\x7e\n]*:)(?={UNSEEN}:)", re.MULTILINE)

REPLACEMENT = "\ufffd"
CONTROLS = ("Cc", "Cf", "Zl", "Zp")
"""Categories of characters that move the cursor, change the direction of writing, or are not seen."""


def visible(text: str) -> str:
    """`text` with a replacement for each control, format and line-breaking character but tab and line feed."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        letter if letter in "\n\t" or unicodedata.category(letter) not in CONTROLS else REPLACEMENT for letter in text
    )


def harmless(text: str) -> str:
    """`text` as it may be printed in a job: visible, and a blank within each command of a pipeline's system."""
    return AT_THE_BEGINNING.sub(r"\1 ", ANYWHERE.sub("# ", visible(text)))


def say(text: str) -> None:
    """Print a line that may hold what comes from outside."""
    print(harmless(text), flush=True)


@contextmanager
def foreign(environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """While a program prints: on GitHub, commands are stopped until a token that the program does not know."""
    if environment.get("GITHUB_ACTIONS") != "true":
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        # A last line without its end would swallow the token.
        print(f"\n::{token}::", flush=True)
