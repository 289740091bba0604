"""The answers of an `init` that was not completed, in a file beside the project until one is. None is a secret."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

FILE = ".init-answers.json"

Answers = dict[str, str | list[str]]


def recall(folder: Path) -> Answers:
    """What was answered there before; nothing if that cannot be read."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {key: value for key, value in found.items() if _is_answer(value)}
    return {}


def remember(folder: Path, answers: Mapping[str, str | list[str]]) -> bool:
    """Keep them for the next run, for the owner's eyes only; whether that worked, and there was something to keep.

    An address that may hold a password is left out.
    """
    kept = {key: value for key, value in answers.items() if "@" not in str(value)}
    try:
        with open(os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=2)
    except OSError:
        return False
    return bool(kept)


def forget(folder: Path) -> None:
    """Remove them: the run was completed."""
    with suppress(OSError):
        (folder / FILE).unlink()


def _is_answer(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str) and item.isprintable() for item in items)
