"""`init` on the real engine, in a folder and a state of its own; the sandbox's tenant and NocoBase are looked for."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from provisioning.foreign import GUID
from sandbox.entra import identity
from sandbox.place import PROJECT, Place
from sandbox.setup import nocobase_url
from tests import golden
from tests.e2e import moments, outside
from tests.e2e.commands import run_in
from tests.e2e.conftest import Stack
from tests.e2e.mail import mail
from tests.e2e.moments import Moment
from tests.e2e.stack import FENCE, surroundings
from tests.pages import page
from tests.terminal import PARTS, shell

pytestmark = pytest.mark.e2e

GOLDEN = Path(__file__).parent / "golden"
README = page("README.md")

OF_THE_SANDBOX = (
    "PATH", "PULUMI_HOME", "PULUMI_SKIP_UPDATE_CHECK", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    "PULUMI_DEBUG_PROVIDERS", "ARM_METADATA_HOSTNAME", "ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "AZURE_AUTHORITY_HOST",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", *FENCE,
)  # fmt: skip
"""What a terminal has instead of the engine's installation, `az login` and a way to Microsoft."""

PYTHON = '() {{ if [ "$3" = doctor ]; then command python "$@" {}; else command python "$@"; fi; }}'
"""A function that has `doctor` ask other mail servers than Microsoft's."""

STATE = "/srv/pulumi-state12"
"""What is shown for the folder of the state, whose name is as long."""

HEAD = """\
The production path, as README.md describes it under "The real thing", on a
terminal of 80 columns. Recorded with the real engine and a real NocoBase, and
with the sandbox's tenant. So it differs from a real one in this:

- `pulumi install` is left out: packages and plugin are installed.
- `az login` is left out: ARM_CLIENT_ID and ARM_CLIENT_SECRET sign in the
  sandbox's deployer, who may not read the tenant's policies.
- `doctor` asks mail servers on this machine, not Microsoft's.
- NocoBase's address is this machine's, and therefore not https.
- Dates, ids, ports and times are replaced by others of the same length, and
  the rows of one preview or update are put in one order.

"""

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


def test_a_new_stack_is_written_and_later_only_what_is_asked_for(folder: Folder) -> None:
    said = folder.make("--audience", "AzureADMyOrg")
    golden.check(GOLDEN / "init.txt", folder.masked(said))
    assert folder.config == {
        "azuread:tenantId": identity.TENANT_ID,
        "nocobase-outlook:audience": "AzureADMyOrg",
        "nocobase-outlook:nocobaseUrl": folder.nocobase,
    }

    # Now that it exists, only what is asked for is changed.
    scopes = "config:\n  nocobase-outlook:scopes:\n  - email\n  - SMTP.Send\n  - User.Read\n"
    text = folder.file.read_text().replace("config:\n", f"# ask the mail team\n{scopes}")
    folder.file.write_text(text)
    assert "Pulumi.prod.yaml is as it was." in folder.init("--stack", "prod", "--yes")
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


