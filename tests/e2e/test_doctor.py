"""`doctor` on the real engine and the real NocoBase: each failure is provoked, and its remedy makes it pass."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from provisioning.doctor import questions as doctor
from provisioning.doctor.engine import CI_VARIABLES
from provisioning.doctor.runner import Check, Outcome, Question, ask_all
from provisioning.program import stack as engine_stack
from sandbox import processes
from sandbox.engine.tools import PASSPHRASE
from sandbox.entra import identity
from sandbox.nocobase import server
from sandbox.setup import load_record, nocobase_url
from tests import golden
from tests.e2e.commands import run
from tests.e2e.conftest import Stack, graph, sandbox_entra
from tests.e2e.mail import mail
from tests.e2e.outside import ADMINISTRATOR
from tests.e2e.remembered import remembering
from tests.e2e.stack import NAME, surroundings
from tests.provisioning.doctor.test_engine import OPENS_WITH_NOTHING

# Microsoft's SDK uses what it has deprecated itself.
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")]

GOLDEN = Path(__file__).parent / "golden"
OWNED_BY = "18a4783c-866b-4cc7-a460-3d5e5662c884"
READ_POLICIES = "246dd0d5-5bd0-4def-940b-0421030a5b68"
OK = Outcome.OK

NO_PIPELINE = dict.fromkeys(CI_VARIABLES, "")
"""The tests themselves may run in one."""


class Patient:
    """Asks some of doctor's questions, and those that they need, in this process: it imports Graph's SDK once."""

    def __init__(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self._patch = monkeypatch

    def __call__(self, *names: str, of: str = NAME, **extra: str) -> dict[str, Check]:
        """The answers to the questions `names`. of: a stack; extra: environment variables."""
        with self._patch.context() as patch, remembering():
            patch.chdir(self.stack.place.project)
            for name, value in surroundings(self.stack.place, {**NO_PIPELINE, **extra}).items():
                patch.setenv(name, value)
            questions = {question.name: question for question in doctor.questions(of, {}, engine_stack.now())}
            return {check.name: check for check in ask_all(_with_needs(questions, names))}


@pytest.fixture
def ask(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """Of a stack that is deployed."""
    return Patient(deployed, monkeypatch)


@pytest.fixture
def ask_before(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Patient:
    """Of a stack before its first deployment."""
    return Patient(stack, monkeypatch)


def _with_needs(questions: Mapping[str, Question], names: tuple[str, ...]) -> list[Question]:
    wanted: set[str] = set()

    def want(name: str) -> None:
        wanted.add(name)
        for need in questions[name].needs:
            want(need)

    for name in names:
        want(name)
    return [question for name, question in questions.items() if name in wanted]


def failed(check: Check, said: str, remedy: str) -> None:
    """The check has failed in these words."""
    assert check.outcome is Outcome.FAILED, check
    assert said in check.said
    assert remedy in str(check.remedy)


def follow(stack: Stack, check: Check) -> None:
    """Run every `pulumi` command that stands in a check's remedy."""
    commands = re.findall(r"pulumi (?:config set|up|stack|refresh)[^,;`(]*", str(check.remedy))
    assert commands
    for command in commands:
        _, *arguments = shlex.split(command)
        stack.pulumi(*arguments, *(["--yes", "--skip-preview"] if arguments[0] == "up" else []))


def follow_settings(stack: Stack, check: Check) -> None:
    """Write the settings that a check's remedy names."""
    settings = re.findall(r"pulumi config set (\w+) (\w+)", str(check.remedy))
    assert settings
    for key, value in settings:
        stack.set(key, value)


def masked(stack: Stack, text: str) -> str:
    """The text without what differs from run to run."""
    text = text.replace(stack.place.pulumi_state.absolute().as_uri(), "file:///<state>")
    text = re.sub(r"localhost:\d+", "localhost:<port>", text)
    text = re.sub(r"(?!11111111|33333333)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d, \d+ days", "<date>, <n> days", text)
    return re.sub(r"Pulumi v\d+\.\d+\.\d+", "Pulumi v<version>", text)


