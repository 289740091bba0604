"""The sign-in page and the consent URL: who may consent to what, and where a browser is led back."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from provisioning.entra.permissions import by_resource, of_scopes
from provisioning.entra.scopes import DEFAULT_SCOPES
from sandbox.entra import identity
from sandbox.entra.browser import USER, same_redirect_uri
from sandbox.entra.policies import FOR_THEMSELVES, LEGACY
from tests.sandbox.entra.service import Service

ME = identity.DEPLOYER_OBJECT_ID
URI = "https://nocobase.example.com/admin/settings/mail/oauth2"
MAIL = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access"


def register(entra: Service, **principal: Any) -> str:
    """An application with a service principal; its client ID."""
    access = [
        {"resourceAppId": resource, "resourceAccess": [{"id": one.id, "type": one.kind} for one in listed]}
        for resource, listed in by_resource(of_scopes(DEFAULT_SCOPES)).items()
    ]
    body = {"displayName": "mail", "web": {"redirectUris": [URI]}, "requiredResourceAccess": access}
    made = entra.directory.create_application(body, ME, [])
    entra.directory.create_service_principal({"appId": made["appId"], **principal}, ME, [])
    return str(made["appId"])


def opened(entra: Service, path: str, **parameters: str) -> httpx.Response:
    with entra.client() as client:
        return client.get(f"/{identity.TENANT_ID}/{path}", params=parameters)


def sign_in(entra: Service, own: str, **changed: str) -> httpx.Response:
    asked = {"client_id": own, "redirect_uri": URI, "scope": MAIL, "response_type": "code", "state": "s"}
    return opened(entra, "oauth2/v2.0/authorize", **{**asked, **changed})


def grants(entra: Service) -> list[tuple[str, str | None, str]]:
    every = entra.directory.objects("oauth2PermissionGrants")
    return [(grant["consentType"], grant["principalId"], grant["scope"]) for grant in every]


def test_a_new_tenant_lets_no_user_consent_to_mail(entra: Service) -> None:
    client_id = register(entra)
    refused = sign_in(entra, client_id)
    assert (refused.status_code, "AADSTS90094" in refused.text) == (400, True)
    assert grants(entra) == []
    assert sign_in(entra, client_id, scope="User.Read https://outlook.office.com/SMTP.Send").is_redirect


def test_an_administrators_consent_lets_everybody_in(entra: Service) -> None:
    client_id = register(entra)
    led = urlsplit(opened(entra, "adminconsent", client_id=client_id).headers["location"])
    assert f"{led.scheme}://{led.netloc}{led.path}" == URI
    assert parse_qs(led.query) == {"admin_consent": ["True"], "tenant": [identity.TENANT_ID]}
    assert grants(entra) == [("AllPrincipals", None, " ".join(DEFAULT_SCOPES))]
    back = parse_qs(urlsplit(sign_in(entra, client_id).headers["location"]).query)
    assert (set(back), back["state"]) == ({"code", "state"}, ["s"])
    opened(entra, "adminconsent", client_id=client_id)
    assert len(grants(entra)) == 1


def test_an_older_tenant_lets_users_consent_each_for_themselves(entra: Service) -> None:
    entra.behave(consent_policies=[f"{FOR_THEMSELVES}{LEGACY}"])
    assert sign_in(entra, register(entra)).is_redirect
    ((kind, user, scopes),) = grants(entra)
    assert (kind, user, set(scopes.split())) == ("Principal", USER, {"IMAP.AccessAsUser.All", "SMTP.Send"})
    entra.behave(consent_policies=[])
    assert sign_in(entra, register(entra)).status_code == 400


@pytest.mark.parametrize(
    ("changed", "principal", "code"),
    [
        ({"redirect_uri": f"{URI}/"}, {}, "AADSTS50011"),
        ({"redirect_uri": URI.replace("mail", "Mail")}, {}, "AADSTS50011"),
        ({"client_id": "unknown"}, {}, "AADSTS700016"),
        ({}, {"accountEnabled": False}, "AADSTS7000112"),
        ({}, {"appRoleAssignmentRequired": True}, "AADSTS50105"),
    ],
)
def test_what_a_sign_in_is_rejected_for(
    entra: Service, changed: dict[str, str], principal: dict[str, Any], code: str
) -> None:
    assert code in sign_in(entra, register(entra, **principal), **changed).text


@pytest.mark.parametrize(
    ("asked", "registered", "same"),
    [
        ("http://localhost:1/x", "http://localhost/x", True),
        ("http://127.0.0.1:1/x", "http://127.0.0.1:2/x", True),
        ("https://localhost:1/x", "http://localhost/x", False),
        ("http://localhost:1/x", "http://127.0.0.1:1/x", False),
        ("http://localhost:1/X", "http://localhost:1/x", False),
        ("https://a.example.com:8443/x", "https://a.example.com/x", False),
    ],
)
def test_only_the_port_of_this_machine_does_not_count(asked: str, registered: str, same: bool) -> None:
    assert same_redirect_uri(asked, registered) is same


def test_a_second_consent_for_everybody_is_refused_whatever_its_scopes(entra: Service) -> None:
    client_id = register(entra)
    opened(entra, "adminconsent", client_id=client_id)
    (present,) = entra.directory.objects("oauth2PermissionGrants")
    again = {key: present[key] for key in ("clientId", "resourceId", "consentType")}
    with entra.graph() as graph:
        for more in ({"scope": "Mail.Send"}, {"scope": "Mail.Send", "principalId": ""}):
            assert graph.post("/v1.0/oauth2PermissionGrants", json={**again, **more}).status_code == 409


def test_nobody_signs_in_to_a_deactivated_application(entra: Service) -> None:
    client_id = register(entra)
    application = entra.directory.by_app_id("applications", client_id) or {}
    entra.directory.update_application(application["id"], {"isDisabled": True}, ME)
    assert "AADSTS7000112" in sign_in(entra, client_id).text
