"""Federated identity credentials: sign-in with the tokens of a pipeline, and Entra's words for who is turned away."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest

from sandbox.entra import federation, identity
from sandbox.entra.graph_errors import GraphError
from tests.sandbox.entra.service import Service, body_of

Json = dict[str, Any]
ME, ADMIN = identity.DEPLOYER_OBJECT_ID, identity.ADMINISTRATOR_OBJECT_ID
SUBJECT = "repo:contoso/mail:environment:prod"


@pytest.fixture
def pipeline(entra: Service) -> Json:
    """An application with a service principal that trusts the environment `prod` of a repository."""
    made = entra.directory.create_application({"displayName": "deployer"}, ADMIN, [])
    entra.directory.create_service_principal({"appId": made["appId"]}, ADMIN, [])
    entra.directory.create_federated_credential(made["id"], credential(entra), ADMIN)
    return made


def credential(entra: Service, **change: Any) -> Json:
    """What POST federatedIdentityCredentials takes."""
    issuer = federation.issuer(entra.address, "github")
    return {
        "name": "prod",
        "issuer": issuer,
        "subject": SUBJECT,
        "audiences": [federation.AUDIENCE],
        **change,
    }


def minted(client: httpx.Client, **change: Any) -> str:
    """A token from the sandbox's page."""
    answer = client.post("/_sandbox/oidc-token", json={"system": "github", "subject": SUBJECT, **change})
    assert answer.status_code == 200, answer.text
    return str(body_of(answer)["value"])


def sign_in(entra: Service, client: httpx.Client, client_id: str, assertion: str) -> httpx.Response:
    """A token request with an assertion in place of a secret."""
    return entra.ask_token(
        client,
        client_id,
        "",
        client_assertion=assertion,
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    )


def test_a_pipelines_token_signs_in(entra: Service, pipeline: Json) -> None:
    with entra.client() as client:
        answer = sign_in(entra, client, pipeline["appId"], minted(client))
    assert answer.status_code == 200, answer.text
    claims = jwt.decode(body_of(answer)["access_token"], options={"verify_signature": False})
    principal = entra.directory.by_app_id("servicePrincipals", pipeline["appId"])
    assert principal is not None
    assert (claims["appid"], claims["oid"], claims["roles"]) == (pipeline["appId"], principal["id"], [])


def test_the_page_that_answers_as_githubs(entra: Service, pipeline: Json) -> None:
    query = {"subject": SUBJECT, "audience": federation.AUDIENCE}
    with entra.client() as client:
        assert client.get("/_sandbox/oidc/github/token", params=query).status_code == 401
        answer = client.get("/_sandbox/oidc/github/token", params=query, headers={"authorization": "Bearer job"})
        assert sign_in(entra, client, pipeline["appId"], body_of(answer)["value"]).status_code == 200


def test_the_page_that_answers_as_azure_devops(entra: Service) -> None:
    address, bearer = "/_sandbox/oidc/azure-devops/oidctoken", {"authorization": "Bearer job"}
    query = {"subject": "sc://contoso/mail/prod", "serviceConnectionId": "c", "api-version": "7.1"}
    with entra.client() as client:
        assert client.post(address, params=query).status_code == 401
        assert client.get(address, params=query, headers=bearer).status_code == 404
        assert client.post(address, params={"subject": query["subject"]}, headers=bearer).status_code == 400
        assert client.post(address, params={**query, "subject": ""}, headers=bearer).status_code == 400
        token = body_of(client.post(address, params=query, headers=bearer))["oidcToken"]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (claims["sub"], claims["exp"] - claims["iat"]) == (query["subject"], 601)


@pytest.mark.parametrize(
    ("order", "number"),
    [
        ({"system": "gitlab"}, 700211),
        ({"audience": "api://elsewhere"}, 700212),
        ({"subject": "repo:contoso/mail:environment:test"}, 700213),
        ({"subject": "repo:Contoso/mail:environment:prod"}, 7002138),
        ({"lifetime": -5}, 700024),
    ],
)
def test_a_token_that_no_credential_names_is_refused(entra: Service, pipeline: Json, order: Json, number: int) -> None:
    with entra.client() as client:
        answer = sign_in(entra, client, pipeline["appId"], minted(client, **order))
    assert (answer.status_code, body_of(answer)["error_codes"]) == (401, [number])
    assert body_of(answer)["error"] == "invalid_client"


