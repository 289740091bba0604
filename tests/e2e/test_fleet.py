"""Many stacks at once, each with a NocoBase application of its own, on the real engine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from sandbox.nocobase import server, sub_applications
from tests.e2e.commands import run
from tests.e2e.conftest import NOWHERE, Stack
from tests.e2e.stack import surroundings

pytestmark = pytest.mark.e2e

FLEET = ("fleet-a", "fleet-b")
"""The first's NocoBase is the main application, the second's a sub-application."""

BROKEN = "fleet-broken"
"""Its NocoBase is a port that nobody listens on."""


@dataclass(frozen=True)
class Fleet:
    """Two stacks and a broken one beside the selected stack `dev`."""

    dev: Stack

    @property
    def keys(self) -> dict[str, str]:
        """The API key of each stack: they have different addresses."""
        key = server.api_key(self.dev.place)
        return {f"NOCOBASE_API_KEY_{name.upper().replace('-', '_')}": key for name in (*FLEET, BROKEN)}

    def up(self, *arguments: str) -> tuple[int, dict[str, dict[str, object]], str]:
        """The exit code of `python -m provisioning up …`, the results by stack, and all that was said."""
        code, printed, said = run(self.dev, "up", *arguments, "--format", "json", extra=self.keys)
        self.dev.said.append(printed + said)
        return code, {row["stack"]: row for row in json.loads(printed)}, said

    def secret(self, app: str | None) -> str:
        """The client secret in the NocoBase application; empty if there is none."""
        row = server.mail_settings_row(self.dev.place, app=app)
        assert row is not None
        return row["clientSecret"] or ""

    def selected(self) -> str:
        """The stack that plain `pulumi` commands work on."""
        (file,) = (self.dev.place.pulumi_home / "workspaces").glob("nocobase-outlook-*.json")
        found: str
        (found,) = json.loads(file.read_text())["stacks"].values()
        return found


@pytest.fixture
def fleet(stack: Stack) -> Fleet:
    """Three empty stacks."""
    sub_applications.create(stack.place, "sales")
    stack.make(FLEET[0])
    stack.make(FLEET[1], nocobaseApp="sales")
    stack.make(BROKEN, nocobaseUrl=NOWHERE, nocobasePatienceSeconds="0")
    return Fleet(stack)


def outcomes(results: dict[str, dict[str, object]]) -> dict[str, object]:
    """What became of each stack."""
    return {name: row["outcome"] for name, row in results.items()}


def test_preview_a_run_that_is_ended_a_run_with_a_broken_stack_and_one_without_change(fleet: Fleet) -> None:
    # Preview: nothing is made.
    code, looked, _ = fleet.up(FLEET[0], "--preview")
    assert (code, outcomes(looked)) == (0, {FLEET[0]: "would change"})
    assert fleet.dev.applications == []

    # Ended half-way, which the azuread plugin's own waits give the time for: what runs ends, nothing else begins.
    command = [sys.executable, "-m", "provisioning", "up", *FLEET, "--format", "json", "--parallel", "1"]
    process = subprocess.Popen(
        command,
        cwd=fleet.dev.place.project,
        env=surroundings(fleet.dev.place, {"SANDBOX_AZUREAD_WAITS": "real"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not fleet.dev.applications:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Ending:" in stderr
    first, second = json.loads(stdout)
    assert first["outcome"] in ("stopped", "changed")
    assert (second["outcome"], second["error"]) == ("stopped", "not started")

    # The next one goes on from there, and the broken stack neither hides nor stops the others.
    code, results, said = fleet.up("fleet-*")
    assert code == 1
    assert outcomes(results) == {**dict.fromkeys(FLEET, "changed"), BROKEN: "failed"}
    assert str(results[BROKEN]["error"]).startswith(f"NocoBase at {NOWHERE} cannot be reached")
    assert f"{BROKEN}: failed" in said
    assert len(fleet.dev.applications) == len(FLEET)
    secrets = {fleet.secret(None), fleet.secret("sales")}
    assert len(secrets - {""}) == len(FLEET)

    # No change; the selected stack is what it was, and no secret was ever printed.
    code, results, _ = fleet.up("fleet-*", "--except", BROKEN, "--except", FLEET[0])
    assert (code, outcomes(results)) == (0, {FLEET[1]: "unchanged"})
    assert fleet.selected().endswith("/dev")
    assert not [secret for secret in secrets if secret in "".join([*fleet.dev.said, stdout, stderr])]
