"""When client secrets are valid, used, renewed and removed: a pure division of time, drawn as characters or as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from xml.etree import ElementTree

from rich.text import Text

from provisioning.foreign import one_line
from provisioning.program.last_state import Deployed, KnownSecret
from provisioning.status.dates import day
from provisioning.status.markup import element


class Kind(StrEnum):
    """What a secret is in one part of its life; the value is what the legend says."""

    USED = "in use"
    DUE = "due to be replaced"
    RETIRING = "replaced, still accepted"
    REMOVED = "removed by then"
    WAITING = "not known to be in use"


@dataclass(frozen=True)
class Look:
    """How a kind is drawn: a character that tells it without colours, Rich's style, and SVG's colour."""

    character: str
    style: str
    colour: str


LOOKS = {
    Kind.USED: Look("█", "green", "#2da44e"),
    Kind.DUE: Look("▒", "yellow", "#d4a72c"),
    Kind.RETIRING: Look("░", "blue", "#54aeff"),
    Kind.REMOVED: Look("·", "dim", "#afb8c1"),
    Kind.WAITING: Look("?", "magenta", "#bf3989"),
}

TODAY = "┃"


@dataclass(frozen=True)
class Segment:
    """A part of a secret's life, from `start` up to `end`, which is not part of it."""

    kind: Kind
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Bar:
    """One secret's life, from its issue to its end, without gaps."""

    stack: str
    slot: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Axis:
    """The time that is drawn, from `start` up to `end`, and the present."""

    start: datetime
    end: datetime
    today: datetime

    def share(self, moment: datetime) -> float:
        """Where `moment` is: 0 at the start, 1 at the end."""
        return (moment - self.start) / (self.end - self.start)


def bars(state: Deployed) -> tuple[Bar, ...]:
    """The lives of a stack's secrets, by the state."""
    return tuple(
        Bar(one_line(state.stack), secret.slot.value, _life(state, secret))
        for secret in state.secrets
        if secret.issued < secret.ends
    )


def axis(drawn: Iterable[Bar], today: datetime) -> Axis:
    """The time that takes in all of the bars, and the present."""
    moments = [moment for bar in drawn for part in bar.segments for moment in (part.start, part.end)] + [today]
    start, end = min(moments), max(moments)
    return Axis(start, max(end, start + timedelta(days=1)), today)


def _life(state: Deployed, secret: KnownSecret) -> tuple[Segment, ...]:
    if state.used_by(secret):
        replaced = state.next_rotation or secret.ends
        return _parts(secret, [(replaced, Kind.USED), (secret.ends, Kind.DUE)])
    switched = min((push.since for push in state.pushes if push.since and push.slot is not secret.slot), default=None)
    if switched is None or switched < secret.issued:
        return _parts(secret, [(secret.ends, Kind.WAITING)])
    retires = state.old_retires or secret.ends
    return _parts(secret, [(switched, Kind.USED), (retires, Kind.RETIRING), (secret.ends, Kind.REMOVED)])


def _parts(secret: KnownSecret, until: Sequence[tuple[datetime, Kind]]) -> tuple[Segment, ...]:
    """The secret's life cut at the given times, those out of order or outside of it left aside."""
    parts, start = [], secret.issued
    for moment, kind in until:
        end = min(moment, secret.ends)
        if start < end:
            parts.append(Segment(kind, start, end))
            start = end
    return tuple(parts)


def characters(bar: Bar, time: Axis, width: int) -> Text:
    """A bar as `width` characters, the present among them."""
    today = min(int(time.share(time.today) * width), width - 1)

    def look(column: int) -> tuple[str, str]:
        if column == today:
            return TODAY, "bold"
        middle = time.start + (time.end - time.start) * ((column + 0.5) / width)
        part = next((part for part in bar.segments if part.start <= middle < part.end), None)
        return (LOOKS[part.kind].character, LOOKS[part.kind].style) if part else (" ", "")

    return Text.assemble(
        *((character * len(list(run)), style) for (character, style), run in groupby(map(look, range(width))))
    )


