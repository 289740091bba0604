"""`init` on the real engine, in a folder and a state of its own; the sandbox's tenant and NocoBase are looked for."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sandbox.entra import identity
from sandbox.environment import environment
from sandbox.place import PROJECT, Place
from sandbox.setup import nocobase_url
from tests import golden

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"
SALT = re.compile(r"^encryptionsalt: .*$", re.MULTILINE)


@dataclass
class Folder:
    """The project in a folder, with an empty state beside it."""

    path: Path
    variables: Mapping[str, str]
    nocobase: str

    def init(self, *arguments: str, exit_code: int = 0, passphrase: str = "a passphrase") -> str:
        """What `init` says, piped; it prints no data."""
        around = {**self.variables, "PULUMI_CONFIG_PASSPHRASE": passphrase}
        ended = golden.piped(["init", *arguments], self.path, around)
        assert ended.returncode == exit_code, ended.stderr
        assert ended.stdout == ""
        assert "Traceback" not in ended.stderr
        assert "\x1b" not in ended.stderr
        return ended.stderr

    def make(self, *arguments: str) -> str:
        """`init` of the stack prod without questions."""
        needed = ("--stack", "prod", "--tenant", identity.TENANT_ID, "--nocobase-url", self.nocobase)
        return self.init(*needed, "--yes", *arguments)

    def pulumi(self, *arguments: str) -> str:
        """What a plain `pulumi` command prints."""
        command = ["pulumi", *arguments, "--non-interactive"]
        around = {**os.environ, **self.variables}
        return subprocess.run(command, cwd=self.path, env=around, capture_output=True, text=True, check=True).stdout

    @property
    def file(self) -> Path:
        """The settings of the stack prod."""
        return self.path / "Pulumi.prod.yaml"

    @property
    def config(self) -> dict[str, object]:
        """Its configuration."""
        found: dict[str, object] = yaml.safe_load(self.file.read_text())["config"]
        return found

    def masked(self, text: str) -> str:
        """Without what differs from run to run."""
        return text.replace(self.nocobase, "http://localhost:13000").replace(str(self.path), "/folder")


@pytest.fixture
def folder(place: Place, tmp_path: Path) -> Folder:
    """An empty one."""
    for name in ("Pulumi.yaml", "__main__.py", "provisioning", ".venv"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "state").mkdir()
    backend = {"PULUMI_BACKEND_URL": f"file://{tmp_path}/state", "PULUMI_CONFIG_PASSPHRASE": "a passphrase"}
    return Folder(tmp_path, {**environment(place), **backend, "NOCOBASE_API_KEY": ""}, nocobase_url(place))


def test_without_a_person_all_that_is_missing_is_named_at_once(folder: Folder) -> None:
    assert "there is no --stack, --tenant, --nocobase-url." in folder.init(exit_code=2)
    assert "there is no --tenant." in folder.init(
        "--stack", "prod", "--nocobase-url", folder.nocobase, "--yes", exit_code=2
    )
    assert not folder.file.exists()
    assert folder.pulumi("stack", "ls", "--json") == "[]\n"


def test_a_new_stack_is_written_and_the_next_commands_work(folder: Folder, place: Place) -> None:
    said = folder.make("--audience", "AzureADMyOrg")
    golden.check(GOLDEN / "init.txt", folder.masked(said))
    assert folder.config == {
        "azuread:tenantId": identity.TENANT_ID,
        "nocobase-outlook:audience": "AzureADMyOrg",
        "nocobase-outlook:nocobaseUrl": folder.nocobase,
    }
    key = environment(place)["NOCOBASE_API_KEY"]
    around = {**os.environ, **folder.variables, "NOCOBASE_API_KEY": key}
    command = ["pulumi", "preview", "--stack", "prod", "--non-interactive"]
    shown = subprocess.run(command, cwd=folder.path, env=around, capture_output=True, text=True, check=True).stdout
    assert "7 to create" in shown


def test_on_a_stack_that_exists_it_changes_only_what_was_asked(folder: Folder) -> None:
    folder.make("--scope", "email", "--scope", "SMTP.Send", "--scope", "User.Read")
    text = folder.file.read_text().replace(
        "config:", "# ask the mail team\nconfig:\n  nocobase-outlook:consent: tenant"
    )
    folder.file.write_text(text)
    folder.init("--stack", "prod", "--scope", "email", "--yes")
    assert folder.config["nocobase-outlook:scopes"] == ["email"]
    assert folder.config["nocobase-outlook:consent"] == "tenant"
    assert "# ask the mail team" in folder.file.read_text()
    assert SALT.findall(folder.file.read_text()) == SALT.findall(text)
    before = folder.file.read_text()
    assert "nothing written" in folder.init("--stack", "prod", "--yes")
    assert folder.file.read_text() == before
    said = folder.init("--stack", "prod", "--secrets-provider", "passphrase", "--yes", exit_code=1)
    assert "pulumi stack change-secrets-provider 'passphrase' --stack prod" in said


def test_wrong_answers_are_told_with_the_rule_and_nothing_is_written(folder: Folder) -> None:
    needed = ("--stack", "prod", "--yes", "--nocobase-url", folder.nocobase)
    tenant = ("--tenant", identity.TENANT_ID)
    wrong = ("--audience", "everybody", "--scope", "SMTP.Sent", "--secret-lifetime-days", "900")
    said = folder.init(*needed, *tenant, *wrong, exit_code=1)
    assert "audience" in said
    assert "SMTP.Send" in said
    assert "1 to 730 days" in said
    assert "common is not a tenant" in folder.init(*needed, "--tenant", "common", exit_code=1)
    assert "The passphrase comes from the environment only" in folder.init(*needed, *tenant, exit_code=1, passphrase="")
    assert "The state is kept in" in folder.init(*needed, *tenant, "--state", "ftp://x", exit_code=1)
    assert not folder.file.exists()


def test_tenant_and_nocobase_are_looked_for_unless_it_is_too_early(folder: Folder) -> None:
    nobody = "99999999-9999-9999-9999-999999999999"
    nowhere = ("--stack", "prod", "--yes", "--nocobase-url", "http://localhost:9", "--tenant")
    assert f"knows no tenant {nobody}" in folder.init(*nowhere, nobody, exit_code=1)
    assert "NocoBase at http://localhost:9 cannot be reached" in folder.init(*nowhere, identity.TENANT_ID, exit_code=1)
    assert not folder.file.exists()
    assert "The ID of the tenant is required" in folder.init(*nowhere, "example.com", "--no-checks", exit_code=1)
    assert not folder.file.exists()
    folder.init(*nowhere, nobody, "--no-checks")
    assert folder.config["azuread:tenantId"] == nobody


def test_another_state_than_the_shells_is_said_again(folder: Folder) -> None:
    other = folder.path / "other"
    other.mkdir()
    said = folder.make("--state", f"file://{other}")
    assert f"export PULUMI_BACKEND_URL='file://{other}'" in said
    assert list(other.glob(".pulumi/stacks/*/prod.json"))


def test_on_a_terminal_it_asks_until_an_answer_is_taken(folder: Folder) -> None:
    typed = [
        "prod",
        "",  # the state as the shell names it
        "",  # the usual secrets provider
        "common",
        identity.TENANT_ID,
        "nocobase.example.com",
        folder.nocobase,
        "",
        "AzureADMyOrg",
        "email, SMTP.Send",
        "60",
        "",  # half of it
    ]
    shown, code = golden.on_terminal(["init"], folder.path, folder.variables, typed="\n".join([*typed, ""]))
    assert code == 0, shown
    shown = shown.replace(folder.variables["PULUMI_BACKEND_URL"], "file:///folder/state")
    golden.check(GOLDEN / "init-terminal.txt", folder.masked(shown))
    assert folder.config == {
        "azuread:tenantId": identity.TENANT_ID,
        "nocobase-outlook:nocobaseUrl": folder.nocobase,
        "nocobase-outlook:audience": "AzureADMyOrg",
        "nocobase-outlook:scopes": ["email", "SMTP.Send"],
        "nocobase-outlook:secretLifetimeDays": "60",
        "nocobase-outlook:rotateEveryDays": "30",
    }
    before = folder.file.read_text()
    again = ["prod", "", "", "", "", "", "", "", "", ""]
    shown, code = golden.on_terminal(["init"], folder.path, folder.variables, typed="\n".join(again))
    assert code == 0, shown
    assert folder.file.read_text() == before


def test_a_nocobase_that_comes_later_may_be_named_on_a_terminal(folder: Folder) -> None:
    flags = ("--stack", "prod", "--tenant", identity.TENANT_ID, "--nocobase-url", "http://localhost:9")
    quiet = ("--nocobase-app", "", "--audience", "AzureADMyOrg", "--scope", "email", "--secret-lifetime-days", "180")
    rest = ("--rotate-every-days", "90", "--state", "", "--secrets-provider", "passphrase")
    arguments = ["init", *flags, *quiet, *rest]
    shown, code = golden.on_terminal(arguments, folder.path, folder.variables, typed="n\n")
    assert code == 1
    assert not folder.file.exists()
    shown, code = golden.on_terminal(arguments, folder.path, folder.variables, typed="y\n")
    assert code == 0, shown
    assert folder.config["nocobase-outlook:nocobaseUrl"] == "http://localhost:9"
