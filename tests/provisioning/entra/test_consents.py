"""A consent for the tenant that exists already is taken over; a wider one is not narrowed."""

from __future__ import annotations

import pytest

from provisioning.entra.consents import existing_consent
from provisioning.entra.registration import Grant
from provisioning.errors import ConsentExists

GRAPH = "graph"
SCOPES = ("email", "openid")
ELSEWHERE = Grant("another API", frozenset({"x"}), everybody=True, id="1")
A_USERS = Grant(GRAPH, frozenset({"email", "x"}), everybody=False, id="2")


@pytest.mark.parametrize("scopes", [{"email", "openid"}, {"email"}, set()])
def test_a_consent_that_has_no_more_is_taken_over(scopes: set[str]) -> None:
    given = Grant(GRAPH, frozenset(scopes), everybody=True, id="3")
    assert existing_consent([ELSEWHERE, A_USERS, given], GRAPH, SCOPES) == given


def test_a_consent_for_the_tenant_is_not_narrowed() -> None:
    wide = Grant(GRAPH, frozenset({"email", "Mail.Read"}), everybody=True, id="3")
    with pytest.raises(ConsentExists, match=r"more than this stack's scopes \(Mail\.Read\).*config set consent user"):
        existing_consent([wide], GRAPH, SCOPES)


def test_others_consents_do_not_count() -> None:
    assert existing_consent([ELSEWHERE, A_USERS], GRAPH, SCOPES) is None
    assert existing_consent([ELSEWHERE], None, SCOPES) is None
