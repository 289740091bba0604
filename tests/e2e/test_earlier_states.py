"""Stacks that earlier versions of the program deployed: this version does with them what that version would have done.

Each file in `earlier/` holds what all sides held when it was made: checkpoint, settings, tenant, NocoBase's rows; and
what `pulumi preview` of the version that made it would do next.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.nocobase import server, sub_applications
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e import moments
from tests.e2e.moments import Moment
from tests.e2e.stack import NAME, Stack

pytestmark = pytest.mark.e2e

FOLDER = Path(__file__).parent / "earlier"
WRITTEN_AT = "http://localhost:13000"
"""NocoBase's address in the files."""


@pytest.fixture(autouse=True)
def sales(place: Place) -> None:
    """The sub-application that one of the stacks serves, too."""
    if server.mail_settings_row(place, app="sales") is None:
        sub_applications.create(place, "sales")


def open_file(name: str, stack: Stack, empty: Moment) -> dict[str, Any]:
    """Bring all sides to the moment in a file; return the file."""
    place = stack.place
    text = (FOLDER / f"{name}.json").read_text().replace(WRITTEN_AT, nocobase_url(place))
    document: dict[str, Any] = json.loads(text)
    files = {
        **empty.files,
        stack.state_file: json.dumps(document["checkpoint"]).encode(),
        place.project / f"Pulumi.{NAME}.yaml": document["settings"].encode(),
    }
    tenant = {**empty.tenant, **document["tenant"]}
    tenant["servicePrincipals"] = {**empty.tenant["servicePrincipals"], **document["tenant"]["servicePrincipals"]}
    moments.go_back(place, Moment(files, tenant, document["rows"]))
    return document


def would_do(stack: Stack, today: str) -> dict[str, str]:
    """What a preview would do to which resource; nothing for what stays the same."""
    answer = json.loads(stack.pulumi("preview", "--json", extra={"PROVISIONING_TODAY": today}))
    return {step["urn"]: step["op"] for step in answer["steps"] if step["op"] not in ("same", "refresh")}


SHOWN_ELSEWHERE = ("created", "rotated", "rotated-half-way")
"""States that other tests of this file, or richer states, show as well."""

NAMES = [
    pytest.param(name, marks=pytest.mark.proof) if name in SHOWN_ELSEWHERE else name
    for name in sorted(file.stem for file in FOLDER.glob("*.json"))
]


@pytest.mark.parametrize("name", NAMES)
def test_the_next_run_does_what_it_would_have_done(name: str, stack: Stack, empty: Moment) -> None:
    document = open_file(name, stack, empty)
    assert would_do(stack, document["today"]) == document["preview"]


def test_one_that_was_left_half_way_is_resumed_and_destroyed(stack: Stack, empty: Moment, place: Place) -> None:
    document = open_file("rotated-half-way", stack, empty)
    before = stack.credentials
    stack.up(extra={"PROVISIONING_TODAY": document["today"]})
    outputs = stack.outputs
    assert stack.credentials == (outputs["clientId"], outputs["clientSecret"]) != before


def test_destroy_runs_the_provider_that_the_state_names(stack: Stack, empty: Moment) -> None:
    open_file("created", stack, empty)
    assert stack.credentials != ("", "")
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert (stack.credentials, stack.applications) == (("", ""), [])
