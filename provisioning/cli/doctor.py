"""`doctor`: everything between here and a working mailbox, a line for each, with what to do about what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Annotated

import typer

from provisioning.cli.common import Format, Output, Stack, now, show_checks, words
from provisioning.doctor.runner import Check, Outcome
from provisioning.entra.sign_in_settings import TENANT, use_tenant
from provisioning.errors import EngineFailed
from provisioning.pulumi_cli import Pulumi


def doctor(
    stack: Stack = None,
    network_only: Annotated[
        bool, typer.Option("--network-only", help="Only whether this machine reaches Microsoft; needs no stack.")
    ] = False,
    endpoint: Annotated[
        list[str] | None,
        typer.Option("--endpoint", help="Another address, NAME=ADDRESS: sign-in=, graph=, imap= or smtp=; repeatable."),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Look at everything from here to a working mailbox; what is wrong comes with its remedy. Nothing is changed.

    Exit codes: 0 all is well or there are warnings only, 1 something failed, 2 wrong usage.
    """
    from provisioning.doctor import network  # noqa: PLC0415 - not for --help
    from provisioning.doctor import questions as checks  # noqa: PLC0415 - its imports take time
    from provisioning.doctor.runner import ask_all  # noqa: PLC0415 - as above

    try:
        addresses = network.endpoints(endpoint or [])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--endpoint") from None
    if network_only:
        found: list[Check] = checks.network_only(addresses, network.TIMEOUT_SECONDS)
        code = show_checks(found, output)
        words.print(f"From NocoBase's own server: {checks.ON_THE_SERVER}", markup=False)
        raise typer.Exit(code)
    with suppress(EngineFailed):  # a check of its own tells of that
        use_tenant(Pulumi(stack).config_of(TENANT))
    given = {name: address for name, address in addresses.items() if address != network.ENDPOINTS[name]}
    questions = checks.questions(stack, given, now())
    counts: Counter[Outcome] = Counter()
    code = show_checks(
        _counted(ask_all(questions), counts), output, widest=max(len(question.name) for question in questions)
    )
    words.print(f"{', '.join(_count(outcome, counts[outcome]) for outcome in Outcome if counts[outcome])}.")
    raise typer.Exit(code)


def _count(outcome: Outcome, number: int) -> str:
    return f"{number} {outcome}{'s' if outcome is Outcome.WARNING and number > 1 else ''}"


def _counted(checks: Iterable[Check], counts: Counter[Outcome]) -> Iterator[Check]:
    for check in checks:
        counts[check.outcome] += 1
        yield check
