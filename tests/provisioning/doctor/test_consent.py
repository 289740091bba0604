"""Who has consented, and whether somebody has to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning.doctor import consent
from provisioning.doctor.runner import Outcome
from provisioning.entra.consent import Consenter, Rule, rule
from provisioning.entra.registration import Grant
from provisioning.errors import DirectoryFailure, DirectoryUnreadable
from sandbox.entra.policies import DEFAULT_CONSENT

OK, WARNING, FAILED = Outcome.OK, Outcome.WARNING, Outcome.FAILED
SCOPES = ("email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read")
ALL = Grant("graph", frozenset(SCOPES), everybody=True)
HALF = Grant("graph", frozenset({"email", "offline_access", "User.Read"}), everybody=True)
ADMINISTRATOR = rule(DEFAULT_CONSENT, SCOPES)
USERS = Rule(Consenter.USERS, "users may")
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
    found = consent.check_consent(SCOPES, grants, declared, ADMINISTRATOR)
    assert found.outcome is outcome
    assert said in found.said
    assert found.outcome is not WARNING or "`pulumi stack output adminConsentUrl`" in (found.remedy or "")


def test_unreadable_consent_is_told() -> None:
    found = consent.check_unreadable_consent(DirectoryUnreadable("x", "403 Authorization_RequestDenied"))
    assert (found.outcome, found.said) == (
        WARNING,
        "it could not be read who has consented (403 Authorization_RequestDenied)",
    )


def test_what_is_missing_is_no_trouble_where_users_may_consent() -> None:
    found = consent.check_consent(SCOPES, [], False, USERS)
    assert (found.outcome, "users may" in found.said) == (OK, True)


def test_a_new_tenant_needs_an_administrator_who_is_told_what_the_last_page_shows() -> None:
    before = consent.check_rule(ADMINISTRATOR, declared=False, deployed=False)
    assert before.outcome is WARNING
    assert "users do so for IMAP.AccessAsUser.All" in before.said
    assert "pulumi stack output adminConsentUrl" in (before.remedy or "")
    assert "pulumi config set consent tenant" in (before.remedy or "")
    after = consent.check_consent(SCOPES, [], False, ADMINISTRATOR)
    assert "admin_consent=True" in (after.remedy or "")
    assert consent.check_rule(ADMINISTRATOR, declared=True, deployed=False).outcome is OK
    assert consent.check_rule(ADMINISTRATOR, declared=False, deployed=True).outcome is OK
    assert consent.check_rule(USERS, declared=False, deployed=False).outcome is OK


def test_a_policy_that_cannot_be_read_is_told() -> None:
    error = DirectoryUnreadable("x", "403 Authorization_RequestDenied", DirectoryFailure.DENIED)
    found = consent.check_unreadable_rule(error, deployed=True)
    assert found.outcome is WARNING
    assert "could not be read (403 Authorization_RequestDenied); expect to need an administrator" in found.said
    assert "Policy.Read.All" in (found.remedy or "")