def test_forged_tokens_are_refused(entra: Service, pipeline: Json) -> None:
    with entra.client() as client:
        good = minted(client)
        claims = jwt.decode(good, options={"verify_signature": False})
        # Signed by another issuer's key, and not signed at all.
        other = jwt.encode(claims, federation._key("gitlab"), algorithm="RS256")
        unsigned = jwt.encode(claims, "", algorithm="none")
        for forged, number in ((other, 700027), (unsigned, 700027), ("a.b", 50027), (f"{good[:-8]}AAAAAAAA", 700027)):
            answer = sign_in(entra, client, pipeline["appId"], forged)
            assert body_of(answer)["error_codes"] == [number], forged


def test_an_issuer_that_is_not_the_sandboxs_cannot_be_asked(entra: Service, pipeline: Json) -> None:
    foreign = "https://token.actions.githubusercontent.com"
    body = credential(entra, name="real", issuer=foreign)
    entra.directory.create_federated_credential(pipeline["id"], body, ADMIN)
    claims = {"iss": foreign, "sub": SUBJECT, "aud": federation.AUDIENCE, "exp": 4_000_000_000}
    token = jwt.encode(claims, federation._key("github"), algorithm="RS256")
    with entra.client() as client:
        assert body_of(sign_in(entra, client, pipeline["appId"], token))["error_codes"] == [90061]


def test_who_trusts_nobody_or_is_nobody(entra: Service) -> None:
    made = entra.directory.create_application({"displayName": "deployer"}, ADMIN, [])
    with entra.client() as client:
        token = minted(client)
        assert body_of(sign_in(entra, client, made["appId"], token))["error_codes"] == [70025]
        assert body_of(sign_in(entra, client, made["id"], token))["error_codes"] == [700016]
        entra.directory.create_federated_credential(made["id"], credential(entra), ADMIN)
        assert body_of(sign_in(entra, client, made["appId"], token))["error_codes"] == [7000229]
        untyped = entra.ask_token(client, made["appId"], "", client_assertion=token)
        assert body_of(untyped)["error_codes"] == [900144]


def test_issuers_tell_their_keys(entra: Service) -> None:
    with entra.client() as client:
        for system in federation.SYSTEMS:
            said = body_of(client.get(f"/_sandbox/oidc/{system}/.well-known/openid-configuration"))
            assert said["issuer"] == federation.issuer(entra.address, system)
            keys = jwt.PyJWKSet.from_dict(body_of(client.get(said["jwks_uri"])))
            token = minted(client, system=system)
            key = keys[jwt.get_unverified_header(token)["kid"]]
            jwt.decode(token, key, algorithms=["RS256"], audience=federation.AUDIENCE, issuer=said["issuer"])
        assert client.get("/_sandbox/oidc/jenkins/jwks").status_code == 404
        assert client.post("/_sandbox/oidc-token", json={"system": "jenkins", "subject": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "no"}, "'name'"),
        ({"name": "a b c"}, "'name'"),
        ({"name": "n" * 121}, "'name'"),
        ({"issuer": "http://gitlab.example.com"}, "'issuer'"),
        ({"subject": ""}, "'subject'"),
        ({"subject": "s" * 601}, "'subject'"),
        ({"audiences": []}, "'audiences'"),
        ({"audiences": ["a", "b"]}, "'audiences'"),
        ({"description": "d" * 601}, "'description'"),
        ({"subject": "other"}, "with name 'prod' already exists"),
        ({"name": "other"}, "Issuer and subject combination must be unique"),
    ],
)
def test_credential_is_refused(entra: Service, pipeline: Json, change: Json, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        entra.directory.create_federated_credential(pipeline["id"], credential(entra, **change), ADMIN)
    assert len(entra.directory.federated_credentials(pipeline["id"])) == 1


def test_twenty_credentials_and_no_more(entra: Service, pipeline: Json) -> None:
    for number in range(2, 21):
        body = credential(entra, name=f"name-{number}", subject=f"subject {number}")
        entra.directory.create_federated_credential(pipeline["id"], body, ADMIN)
    with pytest.raises(GraphError, match="at most 20"):
        entra.directory.create_federated_credential(pipeline["id"], credential(entra, name="one", subject="x"), ADMIN)


def test_credentials_over_graph(entra: Service) -> None:
    with entra.graph() as graph:
        made = body_of(graph.post("/v1.0/applications", json={"displayName": "own"}))
        path = f"/v1.0/applications/{made['id']}/federatedIdentityCredentials"
        created = graph.post(path, json=credential(entra))
        assert created.status_code == 201
        one = f"{path}/{body_of(created)['id']}"
        assert graph.patch(one, json={"subject": "new", "name": "renamed"}).status_code == 204
        found = body_of(graph.get(one))
        assert (found["subject"], found["name"]) == ("new", "prod")
        assert body_of(graph.get(f"{path}/prod"))["id"] == found["id"]
        assert graph.delete(one).status_code == 204
        assert (graph.get(one).status_code, body_of(graph.get(path))["value"]) == (404, [])
