"""The tables of `status`, for a terminal and as Markdown.

Imported by the command only when it runs: what it imports takes longer than `--help`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from provisioning.cli.common import Format, data, print_whole, show, show_rows
from provisioning.cli.layout import CODE
from provisioning.cli.status_reading import Read
from provisioning.foreign import markdown
from provisioning.program.last_state import Push
from provisioning.status import timeline
from provisioning.status.compare import Overview, Side, Sync, consent_in_words
from provisioning.status.dates import dated, day, end_of_old_secret
from provisioning.status.for_programs import every_duplicate, every_secret
from provisioning.status.timeline import Bar


def show_markdown(read: Sequence[Read], moment: datetime) -> None:
    """The facts of each stack, then its client secrets and duplicates, as Markdown."""
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


def show_tables(read: Sequence[Read], moment: datetime, bars: Sequence[Bar], everything: bool) -> None:
    """The alarms, the facts, the client secrets and duplicates, then the timeline, for a terminal."""
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
    if found.view is None:
        return {"stack": found.stack, "state": "not read", **dict.fromkeys(FACTS, UNKNOWN)}
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
        "NocoBase": joined(map(_nocobase, state.pushes, view.nocobase)) if view.nocobase else "",
    }
    if state.application:
        facts["application"] = state.application.declared.display_name
        facts["client ID"] = state.application.client_id
    return facts


def _state(view: Overview) -> Text:
    """Whether all is in sync, in colour."""
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
    since = [f"slot {push.slot} since {day(push.since)}"] if push.since else []
    return joined([f"{side.target}: {_side(side)}", *since])


def _side(side: Side) -> str:
    answer = f"{NOT_ASKED} ({'; '.join(side.reasons)})" if side.skipped else str(side)
    return joined([answer, *side.notes])


def joined(parts: Iterable[str]) -> str:
    """Parts of one line; of a whole sentence, only the last one keeps its full stop."""
    *first, last = parts
    return "; ".join([*(part.removesuffix(".") for part in first), last])


def _brief(found: Read, moment: datetime) -> dict[str, object]:
    """What finds its place in one line of a terminal; the reasons are told below."""
    facts = _facts(found, moment)
    if found.view is not None:
        facts["Entra ID"] = _answer(found.view.entra)
        facts["NocoBase"] = list(map(_answer, found.view.nocobase))
    return {name: facts[name] for name in ("stack", "state", "secret ends", "next rotation", "Entra ID", "NocoBase")}


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
    return [
        {"stack": found.stack, "duplicate application": duplicate["name"], "object ID": duplicate["objectId"]}
        for found in read
        if found.view
        for duplicate in every_duplicate(found.view) or ()
    ]
