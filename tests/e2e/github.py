"""Plays jobs of the ready GitHub workflow on this machine: the very commands of its steps, as a runner runs them.

What a runner would add is added: the variables of the workflow and the job with their expressions filled in, the
address and the bearer with which a job asks for its token, and an API that knows the newest commit of the branch.
Nothing else of this process's environment gets in.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from sandbox.environment import environment
from sandbox.place import PROJECT, Place
from sandbox.setup import load_record
from tests.e2e.deployer import FENCE, REPOSITORY, Deployer
from tests.figures import NOTED

WORKFLOW: dict[str, Any] = yaml.safe_load(
    (PROJECT / "pipelines" / "github" / "workflows" / "nocobase-outlook.yml").read_text()
)
EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
ALWAYS, NEWEST = "!cancelled()", "steps.newest.outputs.newest == 'true'"
COMMIT = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
NO_API = "http://127.0.0.1:9"
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
"""What makes the sandbox the tenant and the engine; a real runner has none of it but PATH."""


@contextmanager
def knowing(newest: str) -> Iterator[str]:
    """The address of a GitHub API that names the newest commit of any branch."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = "/commits/heads/" in self.path
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(newest.encode() if known else b"")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@dataclass
class Job:
    """One job of the workflow, on one stack of its matrix, for COMMIT. newest: the branch's commit by now."""

    place: Place
    deployer: Deployer
    name: str
    stack: str
    extra: Mapping[str, str] = field(default_factory=dict)
    newest: str = COMMIT

    @property
    def declared(self) -> dict[str, Any]:
        """The job as the file has it."""
        job: dict[str, Any] = WORKFLOW["jobs"][self.name]
        return job

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps that run something; those that use an action are the runner's own affair."""
        return [step for step in self.declared["steps"] if "run" in step]

    def fill_in(self, text: str) -> str:
        """`text` with its expressions evaluated."""
        around = environment(self.place)
        values = {
            "matrix.stack": self.stack,
            "vars.ARM_TENANT_ID": self.deployer.variables["ARM_TENANT_ID"],
            "vars.ARM_CLIENT_ID": self.deployer.variables["ARM_CLIENT_ID"],
            "vars.AZURE_PREVIEW_CLIENT_ID": self.deployer.preview_client_id,
            "vars.PULUMI_BACKEND_URL": around["PULUMI_BACKEND_URL"],
            "vars.NOCOBASE_OUTLOOK_LOCK_OWNER": f"{getpass.getuser()}@{socket.gethostname()}",
            "secrets.NOCOBASE_API_KEY": around["NOCOBASE_API_KEY"],
            "secrets.PULUMI_CONFIG_PASSPHRASE": around["PULUMI_CONFIG_PASSPHRASE"],
            "github.token": "the-token-of-the-run",
            "github.ref": self.ref,
        }
        return EXPRESSION.sub(lambda found: values[found[1]], text)

    @property
    def ref(self) -> str:
        """What the event is about."""
        return "refs/pull/7/merge" if self.name == "preview" else "refs/heads/main"

    @property
    def outputs(self) -> Path:
        """What the steps tell those that follow."""
        return self.place.home / f"outputs-{self.name}-{self.stack}"

    @property
    def summary(self) -> Path:
        """The summary of the run."""
        return self.place.home / f"summary-{self.name}-{self.stack}.md"

    def environment(self, step: Mapping[str, Any]) -> dict[str, str]:
        """The variables of one step."""
        around = environment(self.place)
        declared = {**WORKFLOW["env"], **self.declared["env"], **step.get("env", {})}
        assert self.declared["permissions"]["id-token"] == "write"
        subject = f"repo:{REPOSITORY}:environment:{self.fill_in(self.declared['environment'])}"
        issuer = f"https://localhost:{load_record(self.place).entra_port}/_sandbox/oidc/github"
        given = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer}/token?subject={quote(subject)}",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "the-bearer-of-the-job",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self.outputs),
            "GITHUB_REF": self.ref,
            "GITHUB_REF_NAME": self.ref.split("/", 2)[2],
            "GITHUB_SHA": COMMIT,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": NO_API,
            "HOME": os.environ["HOME"],
        }
        sandbox = {name: around[name] for name in FROM_THE_SANDBOX if name in around}
        sandbox |= {name: os.environ[name] for name in NOTED if name in os.environ}
        filled = {name: self.fill_in(str(value)) for name, value in declared.items()}
        return {**sandbox, **FENCE, **given, **filled, **self.extra}

    def start(self, step: Mapping[str, Any], script: Path, api: str = NO_API) -> subprocess.Popen[str]:
        """Start one step as the runner does: a file for bash."""
        script.write_text(self.fill_in(step["run"]))
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.place.project,
            env={**self.environment(step), "GITHUB_API_URL": api},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def step(self, name: str) -> dict[str, Any]:
        """A step by its name."""
        return next(step for step in self.steps if step["name"] == name)

    def run(self, folder: Path, without: Collection[str] = ()) -> tuple[list[str], str]:
        """All steps but those `without`; the names of those that failed, and everything that was printed."""
        failed: list[str] = []
        said = ""
        self.outputs.write_text("")
        with knowing(self.newest) as api:
            for number, step in enumerate(self.steps):
                if step["name"] in without:
                    continue
                condition = step.get("if", "")
                left_out = NEWEST in condition and "newest=true" not in self.outputs.read_text()
                if left_out or (failed and ALWAYS not in condition):
                    continue
                with self.start(step, folder / f"{number}.sh", api) as process:
                    printed, _ = process.communicate()
                said += printed
                if process.returncode != 0:
                    failed.append(step["name"])
        return failed, said
