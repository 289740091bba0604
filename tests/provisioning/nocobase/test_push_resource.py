"""The push as the engine drives it: what each call asks of NocoBase, what is recorded, and that no secret gets out."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google.protobuf import struct_pb2
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config
from pulumi.runtime import rpc

from provisioning import errors
from provisioning.entra import token_check
from provisioning.entra.sign_in_settings import sign_in_settings
from provisioning.foreign import NO_GUID
from provisioning.nocobase import preflight, provider_process, push_record, push_resource
from provisioning.nocobase.installation import Installation
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.push_resource import MailSettingsProvider
from provisioning.nocobase.retry import Patience
from provisioning.nocobase.sign_in_link import Accounts
from provisioning.program.last_state import read_state
from provisioning.resource_types import PUSH_TYPE
from provisioning.status.read import read_row
from tests.hostile import PASTED, PAYLOADS
from tests.job_logs import commands, hidden
from tests.provisioning.nocobase.fake_nocobase import CALLBACK, FOUND, URL, FakeNocoBase, connect, microsoft

SECRET = "the~client~secret"
API_KEY = "KEY0123456789"
OTHER_ID = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11"
HIDDEN = frozenset({"clientSecret"})
PROPERTIES: dict[str, Any] = {
    "nocobase_url": URL,
    "nocobase_app": None,
    "mapping": None,
    "tenant_id": "tenant",
    "client_id": "new-id",
    "client_secret": SECRET,
    "slot": "a",
    "since": "2027-01-01T00:00:00Z",
    "redirect_uris": [CALLBACK],
    "take_over": None,
    "logins": [""],
    "several": False,
    "row_id": None,
    "updated_at": None,
    "proved_client_id": None,
    "proved_redirect_uri": None,
    "problem": None,
}
ID = f"{URL}#main"
NEXT = {**PROPERTIES, "client_secret": "next~secret", "slot": "b"}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entra ID is not asked."""
    monkeypatch.setenv("NOCOBASE_API_KEY", API_KEY)
    monkeypatch.setattr(token_check, "wait_until_accepted", lambda *_: None)
    monkeypatch.setattr(push_resource, "is_another_stacks", lambda *_: False)
    for module in (push_resource, preflight):
        monkeypatch.setattr(module, "whose_application", lambda _: "")


@pytest.fixture
def provider() -> MailSettingsProvider:
    """As the engine starts it, without patience."""
    provider = MailSettingsProvider()
    begin_run(provider)
    return provider


def begin_run(provider: MailSettingsProvider, seconds: int = 0) -> None:
    """A run of the engine's has a process of its own, which knows nothing of the runs before."""
    patience = {"nocobase-outlook:nocobasePatienceSeconds": str(seconds)}
    provider.configure(ConfigureRequest(Config(patience, "nocobase-outlook")))


def created(provider: MailSettingsProvider, server: FakeNocoBase, **properties: Any) -> dict[str, Any]:
    outs: dict[str, Any] = dict(provider.create({**PROPERTIES, **properties}).outs or {})
    server.requests.clear()
    server.writes.clear()
    return outs


READ, WRITE = "mailSettings:list", "mailSettings:update"
LIST, UPDATE, LINK = "GET mailSettings:list", "POST mailSettings:update", "GET mail:oauth2url"


def test_only_a_secret_that_no_earlier_run_has_verified_counts_as_new(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def note(_tenant: str, _client: str, secret: str, new: bool, _say: object) -> None:
        asked.append((secret, new))

    monkeypatch.setattr(token_check, "wait_until_accepted", note)
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)

    def asked_for(olds: dict[str, Any], news: dict[str, Any]) -> list[tuple[str, bool]]:
        begin_run(provider)
        asked.clear()
        provider.update(ID, olds, news)
        return [*asked]

    outs = created(provider, server)
    created(provider, server)  # another NocoBase, in the same run
    assert asked == [(SECRET, True)]
    assert asked_for(outs, PROPERTIES) == [(SECRET, False)]
    assert asked_for(outs, NEXT) == [("next~secret", True)]
    assert asked_for({**outs, "slot": None}, NEXT) == [("next~secret", True)]
    assert asked_for({**outs, "slot": None}, PROPERTIES) == [(SECRET, True)]


