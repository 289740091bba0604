"""`status`: what a stack, or each, has in Entra ID and NocoBase, how long its secrets last, what is out of sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provisioning.cli.common import Format, Stack, data, errors_as_sentences, json_text, now, show, show_rows
from provisioning.entra.sign_in_settings import NAMESPACE, TENANT, names_a_sign_in, use_configuration, use_tenant
from provisioning.errors import ProvisioningError
from provisioning.foreign import markdown
from provisioning.pulumi_cli import Pulumi

if TYPE_CHECKING:
    from provisioning.nocobase.login import NocoBaseLogin
    from provisioning.program.last_state import Push
    from provisioning.status.compare import Overview, Side
    from provisioning.status.timeline import Bar

WARN_DAYS = 14
"""By default a rotation is due 90 days before the end, so that two weeks before it nothing has worked for long."""

AT_ONCE = 4
"""Stacks that are read side by side."""


class StatusFormat(StrEnum):
    """How the status is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    PROMETHEUS = "prometheus"
    SVG = "svg"


@dataclass(frozen=True)
class Read:
    """One stack: its overview, or why it could not be read."""

    stack: str
    view: Overview | None
    alarms: tuple[str, ...]


def status(
    stack: Stack = None,
    everything: Annotated[bool, typer.Option("--all", help="Every stack of this project in the backend.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the stack's state only, not Entra ID and NocoBase.")
    ] = False,
    warn_days: Annotated[
        int, typer.Option("--warn-days", min=0, help="Days before the end of a secret in use from which on to warn.")
    ] = WARN_DAYS,
    output: Annotated[StatusFormat, typer.Option("--format", help="How to print it.")] = StatusFormat.TABLE,
) -> None:
    """Show what a stack has in Entra ID and NocoBase, how long its secrets last, and whether all is in sync.

    Three sides are compared: the stack's state, the application as Entra ID shows it now, and the email settings and
    the sign-in link of NocoBase. What cannot be read is called so. The exit code is 1 if a side is not in sync or
    cannot be read, if a secret in use ends within --warn-days, or if a rotation has been due for more than a week.
    """
    with errors_as_sentences():
        if everything and stack:
            raise ProvisioningError("Either --stack or --all: which is meant?")
        moment = now()
        names = Pulumi().stacks() if everything else [Pulumi(stack).name()]
        if not names:
            raise ProvisioningError("The backend has no stack of this project. `pulumi stack init <name>` makes one.")
        one = partial(_read, offline=offline, own_key_first=everything, moment=moment, warn_days=warn_days)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            read = list(pool.map(one, names))
        _show(read, moment, output, everything)
        if any(found.alarms for found in read):
            raise typer.Exit(1)


def _read(name: str, offline: bool, own_key_first: bool, moment: datetime, warn_days: int) -> Read:
    """One stack; whatever goes wrong with it is its own answer and stops no other."""
    from provisioning.program.last_state import read_state  # noqa: PLC0415 - not for --help
    from provisioning.status import compare, read  # noqa: PLC0415 - as above

    try:
        engine = Pulumi(name)
        with ThreadPoolExecutor(1) as beside:
            configured = None if offline else beside.submit(engine.configuration_of, NAMESPACE)
            checkpoint = engine.export(show_secrets=True)
        state = read_state(checkpoint.outputs, name)
        if configured is None:
            sides = [read.OFFLINE for _ in state.pushes]
            view = compare.overview(state, read.OFFLINE, sides, moment, warn_days)
            return Read(name, view, view.alarms)
        config = configured.result()
        # After an interrupted first run there are no outputs yet.
        tenant = state.tenant_id or config.get(TENANT)
        if not own_key_first:
            # Of many stacks, side by side, the environment says who signs in, and where.
            use_configuration(config)
            use_tenant(state.tenant_id)
        elsewhere = read.elsewhere(state, tenant, own_key_first and names_a_sign_in(config))
        with ThreadPoolExecutor(3) as entra:
            registration = entra.submit(read.read_registration, state, elsewhere)
            principal = entra.submit(read.read_principal, state, elsewhere)
            duplicates = entra.submit(read.read_duplicates, checkpoint, elsewhere)
            logins = _logins(engine, state.pushes, own_key_first, read.pushed_headers(checkpoint))
            held = [read.read_nocobase(push, login) for push, login in zip(state.pushes, logins, strict=True)]
        found = registration.result()
        extra = read.read_extra(engine, state, checkpoint, found, duplicates.result(), principal.result())
        view = compare.overview(state, found, held, moment, warn_days, extra)
    except ProvisioningError as error:
        return Read(name, None, (str(error),))
    except Exception as error:  # a state that nobody has foreseen must not hide the other stacks
        return Read(name, None, (f"its state is not understood ({type(error).__name__})",))
    return Read(name, view, view.alarms)


def _logins(
    engine: Pulumi, pushes: Sequence[Push], own_key_first: bool, headers: Mapping[str, str]
) -> list[NocoBaseLogin | None]:
    """The login to the NocoBase of each push. headers: those of the last push.

    own_key_first: a key in the environment is one NocoBase's; among many stacks it is for those without their own.
    """
    from provisioning.nocobase.login import API_KEY, API_KEYS, first_login, stored_keys  # noqa: PLC0415 - not for --help

    given = [first_login(push.logins, {}, headers=headers) for push in pushes]
    if all(given) and not own_key_first:
        return given
    config = engine.configuration()[0]
    stored = stored_keys(config.get(API_KEY), config.get(API_KEYS))
    own = [first_login(push.logins, stored, {}, headers) for push in pushes]
    return [(key or other) if own_key_first else (other or key) for key, other in zip(own, given, strict=True)]


