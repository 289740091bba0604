"""`status`: what a stack, or each, has in Entra ID and NocoBase, how long its secrets last, what is out of sync."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from provisioning.cli.common import (
    EITHER,
    All,
    Format,
    Stack,
    data,
    errors_as_sentences,
    json_text,
    now,
    print_whole,
    reject_usage,
    show,
    show_rows,
)
from provisioning.cli.layout import CODE
from provisioning.cli.remedies import for_stack
from provisioning.entra.sign_in_settings import NAMESPACE, TENANT, names_a_sign_in, use_configuration, use_tenant
from provisioning.errors import ProvisioningError, SettingsError, StackUnknown
from provisioning.foreign import markdown
from provisioning.pulumi_cli import STACK_NAME, Checkpoint, Pulumi
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
    unknown: bool = False
    """Whether there is no such stack."""

    @property
    def places(self) -> Addresses:
        """Where the NocoBases of a stack are that cannot be read is not known."""
        return {}


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
    with errors_as_sentences(stack):
        if everything and stack:
            reject_usage(EITHER)
        moment = now()
        names = Pulumi().stacks() if everything else [Pulumi(stack).name()]
        if not names:
            raise ProvisioningError("The backend has no stack of this project. `pulumi stack init <name>` makes one.")
        # No login is sent anywhere before every address is known.
        exported = answers_of([partial(_export, name, offline) for name in names], AT_ONCE)
        if not everything and isinstance(exported[0], Read) and exported[0].unknown:
            raise ProvisioningError(*exported[0].alarms)
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
        return Read(name, None, (str(error),), isinstance(error, StackUnknown))
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
            return Read(name, view, with_commands(view.alarms, name))
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
    return Read(name, view, with_commands(view.alarms, name))


def with_commands(alarms: Sequence[str], stack: str) -> tuple[str, ...]:
    """The alarms of a stack, each with a command that is for this very stack, whichever is selected."""

    def complete(said: str) -> str:
        if NOT_READ in said and "`" not in said:
            said = f"{said} To look closer: `doctor`" if said.endswith(".") else f"{said}: run `doctor`"
        return SHORT.sub("`python -m provisioning ", said) if STACK_NAME.fullmatch(stack) else said

    return tuple(for_stack(complete(said), stack) for said in alarms)


SHORT = re.compile(r"`(?=(?:doctor|prune|rotate|status)\b(?![^`]* --stack))")
"""Where a command of this program begins that is named without the program."""

NOT_READ = " is not read: "


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
    from provisioning.status import timeline  # noqa: PLC0415 - not for --help
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
            _show_markdown(read, moment)
        case StatusFormat.TABLE:
            _show_tables(read, moment, bars, everything)


def _show_markdown(read: Sequence[Read], moment: datetime) -> None:
    alarms = [f"- **{markdown(found.stack)}**: {markdown(alarm)}" for found in read for alarm in found.alarms]
    if alarms:
        print_whole("\n".join([*alarms, ""]))
    show_rows([_facts(found, moment) for found in read], Format.MARKDOWN)
    if secrets := _secrets(read, moment):
        print_whole("")
        show_rows(secrets, Format.MARKDOWN)
        print_whole(f"\n{'; '.join(_legend(read, moment))}.")
    if duplicates := _duplicates(read):
        print_whole("")
        show_rows(duplicates, Format.MARKDOWN)


def _show_tables(read: Sequence[Read], moment: datetime, bars: Sequence[Bar], everything: bool) -> None:
    from provisioning.status import timeline  # noqa: PLC0415 - not for --help

    console = data()
    alarms = [Text(f"! {found.stack}: {alarm}", style="red") for found in read for alarm in found.alarms]
    for alarm in alarms:
        alarm.highlight_regex(CODE, "bold")
        console.print(alarm)
    if alarms:
        console.print("")
    if everything:
        show_rows([_brief(found, moment) for found in read], Format.TABLE)
    else:
        show(_facts(read[0], moment), Format.TABLE)
    if secrets := _secrets(read, moment):
        console.print("")
        show_rows(secrets, Format.TABLE)
        for line in _legend(read, moment):
            console.print(Text(f"  {line}", style="dim"))
    if duplicates := _duplicates(read):
        console.print("")
        show_rows(duplicates, Format.TABLE)
    if bars:
        console.print("")
        console.print(timeline.drawing(bars, moment, min(console.width, TIMELINE_WIDTH)))


TIMELINE_WIDTH = 100
"""Columns of the timeline at most."""


def _facts(found: Read, moment: datetime) -> dict[str, object]:
    """What a person wants to know of one stack."""
    from provisioning.status.compare import consent_in_words  # noqa: PLC0415 - as above
    from provisioning.status.dates import dated, end_of_old_secret  # noqa: PLC0415 - as above

    if found.view is None:
        return {"stack": found.stack, "state": "not read", **dict.fromkeys(FACTS)}
    view, state = found.view, found.view.deployed
    unknown = NOT_ASKED if view.entra.skipped else UNKNOWN
    facts: dict[str, object] = {
        "stack": found.stack,
        "state": _state(view),
        **dict.fromkeys(FACTS),
        "secret ends": dated(min((it.ends for it in state.secrets if state.used_by(it)), default=None), moment),
        "next rotation": dated(state.next_rotation, moment),
        "old secret retires": end_of_old_secret(state, moment),
        "owners": unknown if view.owners is None else "; ".join(map(str, view.owners)),
        "consent": consent_in_words(view) or unknown,
        "Entra ID": _side(view.entra),
        "NocoBase": _joined(map(_nocobase, state.pushes, view.nocobase)) if view.nocobase else "",
    }
    if state.application:
        facts["application"] = state.application.declared.display_name
        facts["client ID"] = state.application.client_id
    return facts


def _state(view: Overview) -> Text:
    """Whether all is in sync, in colour."""
    from provisioning.status.compare import Sync  # noqa: PLC0415 - not for --help

    nobody_asked = view.sync is Sync.UNREAD and all(side.skipped for side in (view.entra, *view.nocobase))
    words = f"not compared ({', '.join(view.entra.reasons)})" if nobody_asked else view.sync.value
    return Text(words, style=SYNC_STYLES.get(words, "yellow"))


SYNC_STYLES = {"in sync": "green", "not in sync": "red"}

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
    from provisioning.status.dates import day  # noqa: PLC0415 - not for --help

    since = [f"slot {push.slot} since {day(push.since)}"] if push.since else []
    return _joined([f"{side.target}: {_side(side)}", *since])


def _side(side: Side) -> str:
    answer = f"{NOT_ASKED} ({'; '.join(side.reasons)})" if side.skipped else str(side)
    return _joined([answer, *side.notes])


def _joined(parts: Iterable[str]) -> str:
    """Parts of one line; of a whole sentence, only the last one keeps its full stop."""
    *first, last = parts
    return "; ".join([*(part.removesuffix(".") for part in first), last])


def _brief(found: Read, moment: datetime) -> dict[str, object]:
    """What finds its place in one line of a terminal; the reasons are told below."""
    facts = _facts(found, moment)
    sides = {"Entra ID": [found.view.entra], "NocoBase": found.view.nocobase} if found.view else {}
    return {
        **{name: facts[name] for name in ("stack", "state", "secret ends", "next rotation")},
        **{name: list(map(_answer, sides.get(name, ()))) for name in ("Entra ID", "NocoBase")},
    }


def _answer(side: Side) -> str:
    return NOT_ASKED if side.skipped else side.sync.value


def _secrets(read: Sequence[Read], moment: datetime) -> list[dict[str, object]]:
    """A row for each client secret of each stack that could be read, also for those that its state does not hold."""
    listed = _listed(read, moment)
    days = Counter((stack, _day(secret["issued"])) for stack, secret in listed)
    return [
        {
            **({"stack": stack} if len(read) > 1 else {}),
            "slot": secret["slot"],
            "description": secret["name"],
            "key ID": str(secret["keyId"])[:KEY_ID],
            "issued": _day(secret["issued"], time=days[stack, _day(secret["issued"])] > 1),
            "ends": _day(secret["expires"]),
            "days left": UNKNOWN if secret["daysLeft"] is None else secret["daysLeft"],
            "in use": UNKNOWN if secret["inUse"] is None else secret["inUse"],
            "whose": Text(WHOSE[secret["kind"]][0], style=WHOSE[secret["kind"]][1]),
        }
        for stack, secret in listed
    ]


def _listed(read: Sequence[Read], moment: datetime) -> list[tuple[str, Mapping[str, Any]]]:
    from provisioning.status.for_programs import every_secret  # noqa: PLC0415 - not for --help

    return [(found.stack, secret) for found in read if found.view for secret in every_secret(found.view, moment)]


def _day(moment: str | None, time: bool = False) -> str:
    """A time of `every_secret` as people read it, in UTC."""
    return f"{moment[:10]} {moment[11:16]}" if moment and time else moment[:10] if moment else UNKNOWN


def _legend(read: Sequence[Read], moment: datetime) -> list[str]:
    """What the words of the table of secrets mean, as far as they are in it."""
    listed = _listed(read, moment)
    kinds = {secret["kind"] for _, secret in listed}
    pending = any(secret["kind"] == "own" and secret["slot"] is None for _, secret in listed)
    return [
        f"key ID: the first {KEY_ID} characters of what Entra ID calls Secret ID; times are in UTC",
        "in use: NocoBase was given it",
        *(f"{word}: {meaning}" for kind, (word, _, meaning) in WHOSE.items() if kind in kinds),
        *(["no slot: replaced, and yet to be removed by `pulumi up`"] if pending else []),
    ]


WHOSE = {
    "own": ("this stack's", "", "its state holds it"),
    "orphaned": ("orphaned", "yellow", "an interrupted run of this stack left it; `prune --yes` removes it"),
    "foreign": ("foreign", "yellow", "somebody else made it; no command here removes it"),
}
"""Kind of a secret → what it is called, its style, and what that means."""

KEY_ID = 8
"""Characters of a key id that tell it from others."""

UNKNOWN, NOT_ASKED = "not known", "not asked"


def _duplicates(read: Sequence[Read]) -> list[dict[str, object]]:
    """A row for each duplicate of a stack's application."""
    from provisioning.status.for_programs import every_duplicate  # noqa: PLC0415 - not for --help

    return [
        {"stack": found.stack, "duplicate application": duplicate["name"], "object ID": duplicate["objectId"]}
        for found in read
        if found.view
        for duplicate in every_duplicate(found.view) or ()
    ]
