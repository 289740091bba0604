"""`status`: what a stack, or each, has in Entra ID and NocoBase, how long its secrets last, what is out of sync."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provisioning.cli.common import Format, Stack, data, errors_as_sentences, json_text, now, show, show_rows
from provisioning.entra.sign_in_settings import NAMESPACE, TENANT, names_a_sign_in, use_configuration, use_tenant
from provisioning.errors import ProvisioningError, SettingsError
from provisioning.foreign import markdown
from provisioning.pulumi_cli import Checkpoint, Pulumi
from provisioning.waiting import answers_of, begin

if TYPE_CHECKING:
    from provisioning.fleet.logins import Addresses
    from provisioning.nocobase.login import NocoBaseLogin, StoredLogins
    from provisioning.program.last_state import Deployed, Push
    from provisioning.status.compare import Overview, Side
    from provisioning.status.read import Unread
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
    HTML = "html"


@dataclass(frozen=True)
class Read:
    """One stack: its overview, or why it could not be read."""

    stack: str
    view: Overview | None
    alarms: tuple[str, ...]

    @property
    def places(self) -> Addresses:
        """Where the NocoBases of a stack are that cannot be read is not known."""
        return {}


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
        # No login is sent anywhere before every address is known.
        exported = answers_of([partial(_export, name, offline) for name in names], AT_ONCE)
        places = {name: found.places for name, found in zip(names, exported, strict=True)}
        one = partial(_read, places=places, own_sign_ins=everything, moment=moment, warn_days=warn_days)
        read = answers_of([partial(one, found) for found in exported], AT_ONCE)
        _show(read, moment, output, everything)
        if any(found.alarms for found in read):
            raise typer.Exit(1)


@dataclass(frozen=True)
class _Exported:
    """A stack's state, where its NocoBases are or are to be, and its configuration of the sign-in.

    config: None if Entra ID and NocoBase are not to be asked.
    """

    engine: Pulumi
    checkpoint: Checkpoint
    state: Deployed
    places: Addresses
    config: Mapping[str, str] | None


def _export(name: str, offline: bool) -> _Exported | Read:
    """What is read of one stack first; whatever goes wrong with it is its own answer and stops no other."""
    from provisioning.fleet.logins import addresses, comparable, deployed_and_configured  # noqa: PLC0415 - not for --help
    from provisioning.program.last_state import read_state  # noqa: PLC0415 - as above

    try:
        engine = Pulumi(name)
        configured = None if offline else begin(lambda: engine.configuration_with(NAMESPACE))
        checkpoint = engine.export(show_secrets=True)
        state = read_state(checkpoint.outputs, name)
        deployed = {push.logins[0]: comparable(push.url) for push in state.pushes}
        if configured is None:
            return _Exported(engine, checkpoint, state, deployed, None)
        own, sign_in = configured.result()
        places = deployed_and_configured(deployed, addresses(own))
        return _Exported(engine, checkpoint, state, places, sign_in)
    except ProvisioningError as error:
        return Read(name, None, (str(error),))
    except Exception as error:  # a state that nobody has foreseen must not hide the other stacks
        return _not_understood(name, error)


def _read(
    exported: _Exported | Read,
    places: Mapping[str, Addresses],
    own_sign_ins: bool,
    moment: datetime,
    warn_days: int,
) -> Read:
    """One stack, compared with what there is. places: the addresses of every stack that is read."""
    from provisioning.status import compare, read  # noqa: PLC0415 - not for --help

    if isinstance(exported, Read):
        return exported
    engine, checkpoint, state, config = exported.engine, exported.checkpoint, exported.state, exported.config
    name = state.stack
    try:
        if config is None:
            sides = [read.OFFLINE for _ in state.pushes]
            view = compare.overview(state, read.OFFLINE, sides, moment, warn_days)
            return Read(name, view, view.alarms)
        # After an interrupted first run there are no outputs yet.
        tenant = state.tenant_id or config.get(TENANT)
        if not own_sign_ins:
            # Of many stacks, side by side, the environment says who signs in, and where.
            use_configuration(config)
            use_tenant(state.tenant_id)
        elsewhere = read.elsewhere(state, tenant, own_sign_ins and names_a_sign_in(config))
        registration = begin(lambda: read.read_registration(state, elsewhere))
        principal = begin(lambda: read.read_principal(state, elsewhere))
        consent = begin(lambda: read.read_consent(state, principal.result()))
        duplicates = begin(lambda: read.read_duplicates(checkpoint, elsewhere))
        logins = _logins(engine, state, places, read.pushed_logins(checkpoint))
        held = [read.read_nocobase(push, login) for push, login in zip(state.pushes, logins, strict=True)]
        found = registration.result()
        extra = read.read_extra(
            engine, state, checkpoint, found, duplicates.result(), principal.result(), consent.result()
        )
        view = compare.overview(state, found, held, moment, warn_days, extra)
    except ProvisioningError as error:
        return Read(name, None, (str(error),))
    except Exception as error:  # as above
        return _not_understood(name, error)
    return Read(name, view, view.alarms)


def _not_understood(name: str, error: Exception) -> Read:
    return Read(name, None, (f"its state is not understood ({type(error).__name__})",))


def _logins(
    engine: Pulumi, state: Deployed, places: Mapping[str, Addresses], pushed: StoredLogins
) -> list[NocoBaseLogin | Unread | None]:
    """The login to the NocoBase of each push, or why it gets none.

    pushed: what the last push was given; its headers are taken.
    """
    from provisioning.fleet.logins import granted  # noqa: PLC0415 - not for --help
    from provisioning.nocobase.login import StoredLogins, stored_logins  # noqa: PLC0415 - as above
    from provisioning.status.read import Unread  # noqa: PLC0415 - as above

    def logins(stored: StoredLogins) -> list[NocoBaseLogin | Unread | None]:
        given = granted(state.stack, places, stored.keys, os.environ)
        variables = {**os.environ, **given.variables}
        found = [stored.first(push.logins, variables) for push in state.pushes]
        withheld = [given.withheld.get(push.logins[0]) for push in state.pushes]
        return [login or (Unread(why) if why else None) for login, why in zip(found, withheld, strict=True)]

    alone: list[NocoBaseLogin | Unread | None] = [None for _ in state.pushes]
    if len(places) == 1:
        # Among several stacks, a key of its own comes before the environment's.
        alone = logins(StoredLogins(headers=pushed.headers))
        if all(alone):
            return alone
    try:
        stored = stored_logins(engine.configuration()[0])
    except SettingsError as error:
        unreadable = Unread("; ".join(f"{problem.key}: {problem.why}" for problem in error.problems))
        return [login or unreadable for login in alone]
    return logins(replace(stored, headers=pushed.headers or stored.headers))


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
        case StatusFormat.HTML:
            from provisioning.status import page  # noqa: PLC0415 - nobody else needs it

            print(page.html([page.Shown(found.stack, found.view, found.alarms) for found in read], moment))
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
    from provisioning.status.compare import consent_in_words, dated  # noqa: PLC0415 - not for --help

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
        "consent": consent_in_words(view) or UNKNOWN,
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
    "consent",
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
