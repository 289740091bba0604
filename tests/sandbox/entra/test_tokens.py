"""The token endpoint: who gets a token, and Entra's own words for who does not."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sandbox.entra import identity, tokens
from sandbox.entra.directory import Directory
from sandbox.entra.graph_errors import GraphError
from sandbox.entra.settling import Settling
from sandbox.entra.token_errors import TokenError
from tests.sandbox.entra.service import Service, body_of

UNKNOWN = "99999999-9999-9999-9999-999999999999"


def claims(token: str) -> dict[str, Any]:
    """The payload of a JWT."""
    payload = token.split(".")[1]
    document: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return document


def registered(entra: Service, *, principal: bool = True, **credential: Any) -> tuple[str, str]:
    """Client ID and secret of a new application."""
    owner = identity.DEPLOYER_OBJECT_ID
    made = entra.directory.create_application({"displayName": "mail"}, owner, [])
    if principal:
        entra.directory.create_service_principal({"appId": made["appId"]}, owner, [])
    return made["appId"], entra.directory.add_password(made["id"], credential, owner)["secretText"]


def test_deployer_gets_a_token_with_the_claims_that_providers_read(entra: Service) -> None:
    token = entra.token()
    found = claims(token)
    assert token.count(".") == 2
    assert (found["oid"], found["appid"], found["tid"]) == (
        identity.DEPLOYER_OBJECT_ID,
        identity.DEPLOYER_CLIENT_ID,
        identity.TENANT_ID,
    )
    assert found["exp"] - found["iat"] > 1200


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("servicePrincipals", {"accountEnabled": False}),
        ("applications", {"isDisabled": True}),
        ("applications", {"disabledByMicrosoftStatus": "DisabledDueToViolationOfServicesAgreement"}),
    ],
)
def test_what_is_disabled_gets_no_token(entra: Service, kind: str, change: dict[str, Any]) -> None:
    client_id, secret = registered(entra)
    found = entra.directory.by_app_id(kind, client_id)
    assert found is not None
    before = dict(found)
    found.update(change)  # only Microsoft could set the last one
    with entra.client() as client:
        answer = entra.ask_token(client, client_id, secret)
    assert (answer.status_code, body_of(answer)["error_codes"]) == (400, [7000112])
    found.clear()
    found.update(before)
    assert entra.token(client_id, secret)


def test_application_gets_a_token_that_opens_nothing_in_graph(entra: Service) -> None:
    client_id, secret = registered(entra)
    token = entra.token(client_id, secret)
    assert claims(token)["appid"] == client_id
    with entra.client() as client:
        answer = client.get("/v1.0/applications", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, body_of(answer)["error"]["code"]) == (403, "Authorization_RequestDenied")


@pytest.mark.parametrize(
    ("form", "status", "number"),
    [
        ({"client_secret": "wrong"}, 401, 7000215),
        ({"client_id": UNKNOWN}, 400, 700016),
        ({"tenant": UNKNOWN}, 400, 90002),
        ({"grant_type": "password"}, 400, 70003),
        ({"grant_type": ""}, 400, 900144),
        ({"client_id": ""}, 400, 900144),
        ({"client_secret": ""}, 401, 7000218),
        ({"scope": ""}, 400, 900144),
        ({"scope": "User.Read"}, 400, 1002012),
    ],
)
def test_refusals(entra: Service, form: dict[str, str], status: int, number: int) -> None:
    client_id, secret = registered(entra)
    asked = {"client_id": client_id, "secret": secret, **form}
    if "client_secret" in asked:
        asked["secret"] = asked.pop("client_secret")
    with entra.client() as client:
        answer = entra.ask_token(client, asked.pop("client_id"), asked.pop("secret"), **asked)
    body = body_of(answer)
    assert (answer.status_code, body["error_codes"]) == (status, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert {"error", "timestamp", "trace_id", "correlation_id", "error_uri"} <= body.keys()


@pytest.mark.parametrize(("tenant", "number"), [(identity.TENANT_ID, 9002346), ("consumers", 9002332)])
def test_personal_accounts_have_no_client_credentials(entra: Service, tenant: str, number: int) -> None:
    made = entra.directory.create_application(
        {
            "displayName": "mail",
            "signInAudience": "PersonalMicrosoftAccount",
            "api": {"requestedAccessTokenVersion": 2},
        },
        identity.DEPLOYER_OBJECT_ID,
        [],
    )
    entra.directory.create_service_principal({"appId": made["appId"]}, identity.DEPLOYER_OBJECT_ID, [])
    secret = entra.directory.add_password(made["id"], {}, identity.DEPLOYER_OBJECT_ID)["secretText"]
    with entra.client() as client:
        answer = entra.ask_token(client, made["appId"], secret, tenant=tenant)
    assert (answer.status_code, body_of(answer)["error_codes"]) == (400, [number])


def test_secret_id_instead_of_the_value(entra: Service) -> None:
    client_id, _ = registered(entra)
    application = entra.directory.by_app_id("applications", client_id)
    assert application is not None
    with entra.client() as client:
        answer = entra.ask_token(client, client_id, application["passwordCredentials"][0]["keyId"])
    assert body_of(answer)["error_codes"] == [7000215]


def test_expired_secret(entra: Service) -> None:
    client_id, secret = registered(entra, startDateTime="2020-01-01T00:00:00Z", endDateTime="2021-01-01T00:00:00Z")
    with entra.client() as client:
        answer = entra.ask_token(client, client_id, secret)
    assert (answer.status_code, body_of(answer)["error_codes"]) == (401, [7000222])


def test_removed_secret(entra: Service) -> None:
    client_id, secret = registered(entra)
    application = entra.directory.by_app_id("applications", client_id)
    assert application is not None
    key_id = application["passwordCredentials"][0]["keyId"]
    entra.directory.remove_password(application["id"], key_id, identity.DEPLOYER_OBJECT_ID)
    with entra.client() as client:
        assert body_of(entra.ask_token(client, client_id, secret))["error_codes"] == [7000215]


def settling(seconds: float) -> tuple[Directory, list[float]]:
    """A tenant in which new things take up to `seconds` to settle, and its time, which stands still."""
    time = [1000.0]
    directory = Directory(None, timer=lambda: time[0])
    directory.policy.settling = Settling(seconds)
    return directory, time


def codes(directory: Directory, client_id: str, secret: str, requests: int = 60) -> set[int]:
    """The AADSTS numbers that so many requests are answered with; 0 is a token."""
    form = {
        "client_id": client_id,
        "client_secret": secret,
        "grant_type": "client_credentials",
        "scope": "https://graph.microsoft.com/.default",
    }
    found = set()
    for _ in range(requests):
        try:
            tokens.answer(directory, identity.TENANT_ID, form, "https://localhost")
            found.add(0)
        except TokenError as error:
            found.add(error.number)
    return found


def test_what_is_new_reaches_one_server_after_the_other() -> None:
    directory, time = settling(seconds=20)
    owner = identity.DEPLOYER_OBJECT_ID

    def each_second(client_id: str, secret: str) -> list[set[int]]:
        found = []
        for _ in range(21):
            found.append(codes(directory, client_id, secret))
            time[0] += 1
        return found

    made = directory.create_application({"displayName": "mail"}, owner, [])
    first = directory.add_password(made["id"], {}, owner)["secretText"]
    seen = each_second(made["appId"], first)
    assert (seen[0], seen[-1]) == ({700016}, {7000229})

    directory.create_service_principal({"appId": made["appId"]}, owner, [])
    seen = each_second(made["appId"], first)
    assert (seen[0], seen[-1]) == ({7000229}, {0})
    assert {7000229, 0} in seen

    second = directory.add_password(made["id"], {}, owner)["secretText"]
    assert codes(directory, made["appId"], first) == {0}
    seen = each_second(made["appId"], second)
    assert (seen[0], seen[-1]) == ({7000215, 7000222}, {0})
    assert {7000215, 7000222, 0} in seen


def test_missing_service_principal(entra: Service) -> None:
    client_id, secret = registered(entra, principal=False)
    with entra.client() as client:
        answer = entra.ask_token(client, client_id, secret)
    body = body_of(answer)
    assert (answer.status_code, body["error"], body["error_codes"]) == (401, "invalid_client", [7000229])


@pytest.mark.parametrize("spoil", [lambda token: token[:-2] + "xx", lambda token: "none", lambda token: "a.b.c"])
def test_graph_refuses_forged_tokens(entra: Service, spoil: Any) -> None:
    with entra.client() as client:
        answer = client.get("/v1.0/applications", headers={"authorization": f"Bearer {spoil(entra.token())}"})
    assert (answer.status_code, body_of(answer)["error"]["code"]) == (401, "InvalidAuthenticationToken")


def test_expired_token_is_refused() -> None:
    with pytest.raises(GraphError, match="expired"):
        tokens.read(tokens.issue({"exp": 0, "oid": "x"}, "key"), "key")


def test_openid_configuration_and_metadata_name_this_server(entra: Service) -> None:
    with entra.client() as client:
        openid = body_of(client.get(f"/{identity.TENANT_ID}/v2.0/.well-known/openid-configuration"))
        metadata = body_of(client.get("/metadata/endpoints?api-version=2022-09-01"))
        unknown = client.get(f"/{UNKNOWN}/v2.0/.well-known/openid-configuration")
    assert openid["token_endpoint"] == f"{entra.address}/{identity.TENANT_ID}/oauth2/v2.0/token"
    assert metadata["microsoftGraphResourceId"] == f"{entra.address}/"
    assert metadata["authentication"]["loginEndpoint"] == entra.address
    assert body_of(unknown)["error_codes"] == [90002]
