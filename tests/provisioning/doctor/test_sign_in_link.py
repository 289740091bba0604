"""What NocoBase's sign-in link means."""

from __future__ import annotations

import pytest

from provisioning.doctor import sign_in_link
from provisioning.doctor.runner import Outcome
from provisioning.entra.rules import Audience
from provisioning.nocobase.sign_in_link import SignIn, parse_link
from tests.provisioning.checkpoints import CLIENT_ID, REDIRECT_URI, TENANT_ID
from tests.provisioning.status.test_compare import ONE

OK, WARNING, FAILED = Outcome.OK, Outcome.WARNING, Outcome.FAILED
MAIL = ("https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send")
SCOPES = ("email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read")


def link(tenant: str = "common", *scopes: str) -> SignIn:
    """NocoBase's sign-in link."""
    return SignIn(CLIENT_ID, REDIRECT_URI, scopes or ("email", "offline_access", *MAIL), tenant)


def test_a_link_is_read_whole() -> None:
    found = parse_link(
        "https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize"
        "?client_id=c&redirect_uri=https%3A%2F%2Fx%2Fy&scope=email%20offline_access&response_type=code"
    )
    assert found == SignIn("c", "https://x/y", ("email", "offline_access"), "organizations")
    assert parse_link("") == parse_link("https://login.microsoftonline.com/") == SignIn(None, None)


def test_a_link_that_nocobase_builds() -> None:
    (push,) = ONE.pushes
    assert sign_in_link.check_link(push, link()).value == link()
    assert sign_in_link.check_link(push, SignIn(None, None)).outcome is FAILED


def test_client_id_and_redirect_uri_of_the_link() -> None:
    assert sign_in_link.check_client_id(link(), CLIENT_ID).outcome is OK
    assert sign_in_link.check_client_id(SignIn("5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11", None), CLIENT_ID).said == (
        f"the link names 5d0e3c4f-6a6b-4f0c-9f52-1f2c1c0b7a11 instead of {CLIENT_ID}"
    )
    assert "a~secret" not in sign_in_link.check_client_id(SignIn("a~secret by mistake", None), CLIENT_ID).said
    assert sign_in_link.check_redirect_uri(link(), [REDIRECT_URI]).outcome is OK
    here = SignIn(CLIENT_ID, "http://localhost:13001/x")
    assert sign_in_link.check_redirect_uri(here, ["http://localhost:13000/x"]).outcome is OK
    assert "AADSTS50011" in sign_in_link.check_redirect_uri(link(), ["https://x"]).said
    assert sign_in_link.check_redirect_uri(SignIn(CLIENT_ID, None), [REDIRECT_URI]).outcome is FAILED


@pytest.mark.parametrize(
    ("scopes", "outcome", "said"),
    [
        (("email", "offline_access", *MAIL), OK, "email, offline_access, IMAP.AccessAsUser.All, SMTP.Send"),
        (("openid", "profile", "offline_access", *MAIL), OK, "openid"),
        (("offline_access", "https://outlook.office.com/.default"), OK, ".default"),
        (("offline_access", "User.Read", "https://graph.microsoft.com/SMTP.Send"), OK, "SMTP.Send"),
        (("offline_access", "https://outlook.office.com//SMTP.Send", *MAIL), OK, "SMTP.Send"),
        (("email", *MAIL), FAILED, "offline_access is not asked for"),
        (("offline_access", "User.Read", *MAIL), WARNING, "AADSTS70011"),
        (("offline_access", "Mail.Read"), WARNING, "Mail.Read is asked for and not declared"),
        (("offline_access", "Some.Thing"), WARNING, "Some.Thing is asked for and not declared"),
    ],
)
def test_scopes_of_the_link(scopes: tuple[str, ...], outcome: Outcome, said: str) -> None:
    found = sign_in_link.check_scopes(link("common", *scopes), SCOPES)
    assert found.outcome is outcome
    assert said in found.said


def test_an_undeclared_scope_that_can_be_declared_is_to_be() -> None:
    found = sign_in_link.check_scopes(link("common", "offline_access", "Mail.Read"), SCOPES)
    assert found.remedy == "Add it to the setting scopes, then pulumi up."


@pytest.mark.parametrize(
    ("audience", "page", "outcome"),
    [
        (Audience.ONE_TENANT, TENANT_ID, OK),
        (Audience.ONE_TENANT, "contoso.example.com", WARNING),
        (Audience.ONE_TENANT, "common", FAILED),
        (Audience.ONE_TENANT, "organizations", FAILED),
        (Audience.ONE_TENANT, "consumers", FAILED),
        (Audience.ANY_TENANT, "organizations", OK),
        (Audience.ANY_TENANT, "common", OK),
        (Audience.ANY_TENANT, TENANT_ID, WARNING),
        (Audience.ANY_TENANT, "consumers", FAILED),
        (Audience.ANY_TENANT_AND_PERSONAL, "common", OK),
        (Audience.ANY_TENANT_AND_PERSONAL, "organizations", WARNING),
        (Audience.ANY_TENANT_AND_PERSONAL, "consumers", WARNING),
        (Audience.ANY_TENANT_AND_PERSONAL, TENANT_ID, WARNING),
        (Audience.PERSONAL, "consumers", OK),
        (Audience.PERSONAL, "common", FAILED),
        (Audience.PERSONAL, "organizations", FAILED),
        (Audience.PERSONAL, TENANT_ID, FAILED),
    ],
)
def test_tenant_of_the_link(audience: Audience, page: str, outcome: Outcome) -> None:
    found = sign_in_link.check_page(link(page), audience, TENANT_ID)
    assert found.outcome is outcome
    # What the remedy advises makes the check pass, or is for a person to find out.
    advised = [word for word in (found.remedy or "").replace(",", " ").split() if word in list(Audience)]
    for name in advised:
        assert sign_in_link.check_page(link(page), Audience(name), TENANT_ID).outcome is OK


def test_a_link_without_a_tenant() -> None:
    assert sign_in_link.check_page(SignIn(CLIENT_ID, None), Audience.ONE_TENANT, TENANT_ID).outcome is FAILED
