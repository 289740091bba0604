"""The status as a web page: whole, without anything from elsewhere, and harmless whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra import consent
from provisioning.entra.consent import FOR_THEMSELVES, LEGACY
from provisioning.program.last_state import Deployed
from provisioning.status.compare import overview
from provisioning.status.page import MOST_TICKS, POLICY, Due, Shown, due, html, ticks
from provisioning.status.read import Consent, Extra
from provisioning.status.timeline import Axis
from tests.golden import check
from tests.provisioning.status.fleets import HOSTILE, NOW, few, fifty
from tests.provisioning.status.test_compare import ONE, TWO, held, registration

GOLDEN = Path(__file__).parent / "golden"
STYLE = Path(__file__).parents[3] / "provisioning" / "status" / "page.css"

EMPTY = {"meta"}


@dataclass
class Tag:
    """One element: its attributes, the elements that it is in, and all text within it."""

    name: str
    attributes: dict[str, str]
    within: tuple[str, ...]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


class Reader(HTMLParser):
    """Every element of a page, in order; fails where one is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[Tag] = []
        self._open: list[Tag] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Tag(tag, {name: value or "" for name, value in attrs}, tuple(one.name for one in self._open))
        self.tags.append(made)
        if tag not in EMPTY:
            self._open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for one in self._open:
            one.texts.append(data)

    def named(self, *names: str) -> Iterator[Tag]:
        """The elements of these names."""
        return (one for one in self.tags if one.name in names)


@pytest.fixture(scope="module")
def page() -> Reader:
    return Reader(html(fifty(), NOW))


def test_the_page_of_a_few_stacks() -> None:
    style = STYLE.read_text()
    check(GOLDEN / "page.html", html(few(), NOW).replace(style, "\n/* page.css */\n"))


def test_nothing_runs_and_nothing_is_loaded(page: Reader) -> None:
    assert set(page.named("script", "img", "iframe", "link", "object", "form", "base")) == set()
    assert {name for one in page.tags for name in one.attributes if name.startswith("on")} == set()
    links = [one.attributes[name] for one in page.tags for name in ("href", "src") if name in one.attributes]
    assert {link for link in links if not link.startswith("#")} == set()
    assert "//" not in STYLE.read_text()
    assert re.findall(r"url\((?!#)", STYLE.read_text()) == []
    policies = [one.attributes["content"] for one in page.named("meta") if "http-equiv" in one.attributes]
    assert policies == [POLICY]


def test_what_comes_from_outside_is_text(page: Reader) -> None:
    shown = HOSTILE.replace("\u202e", "\\u202e")
    assert f"⚠ {shown}" in [one.text for one in page.named("h3")]
    assert "\u202e" not in html(fifty(), NOW)


