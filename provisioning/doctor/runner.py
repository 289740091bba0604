"""Asks many questions side by side; an answer may be what others need. Knows nothing of what is asked.

A question that fails, hangs or breaks never hides another one: those that need its answer say that they were skipped
because of it, and all others are asked all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from provisioning.entra.directory_errors import REMEDIES, is_no_answer
from provisioning.errors import DirectoryFailure, DirectoryUnreadable, NocoBaseError, ProvisioningError
from provisioning.foreign import harmless
from provisioning.unanswered import no_answer

LIMIT_SECONDS = 60.0


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
    do about it, each thing on a line of its own; needed for a warning and a failure.
    """

    name: str
    outcome: Outcome
    said: str
    remedy: str | None = None

    def __post_init__(self) -> None:
        """Make the texts harmless. Raises ValueError for a bad answer without a remedy."""
        object.__setattr__(self, "said", harmless(self.said))
        object.__setattr__(self, "remedy", self.remedy and harmless(self.remedy))
        if self.outcome in (Outcome.WARNING, Outcome.FAILED) and not self.remedy:
            raise ValueError(f"The check '{self.name}' is no success and names no remedy.")


@dataclass(frozen=True)
class Finding:
    """The answer to a question.

    said, remedy: as in Check. value: what other questions need; it is never printed.
    """

    outcome: Outcome
    said: str
    remedy: str | None = None
    value: Any = field(default=None, repr=False)

    @property
    def usable(self) -> bool:
        """Whether others can go on from it."""
        return self.outcome in (Outcome.OK, Outcome.WARNING)


def ok(said: str, value: Any = None) -> Finding:
    """All is well."""
    return Finding(Outcome.OK, said, value=value)


def warning(said: str, remedy: str, value: Any = None) -> Finding:
    """Something should be looked at, or could not be."""
    return Finding(Outcome.WARNING, said, remedy, value)


def failed(said: str, remedy: str) -> Finding:
    """Mail does not work, or will not be deployed, before this is mended."""
    return Finding(Outcome.FAILED, said, remedy)


def skipped(because: str, remedy: str | None = None) -> Finding:
    """It could not be asked."""
    return Finding(Outcome.SKIPPED, f"because {because}", remedy)


@dataclass(frozen=True)
class Question:
    """Something to be found out.

    ask: called with the values of the questions that `needs` names, in that order; may raise. limit: seconds that it
    may take.
    """

    name: str
    ask: Callable[..., Finding]
    needs: tuple[str, ...] = ()
    limit: float = LIMIT_SECONDS


def ask_all(questions: Sequence[Question]) -> Iterator[Check]:
    """Ask them all at once; the answers in their order, each as soon as it and those before it are there.

    What a question needs must stand before it.
    """
    findings: dict[str, Future[Finding]] = {}
    for question in questions:
        # Daemons: one that hangs must not keep the program from ending.
        needed = {name: findings[name] for name in question.needs}
        future = findings[question.name] = Future[Finding]()
        threading.Thread(target=_answer, args=(question, needed, future), daemon=True).start()
    for question in questions:
        found = findings[question.name].result()
        # The engine's own words may have several lines.
        yield Check(question.name, found.outcome, " ".join(found.said.split()), found.remedy)


def _answer(question: Question, needed: dict[str, Future[Finding]], future: Future[Finding]) -> None:
    found = {name: finding.result() for name, finding in needed.items()}
    missing = next((name for name, finding in found.items() if not finding.usable), None)
    if missing is not None:
        future.set_result(_skipped(missing, found[missing]))
        return
    answers: list[Finding] = []
    values = [finding.value for finding in found.values()]
    worker = threading.Thread(target=lambda: answers.append(answer(question.ask, *values)), daemon=True)
    worker.start()
    worker.join(question.limit)
    too_late = failed(f"no answer within {question.limit:g} s", "Run the command again when the network is less busy.")
    future.set_result(answers[0] if answers else too_late)


def _skipped(missing: str, finding: Finding) -> Finding:
    """The answer of a question that needs `missing`, which was answered by `finding`."""
    if finding.outcome is Outcome.FAILED:
        return skipped(f"'{missing}' failed")
    return Finding(Outcome.SKIPPED, finding.said)


def answer(ask: Callable[..., Finding], *values: Any) -> Finding:
    """What `ask` finds; whatever it raises is an answer, too."""
    try:
        return ask(*values)
    except NocoBaseError as error:
        return failed(f"{error.what} ({error.why})", error.remedy)
    except DirectoryUnreadable as error:
        return failed(f"Entra ID cannot be asked ({error.reason})", error.remedy or str(error))
    except ProvisioningError as error:
        return failed(str(error), "Do what it says, then run the command again.")
    except Exception as error:  # one broken check must not take the others along
        if is_no_answer(error):
            return failed(no_answer(error), REMEDIES[DirectoryFailure.NO_ANSWER])
        # Its text is not repeated: it may hold a secret.
        said = f"this check itself broke ({type(error).__name__})"
        return failed(said, "Run the command again. If this check fails again, the fault is this program's: report it.")
