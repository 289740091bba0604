"""Who has consented, and whether somebody has to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning.doctor import consent
from provisioning.doctor.runner import Outcome
from provisioning.entra.registration import Grant
from provisioning.entra.rules import Audience
from provisioning.errors import DirectoryUnreadable

OK, WARNING, FAILED = Outcome.OK, Outcome.WARNING, Outcome.FAILED
SCOPES = ("email", "offline_access", "IMAP.AccessAsUser.All", "SMTP.Send", "User.Read")
URL = "https://login.microsoftonline.com/t/adminconsent?client_id=c"

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
    found = consent.check_consent(SCOPES, grants, Audience.ANY_TENANT, declared, URL)
    assert found.outcome is outcome
    assert said in found.said
    assert found.outcome is not WARNING or URL in (found.remedy or "")


def test_personal_accounts_have_no_administrator() -> None:
    assert consent.check_consent(SCOPES, [], Audience.PERSONAL, False, URL).outcome is OK


def test_unreadable_consent_is_told() -> None:
    found = consent.check_unreadable_consent(DirectoryUnreadable("x", "403 Authorization_RequestDenied"), URL)
    assert (found.outcome, found.said) == (
        WARNING,
        "it could not be read who has consented (403 Authorization_RequestDenied)",
    )
