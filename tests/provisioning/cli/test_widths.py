"""What each command shows on terminals of 80 and 120 columns, and piped: words are whole, and so are ids and addresses.

`status` and `rotate` have files of their own, with colours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provisioning.cli import app
from provisioning.cli.common import Plain, words
from provisioning.doctor import questions as checks
from provisioning.doctor.runner import Question, failed, ok, warning
from provisioning.entra.orphans import StoredSecret
from provisioning.entra.registration import Owner
from provisioning.fleet.deploy import Deployer
from provisioning.fleet.runner import Result, StackOutcome, Watch
from tests.golden import check
from tests.provisioning.checkpoints import CLIENT_ID, OBJECT_ID, TWO_SECRETS, URL, export
from tests.provisioning.fake_pulumi import fake_pulumi

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

GOLDEN = Path(__file__).parent / "golden"

WIDTHS = (80, 120, None)
"""Columns of a terminal, None for a pipe."""

LOST = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
DUPLICATE = "2c5f39cb-3fb2-42e3-994f-1127e4ddb538"


@pytest.fixture(params=WIDTHS, ids=["80", "120", "piped"])
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a command and compares what it prints with its file."""

    def run(name: str, *arguments: str) -> None:
        said = CliRunner().invoke(app, list(arguments))
        text = f"exit code {said.exit_code}\n--- stdout\n{said.stdout}--- stderr\n{said.stderr}"
        check(GOLDEN / f"{name}-{request.node.callspec.id}.txt", re.sub(" +$", "", text, flags=re.MULTILINE))
        for line in re.sub("\x1b\\[[0-9;]*m", "", said.output).splitlines() if request.param else ():
            assert len(line) <= request.param

    if request.param:
        monkeypatch.setattr(Plain, "is_terminal", True)
        monkeypatch.setattr(words, "_width", request.param)
        monkeypatch.setenv("COLUMNS", str(request.param))
    return run


def test_doctor(shown: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Question("engine", lambda: ok("Pulumi 3.255.0")),
        Question("API key", lambda: warning(f"the API key of NocoBase at {URL} ends in 3 days", "Make a new one.")),
        Question(
            "sign-in",
            lambda: failed(
                f"AADSTS50076: the account has to prove a second factor before it may read the application {CLIENT_ID}",
                "Sign in again, with the second factor: `az login --scope https://graph.microsoft.com/.default`\n"
                "In a pipeline: use a service principal.",
            ),
        ),
        Question("redirect URIs", lambda _: ok("as declared"), ("sign-in",)),
    ]
    monkeypatch.setattr(checks, "questions", lambda *_: found)
    shown("doctor", "doctor")


def test_prune(shown: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    engine = fake_pulumi(tmp_path, {"prod": export(*TWO_SECRETS)})
    monkeypatch.setenv("PATH", engine.environment["PATH"])
    owner = Owner("0a1b2c3d-0000-4000-8000-00000000000f", "the pipeline of the whole company", "service principal")
    monkeypatch.setattr(directory, "stored_secrets", lambda _: [StoredSecret(LOST, "NocoBase mail a 2027-03-01")])
    monkeypatch.setattr(directory, "applications_tagged", lambda _: {OBJECT_ID: "mail", DUPLICATE: "NocoBase mail"})
    monkeypatch.setattr(directory, "application_owners", lambda _: (owner,))
    shown("prune", "prune")


def test_explain_where_nothing_is_known(shown: Callable[..., None]) -> None:
    shown("explain-nothing", "explain", "it does not work")


def test_up(shown: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    why = f"NocoBase at {URL} cannot be reached for mailSettings:list (no answer within 20 s). Is it overloaded?"
    results = {
        "prod-eu": Result("prod-eu", StackOutcome.CHANGED, {"create": 7, "update": 2}, 12.34),
        "prod-us": Result("prod-us", StackOutcome.FAILED, {}, 2.0, why, f"{why}\nThen run the command again."),
    }

    def deploy(_: Deployer, name: str, watch: Watch) -> Result:
        watch.began(name)
        return results[name]

    monkeypatch.chdir(tmp_path)
    for name in results:
        (tmp_path / f"Pulumi.{name}.yaml").touch()
    monkeypatch.setattr(Deployer, "stacks", lambda _: list(results))
    monkeypatch.setattr(Deployer, "deploy", deploy)
    shown("up", "up", "--all", "--parallel", "1")