def _show(read: Sequence[Read], moment: datetime, output: StatusFormat, everything: bool) -> None:
    from provisioning.status import compare, timeline  # noqa: PLC0415 - not for --help

    views = {found.stack: found.view for found in read}
    bars = [bar for view in views.values() if view for bar in timeline.bars(view.deployed)]
    match output:
        case StatusFormat.JSON:
            listed = [
                compare.as_json(found.view, moment)
                if found.view
                else {"stack": found.stack, "sync": None, "alarms": list(found.alarms)}
                for found in read
            ]
            print(json_text(listed if everything else listed[0]))
        case StatusFormat.PROMETHEUS:
            from provisioning.status import metrics  # noqa: PLC0415 - nobody else needs the library

            print(metrics.exposition(views, moment), end="")
        case StatusFormat.SVG:
            print(timeline.svg(bars, moment))
        case StatusFormat.MARKDOWN:
            _show_markdown(read, moment)
        case StatusFormat.TABLE:
            _show_tables(read, moment, bars, everything)


def _show_markdown(read: Sequence[Read], moment: datetime) -> None:
    show_rows([_facts(found, moment) for found in read], Format.MARKDOWN)
    print()
    show_rows(_secrets(read, moment), Format.MARKDOWN)
    if duplicates := _duplicates(read):
        print()
        show_rows(duplicates, Format.MARKDOWN)
    for found in read:
        print("".join(f"\n- **{markdown(found.stack)}**: {markdown(alarm)}" for alarm in found.alarms), end="")
    print("\n" * any(found.alarms for found in read), end="")


def _show_tables(read: Sequence[Read], moment: datetime, bars: Sequence[Bar], everything: bool) -> None:
    from provisioning.status import timeline  # noqa: PLC0415 - not for --help

    if everything:
        show_rows([_brief(found, moment) for found in read], Format.TABLE)
    else:
        show(_facts(read[0], moment), Format.TABLE)
    if secrets := _secrets(read, moment):
        show_rows(secrets, Format.TABLE)
    if duplicates := _duplicates(read):
        show_rows(duplicates, Format.TABLE)
    if bars:
        console = data()
        console.print(timeline.drawing(bars, moment, min(console.width, TIMELINE_WIDTH)))
    for found in read:
        for alarm in found.alarms:
            data().print(f"{found.stack}: {alarm}", style="red", soft_wrap=True)


TIMELINE_WIDTH = 100
"""Columns of the timeline at most."""


def _facts(found: Read, moment: datetime) -> dict[str, object]:
    """What a person wants to know of one stack."""
    from provisioning.status.compare import dated  # noqa: PLC0415 - not for --help

    facts: dict[str, object] = {"stack": found.stack, "state": "not read", **dict.fromkeys(FACTS)}
    if found.view is None:
        return facts
    view, state = found.view, found.view.deployed
    facts |= {
        "state": view.sync.value,
        "secret ends": dated(min((it.ends for it in state.secrets if state.used_by(it)), default=None), moment),
        "next rotation": dated(state.next_rotation, moment),
        "old secret retires": dated(state.old_retires, moment),
        "owners": UNKNOWN if view.owners is None else "; ".join(map(str, view.owners)),
        "Entra ID": _side(view.entra),
        "NocoBase": "; ".join(map(_nocobase, state.pushes, view.nocobase)),
    }
    if state.application:
        facts["application"] = state.application.declared.display_name
        facts["client ID"] = state.application.client_id
    return facts


FACTS = (
    "application",
    "client ID",
    "owners",
    "secret ends",
    "next rotation",
    "old secret retires",
    "Entra ID",
    "NocoBase",
)


def _nocobase(push: Push, side: Side) -> str:
    """One NocoBase in words; its address is among them only where it was given a secret."""
    from provisioning.status.compare import day  # noqa: PLC0415 - not for --help

    return f"{side.target}: {_side(side)} (slot {push.slot} since {day(push.since)})" if push.since else str(side)


def _side(side: Side) -> str:
    return "; ".join([str(side), *side.notes])


def _brief(found: Read, moment: datetime) -> dict[str, object]:
    """What finds its place in one line of a terminal; the reasons are told below."""
    facts = _facts(found, moment)
    sides = {"Entra ID": [found.view.entra], "NocoBase": found.view.nocobase} if found.view else {}
    return {
        **{name: facts[name] for name in ("stack", "state", "secret ends", "next rotation")},
        **{name: [side.sync.value for side in sides.get(name, ())] for name in ("Entra ID", "NocoBase")},
    }


def _secrets(read: Sequence[Read], moment: datetime) -> list[dict[str, object]]:
    """A row for each client secret of each stack that could be read, also for those that its state does not hold."""
    from provisioning.status.compare import every_secret  # noqa: PLC0415 - not for --help

    return [_secret(found.stack, secret) for found in read if found.view for secret in every_secret(found.view, moment)]


def _secret(stack: str, secret: Mapping[str, Any]) -> dict[str, object]:
    known = {name: UNKNOWN if value is None else value for name, value in secret.items()}
    return {
        "stack": stack,
        "is": f"slot {secret['slot']}" if secret["slot"] else secret["kind"],
        "name": secret["name"],
        "in use": known["inUse"],
        "issued": known["issued"].partition("T")[0],
        "ends": known["expires"].partition("T")[0],
        "days left": known["daysLeft"],
    }


UNKNOWN = "not known"


def _duplicates(read: Sequence[Read]) -> list[dict[str, object]]:
    """A row for each duplicate of a stack's application."""
    from provisioning.status.compare import every_duplicate  # noqa: PLC0415 - not for --help

    return [
        {"stack": found.stack, "duplicate application": duplicate["name"], "object ID": duplicate["objectId"]}
        for found in read
        if found.view
        for duplicate in every_duplicate(found.view) or ()
    ]
