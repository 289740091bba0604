"""Which stacks of a project are meant: those with a configuration file here that the backend knows, too. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from provisioning.fleet.runner import Result, StackOutcome
from provisioning.foreign import listed, quoted


@dataclass(frozen=True)
class Choice:
    """stacks: those to deploy, by the backend's names, in their order. left_out: those that are not tried, and why."""

    stacks: tuple[str, ...]
    left_out: tuple[Result, ...]


def configured(folder: Path) -> set[str]:
    """The stacks that have a configuration file in the project's `folder`."""
    files = (file.name for file in folder.glob("Pulumi.*.y*ml") if file.exists())
    names = (re.fullmatch(r"Pulumi\.(.+)\.ya?ml", name) for name in files)
    # Pulumi.<stack>.deploy.yaml holds the settings of Pulumi Deployments.
    return {name[1] for name in names if name and not name[1].endswith(".deploy")}


def choose(
    files: Collection[str], backend: Collection[str], patterns: Sequence[str], excepted: Sequence[str] = ()
) -> Choice:
    """Which stacks to deploy: those with a configuration file in this folder that the backend knows, too.

    backend: its names, which may begin with an organization (`acme/prod`); that is no part of a stack's own name.
    patterns: names, or patterns such as `prod-*`; a stack is meant if it matches one of them and none of `excepted`.
    A name without a pattern that is not there is a failure; what a pattern meets and cannot be deployed is left out.
    """
    known: dict[str, list[str]] = {}
    for full in sorted(backend):
        known.setdefault(full.rpartition("/")[2], []).append(full)
    everything = sorted({*files, *known})
    meant = [name for name in everything if _matches(name, patterns) and not _matches(name, excepted)]
    reasons = {name: _obstacle(name, name in files, known.get(name, [])) for name in meant}
    nowhere = [name for name in patterns if name not in everything and not set(name) & set("*?[")]
    reasons |= dict.fromkeys(
        nowhere, f"there is no such stack, neither in this folder nor in the backend; {there_are(everything)}"
    )
    left_out = [
        Result(name, StackOutcome.FAILED if name in patterns else StackOutcome.LEFT_OUT, error=reason, detail=reason)
        for name, reason in sorted(reasons.items())
        if reason
    ]
    return Choice(tuple(known[name][0] for name in meant if not reasons[name]), tuple(left_out))


def there_are(names: Collection[str]) -> str:
    """Which stacks there are, in words."""
    return f"there are: {listed(sorted(names))}" if names else "there are none"


def _obstacle(name: str, has_file: bool, known: Sequence[str]) -> str:
    """Why a stack cannot be deployed; empty if it can."""
    if not has_file:
        return f"there is no {quoted(f'Pulumi.{name}.yaml')} in this folder; take it from your repository"
    if len(known) > 1:
        return f"which of them is meant? {listed(known)}"
    named = name if re.fullmatch("[A-Za-z0-9_.-]{1,100}", name) else "<stack>"
    return "" if known else f"the backend has no such stack; make it by `pulumi stack init {named}`"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