@pytest.mark.parametrize("hidden", [frozenset(), HIDDEN])
def test_a_change_takes_four_requests_and_no_change_two(
    hidden: frozenset[str], provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()], hidden)
    connect(server, monkeypatch)
    outs = provider.create(PROPERTIES).outs or {}
    assert server.requests == [LIST, UPDATE, LIST, LINK]
    server.requests.clear()
    assert provider.diff(ID, outs, PROPERTIES).changes is False
    assert server.requests == [LIST, LINK]
    server.requests.clear()
    assert provider.diff(ID, outs, NEXT).changes is True
    outs = provider.update(ID, outs, NEXT).outs or {}
    assert server.requests == [LIST, UPDATE, LIST, LINK]
    assert server.row()["clientSecret"] == "next~secret"
    server.requests.clear()
    assert provider.diff(ID, outs, NEXT).changes is False
    assert server.requests == [LIST, LINK]


@pytest.mark.parametrize(
    "transform",
    [
        lambda secret: f"{secret[:3]}****{secret[-3:]}",
        lambda secret: f"{secret[:4]}••••",
        lambda secret: f"enc:{secret[::-1]}",
        str.upper,
    ],
    ids=["partly masked", "masked at its end", "encrypted", "in capitals"],
)
@pytest.mark.parametrize("rows", [[microsoft()], [microsoft(clientId="new-id", clientSecret="old~secret")]])
def test_a_secret_that_reads_back_as_something_else_counts_as_hidden(
    rows: list[dict[str, Any]],
    transform: Callable[[str], str],
    provider: MailSettingsProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = FakeNocoBase(copy.deepcopy(rows), transform=transform)
    connect(server, monkeypatch)
    outs = dict(provider.create(PROPERTIES).outs or {})
    assert provider.diff(ID, outs, PROPERTIES).changes is False
    assert dict(provider.read(ID, outs).outs or {}) == outs
    pushed = read_state({(PUSH_TYPE, "nocobase"): outs}).pushes[0]
    row = read_row(pushed, NocoBaseLogin(api_key=API_KEY))
    assert row.client_secret is None
    assert provider.diff(ID, outs, NEXT).changes is True
    outs = dict(provider.update(ID, outs, NEXT).outs or {})
    assert server.rows[-1]["clientSecret"] == "next~secret"
    assert provider.diff(ID, outs, NEXT).changes is False
    server._write(server.rows[-1], {"clientSecret": "by hand"})
    assert provider.diff(ID, outs, NEXT).changes is True
    provider.update(ID, outs, NEXT)
    assert server.rows[-1]["clientSecret"] == "next~secret"


def test_a_secret_that_somebody_else_wrote_meanwhile_is_no_transformed_one(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)

    def change(request: httpx.Request) -> None:
        if request.method == "POST":
            server.change(clientSecret="by hand")

    server.after = change
    with pytest.raises(errors.NotVerified, match="did not keep"):
        provider.create(PROPERTIES)


def test_what_was_read_for_the_comparison_is_not_used_twice(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    provider.diff(ID, outs, NEXT)
    outs = dict(provider.update(ID, outs, NEXT).outs or {})
    server.change(clientId="by hand")
    provider.update(ID, outs, NEXT)
    assert server.row()["clientId"] == "new-id"


def test_a_change_between_comparison_and_write_is_noticed(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    provider.diff(ID, outs, NEXT)
    server.change(clientId="their-id")
    with pytest.raises(errors.ChangedMeanwhile, match="clientId"):
        provider.update(ID, outs, NEXT)
    assert server.row()["clientId"] == "their-id"


@pytest.mark.parametrize(
    ("change", "hidden", "shown", "repaired"),
    [
        ({"clientId": "by hand"}, (), {"client_id"}, {"clientId"}),
        ({"clientId": "by hand"}, HIDDEN, {"client_id", "updated_at"}, {"clientId", "clientSecret"}),
        ({"clientSecret": "by hand"}, (), {"client_secret"}, {"clientSecret"}),
        ({"clientSecret": "by hand"}, HIDDEN, {"updated_at"}, {"clientSecret"}),
        ({"clientId": "", "clientSecret": ""}, (), {"client_id", "client_secret"}, {"clientId", "clientSecret"}),
        ({"sort": 8}, (), set(), set()),
    ],
)
@pytest.mark.parametrize("refreshed", [False, True])
def test_drift_is_seen_and_only_what_differs_is_repaired(
    change: dict[str, Any],
    hidden: frozenset[str],
    shown: set[str],
    repaired: set[str],
    refreshed: bool,
    provider: MailSettingsProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = FakeNocoBase([microsoft()], frozenset(hidden))
    connect(server, monkeypatch)
    outs = created(provider, server)
    server.change(**change)
    if refreshed:
        before, outs = outs, dict(provider.read(ID, outs).outs or {})
        assert {key for key in before if before[key] != outs[key]} - {
            "proved_client_id",
            "proved_redirect_uri",
        } == shown
    assert provider.diff(ID, outs, PROPERTIES).changes is bool(repaired)
    if repaired:
        provider.update(ID, outs, PROPERTIES)
    assert {name for fields in server.writes for name in fields} == repaired
    assert (server.row()["clientId"], server.row()["clientSecret"]) == ("new-id", SECRET)


def test_a_deleted_row_is_gone_for_refresh_and_a_difference_for_preview(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()], always=frozenset({"clientId", "clientSecret"}))
    connect(server, monkeypatch)
    outs = created(provider, server)
    server.rows.clear()
    assert provider.read(ID, outs).id == ""
    assert provider.diff(ID, outs, PROPERTIES).changes is True
    provider.update(ID, outs, PROPERTIES)
    assert (server.row(99)["clientId"], server.row(99)["clientSecret"]) == ("new-id", SECRET)


def test_what_another_stack_wrote_is_not_emptied_after_a_refresh(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    own = dict(server.row())
    server.row().update(clientId=OTHER_ID, clientSecret="their~secret")
    seen = dict(provider.read(ID, outs).outs or {})
    assert seen["client_id"] == OTHER_ID
    provider.delete(ID, dict(provider.read(ID, seen).outs or {}))
    assert (server.row()["clientId"], server.row()["clientSecret"]) == (OTHER_ID, "their~secret")
    assert "holds other credentials by now" in capsys.readouterr().out
    server.row().update(own)
    again = dict(provider.read(ID, seen).outs or {})
    assert again == outs
    provider.delete(ID, again)
    assert server.row()["clientId"] == ""


def test_another_redirect_uri_is_a_difference_that_no_write_mends(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    server.redirect_uri = "https://elsewhere.example.com/oauth2"
    assert (provider.read(ID, outs).outs or {})["proved_redirect_uri"] == server.redirect_uri
    assert provider.diff(ID, outs, PROPERTIES).changes is True
    with pytest.raises(errors.NotVerified, match="elsewhere"):
        provider.update(ID, outs, PROPERTIES)
    assert server.writes == []


def down(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("[Errno 111] Connection refused")


def test_one_of_several_that_is_down_is_recorded_and_keeps_what_was_proved(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server, several=True)
    new = {**NEXT, "several": True}
    server.before = down
    assert provider.diff(ID, outs, new).changes is True
    assert "cannot be reached" in capsys.readouterr().out
    failed = dict(provider.update(ID, outs, new).outs or {})
    assert failed == {**outs, "problem": failed["problem"]}
    assert "cannot be reached" in failed["problem"]
    refreshed = provider.read(ID, failed)
    assert (refreshed.id, refreshed.outs) == (ID, failed)

    server.before = lambda _: None
    assert provider.diff(ID, failed, new).changes is True
    healed = dict(provider.update(ID, failed, new).outs or {})
    assert (healed["problem"], healed["slot"]) == (None, "b")
    assert provider.diff(ID, healed, new).changes is False


def test_a_first_push_of_several_that_fails_is_recorded_as_proving_nothing(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft(clientId="theirs")])
    connect(server, monkeypatch)
    new = {**PROPERTIES, "several": True}
    outs = dict(provider.create(new).outs or {})
    assert (outs["slot"], outs["since"]) == (None, None)
    assert "another application" in outs["problem"]
    # The guard stays until the first push succeeded.
    assert provider.diff(ID, outs, new).changes is True
    assert "another application" in (provider.update(ID, outs, new).outs or {})["problem"]
    assert server.row()["clientId"] == "theirs"
    begin_run(provider)
    provider.delete(ID, outs)
    assert server.row()["clientId"] == "theirs"
    server.change(clientId="")
    assert (provider.update(ID, outs, new).outs or {})["problem"] is None


def test_a_first_push_that_is_not_proved_leaves_nothing_behind(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()], redirect_uri="https://elsewhere.example.com/oauth2")
    connect(server, monkeypatch)
    with pytest.raises(errors.NotVerified):
        provider.create(PROPERTIES)
    assert not server.row()["clientId"]
    assert not server.row()["clientSecret"]


MY_ORG = {**PROPERTIES, "audience": "AzureADMyOrg"}


def test_a_first_push_whose_users_could_not_sign_in_fails_and_leaves_nothing_behind(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()], HIDDEN)
    connect(server, monkeypatch)
    with pytest.raises(errors.NotVerified, match=r"AADSTS50194.*config set audience AzureADMultipleOrgs$"):
        provider.create(MY_ORG)
    assert (server.row()["clientId"], server.row()["clientSecret"]) == ("", "")
    server.tenant = "0a1b2c3d-0000-4000-8000-000000000003"
    assert (provider.create({**MY_ORG, "tenant_id": server.tenant}).outs or {})["proved_client_id"] == "new-id"


@pytest.mark.parametrize("recorded", [{}, {"audience": "AzureADMyOrg"}])
def test_a_stack_whose_users_could_not_sign_in_before_is_warned_and_still_rotates(
    recorded: dict[str, Any],
    provider: MailSettingsProvider,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = FakeNocoBase([microsoft()], HIDDEN)
    connect(server, monkeypatch)
    olds = {**created(provider, server), **recorded}
    begin_run(provider)
    assert provider.diff(ID, olds, MY_ORG).changes is False
    assert "warning: nobody can sign in" in capsys.readouterr().out
    rotated = provider.update(ID, olds, {**MY_ORG, "client_secret": "next~secret", "slot": "b"}).outs or {}
    assert (rotated["slot"], rotated["audience"]) == ("b", "AzureADMyOrg")
    assert "AADSTS50194" in capsys.readouterr().out


def test_another_nocobase_whose_users_could_not_sign_in_is_not_switched_to(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()], HIDDEN)
    connect(server, monkeypatch)
    olds = created(provider, server)
    with pytest.raises(errors.NotVerified, match="AADSTS50194"):
        provider.update(ID, olds, {**MY_ORG, "nocobase_app": "sales"})


def test_an_audience_that_a_link_does_not_serve_is_rejected_before_it_is_declared(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()], HIDDEN)
    connect(server, monkeypatch)
    here, login = Installation("", URL, None, None, FOUND, (CALLBACK,)), NocoBaseLogin(API_KEY)

    def check(audience: str) -> None:
        preflight.check_audience([here], {"": login}, Accounts(audience, "tenant"))

    check("AzureADMyOrg")  # there is no link yet
    created(provider, server)
    check("AzureADMultipleOrgs")
    with pytest.raises(errors.NotVerified, match=r"AADSTS9002331.*audience AzureADandPersonalMicrosoftAccount$"):
        check("PersonalMicrosoftAccount")
    server.before = down
    check("AzureADMyOrg")


def test_credentials_are_not_put_into_another_place_that_is_somebody_elses(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    server.change(clientId="theirs")
    moved = {**PROPERTIES, "nocobase_url": "https://other.example.com", "redirect_uris": [CALLBACK]}
    provider.diff(ID, outs, moved)
    with pytest.raises(errors.ForeignCredentials):
        provider.update(ID, outs, moved)


def test_an_installation_that_is_renamed_keeps_what_was_just_pushed(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server, logins=["sales", ""])
    begin_run(provider)
    # The engine makes the push of the new name before it deletes that of the old one.
    provider.check({}, PROPERTIES)
    provider.create(PROPERTIES)
    provider.delete(ID, outs)
    assert (server.row()["clientId"], server.row()["clientSecret"]) == ("new-id", SECRET)
    assert "nothing was emptied" in capsys.readouterr().out
    begin_run(provider)
    # `destroy` reads and compares before it deletes.
    refreshed = dict(provider.read(ID, outs).outs or {})
    provider.diff(ID, outs, refreshed)
    provider.delete(ID, refreshed)
    assert (server.row()["clientId"], server.row()["clientSecret"]) == ("", "")


@pytest.mark.parametrize("run_program", [False, True])
def test_nothing_is_emptied_where_the_application_is_protected_from_destroy(
    run_program: bool, provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    kept = {**PROPERTIES, "protected": True}
    assert provider.diff(ID, outs, kept).changes is True
    outs = dict(provider.update(ID, outs, kept).outs or {})
    begin_run(provider)
    server.requests.clear()
    if run_program:  # `destroy --run-program` declares everything first
        provider.check({}, kept)
    with pytest.raises(errors.ApplicationProtected, match="nothing was emptied"):
        provider.delete(ID, outs)
    assert server.requests == []
    assert server.row()["clientId"] == "new-id"


def test_a_further_installation_of_a_protected_application_can_be_removed(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server, logins=["sales", ""], protected=True)
    begin_run(provider)
    provider.check({}, {**PROPERTIES, "nocobase_url": "https://main.example.com", "protected": True})
    provider.delete(ID, outs)
    assert server.row()["clientId"] == ""


def test_a_row_filter_reaches_the_provider_with_every_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = 2**53 + 1
    mapping = NocoBaseMapping(row_filter={"id": id_})
    record = struct_pb2.Struct()
    record.update(mapping.recorded())
    received = rpc.deserialize_properties(record)
    assert push_record.mapping_of({"mapping": received}) == mapping
    server = FakeNocoBase([microsoft(id=id_ - 1, clientId="theirs"), microsoft(id=id_)])
    connect(server, monkeypatch)
    provider = MailSettingsProvider()
    begin_run(provider)
    provider.create({**PROPERTIES, "mapping": received})
    assert [row["clientId"] for row in server.rows] == ["theirs", "new-id"]


def test_what_was_read_of_one_nocobase_is_not_used_for_another(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = FakeNocoBase([microsoft()]), FakeNocoBase([microsoft()])
    connect(lambda request: (here if request.url.host in URL else there)(request), monkeypatch)
    outs = created(provider, here)
    moved = {**NEXT, "nocobase_url": "https://other.example.com"}
    # Both have one id: the first has moved since it was made, the second was made at the first's old address.
    provider.diff(ID, outs, moved)
    provider.diff(ID, outs, PROPERTIES)
    provider.update(ID, outs, moved)
    assert (there.row()["clientId"], there.row()["clientSecret"]) == ("new-id", "next~secret")


def test_another_way_to_the_same_nocobase_is_recorded_and_writes_nothing(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    new = {**PROPERTIES, "logins": ["sales", ""], "several": True}
    assert provider.diff(ID, outs, new).changes is True
    updated = dict(provider.update(ID, outs, new).outs or {})
    assert (updated["logins"], updated["several"], server.writes) == (["sales", ""], True, [])
    assert provider.diff(ID, updated, new).changes is False


def test_a_nocobase_that_another_stack_took_over_is_left_to_it(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def is_another_stacks(client_id: str, own: str) -> bool:
        asked.append((client_id, own))
        return True

    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    monkeypatch.setattr(push_resource, "is_another_stacks", is_another_stacks)
    provider.update(ID, outs, PROPERTIES)
    assert asked == []
    server.change(clientId=OTHER_ID)
    with pytest.raises(errors.ForeignCredentials, match=OTHER_ID):
        provider.update(ID, outs, PROPERTIES)
    assert (asked, server.row()["clientId"]) == ([(OTHER_ID, "new-id")], OTHER_ID)
    provider.update(ID, outs, {**PROPERTIES, "take_over": OTHER_ID})
    assert server.row()["clientId"] == "new-id"


ECHO = f"{SECRET} {API_KEY}"
Echo = tuple[int, Any] | Exception
ECHOES: dict[str, Echo] = {
    **{f"{status} text": (status, ECHO) for status in (200, 302, 400, 404, 429, 500, 502, 503, 504)},
    **{
        f"{status} errors": (status, {"errors": [{"message": ECHO, "code": API_KEY}]})
        for status in (400, 401, 403, 404, 500)
    },
    "gateway": (503, {"error": {"status": 503, "maintaining": True, "message": ECHO, "code": API_KEY}}),
    **{
        f"data {number}": (200, {"data": data})
        for number, data in enumerate((None, [], {}, ECHO, [ECHO], {ECHO: ECHO}))
    },
    "link": (200, {"data": {"url": f"https://x/?client_id={SECRET}&redirect_uri={API_KEY}"}}),
    "callback": (200, {"data": {"url": f"https://x/?client_id=new-id&redirect_uri={ECHO}"}}),
    **{
        f"row {number}": (200, {"data": rows})
        for number, rows in enumerate(
            (
                [{"id": ECHO, "type": "microsoft", "clientId": ECHO, "clientSecret": ECHO, "updatedAt": ECHO}],
                [{"id": 1, "type": "microsoft", "clientId": SECRET, "clientSecret": API_KEY}],
                [{"id": 1, "type": "microsoft", "clientId": "new-id", "clientSecret": SECRET, "updatedAt": ECHO}],
                [{"id": 1, "type": "microsoft", ECHO: 1}],
                [{"id": 1, "type": "microsoft", f"{ECHO}ClientId": 1, f"{SECRET}ClientId": 1}],
                [{"id": ECHO, "type": ECHO, "name": ECHO}],
                [{"id": ECHO, "type": "microsoft"}, {"id": SECRET, "type": "microsoft"}],
                [{"name": f"mail {ECHO}"}],
            )
        )
    },
    "disconnected": httpx.RemoteProtocolError(ECHO),
    "refused": httpx.ConnectError(ECHO),
    "no certificate": httpx.ConnectError(f"CERTIFICATE_VERIFY_FAILED {ECHO}"),
}
ACTIONS = ("list", "update", "create", "oauth2url", "listEnabled", "")


def echoing(action: str, echo: Echo) -> Callable[[httpx.Request], httpx.Response | None]:
    """Answers requests of `action`, or of all, by `echo`."""

    def answer(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith(action) and not (action == "listEnabled" and "list" in request.url.path):
            return None
        if isinstance(echo, Exception):
            raise echo
        status, body = echo
        return httpx.Response(status, text=body if isinstance(body, str) else json.dumps(body))

    return answer


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.proof)], ids=["sample", "every"])
@pytest.mark.parametrize("name", ECHOES)
def test_an_echoed_secret_or_key_is_in_no_error_output_or_plain_property(
    name: str,
    every: bool,
    provider: MailSettingsProvider,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In every combination of what is done and what echoes; or in a fifth of them, others for each echo."""
    here = Installation("", URL, None, None, FOUND, (CALLBACK,))
    good = {**PROPERTIES, "row_id": "2", "updated_at": "2026-12-31T00:00:00.000Z"}
    calls: dict[str, Callable[[dict[str, Any]], Any]] = {
        "create": lambda new: provider.create(new).outs,
        "diff": lambda new: provider.diff(ID, {**good, "several": new["several"]}, new),
        "update": lambda new: provider.update(ID, {**good, "client_secret": "old"}, new).outs,
        "read": lambda new: provider.read(ID, {**good, **new}).outs,
        "delete": lambda new: provider.delete(ID, {**good, **new}),
        "preflight": lambda _: preflight.check_nocobase(here, NocoBaseLogin(API_KEY), ["own"]),
    }
    rows: tuple[dict[str, str], ...] = ({}, {"clientId": "new-id", "clientSecret": SECRET})
    combinations = list(itertools.product(ACTIONS, calls, (False, True), rows))
    said: list[str] = []
    for action, call, several, held in combinations if every else combinations[list(ECHOES).index(name) % 5 :: 5]:
        begin_run(provider)
        connect(FakeNocoBase([microsoft(**held)], HIDDEN, before=echoing(action, ECHOES[name])), monkeypatch)
        text = outcome(calls[call], {**PROPERTIES, "several": several})
        # Before the first push there is no secret that it could know.
        said.append(text.replace(SECRET, "") if call == "preflight" else text)
    said += capsys.readouterr()
    everything = "\n".join(said)
    assert SECRET not in everything
    assert API_KEY not in everything
    # That the address is repeated shows that the search works.
    assert URL in everything


def outcome(call: Callable[[dict[str, Any]], Any], properties: dict[str, Any]) -> str:
    """What the engine would show or store in the clear."""
    try:
        outs = call(properties)
    except errors.ProvisioningError as error:
        return "\n".join((str(error), repr(error), str(vars(error)), provider_process._Sentences.format_exc()))
    return str(
        {key: value for key, value in outs.items() if key != "client_secret"} if isinstance(outs, dict) else outs
    )


def test_a_secret_that_nocobase_held_is_in_no_later_output(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = "held~by~nocobase"
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)

    def echo(request: httpx.Request) -> None:
        if request.url.path.endswith(WRITE):
            server.row()[held] = 1

    server.after = echo
    for read_before in (False, True):
        server.rows = [microsoft(clientId="new-id", clientSecret=held)]
        monkeypatch.setattr(provider_process, "_SECRETS", set())
        if read_before:  # by another client
            provider.diff(ID, outs, NEXT)
            assert held not in provider_process.without_secrets(f"Bearer {held}")
        provider.update(ID, outs, NEXT)
        said = capsys.readouterr().out
        assert "changed at the same moment: " in said
        assert held not in said


def test_what_is_declared_is_recorded_as_it_is_whatever_counts_as_a_secret(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = json.dumps({"X-Forwarded-Host": URL.removeprefix("https://")})
    config = {"nocobase-outlook:nocobasePatienceSeconds": "0", "nocobase-outlook:nocobaseHeaders": headers}
    provider.configure(ConfigureRequest(Config(config, "nocobase-outlook")))
    monkeypatch.setattr(provider_process, "_SECRETS", {"new-id"})
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    for held in (outs, dict(provider.read(ID, outs).outs or {})):
        assert (held["proved_client_id"], held["proved_redirect_uri"]) == ("new-id", CALLBACK)
    assert provider.diff(ID, outs, PROPERTIES).changes is False


def test_headers_of_the_configuration_reach_their_own_server_alone(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = json.dumps({"X-Gate": "gate-secret", "X-Stage": 1})
    of_others = json.dumps({"abroad": {"X-Abroad": "abroad-secret"}})
    config = {
        "nocobase-outlook:nocobasePatienceSeconds": "0",
        "nocobase-outlook:nocobaseHeaders": headers,
        "nocobase-outlook:nocobaseInstallationHeaders": of_others,
    }
    provider.configure(ConfigureRequest(Config(config, "nocobase-outlook")))
    of_main = {"X-Gate": "gate-secret", "X-Stage": "1"}
    for name in ("SALES", "ABROAD"):
        monkeypatch.setenv(f"NOCOBASE_API_KEY_{name}", API_KEY)
    expected = {("sales",): {}, ("sales", ""): of_main, ("",): of_main, ("abroad",): {"X-Abroad": "abroad-secret"}}
    for logins, headers_there in expected.items():
        with provider._nocobase({**PROPERTIES, "logins": list(logins)}) as nocobase:
            assert nocobase._login.headers == headers_there
    assert "gate-secret" in provider_process._SECRETS
    assert "1" not in provider_process._SECRETS


@pytest.mark.parametrize(
    ("logins", "name"), [([""], "nocobase"), (["sales", ""], "nocobase-sales"), (None, "nocobase")]
)
def test_a_nocobase_that_is_gone_for_good_has_a_way_out(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch, logins: list[str] | None, name: str
) -> None:
    def gone(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    connect(gone, monkeypatch)
    properties = {**PROPERTIES, "logins": logins}
    with pytest.raises(errors.Unreachable, match=f"MailSettings::{name};") as caught:
        provider.delete(ID, properties)
    assert "pulumi state delete '<URN>'" in str(caught.value)
    # A remedy before it may end with a command.
    assert str(caught.value).splitlines()[1].startswith("If this NocoBase is gone for good: ")
    # Its key is gone, too.
    monkeypatch.delenv("NOCOBASE_API_KEY")
    with pytest.raises(errors.SettingsError, match=f"MailSettings::{name};"):
        provider.delete(ID, properties)


@pytest.mark.parametrize("trouble", ["unreachable", "its key is refused", "no key"])
@pytest.mark.parametrize("several", [False, True])
def test_a_nocobase_that_a_refresh_cannot_read_stays_in_the_state_and_stops_nothing(
    provider: MailSettingsProvider,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trouble: str,
    several: bool,
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server, several=several)

    def down(_: httpx.Request) -> httpx.Response:
        if trouble == "unreachable":
            raise httpx.ConnectError("x")
        return httpx.Response(401, json={"errors": [{"message": "x"}]})

    connect(down, monkeypatch)
    if trouble == "no key":
        monkeypatch.delenv("NOCOBASE_API_KEY")
    found = provider.read(ID, outs)
    assert (found.id, found.outs) == (ID, outs)
    assert "assumes that it still holds what the last run wrote" in capsys.readouterr().out
    # The engine compares after it has read: never as if all were in sync.
    assert provider.diff(ID, outs, dict(found.inputs or {})).changes is True
    # The program then finds it in sync, perhaps at another address or with another key.
    monkeypatch.setenv("NOCOBASE_API_KEY", API_KEY)
    connect(server, monkeypatch)
    assert provider.diff(ID, outs, outs).changes is False


def test_a_refresh_waits_for_no_nocobase_and_the_programs_comparison_does(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack that moves would wait its full patience at the address that it leaves."""
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    waits: list[float] = []

    def start(seconds: float) -> None:
        waits.append(seconds)
        server.before = lambda _: None

    monkeypatch.setattr(push_resource, "Patience", lambda seconds: Patience(seconds, lambda _: None, sleep=start))
    begin_run(provider, seconds=600)
    server.before = down
    found = provider.read(ID, outs)
    assert provider.diff(ID, outs, dict(found.inputs or {})).changes is True
    assert (found.outs, waits) == (outs, [])
    assert provider.diff(ID, outs, outs).changes is False
    assert len(waits) == 1


def test_one_that_takes_the_name_of_a_nocobase_3_is_pushed_into(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    before = {**created(provider, server), "config_file": "/srv/config.yml", "mail_provider": "outlook"}
    assert provider.diff(ID, before, PROPERTIES).changes is True
    outs = dict(provider.update(ID, before, PROPERTIES).outs or {})
    assert "config_file" not in outs
    assert "mail.providers.outlook in the configuration /srv/config.yml still has" in capsys.readouterr().out
    assert provider.diff(ID, outs, PROPERTIES).changes is False


def test_what_a_refresh_has_read_is_not_read_again_at_once(
    provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    server.requests.clear()
    provider.read(ID, outs)
    asked = len(server.requests)
    # Once by the refresh, and once for the program.
    assert provider.diff(ID, outs, outs).changes is False
    assert provider.diff(ID, outs, outs).changes is False
    assert len(server.requests) == asked
    # With other credentials to push, it is read again before it is written.
    assert provider.diff(ID, outs, NEXT).changes is True
    outs = dict(provider.update(ID, outs, NEXT).outs or {})
    assert provider.diff(ID, outs, NEXT).changes is False
    server.change(clientId="by hand")
    monkeypatch.setattr(push_resource, "FRESH_SECONDS", 0.0)
    provider.read(ID, outs)
    server.change(clientId=outs["client_id"])
    assert provider.diff(ID, outs, NEXT).changes is False


ELSEWHERE = "https://other.example.com/admin/settings/mail/oauth2"


@pytest.mark.parametrize(
    ("held", "named", "wrong"),
    [
        ({"clientId": "own", "clientSecret": SECRET}, ELSEWHERE, True),
        ({"clientId": "taken-over", "clientSecret": SECRET}, ELSEWHERE, True),
        ({"clientId": "own", "clientSecret": SECRET}, CALLBACK, False),
        ({}, ELSEWHERE, False),  # without credentials NocoBase has no link: the push asks
    ],
)
def test_a_wrong_redirect_uri_is_seen_before_anything_changes(
    held: dict[str, str], named: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Installation("", URL, None, "taken-over", FOUND, (CALLBACK,))
    nocobase = FakeNocoBase([microsoft(**held)], HIDDEN, redirect_uri=named)
    connect(nocobase, monkeypatch)
    if wrong:
        with pytest.raises(errors.NotVerified, match=f"sends users back to {ELSEWHERE}, but declared is {CALLBACK}"):
            preflight.check_installations([here], {"": NocoBaseLogin(API_KEY)}, ["own"], False, 0)
    warnings = preflight.check_installations([here], {"": NocoBaseLogin(API_KEY)}, ["own"], True, 0)
    assert len(warnings) == wrong
    assert nocobase.writes == []


def test_it_signs_in_to_entra_id_as_the_stack_says() -> None:
    config = {"azuread:clientId": "a-client", "azuread:useOidc": True, "nocobase-outlook:nocobaseUrl": URL}
    MailSettingsProvider().configure(ConfigureRequest(Config(config, "nocobase-outlook")))
    settings = sign_in_settings()
    assert (settings.client_id, settings.is_on("useOidc")) == ("a-client", True)


@pytest.mark.parametrize("pasted", [PASTED, f"{OTHER_ID} ", "words-with-dashes", PAYLOADS["azure sets a variable"]])
def test_what_is_no_client_id_is_neither_stored_nor_shown(
    pasted: str, provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = FakeNocoBase([microsoft()])
    connect(server, monkeypatch)
    outs = created(provider, server)
    server.change(clientId=pasted)
    read = provider.read(ID, outs)
    held, inputs = dict(read.outs or {}), dict(read.inputs or {})
    assert held["client_id"] == held["proved_client_id"] == inputs["client_id"] == NO_GUID
    with pytest.raises(errors.ForeignCredentials) as refusal:
        provider.create(PROPERTIES)
    for text in (str(held), str(refusal.value), capsys.readouterr().out):
        assert pasted not in text
    server.change(clientId=OTHER_ID)
    assert dict(provider.read(ID, outs).outs or {})["client_id"] == OTHER_ID


@pytest.mark.parametrize("text", PAYLOADS.values(), ids=PAYLOADS)
def test_what_a_hostile_nocobase_says_is_stored_and_printed_harmless(
    text: str, provider: MailSettingsProvider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = FakeNocoBase([microsoft(**{text: 1})])
    connect(server, monkeypatch)

    def change(request: httpx.Request) -> None:
        if request.url.path.endswith(":update"):
            server.row()[text] = 2

    server.after = change
    outs = created(provider, server)
    server.change(updatedAt=text)
    server.redirect_uri = text
    held = dict(provider.read(ID, outs).outs or {})
    said = capsys.readouterr().out
    assert "changed at the same moment: " in said
    for shown in (said, *(value for value in (held | outs).values() if isinstance(value, str))):
        assert (commands(shown), hidden(shown)) == ([], [])
        assert len(shown) < 1_000