def test_a_deployed_stack_as_a_pipe_reads_it(deployed: Stack) -> None:
    stack, around = deployed, surroundings(deployed.place, NO_PIPELINE)
    with mail(stack.place) as options:
        code, printed, said = run(stack, "doctor", "--stack", NAME, *options, extra=NO_PIPELINE)
        assert code == 0, printed + said
        golden.check(GOLDEN / "doctor.txt", masked(stack, printed))
        assert re.fullmatch(r"\d+ OK, 3 warnings\.", said.splitlines()[-1]), said
    everything = printed + said
    assert around["NOCOBASE_API_KEY"] not in everything
    assert around["ARM_CLIENT_SECRET"] not in everything
    assert stack.outputs["clientSecret"] not in everything


def test_the_network_alone(stack: Stack) -> None:
    base = f"https://localhost:{load_record(stack.place).entra_port}"
    with mail(stack.place) as options:
        options += ["--endpoint", f"sign-in={base}", "--endpoint", f"graph={base}"]
        code, printed, _ = run(stack, "doctor", "--network-only", *options)
        assert code == 0
        assert printed.count("OK ") == 5
        closed = f"imap=localhost:{processes.free_port()}"
        code, printed, said = run(stack, "doctor", "--network-only", *options, "--endpoint", closed)
    assert code == 1
    text = re.sub(r"(localhost:|TCP port )\d+", r"\1<port>", printed)
    golden.check(GOLDEN / "doctor-network.txt", text)
    assert "ssh <NocoBase's server> python3 - < " in said
    assert "provisioning/doctor/network.py" in said
    assert run(stack, "doctor", "--network-only", "--endpoint", "pop=x:1")[:2] == (2, "")


