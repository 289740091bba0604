"""What a deployment of one stack of many tells of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.fleet.deploy import Deployer
from provisioning.fleet.runner import Result, StackOutcome
from provisioning.pulumi_cli import Pulumi
from provisioning.pulumi_events import Diagnostic, Event, Operation, StepEnded, Summary
from provisioning.resource_types import PUSH_TYPE

DUE = "NocoBase at https://crm.example.com has to be restarted."

PACKED = Deployer(Path(), policy_packs=("policy",))
"""Looks before it deploys."""


class Unwatched:
    """Nobody looks."""

    def began(self, stack: str) -> None: ...
    def step(self, stack: str, step: str) -> None: ...
    def ended(self, result: Result) -> None: ...


@pytest.mark.parametrize(
    ("operation", "due", "told"), [("update", DUE, DUE), ("update", None, ""), ("refresh", DUE, "")]
)
def test_a_nocobase_that_a_person_has_to_restart_is_told(
    operation: str, due: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: tuple[Event, ...] = (
        StepEnded(operation, PUSH_TYPE, "urn::nocobase", {"restart_due": due}),
        Summary({"update": 1}),
    )

    def operate(_: Pulumi, _operation: str, *_options: str, on_event: Callable[[Event], object]) -> Operation:
        for event in events:
            on_event(event)
        return Operation(True, events)

    monkeypatch.setattr(Pulumi, "operate", operate)
    result = Deployer(tmp_path).deploy("prod", Unwatched())
    assert (result.outcome, result.error, result.detail) == (StackOutcome.CHANGED, "", told)


@pytest.mark.parametrize(
    ("deployer", "counts"),
    [(Deployer(Path()), "2 created"), (Deployer(Path(), preview=True), "2 to create"), (PACKED, "2 to create")],
)
@pytest.mark.parametrize("succeeds", [False, True])
def test_what_a_preview_would_do_is_not_told_as_done(
    succeeds: bool, deployer: Deployer, counts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: tuple[Event, ...] = (Summary({"create": 2}),)
    if not succeeds:
        events = (Diagnostic("error", "It holds the credentials of another application."), *events)
    monkeypatch.setattr(Pulumi, "operate", lambda *_, **__: Operation(succeeds, events))
    result = deployer.deploy("prod", Unwatched())
    assert result.counts == ("2 created" if succeeds and deployer is PACKED else counts)
