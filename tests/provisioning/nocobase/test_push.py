"""The push over a NocoBase that is a table of answers: what is sent, in which order, and what each refusal says."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from provisioning import errors
from provisioning.doctor.sign_in_link import check_page, check_scopes
from provisioning.entra.rules import Audience
from provisioning.nocobase import push, sign_in_link
from provisioning.nocobase.client import NocoBaseClient
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.push import Credentials, Reading
from provisioning.nocobase.sign_in_link import Accounts, SignIn
from tests.provisioning.nocobase.fake_nocobase import CALLBACK, FOUND, URL, VERSION, FakeNocoBase, connect, microsoft

SECRET = "the~client~secret"
NEW = Credentials("new-id", SECRET)
OLD = {"clientId": "old-id", "clientSecret": "old~secret"}
GOOGLE = {"id": 1, "type": "google", "clientId": "g", "clientSecret": "gs"}
HIDDEN = frozenset({"clientSecret"})
OTHER_ID = "5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11"


def pushed(
    server: FakeNocoBase, monkeypatch: pytest.MonkeyPatch, written_at: str = ""
) -> tuple[Reading, SignIn | None]:
    with connect(server, monkeypatch) as nocobase:
        found = push.read(nocobase)
        return push.write_and_verify(nocobase, FOUND, NEW, redirect_uris=[CALLBACK], found=found, written_at=written_at)


def reading(row: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch) -> Reading:
    with connect(FakeNocoBase([GOOGLE, *([row] if row else [])]), monkeypatch) as nocobase:
        return push.read(nocobase)


LIST, UPDATE, CREATE = "GET mailSettings:list", "POST mailSettings:update", "POST mailSettings:create"
LINK = "GET mail:oauth2url"


@pytest.mark.parametrize(
    ("rows", "hidden", "requests", "written"),
    [
        ([GOOGLE, microsoft()], (), [LIST, UPDATE, LIST, LINK], {"clientId", "clientSecret"}),
        ([microsoft()], HIDDEN, [LIST, UPDATE, LIST, LINK], {"clientId", "clientSecret"}),
        ([microsoft(**OLD)], (), [LIST, UPDATE, LIST, LINK], {"clientId", "clientSecret"}),
        ([microsoft(clientId="new-id", clientSecret="old")], (), [LIST, UPDATE, LIST, LINK], {"clientSecret"}),
        ([microsoft(clientId="old-id", clientSecret=SECRET)], (), [LIST, UPDATE, LIST, LINK], {"clientId"}),
        ([microsoft(clientId="new-id", clientSecret="old")], HIDDEN, [LIST, UPDATE, LIST, LINK], {"clientSecret"}),
        ([GOOGLE], (), [LIST, CREATE, LIST, LINK], {"type", "clientId", "clientSecret"}),
        ([microsoft(clientId="new-id", clientSecret=SECRET)], (), [LIST, LINK], set()),
    ],
)
def test_push_writes_what_differs_and_proves_it(
    rows: list[dict[str, Any]],
    hidden: frozenset[str],
    requests: list[str],
    written: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = FakeNocoBase(copy.deepcopy(rows), frozenset(hidden))
    found, link = pushed(server, monkeypatch)
    assert server.requests == requests
    assert (found.client_id, link) == ("new-id", SignIn("new-id", CALLBACK, tenant="common"))
    assert {name for fields in server.writes for name in fields} == written
    mine = server.rows[-1]
    assert (mine["clientId"], mine["clientSecret"]) == ("new-id", SECRET)
    for before, after in zip(rows, server.rows, strict=False):
        assert {name for name in before if before[name] != after[name]} <= {"clientId", "clientSecret", "updatedAt"}


def test_a_hidden_secret_is_written_again_unless_nobody_touched_the_row_since(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft()], HIDDEN)
    found, _ = pushed(server, monkeypatch)
    server.requests.clear()
    pushed(server, monkeypatch, written_at=found.updated_at)
    assert server.requests == [LIST, LINK]
    server.change(clientSecret="by hand")
    pushed(server, monkeypatch, written_at=found.updated_at)
    assert server.rows[0]["clientSecret"] == SECRET


def test_a_write_is_bound_to_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft(**OLD)])

    def meanwhile(request: httpx.Request) -> None:
        if request.method == "POST":
            server.change(sort=8)

    server.before = meanwhile
    with pytest.raises(errors.ChangedMeanwhile, match=r"nothing was written; changed: sort\)"):
        pushed(server, monkeypatch)
    assert {name: server.rows[0][name] for name in OLD} == OLD


def test_a_row_that_is_deleted_before_the_write_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([dict(GOOGLE), microsoft(**OLD)], always=frozenset({"updatedAt"}))

    def meanwhile(request: httpx.Request) -> None:
        if request.method == "POST":
            server.rows = [row for row in server.rows if row["type"] != "microsoft"]

    server.before = meanwhile
    with pytest.raises(errors.ChangedMeanwhile, match="the row is gone"):
        pushed(server, monkeypatch)


def test_what_else_changes_with_a_write_of_columns_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft(**OLD, options={"sync": {"days": 30}, "x": 1}, revision=1)])

    def change(request: httpx.Request) -> None:
        if request.method == "POST":
            server.change(options={"x": 1}, revision=2)

    server.after = change
    found, _ = pushed(server, monkeypatch)
    assert found.also_changed == ["options.sync.days", "revision"]


def test_what_else_changes_in_a_json_field_that_was_written_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"sync": {"days": 30}, "clientId": "", "clientSecret": ""}
    server = FakeNocoBase([{"id": 2, "type": "microsoft", "options": options}], client_id="options.clientId")

    def clobber(request: httpx.Request) -> None:
        if request.method == "POST":
            server.change(options={**server.row()["options"], "sync": None})

    server.after = clobber
    with pytest.raises(errors.ChangedMeanwhile, match=r"changed: options\.sync, options\.sync\.days\)"):
        pushed(server, monkeypatch)


def test_a_write_that_is_answered_by_nothing_is_settled_by_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft(**OLD)])
    server.after = lambda request: httpx.Response(200, json={}) if request.method == "POST" else None
    found, _ = pushed(server, monkeypatch)
    assert found.holds(NEW)


def test_a_write_that_is_answered_by_nothing_and_did_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft(**OLD)])
    server.before = lambda request: httpx.Response(200, json={}) if request.method == "POST" else None
    with pytest.raises(errors.AnswerLost, match="answered without rows"):
        pushed(server, monkeypatch)


def test_a_variable_in_the_place_of_the_client_id_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft(clientId="{{$env.CLIENT_ID}}")])
    filters: list[str] = []

    def note(request: httpx.Request) -> None:
        filters.append(request.url.params.get("filter", ""))

    server.before = note
    pushed(server, monkeypatch)
    assert server.row()["clientId"] == "new-id"
    # NocoBase would compare with the variable's value.
    assert not any("$env" in condition for condition in filters)


LOST = [httpx.ReadTimeout("timed out"), httpx.RemoteProtocolError("disconnected"), 502, 503, 504]


def lose(answer: Any, request: httpx.Request) -> httpx.Response | None:
    if request.method != "POST":
        return None
    if isinstance(answer, int):
        return httpx.Response(answer, text="Bad Gateway")
    raise answer


@pytest.mark.parametrize("answer", LOST)
@pytest.mark.parametrize("hidden", [frozenset(), HIDDEN])
@pytest.mark.parametrize("rows", [[microsoft()], [microsoft(clientId="new-id", clientSecret="old")], [GOOGLE]])
def test_a_lost_answer_is_settled_by_reading(
    rows: list[dict[str, Any]], hidden: frozenset[str], answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase(copy.deepcopy(rows), hidden, after=lambda request: lose(answer, request))
    pushed(server, monkeypatch)
    assert len(server.writes) == 1
    assert (server.rows[-1]["clientId"], server.rows[-1]["clientSecret"]) == ("new-id", SECRET)


@pytest.mark.parametrize("answer", LOST)
@pytest.mark.parametrize("hidden", [frozenset(), HIDDEN])
@pytest.mark.parametrize("rows", [[microsoft()], [microsoft(clientId="new-id", clientSecret="old")], [GOOGLE]])
def test_a_write_that_was_lost_itself_is_an_error_and_not_repeated(
    rows: list[dict[str, Any]], hidden: frozenset[str], answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase(copy.deepcopy(rows), hidden, before=lambda request: lose(answer, request))
    with pytest.raises(errors.AnswerLost, match="Run the command again"):
        pushed(server, monkeypatch)
    assert server.rows == rows
    assert [request for request in server.requests if request.startswith("POST")] == server.requests[1:2]


def test_a_write_that_is_not_kept_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft(**OLD)])

    def forget(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(200, json={"data": [{}]}) if request.method == "POST" else None

    server.before = forget
    with pytest.raises(errors.NotVerified, match="did not keep"):
        pushed(server, monkeypatch)


def test_a_hidden_secret_that_is_not_kept_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft()], HIDDEN)

    def forget(request: httpx.Request) -> None:
        if request.method == "POST":
            server.change(clientSecret=None)

    server.after = forget
    with pytest.raises(errors.NotVerified, match="did not keep"):
        pushed(server, monkeypatch)


def test_another_redirect_uri_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeNocoBase([microsoft()], redirect_uri="https://elsewhere.example.com/oauth2")
    with pytest.raises(errors.NotVerified, match=r"elsewhere.*nocobaseUrl"):
        pushed(server, monkeypatch)


def test_a_nocobase_without_credentials_builds_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(failing(400, {"errors": [{"message": "x"}]}), monkeypatch) as nocobase:
        assert push.sign_in(nocobase) == SignIn(None, None)


def test_a_link_that_fails_otherwise_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(failing(500, "x"), monkeypatch) as nocobase, pytest.raises(errors.UnexpectedAnswer):
        push.sign_in(nocobase)


@pytest.mark.parametrize(
    "data",
    [
        {"url": f"https://x/common/authorize?client_id=c&redirect_uri={CALLBACK}"},
        {"authUrl": f"https://x/common/authorize?client_id=c&redirect_uri={CALLBACK}", "state": "s"},
        f"https://x/common/authorize?client_id=c&redirect_uri={CALLBACK}",
    ],
)
def test_the_link_is_found_in_any_answer_of_the_action_named(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"data": data})

    with connect(answer, monkeypatch) as nocobase:
        link = push.sign_in(nocobase, NocoBaseMapping(verify_action="mail:authUrl?provider=ms&x=1"))
    assert link == SignIn("c", CALLBACK, tenant="common")
    assert str(asked[0]) == f"{URL}/api/mail:authUrl?provider=ms&x=1"


def test_an_unknown_action_names_the_setting_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        connect(failing(404, "Not Found"), monkeypatch) as nocobase,
        pytest.raises(errors.UnknownLayout, match=r"mail:oauth2url.*nocobaseMapping\.verifyAction"),
    ):
        push.sign_in(nocobase)


def test_without_an_action_the_reading_back_is_the_only_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    server, mapping = FakeNocoBase([microsoft()]), NocoBaseMapping(verify_action="none")
    with connect(server, monkeypatch) as nocobase:
        found = push.read(nocobase, mapping)
        assert push.write_and_verify(nocobase, mapping, NEW, [CALLBACK], found)[1] is None
    assert server.requests == [LIST, UPDATE, LIST]


def test_the_link_is_compared_as_it_is_whatever_counts_as_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    host = URL.removeprefix("https://")
    server = FakeNocoBase([microsoft(clientId="old-id", clientSecret="common")], tenant="common")
    connect(server, monkeypatch)
    login = NocoBaseLogin(api_key="key", password="new-id", headers={"X-Forwarded-Host": host})
    with NocoBaseClient(URL, None, login, secrets=["common"]) as nocobase:
        found, link = push.write_and_verify(nocobase, FOUND, NEW, [CALLBACK], push.read(nocobase))
        assert (found.client_id, link) == ("new-id", SignIn("new-id", CALLBACK, tenant="common"))
        assert sign_in_link.audience_mismatch(link, Accounts(Audience.PERSONAL, None)) is not None


@pytest.mark.parametrize("secret", ["pass word&more#of+it%41", "plain~secret"])
def test_no_part_of_a_secret_that_the_link_echoes_is_shown(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"https://x/{secret}/authorize?client_id={secret}&redirect_uri=https://y/?a={secret}&scope={secret}"

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": url})

    connect(answer, monkeypatch)
    with NocoBaseClient(URL, None, NocoBaseLogin("key", password=secret)) as nocobase:
        link = push.sign_in(nocobase)
    assert link is not None
    shown = [
        sign_in_link.redirect_uri_mismatch(link, []),
        sign_in_link.sign_in_mismatch(link, OTHER_ID, []),
        *(check_scopes(link, declared).said for declared in ([], ["Mail.Read"])),
        check_page(link, Audience.ANY_TENANT, None).said,
        repr(link),
    ]
    for part in ("pass", "word", "more", "it%41", "itA", "plain~secret"):
        assert part not in str(shown)


def test_a_short_secret_of_nocobase_is_not_taken_out_of_other_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(FakeNocoBase([microsoft(clientSecret="common")]), monkeypatch) as nocobase:
        push.read(nocobase)
        assert "common" not in nocobase.secrets
        nocobase.keep_secret(SECRET)
        assert SECRET in nocobase.secrets


def test_another_client_id_in_the_sign_in_link_is_no_proof() -> None:
    reason = sign_in_link.sign_in_mismatch(SignIn(OTHER_ID, CALLBACK), "new-id", [CALLBACK])
    assert reason is not None
    assert OTHER_ID in reason[0]
    reason = sign_in_link.sign_in_mismatch(SignIn("pasted~secret", CALLBACK), "new-id", [CALLBACK])
    assert reason is not None
    assert "names client ID (not a client ID) instead of new-id" in reason[0]
    assert sign_in_link.sign_in_mismatch(SignIn(None, None), "new-id", [CALLBACK]) is not None
    assert sign_in_link.sign_in_mismatch(SignIn("new-id", CALLBACK), "new-id", [CALLBACK]) is None


@pytest.mark.parametrize(
    ("row", "cleared", "left"),
    [
        (microsoft(clientId="new-id", clientSecret=SECRET), True, ("", "")),
        (microsoft(clientId="new-id", clientSecret="changed by hand"), True, ("", "")),
        (microsoft(clientId="other", clientSecret=SECRET), False, ("other", SECRET)),
        (microsoft(), True, (None, None)),
    ],
)
@pytest.mark.parametrize("lost", [False, True])
def test_clear_empties_what_is_of_the_application_that_was_written(
    row: dict[str, Any], cleared: bool, left: tuple[str | None, str | None], lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeNocoBase([dict(row), dict(GOOGLE)])
    if lost:
        server.after = lambda request: lose(502, request)
    with connect(server, monkeypatch) as nocobase:
        assert push.clear(nocobase, FOUND, NEW) is cleared
    assert (server.rows[0]["clientId"], server.rows[0]["clientSecret"]) == left
    assert server.rows[1] == GOOGLE


def test_a_collection_of_another_name_is_told_from_a_missing_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins: list[dict[str, str]] = [{"name": "users"}]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("pm:listEnabled"):
            return httpx.Response(200, json={"data": plugins})
        if request.url.path.endswith("app:getInfo"):
            return VERSION
        return httpx.Response(404, text="Not Found")

    with connect(answer, monkeypatch) as nocobase:
        with pytest.raises(errors.EmailManagerMissing):
            push.read(nocobase)
        plugins.append({"name": "email-manager"})
        with pytest.raises(
            errors.UnknownLayout, match=r"the plugin email-manager is enabled.*nocobaseMapping\.collection"
        ):
            push.read(nocobase)


def test_credentials_of_another_application_are_refused_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reading(microsoft(clientId=OTHER_ID), monkeypatch)
    told = rf"{OTHER_ID}, 'x' of the stack y\).*nocobaseTakeOver {OTHER_ID}$"
    with pytest.raises(errors.ForeignCredentials, match=told):
        push.reject_foreign(URL, found, ["own", None], lambda client_id: ", 'x' of the stack y")
    push.reject_foreign(URL, found, ["own", OTHER_ID])
    push.reject_foreign(URL, reading(None, monkeypatch), [])


def failing(status: int, body: Any) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("app:getInfo"):
            return VERSION
        text = body if isinstance(body, str) else json.dumps(body)
        return httpx.Response(status, text=text)

    return answer
