"""`init` on the real engine, in a folder and a state of its own; the sandbox's tenant and NocoBase are looked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sandbox.entra import identity
from sandbox.place import PROJECT, Place
from sandbox.setup import nocobase_url
from tests import golden
from tests.e2e import moments
from tests.e2e.commands import run_in
from tests.e2e.conftest import Stack
from tests.e2e.moments import Moment
from tests.e2e.stack import surroundings

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
        code, printed, said = run_in(self.path, around, "init", *arguments)
        assert code == exit_code, said
        assert printed == ""
        assert "Traceback" not in said
        assert "\x1b" not in said
        return said

    def make(self, *arguments: str) -> str:
        """`init` of the stack prod without questions."""
        needed = ("--stack", "prod", "--tenant", identity.TENANT_ID, "--nocobase-url", self.nocobase)
        return self.init(*needed, "--yes", *arguments)

    @property
    def file(self) -> Path:
        """The settings of the stack prod."""
        return self.path / "Pulumi.prod.yaml"

    @property
    def config(self) -> dict[str, object]:
        """Its configuration."""
        found: dict[str, object] = yaml.safe_load(self.file.read_text())["config"]
        return found

    @property
    def untouched(self) -> bool:
        """Whether neither the folder nor its state has a stack."""
        return not self.file.exists() and not list(self.path.glob("*/.pulumi/stacks/*/*"))

    def masked(self, text: str) -> str:
        """Without what differs from run to run."""
        shown = text.replace(self.nocobase, "http://localhost:13000").replace(str(self.path), "/folder")
        return shown.replace(self.nocobase.removeprefix("http://"), "localhost:13000")


@pytest.fixture(scope="module")
def project(place: Place, empty: Moment, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The project, with another state than the sandbox's own; the engine is asked once what is in it."""
    moments.go_back(place, empty)  # a test before may have left another NocoBase's address
    path = tmp_path_factory.mktemp("project")
    for name in ("Pulumi.yaml", "__main__.py", "provisioning", ".venv"):
        (path / name).symlink_to(PROJECT / name)
    backend = {"PULUMI_BACKEND_URL": f"file://{path}/state", "PULUMI_CONFIG_PASSPHRASE": "a passphrase"}
    variables = surroundings(place, {**backend, "NOCOBASE_API_KEY": ""})
    del variables["PYTEST_CURRENT_TEST"]  # there is another one for each test
    return Folder(path, variables, nocobase_url(place))


@pytest.fixture
def folder(project: Folder, stack: Stack) -> Folder:
    """It without a stack, beside a tenant and a NocoBase with nothing in them."""
    project.file.unlink(missing_ok=True)
    for name in ("state", "other"):
        shutil.rmtree(project.path / name, ignore_errors=True)
        (project.path / name).mkdir()
    return project


def test_without_a_person_all_that_is_missing_is_named_at_once(folder: Folder) -> None:
    assert "there is no --stack, --tenant, --nocobase-url." in folder.init(exit_code=2)
    some = ("--stack", "prod", "--nocobase-url", folder.nocobase, "--yes")
    assert "there is no --tenant." in folder.init(*some, exit_code=2)
    assert folder.untouched


def test_a_new_stack_is_written_and_the_next_commands_work(folder: Folder, place: Place) -> None:
    said = folder.make("--audience", "AzureADMyOrg")
    golden.check(GOLDEN / "init.txt", folder.masked(said))
    assert folder.config == {
        "azuread:tenantId": identity.TENANT_ID,
        "nocobase-outlook:audience": "AzureADMyOrg",
        "nocobase-outlook:nocobaseUrl": folder.nocobase,
    }
    around = {**os.environ, **folder.variables, "NOCOBASE_API_KEY": surroundings(place)["NOCOBASE_API_KEY"]}
    command = ["pulumi", "preview", "--stack", "prod", "--non-interactive"]
    shown = subprocess.run(command, cwd=folder.path, env=around, capture_output=True, text=True, check=True).stdout
    assert "7 to create" in shown

    # Now that it exists, only what is asked for is changed.
    scopes = "config:\n  nocobase-outlook:scopes:\n  - email\n  - SMTP.Send\n  - User.Read\n"
    text = folder.file.read_text().replace("config:\n", f"# ask the mail team\n{scopes}")
    folder.file.write_text(text)
    assert "nothing written" in folder.init("--stack", "prod", "--yes")
    said = folder.init("--stack", "prod", "--secrets-provider", "passphrase", "--yes", exit_code=1)
    assert "pulumi stack change-secrets-provider 'passphrase' --stack prod" in said
    assert folder.file.read_text() == text
    folder.init("--stack", "prod", "--scope", "email", "--yes")
    assert folder.config["nocobase-outlook:scopes"] == ["email"]
    assert folder.config["nocobase-outlook:audience"] == "AzureADMyOrg"
    assert "# ask the mail team" in folder.file.read_text()
    assert SALT.findall(folder.file.read_text()) == SALT.findall(text) != []


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
    assert "Answer with one of: cloud, local" in folder.init(*needed, *tenant, "--state", "ftp://x", exit_code=1)
    assert folder.untouched


def test_tenant_and_nocobase_are_looked_for(folder: Folder) -> None:
    nobody = "99999999-9999-9999-9999-999999999999"
    nowhere = ("--stack", "prod", "--yes", "--nocobase-url", "http://localhost:9", "--tenant")
    assert f"knows no tenant {nobody}" in folder.init(*nowhere, nobody, exit_code=1)
    assert "NocoBase at http://localhost:9 cannot be reached" in folder.init(*nowhere, identity.TENANT_ID, exit_code=1)
    assert "The ID of the tenant is required" in folder.init(*nowhere, "example.com", "--no-checks", exit_code=1)
    assert folder.untouched


def test_on_a_terminal_it_asks_until_an_answer_is_taken(folder: Folder) -> None:
    typed = [
        "prod",
        f"file://{folder.path}/other",  # not the state that the shell names
        "",  # the usual secrets provider
        "common",
        identity.TENANT_ID,
        "ftp://nocobase.example.com",
        folder.nocobase.removeprefix("http://"),
        "",
        "",  # the name with the environment
        "3",  # AzureADMyOrg
        "email, SMTP.Send",
        "60",
        "",  # half of it
    ]
    shown, code = golden.on_terminal(
        ["init"], folder.path, folder.variables, typed="\n".join([*typed, ""]), columns=golden.WIDE
    )
    assert code == 0, shown
    golden.check(GOLDEN / "init-terminal.txt", folder.masked(shown))
    assert list(folder.path.glob("other/.pulumi/stacks/*/prod.json"))
    assert folder.config == {
        "azuread:tenantId": identity.TENANT_ID,
        "nocobase-outlook:nocobaseUrl": folder.nocobase,
        "nocobase-outlook:applicationName": "NocoBase mail (prod)",
        "nocobase-outlook:audience": "AzureADMyOrg",
        "nocobase-outlook:scopes": ["email", "SMTP.Send"],
        "nocobase-outlook:secretLifetimeDays": "60",
        "nocobase-outlook:rotateEveryDays": "30",
    }
