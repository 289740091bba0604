"""The ready GitHub pipeline, played on this machine with tokens of the sandbox's issuer: no Azure secret anywhere."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault
from sandbox.nocobase import sub_applications
from sandbox.place import Place
from sandbox.setup import nocobase_url
from tests.e2e.conftest import Stack, sandbox_entra
from tests.e2e.deployer import Deployer, made
from tests.e2e.github import Job
from tests.e2e.test_rotation_killed import kill

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

STACKS = ("test", "prod")
SUB_APPLICATION = "pipelineprod"
HOLD, PATIENCE = 5.0, 60.0
ADD_PASSWORD = r"POST /v1.0/applications/[^/]+/addPassword$"


@dataclass
class Pipeline:
    """The repository of a company whose pipeline deploys its stacks, a NocoBase each."""

    place: Place
    deployer: Deployer
    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    stacks: list[str] = field(default_factory=list)

    def configure(self, stack: str, *settings: str) -> None:
        """Make a stack, as a person does at a workstation."""
        workstation = Stack(self.place)
        self.stacks.append(stack)
        workstation.pulumi("stack", "init", stack)
        for setting in (f"nocobaseUrl={nocobase_url(self.place)}", *settings):
            key, _, value = setting.partition("=")
            workstation.pulumi("config", "set", key, value, "--stack", stack)

    def job(self, name: str, stack: str) -> Job:
        """A job that runs now."""
        clock = {"PROVISIONING_TODAY": self.now.isoformat()}
        return Job(self.place, self.deployer, name, stack, clock)

    def run(self, name: str, stack: str) -> str:
        """Run a job, whose steps must all succeed."""
        failed, said = self.job(name, stack).run(self.folder)
        assert failed == [], said
        return said

    def pass_days(self, days: int) -> None:
        """Time passes on all sides."""
        self.now += timedelta(days=days)
        sandbox_entra(self.place, "POST", "clock", {"now": self.now.isoformat()})

    @property
    def applications(self) -> list[dict[str, Any]]:
        """The mail applications in Entra ID."""
        found = sandbox_entra(self.place, "GET", "state")["applications"]
        return [item for item in found if item["displayName"] != "NocoBase mail deployer"]

    def application(self, stack: str) -> dict[str, Any]:
        """The application of a stack."""
        return next(item for item in self.applications if item["tags"][0].endswith(f"/{stack}"))

    def locks(self) -> list[Path]:
        """The locks in the state's folder."""
        return list((self.place.pulumi_state / ".pulumi" / "locks").rglob("*.json"))

    def held_at(self, request: str, job: Job) -> subprocess.Popen[str]:
        """The job's deployment, at the moment at which Entra ID has got `request` and does not answer yet."""
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
def pipeline(place: Place, tmp_path: Path) -> Iterator[Pipeline]:
    """A deployer, and the stack test; everything is removed at the end."""
    workstation = Stack(place)
    with made(place) as deployer:
        pipeline = Pipeline(place, deployer, tmp_path)
        try:
            pipeline.configure("test")
            yield pipeline
        finally:
            sandbox_entra(place, "DELETE", "faults")
            for stack in pipeline.stacks:
                if pipeline.locks():
                    workstation.pulumi("cancel", "--yes", "--stack", stack)
                job = pipeline.job(stack, stack)
                step = {"run": f"pulumi destroy --yes --refresh --skip-preview --stack {stack} --non-interactive"}
                with job.start(step, tmp_path / "destroy.sh") as process:
                    said, _ = process.communicate()
                assert process.returncode == 0, said
                workstation.pulumi("stack", "rm", "--yes", stack)
            sandbox_entra(place, "DELETE", "clock")
    assert pipeline.applications == []


