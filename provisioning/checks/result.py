"""The answer of one check, which every command that checks something shares. Plain data; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended."""

    OK = "OK"
    WARNING = "warning"
    """Mail works as far as this check sees; something should be looked at, or could not be looked at."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be looked at; the sentence says because of what."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    name: what, in a few words and always the same ones. said: what was found, one line, never a secret. remedy: what to
    do about it, needed for a warning and a failure.
    """

    name: str
    outcome: Outcome
    said: str
    remedy: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a bad answer that leaves a person without a way on."""
        if self.outcome in (Outcome.WARNING, Outcome.FAILED) and not self.remedy:
            raise ValueError(f"The check '{self.name}' is no success and names no remedy.")