def drawing(drawn: Sequence[Bar], today: datetime, width: int) -> Text:
    """All bars with their names, the axis below, and a legend of what is in them; at most `width` columns wide."""
    time = axis(drawn, today)
    names = [f"{bar.stack} {bar.slot}" for bar in drawn]
    left = max(map(len, names))
    inner = max(width - left - 1, 2 * len("2000-01-01") + 1)
    lines = [
        Text(f"{name:<{left}} ").append_text(characters(bar, time, inner))
        for name, bar in zip(names, drawn, strict=True)
    ]
    first, last = day(time.start), day(time.end)
    lines.append(Text(f"{'':<{left}} {first}{last:>{inner - len(first)}}", style="dim"))
    kinds = [kind for kind in Kind if any(part.kind is kind for bar in drawn for part in bar.segments)]
    legend = Text(f"{'':<{left}} ")
    for kind in kinds:
        legend.append(LOOKS[kind].character, style=LOOKS[kind].style).append(f" {kind}  ")
    lines.append(legend.append(TODAY, style="bold").append(f" {day(today)}"))
    return Text("\n").join(lines)


LABEL_WIDTH, BAR_WIDTH, ROW_HEIGHT, BAR_HEIGHT, MARGIN = 160, 640, 28, 16, 12

STYLE = """
.ground { fill: #ffffff } text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.axis { stroke: #8c959f } .today { stroke: #cf222e; stroke-width: 2 } text.today-text { fill: #cf222e }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } text { fill: #e6edf3 } .today { stroke: #ff7b72 } text.today-text { fill: #ff7b72 }
}
"""


def svg(drawn: Sequence[Bar], today: datetime) -> str:
    """All bars as an SVG document on a ground of its own; each part tells its dates as a tooltip."""
    time = axis(drawn, today)
    bottom = MARGIN + ROW_HEIGHT * (len(drawn) + 1)
    kinds = [kind for kind in Kind if any(part.kind is kind for bar in drawn for part in bar.segments)]
    height = bottom + ROW_HEIGHT * (1 + len(kinds))
    width = LABEL_WIDTH + BAR_WIDTH + 2 * MARGIN

    def x(moment: datetime) -> float:
        return round(MARGIN + LABEL_WIDTH + time.share(moment) * BAR_WIDTH, 2)

    size = {"viewBox": f"0 0 {width} {height}", "width": width}
    root = element(None, "svg", xmlns="http://www.w3.org/2000/svg", role="img", **size)
    element(root, "title", "Client secrets: validity, rotation and retirement")
    element(root, "style").text = STYLE
    element(root, "rect", class_="ground", x=0, y=0, width=width, height=height)
    for row, bar in enumerate(drawn, 1):
        top = MARGIN + ROW_HEIGHT * row
        element(root, "text", f"{bar.stack} {bar.slot}", x=MARGIN, y=top + BAR_HEIGHT - 3)
        for part in bar.segments:
            left = x(part.start)
            place = {"x": left, "y": top, "width": round(x(part.end) - left, 2), "height": BAR_HEIGHT}
            rectangle = element(root, "rect", fill=LOOKS[part.kind].colour, **place)
            element(rectangle, "title", f"{part.kind}: {day(part.start)} to {day(part.end)}")
    for mark, anchor in ((time.start, "start"), (time.end, "end")):
        element(root, "text", day(mark), x=x(mark), y=bottom + 18, text_anchor=anchor)
    now = x(time.today)
    element(root, "line", class_="axis", x1=x(time.start), x2=x(time.end), y1=bottom, y2=bottom)
    element(root, "line", class_="today", x1=now, x2=now, y1=MARGIN + 16, y2=bottom)
    anchor = "end" if time.share(today) > 0.5 else "start"
    element(root, "text", f"today, {day(today)}", class_="today-text", x=now, y=MARGIN + 10, text_anchor=anchor)
    for row, kind in enumerate(kinds, 1):
        top = bottom + ROW_HEIGHT * row
        element(root, "rect", x=MARGIN, y=top, width=BAR_HEIGHT, height=BAR_HEIGHT, fill=LOOKS[kind].colour)
        element(root, "text", kind.value, x=MARGIN + BAR_HEIGHT + 8, y=top + BAR_HEIGHT - 3)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")
