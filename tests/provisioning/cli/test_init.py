"""`init`: whether the stack is there already, and what it writes without an engine and without the other sides."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provisioning.cli import app, init, init_next_steps
from provisioning.cli.common import Plain, words
from provisioning.cli.init import _Init
from provisioning.errors import DirectoryFailure, DirectoryUnreadable, EngineFailed
from provisioning.init import remembered
from provisioning.pulumi_cli import Pulumi
from sandbox.entra.policies import DEFAULT_CONSENT, FOR_THEMSELVES, LEGACY
from tests.golden import check
from tests.provisioning.checkpoints import TENANT_ID, URL, export
from tests.provisioning.fake_pulumi import FakePulumi, fake_pulumi

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """Pulumi Cloud, whose default organization is me: it has me/prod and, of another one, acme/test."""
    found = fake_pulumi(tmp_path, {"prod": export()})
    (tmp_path / "acme").mkdir()
    for name, whole in (("prod", "me/nocobase-outlook/prod"), ("acme/test", "acme/nocobase-outlook/test")):
        (tmp_path / f"{name}.about").write_text(json.dumps({"currentStack": {"fullyQualifiedName": whole}}))
    (tmp_path / "stacks").write_text(json.dumps([{"name": "prod"}, {"name": "acme/test"}]))
    monkeypatch.setenv("PATH", found.environment["PATH"])
    return found


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("stack", "exists"),
    [
        ("prod", True),
        ("me/prod", True),
        ("me/nocobase-outlook/prod", True),
        ("acme/prod", False),
        ("me/other/prod", False),
        ("test", False),
        ("me/test", False),
        ("acme/test", True),
        ("acme/nocobase-outlook/test", True),
        ("new", False),
        ("acme/new", False),
    ],
)
def test_a_stack_of_another_organization_is_another_one(stack: str, exists: bool) -> None:
    assert _Init._exists(stack, Pulumi(stack)) is exists


Person = Callable[..., tuple[str, int]]

NOWHERE = "http://localhost:9"
"""Nobody listens there."""


@pytest.fixture
def prod(tmp_path: Path) -> FakePulumi:
    """A stack with settings."""
    config = {"nocobase-outlook:nocobaseUrl": {"value": URL}, "azuread:tenantId": {"value": TENANT_ID}}
    return fake_pulumi(tmp_path, {"prod": export()}, config)


def written(engine: FakePulumi) -> list[dict[str, str]]:
    """The settings that it had the engine write, run by run."""
    calls = [json.loads(call[call.index("--json") + 1]) for call in engine.asked if call[1] == "set-all"]
    return [{key: entry["value"] for key, entry in call.items()} for call in calls]


@pytest.fixture
def person(prod: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> Person:
    """`init` in the engine's folder, with answers that a person types ahead."""
    for name, value in prod.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("HTTP_PROXY", "http_proxy", "NOCOBASE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file://~")
    monkeypatch.chdir(prod.folder)
    monkeypatch.setattr(init, "can_be_asked", lambda: True)
    # What the tenant's policy says is not asked for.
    monkeypatch.setattr(init, "tell_consent", lambda *_: None)

    def answering(*typed: str, stack: str = "prod", options: Sequence[str] = ()) -> tuple[str, int]:
        lines = "".join(f"{line}\n" for line in typed)
        ended = CliRunner().invoke(app, ["init", "--stack", stack, *options], input=lines)
        return ended.output, ended.exit_code

    return answering


def test_on_a_terminal_enter_leaves_a_stack_as_it_is(prod: FakePulumi, person: Person) -> None:
    shown, code = person(*("",) * 9)
    assert code == 0, shown
    assert written(prod) == []


def test_a_nocobase_that_comes_later_is_written_only_if_a_person_insists(prod: FakePulumi, person: Person) -> None:
    shown, code = person("", "", NOWHERE, "y", *("",) * 6)
    assert f"NocoBase at {NOWHERE} cannot be reached" in shown
    assert "Go on all the same?" in shown
    assert (code, written(prod)) == (0, [{"nocobaseUrl": NOWHERE}])