def test_the_production_path_of_the_readme(folder: Folder, place: Place, tmp_path: Path) -> None:
    sandbox = surroundings(place)
    around = {name: sandbox[name] for name in OF_THE_SANDBOX if name in sandbox}
    around |= {"HOME": str(tmp_path), "LANG": "C.UTF-8", "VIRTUAL_ENV_DISABLE_PROMPT": "1"}
    with (
        mail(place) as servers,
        TemporaryDirectory(dir="/tmp", prefix="state-") as state,  # lines are cut where they are with the same length
        shell(folder.path, {**around, "BASH_FUNC_python%%": PYTHON.format(shlex.join(servers))}) as person,
    ):
        person.runs("# 1. A new terminal, and the program")
        person.runs(". .venv/bin/activate")
        person.runs("# 2. The sign-in; 3. NocoBase's API key, pasted unseen")
        person.runs("read -rs NOCOBASE_API_KEY && export NOCOBASE_API_KEY", (None, sandbox["NOCOBASE_API_KEY"]))
        person.runs("# 4. The stack")
        person.runs("mkdir -p ~/.config/nocobase-outlook")
        person.runs("(umask 077; set -C; openssl rand -base64 32 > ~/.config/nocobase-outlook/passphrase)")
        person.runs("export PULUMI_CONFIG_PASSPHRASE_FILE=~/.config/nocobase-outlook/passphrase")
        typed = {
            "Stack: ": "prod",
            "State: ": f"file://{state}",
            "Secrets provider [passphrase]: ": "",
            "Tenant: ": identity.TENANT_ID,
            "NocoBase's address: ": folder.nocobase.removeprefix("http://"),
            "Sub-application: ": "",
            "Application's name [NocoBase mail (prod)]: ": "",
            "Audience [AzureADandPersonalMicrosoftAccount]: ": "",
            "Scopes [email, offline_access, IMAP.AccessAsUser.All, SMTP.Send, User.Read]: ": "",
            "Lifetime [180]: ": "",
            "Rotation [90]: ": "",
        }
        printed = person.runs("python -m provisioning init", *typed.items())
        assert folder.config == {
            "azuread:tenantId": identity.TENANT_ID,
            "nocobase-outlook:nocobaseUrl": folder.nocobase,
            "nocobase-outlook:applicationName": "NocoBase mail (prod)",
        }
        person.runs("# 5. What init printed")
        export, doctor, up = re.findall("^    (.+)$", printed.partition("Next:")[2], re.MULTILINE)
        person.runs(export)
        assert "failed" not in person.runs(doctor)
        assert "+ 7 created" in person.runs(up, ("Do you want to perform this update?", "yes"))
        person.runs("# 6. An administrator opens this address in a browser, and consents")
        address = person.runs("pulumi stack output adminConsentUrl").replace("\n", "").partition("adminConsentUrl")[2]
        consented = outside.entra(place).get(address.removeprefix("https://login.microsoftonline.com"))
        assert "admin_consent=True" in consented.headers["location"]
        person.runs("# Day to day")
        assert "in sync" in person.runs("python -m provisioning status")
    said, raw = person.seen, person.raw
    for secret in (sandbox["NOCOBASE_API_KEY"], sandbox["ARM_CLIENT_SECRET"]):
        assert secret not in said.replace("\n", "") + raw
    steps = README.text.partition("## The real thing")[2].partition("## Day to day")[0]
    commands = {line.strip() for line in steps.splitlines() if line.startswith(" " * 7)}
    typed_in = {line.removesuffix(" --stack prod") for line in re.findall(r"^\$ (.+)$", raw_lines(raw), re.MULTILINE)}
    assert commands - typed_in == {"pulumi install", "az login --tenant <tenant id>"}
    golden.check(GOLDEN / "production-path.txt", HEAD + masked_session(folder.masked(said).replace(state, STATE)))


def raw_lines(raw: str) -> str:
    """What was written, without what only moves the cursor or colours."""
    return PARTS.sub(r"\g<text>", raw).replace("\r\n", "\n")


def masked_session(text: str) -> str:
    """The session without what differs from run to run; everything keeps its length, and so its lines."""
    ids = dict.fromkeys(re.findall(rf"\b(?!(?:1{{8}}|2{{8}}|3{{8}})-){GUID}", text))
    for number, found in enumerate(ids, 1):
        text = text.replace(found, f"0a1b2c3d-0000-4000-8000-{number:012}")
    today = datetime.now(UTC).date()

    def moved(found: re.Match[str]) -> str:
        day = date.fromisoformat(found[0].replace("\n", "")) - today + date(2027, 1, 1)
        return f"{day}" if "\n" not in found[0] else f"{day:%Y}"[:2] + "\n" + f"{day}"[2:]

    text = re.sub(r"(?<!\d)\d\d\n?\d\d-\d\d-\d\d(?!\d)", moved, text)
    text = re.sub(r"\b[0-9a-f]{8}(?=  2027-)", "5e6f7a8b", text)
    text = re.sub(r"localhost:(?!13000)\d{5}", "localhost:12345", text)
    text = re.sub(r"Duration: \d+s", "Duration: 9s", re.sub(r"Pulumi v[\d.]+", "Pulumi v<version>", text))
    text = re.sub(r"(?:^ \+   [│├└].*\n)+", in_one_order, text, flags=re.MULTILINE)
    return re.sub(r"^\$ # ", "\n# ", text, flags=re.MULTILINE).removesuffix("$").lstrip()


ORDER = ("providers:", "MailApplication", "Application ", "ServicePrincipal", "ApplicationPassword", "MailSettings")


def in_one_order(tree: re.Match[str]) -> str:
    """The engine's tree: what is declared at the same time may come in any order."""
    rows = [line for part in ORDER for line in tree[0].splitlines() if part in line]
    last = {"ApplicationPassword", "MailSettings"}
    return "".join(
        f"{re.sub('[├└]', '└' if any(name in row for name in last) else '├', row)}\n" for row in dict.fromkeys(rows)
    )
