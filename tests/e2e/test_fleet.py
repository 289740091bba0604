"""Many stacks at once, each with a NocoBase application of its own, on the real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox.environment import environment
from sandbox.nocobase import server, sub_applications
from tests.e2e.conftest import NOWHERE, Stack

pytestmark = pytest.mark.e2e

FLEET = ("fleet-a", "fleet-b", "fleet-c")
BROKEN = "fleet-broken"
"""Its NocoBase is a port that nobody listens on."""


@dataclass(frozen=True)
class Fleet:
    """Three stacks and a broken one beside the selected stack `dev`."""

    dev: Stack

    def start(self, *arguments: str, extra: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Begin `python -m provisioning up …`."""
        return subprocess.Popen(
            [sys.executable, "-m", "provisioning", "up", "fleet-*", "--format", "json", *arguments],
            cwd=self.dev.place.project,
            env={**os.environ, **environment(self.dev.place), **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def up(self, *arguments: str) -> tuple[int, dict[str, dict[str, object]], str]:
        """The exit code, the results by stack, and all that was said."""
        process = self.start(*arguments)
        stdout, stderr = process.communicate()
        self.dev.said.append(stdout + stderr)
        return process.returncode, {row["stack"]: row for row in json.loads(stdout)}, stderr

    def secret(self, stack: str) -> str:
        """The client secret in that stack's NocoBase; empty if there is none."""
        row = server.mail_settings_row(self.dev.place, app=stack)
        assert row is not None
        return row["clientSecret"] or ""

    def selected(self) -> list[str]:
        """The stack that plain `pulumi` commands work on."""
        return [item["name"] for item in json.loads(self.dev.pulumi("stack", "ls", "--json")) if item["current"]]


@pytest.fixture
def fleet(stack: Stack) -> Iterator[Fleet]:
    """Four stacks; destroyed after the test."""
    place = stack.place
    own = (place.project / "Pulumi.dev.yaml").read_text()
    files = {name: place.project / f"Pulumi.{name}.yaml" for name in (*FLEET, BROKEN)}
    for name, file in files.items():
        if name in FLEET and server.mail_settings_row(place, app=name) is None:
            sub_applications.create(place, name)
        configuration = own.replace("config:\n", f"config:\n  nocobase-outlook:nocobaseApp: {name}\n")
        if name == BROKEN:
            configuration = (
                f"config:\n  nocobase-outlook:nocobaseUrl: {NOWHERE}\n  nocobase-outlook:nocobasePatienceSeconds: 0\n"
            )
        file.write_text(configuration)
        stack.pulumi("stack", "init", name, "--no-select")
    try:
        yield Fleet(stack)
    finally:
        for name in files:
            stack.pulumi("destroy", "--yes", "--refresh", "--skip-preview", "--stack", name)
            stack.pulumi("stack", "rm", "--yes", name)
        # Removing any stack leaves none selected.
        stack.pulumi("stack", "select", "dev")


def outcomes(results: dict[str, dict[str, object]]) -> dict[str, object]:
    """What became of each stack."""
    return {name: row["outcome"] for name, row in results.items()}


def test_preview_a_run_that_is_ended_a_run_with_a_broken_stack_and_one_without_change(fleet: Fleet) -> None:
    # Preview: nothing is made.
    code, looked, _ = fleet.up("--preview")
    assert code == 1
    assert outcomes(looked) == {**dict.fromkeys(FLEET, "would change"), BROKEN: "failed"}
    assert fleet.dev.applications == []

    # Ended half-way, which the azuread plugin's own waits give the time for: what runs ends, nothing else begins.
    process = fleet.start("--except", BROKEN, "--parallel", "2", extra={"SANDBOX_AZUREAD_WAITS": "real"})
    while not fleet.dev.applications:
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Ending:" in stderr
    ended = outcomes({row["stack"]: row for row in json.loads(stdout)})
    assert ended["fleet-c"] == "stopped"
    assert set(ended.values()) <= {"stopped", "changed"}

    # The next one goes on from there, and the broken stack neither hides nor stops the others.
    code, results, said = fleet.up()
    assert code == 1
    assert outcomes(results)[BROKEN] == "failed"
    assert all(outcomes(results)[name] in ("changed", "unchanged") for name in FLEET)
    assert outcomes(results)["fleet-c"] == "changed"
    assert str(results[BROKEN]["error"]).startswith(f"NocoBase at {NOWHERE} cannot be reached")
    assert f"{BROKEN}: failed" in said
    assert len(fleet.dev.applications) == len(FLEET)
    secrets = {fleet.secret(name) for name in FLEET}
    assert len(secrets - {""}) == len(FLEET)

    # No change; the selected stack is what it was, and no secret was ever printed.
    code, results, _ = fleet.up("--except", BROKEN)
    assert code == 0
    assert outcomes(results) == dict.fromkeys(FLEET, "unchanged")
    assert fleet.selected() == ["dev"]
    assert not [secret for secret in secrets if secret in "".join(fleet.dev.said)]
