"""The page of 50 stacks in a real browser: it fits, it is drawn, and it neither runs nor loads anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.status.page import html
from tests.browser import Browser, chromium
from tests.provisioning.status.fleets import NOW, fifty

pytestmark = pytest.mark.proof

OUTSIDE = (
    "[...document.querySelectorAll('body *')].filter(it => it.getBoundingClientRect().right > innerWidth + 1).length"
)
HIDDEN = """[...document.querySelectorAll('.stacks rect')].filter(it => {
  const box = it.getBoundingClientRect(), svg = it.ownerSVGElement.getBoundingClientRect();
  return box.width === 0 || box.left < svg.left - 1 || box.right > svg.right + 1 }).length"""
FILLS = """[...document.querySelectorAll('.stacks rect')].map(it => {
  const style = getComputedStyle(it); return style.fill + style.stroke + style.strokeDasharray })"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_fifty_stacks(browser: Browser, tmp_path: Path, say: Callable[[str], None], width: int, dark: bool) -> None:
    page = tmp_path / f"page-{width}-{'dark' if dark else 'light'}.html"
    page.write_text(html(fifty(), NOW), encoding="utf-8")
    browser.open(page, width, dark)
    assert browser.value("document.title").startswith("6 of 50 stacks")
    assert browser.value("document.querySelectorAll('.stacks > li').length") == 50
    assert browser.value("document.documentElement.scrollWidth") == width
    assert (browser.value(OUTSIDE), browser.value(HIDDEN)) == (0, 0)
    assert browser.value(f"new Set({FILLS}).size") == 4
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(13, 17, 23)" if dark else "rgb(255, 255, 255)")
    asked = [it["params"]["request"]["url"] for it in browser.events if it["method"] == "Network.requestWillBeSent"]
    assert asked == [page.as_uri()]
    assert [it for it in browser.events if it["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled")] == []
    picture = page.with_suffix(".png")
    browser.screenshot(picture)
    say(f"a picture of the page of 50 stacks is {picture}")


def test_a_screen_reader_is_told_tables_also_on_a_narrow_screen(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(html(fifty(), NOW), encoding="utf-8")
    browser.open(page, 400)
    nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert [roles.count(role) for role in ("banner", "navigation", "main", "table")] == [1, 1, 1, 2]
    assert roles.count("columnheader") == 5 + 5
    assert roles.count("rowheader") >= 100
    assert roles.count("cell") == browser.value("document.querySelectorAll('td:not(.none)').length") > 300
