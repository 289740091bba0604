"""The timeline: lives of secrets without gaps or overlaps, drawn as characters and as SVG."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra.client_secret_plan import Slot
from provisioning.program.last_state import Deployed, KnownSecret, Push
from provisioning.status.timeline import LOOKS, TODAY, Bar, Kind, axis, bars, characters, drawing, svg
from tests.golden import PROJECT, check
from tests.provisioning.status.test_compare import ONE, TWO

GOLDEN = Path(__file__).parent / "golden"

START = datetime(2027, 1, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"

moments = st.integers(0, 40_000).map(lambda hours: START + timedelta(hours=hours))


def kinds(bar: Bar) -> list[tuple[str, str, str]]:
    """The parts of a bar: kind, first day, last day."""
    return [(part.kind.name, str(part.start.date()), str(part.end.date())) for part in bar.segments]


@st.composite
def secrets(draw: st.DrawFn, slot: Slot) -> KnownSecret:
    """Any secret, also one whose dates make no sense."""
    return KnownSecret(slot, "name", f"key-{slot}", draw(moments), draw(moments), draw(st.sampled_from(["x", "y"])))


def given_to(name: str) -> st.SearchStrategy[Push]:
    """Any push."""
    slots, secret_values = st.sampled_from([*Slot, None]), st.sampled_from(["x", "y"])
    return st.builds(
        Push, st.just(name), st.just("url"), st.none(), st.just("id"), secret_values, st.just(()), slots,
        st.none() | moments, st.none(), st.none(),
    )  # fmt: skip


@st.composite
def states(draw: st.DrawFn) -> Deployed:
    """Any state: rotations interrupted anywhere, dates of other policies, several installations or none."""
    known = [draw(secrets(slot)) for slot in Slot if draw(st.booleans())]
    pushes = [draw(given_to(str(number))) for number in range(draw(st.integers(0, 3)))]
    dates = draw(st.none() | moments), draw(st.none() | moments)
    return Deployed("s", None, None, tuple(known), tuple(pushes), *dates)


@given(states(), moments)
def test_segments_are_ordered_and_cover_a_life_without_gaps(state: Deployed, today: datetime) -> None:
    drawn = bars(state)
    lives = {secret.slot: secret for secret in state.secrets if secret.issued < secret.ends}
    assert [bar.slot for bar in drawn] == list(lives)
    time = axis(drawn, today)
    assert time.start <= today <= time.end
    for bar, secret in zip(drawn, lives.values(), strict=True):
        assert (bar.segments[0].start, bar.segments[-1].end) == (secret.issued, secret.ends)
        assert all(part.start < part.end for part in bar.segments)
        assert all(left.end == right.start for left, right in pairwise(bar.segments))
        assert all(0 <= time.share(part.start) < time.share(part.end) <= 1 for part in bar.segments)


@given(states(), moments, st.integers(1, 200))
def test_a_bar_has_as_many_characters_as_asked_for_and_the_present_once(
    state: Deployed, today: datetime, width: int
) -> None:
    drawn = bars(state)
    for bar in drawn:
        line = characters(bar, axis(drawn, today), width).plain
        assert len(line) == width
        assert line.count(TODAY) == 1


@given(states().filter(bars), moments)
def test_svg_is_xml_with_a_rectangle_for_each_segment_inside_the_drawing(state: Deployed, today: datetime) -> None:
    drawn = bars(state)
    root = ElementTree.fromstring(svg(drawn, today))
    assert root.tag == f"{SVG}svg"
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    parts = [found for found in root.iter(f"{SVG}rect") if found.find(f"{SVG}title") is not None]
    assert len(parts) == sum(len(bar.segments) for bar in drawn)
    for rectangle in root.iter(f"{SVG}rect"):
        x, y, wide, high = (float(rectangle.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
        assert wide >= 0


def test_one_secret_is_in_use_until_the_next_is_due() -> None:
    (bar,) = bars(ONE)
    assert kinds(bar) == [("USED", "2027-01-01", "2027-04-01"), ("DUE", "2027-04-01", "2027-06-30")]


def test_a_replaced_secret_retires() -> None:
    old, new = bars(TWO)
    assert kinds(old) == [
        ("USED", "2027-01-01", "2027-04-03"),
        ("RETIRING", "2027-04-03", "2027-04-10"),
        ("REMOVED", "2027-04-10", "2027-06-30"),
    ]
    assert kinds(new) == [("USED", "2027-04-01", "2027-06-30"), ("DUE", "2027-06-30", "2027-09-28")]


def test_a_newer_secret_that_nobody_was_given_waits() -> None:
    (_, new) = bars(Deployed("s", None, None, TWO.secrets, ONE.pushes))
    assert kinds(new) == [("WAITING", "2027-04-01", "2027-09-28")]


def test_drawn_as_characters() -> None:
    drawn = drawing(bars(TWO), datetime(2027, 4, 5, tzinfo=UTC), 64).plain
    check(GOLDEN / "timeline.txt", drawn + "\n")
    page = (PROJECT / "docs" / "commands.md").read_text()
    assert "\n".join(line.rstrip() for line in drawn.splitlines()) in page


def test_drawn_as_svg() -> None:
    check(GOLDEN / "timeline.svg", svg(bars(TWO), datetime(2027, 4, 5, tzinfo=UTC)) + "\n")


def test_every_kind_is_told_apart_without_colours() -> None:
    assert len({look.character for look in LOOKS.values()} | {TODAY, " "}) == len(Kind) + 2
    assert len({look.colour for look in LOOKS.values()}) == len(Kind)


def test_names_are_escaped_in_svg() -> None:
    odd = Deployed("<&>", None, None, ONE.secrets, ONE.pushes)
    root = ElementTree.fromstring(svg(bars(odd), START))
    assert "<&> a" in [text.text for text in root.iter(f"{SVG}text")]
