"""Limits of an application registration, and which redirect URIs Entra ID takes for the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.entra.permissions import Permission
from provisioning.entra.rules import (
    Audience,
    accepts_redirect_uri,
    matches_redirect_uri,
    why_too_many_owners,
    why_too_many_permissions,
)
from sandbox.entra.browser import same_redirect_uri

PERSONAL, WORK = Audience.ANY_TENANT_AND_PERSONAL, Audience.ANY_TENANT


def permissions(*numbers: int) -> list[Permission]:
    """So many permissions of each of several APIs, every second one an application permission."""
    return [
        Permission(f"api-{api}", str(one), ("Scope", "Role")[one % 2])
        for api, number in enumerate(numbers)
        for one in range(number)
    ]


@pytest.mark.parametrize(
    ("numbers", "audience", "said"),
    [
        ((30,), PERSONAL, None),
        ((31,), PERSONAL, "31 permissions of the API api-0, those of scopes among them"),
        ((5, 31), PERSONAL, "31 permissions of the API api-1"),
        ((30,) * 6 + (20,), PERSONAL, None),
        ((30,) * 6 + (21,), PERSONAL, "201 permissions, those of scopes among them"),
        ((399, 1), WORK, None),
        ((399, 2), WORK, "401 permissions"),
        ((1,) * 50, PERSONAL, None),
        ((1,) * 51, WORK, "of 51 APIs"),
        ((), PERSONAL, None),
    ],
)
def test_every_permission_counts(numbers: tuple[int, ...], audience: Audience, said: str | None) -> None:
    why = why_too_many_permissions(permissions(*numbers) * 2, audience)
    assert (why is None) is (said is None)
    assert said is None or said in str(why)


def test_owners() -> None:
    assert why_too_many_owners(100) is None
    assert "101 owners" in str(why_too_many_owners(101))


@pytest.mark.parametrize(
    ("asked", "registered", "matches", "accepted"),
    [
        ("https://n.example.com/x", "https://n.example.com/x", True, True),
        ("https://n.example.com/X", "https://n.example.com/x", False, False),
        ("https://n.example.com/x", "https://*.example.com/x", True, True),
        ("https://evil.com/.example.com/x", "https://*.example.com/x", False, False),
        ("https://nXexample.com/x", "https://n.example.com/x", False, False),
        ("http://localhost:13001/x", "http://localhost:13000/x", False, True),
        ("http://localhost:13001/y", "http://localhost:13000/x", False, False),
        ("http://127.0.0.1:1/x", "http://localhost:1/x", False, False),
        ("https://[", "https://n.example.com/x", False, False),
    ],
)
def test_which_redirect_uri_is_the_registered_one(asked: str, registered: str, matches: bool, accepted: bool) -> None:
    assert matches_redirect_uri(asked, registered) is matches
    assert accepts_redirect_uri(asked, registered) is accepted


@given(
    st.sampled_from(
        ["http://localhost", "http://localhost:1", "https://localhost:2", "http://127.0.0.1:3", "https://a:4"]
    ),
    st.sampled_from(
        ["http://localhost", "http://localhost:1", "https://localhost:2", "http://127.0.0.1:3", "https://a"]
    ),
    st.sampled_from(["/x", "/y"]),
)
def test_the_stand_in_takes_the_same_ones(one: str, other: str, path: str) -> None:
    asked, registered = one + path, f"{other}/x"
    assert accepts_redirect_uri(asked, registered) is same_redirect_uri(asked, registered)
