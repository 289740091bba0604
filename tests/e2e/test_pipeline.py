"""The ready pipelines, played on this machine with tokens of the sandbox's issuers: no Azure secret anywhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault
from sandbox.nocobase import sub_applications
from sandbox.place import Place
from sandbox.setup import load_record
from tests.e2e.conftest import Stack, sandbox_entra
from tests.e2e.deployer import REPOSITORY, Deployer
from tests.e2e.jobs import SOURCE_BRANCH, AzureDevOps, GitHub, GitLab, Job, cancel
from tests.e2e.outside import ADMINISTRATOR, graph
from tests.figures import Say
from tests.pipelines import boards
from tests.pipelines.test_commits import git

pytestmark = pytest.mark.e2e

STACKS = ("test", "prod")
INSTALLED = ("Install", "Install what it needs")
"""An agent begins with nothing; here the first job's packages are there for the next."""
HOLD, PATIENCE = 600.0, 60.0
SECOND = 1.0
BRIEF = 3
"""Seconds that a token lives which is made by request: less than a deployment lasts."""
ADD_PASSWORD = r"POST /v1.0/applications/[^/]+/addPassword$"
IGNORED = ".venv\n__pycache__\nreports/\n"


@dataclass
class Pipeline:
    """The repository of a company whose pipeline deploys its stacks, a NocoBase each."""

    place: Place
    deployer: Deployer
    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    board: str = Job.board
    lifetime: int = Job.lifetime
    seconds: dict[str, float] = field(default_factory=dict)

    def job(self, system: type[Job], name: str, stack: str, before: Job | None = None) -> Job:
        """A job that runs now, for the newest commit of main."""
        clock = {"PROVISIONING_TODAY": self.now.isoformat()}
        given = before.outputs if before else {}
        return system(
            self.place, self.deployer, self.folder, name, stack, self.newest, clock, given,
            board=self.board, lifetime=self.lifetime,
        )  # fmt: skip

    def run(
        self, system: type[Job], name: str, stack: str, before: Job | None = None, failing: Sequence[str] = ()
    ) -> Job:
        """Run a job, whose steps must all succeed but those `failing`."""
        job = self.job(system, name, stack, before)
        begun = time.monotonic()
        failed, said = job.run(INSTALLED)
        self.seconds[name] = time.monotonic() - begun
        assert failed == [*failing], said
        assert "tried once more" not in said
        assert "secretText" not in said
        return job

    @property
    def origin(self) -> Path:
        """The repository that the jobs clone."""
        return self.folder / "origin.git"

    @property
    def newest(self) -> str:
        """The newest commit of main."""
        return git(self.origin, "rev-parse", "main")

    def merge(self) -> str:
        """Somebody merges something."""
        git(self.place.project, "checkout", "--quiet", "main")
        git(self.place.project, "commit", "--quiet", "--allow-empty", "-m", "change")
        git(self.place.project, "push", "--quiet", "origin", "main")
        return self.newest

    def report(self, stack: str, step: str) -> str:
        """What a step has left for people."""
        return (self.place.project / "reports" / f"{stack}-{step}.md").read_text()

    def deploy(self, ok: bool = True) -> str:
        """What the deployment of test says, without the other steps of its job."""
        with self.job(GitHub, "deploy", "test").start("Deploy") as process:
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

    def lock(self, stack: str, user: str, host: str) -> Path:
        """A lock that somebody holds, as the engine writes one (source: pkg/backend/diy/lock.go)."""
        (state,) = (self.place.pulumi_state / ".pulumi" / "stacks").rglob(f"{stack}.json")
        locks = self.place.pulumi_state / ".pulumi" / "locks" / "organization"
        file = locks / state.parent.name / stack / f"{user}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        made = datetime.now(UTC).isoformat()
        file.write_text(json.dumps({"pid": 1, "username": user, "hostname": host, "timestamp": made}))
        return file

    def held_at(self, request: str, job: Job, step: str) -> subprocess.Popen[str]:
        """A deployment of test at which Entra ID has got `request`, and does not answer before `answer`."""
        sandbox_entra(self.place, "DELETE", "requests")
        sandbox_entra(self.place, "POST", "faults", Fault(match=request, delay=HOLD).model_dump())
        process = job.start(step)
        deadline = time.monotonic() + PATIENCE
        while not any(re.search(request, f"{one['method']} {one['path']}") for one in self.requests()):
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.03)
        return process

    def answer(self) -> None:
        """Entra ID answers what it was held at, also if nobody waits for it any more."""
        sandbox_entra(self.place, "DELETE", "faults")

    def requests(self) -> list[dict[str, Any]]:
        """What came to Entra ID since it was told to forget."""
        seen: list[dict[str, Any]] = sandbox_entra(self.place, "GET", "requests")["value"]
        return seen


