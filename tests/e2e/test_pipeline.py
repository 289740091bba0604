"""The ready GitHub pipeline, played on this machine with tokens of the sandbox's issuer: no Azure secret anywhere."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault
from sandbox.nocobase import sub_applications
from sandbox.place import Place
from tests.e2e.conftest import Stack, sandbox_entra
from tests.e2e.deployer import Deployer
from tests.e2e.github import Job
from tests.e2e.test_rotation_killed import kill

pytestmark = pytest.mark.e2e

STACKS = ("test", "prod")
INSTALLED = ("Install",)
"""A runner begins with nothing; here the first job's packages are there for the next."""
HOLD, PATIENCE = 5.0, 60.0
ADD_PASSWORD = r"POST /v1.0/applications/[^/]+/addPassword$"


@dataclass
class Pipeline:
    """The repository of a company whose pipeline deploys its stacks, a NocoBase each."""

    place: Place
    deployer: Deployer
    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def job(self, name: str, stack: str) -> Job:
        """A job that runs now."""
        clock = {"PROVISIONING_TODAY": self.now.isoformat()}
        return Job(self.place, self.deployer, name, stack, clock)

    def run(self, name: str, stack: str, without: Collection[str] = INSTALLED) -> Job:
        """Run a job, whose steps must all succeed."""
        job = self.job(name, stack)
        failed, said = job.run(self.folder, without)
        assert failed == [], said
        assert "secretText" not in said
        return job

    def deploy(self, ok: bool = True) -> str:
        """What the deployment of test says, without the other steps of its job."""
        job = self.job("test", "test")
        with job.start(job.step("Deploy"), self.folder / "deploy.sh") as process:
            said, _ = process.communicate()
        assert (process.returncode == 0) is ok, said
        return said

    def pass_days(self, days: int) -> None:
        """Time passes on all sides."""
        self.now += timedelta(days=days)
        sandbox_entra(self.place, "POST", "clock", {"now": self.now.isoformat()})

    @property
    def applications(self) -> list[dict[str, Any]]:
        """The mail applications in Entra ID."""
        found = sandbox_entra(self.place, "GET", "state")["applications"]
        return [
            item for item in found if item["displayName"] not in ("NocoBase mail deployer", "NocoBase mail previews")
        ]

    def application(self, stack: str) -> dict[str, Any]:
        """The application of a stack."""
        return next(item for item in self.applications if item["tags"][0].endswith(f"/{stack}"))

    def secrets(self, stack: str) -> list[str]:
        """The slots of a stack's client secrets."""
        return sorted(item["displayName"][:15] for item in self.application(stack)["passwordCredentials"])

    def locks(self) -> list[Path]:
        """The locks in the state's folder."""
        return list((self.place.pulumi_state / ".pulumi" / "locks").rglob("*.json"))

    def held_at(self, request: str) -> subprocess.Popen[str]:
        """The deployment of test, at the moment at which Entra ID has got `request` and does not answer yet."""
        job = self.job("test", "test")
        sandbox_entra(self.place, "DELETE", "requests")
        sandbox_entra(self.place, "POST", "faults", Fault(match=request, delay=HOLD).model_dump())
        process = job.start(job.step("Deploy"), self.folder / "held.sh")
        deadline = time.monotonic() + PATIENCE
        while not any(re.search(request, f"{one['method']} {one['path']}") for one in self.requests()):
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.03)
        return process

    def requests(self) -> list[dict[str, Any]]:
        """What came to Entra ID since it was told to forget."""
        seen: list[dict[str, Any]] = sandbox_entra(self.place, "GET", "requests")["value"]
        return seen


@pytest.fixture
def pipeline(deployer: Deployer, tmp_path: Path) -> Pipeline:
    """A deployer, and the empty stacks test and prod."""
    place = deployer.place
    sub_applications.create(place, "sales")
    for stack, app in (("test", {}), ("prod", {"nocobaseApp": "sales"})):
        Stack(place).make(stack, **app)
    return Pipeline(place, deployer, tmp_path)


