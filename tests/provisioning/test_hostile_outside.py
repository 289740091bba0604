"""A hostile NocoBase, tenant and engine, with each payload, against every command and format, in this process.

Checked is what a person, a log or a report gets: nothing acts or hides in it, no line is a command to the system that
runs the job, no secret is in it, and no command to copy has a text from outside in it.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from provisioning import errors
from provisioning.adopt.plan import Caller, InNocoBase, find_candidates, plan_adoption
from provisioning.cli import adopt, app, rotate, up
from provisioning.cli import status as status_command
from provisioning.cli.common import Format, show, show_checks, show_rows, words
from provisioning.cli.status import StatusFormat
from provisioning.cli.status_reading import Read
from provisioning.doctor import account, application, consent, engine, nocobase, sign_in_link, tenant
from provisioning.doctor.runner import Check, Finding, answer
from provisioning.entra import other_applications, ownership
from provisioning.entra.account import account_of
from provisioning.entra.app_policies import Restriction, SecretPolicy
from provisioning.entra.orphans import StoredSecret, UnrecordedSecrets, reject_if_full
from provisioning.entra.ownership import Owners, Wanted
from provisioning.entra.permissions import Permission
from provisioning.entra.registration import Candidate, Found, Owner, Principal, who_disabled
from provisioning.entra.rules import Audience
from provisioning.fleet.runner import Result, StackOutcome, sentence
from provisioning.fleet.selection import choose
from provisioning.foreign import harmless, one_line, quoted
from provisioning.nocobase import push
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.program.settings import Settings
from provisioning.program.validation import validate
from provisioning.pulumi_cli import Checkpoint, Pulumi
from provisioning.pulumi_events import Diagnostic, Event, Operation, StepBegun, StepEnded, parse_event
from provisioning.resource_types import PASSWORD_TYPE, PUSH_TYPE
from provisioning.status import compare
from provisioning.status.read import Extra, Held, Unread, read_nocobase
from tests.hostile import API_KEY, CLIENT_SECRET, PASTED, PAYLOADS, SECRETS
from tests.job_logs import commands, hidden
from tests.provisioning.checkpoints import CLIENT_ID, OBJECT_ID, ONE_SECRET, TENANT_ID
from tests.provisioning.checkpoints import application as recorded
from tests.provisioning.nocobase.fake_nocobase import FakeNocoBase, connect, microsoft
from tests.provisioning.status.test_compare import NOW, ONE, registration

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

URL = "https://nocobase.example.com"
COMMAND = re.compile(r"\b(?:pulumi|python -m provisioning|az) [a-z][^`\n]*")
FOREIGN = ("evil.example.com", "rm -rf", "$(", "BASH_ENV", "<script")
"""Marks of payloads that nobody must copy."""


@pytest.fixture(params=PAYLOADS)
def text(request: pytest.FixtureRequest) -> str:
    """One payload."""
    return PAYLOADS[request.param]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """What was printed since, on both streams."""
    # A console keeps the stream that it was made with; this one takes the present one.
    monkeypatch.setattr(words, "_file", _Stderr())

    def printed() -> str:
        out, err = capsys.readouterr()
        return f"{out}\n{err}"

    return printed


class _Stderr:
    """sys.stderr, whichever it is."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def check_harmless(printed: str) -> None:
    """Fail if `printed` acts, hides something, is obeyed, or tells a secret."""
    assert commands(printed) == []
    assert hidden(printed) == []
    for secret in SECRETS:
        for form in (secret, one_line(secret), quoted(secret).strip('"'), json.dumps(secret)[1:-1]):
            assert form not in printed
    for sentence_ in _sentences(printed):
        for line in sentence_.splitlines():
            for copied in COMMAND.findall(re.sub(r'"[^"]*"', "", line)):
                assert not [mark for mark in FOREIGN if mark in copied], copied