def test_an_address_at_which_nothing_is_costs_no_other_answer(prod: FakePulumi, person: Person) -> None:
    # Asked again at once, and answered by the one that the stack has.
    shown, code = person("", "", NOWHERE, "n", "", "", "", "azureadmyorg", *("",) * 3)
    assert (code, written(prod)) == (0, [{"audience": "AzureADMyOrg"}]), shown


def test_whoever_leaves_finds_the_answers_proposed(prod: FakePulumi, person: Person, tmp_path: Path) -> None:
    shown, code = person("", "", "localhost:9", "y", "", "", "3")
    assert code == 130, shown
    assert "What was answered is kept: the next `python -m provisioning init` proposes it." in " ".join(shown.split())
    assert "Traceback" not in shown
    assert written(prod) == []
    shown, code = person("", "", "", "y", "", "", "", "", "", "")
    assert "The answers of the run that was not completed are proposed" in shown
    assert (code, written(prod)) == (0, [{"nocobaseUrl": NOWHERE, "audience": "AzureADMyOrg"}]), shown
    assert not (tmp_path / remembered.FILE).exists()


def test_the_answers_of_another_stack_are_not_proposed(prod: FakePulumi, person: Person, tmp_path: Path) -> None:
    remembered.remember(tmp_path, {"stack": "test", "audience": "AzureADMyOrg"})
    shown, code = person(*("",) * 9)
    assert (code, written(prod)) == (0, []), shown
    assert "are proposed" not in shown


def test_only_what_a_late_check_rejects_is_asked_again(prod: FakePulumi, person: Person) -> None:
    given = ["--audience", "everybody", "--secret-lifetime-days", "60", "--no-checks"]
    shown, code = person(*("",) * 5, "2", "", "", options=given)
    assert code == 0, shown
    assert "It is none of the allowed values." in shown
    expected = {"audience": "AzureADMultipleOrgs", "secretLifetimeDays": "60", "rotateEveryDays": "30"}
    assert written(prod) == [expected]


def test_an_option_that_is_wrong_is_not_put_right_in_the_selected_stack(prod: FakePulumi, person: Person) -> None:
    options = ["--nocobase-url", "https://n.example.com/admin", "--secret-lifetime-days", "900"]
    shown, code = person(options=["--yes", "--no-checks", *options])
    assert (code, written(prod)) == (1, [])
    assert "Name another one (--nocobase-url)." in shown
    assert "Name another one (--secret-lifetime-days)." in shown
    assert "pulumi config" not in shown