def test_a_company_deploys_by_its_pipeline(pipeline: Pipeline) -> None:
    for name, stack in (("preview", "test"), ("preview", "prod"), ("test", "test"), ("upkeep", "prod")):
        for step in pipeline.job(name, stack).steps:
            assert [key for key in pipeline.job(name, stack).environment(step) if "SECRET" in key] == []

    # A pull request.
    pipeline.run("preview", "test", without=())
    report = (pipeline.place.project / "reports" / "test-preview.md").read_text()
    assert report.startswith("### Preview of `test`\n")
    assert "azuread:index/application:Application: (create)" in report
    assert pipeline.applications == []

    # An approval of a merge after which there was another.
    late = pipeline.job("prod", "prod")
    late.newest = "f" * 40
    failed, said = late.run(pipeline.folder, INSTALLED)
    assert (failed, pipeline.applications) == ([], [])
    assert f"`main` is at {late.newest} by now" in said
    assert "### `prod` was left as it is" in late.summary.read_text()

    # The merge: test, then prod.
    for stack in STACKS:
        summary = pipeline.run(stack, stack).summary.read_text()
        assert f"### Deployment of `{stack}`\n" in summary
        assert pipeline.application(stack)["appId"] in summary.partition(f"### Status of `{stack}`")[2]
    owners = sandbox_entra(pipeline.place, "GET", "state")["owners"]
    assert {tuple(owners[item["id"]]) for item in pipeline.applications} == {(pipeline.deployer.outputs["objectId"],)}

    # A quarter later.
    pipeline.pass_days(91)
    summary = pipeline.run("upkeep", "prod").summary.read_text()
    assert "### Drift of `prod`: none" in summary
    assert pipeline.secrets("prod") == ["NocoBase mail a", "NocoBase mail b"]

    # Somebody has changed something by hand: told, and put right by the run that looks after mail.
    application = pipeline.application("test")
    pipeline.deployer.graph("PATCH", f"/applications/{application['id']}", {"displayName": "by hand"})
    failed, _ = pipeline.job("upkeep", "test").run(pipeline.folder, INSTALLED)
    assert failed == ["Drift"]
    drift = (pipeline.place.project / "reports" / "test-drift.md").read_text()
    assert "### Drift of `test` found" in drift
    assert "by hand" in drift
    assert pipeline.application("test")["displayName"] == application["displayName"]
    assert pipeline.secrets("test") == ["NocoBase mail a", "NocoBase mail b"]


def test_a_killed_run_is_gone_on_with_and_a_persons_lock_is_respected(pipeline: Pipeline) -> None:
    pipeline.deploy()
    pipeline.pass_days(91)

    killed = pipeline.held_at(ADD_PASSWORD)
    kill(killed)  # type: ignore[arg-type] # its output is text; that makes no difference to a kill
    killed.stdout and killed.stdout.close()
    (lock,) = pipeline.locks()
    left = json.loads(lock.read_text())
    assert "left its lock; it is removed" in pipeline.deploy()
    assert pipeline.locks() == []
    assert pipeline.secrets("test") == ["NocoBase mail a", "NocoBase mail b"]

    # Cancelled in the next rotation: the engine ends what it is at, and leaves no lock.
    pipeline.pass_days(99)
    cancelled = pipeline.held_at(ADD_PASSWORD)
    cancelled.send_signal(signal.SIGINT)
    said, _ = cancelled.communicate(timeout=PATIENCE)
    assert cancelled.returncode != 0, said
    assert pipeline.locks() == []
    pipeline.deploy()
    assert pipeline.secrets("test") == ["NocoBase mail a", "NocoBase mail b"]

    # Somebody deploys from a workstation meanwhile: the pipeline waits for nobody, and removes nobody's lock.
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps({**left, "username": "alice", "hostname": "workstation"}))
    assert "created by alice@workstation" in pipeline.deploy(ok=False)
    assert pipeline.locks() == [lock]
