"""The status of one or many stacks as a web page, for people who look rather than read.

One HTML file: no script, nothing from elsewhere, light and dark by what the browser prefers. Nothing is told by colour
alone: each colour has a pattern, a mark or a word beside it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

from provisioning.entra.consent import Consenter
from provisioning.entra.rules import Audience
from provisioning.program.last_state import Deployed
from provisioning.status.compare import Overview, Side, Sync, consent_in_words
from provisioning.status.dates import day, in_days
from provisioning.status.for_programs import consent_for_programs
from provisioning.status.markup import element, sentence
from provisioning.status.timeline import Axis, Bar, Kind, axis, bars

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The page's Content-Security-Policy: a browser loads and runs nothing, whatever is in the page."""

SOON = timedelta(days=30)
"""What is due within this time is shown apart."""

MOST_TICKS = 8
"""Marks of the time axis at most."""

MARKS = {Sync.YES: "✓", Sync.NO: "✗", Sync.UNREAD: "?"}


@dataclass(frozen=True)
class Shown:
    """One stack: its overview, None if it could not be read, and why a person is needed."""

    stack: str
    view: Overview | None
    alarms: tuple[str, ...]


class Due(StrEnum):
    """What comes next for a stack; the value is what the page says."""

    RENEWAL = "new secret due"
    REMOVAL = "old secret removed"
    END = "secret in use ends"


def due(state: Deployed) -> dict[Due, datetime]:
    """When what is due, by the state; without what is not planned."""
    ends = [secret.ends for secret in state.secrets if state.used_by(secret)]
    times = {Due.RENEWAL: state.next_rotation, Due.REMOVAL: state.old_retires, Due.END: min(ends, default=None)}
    return {what: moment for what, moment in times.items() if moment is not None}


def html(shown: Sequence[Shown], now: datetime) -> str:
    """The page, whole. Who needs a person comes first, then what is due first."""
    ordered = sorted(shown, key=lambda one: (not one.alarms, _next(one) is None, _next(one) or now, one.stack))
    numbered = [_Numbered(number, one) for number, one in enumerate(ordered, 1)]
    root = element(None, "html", lang="en")
    _head(root, shown)
    body = element(root, "body")
    _header(body, shown, now)
    main = element(body, "main")
    _alarms(main, numbered)
    _due(main, numbered, now)
    _timelines(main, numbered, now)
    _stacks(main, numbered)
    for part in root.iter():
        if part.tag in BLOCKS and not part.tail:
            part.tail = "\n"
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html")


BLOCKS = {
    "head",
    "meta",
    "title",
    "style",
    "header",
    "nav",
    "main",
    "section",
    "table",
    "caption",
    "thead",
    "tbody",
} | {
    *(
        "h1",
        "h2",
        "h3",
        "p",
        "ul",
        "ol",
        "li",
        "tr",
        "td",
        "th",
        "div",
        "svg",
        "symbol",
        "pattern",
        "rect",
        "use",
        "line",
    )
}
"""Elements that end a line of the file."""


@dataclass(frozen=True)
class _Numbered:
    """A stack and its place on the page, by which it can be linked to."""

    number: int
    shown: Shown

    @property
    def anchor(self) -> str:
        return f"stack-{self.number}"


def _next(one: Shown) -> datetime | None:
    return min(due(one.view.deployed).values(), default=None) if one.view else None


