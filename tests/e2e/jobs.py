"""Plays jobs of the ready pipelines on this machine: the very commands of their steps, as an agent runs them.

What GitHub, GitLab or Azure DevOps would add is added by a stand-in for it: the variables of the job with references
filled in, the clone, the job's token or the address at which it asks for one, and what becomes of outputs and signals.
Nothing else of this process's environment gets in. GitHub and Azure DevOps make a token by each request; that of GitLab
lives as long as the job may last.
"""

from __future__ import annotations

import getpass
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import yaml

from sandbox.entra import federation
from sandbox.environment import environment
from sandbox.place import Place
from sandbox.setup import load_record
from tests.e2e.deployer import FENCE, REPOSITORY, Deployer
from tests.e2e.outside import entra
from tests.figures import NOTED
from tests.pipelines import boards
from tests.pipelines import jobs as files
from tests.pipelines.test_commits import git

EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
MACRO = re.compile(r"\$\(([\w.]+)\)")
SET_VARIABLE = re.compile(r"^##vso\[task\.setvariable variable=(\w+);isOutput=true\](\S*)$", re.MULTILINE)
FROM_THE_SANDBOX = (
    "ARM_METADATA_HOSTNAME",
    "AZURE_AUTHORITY_HOST",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PULUMI_HOME",
    "PULUMI_SKIP_UPDATE_CHECK",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    "PATH",
)
"""What makes the sandbox the tenant and the engine; a real agent has none of it but PATH."""

PATIENCE = 60.0

GITLAB_LIFETIME = 3600
"""A job's timeout, in seconds; its token is made once."""

SOURCE_BRANCH = "change"
"""The branch of the merge request."""


@dataclass(frozen=True)
class Step:
    """One process of an agent: a file for bash. when: whether it runs, by the names of those that failed."""

    name: str
    script: str
    environment: Mapping[str, str]
    when: Callable[[Sequence[str]], bool] = lambda failed: not failed