def _sentences(printed: str) -> Iterator[str]:
    """The texts in what was printed: those of a JSON value, or all of it."""
    try:
        yield from _strings(json.loads(printed))
    except ValueError:
        # In Markdown, code that is no command of this program's is a text from outside.
        yield re.sub(r"(`+)(?!`)(?!pulumi |prune|python |az |rotate)(?:.*?[^`])\1(?!`)", "", printed)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _strings(inner)


def hostile_nocobase(text: str, client_id: str = PASTED) -> FakeNocoBase:
    """One that says `text` wherever it can say something, and tells all that it knows."""
    told = f"{text} {API_KEY} {CLIENT_SECRET} {client_id}"
    row = microsoft(clientId=client_id, clientSecret=CLIENT_SECRET, updatedAt=told, **{told: told})
    return FakeNocoBase([row], redirect_uri=told, client_id="clientId", tenant="common")


def held_by(server: FakeNocoBase, monkeypatch: pytest.MonkeyPatch) -> Held | Unread:
    """What `status` reads of it."""
    connect(server, monkeypatch)
    (pushed,) = ONE.pushes
    return read_nocobase(replace(pushed, client_secret=CLIENT_SECRET), NocoBaseLogin(api_key=API_KEY))


def test_status(text: str, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = registration(
        display_name=text,
        audience=text,
        redirect_uris=frozenset({text, f"https://n.example.com/{text}"}),
        permissions=frozenset({Permission(text, text, text)}),
        secrets=(StoredSecret(text, text),),
        disabled=who_disabled(None, text),
        owners=(Owner(text, text, text), Owner(OBJECT_ID, text, "user")),
    )
    stored = (StoredSecret(text, text, datetime(2027, 5, 1, tzinfo=UTC)),)
    extra = Extra(stored, stored, stored, {text: text}, Principal(text, False, True))
    other = hostile_nocobase(text, CLIENT_ID)
    other.hidden = frozenset({"clientSecret"})
    views = [
        compare.overview(replace(ONE, stack=text), found, [held_by(server, monkeypatch)], NOW, 14, extra)
        for server in (hostile_nocobase(text), other, FakeNocoBase([{"id": text, text: text}]))
    ]
    unread = compare.overview(ONE, Unread(str(errors.EngineFailed(text))), [Unread(text)], NOW, 14)
    failed = Read(text, None, (str(errors.EngineFailed(text)),))
    read = [*(Read("prod", view, view.alarms) for view in (*views, unread)), failed]
    for output in StatusFormat:
        for one in ([read[0]], read):
            status_command._show(one, NOW, output, one is read)
            check_harmless(said())


def findings(text: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finding]:
    """What each check of `doctor` says."""
    link = SignIn(text, text, (text, "offline_access"), text)
    who = account_of({"upn": text, "oid": text, "tid": text, "scp": text, "wids": [text], "roles": [text]})
    app_who = account_of({"idtyp": "app", "appid": text, "oid": text, "tid": text, "roles": [text]})
    declared = replace(registration(), display_name="NocoBase mail")
    found = registration(
        display_name=text,
        redirect_uris=frozenset([text]),
        permissions=frozenset([Permission(text, text, text)]),
        of_other_platforms={next(iter(declared.redirect_uris)): text},
    )
    (pushed,) = ONE.pushes
    checks: list[Callable[[], Finding]] = [
        lambda: account.check_account(who, TENANT_ID),
        lambda: account.check_account(app_who, None),
        lambda: account.check_rights(who, False, None),
        lambda: account.check_rights(app_who, True, None),
        lambda: application.check_application(declared, found),
        lambda: application.check_application(declared, replace(declared, disabled=who_disabled(None, text))),
        lambda: application.check_permissions(declared, found),
        lambda: application.check_permissions(replace(declared, permissions=found.permissions), found),
        lambda: application.check_redirect_uris(declared, found),
        lambda: application.check_redirect_uris(found, found),
        lambda: application.check_redirect_uris(declared, found, [text]),
        lambda: application.check_owners(who, [Owner(text + "x")], [text]),
        lambda: consent.check_unreadable_consent(errors.DirectoryUnreadable(text, text, remedy=text)),
        lambda: engine.check_engine(text),
        lambda: engine.check_plugin([{"name": "azuread", "version": text}], "6.10.0", {}),
        lambda: engine.check_backend(f"azblob://{text}", text, {}, False),
        lambda: nocobase.check_version(URL, None, text),
        lambda: nocobase.check_version(URL, None, f"3.0.0 {text}"),
        lambda: nocobase.check_plugins([text]),
        lambda: nocobase.check_role({"role": text, "snippets": [text], "actions": {text: text}}),
        lambda: nocobase.check_role({"role": text, "allowAll": True}),
        lambda: nocobase.ask_row(ONE, replace(pushed, client_secret=CLIENT_SECRET), NocoBaseLogin(api_key=API_KEY)),
        lambda: nocobase.ask_link(replace(pushed, client_secret=CLIENT_SECRET), NocoBaseLogin(api_key=API_KEY)),
        lambda: sign_in_link.check_link(pushed, link),
        lambda: sign_in_link.check_client_id(link, CLIENT_ID),
        lambda: sign_in_link.check_redirect_uri(link, []),
        lambda: sign_in_link.check_redirect_uri(link, [text]),
        lambda: sign_in_link.check_scopes(link, []),
        lambda: sign_in_link.check_scopes(link, [text]),
        lambda: sign_in_link.check_scopes(replace(link, scopes=(f"https://{text}/a", "offline_access")), []),
        lambda: sign_in_link.check_page(link, Audience.ANY_TENANT, TENANT_ID),
        lambda: tenant.check_tenant("contoso.example", 200, {"issuer": text}),
        *(_raising(error(text)) for error in (errors.EngineFailed, errors.NameTaken, RuntimeError, KeyError)),
        _raising(errors.NocoBaseError(text, text, text)),
        _raising(errors.DirectoryUnreadable(text, text, remedy=text)),
        _raising(errors.SettingsError([errors.Problem(text, text, text, text)])),
    ]
    connect(hostile_nocobase(text), monkeypatch)
    for check in checks:
        yield answer(check)


def _raising(error: Exception) -> Callable[[], Finding]:
    def ask() -> Finding:
        raise error

    return ask


def test_doctor(text: str, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(findings(text, monkeypatch))
    checks = [Check(f"check {number}", one.outcome, one.said, one.remedy) for number, one in enumerate(found)]
    for output in Format:
        show_checks(checks, output)
        check_harmless(said())


def settings(**more: object) -> Settings:
    return Settings(**{"nocobaseUrl": URL, **more})  # type: ignore[arg-type]


def hostile_application(text: str) -> Found:
    """As Graph sends it."""
    sent = {
        "id": text,
        "appId": text,
        "displayName": text,
        "signInAudience": "AzureADMultipleOrgs",
        "tags": [text],
        "notes": text,
        "web": {"redirectUris": [text, f"{URL}/{text}", "https://evil.example.com/"], "homePageUrl": text},
        "spa": {"redirectUris": ["https://spa.example.com/x"]},
        "publicClient": {"redirectUris": ["https://app.example.com/x"]},
        "appRoles": [{"value": text}],
        "disabledByMicrosoftStatus": text,
        "requiredResourceAccess": [{"resourceAppId": text, "resourceAccess": [{"id": text, "type": text}]}],
        "passwordCredentials": [{"keyId": text, "displayName": text, "endDateTime": "2027-01-01T00:00:00Z"}],
        "keyCredentials": [{"displayName": text}],
        "api": {"oauth2PermissionScopes": [{"value": text}], "preAuthorizedApplications": [{"appId": text}]},
    }
    principal = {"id": text, "notes": text, "loginUrl": text}
    people = (Owner(text, text, "user"),)
    federated = ({"id": text, "name": text, "issuer": text, "subject": text},)
    return Found(sent, (text,), principal, (text,), people, federated)


def test_adopt(text: str, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory, microsoft_graph  # noqa: PLC0415 - a second of imports

    monkeypatch.setenv("PROVISIONING_TODAY", "2027-04-05T12:00:00Z")
    monkeypatch.setenv("ARM_METADATA_HOSTNAME", "localhost:9")
    monkeypatch.setattr(directory, "look_up", lambda _: hostile_application(text))
    monkeypatch.setattr(microsoft_graph, "caller_token", lambda: "")
    for held in (text, PASTED, API_KEY):
        there = InNocoBase(held, SignIn(held, text, (text,), text))
        monkeypatch.setattr(adopt, "_in_nocobase", lambda *_, there=there: there)
        found, plan = adopt._plan(settings(), {}, CLIENT_ID, "organization/nocobase-outlook/prod")
        for output in Format:
            adopt._show(plan, output)
            check_harmless(said())
        adopt._tell_what_comes(plan, found)
        for warning in [*plan.warnings, *plan.losses]:
            words.print(f"! {warning}", style="yellow")
        adopt._tell_risks(plan)
        assert len(plan.risks) == 5
        assert text not in adopt._command(plan, CLIENT_ID, "prod")
        check_harmless(said())
    candidates = find_candidates([Candidate(text, text, (text,), (text, f"pulumi:{text}"))], text, [], None)
    for output in Format:
        show_rows([adopt._candidate(candidate, output, apart=True) for candidate in candidates], output)
        check_harmless(said())
    found = hostile_application(text)
    for rejected in (
        {"tags": [f"pulumi:{text}"]},
        {"spa": {"redirectUris": [text, "nothing:"]}},
    ):
        odd = replace(found, application={**found.application, **rejected})
        with pytest.raises(errors.AdoptionRejected) as refusal:
            plan_adoption(odd, settings(), Caller(text, text), "pulumi:o/p/s", NOW)
        words.print(str(refusal.value))
    monkeypatch.setattr(Pulumi, "operate", lambda *_: operation(text, "preview"))
    adopt._tell_next(Pulumi())
    monkeypatch.setattr(Pulumi, "operate", lambda *_: replace(operation(text, "preview"), succeeded=True))
    with pytest.raises(errors.AdoptionRejected) as refusal:
        adopt._tell_next(Pulumi())
    words.print(str(refusal.value))
    check_harmless(said())


def test_prune(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    gone: list[str] = []
    secrets = [StoredSecret(text, "NocoBase mail a 2027-03-01"), StoredSecret("theirs", text)]
    monkeypatch.setattr(directory, "stored_secrets", lambda _: secrets)
    monkeypatch.setattr(directory, "applications_tagged", lambda _: {"other": text, "duplicate": text, text: text})
    owned_by = {"duplicate": (Owner("me", text, "user"),)}
    monkeypatch.setattr(directory, "application_owners", lambda of: owned_by.get(of, (Owner(text, text, text),)))
    monkeypatch.setattr(directory, "remove_secret", lambda _, key_id: gone.append(key_id))
    monkeypatch.setattr(directory, "remove_application", gone.append)
    checkpoint = Checkpoint((recorded(owners=["me"]), *ONE_SECRET[1:2]))
    monkeypatch.setattr(Pulumi, "export", lambda *_: checkpoint)
    monkeypatch.setattr(Pulumi, "configuration_of", lambda *_: {})
    monkeypatch.setattr(Pulumi, "config", lambda *_: None)
    named = (["--application", "none of them"], ["--application", "other"], ["--yes", "--application", "duplicate"])
    for arguments in ([], *named):
        ended = CliRunner().invoke(app, ["prune", "--stack", "prod", *arguments])
        assert not isinstance(ended.exception, Exception) or isinstance(ended.exception, SystemExit)
        check_harmless(ended.stdout)
        check_harmless(ended.stderr)
    assert (ended.exit_code, gone) == (0, [text, "duplicate"])


def test_explain(text: str) -> None:
    for output in Format:
        ended = CliRunner().invoke(app, ["explain", "--format", output.value, "--", f"AADSTS50011 AADSTS99999 {text}"])
        check_harmless(ended.stdout)
        check_harmless(ended.stderr)


def operation(text: str, step: str) -> Operation:
    """What an engine says of an operation that failed; `step`: what it says that it does."""
    lines: list[dict[str, Any]] = [
        {"resourcePreEvent": {"metadata": {"op": step, "type": text, "urn": text, "detailedDiff": {text: {}}}}},
        {"diagnosticEvent": {"severity": "error", "message": text}},
        {"diagnosticEvent": {"severity": "error", "message": f"error: lines\n{text}"}},
        {"policyEvent": {"policyName": text, "message": text, "enforcementLevel": "mandatory"}},
        {"summaryEvent": {"resourceChanges": {text: 1}}},
    ]
    events = [event for line in lines if (event := parse_event(json.dumps(line)))]
    assert len(events) == len(lines)
    return Operation(False, tuple(events), text)


def test_up(text: str, said: Callable[[], str]) -> None:
    lines = up._Lines()
    for ended in (operation(text, text), Operation(False, (), f"error: {text}\n{text}")):
        results = [
            Result(text, outcome, ended.changes, 1.0, sentence(ended.errors), "\n".join(ended.errors))
            for outcome in StackOutcome
        ]
        for output in Format:
            show_rows([up.row(result, output) for result in results], output)
            check_harmless(said())
        for result in results:
            lines.began(text)
            lines.ended(result)
        check_harmless(said())
    for output in Format:
        show({text: text, "list": [text, text]}, output)
        check_harmless(said())


def test_rotate(said: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine says meanwhile, and how the rotation ended."""
    printable = [text for text in PAYLOADS.values() if text.isascii() or "\ud800" not in text]
    events = [
        event
        for text in printable
        for event in (
            Diagnostic("info#err", text),
            StepBegun(text, text, text),
            StepEnded("update", PUSH_TYPE, text, {"nocobase_url": text}),
            StepEnded("update", PUSH_TYPE, text, {"problem": text}),
            StepEnded("create", PASSWORD_TYPE, text),
        )
    ]

    def operate(_: Pulumi, __: str, on_event: Callable[[Event], object]) -> Operation:
        for event in events:
            on_event(event)
        return Operation(True, ())

    for text in printable:
        outputs = {"clientSecretIssued": "2027-04-06T00:00:00Z", "clientSecretExpiry": text, "oldSecretRetires": text}
        monkeypatch.setattr(Pulumi, "outputs", lambda _, outputs=outputs: outputs)
        monkeypatch.setattr(Pulumi, "config", lambda *_: "2027-04-05T00:00:00Z")
        monkeypatch.setattr(Pulumi, "set_config", lambda *_: None)
        monkeypatch.setattr(Pulumi, "operate", operate)
        monkeypatch.setattr(rotate, "now", lambda: datetime(2027, 4, 5, tzinfo=UTC))
        rotate.rotate("prod", False)
        check_harmless(said())
    failed = Operation(False, tuple(Diagnostic("error", text) for text in printable))
    monkeypatch.setattr(Pulumi, "operate", lambda *_, **__: failed)
    with pytest.raises(typer.Exit):
        rotate.rotate("prod", False)
    check_harmless(said())


def layouts(text: str) -> Iterator[list[dict[str, Any]]]:
    """Rows of a NocoBase whose layout is unknown, or holds too much."""
    yield [{"id": text, "type": text, text: text}]
    yield [{"id": text, "type": "microsoft", "name": text}, {"id": 2, "type": "microsoft", "provider": text}]
    yield [microsoft(**{f"{text}clientId": text, f"{text}ClientId2clientid": text})]
    yield [{"id": 1, "type": "microsoft", text: {"clientId": text, text: "****"}}]
    yield [{"id": 1, "type": "microsoft", f"{API_KEY} {text} {CLIENT_SECRET}": PASTED}]
    yield [microsoft(clientId=text, **{text: text})]
    yield [microsoft(clientId=PASTED)]
    yield []


def test_every_error_about_nocobase(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mappings = (NocoBaseMapping(), NocoBaseMapping(client_id_field="a.b"), NocoBaseMapping(row_filter={"a": 1}))

    def deploy(server: FakeNocoBase, mapping: NocoBaseMapping) -> None:
        with connect(server, monkeypatch, API_KEY) as asked:
            asked.keep_secret(CLIENT_SECRET)
            found = push.read(asked, mapping, certain=True)
            push.reject_foreign(URL, found, [], lambda _: f", {quoted(text)}")
            push.write_and_verify(asked, mapping, push.Credentials(CLIENT_ID, CLIENT_SECRET), [f"{URL}/x"], found)

    for rows in layouts(text):
        for mapping in mappings:
            with pytest.raises(errors.NocoBaseError) as problem:
                deploy(FakeNocoBase(rows, redirect_uri=f"{text} {API_KEY}"), mapping)
            for part in (str(problem.value), problem.value.what, problem.value.why, problem.value.remedy):
                check_harmless(part)
                assert "\n" not in part
                assert len(part) < 5_000


def test_a_redirect_elsewhere(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = text.encode("ascii", "replace").replace(b"\r", b"").replace(b"\n", b"").replace(b"\x00", b"")
    for location in (target, b"https://" + target, b"https://nocobase.example.com:444/" + target):

        def redirect(_: httpx.Request, location: bytes = location) -> httpx.Response:
            return httpx.Response(302, headers=[(b"Location", location)])

        with pytest.raises(errors.NocoBaseError) as problem, connect(redirect, monkeypatch) as nocobase_:
            nocobase_.get("mailSettings:list")
        check_harmless(str(problem.value))


def test_what_the_program_says_of_the_tenant(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    monkeypatch.setattr(directory, "named_application", lambda _: (text, (text, f"pulumi:{text}")))
    owner = Owner(text, text, ownership.SERVICE_PRINCIPAL)
    said: list[object] = [
        other_applications.whose_application(CLIENT_ID),
        ownership.name_taken("mail", [Candidate(text, text, (), (), owners=(owner,))]),
        ownership.last_deployer_leaves(Wanted("me", former=[text]), Owners((text,), present=(owner,)), "application"),
        StoredSecret(text, text),
        SecretPolicy((Restriction(text),)).restrictions[0].longest,
    ]
    stored = tuple(StoredSecret(text, text) for _ in range(50))
    for unrecorded in (UnrecordedSecrets(stored, ()), UnrecordedSecrets((), stored)):
        with pytest.raises(errors.SecretLimitReached) as refusal:
            reject_if_full(unrecorded, 1, True, ["NocoBase hides its secret"])
        said.append(refusal.value)
    for one in said:
        check_harmless(str(one))
        assert "\n" not in str(one)


def test_a_setting_or_a_stack_that_a_file_names(text: str) -> None:
    if "\ud800" in text:
        return  # no file has half a character
    _, problems = validate({"nocobaseUrl": URL, text: text, "nocobaseMapping": json.dumps({text: text})})
    assert len(problems) == 2
    for problem in problems:
        assert shlex.split(problem.remedy)[:3] == ["pulumi", "config", "rm"]
        assert text in shlex.split(problem.remedy)[-1]
    rejected = choose({text}, ["a/x", "b/x", f"a/{text}", f"b/{text}"], ["*"]).left_out
    unknown = choose({text}, [], ["*"]).left_out
    for one in (str(errors.SettingsError(problems)), *(harmless(left.error) for left in (*rejected, *unknown))):
        assert (commands(one), hidden(one)) == ([], [])
    assert "`pulumi stack init <stack>`" in unknown[0].error