def trust(place: Place, client_id: str, name: str, system: str, subject: str) -> None:
    """Have an identity trust a system's token, as bootstrap's settings for that system would."""
    found = graph(place, "GET", f"/applications?$filter=appId eq '{client_id}'", login=ADMINISTRATOR)["value"]
    issuer = f"https://localhost:{load_record(place).entra_port}/_sandbox/oidc/{system}"
    path = f"/applications/{found[0]['id']}/federatedIdentityCredentials"
    body = {"name": name, "issuer": issuer, "subject": subject, "audiences": ["api://AzureADTokenExchange"]}
    graph(place, "POST", path, body, login=ADMINISTRATOR)


@pytest.fixture
def pipeline(deployer: Deployer, tmp_path: Path) -> Iterator[Pipeline]:
    """A deployer that all three systems' jobs sign in as, the empty stacks test and prod, and their repository."""
    place = deployer.place
    sub_applications.create(place, "sales")
    for stack, app in (("test", {}), ("prod", {"nocobaseApp": "sales"})):
        Stack(place).make(stack, **app)
    for client, connections in (
        (deployer.preview_client_id, ("preview",)),
        (deployer.variables["ARM_CLIENT_ID"], STACKS),
    ):
        trust(place, client, "gitlab", "gitlab", GitLab.subject("main"))
        for connection in connections:
            subject = f"sc://{REPOSITORY}/nocobase-outlook-{connection}"
            trust(place, client, f"devops-{connection}", "azure-devops", subject)
    trust(place, deployer.preview_client_id, "gitlab-source", "gitlab", GitLab.subject(SOURCE_BRANCH))
    made = Pipeline(place, deployer, tmp_path)
    git(tmp_path, "init", "--quiet", "--bare", str(made.origin))
    git(place.project, "init", "--quiet")
    (place.project / ".git" / "info" / "exclude").write_text(IGNORED)
    git(place.project, "add", "--all")
    git(place.project, "commit", "--quiet", "-m", "one")
    git(place.project, "remote", "add", "origin", str(made.origin))
    git(place.project, "push", "--quiet", "origin", "main")
    yield made
    shutil.rmtree(place.project / ".git")


def test_a_company_deploys_by_its_pipelines(pipeline: Pipeline) -> None:
    # A pull request.
    pipeline.run(GitHub, "preview", "test")
    report = pipeline.report("test", "preview")
    assert report.startswith(f"### Preview of `test`\n\nOf commit {pipeline.newest}.\n")
    assert "azuread:index/application:Application: (create)" in report
    assert pipeline.applications == []

    # An approval of a merge after which there was another.
    late = pipeline.job(GitHub, "deploy", "prod")
    newer = pipeline.merge()
    failed, said = late.run(INSTALLED)
    assert (failed, late.outputs, pipeline.applications) == ([], {"deployed": "false"}, [])
    assert f"`main` is at {newer} by now" in said

    # The merge: test, then prod.
    for system, stack in ((GitLab, "test"), (GitHub, "prod")):
        job = pipeline.run(system, "deploy", stack)
        assert job.outputs["deployed"] == "true"
        assert pipeline.report(stack, "deploy").startswith(f"### Deployment of `{stack}`\n")
        assert pipeline.application(stack)["appId"] in pipeline.report(stack, "status")
    owners = sandbox_entra(pipeline.place, "GET", "state")["owners"]
    assert {tuple(owners[item["id"]]) for item in pipeline.applications} == {(pipeline.deployer.outputs["objectId"],)}

    # A quarter later, after a merge that nobody has approved.
    merged = pipeline.merge()
    pipeline.pass_days(91)
    drift = pipeline.run(AzureDevOps, "drift", "prod")
    assert drift.outputs["commit"] == newer != merged
    upkeep = pipeline.run(AzureDevOps, "upkeep", "prod", drift)
    assert upkeep.outputs["deployed"] == "true"
    assert pipeline.report("prod", "drift") == "### Drift of `prod`: none\n"
    assert pipeline.secrets("prod") == ["NocoBase mail a", "NocoBase mail b"]


CANCELLED = ((91, AzureDevOps, "deploy"), (99, GitHub, "Deploy"), (99, GitLab, "script"))
"""Days after the last rotation, system, and the step that is at work. On Azure DevOps the engine is killed and leaves
its lock; on the others it ends what it is at."""