@dataclass
class Job:
    """A job of one stack. folder: of this test. extra: variables of the test. commit: of the run.

    outputs: what its steps have handed on. given: what the job before it has. board: where a stand-in for the system's
    API takes comments and issues; nobody listens there unless a test says where. lifetime: of a token that is made by
    request, in seconds.
    """

    place: Place
    deployer: Deployer
    folder: Path
    name: str
    stack: str
    commit: str
    extra: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    board: str = "http://127.0.0.1:9"
    lifetime: int = federation.LIFETIME

    @property
    def issuer(self) -> str:
        """The stand-in for the system's issuer."""
        return f"https://localhost:{load_record(self.place).entra_port}/_sandbox/oidc/{self.system}"

    @property
    def variables(self) -> dict[str, str]:
        """What a person has set for this project, as the pages say."""
        around = environment(self.place)
        return {
            **{name: self.deployer.variables[name] for name in ("ARM_TENANT_ID", "ARM_CLIENT_ID")},
            "AZURE_PREVIEW_CLIENT_ID": self.deployer.preview_client_id,
            "NOCOBASE_OUTLOOK_LOCK_OWNER": f"{getpass.getuser()}@{socket.gethostname()}",
            **{name: around[name] for name in ("PULUMI_BACKEND_URL", "NOCOBASE_API_KEY", "PULUMI_CONFIG_PASSPHRASE")},
        }

    @property
    def bare(self) -> dict[str, str]:
        """What an agent has before it adds anything, on this machine."""
        around = environment(self.place)
        sandbox = {name: around[name] for name in FROM_THE_SANDBOX if name in around}
        sandbox |= {name: os.environ[name] for name in NOTED if name in os.environ}
        return {**sandbox, **FENCE, "HOME": os.environ["HOME"], **self.extra}

    system = ""

    def steps(self) -> list[Step]:
        """What the agent runs."""
        raise NotImplementedError

    def after(self, step: Step, printed: str) -> None:
        """The agent has seen a step end."""

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start the step of that name."""
        self.check_out()
        return self._start(next(step for step in self.steps() if step.name == name))

    def run(self, without: Collection[str] = ()) -> tuple[list[str], str]:
        """All steps but those `without`; the names of those that failed, and everything that was printed."""
        self.check_out()
        failed: list[str] = []
        said = ""
        for number in range(len(self.steps())):
            # What a step has handed on is in the variables of the next ones.
            step = self.steps()[number]
            if step.name in without or not step.when(failed):
                continue
            with self._start(step) as process:
                printed, _ = process.communicate()
            said += printed
            self.after(step, printed)
            if process.returncode != 0:
                failed.append(step.name)
        return failed, said

    def check_out(self) -> None:
        """The clone of this job; what is no part of the repository stays."""
        git(self.place.project, "checkout", "--quiet", "--detach", self.commit)

    def _start(self, step: Step) -> subprocess.Popen[str]:
        script = self.folder / f"{self.system}-{self.name}-{self.stack}-{step.name.replace(' ', '-')}.sh"
        script.write_text(step.script)
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.place.project,
            env={**self.bare, **step.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


class GitHub(Job):
    """A job of the workflow."""

    system = "github"

    @property
    def declared(self) -> dict[str, Any]:
        """The job as the file has it."""
        job: dict[str, Any] = files.github()[self.name]
        return job

    @property
    def summary(self) -> Path:
        """The summary of the run."""
        return self.folder / f"summary-{self.name}-{self.stack}.md"

    def check_out(self) -> None:
        """By the action; its `ref` wins over the run's commit."""
        ref = self.declared["steps"][0].get("with", {}).get("ref")
        git(self.place.project, "checkout", "--quiet", "--detach", self._filled(ref) if ref else self.commit)

    def steps(self) -> list[Step]:
        """Those that run something; those that use an action are the runner's own affair."""
        workflow = yaml.safe_load(files.GITHUB_STACK.read_text())
        subject = f"repo:{REPOSITORY}:environment:{self._filled(self.declared['environment'])}"
        around = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.issuer}/token?subject={quote(subject)}&lifetime={self.lifetime}",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "the-bearer-of-the-job",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self._handed_on),
            "GITHUB_REF": "refs/pull/7/merge" if self.name == "preview" else "refs/heads/main",
            "GITHUB_REF_NAME": "7/merge" if self.name == "preview" else "main",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SERVER_URL": "https://github.example.com",
            "GITHUB_API_URL": self.board,
        }
        assert self.declared["permissions"]["id-token"] == "write"
        found = []
        for step in self.declared["steps"]:
            if "run" in step:
                declared = {**workflow["env"], **self.declared["env"], **step.get("env", {})}
                filled = {name: self._filled(str(value)) for name, value in declared.items()}
                condition = step.get("if", "")
                found.append(Step(step["name"], step["run"], {**around, **filled}, self._when(condition)))
        return found

    def after(self, step: Step, printed: str) -> None:
        """Take the outputs of the job's steps."""
        if self._handed_on.exists():
            self.outputs |= dict(line.split("=", 1) for line in self._handed_on.read_text().splitlines())

    @property
    def _handed_on(self) -> Path:
        return self.folder / f"outputs-{self.name}-{self.stack}"

    def _filled(self, text: str) -> str:
        known = self.variables
        values = {
            **{f"vars.{name}": known.get(name, "") for name in (*known, "POLICY_PACK")},
            **{f"secrets.{name}": known[name] for name in ("NOCOBASE_API_KEY", "PULUMI_CONFIG_PASSPHRASE")},
            "inputs.stack": self.stack,
            "github.token": boards.TOKEN,
            "steps.deployed.outputs.commit": self.outputs.get("commit", ""),
            "needs.drift.outputs.commit": self.given.get("commit", ""),
        }
        return EXPRESSION.sub(lambda found: values[found[1]], text)

    def _when(self, condition: str) -> Callable[[Sequence[str]], bool]:
        def runs(failed: Sequence[str]) -> bool:
            if failed and "!cancelled()" not in condition:
                return False
            if "steps.deployed.outputs.commit != ''" in condition and not self.outputs.get("commit"):
                return False
            return "steps.deploy.outputs.deployed == 'true'" not in condition or self.outputs.get("deployed") == "true"

        return runs


class GitLab(Job):
    """A job of the included file: one script, in a container that has all variables."""

    system = "gitlab"

    @staticmethod
    def subject(branch: str) -> str:
        """What the token of a job says, which names its branch; of a merge request it is the source branch."""
        return f"project_path:{REPOSITORY}:ref_type:branch:ref:{branch}"

    def steps(self) -> list[Step]:
        """The whole job. Its packages are there."""
        job = files.gitlab()[f"nocobase-outlook-{self.name}-{self.stack}"]
        merge_request = self.name == "preview"
        subject = self.subject(SOURCE_BRANCH if merge_request else "main")
        order = {"system": self.system, "subject": subject, "lifetime": GITLAB_LIFETIME}
        token = entra(self.place).post("/_sandbox/oidc-token", json=order).raise_for_status().json()["value"]
        around = {
            "GITLAB_CI": "true",
            "CI_COMMIT_BRANCH": "main",
            "CI_PROJECT_DIR": str(self.place.project),
            "CI_API_V4_URL": f"{self.board}/api/v4",
            "CI_PROJECT_ID": boards.JOBS["gitlab"]["CI_PROJECT_ID"],
            "ARM_OIDC_TOKEN": token,
            **self.given,
        }
        if merge_request:
            around["CI_MERGE_REQUEST_IID"] = boards.JOBS["gitlab"]["CI_MERGE_REQUEST_IID"]
            del around["CI_COMMIT_BRANCH"]
        # The project's own variables win over those of the file; of these, one is of this machine.
        declared = {name: value for name, value in job["variables"].items() if name != "PULUMI_HOME"}
        script = [line for line in [*job["before_script"], *job["script"]] if line != "pipelines/steps/install.sh"]
        own = {**self.variables, "GITLAB_TOKEN": boards.TOKEN}
        return [Step("script", "\n".join(script), {**around, **declared, **own})]

    def after(self, step: Step, printed: str) -> None:
        """Take the report that has variables."""
        file = self.place.project / "reports" / "outputs.env"
        if file.exists():
            self.outputs |= dict(line.split("=", 1) for line in file.read_text().splitlines())
            file.unlink()


