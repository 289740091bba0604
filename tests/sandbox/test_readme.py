"""The two READMEs say what is there: tests that they name exist, orders that they show are accepted."""

from __future__ import annotations

import json
import re

import pytest

from sandbox.entra.clock import ClockOrder
from sandbox.entra.federation import TokenOrder
from sandbox.entra.own_pages import ORDERS as ENTRA_ORDERS
from sandbox.nocobase.bad_day import ORDERS as NOCOBASE_ORDERS
from sandbox.nocobase.bad_day import TROUBLES, Refusal
from sandbox.place import PROJECT, Place
from tests.sandbox.azuread.test_differences import REFUSED

SANDBOX = (PROJECT / "sandbox" / "README.md").read_text()
TESTS = (PROJECT / "tests" / "README.md").read_text()
ORDERS = re.findall(r"^    (?:ask|curl \S+ \S+/_sandbox/)\s*([\w-]+) -d '(.*)'$", SANDBOX, re.MULTILINE)


@pytest.mark.parametrize("text", [SANDBOX, TESTS], ids=["sandbox", "tests"])
def test_files_that_it_names_exist(text: str) -> None:
    named = set(re.findall(r"`((?:tests|sandbox|contract|provisioning|e2e|entra)/[\w/.]*)`", text))
    named |= {link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")}
    folders = (PROJECT, PROJECT / "sandbox", PROJECT / "tests")
    assert len(named) > 5
    assert {name for name in named if not any((folder / name).exists() for folder in folders)} == set()


def test_every_difference_names_a_test() -> None:
    section = SANDBOX.split("## What is known to differ\n")[1].split("### Not tried")[0]
    rows = [row for row in section.splitlines() if row.startswith("| ") and "---" not in row and "shown by" not in row]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"`tests/[\w/]+/test_\w+\.py`", row.rsplit("|", 2)[1])] == []


def test_refused_properties_and_troubles_are_named() -> None:
    line = next(line for line in SANDBOX.splitlines() if "refuses, in words, to set" in line)
    assert set(re.findall(r"`([\w.]+)`", line.split(" | ")[0])) == set(REFUSED)
    troubles = SANDBOX.split("\nTroubles: ")[1].split(". ")[0]
    assert re.findall(r"`([\w-]+)`", troubles) == sorted(TROUBLES)


@pytest.mark.parametrize(("page", "order"), ORDERS)
def test_orders_that_it_shows_are_accepted(page: str, order: str) -> None:
    given = json.loads(order)
    match page:
        case "clock":
            ClockOrder.model_validate(given)
        case "oidc-token":
            TokenOrder.model_validate(given)
        case "refuse":
            Refusal.model_validate(given)
        case _ if "trouble" in given:
            NOCOBASE_ORDERS.validate_python([given])
        case _:
            ENTRA_ORDERS.validate_python([given])


def test_orders_are_found() -> None:
    entra = ["faults"] * 4 + ["clock", "oidc-token"]
    assert [page for page, _ in ORDERS] == [*entra, "faults", "faults", "refuse"]


def test_folders_are_where_it_says() -> None:
    place = Place(PROJECT, PROJECT / ".sandbox" / "installed", PROJECT / ".sandbox" / "dev", PROJECT)
    for folder in (place.home, place.logs, place.processes, place.nocobase, place.pulumi_state, place.installed):
        assert f"`{folder.relative_to(PROJECT)}/`" in SANDBOX
    assert f"`{(place.entra / 'state.json').relative_to(PROJECT)}`" in SANDBOX