@pytest.mark.parametrize(
    "cancelled",
    [pytest.param(CANCELLED[:1], id="killed"), pytest.param(CANCELLED, id="each system", marks=pytest.mark.proof)],
)
def test_two_runs_at_once_a_cancelled_run_and_the_lock_of_a_person(
    cancelled: Sequence[tuple[int, type[Job], str]], pipeline: Pipeline
) -> None:
    pipeline.deploy()
    for days, system, step in cancelled:
        pipeline.pass_days(days)
        job = pipeline.job(system, "deploy", "test")
        process = pipeline.held_at(ADD_PASSWORD, job, step)

        # A second run of the same user on the same machine: its process lives, so its lock is respected.
        held = pipeline.locks()
        second = pipeline.deploy(ok=False)
        assert "The stack test is locked by 1 lock(s); nothing was changed." in second
        assert (pipeline.locks(), len(held)) == (held, 1)

        # The first is cancelled in its rotation; the next run removes the lock that is left.
        answer = threading.Timer(SECOND, pipeline.answer)
        answer.start()
        said = cancel(job, process)
        answer.join()
        assert process.returncode != 0, said
        left = pipeline.locks()
        assert bool(left) is (system is AzureDevOps), said
        assert ("left its lock; it is removed" in pipeline.deploy()) is bool(left)
        assert pipeline.locks() == []
        assert pipeline.secrets("test") == ["NocoBase mail a", "NocoBase mail b"]

    # Somebody deploys from a workstation meanwhile: the pipeline waits for nobody, and removes nobody's lock.
    locks = [pipeline.lock("test", "alice", "workstation"), pipeline.lock("test", "bob smith", "laptop")]
    said = pipeline.deploy(ok=False)
    assert "created by alice@workstation" in said
    assert "created by bob smith@laptop" in said
    assert sorted(pipeline.locks()) == locks

    # A person has seen that both are over.
    pipeline.run(AzureDevOps, "unlock", "test")
    assert pipeline.locks() == []
    report = pipeline.report("test", "unlock")
    assert "Every lock of test is removed now, 2 in all:" in report
    assert all(f"  {who}, process 1, for 0 min: " in report for who in ("alice@workstation", "bob smith@laptop"))


@pytest.mark.proof
@pytest.mark.parametrize("system", [GitHub, GitLab, AzureDevOps])
def test_every_job_of_a_system(system: type[Job], pipeline: Pipeline, say: Say) -> None:
    board = boards.BOARDS[system.system]()
    pipeline.lifetime = BRIEF
    with boards.served(board) as pipeline.board:
        # A pull request, renewed once: one comment a stack.
        for _ in range(2):
            pipeline.run(system, "preview", "test")
        pipeline.run(system, "preview", "prod")
        assert len(board.texts()) == 2
        assert all("azuread:index/application:Application: (create)" in text for text in board.texts())
        board.kept.clear()

        # The merge.
        pipeline.run(system, "proposed", "test")
        assert f"Of commit {pipeline.newest}." in pipeline.report("test", "preview")
        assert pipeline.applications == []
        assert pipeline.run(system, "deploy", "test").outputs["deployed"] == "true"
        assert pipeline.seconds["deploy"] > BRIEF
        assert pipeline.application("test")["appId"] in pipeline.report("test", "status")

        # Somebody has changed something by hand: an issue, which the next run without drift closes.
        application = pipeline.application("test")
        pipeline.deployer.graph("PATCH", f"/applications/{application['id']}", {"displayName": "by hand"})
        failing = {GitHub: "Drift", GitLab: "script", AzureDevOps: "drift"}[system]
        drift = pipeline.run(system, "drift", "test", failing=[failing])
        assert ["by hand" in text for text in board.texts()] == [True]
        pipeline.run(system, "upkeep", "test", drift)
        assert pipeline.application("test")["displayName"] == application["displayName"]
        pipeline.pass_days(91)
        pipeline.run(system, "upkeep", "test", pipeline.run(system, "drift", "test"))
        assert board.texts() == []
        assert pipeline.secrets("test") == ["NocoBase mail a", "NocoBase mail b"]

        # A lock of which a person has seen that its run is over.
        pipeline.lock("test", "alice", "workstation")
        pipeline.run(system, "unlock", "test")
        assert pipeline.locks() == []
        assert "  alice@workstation, process 1, for 0 min: " in pipeline.report("test", "unlock")
        pipeline.deploy()
    jobs = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in pipeline.seconds.items())
    say(f"{system.system}, each job without its installation: {jobs}")
