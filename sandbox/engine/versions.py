"""Version numbers of tools: parsed leniently, compared as numbers."""

from __future__ import annotations

import re
from typing import NamedTuple


class Version(NamedTuple):
    """A release number such as 3.255.0."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse(text: str) -> Version | None:
    """The first release number in `text` ("v3.255.0", "go1.26.8", "go1.26"), or None if there is none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return Version(int(found[1]), int(found[2]), int(found[3] or 0)) if found else None