@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_new_stack_says_its_environment_in_the_name_and_which_one_is_selected(
    prod: FakePulumi, person: Person, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setattr(Plain, "is_terminal", True)
    monkeypatch.setattr(words, "width", int(columns))
    needed = ["--tenant", TENANT_ID, "--secrets-provider", "awskms://x", "--no-checks"]
    shown, code = person("", "n.example.com", *("",) * 6, stack="test", options=needed)
    assert code == 0, shown
    check(GOLDEN / f"init-{columns}.txt", shown)
    assert written(prod) == [
        {
            "azuread:tenantId": TENANT_ID,
            "nocobaseUrl": "https://n.example.com",
            "applicationName": "NocoBase mail (test)",
        }
    ]


def test_a_secrets_provider_that_does_not_work_is_asked_for_again(
    prod: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def create(_: Pulumi, provider: str) -> None:
        tried.append(provider)
        if len(tried) == 1:
            raise EngineFailed("no such vault")

    answers = iter(["hashivault://x", "awskms://y"])
    run = _Init(ask=True, check=False, answers={})
    monkeypatch.setattr(Pulumi, "create", create)
    monkeypatch.setattr(run, "_asked", lambda *_: next(answers))
    run._create(Pulumi("test"), "file://~", next(answers), asked=True)
    assert tried == ["hashivault://x", "awskms://y"]
    tried.clear()
    with pytest.raises(EngineFailed):
        run._create(Pulumi("test"), "file://~", "hashivault://x", asked=False)


def test_a_state_that_does_not_answer_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str | None] = []

    def stacks(engine: Pulumi) -> list[str]:
        tried.append(engine.environment.get("PULUMI_BACKEND_URL"))
        if len(tried) == 1:
            raise EngineFailed("no such bucket")
        return ["prod"]

    answers = iter(["s3://x", "s3://y"])
    run = _Init(ask=True, check=False, answers={})
    monkeypatch.setattr(Pulumi, "stacks", stacks)
    monkeypatch.setattr(run, "_asked", lambda *_: next(answers))
    assert run._state("prod", None)[1] is True
    assert tried == ["s3://x", "s3://y"]
    tried.clear()
    with pytest.raises(EngineFailed):
        run._state("prod", "s3://x")


def test_which_stack_is_selected_is_said(prod: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    arguments = ["init", "--stack", "prod", "--no-checks", "--yes"]
    assert "The stack prod is selected: commands without --stack use it.\n" in CliRunner().invoke(app, arguments).stderr
    (prod.folder / "name").write_text("test")
    said = CliRunner().invoke(app, arguments).stderr
    assert "The stack test is still selected.\n" in said
    assert "    pulumi stack select prod\n" in said
    (prod.folder / "name").unlink()
    assert init_next_steps.selected_stack(Pulumi()) == ""


@pytest.mark.parametrize(("lifetime", "rotation"), [("60", {"rotateEveryDays": "30"}), ("365", {})])
def test_a_lifetime_alone_gets_the_rotation_that_a_person_is_offered(
    prod: FakePulumi, monkeypatch: pytest.MonkeyPatch, lifetime: str, rotation: dict[str, str]
) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    arguments = ["--stack", "prod", "--secret-lifetime-days", lifetime, "--yes"]
    said = CliRunner().invoke(app, ["init", *arguments])
    assert said.exit_code == 0, said.stderr
    assert written(prod) == [{"secretLifetimeDays": lifetime, **rotation}]


def test_a_passphrase_that_is_not_there_is_not_offered(
    prod: FakePulumi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    offered = []
    run = _Init(ask=True, check=False, answers={})

    def answer(_: str, default: str, __: object) -> str:
        offered.append(default)
        return "default"

    monkeypatch.setattr(run, "_asked", answer)
    run._provider("file://~", None)
    assert "export PULUMI_CONFIG_PASSPHRASE_FILE" in capsys.readouterr().err
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    run._provider("file://~", None)
    assert offered == ["", "passphrase"]


def test_the_sandboxs_stack_is_not_taken(prod: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    needed = ["--tenant", TENANT_ID, "--nocobase-url", URL, "--state", "local", "--no-checks", "--yes"]
    said = CliRunner().invoke(app, ["init", "--stack", "dev", *needed])
    assert (said.exit_code, "is the sandbox's stack" in said.stderr) == (1, True)
    assert written(prod) == []


def test_an_audience_that_nocobase_does_not_serve_is_written_and_named(
    prod: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    said = CliRunner().invoke(app, ["init", "--stack", "prod", "--audience", "AzureADMyOrg", "--no-checks", "--yes"])
    assert said.exit_code == 0, said.stderr
    assert "AADSTS50194" in said.stderr
    assert "pulumi config set audience AzureADMultipleOrgs" in said.stderr
    assert written(prod) == [{"audience": "AzureADMyOrg"}]


def test_a_nocobase_3_serves_that_audience(prod: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    arguments = ["--nocobase-config-file", "/srv/config.yml", "--audience", "AzureADMyOrg", "--no-checks", "--yes"]
    said = CliRunner().invoke(app, ["init", "--stack", "prod", *arguments])
    assert said.exit_code == 0, said.stderr
    assert "AADSTS50194" not in said.stderr
    assert written(prod) == [{"nocobaseConfigFile": "/srv/config.yml", "audience": "AzureADMyOrg"}]


def test_without_checks_nobody_is_asked_whether_it_is_there(prod: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a passphrase")
    arguments = ["--stack", "new", "--nocobase-url", NOWHERE, "--no-checks", "--yes", "--tenant"]
    said = CliRunner().invoke(app, ["init", *arguments, TENANT_ID])
    assert said.exit_code == 0, said.stderr
    assert ["stack", "init", "--secrets-provider=passphrase"] in [call[:3] for call in prod.asked]
    assert written(prod) == [{"azuread:tenantId": TENANT_ID, "nocobaseUrl": NOWHERE}]


def test_an_address_is_written_as_it_is_shown_from_then_on(prod: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    arguments = ["--stack", "prod", "--no-checks", "--yes", "--nocobase-url"]
    said = CliRunner().invoke(app, ["init", *arguments, " https://Büro.example.com:443/crm/ "])
    assert said.exit_code == 0, said.stderr
    assert written(prod) == [{"nocobaseUrl": "https://xn--bro-hoa.example.com/crm"}]
    said = CliRunner().invoke(app, ["init", *arguments, "https://n.example.com/admin"])
    assert said.exit_code != 0
    assert "That is https://n.example.com." in said.stderr
    assert len(written(prod)) == 1


@pytest.mark.parametrize(
    ("policies", "mark", "said"),
    [
        (DEFAULT_CONSENT, "!", "an administrator has to consent: Microsoft's policy does not let users do so for IMAP"),
        ((f"{FOR_THEMSELVES}{LEGACY}",), "✓", "users of this tenant may consent themselves"),
        (
            None,
            "!",
            "whether users may consent themselves could not be read (403 Authorization_RequestDenied)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_who_has_to_consent_is_told(
    prod: FakePulumi, monkeypatch: pytest.MonkeyPatch, policies: tuple[str, ...] | None, mark: str, said: str
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    def read() -> tuple[str, ...]:
        if policies is None:
            raise DirectoryUnreadable("x", "403 Authorization_RequestDenied", DirectoryFailure.DENIED)
        return policies

    monkeypatch.setenv("PATH", prod.environment["PATH"])
    monkeypatch.setattr(directory, "consent_policies", read)
    told = CliRunner().invoke(app, ["init", "--stack", "prod", "--rotate-every-days", "60", "--yes"]).stderr
    whole = " ".join(told.split())
    assert f"{mark} Consent: {said}" in whole
    assert ("adminConsentUrl" in whole) is (mark == "!")


def test_consent_is_told_without_checks_too(prod: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    said = CliRunner().invoke(app, ["init", "--stack", "prod", "--rotate-every-days", "60", "--no-checks", "--yes"])
    assert "expect to need an administrator" in " ".join(said.stderr.split())


def test_a_value_that_is_stored_encrypted_is_not_shown(prod: FakePulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", prod.environment["PATH"])
    config = {"nocobaseUrl": {"value": URL}, "audience": {"value": "s3cr3t", "secret": True}}
    (prod.folder / "prod.config").write_text(
        json.dumps({f"nocobase-outlook:{key}": one for key, one in config.items()})
    )
    said = CliRunner().invoke(app, ["init", "--stack", "prod", "--no-checks", "--yes"])
    assert (said.exit_code, "It is none of the allowed values." in said.stderr) == (1, True)
    assert "s3cr3t" not in said.output


def test_without_the_engine_nothing_is_asked(
    prod: FakePulumi, person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))
    assert person() == (
        "The `pulumi` command was not found. Install the Pulumi CLI (https://www.pulumi.com/docs/install/), or put it "
        "on PATH. Nothing was written.\n",
        1,
    )
    assert prod.asked == []


def test_a_state_of_an_unknown_kind_is_answered_by_the_known_ones() -> None:
    assert init._why_invalid_state("ftp://x") == ("Answer with one of: cloud, local, azblob://…, s3://… or file://….")
    assert init._why_invalid_state("local") is None
