"""What the answers to `verify`'s questions mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from provisioning.doctor import chain
from provisioning.doctor.runner import Outcome
from provisioning.entra.permissions import of_scopes
from provisioning.entra.registration import Grant
from provisioning.entra.rules import Audience
from provisioning.entra.token_check import Rejection
from provisioning.errors import DirectoryUnreadable
from provisioning.nocobase.push import SignIn, parse_link
from tests.provisioning.checkpoints import CLIENT_ID, REDIRECT_URI, TENANT_ID
from tests.provisioning.status.test_compare import ONE, held, registration

OK, WARNING, FAILED = Outcome.OK, Outcome.WARNING, Outcome.FAILED
MAIL = ("https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office.com/SMTP.Send")
SCOPES = ("email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read")
URL = "https://login.microsoftonline.com/t/adminconsent?client_id=c"


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


def test_the_application() -> None:
    assert ONE.application is not None
    declared = ONE.application.declared
    assert chain.judge_application(declared, registration()).outcome is OK
    assert chain.judge_application(declared, None).said == "it is not in Entra ID any more"
    assert "its audience is X" in chain.judge_application(declared, registration(audience="X")).said
    # What has a line of its own is not told twice.
    other = registration(permissions=frozenset(of_scopes(["email"])), redirect_uris=frozenset({"https://x"}))
    assert chain.judge_application(declared, other).outcome is OK
    assert chain.judge_permissions(declared, other).said == (
        "the declared permission SMTP.Send is missing; the permission email is not declared"
    )
    assert chain.judge_permissions(declared, registration()).said == "SMTP.Send"
    assert chain.judge_redirect_uris(declared, other).said == (
        f"the declared redirect URI {REDIRECT_URI} is missing; the redirect URI https://x is not declared"
    )
    assert chain.judge_redirect_uris(declared, registration()).said == REDIRECT_URI


def test_the_service_principal() -> None:
    assert chain.judge_principal("id").value == "id"
    assert "AADSTS7000229" in chain.judge_principal(None).said


def test_client_secrets() -> None:
    (secret,) = ONE.secrets
    later = replace(secret, ends=datetime(2027, 9, 1, tzinfo=UTC))
    assert chain.judge_secrets([]).outcome is FAILED
    found = chain.judge_secrets([(secret, None), (later, None)])
    assert found.said == (
        "the token endpoint accepts slot a, until 2027-06-30; the token endpoint accepts slot a, until 2027-09-01"
    )
    refused = chain.judge_secrets([(secret, Rejection("AADSTS7000222: Client secret has expired", "pulumi up"))])
    assert (refused.outcome, refused.remedy) == (FAILED, "pulumi up")
    assert "slot a (AADSTS7000222: Client secret has expired)" in refused.said


def test_what_nocobase_holds() -> None:
    (push,) = ONE.pushes
    assert "which it hides" in chain.judge_row(ONE, push, held().row).said
    assert "hides" not in chain.judge_row(ONE, push, held(client_secret="value-a").row).said
    assert chain.judge_row(ONE, push, held(client_id="").row).outcome is FAILED
    assert chain.judge_link(push, link()).value == link()
    assert chain.judge_link(push, SignIn(None, None)).outcome is FAILED


def test_client_id_and_redirect_uri_of_the_link() -> None:
    assert chain.judge_link_client(link(), CLIENT_ID).outcome is OK
    assert chain.judge_link_client(SignIn("theirs", None), CLIENT_ID).said == (
        f"the link names theirs instead of {CLIENT_ID}"
    )
    assert "…" in chain.judge_link_client(SignIn("a~secret by mistake", None), CLIENT_ID).said
    assert chain.judge_link_redirect(link(), [REDIRECT_URI]).outcome is OK
    assert "AADSTS50011" in chain.judge_link_redirect(link(), ["https://x"]).said
    assert chain.judge_link_redirect(SignIn(CLIENT_ID, None), [REDIRECT_URI]).outcome is FAILED


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
    found = chain.judge_link_scopes(link("common", *scopes), SCOPES)
    assert found.outcome is outcome
    assert said in found.said


def test_an_undeclared_scope_that_can_be_declared_is_to_be() -> None:
    found = chain.judge_link_scopes(link("common", "offline_access", "Mail.Read"), SCOPES)
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
    found = chain.judge_link_tenant(link(page), audience, TENANT_ID)
    assert found.outcome is outcome
    # What the remedy advises makes the check pass, or is for a person to find out.
    advised = [word for word in (found.remedy or "").replace(",", " ").split() if word in list(Audience)]
    for name in advised:
        assert chain.judge_link_tenant(link(page), Audience(name), TENANT_ID).outcome is OK


def test_a_link_without_a_tenant() -> None:
    assert chain.judge_link_tenant(SignIn(CLIENT_ID, None), Audience.ONE_TENANT, TENANT_ID).outcome is FAILED


ALL = Grant("graph", frozenset(SCOPES), everybody=True)
HALF = Grant("graph", frozenset({"email", "offline_access", "User.Read"}), everybody=True)
USER = Grant("exchange", frozenset({"SMTP.Send"}), everybody=False)


@pytest.mark.parametrize(
    ("grants", "declared", "outcome", "said"),
    [
        ([ALL], False, OK, f"for everybody in the tenant: {', '.join(SCOPES)}"),
        ([HALF, replace(ALL, resource_id="exchange", scopes=frozenset(SCOPES[2:4]))], True, OK, "for everybody"),
        ([], False, WARNING, f"by nobody yet: {', '.join(SCOPES)}"),
        ([], True, FAILED, "consent is declared for the tenant, and missing: by nobody yet"),
        (
            [HALF, USER, USER],
            False,
            WARNING,
            "for everybody: email, offline_access, User.Read; by single users: SMTP.Send (2); "
            "by nobody yet: IMAP.AccessAsUser.All",
        ),
    ],
)
def test_consent(grants: list[Grant], declared: bool, outcome: Outcome, said: str) -> None:
    found = chain.judge_consent(SCOPES, grants, Audience.ANY_TENANT, declared, URL)
    assert found.outcome is outcome
    assert said in found.said
    assert found.outcome is not WARNING or URL in (found.remedy or "")


def test_personal_accounts_have_no_administrator() -> None:
    assert chain.judge_consent(SCOPES, [], Audience.PERSONAL, False, URL).outcome is OK


def test_unreadable_consent_is_told() -> None:
    found = chain.judge_unreadable_consent(DirectoryUnreadable("x", "403 Authorization_RequestDenied"), URL)
    assert (found.outcome, found.said) == (
        WARNING,
        "it could not be read who has consented (403 Authorization_RequestDenied)",
    )