class AzureDevOps(Job):
    """A stage of one job, whose template is expanded. A variable that nobody has set stays a reference."""

    system = "azure-devops"

    def steps(self) -> list[Step]:
        """Bash scripts, and those of the task AzureCLI@2."""
        stage = files.azure_devops(self.stack if self.name == "unlock" else "none")[f"{self.name}_{self.stack}"]
        known = {**self.variables, **self.given, **{f"deployed.{name}": text for name, text in self.outputs.items()}}
        known["System.AccessToken"] = boards.TOKEN
        around = {
            "TF_BUILD": "True",
            "BUILD_SOURCEBRANCH": "refs/pull/7/merge" if self.name == "preview" else "refs/heads/main",
            **{name: boards.JOBS[self.system][name] for name in ("SYSTEM_TEAMPROJECTID", "BUILD_REPOSITORY_ID")},
            "SYSTEM_COLLECTIONURI": f"{self.board}/contoso/",
        }
        if self.name == "preview":
            around["SYSTEM_PULLREQUEST_PULLREQUESTID"] = boards.JOBS[self.system]["SYSTEM_PULLREQUEST_PULLREQUESTID"]
        found = []
        for step in files.devops_steps(stage):
            condition = str(step.get("condition", ""))
            variables = {
                name: MACRO.sub(lambda macro: known.get(macro[1], macro[0]), text)
                for name, text in step.get("env", {}).items()
                if name != "PULUMI_HOME"
            }
            if "bash" in step and "install.sh" not in step["bash"]:
                found.append(Step(step["displayName"], step["bash"], {**around, **variables}, self._when(condition)))
            elif step.get("task") == "AzureCLI@2":
                given = step["inputs"]
                script = f"exec {given['scriptPath']} {given['arguments']}"
                connection = self._connection(given["azureSubscription"])
                every = {**around, **connection, **variables}
                found.append(Step(step["displayName"], script, every, self._when(condition)))
        return found

    def after(self, step: Step, printed: str) -> None:
        """Obey the commands in its log."""
        self.outputs |= dict(SET_VARIABLE.findall(printed))

    def _connection(self, name: str) -> dict[str, str]:
        """What the task exports of a service connection."""
        subject = quote(f"sc://{REPOSITORY}/{name}")
        reads = name == "nocobase-outlook-preview"
        return {
            "AZURESUBSCRIPTION_TENANT_ID": self.variables["ARM_TENANT_ID"],
            "AZURESUBSCRIPTION_CLIENT_ID": self.variables["AZURE_PREVIEW_CLIENT_ID" if reads else "ARM_CLIENT_ID"],
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": f"the-id-of-{name}",
            "SYSTEM_OIDCREQUESTURI": f"{self.issuer}/oidctoken?subject={subject}&lifetime={self.lifetime}",
        }

    def _when(self, condition: str) -> Callable[[Sequence[str]], bool]:
        def runs(failed: Sequence[str]) -> bool:
            if failed and "not(canceled())" not in condition:
                return False
            return "deployed.commit" not in condition or bool(self.outputs.get("commit"))

        return runs


def cancel(job: Job, process: subprocess.Popen[str]) -> str:
    """Cancel a step as its system does, and wait for its end; what it printed.

    GitHub sends SIGINT, after 7.5 s SIGTERM, and kills 2.5 s later. GitLab's docker executor sends SIGTERM to every
    process of the container. Azure DevOps sends the script nothing, and kills it with all that it has started.
    """
    every = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    if job.system == "github":
        for number, seconds in ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5)):
            process.send_signal(number)
            ends = time.monotonic() + seconds
            while process.poll() is None and time.monotonic() < ends:
                time.sleep(0.05)
    elif job.system == "gitlab":
        _to_each(every, signal.SIGTERM)
        process.wait(PATIENCE)
        psutil.wait_procs(every[1:], timeout=PATIENCE)
    _to_each(every, signal.SIGKILL)
    said, _ = process.communicate(timeout=PATIENCE)
    psutil.wait_procs(every[1:], timeout=PATIENCE)
    return said


def _to_each(every: Sequence[psutil.Process], number: signal.Signals) -> None:
    for one in every:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(number)
