"""Every request of a stack's whole life, counted; and that nothing in NocoBase changes but two values of one row."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from sandbox.nocobase.bad_day import BadDay
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack
from tests.figures import Say

pytestmark = pytest.mark.e2e

OURS = {"clientId", "clientSecret", "updatedAt", "updatedById"}
"""What may change in the Microsoft row; the last two NocoBase changes itself."""


def everything(place: Place) -> dict[str, list[Any]]:
    """All rows of all tables of NocoBase's database, but for the two values and the times of change of their row."""
    with closing(sqlite3.connect(f"{(place.nocobase / 'nocobase.sqlite').as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        names = [
            row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        tables = {name: [dict(row) for row in database.execute(f'SELECT * FROM "{name}"')] for name in names}
    for row in tables["mailSettings"]:
        if row["type"] == "microsoft":
            for name in OURS & row.keys():
                del row[name]
    return tables


def test_every_request_of_a_whole_life(stack: Stack, say: Say) -> None:
    before = everything(stack.place)
    made: dict[str, list[str]] = {}
    asked: set[str] = set()

    def run(what: str, *arguments: str, today: str = "2027-01-01") -> None:
        proxy.clear()
        stack.pulumi(*arguments, "--yes", "--skip-preview", extra={"PROVISIONING_TODAY": today})
        seen = [f"{item['method']} {item['path'].removeprefix('/api/')}" for item in proxy.requests]
        made[what] = [request.partition(":")[2] for request in seen]
        asked.update(seen)
        assert all(item["status"] == 200 for item in proxy.requests), what

    def by_hand(**fields: object) -> None:
        stack.nocobase("mailSettings:update", fields, filterByTk=str(stack.row["id"]))

    with BadDay(nocobase_url(stack.place)) as proxy:
        stack.set("nocobaseUrl", proxy.url.replace("127.0.0.1", "localhost"))
        run("first deployment", "up")
        outputs = stack.outputs
        assert stack.credentials == (outputs["clientId"], outputs["clientSecret"])
        run("no change", "up")
        stack.set("applicationName", "another name")
        run("change of the application only", "up")
        run("rotation", "up", today="2027-04-03")
        assert stack.credentials == (outputs["clientId"], stack.outputs["clientSecret"])
        run("removal of the old secret", "up", today="2027-04-12")
        by_hand(clientId="by hand", clientSecret="by hand")
        run("repair", "up", today="2027-04-12")
        assert stack.credentials == (outputs["clientId"], stack.outputs["clientSecret"])
        by_hand(clientSecret="by hand")
        run("repair of a hidden secret", "up", today="2027-04-12")
        assert stack.credentials == (outputs["clientId"], stack.outputs["clientSecret"])
        run("destruction", "destroy", today="2027-04-12")
        assert stack.credentials == ("", "")
    for what, requests in made.items():
        say(f"{len(requests)} requests to NocoBase: {what} ({', '.join(requests)})")

    # Only two things are ever written, and only in one row of one collection.
    assert asked == {"GET mailSettings:list", "POST mailSettings:update", "GET mail:oauth2url"}
    after = everything(stack.place)
    assert [name for name in before if json.dumps(before[name]) != json.dumps(after[name])] == []

    counts = {what: len(requests) for what, requests in made.items()}
    # What the first one asks besides is asked before anything is made in Entra ID: row, and hidden secret's field.
    assert counts.pop("first deployment") == 2 + 4
    quiet = ("no change", "change of the application only", "removal of the old secret")
    assert {what: counts.pop(what) for what in quiet} == dict.fromkeys(quiet, 2)
    # Two by the refresh.
    assert max(counts.values()) <= 2 + 4
    assert all(Counter(requests)["update"] <= 1 for requests in made.values())


def test_a_nocobase_that_another_stack_took_over_is_left_to_it(deployed: Stack) -> None:
    stack = deployed
    first = stack.credentials
    stack.make("second")
    said = stack.up("--stack", "second", ok=False)
    assert f'client ID {first[0]}, "NocoBase mail" with the tag of the stack organization/nocobase-outlook/dev' in said
    assert f"nocobaseTakeOver {first[0]}" in said
    assert stack.credentials == first

    stack.set("nocobaseTakeOver", first[0], stack="second")
    stack.up("--stack", "second")
    second = stack.credentials
    assert {first[0], second[0]} == {application["appId"] for application in stack.applications}
    assert second[0] != first[0]

    said = stack.up(ok=False)
    assert (
        f'client ID {second[0]}, "NocoBase mail" with the tag of the stack organization/nocobase-outlook/second' in said
    )
    assert stack.credentials == second

    # What a person typed in is drift.
    stack.nocobase("mailSettings:update", {"clientId": "typed-in"}, filterByTk=str(stack.row["id"]))
    stack.up()
    assert stack.credentials == first
    # What it does not hold any more is not emptied.
    assert "other credentials" in stack.pulumi("destroy", "--yes", "--skip-preview", "--stack", "second")
    assert stack.credentials == first
    assert [application["appId"] for application in stack.applications] == [first[0]]