def test_every_link_leads_to_one_place_on_the_page(page: Reader) -> None:
    ids = [one.attributes["id"] for one in page.tags if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    references = {one.attributes["href"][1:] for one in page.named("a", "use")}
    references |= {one.attributes["aria-labelledby"] for one in page.named("section")}
    references |= set(re.findall(r"url\(#([\w-]+)\)", STYLE.read_text()))
    assert references <= set(ids)


def test_a_screen_reader_finds_its_way(page: Reader) -> None:
    assert [one.name for one in page.named("header", "nav", "main")] == ["header", "nav", "main"]
    assert next(page.named("html")).attributes["lang"] == "en"
    headings = [int(one.name[1]) for one in page.named("h1", "h2", "h3")]
    assert headings[0] == 1
    assert all(later - before <= 1 for before, later in pairwise(headings))
    assert all(one.attributes.get("scope") for one in page.named("th"))
    assert all(one.text for one in page.named("th", "td", "caption"))
    drawings = [one.attributes for one in page.named("svg")]
    assert all(one.get("aria-hidden") == "true" or one.get("aria-label") for one in drawings)
    told = [one["aria-label"] for one in drawings if "aria-label" in one]
    assert "Slot a: issued 2027-01-01, removed from Entra ID 2027-04-10." in told[0] + " ".join(told)


def test_who_needs_a_person_comes_first(page: Reader) -> None:
    assert next(page.named("title")).text == "6 of 50 stacks need a person · Outlook mail for NocoBase"
    stacks = [one.text for one in page.named("h3")][6:]
    assert len(stacks) == 50
    assert [stack.endswith("⚠") for stack in stacks] == [True] * 6 + [False] * 44
    commands = [one.text for one in page.named("code")]
    assert {"pulumi up", "pulumi stack ls"} <= set(commands)


def test_what_is_due_is_ordered_by_its_date(page: Reader) -> None:
    groups = [one.text for one in page.named("th") if one.attributes["scope"] == "rowgroup"]
    assert [re.sub(r" \(\d+\)", "", group) for group in groups] == [
        "Due by now",
        "Within 30 days",
        "Later",
        "Not known",
    ]
    assert sum(int(re.findall(r"\((\d+)\)", group)[0]) for group in groups) == 50
    dates = [one.text for one in page.named("td") if one.attributes.get("class") == "date first"]
    assert dates == sorted(dates)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (Deployed("new"), {}),
        (ONE, {Due.RENEWAL: "2027-04-01", Due.END: "2027-06-30"}),
        (TWO, {Due.RENEWAL: "2027-06-30", Due.REMOVAL: "2027-04-10", Due.END: "2027-09-28"}),
    ],
    ids=["not-deployed", "one-secret", "two-secrets"],
)
def test_what_is_due(state: Deployed, expected: dict[Due, str]) -> None:
    assert {what: str(moment.date()) for what, moment in due(state).items()} == expected


def test_one_stack_or_none_in_need_is_said_so() -> None:
    quiet = [one for one in few() if not one.alarms]
    assert "2 stacks: nothing is wrong" in html(quiet, NOW)
    assert "✓ Nothing is wrong." in html(quiet, NOW)
    assert "prod-eu: nothing is wrong" in html(quiet[:1], NOW)
    assert "lost needs a person" in html([Shown("lost", None, ("x",))], NOW)


@pytest.mark.parametrize(("policies", "named"), [((), True), ((f"{FOR_THEMSELVES}{LEGACY}",), False)])
def test_a_stack_that_waits_for_an_administrator_is_named(policies: tuple[str, ...], named: bool) -> None:
    asked = Consent(consent.given(["SMTP.Send"], []), consent.rule(policies, ["SMTP.Send"]))
    view = overview(ONE, registration(), [held()], NOW, 14, Extra(consent=asked))
    assert ("An administrator's consent is missing: " in html([Shown("test", view, ())], NOW)) is named


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(1, 20_000))
def test_the_axis_has_few_marks_equally_far_apart(start: datetime, days: int) -> None:
    begin = start.replace(tzinfo=UTC)
    time = Axis(begin, begin + timedelta(days=days), begin)
    found = ticks(time)
    assert len(found) <= MOST_TICKS
    assert all(time.start <= mark <= time.end for mark in found)
    months = [mark.year * 12 + mark.month for mark in found]
    assert len({later - before for before, later in pairwise(months)}) <= 1


def luminance(colour: str) -> float:
    """Of a colour as #rrggbb, by the Web Content Accessibility Guidelines 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, 1 to 21."""
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_enough_contrast(scheme: int) -> None:
    roots = re.findall(r":root \{([^}]*--page[^}]*)\}", STYLE.read_text())
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", roots[scheme]))
    texts = [(text, "page") for text in ("text", "dim", "link", "bad", "good", "today")]
    texts += [(text, "bad-panel") for text in ("text", "link", "bad")] + [("text", "panel")]
    drawn = [(kind, "page") for kind in ("used", "due", "retiring", "removed", "waiting")]
    assert len(roots) == 2
    assert [pair for pair in texts if contrast(colours[pair[0]], colours[pair[1]]) < 4.5] == []
    assert [pair for pair in drawn if contrast(colours[pair[0]], colours[pair[1]]) < 3] == []
