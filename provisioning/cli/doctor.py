"""`doctor`: what is in the way of working mail, a line for each check, with the remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

import typer

from provisioning.cli.common import Format, Output, Stack, now, show_checks, words
from provisioning.cli.remedies import for_stack
from provisioning.doctor.runner import Check, Outcome, ask_all


def doctor(
    stack: Stack = None,
    network_only: Annotated[
        bool, typer.Option("--network-only", help="Only whether this machine reaches Microsoft; needs no stack.")
    ] = False,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="NAME=ADDRESS",
            help="Another address of sign-in, graph, imap, smtp or smtp-outlook; repeatable.",
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Show what is in the way of working mail, each with its remedy.

    Nothing is changed. Once the stack is deployed, the chain of a sign-in is checked, too: application, client secret,
    NocoBase's sign-in link and consent. Exit codes: 0 all is well or there are warnings only, 1 something failed, 2
    wrong usage.
    """
    from provisioning.doctor import network  # noqa: PLC0415 - not for --help
    from provisioning.doctor import questions as checks  # noqa: PLC0415 - its imports take time

    try:
        addresses = network.endpoints(endpoint or [])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--endpoint") from None
    if network_only:
        found: list[Check] = checks.network_only(addresses, network.TIMEOUT_SECONDS)
        code = show_checks(found, output)
        words.print(f"From NocoBase's own server: {checks.ON_THE_SERVER}")
        raise typer.Exit(code)
    given = {name: address for name, address in addresses.items() if address != network.ENDPOINTS[name]}
    questions = checks.questions(stack, given, now())
    seen: list[Check] = []
    code = show_checks(
        _kept(ask_all(questions), stack, seen), output, widest=max(len(question.name) for question in questions)
    )
    counts = Counter(check.outcome for check in seen)
    words.print(f"{', '.join(_count(outcome, counts[outcome]) for outcome in Outcome if counts[outcome])}.")
    if failed := [check.name for check in seen if check.outcome is Outcome.FAILED]:
        words.print(f"! Failed: {', '.join(failed)}. What to do is below each.", style="red")
    raise typer.Exit(code)


def _count(outcome: Outcome, number: int) -> str:
    return f"{number} {outcome}{'s' if outcome is Outcome.WARNING and number > 1 else ''}"


def _kept(checks: Iterable[Check], stack: str | None, seen: list[Check]) -> Iterator[Check]:
    """The checks, with the commands of their remedies for `stack`."""
    for found in checks:
        check = replace(found, remedy=found.remedy and for_stack(found.remedy, stack))
        seen.append(check)
        yield check
