"""A sentence for a program that is run outside its virtualenv. Needs nothing but Python, also one that is too old."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[1]
OWN = {"provisioning", "sandbox", "tests"}
"""Packages of this project: that one of them is missing is a mistake of the project's own."""

OLDEST = (3, 11)


@contextmanager
def sentence_if_unusable(installer: str) -> Iterator[None]:
    """Within, a program that is run outside its virtualenv ends with a sentence. installer: see `why_unusable`."""
    try:
        yield
    except ImportError as missing:
        if (reason := why_unusable(missing, installer)) is None:
            raise
        sys.exit(_wrapped(reason) if sys.stderr.isatty() else reason)


def _wrapped(sentence: str) -> str:
    """For a terminal: no word, and no command to copy, is broken."""
    width = shutil.get_terminal_size().columns
    return textwrap.fill(sentence, width, break_long_words=False, break_on_hyphens=False)


def why_unusable(missing: ImportError, installer: str) -> str | None:
    """What to do about a module that could not be imported; None if that is not for want of the virtualenv.

    installer: the command that makes the virtualenv.
    """
    folder = PROJECT / ".venv"
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:3]))
        reason = f"Python {'.'.join(map(str, OLDEST))} or newer is needed, and {sys.executable} is {version}."
    elif not isinstance(missing, ModuleNotFoundError) or (missing.name or "").partition(".")[0] in OWN:
        return None
    elif Path(sys.prefix).resolve() == folder.resolve():
        return f"The package '{missing.name}' is missing in the virtualenv. Install what is missing: {installer}"
    else:
        reason = f"The package '{missing.name}' is missing: {sys.executable} is not this project's virtualenv."
    activate = f". {os.path.relpath(folder / 'bin' / 'activate')}"
    if (folder / "bin" / "activate").exists():
        return f"{reason} Activate it, then run the command again: {activate}"
    return f"{reason} Make and activate it, then run the command again: {installer} && {activate}"