def _head(root: Element, shown: Sequence[Shown]) -> None:
    head = element(root, "head")
    element(head, "meta", charset="utf-8")
    element(head, "meta", http_equiv="Content-Security-Policy", content=POLICY)
    element(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    element(head, "meta", name="color-scheme", content="light dark")
    element(head, "meta", name="referrer", content="no-referrer")
    element(head, "title", f"{_needed(shown)} · Outlook mail for NocoBase")
    element(head, "style").text = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def _needed(shown: Sequence[Shown]) -> str:
    needed = sum(bool(one.alarms) for one in shown)
    if len(shown) == 1:
        return f"{shown[0].stack} needs a person" if needed else f"{shown[0].stack}: nothing is wrong"
    if not needed:
        return f"{len(shown)} stacks: nothing is wrong"
    return f"{needed} of {len(shown)} stacks need{'s' * (needed == 1)} a person"


def _header(body: Element, shown: Sequence[Shown], now: datetime) -> None:
    header = element(body, "header")
    element(header, "h1", "Outlook mail for NocoBase")
    element(header, "p", _needed(shown), class_="verdict bad" if any(one.alarms for one in shown) else "verdict good")
    found = [one.view.sync if one.view else Sync.UNREAD for one in shown]
    counts = ", ".join(f"{found.count(sync)} {sync}" for sync in Sync if sync in found)
    taken = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    line = element(header, "p", f"{counts}. As of ")
    moment = element(line, "time", f"{taken} UTC", datetime=now.astimezone(UTC).isoformat())
    moment.tail = "; the page does not change by itself. All dates are in UTC."
    nav = element(element(header, "nav", aria_label="Sections"), "ul")
    for name in ("Alarms", "Due", "Timeline", "Stacks"):
        element(element(nav, "li"), "a", name, href=f"#{name.lower()}")


def _section(main: Element, anchor: str, title: str) -> Element:
    section = element(main, "section", id=anchor, aria_labelledby=f"{anchor}-title")
    element(section, "h2", title, id=f"{anchor}-title")
    return section


def _alarms(main: Element, numbered: Sequence[_Numbered]) -> None:
    section = _section(main, "alarms", "Alarms")
    if needed := [one for one in numbered if one.shown.alarms]:
        _needing(section, needed)
    else:
        element(section, "p", "✓ Nothing is wrong.", class_="good")
    if waiting := [one.shown.stack for one in numbered if one.shown.view and _waits_for_consent(one.shown.view)]:
        element(section, "p", f"An administrator's consent is missing: {', '.join(waiting)}.")


def _waits_for_consent(view: Overview) -> bool:
    application, consent = view.deployed.application, consent_for_programs(view)
    personal = application is not None and application.declared.audience == Audience.PERSONAL
    return not personal and consent is not None and consent["by"] == Consenter.ADMINISTRATOR.value


def _needing(section: Element, needed: Sequence[_Numbered]) -> None:
    stacks = element(section, "ul", class_="alarms")
    for one in needed:
        item = element(stacks, "li")
        heading = element(item, "h3")
        element(heading, "span", "⚠ ", aria_hidden="true")
        element(heading, "a", one.shown.stack, href=f"#{one.anchor}")
        said = element(item, "ul")
        for alarm in one.shown.alarms:
            sentence(said, "li", alarm)


def _due(main: Element, numbered: Sequence[_Numbered], now: datetime) -> None:
    section = _section(main, "due", "What is due when")
    table = _table(
        section, "The next date of each stack first", ("Stack", "Next", *(what.capitalize() for what in Due))
    )
    groups: dict[str, list[_Numbered]] = {"Due by now": [], "Within 30 days": [], "Later": [], "Not known": []}
    for one in sorted(numbered, key=lambda one: (_next(one.shown) or now, one.number)):
        groups[_group(_next(one.shown), now)].append(one)
    for name, members in groups.items():
        if not members:
            continue
        body = element(table, "tbody", role="rowgroup")
        row = element(body, "tr", role="row", class_="group")
        element(row, "th", f"{name} ({len(members)})", scope="rowgroup", role="rowheader", colspan=2 + len(Due))
        for one in members:
            _due_row(body, one, now)


def _group(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "Not known"
    return "Due by now" if moment <= now else "Within 30 days" if moment - now <= SOON else "Later"


def _due_row(body: Element, one: _Numbered, now: datetime) -> None:
    times = due(one.shown.view.deployed) if one.shown.view else {}
    missing = "none" if one.shown.view else "not known"
    row = _row(body, one)
    first = min(times, key=lambda what: times[what], default=None)
    following = f"{first}, {in_days(times[first], now)}" if first else "not known"
    _cell(row, "Next", following, "next")
    for what in Due:
        moment = times.get(what)
        kind = "date first" if what is first else "date" if moment else "none"
        _cell(row, what.capitalize(), day(moment) if moment else missing, kind)


def _stacks(main: Element, numbered: Sequence[_Numbered]) -> None:
    section = _section(main, "stacks", "Stacks")
    columns = ("Stack", "Application", "Consent", "Entra ID", "NocoBase")
    table = _table(section, "What each stack has, compared with what there is", columns)
    body = element(table, "tbody", role="rowgroup")
    for one in sorted(numbered, key=lambda one: one.shown.stack):
        row, view = _row(body, one), one.shown.view
        _sync(element(row[0], "div"), view.sync if view else Sync.UNREAD)
        if view is None:
            for column in columns[1:]:
                _cell(row, column, "not known")
            continue
        application = view.deployed.application
        cell = _cell(row, "Application")
        element(cell, "div", application.declared.display_name if application else "none")
        if application:
            element(element(cell, "div"), "span", application.client_id, class_="id whole")
        _cell(row, "Consent", consent_in_words(view) or "not known")
        _side(_cell(row, "Entra ID"), view.entra)
        cell = _cell(row, "NocoBase")
        for push, side in zip(view.deployed.pushes, view.nocobase, strict=True):
            element(cell, "div", side.target, class_="id")
            _side(cell, side)
            if push.slot and push.since:
                element(cell, "div", f"slot {push.slot} since {day(push.since)}")


def _side(cell: Element, side: Side) -> None:
    _sync(element(cell, "div"), side.sync)
    for said in (*side.reasons, *side.notes):
        sentence(cell, "div", said)


def _sync(parent: Element, sync: Sync) -> None:
    answer = element(parent, "span", class_="state")
    element(answer, "span", f"{MARKS[sync]} ", class_=f"sync {sync.name.lower()}", aria_hidden="true").tail = sync.value


def _table(section: Element, caption: str, columns: Sequence[str]) -> Element:
    """The roles are for narrow screens: there a row is laid out as a block, which takes its role from it."""
    table = element(section, "table", role="table")
    element(table, "caption", caption)
    head = element(element(table, "thead", role="rowgroup"), "tr", role="row")
    for column in columns:
        element(head, "th", column, scope="col", role="columnheader")
    return table


def _row(body: Element, one: _Numbered) -> Element:
    row = element(body, "tr", role="row")
    heading = element(row, "th", scope="row", role="rowheader")
    element(heading, "a", one.shown.stack, href=f"#{one.anchor}")
    return row


def _cell(row: Element, column: str, text: str | None = None, kind: str | None = None) -> Element:
    cell = element(row, "td", role="cell", class_=kind, data_column=column)
    element(cell, "span", text) if text is not None else None
    return cell


def _timelines(main: Element, numbered: Sequence[_Numbered], now: datetime) -> None:
    section = _section(main, "timeline", "Timeline")
    lives = {one.number: bars(one.shown.view.deployed) if one.shown.view else () for one in numbered}
    drawn = [bar for life in lives.values() for bar in life]
    _legend(section, drawn)
    time = axis(drawn, now)
    marks = ticks(time)
    _scale(section, time, marks)
    stacks = element(section, "ol", class_="stacks")
    for one in numbered:
        item = element(stacks, "li", id=one.anchor)
        heading = element(item, "h3", one.shown.stack)
        if one.shown.alarms:
            element(heading, "span", " ⚠", class_="bad", aria_label="needs a person", role="img")
        if lives[one.number]:
            _lanes(item, lives[one.number], time, marks)
        else:
            element(item, "p", "no client secret is known")


LANE, GAP = 18, 4
"""Height of a secret's bar, and the space below it, in CSS pixels; page.css has their sum."""


def _lanes(item: Element, life: Sequence[Bar], time: Axis, marks: Sequence[datetime]) -> None:
    slots = element(item, "div", class_="slots", aria_hidden="true")
    for bar in life:
        element(slots, "div", bar.slot)
    height = len(life) * (LANE + GAP)
    svg = element(item, "svg", width="100%", height=height, role="img", aria_label=" ".join(map(_in_words, life)))
    for mark in marks:
        element(svg, "line", class_="grid", x1=_x(time, mark), x2=_x(time, mark), y1=0, y2=height)
    for lane, bar in enumerate(life):
        top = lane * (LANE + GAP)
        for part in bar.segments:
            width = f"{(time.share(part.end) - time.share(part.start)) * 100:.2f}%"
            place = {"x": _x(time, part.start), "y": top + 3, "width": width, "height": LANE - 6}
            rectangle = element(svg, "rect", class_=part.kind.name.lower(), **place)
            element(rectangle, "title", f"{part.kind}: {day(part.start)} to {day(part.end)}")
        for moment, what in _moments(bar):
            element(svg, "use", href=f"#{what.name.lower()}", x=_x(time, moment), y=top)
    element(svg, "line", class_="today", x1=_x(time, time.today), x2=_x(time, time.today), y1=0, y2=height)


def _x(time: Axis, moment: datetime) -> str:
    return f"{time.share(moment) * 100:.2f}%"


class _Mark(StrEnum):
    """A moment of a secret's life; the value is what the legend says. Drawn by the symbol of its name."""

    ISSUED = "issued"
    RENEWAL = "new secret due"
    REMOVAL = "removed from Entra ID"
    EXPIRY = "expires"


def _moments(bar: Bar) -> Iterator[tuple[datetime, _Mark]]:
    yield bar.segments[0].start, _Mark.ISSUED
    for part in bar.segments:
        if part.kind is Kind.DUE:
            yield part.start, _Mark.RENEWAL
        if part.kind is Kind.REMOVED:
            yield part.start, _Mark.REMOVAL
    if bar.segments[-1].kind is not Kind.REMOVED:
        yield bar.segments[-1].end, _Mark.EXPIRY


def _in_words(bar: Bar) -> str:
    return f"Slot {bar.slot}: {', '.join(f'{mark} {day(moment)}' for moment, mark in _moments(bar))}."


SYMBOLS = {
    _Mark.ISSUED: "M0 4a5 5 0 1 0 .01 0z",
    _Mark.RENEWAL: "M-6 2H6L0 13z",
    _Mark.REMOVAL: "M-5 4L5 14M5 4L-5 14",
    _Mark.EXPIRY: "M-2 1H2V17H-2z",
}
"""How each is drawn: an SVG path around x = 0, in a lane's height."""

HATCHES = {Kind.DUE: "M0 8L8 0", Kind.RETIRING: "M0 2H8M0 6H8", Kind.WAITING: "M0 8L8 0M0 0L8 8"}
"""The pattern on a kind of bar, 8 by 8; those without have none."""


def _legend(section: Element, drawn: Sequence[Bar]) -> None:
    """What is drawn, each with its look, and the patterns and symbols that all drawings use."""
    defined = element(section, "svg", class_="defined", width=0, height=0, aria_hidden="true")
    for kind, path in HATCHES.items():
        size = {"width": 8, "height": 8, "patternUnits": "userSpaceOnUse"}
        pattern = element(defined, "pattern", id=f"hatch-{kind.name.lower()}", **size)
        element(pattern, "rect", width=8, height=8, class_=f"ground {kind.name.lower()}")
        element(pattern, "path", d=path, class_="stroke")
    for mark, outline in SYMBOLS.items():
        symbol = element(defined, "symbol", id=mark.name.lower(), overflow="visible")
        element(symbol, "path", d=outline, class_=f"mark {mark.name.lower()}")
    legend = element(section, "ul", class_="legend")
    kinds = {part.kind for bar in drawn for part in bar.segments}
    for kind in (kind for kind in Kind if kind in kinds):
        item = element(legend, "li")
        svg = element(item, "svg", width=28, height=LANE, aria_hidden="true")
        element(svg, "rect", class_=kind.name.lower(), x=1, y=3, width=26, height=LANE - 6)
        element(item, "span", kind.value)
    there = {found for bar in drawn for _, found in _moments(bar)}
    for known in (known for known in _Mark if known in there):
        item = element(legend, "li")
        svg = element(item, "svg", width=16, height=LANE, aria_hidden="true")
        element(svg, "use", href=f"#{known.name.lower()}", x=8)
        element(item, "span", known.value)


def _scale(section: Element, time: Axis, marks: Sequence[datetime]) -> None:
    """The months, above all drawings; a screen reader is told each date with its stack."""
    scale = element(section, "div", class_="scale", aria_hidden="true")
    for number, mark in enumerate(marks):
        place = f"left: {_x(time, mark)}"
        element(scale, "span", mark.strftime("%Y-%m"), style=place, class_="tick other" if number % 2 else "tick")
    side = " left" if time.share(time.today) > 0.5 else ""
    element(scale, "span", f"today, {day(time.today)}", style=f"left: {_x(time, time.today)}", class_=f"now{side}")


def ticks(time: Axis) -> list[datetime]:
    """The beginnings of months to mark on an axis, at most MOST_TICKS, equally many months apart."""
    first = time.start.astimezone(UTC)
    last = time.end.astimezone(UTC)
    months = range(first.year * 12 + first.month, last.year * 12 + last.month)
    step = next(step for step in (1, 2, 3, 6, 12, 24, 60, 120, len(months)) if len(months) <= step * MOST_TICKS)
    chosen = [month for month in months if month % step == 0] if step else []
    return [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in chosen]