def test_engine_plugin_and_backend(ask: Patient, tmp_path: Path) -> None:
    everything = ask("engine", "azuread plugin", "state backend", "sign-in", "settings", PATH=str(tmp_path))
    failed(everything["engine"], "`pulumi` command was not found", "Install the Pulumi CLI")
    assert everything["settings"] == Check("settings", Outcome.SKIPPED, "because 'engine' failed")
    assert everything["sign-in"].outcome is OK

    empty = {"PULUMI_HOME": str(tmp_path), "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
    missing = ask("azuread plugin", **empty)["azuread plugin"]
    failed(missing, "is not installed", "pulumi plugin install resource azuread")
    may_acquire = ask("azuread plugin", **{**empty, "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": ""})
    assert may_acquire["azuread plugin"].outcome is Outcome.WARNING

    failed(ask("state backend", CI="true")["state backend"], "a pipeline's machine (CI is set)", "azblob://")
    mended = ask("engine", "azuread plugin", "state backend")
    assert {check.outcome for check in mended.values()} == {OK}


def test_stack_settings_and_secrets_provider(ask: Patient) -> None:
    stack = ask.stack
    # Read settings need no passphrase, so that a wrong one hides nothing else.
    found = ask("secrets provider", "settings", PULUMI_CONFIG_PASSPHRASE="wrong")
    failed(found["secrets provider"], "not the one of this stack", "PULUMI_CONFIG_PASSPHRASE")
    assert found["settings"].outcome is OK

    stack.set("secretLifetimeDays", "731")
    wrong = ask("settings", "NocoBase")
    failed(wrong["settings"], 'secretLifetimeDays = "731": A client secret may live 1 to 730 days', "config rm")
    assert wrong["NocoBase"].said == "because 'settings' failed"
    stack.unset("secretLifetimeDays")
    assert ask("settings")["settings"].outcome is OK

    stack.make("shop", nocobaseUrl="https://nocobase.example.com")
    file = stack.place.project / "Pulumi.shop.yaml"
    file.write_text(re.sub("(?m)^encryptionsalt: .*$", f"encryptionsalt: {OPENS_WITH_NOTHING}", file.read_text()))
    empty = {"PULUMI_CONFIG_PASSPHRASE": ""}
    check = ask("secrets provider", of="shop", **empty)["secrets provider"]
    failed(check, "the passphrase is empty", "pulumi stack change-secrets-provider passphrase")
    change = ["pulumi", "stack", "change-secrets-provider", "passphrase", "--stack", "shop", "--non-interactive"]
    around = surroundings(stack.place, empty)
    subprocess.run(
        change, cwd=stack.place.project, env=around, input=PASSPHRASE.encode(), capture_output=True, check=True
    )
    assert ask("secrets provider", of="shop")["secrets provider"].outcome is OK


def test_sign_in_and_rights(ask: Patient) -> None:
    stack = ask.stack
    names = ("sign-in", "rights in Entra ID", "application")
    wrong = ask(*names, ARM_CLIENT_SECRET="wrong-secret-of-the-test")
    failed(wrong["sign-in"], "AADSTS7000215: Wrong client secret", "Correct ARM_CLIENT_SECRET")
    assert wrong["application"].said == "because 'sign-in' failed"
    assert "wrong-secret-of-the-test" not in str(wrong)
    nobody = {"ARM_CLIENT_ID": "", "ARM_CLIENT_SECRET": "", "HOME": str(stack.place.home / "nobody")}
    failed(ask("sign-in", **nobody)["sign-in"], "nobody is signed in", "az login --tenant")
    failed(ask("sign-in", ARM_TENANT_ID="2222")["sign-in"], "Entra ID knows no tenant 2222", "Correct ARM_TENANT_ID")
    nowhere = f"localhost:{processes.free_port()}"
    failed(ask("sign-in", ARM_METADATA_HOSTNAME=nowhere)["sign-in"], "cannot be read", "ARM_METADATA_HOSTNAME")

    # The mail application itself has no application permissions, until an administrator grants one.
    outputs = stack.outputs
    itself = {"ARM_CLIENT_ID": outputs["clientId"], "ARM_CLIENT_SECRET": outputs["clientSecret"]}
    failed(ask(*names, **itself)["rights in Entra ID"], "has no permission; it needs", "grant admin consent")
    body = {"principalId": _principal_id(stack, outputs["clientId"]), "appRoleId": OWNED_BY}
    administer(stack, "POST", "/servicePrincipals/{graph}/appRoleAssignedTo", body)
    assert ask(*names, **itself)["rights in Entra ID"].outcome is OK
    assert {check.outcome for check in ask(*names).values()} == {OK}
    stack.set("consent", "tenant")
    failed(ask(*names, **itself)["rights in Entra ID"], "DelegatedPermissionGrant", "pulumi config set consent user")
    assert ask(*names)["rights in Entra ID"].outcome is OK


def test_policy_on_secrets(ask_before: Patient) -> None:
    ask, stack = ask_before, ask_before.stack
    unread = ask("policy on secrets")["policy on secrets"]
    assert unread.outcome is Outcome.WARNING
    assert "could not be read (403 Authorization_RequestDenied)" in unread.said
    body = {"principalId": identity.DEPLOYER_OBJECT_ID, "appRoleId": READ_POLICIES}
    administer(stack, "POST", "/servicePrincipals/{graph}/appRoleAssignedTo", body)
    assert ask("policy on secrets")["policy on secrets"].outcome is OK
    sandbox_entra(stack.place, "POST", "faults", {"kind": "behaviour", "secrets_forbidden": True})
    failed(ask("policy on secrets")["policy on secrets"], "forbids new client secrets", "exempt the application")
    sandbox_entra(stack.place, "DELETE", "faults")
    sandbox_entra(stack.place, "POST", "faults", {"kind": "behaviour", "maximum_secret_lifetime_days": 60})
    check = ask("policy on secrets")["policy on secrets"]
    failed(check, "allows client secrets 60 days; declared are 180 days", "secretLifetimeDays 60")
    follow_settings(stack, check)
    assert ask("policy on secrets")["policy on secrets"].outcome is OK
    stack.up()


def test_before_the_first_deployment_there_is_no_application(ask_before: Patient) -> None:
    found = ask_before("application", "client secret")
    assert {found[name].outcome for name in ("deployment", "application", "client secret")} == {Outcome.SKIPPED}


def test_the_application_in_entra(ask: Patient) -> None:
    stack = ask.stack
    names = ("application", "redirect URIs", "service principal", "owner", "client secret")
    assert {check.outcome for check in ask(*names).values()} == {OK}

    object_id, client_id = stack.outputs["objectId"], stack.outputs["clientId"]
    graph(stack, "PATCH", f"/applications/{object_id}", {"web": {"redirectUris": ["https://elsewhere.example.com"]}})
    graph(stack, "PATCH", f"/servicePrincipals/{_principal_id(stack, client_id)}", {"accountEnabled": False})
    found = ask(*names)
    wrong = found["redirect URIs"]
    failed(wrong, "redirect URI https://elsewhere.example.com is not declared", "pulumi up")
    failed(found["service principal"], "disabled", "Enterprise applications")
    follow(stack, wrong)
    assert {check.outcome for check in ask(*names).values()} == {OK}

    me = identity.DEPLOYER_OBJECT_ID
    owners = f"/applications/{object_id}/owners"
    administer(stack, "DELETE", f"{owners}/{me}/$ref")
    failed(ask("owner")["owner"], "no owner of the application", f"'owners[0]' {me}")
    reference = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{me}"}
    administer(stack, "POST", f"{owners}/$ref", reference)
    assert ask("owner")["owner"].outcome is OK

    ends = datetime.fromisoformat(stack.outputs["clientSecretExpiry"])
    later = {"PROVISIONING_TODAY": f"{ends.year + 1}-01-01"}
    due = {"PROVISIONING_TODAY": stack.outputs["nextRotation"]}
    assert ask("client secret", **due)["client secret"].outcome is Outcome.WARNING
    graph(stack, "DELETE", f"/applications/{object_id}")
    found = ask(*names, **later)
    failed(found["application"], "not in Entra ID any more", "pulumi up")
    assert found["owner"].said == "because 'application' failed"
    failed(found["service principal"], "there is none in this tenant", "pulumi up")
    failed(found["client secret"], f"ended on {ends.astimezone(UTC):%Y-%m-%d}", "pulumi up")
    follow(stack, found["application"])
    assert {check.outcome for check in ask(*names).values()} == {OK}


def test_nocobase(ask: Patient) -> None:
    stack = ask.stack
    names = ("email manager", "login to NocoBase", "API key", "rights in NocoBase")
    assert {check.outcome for check in ask(*names).values()} == {OK}
    url = nocobase_url(stack.place)
    stack.set("nocobaseUrl", f"http://localhost:{processes.free_port()}")
    found = ask(*names)
    failed(found["NocoBase"], "cannot be reached", "is nocobaseUrl its address?")
    assert {found[name].said for name in names} == {"because 'NocoBase' failed"}
    stack.set("nocobaseUrl", url)

    found = ask(*names, NOCOBASE_API_KEY="wrong-key-of-the-test")
    failed(found["login to NocoBase"], "rejected the login", "Create a new API key")
    assert "wrong-key-of-the-test" not in str(found)
    assert found["email manager"].outcome is OK
    failed(ask(*names, NOCOBASE_API_KEY="")["login to NocoBase"], "No login to NocoBase", "export NOCOBASE_API_KEY")

    made = stack.nocobase("apiKeys:create", {"name": "member", "role": {"name": "member"}, "expiresIn": "1d"})
    found = ask(*names, NOCOBASE_API_KEY=made["token"])
    failed(found["rights in NocoBase"], "the API key's role lacks the permission", "to read and change mailSettings")
    assert found["API key"].outcome is Outcome.WARNING
    assert "in 0 days" in found["API key"].said

    # From the stack's encrypted configuration, too.
    stack.pulumi("config", "set", "--secret", "nocobaseApiKey", server.api_key(stack.place))
    assert {check.outcome for check in ask(*names, NOCOBASE_API_KEY="").values()} == {OK}

    stack.nocobase("pm:disable", {}, filterByTk="email-manager")
    try:
        server.start(stack.place, int(url.rpartition(":")[2]))  # waits until it is there again
        found = ask(*names)
        failed(found["email manager"], "not enabled", "plugin manager")
        assert found["rights in NocoBase"].said == "because 'email manager' failed"
        assert found["login to NocoBase"].outcome is OK
    finally:
        stack.nocobase("pm:enable", {}, filterByTk="email-manager")
        server.start(stack.place, int(url.rpartition(":")[2]))
    assert {check.outcome for check in ask(*names).values()} == {OK}


def _principal_id(stack: Stack, client_id: str) -> str:
    """The object id of an application's service principal."""
    found = administer(stack, "GET", f"/servicePrincipals(appId='{client_id}')")
    return str(found["id"])


def administer(stack: Stack, method: str, path: str, body: dict[str, str] | None = None) -> Any:
    """Do something in Entra ID as the tenant's administrator. {graph}: Microsoft Graph's service principal."""
    if "{graph}" in path:
        resource = _principal_id(stack, identity.GRAPH_APP_ID)
        path = path.format(graph=resource)
        body = None if body is None else {**body, "resourceId": resource}
    return graph(stack, method, path, body, login=ADMINISTRATOR)
