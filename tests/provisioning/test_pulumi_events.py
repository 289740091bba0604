"""What is taken from the engine's events, and why an operation failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provisioning.pulumi_events import (
    Diagnostic,
    Event,
    Operation,
    PolicyViolation,
    StepBegun,
    StepEnded,
    Summary,
    parse_event,
)

KIND = "azuread:index/application:Application"
URN = f"urn:pulumi:prod::nocobase-outlook::{KIND}::mail"


def step(operation: str, **more: Any) -> dict[str, Any]:
    """An event as the engine prints it."""
    return {"sequence": 1, "resourcePreEvent": {"metadata": {"op": operation, "type": KIND, "urn": URN, **more}}}


@pytest.mark.parametrize(
    ("printed", "event"),
    [
        (step("same"), StepBegun("same", KIND, URN)),
        (
            step("update", detailedDiff={"web.redirectUris[0]": {}, "tags[1]": {}, "tags[0]": {}}),
            StepBegun("update", KIND, URN, ("tags", "web.redirectUris")),
        ),
        (
            {"resOutputsEvent": {"metadata": {"op": "update", "type": KIND, "urn": URN, "new": {"outputs": {"a": 1}}}}},
            StepEnded("update", KIND, URN, {"a": 1}),
        ),
        (
            {"resOutputsEvent": {"metadata": {"op": "delete", "type": KIND, "urn": URN, "new": None}}},
            StepEnded("delete", KIND, URN),
        ),
        ({"diagnosticEvent": {"severity": "info#err", "message": "x"}}, Diagnostic("info#err", "x")),
        ({"diagnosticEvent": {"severity": "debug", "message": "x"}}, None),
        (
            {"policyEvent": {"enforcementLevel": "advisory", "policyName": "owners", "message": "one"}},
            PolicyViolation("owners", "one", mandatory=False),
        ),
        ({"summaryEvent": {"resourceChanges": {"same": 5, "update": 1}}}, Summary({"same": 5, "update": 1})),
        ({"summaryEvent": {"resourceChanges": None}}, None),
        ({"preludeEvent": {"config": {}}}, None),
        ([1], None),
    ],
)
def test_an_event_is_read(printed: object, event: Event | None) -> None:
    assert parse_event(json.dumps(printed)) == event


def test_a_line_that_is_no_event_is_none() -> None:
    assert parse_event("warning: a new version of Pulumi is available\n") is None


def test_a_step_in_words() -> None:
    assert StepBegun("create-replacement", KIND, URN).words == "create replacement Application"


FAILED = (
    Diagnostic("info", "Client secrets: …"),
    Diagnostic("error", "<{%reset%}>error: rejected the login<{%reset%}>\n"),
    Diagnostic("error", "error: rejected the login"),
    Diagnostic("error", "  sdk-v2/provider2.go:572: sdk.helper_schema: rejected the login: provider=azuread@6.10.0"),
    Diagnostic("error", "update failed"),
    Diagnostic("error", "error: Resource monitor has terminated, shutting down"),
    PolicyViolation("owners", "one", mandatory=False),
    PolicyViolation("owners", "two\nlines", mandatory=True),
)


def test_a_failure_is_told_once_and_without_colours() -> None:
    assert Operation(False, FAILED, "error: update failed").errors == [
        "rejected the login",
        "Policy owners: two\nlines",
    ]
    assert Operation(True, FAILED).errors == []


def test_a_refresh_that_cannot_sign_in_is_told_with_the_way_out_first() -> None:
    said = f"could not load provider for resource {URN}: could not create provider x: AADSTS7000215: Invalid"
    way_out, found = Operation(False, (Diagnostic("error", f"error: {said}"),)).errors
    assert found == said
    assert "run `pulumi up --run-program` once" in way_out
    other = (
        "could not load provider for resource urn:pulumi:dev::x::pulumi-python:dynamic/nocobase:MailSettings::nocobase"
    )
    without_plugin = f"could not load provider for resource {URN}: load plugin for azuread provider 'x': none"
    for one in (other, without_plugin):
        assert Operation(False, (Diagnostic("error", one),)).errors == [one]


@pytest.mark.parametrize(
    ("said", "errors"),
    [
        ("warning: old\nerror: locked by 1 lock(s)\n  more\nerror: other\n", ["locked by 1 lock(s)\n  more", "other"]),
        ("panic!", ["panic!"]),
        ("", [""]),
    ],
)
def test_a_failure_before_the_first_event_is_what_the_command_printed(said: str, errors: list[str]) -> None:
    assert Operation(False, (), said).errors == errors


def test_what_stays_the_same_is_no_change() -> None:
    assert Operation(True, (Summary({"same": 5, "update": 1}),)).changes == {"update": 1}
    assert Operation(True, ()).changes == {}