def test_a_company_deploys_by_its_pipeline(pipeline: Pipeline) -> None:
    sub_applications.create(pipeline.place, SUB_APPLICATION)
    pipeline.configure("prod", f"nocobaseApp={SUB_APPLICATION}")
    for name, stack in (("preview", "test"), ("preview", "prod"), ("test", "test"), ("upkeep", "prod")):
        for step in pipeline.job(name, stack).steps:
            assert [key for key in pipeline.job(name, stack).environment(step) if "SECRET" in key] == []

    # A pull request.
    for stack in STACKS:
        pipeline.run("preview", stack)
        report = (pipeline.place.project / "reports" / f"{stack}-preview.md").read_text()
        assert report.startswith(f"### Preview of `{stack}`\n")
        assert "azuread:index/application:Application: (create)" in report
    assert pipeline.applications == []

    # An approval of a merge after which there was another.
    late = pipeline.job("prod", "prod")
    late.newest = "f" * 40
    failed, said = late.run(pipeline.folder)
    assert (failed, pipeline.applications) == ([], [])
    assert f"`main` is at {late.newest} by now" in said
    assert "### `prod` was left as it is" in late.summary.read_text()

    # The merge: test, then prod.
    for stack in STACKS:
        said = pipeline.run(stack, stack)
        summary = pipeline.job(stack, stack).summary.read_text()
        assert f"### Deployment of `{stack}`\n" in summary
        assert pipeline.application(stack)["appId"] in summary.partition(f"### Status of `{stack}`")[2]
        assert "secretText" not in said
    owners = sandbox_entra(pipeline.place, "GET", "state")["owners"]
    assert {tuple(owners[item["id"]]) for item in pipeline.applications} == {(pipeline.deployer.outputs["objectId"],)}

    # Nothing is due, and nobody has touched anything.
    before = [item["passwordCredentials"] for item in pipeline.applications]
    pipeline.run("upkeep", "test")
    assert "### Drift of `test`: none" in pipeline.job("upkeep", "test").summary.read_text()
    assert [item["passwordCredentials"] for item in pipeline.applications] == before

    # A quarter later.
    pipeline.pass_days(91)
    for stack in STACKS:
        pipeline.run("upkeep", stack)
        names = [secret["displayName"] for secret in pipeline.application(stack)["passwordCredentials"]]
        assert [name.rpartition(" ")[0] for name in names] == ["NocoBase mail a", "NocoBase mail b"]

    # Somebody changes something by hand: told, and mail is looked after all the same.
    application = pipeline.application("test")
    pipeline.deployer.graph("PATCH", f"/applications/{application['id']}", {"displayName": "by hand"})
    pipeline.pass_days(8)
    failed, _ = pipeline.job("upkeep", "test").run(pipeline.folder)
    assert failed == ["Drift", "Status"]
    drift = (pipeline.place.project / "reports" / "test-drift.md").read_text()
    assert "### Drift of `test` found" in drift
    assert "by hand" in drift
    assert len(pipeline.application("test")["passwordCredentials"]) == 1


def test_a_killed_run_is_gone_on_with_and_a_persons_lock_is_respected(pipeline: Pipeline) -> None:
    pipeline.run("test", "test")
    pipeline.pass_days(91)
    job = pipeline.job("test", "test")

    killed = pipeline.held_at(ADD_PASSWORD, job)
    kill(killed)  # type: ignore[arg-type] # its output is text; that makes no difference to a kill
    killed.stdout and killed.stdout.close()
    assert len(pipeline.locks()) == 1
    said = pipeline.run("test", "test")
    assert "left its lock; it is removed" in said
    assert pipeline.locks() == []
    names = [secret["displayName"][:15] for secret in pipeline.application("test")["passwordCredentials"]]
    assert sorted(names) == ["NocoBase mail a", "NocoBase mail b"]

    # It went on to the end: the old secret is removed in time.
    pipeline.pass_days(8)
    pipeline.run("upkeep", "test")
    assert len(pipeline.application("test")["passwordCredentials"]) == 1

    # Cancelled: the engine ends what it is at, and leaves no lock.
    pipeline.pass_days(91)
    cancelled = pipeline.held_at(ADD_PASSWORD, pipeline.job("test", "test"))
    cancelled.send_signal(signal.SIGINT)
    said, _ = cancelled.communicate(timeout=PATIENCE)
    assert cancelled.returncode != 0, said
    assert pipeline.locks() == []
    pipeline.run("test", "test")
    assert len(pipeline.application("test")["passwordCredentials"]) == 2

    # Somebody deploys from a workstation meanwhile: the pipeline waits for nobody, and removes nobody's lock.
    killed = pipeline.held_at("GET /metadata", pipeline.job("test", "test"))
    kill(killed)  # type: ignore[arg-type] # as above
    killed.stdout and killed.stdout.close()
    (lock,) = pipeline.locks()
    document = json.loads(lock.read_text())
    lock.write_text(json.dumps({**document, "username": "alice", "hostname": "workstation"}))
    failed, said = pipeline.job("test", "test").run(pipeline.folder)
    assert "Deploy" in failed
    assert "created by alice@workstation" in said
    assert pipeline.locks() == [lock]
