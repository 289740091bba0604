"""What the product relies on in NocoBase's REST API, each fact asked of the real server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.nocobase import server
from tests.sandbox.nocobase.conftest import NocoBase, client_for

pytestmark = pytest.mark.e2e


def errors(answer: httpx.Response) -> tuple[int, str | None]:
    """Status and the first error's code, where it has one."""
    return answer.status_code, answer.json()["errors"][0].get("code")


def signed(payload: dict[str, object], key: str) -> str:
    """A JSON web token, HS256."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, payload)]
    content = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(key.encode(), content, hashlib.sha256).digest()
    return (content + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_version_is_public(nocobase: NocoBase) -> None:
    answer = httpx.get(f"{nocobase.url}/api/app:getInfo")

    assert answer.json()["data"]["version"] == "2.2.15"


def test_enabled_plugins_are_public_and_name_the_email_manager(nocobase: NocoBase) -> None:
    answer = httpx.get(f"{nocobase.url}/api/pm:listEnabled")

    manager = next(plugin for plugin in answer.json()["data"] if plugin["name"] == "email-manager")
    assert manager["packageName"] == "@nocobase/plugin-email-manager"


def test_email_manager_says_that_it_is_a_stand_in(nocobase: NocoBase) -> None:
    plugins = nocobase.client.get("/pm:list").json()["data"]

    manager = next(plugin for plugin in plugins if plugin["name"] == "email-manager")
    assert "stand-in" in manager["displayName"]


def test_list_shows_one_row_for_each_provider_without_the_secret(nocobase: NocoBase) -> None:
    answer = nocobase.client.get("/mailSettings:list").json()

    assert {row["type"] for row in answer["data"]} == {"google", "microsoft"}
    assert answer["meta"]["count"] == 2
    assert all("clientId" in row and "clientSecret" not in row for row in answer["data"])
    assert all(row["id"] > 10**12 for row in answer["data"])


def test_update_answers_the_changed_rows_without_the_secret(nocobase: NocoBase) -> None:
    answer = nocobase.write(clientId="an id", clientSecret="a secret")

    assert [row["clientId"] for row in answer.json()["data"]] == ["an id"]
    assert "a secret" not in answer.text


def test_update_leaves_all_other_columns_and_rows(nocobase: NocoBase) -> None:
    nocobase.write(enabled=False, sort=7, syncInterval=60, options={"sync": {"days": 1}, "unknown": [1, None]})
    before, other = nocobase.row(), nocobase.row("google")

    nocobase.write(clientId="another id", clientSecret="another secret")

    changed = {"clientId", "updatedAt"}
    after = nocobase.row()
    assert {key: after[key] for key in after.keys() - changed} == {key: before[key] for key in before.keys() - changed}
    assert nocobase.row("google") == other


def test_update_by_primary_key(nocobase: NocoBase) -> None:
    key = nocobase.row()["id"]

    answer = nocobase.client.post("/mailSettings:update", params={"filterByTk": key}, json={"clientId": "by key"})

    assert [row["id"] for row in answer.json()["data"]] == [key]
    assert nocobase.row()["clientId"] == "by key"


def test_secret_is_stored_as_it_is(nocobase: NocoBase) -> None:
    nocobase.write(clientSecret="stored~as.it-is")

    row = server.mail_settings_row(nocobase.place)
    assert row is not None
    assert row["clientSecret"] == "stored~as.it-is"


@pytest.mark.parametrize("parameters", [{"filterByTk": "1"}, {"filter[type]": "yahoo"}])
def test_get_of_a_missing_row_is_a_success_without_data(nocobase: NocoBase, parameters: dict[str, str]) -> None:
    answer = nocobase.client.get("/mailSettings:get", params=parameters)

    assert (answer.status_code, answer.json()) == (200, {"data": None})


def test_update_of_nothing_is_a_success_without_rows(nocobase: NocoBase) -> None:
    answer = nocobase.write("yahoo", sort=1)

    assert (answer.status_code, answer.json()) == (200, {"data": []})


@pytest.mark.parametrize("action", ["get", "list", "update"])
def test_malformed_filter_is_a_success_that_did_nothing(nocobase: NocoBase, action: str) -> None:
    answer = nocobase.client.post(f"/mailSettings:{action}", params={"filter": "{bad"}, json={"sort": 1})

    assert (answer.status_code, answer.json()) == (200, {})


def test_update_without_a_filter_is_an_error(nocobase: NocoBase) -> None:
    assert nocobase.client.post("/mailSettings:update", json={"sort": 1}).status_code == 500


def test_update_or_create_answers_a_list_when_it_updated_and_an_object_when_it_created(nocobase: NocoBase) -> None:
    parameters = {"filterKeys[]": "type"}
    created = nocobase.client.post("/mailSettings:updateOrCreate", params=parameters, json={"type": "imap"}).json()
    updated = nocobase.client.post("/mailSettings:updateOrCreate", params=parameters, json={"type": "imap"}).json()
    nocobase.client.post("/mailSettings:destroy", params={"filter[type]": "imap"})

    assert created["data"]["type"] == "imap"
    assert [row["type"] for row in updated["data"]] == ["imap"]


def test_second_row_of_one_provider_is_refused(nocobase: NocoBase) -> None:
    answer = nocobase.client.post("/mailSettings:create", json={"type": "google"})

    assert (answer.status_code, answer.json()) == (400, {"errors": [{"message": "type already exists"}]})


def test_body_that_is_no_json_is_refused_as_text(nocobase: NocoBase) -> None:
    answer = nocobase.client.post("/mailSettings:update", headers={"Content-Type": "application/json"}, content="{bad")

    assert (answer.status_code, answer.text) == (400, "Bad Request")


@pytest.mark.parametrize("action", ["nothing:list", "mailSettings:nothing", "mail:nothing"])
def test_unknown_resource_or_action_is_a_plain_404(nocobase: NocoBase, action: str) -> None:
    answer = nocobase.client.get(f"/{action}")

    assert (answer.status_code, answer.text) == (404, "Not Found")
    assert answer.headers["content-type"].startswith("text/plain")


def test_wrong_password_is_a_401_without_a_code(nocobase: NocoBase) -> None:
    body = {"account": server.ACCOUNT, "password": "wrong"}

    assert errors(httpx.post(f"{nocobase.url}/api/auth:signIn", json=body)) == (401, None)


def test_sign_in_with_account_and_password(nocobase: NocoBase) -> None:
    body = {"account": server.ACCOUNT, "password": server.password(nocobase.place)}

    token = httpx.post(f"{nocobase.url}/api/auth:signIn", json=body).json()["data"]["token"]

    with client_for(nocobase.url, token) as client:
        assert client.get("/mailSettings:list").status_code == 200


@pytest.mark.parametrize("action", ["mailSettings:list", "mail:oauth2url?type=microsoft", "auth:check"])
def test_no_key_is_empty_token(nocobase: NocoBase, action: str) -> None:
    assert errors(httpx.get(f"{nocobase.url}/api/{action}")) == (401, "EMPTY_TOKEN")


def test_key_that_is_none_is_invalid_token(nocobase: NocoBase) -> None:
    with client_for(nocobase.url, "no key") as client:
        assert errors(client.get("/mailSettings:list")) == (401, "INVALID_TOKEN")


def test_expired_key_is_invalid_token_too(nocobase: NocoBase) -> None:
    key = nocobase.key_for("root", "1s")
    time.sleep(2)

    with client_for(nocobase.url, key) as client:
        assert errors(client.get("/mailSettings:list")) == (401, "INVALID_TOKEN")


def test_removed_key_is_blocked_token(nocobase: NocoBase) -> None:
    # A lifetime of its own: keys of one role that are made within a second are one and the same token.
    key = nocobase.key_for("member", "2d")
    number = max(row["id"] for row in nocobase.client.get("/apiKeys:list").json()["data"])
    nocobase.client.post("/apiKeys:destroy", params={"filterByTk": number})

    with client_for(nocobase.url, key) as client:
        assert errors(client.get("/mailSettings:list")) == (401, "BLOCKED_TOKEN")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"userId": 404, "roleName": "root"}, "NOT_EXIST_USER"),
        ({"userId": 1, "roleName": "gone"}, "ROLE_NOT_FOUND_FOR_USER"),
    ],
)
def test_key_of_a_user_or_role_that_is_gone(nocobase: NocoBase, payload: dict[str, object], code: str) -> None:
    kept = json.loads((nocobase.place.home / "nocobase.json").read_text())
    key = signed({**payload, "iat": 1, "exp": time.time() + 60}, kept["app_key"])

    with client_for(nocobase.url, key) as client:
        assert errors(client.get("/mailSettings:list")) == (401, code)


@pytest.mark.parametrize("action", ["mailSettings:list", "mailSettings:update?filter[type]=microsoft", "pm:list"])
def test_role_without_rights_is_denied(nocobase: NocoBase, action: str) -> None:
    with client_for(nocobase.url, nocobase.key_for("member")) as client:
        answer = client.post(f"/{action}", json={"sort": 1})

    assert (answer.status_code, answer.json()) == (403, {"errors": [{"message": "No permissions"}]})


def test_role_admin_may_read_and_write(nocobase: NocoBase) -> None:
    with client_for(nocobase.url, nocobase.key_for("admin")) as client:
        assert client.get("/mailSettings:list").json()["meta"]["count"] == 2
        assert len(client.post("/mailSettings:update", params={"filter[type]": "google"}, json={"sort": 1}).json()) == 1


def test_key_without_a_role_is_a_success_that_made_none(nocobase: NocoBase) -> None:
    answer = nocobase.client.post("/apiKeys:create", json={"name": "none", "expiresIn": "1d"})

    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize("page", ["collections:listMeta", "collections:list", "collections/mailSettings/fields:list"])
def test_collections_pages_do_not_know_a_plugins_collection(nocobase: NocoBase, page: str) -> None:
    answer = nocobase.client.get(f"/{page}", params={"paginate": "false"})

    assert answer.status_code == 200
    assert "clientSecret" not in answer.text


@pytest.mark.parametrize(
    ("field", "status"),
    [("clientId", 200), ("clientSecret", 200), ("client_secret", 400), ("nothing", 400)],
)
def test_asking_for_a_field_tells_whether_it_exists_even_a_hidden_one(
    nocobase: NocoBase, field: str, status: int
) -> None:
    answer = nocobase.client.get("/mailSettings:list", params={"fields[]": field, "filter[type]": "google"})

    assert answer.status_code == status
    if field == "clientSecret":
        assert answer.json()["data"] == [{}]


@pytest.mark.parametrize(("stored", "found"), [("a secret", 1), ("", 1), (None, 0)])
def test_filter_tells_whether_a_hidden_secret_is_null(nocobase: NocoBase, stored: str | None, found: int) -> None:
    nocobase.write(clientSecret=stored)

    parameters = {"filter[type]": "microsoft", "filter[clientSecret.$notEmpty]": "true"}
    assert nocobase.client.get("/mailSettings:list", params=parameters).json()["meta"]["count"] == found


def test_unknown_field_is_silently_not_written(nocobase: NocoBase) -> None:
    before = nocobase.row()

    answer = nocobase.write(client_id="nobody notices")

    assert answer.json() == {"data": [before]}


def test_whitelist_keeps_all_other_fields_from_being_written(nocobase: NocoBase) -> None:
    before = nocobase.row()
    parameters = {"filter[type]": "microsoft", "whitelist[]": ["clientId", "clientSecret"]}

    nocobase.client.post("/mailSettings:update", params=parameters, json={"clientId": "listed", "sort": 99})

    after = nocobase.row()
    assert (after["clientId"], after["sort"]) == ("listed", before["sort"])


@pytest.mark.parametrize(("expected", "changed"), [("as read", 1), ("as somebody else left it", 0)])
def test_filter_makes_an_update_conditional(nocobase: NocoBase, expected: str, changed: int) -> None:
    nocobase.write(clientId="as read")
    parameters = {"filter[type]": "microsoft", "filter[clientId]": expected}

    answer = nocobase.client.post("/mailSettings:update", params=parameters, json={"clientId": "new"})

    assert len(answer.json()["data"]) == changed


def test_json_field_is_replaced_as_a_whole(nocobase: NocoBase) -> None:
    nocobase.write(options={"kept": 1, "changed": 1})

    nocobase.write(options={"changed": 2})

    assert nocobase.row()["options"] == {"changed": 2}


def test_messages_follow_the_locale_and_codes_do_not(nocobase: NocoBase) -> None:
    answers = [
        httpx.get(f"{nocobase.url}/api/mailSettings:list", headers={"X-Locale": locale}).json()["errors"][0]
        for locale in ("en-US", "zh-CN")
    ]

    assert answers[0]["message"] != answers[1]["message"]
    assert answers[0]["code"] == answers[1]["code"]


def test_sign_in_address_is_built_from_what_is_stored_now(nocobase: NocoBase) -> None:
    nocobase.write(clientId="stored now", clientSecret="s")

    answer = nocobase.client.get("/mail:oauth2url", params={"type": "microsoft"}).json()

    url = urlsplit(answer["data"]["url"])
    query = parse_qs(url.query)
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"
    assert query["client_id"] == ["stored now"]
    assert query["redirect_uri"] == [f"{nocobase.url}/admin/settings/mail/oauth2"]
    assert query["response_type"] == ["code"]
    assert "https://outlook.office.com/IMAP.AccessAsUser.All" in query["scope"][0].split()
    assert query["state"][0]


def test_sign_in_callback_follows_the_proxy_in_front(nocobase: NocoBase) -> None:
    nocobase.write(clientId="i", clientSecret="s")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "crm.example.com"}

    answer = nocobase.client.get("/mail:oauth2url", params={"type": "microsoft"}, headers=headers).json()

    query = parse_qs(urlsplit(answer["data"]["url"]).query)
    assert query["redirect_uri"] == ["https://crm.example.com/admin/settings/mail/oauth2"]


@pytest.mark.parametrize(
    "credentials",
    [{"clientId": "", "clientSecret": "s"}, {"clientId": "i", "clientSecret": None}],
)
def test_no_sign_in_address_without_both_credentials(nocobase: NocoBase, credentials: dict[str, object]) -> None:
    nocobase.write(**credentials)

    answer = nocobase.client.get("/mail:oauth2url", params={"type": "microsoft"})

    assert answer.status_code == 400
    assert "no client ID or client secret" in answer.json()["errors"][0]["message"]


def test_no_sign_in_address_for_an_unknown_provider(nocobase: NocoBase) -> None:
    assert nocobase.client.get("/mail:oauth2url", params={"type": "yahoo"}).status_code == 400
