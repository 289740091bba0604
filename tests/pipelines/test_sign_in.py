"""What a step checks before it begins, and what it hands to a backend on Azure."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import policy, sign_in
from pipelines.steps import deploy, preview, report, running
from pipelines.steps.running import Ended
from provisioning.entra import sign_in as entra_sign_in
from provisioning.errors import NoPipelineToken
from tests.provisioning.doctor.test_account import token

TOKEN = "a.b.c"
JOB = {
    "ARM_USE_OIDC": "true",
    "ARM_TENANT_ID": "tenant",
    "ARM_CLIENT_ID": "client",
    "ARM_OIDC_TOKEN": TOKEN,
    "PULUMI_BACKEND_URL": "azblob://state?storage_account=contoso",
}


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({}, []),
        (
            {"ARM_OIDC_TOKEN": "", "ARM_OIDC_REQUEST_URL": "https://x", "ARM_OIDC_REQUEST_TOKEN": "t"},
            [],
        ),
        ({"PULUMI_BACKEND_URL": "", "PULUMI_ACCESS_TOKEN": "t"}, []),
        ({"ARM_CLIENT_ID": ""}, ["ARM_CLIENT_ID is not set."]),
        ({"ARM_OIDC_TOKEN": ""}, ["The job has no token to sign in to Entra ID with"]),
        ({"PULUMI_BACKEND_URL": ""}, ["Neither PULUMI_BACKEND_URL nor PULUMI_ACCESS_TOKEN is set"]),
        (
            {"ARM_TENANT_ID": "", "ARM_CLIENT_ID": "", "PULUMI_BACKEND_URL": ""},
            ["ARM_TENANT_ID is not set.", "ARM_CLIENT_ID is not set.", "Neither PULUMI_BACKEND_URL"],
        ),
        ({"ARM_USE_OIDC": "", "ARM_CLIENT_ID": "", "PULUMI_BACKEND_URL": ""}, []),
    ],
)
def test_what_is_missing_is_named(changed: dict[str, str], missing: list[str]) -> None:
    found = sign_in.what_is_missing({**JOB, **changed})
    assert len(found) == len(missing)
    assert all(sentence.startswith(words) for sentence, words in zip(found, missing, strict=True))


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A job's variables and folder."""
    for name in [name for name in os.environ if name.startswith(("ARM_", "PULUMI_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NOCOBASE_API_KEY", "$(NOCOBASE_API_KEY)")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_step_forgets_what_azure_devops_left_unresolved_and_goes_on(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[dict[str, str]] = []

    def run(*_: str) -> Ended:
        found.append(running.environment())
        return Ended(0, "no changes")

    monkeypatch.setattr(preview, "run", run)
    monkeypatch.setattr(sys, "argv", ["preview", "test"])
    assert preview.main() == 0
    assert "NOCOBASE_API_KEY" not in found[0]
    assert "NOCOBASE_API_KEY is not set: it refers to a variable that does not exist" in capsys.readouterr().out


@pytest.mark.parametrize("step", [preview, deploy])
def test_a_step_does_not_begin_without_its_variables(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], step: object
) -> None:
    monkeypatch.setenv("ARM_CLIENT_ID", "$(ARM_CLIENT_ID)")
    monkeypatch.setattr(step, "run", None)
    monkeypatch.setattr(sys, "argv", ["step", "test"])
    with pytest.raises(SystemExit, match="1"):
        step.main()  # type: ignore[attr-defined]
    said = capsys.readouterr().out
    assert "ARM_CLIENT_ID is not set." in said
    assert "Nothing was done." in said
    assert not report.FOLDER.exists()


@pytest.mark.parametrize(
    ("backend", "stack_file", "handed"),
    [
        ("azblob://state?storage_account=contoso", "config: {}\n", True),
        ("file:///state", "secretsprovider: azurekeyvault://contoso.vault.azure.net/keys/pulumi\n", True),
        ("file:///state", "secretsprovider: passphrase\n", False),
        ("s3://state", "config: {}\n", False),
    ],
)
def test_a_backend_on_azure_gets_a_fresh_token_in_a_file(
    job: Path, monkeypatch: pytest.MonkeyPatch, backend: str, stack_file: str, handed: bool
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", backend)
    (job / "Pulumi.test.yaml").write_text(stack_file)
    child = (
        "import os, sys; file = os.environ.get('AZURE_FEDERATED_TOKEN_FILE'); "
        "print(file and (oct(os.stat(file).st_mode), open(file).read(), "
        "os.environ['AZURE_CLIENT_ID'], os.environ['AZURE_TENANT_ID']))"
    )
    ended = running.run(sys.executable, "-c", child)
    assert ended.printed.strip() == (str(("0o100600", TOKEN, "client", "tenant")) if handed else "None")
    with sign_in.backend(os.environ) as variables:
        file = variables.get(sign_in.TOKEN_FILE)
        monkeypatch.setenv("ARM_OIDC_TOKEN", "another")
    assert not file or not Path(file).exists()
    assert sign_in.TOKEN_FILE not in os.environ
    assert running.run(sys.executable, "-c", child).printed.count("another") == handed


def living(seconds: float) -> str:
    """A token that lives that long from now."""
    return token({"exp": time.time() + seconds})


@pytest.mark.parametrize(
    ("given", "after"),
    [
        (token({"exp": 1300}), 150),
        (token({"exp": 1600.5}), 300.25),
        (token({"exp": 1010}), sign_in.SOONEST),
        (token({"exp": 900}), sign_in.SOONEST),
        (token({"exp": "soon"}), None),
        (token({}), None),
        ("opaque", None),
    ],
)
def test_a_token_is_renewed_when_half_of_its_life_is_over(given: str, after: float | None) -> None:
    assert sign_in.renewal_after(given, 1000) == after


@pytest.fixture
def asking(job: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str | NoPipelineToken]]:
    """What the job's system answers each time it is asked for a token; the last one from then on."""
    answers: list[str | NoPipelineToken] = []

    def ask() -> str:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, NoPipelineToken):
            raise answer
        return answer

    monkeypatch.delenv("ARM_OIDC_TOKEN")
    monkeypatch.setenv("ARM_OIDC_REQUEST_URL", "https://127.0.0.1:9/token")
    monkeypatch.setenv("ARM_OIDC_REQUEST_TOKEN", "t")
    monkeypatch.setattr(entra_sign_in, "federated_token", lambda *_: ask)
    monkeypatch.setattr(sign_in, "SOONEST", 0.01)
    yield answers
    assert sign_in.THREAD not in [thread.name for thread in threading.enumerate()]


def test_a_command_that_outlives_its_token_finds_a_new_one(
    asking: list[str | NoPipelineToken], capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = living(0.02), living(3600)
    asking += [first, NoPipelineToken("no answer"), last]
    with sign_in.backend(os.environ) as variables:
        file = Path(variables[sign_in.TOKEN_FILE])
        seen = {file.read_text()}
        deadline = time.monotonic() + 20
        while last not in seen and time.monotonic() < deadline:
            seen.add(file.read_text())
        assert seen == {first, last}
        assert oct(file.stat().st_mode) == "0o100600"
        assert [one.name for one in file.parent.iterdir()] == ["token"]
    assert not file.exists()
    assert capsys.readouterr().out == ""


def test_what_prevents_the_renewal_is_said_once_after_the_command(
    asking: list[str | NoPipelineToken], capsys: pytest.CaptureFixture[str]
) -> None:
    asking += [living(0.02), *[NoPipelineToken("the host gave this job no token")] * 2]
    with sign_in.backend(os.environ) as variables:
        deadline = time.monotonic() + 20
        while len(asking) > 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert Path(variables[sign_in.TOKEN_FILE]).exists()
        assert capsys.readouterr().out == ""
    said = "The token for the state could not be renewed: the host gave this job no token\n"
    assert capsys.readouterr().out == said


def test_a_token_that_cannot_be_written_ends_no_command(
    asking: list[str | NoPipelineToken], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = threading.Event()

    def full(*_: object) -> None:
        tried.set()
        raise OSError("the disk is full")

    asking += [living(0.02)]
    with sign_in.backend(os.environ) as variables:
        monkeypatch.setattr(sign_in, "_write", full)
        assert tried.wait(20)
        assert Path(variables[sign_in.TOKEN_FILE]).exists()
    assert capsys.readouterr().out == "The token for the state could not be renewed: the disk is full\n"


def test_a_token_that_could_not_be_written_is_replaced_before_the_one_in_the_file_ends(
    asking: list[str | NoPipelineToken], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write, written = sign_in._write, threading.Event()
    tried: list[str] = []

    def full_once(file: Path, token: str) -> None:
        tried.append(token)
        if len(tried) == 2:
            raise OSError("the disk is full")
        write(file, token)
        if len(tried) == 3:
            written.set()

    last = living(3600)
    asking += [living(0.02), last]
    monkeypatch.setattr(sign_in, "_write", full_once)
    with sign_in.backend(os.environ) as variables:
        assert written.wait(20)
        assert Path(variables[sign_in.TOKEN_FILE]).read_text() == last
    assert capsys.readouterr().out == ""


def test_a_command_that_has_ended_does_not_wait_for_a_token(
    asking: list[str | NoPipelineToken], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def ask() -> str:
        asked.set()
        assert answered.wait(20)
        return living(3600)

    monkeypatch.setattr(sign_in, "GRACE", 0.01)
    with sign_in._renewed(tmp_path / "token", living(0.02), ask):
        assert asked.wait(20)
    (beside,) = [thread for thread in threading.enumerate() if thread.name == sign_in.THREAD]
    answered.set()
    beside.join(20)
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_gets_no_token_says_so_and_runs_nothing(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ARM_OIDC_TOKEN")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://127.0.0.1:9/token")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")
    ended = running.run(sys.executable, "-c", "print('ran')")
    assert (ended.code, ended.printed) == (1, "")
    assert "gave this job no token to sign in with" in ended.errors
    assert ended.errors.strip() in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variable", "options"),
    [
        ("", ()),
        ("policy", ("--policy-pack", "policy")),
        ("policy=policy/config.json", ("--policy-pack", "policy", "--policy-pack-config", "policy/config.json")),
    ],
)
def test_a_variable_names_the_policy_pack_and_its_settings(variable: str, options: tuple[str, ...]) -> None:
    assert policy.options({policy.VARIABLE: variable}) == options


@pytest.mark.parametrize(("code", "asked"), [(0, ["preview", "up"]), (255, ["preview"])])
def test_a_policy_pack_validates_before_anything_is_changed(
    monkeypatch: pytest.MonkeyPatch, code: int, asked: list[str]
) -> None:
    monkeypatch.setenv(policy.VARIABLE, "policy")
    ran: list[tuple[str, ...]] = []

    def run(*command: str) -> Ended:
        ran.append(command)
        return Ended(code if command[1] != "up" else 0, "error: policy")

    monkeypatch.setattr(deploy, "run", run)
    assert deploy.deploy("test").code == code
    assert [command[1] for command in ran] == asked
    assert all(command[-2:] == ("--policy-pack", "policy") for command in ran)
