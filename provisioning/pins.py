"""The versions of Pulumi's parts that this project runs with, from pins.json: the one place where they are chosen.

Each has the day of its release. A pin that is to stay although it is old has the day on which somebody confirmed that,
and why. The files that repeat a version (requirements, go.mod, fleet/) are compared by tests/test_pins.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("pins.json")

CLI = "Pulumi CLI"
"""The engine and its command: what a pipeline installs, and the sandbox builds."""

PLUGIN = "azuread plugin"
"""The provider that the program asks the engine for, whatever the version of its Python package.

A provider does the work in Entra ID: the one that was recorded is the one that runs.
"""

MONTHS = 6
"""After so many months somebody looks at a pin again."""


@dataclass(frozen=True)
class Pin:
    """One version. released: of the version. confirmed: when somebody last decided that it stays, and why."""

    version: str
    released: date
    confirmed: date | None = None
    why: str = ""

    @property
    def due(self) -> date:
        """The first day on which it is older than MONTHS, counted from its release or its confirmation."""
        start = max(self.released, self.confirmed or self.released)
        year, month = divmod(start.year * 12 + start.month - 1 + MONTHS, 12)
        # The 29th to 31st count as the month's 28th; nothing depends on those three days.
        return date(year, month + 1, min(start.day, 28))


@cache
def pins() -> dict[str, Pin]:
    """All of them, by name."""
    return {name: _pin(entry) for name, entry in json.loads(FILE.read_text(encoding="utf-8")).items()}


def version(name: str) -> str:
    """The version of one."""
    return pins()[name].version


def _pin(entry: dict[str, str]) -> Pin:
    confirmed = entry.get("confirmed")
    return Pin(
        entry["version"],
        date.fromisoformat(entry["released"]),
        date.fromisoformat(confirmed) if confirmed else None,
        entry.get("why", ""),
    )
