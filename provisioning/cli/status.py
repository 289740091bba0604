"""`status`: what a stack, or each, has in Entra ID and NocoBase, how long its secrets last, what is out of sync."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from provisioning.cli.common import (
    EITHER,
    All,
    Stack,
    errors_as_sentences,
    json_text,
    now,
    print_whole,
    reject_usage,
)
from provisioning.errors import ProvisioningError
from provisioning.pulumi_cli import Pulumi

if TYPE_CHECKING:
    from provisioning.cli.status_reading import Read

WARN_DAYS = 14
"""By default a rotation is due 90 days before the end, so that two weeks before it nothing has worked for long."""


class StatusFormat(StrEnum):
    """How the status is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    PROMETHEUS = "prometheus"
    SVG = "svg"
    HTML = "html"


def status(
    stack: Stack = None,
    everything: All = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the stack's state only, not Entra ID and NocoBase.")
    ] = False,
    warn_days: Annotated[
        int,
        typer.Option(
            "--warn-days", metavar="DAYS", min=0, help="Days before the end of a secret in use from which on to warn."
        ),
    ] = WARN_DAYS,
    output: Annotated[StatusFormat, typer.Option("--format", help="How to print it.")] = StatusFormat.TABLE,
) -> None:
    """Show what a stack has in Entra ID and NocoBase, how long its secrets last, and whether all is in sync.

    Three sides are compared: the stack's state, the application as Entra ID shows it now, and the email settings and
    the sign-in link of NocoBase. What cannot be read is called so. The exit code is 1 if a side is not in sync or
    cannot be read, if a secret in use ends within --warn-days, or if a rotation has been due for more than a week.
    """
    from provisioning.cli.status_reading import read_stacks  # noqa: PLC0415 - not for --help

    with errors_as_sentences(stack):
        if everything and stack:
            reject_usage(EITHER)
        moment = now()
        names = Pulumi().stacks() if everything else [Pulumi(stack).name()]
        if not names:
            raise ProvisioningError("The backend has no stack of this project. `pulumi stack init <name>` makes one.")
        read = read_stacks(names, everything, offline, moment, warn_days)
        _show(read, moment, output, everything)
        if any(found.alarms for found in read):
            raise typer.Exit(1)


def _show(read: Sequence[Read], moment: datetime, output: StatusFormat, everything: bool) -> None:
    from provisioning.cli.status_tables import show_markdown, show_tables  # noqa: PLC0415 - not for --help
    from provisioning.status import timeline  # noqa: PLC0415 - as above
    from provisioning.status.for_programs import as_json  # noqa: PLC0415 - as above

    views = {found.stack: found.view for found in read}
    bars = [bar for view in views.values() if view for bar in timeline.bars(view.deployed)]
    match output:
        case StatusFormat.JSON:
            listed = [
                {**as_json(found.view, moment), "alarms": list(found.alarms)}
                if found.view
                else {"stack": found.stack, "sync": None, "alarms": list(found.alarms)}
                for found in read
            ]
            print_whole(json_text(listed if everything else listed[0]))
        case StatusFormat.PROMETHEUS:
            from provisioning.status import metrics  # noqa: PLC0415 - nobody else needs the library

            print_whole(metrics.exposition(views, moment).rstrip("\n"))
        case StatusFormat.SVG:
            print_whole(timeline.svg(bars, moment))
        case StatusFormat.HTML:
            from provisioning.status import page  # noqa: PLC0415 - nobody else needs it

            print_whole(page.html([page.Shown(found.stack, found.view, found.alarms) for found in read], moment))
        case StatusFormat.MARKDOWN:
            show_markdown(read, moment)
        case StatusFormat.TABLE:
            show_tables(read, moment, bars, everything)
