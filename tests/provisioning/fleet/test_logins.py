"""Whose NocoBase each login in the environment is for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.fleet.logins import Granted, addresses, any_login, deployed_and_configured, granted
from provisioning.nocobase.login import LOGIN_VARIABLES, load_login

HERE, THERE = "https://here.example.com", "https://there.example.com"
KEY = "NOCOBASE_API_KEY"
APART = {"prod-eu": {"": HERE}, "test": {"": THERE}}


def logins(found: Granted) -> dict[str, str]:
    """The variables that are left with a value."""
    return {name: value for name, value in found.variables.items() if value}


@pytest.mark.parametrize(
    ("stacks", "own", "environment", "left", "withheld"),
    [
        pytest.param({"prod": {"": HERE}}, [], {KEY: "k"}, {}, {}, id="one stack: as it is"),
        pytest.param({"prod": {"": HERE}}, [], {f"{KEY}_PROD": "p", KEY: "k"}, {KEY: "p"}, {}, id="named"),
        pytest.param({"prod": {"": HERE}, "b": {"": HERE}}, [], {KEY: "k"}, {KEY: "k"}, {}, id="one address"),
        pytest.param({"prod": {"": HERE}, "b": {"": HERE}}, [""], {KEY: "k"}, {}, {}, id="a key of its own"),
        pytest.param({"prod": {"": HERE}, "b": {}}, [], {KEY: "k"}, {}, {""}, id="beside one that is not known"),
        pytest.param(
            {"prod": {"": HERE, "east": THERE}, "b": {}},
            [""],
            {f"{KEY}_EAST": "e"},
            {},
            {"east"},
            id="which may have a further one of that name",
        ),
        pytest.param(
            {"prod": {"": HERE, "east": THERE}, "b": {}},
            [],
            {f"{KEY}_PROD": "p", f"{KEY}_PROD__EAST": "e", f"{KEY}_B": "b", KEY: "k"},
            {KEY: "p", f"{KEY}_EAST": "e"},
            {},
            id="but not what names another stack",
        ),
        pytest.param({"prod": {"": HERE}, "b": {"": THERE}}, [], {KEY: "k"}, {}, {""}, id="two addresses"),
        pytest.param({"prod": {"": HERE}, "b": {"": THERE}}, [""], {KEY: "k"}, {}, {}, id="own, two addresses"),
        pytest.param(
            {"prod": {"": HERE}, "b": {"": THERE}},
            [""],
            {KEY: "k", "NOCOBASE_ACCOUNT_PROD": "me", "NOCOBASE_PASSWORD_PROD": "w", f"{KEY}_B": "b"},
            {"NOCOBASE_ACCOUNT": "me", "NOCOBASE_PASSWORD": "w"},
            {},
            id="a named account comes first, alone",
        ),
        pytest.param(
            {"acme/prod": {"": HERE}, "b": {"": THERE}}, [], {f"{KEY}_PROD": "p"}, {KEY: "p"}, {}, id="organization"
        ),
        pytest.param(
            {"prod.eu": {"": HERE}, "prod-eu": {"": THERE}}, [], {f"{KEY}_PROD_EU": "p"}, {}, {""}, id="two of a name"
        ),
        pytest.param(
            {"prod": {"": HERE}, "b": {"": THERE, "prod": THERE}}, [], {f"{KEY}_PROD": "p"}, {}, {""}, id="or another's"
        ),
        pytest.param(
            {"prod": {"": HERE, "east": THERE}, "b": {"": HERE, "east": THERE}},
            [],
            {KEY: "k", f"{KEY}_EAST": "e"},
            {KEY: "k", f"{KEY}_EAST": "e"},
            {},
            id="further ones at one address",
        ),
        pytest.param(
            {"prod": {"": HERE, "east": HERE}, "b": {"": HERE, "east": THERE}},
            [""],
            {f"{KEY}_EAST": "e"},
            {},
            {},
            id="a further one falls back on the main one's",
        ),
        pytest.param(
            {"prod": {"": HERE, "east": THERE}, "b": {"": HERE, "east": HERE}},
            [""],
            {f"{KEY}_EAST": "e"},
            {},
            {"east"},
            id="further ones apart",
        ),
        pytest.param(
            {"prod": {"": HERE, "east": THERE}, "b": {"": HERE}},
            [],
            {f"{KEY}_PROD__EAST": "e", f"{KEY}_PROD__GONE": "g"},
            {f"{KEY}_EAST": "e", f"{KEY}_GONE": "g"},
            {},
            id="further ones by name, also one that is not declared any more",
        ),
        pytest.param({"prod": {"": HERE}, "b": {"": THERE}}, [], {f"{KEY}S": "k"}, {}, {}, id="no login at all"),
    ],
)
def test_what_a_stack_gets(
    stacks: dict[str, dict[str, str]],
    own: list[str],
    environment: dict[str, str],
    left: dict[str, str],
    withheld: set[str],
) -> None:
    found = granted(next(iter(stacks)), stacks, own, environment)
    assert logins(found) == left
    assert set(found.withheld) == set(withheld)
    assert any_login(environment) is (f"{KEY}S" not in environment)


def test_it_says_which_variable_to_set() -> None:
    why = granted("prod-eu", APART, [], {"NOCOBASE_ACCOUNT": "me", "NOCOBASE_PASSWORD": "hidden"}).withheld[""]
    assert why == (
        "no key of its own: NOCOBASE_ACCOUNT can be meant for different addresses, and is sent to none of them. "
        "Set NOCOBASE_API_KEY_PROD_EU, or run `pulumi config set --stack prod-eu --secret nocobaseApiKey`"
    )
    further = {"prod": {"": HERE, "east": THERE}, "b": {"": HERE, "east": HERE}}
    assert (
        "Set NOCOBASE_API_KEY_PROD__EAST, or run"
        in granted("prod", further, [""], {f"{KEY}_EAST": "e"}).withheld["east"]
    )
    twice = {"a.b": {"": HERE}, "a-b": {"": THERE}}
    assert (
        ". Run `pulumi config set --stack a.b --secret" in granted("a.b", twice, [], {f"{KEY}_A_B": "k"}).withheld[""]
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"nocobaseUrl": "HTTPS://Here.example.com:443/"}, {"": HERE}),
        (
            {"nocobaseUrl": HERE, "nocobaseInstallations": f'[{{"name": "east", "url": "{THERE}/"}}, 1]'},
            {"": HERE, "east": THERE},
        ),
        ({"nocobaseUrl": "here", "nocobaseInstallations": "{"}, {"": "here"}),
        ({"nocobaseInstallations": "7"}, {"": ""}),
    ],
)
def test_addresses_are_compared_in_one_spelling(config: dict[str, str], expected: dict[str, str]) -> None:
    assert addresses(config) == expected


@pytest.mark.parametrize(
    ("deployed", "configured", "expected"),
    [
        ({}, {"": HERE}, {"": HERE}),
        ({"": HERE, "gone": THERE}, {"": HERE, "new": THERE}, {"": HERE, "gone": THERE, "new": THERE}),
        ({"": HERE}, {"": THERE}, {"": f"{HERE} → {THERE}"}),
        ({"": HERE}, {"": ""}, {"": HERE}),
        ({}, {"": ""}, {}),
    ],
)
def test_a_nocobase_that_is_to_move_is_at_neither_address(
    deployed: dict[str, str], configured: dict[str, str], expected: dict[str, str]
) -> None:
    assert deployed_and_configured(deployed, configured) == expected


NAMES = st.sampled_from(["a", "b", "a-b", "a--b", "a__b", "A.B", "acme/a", "b.c"])
INSTALLATIONS = st.dictionaries(st.sampled_from(["a", "b", "a-b", "c"]), st.sampled_from([HERE, THERE]), max_size=3)
STACKS = st.dictionaries(
    NAMES, st.builds(lambda at, more: {"": at, **more}, st.sampled_from([HERE, THERE]), INSTALLATIONS), min_size=2
)
SUFFIXES = st.sampled_from(["", "_A", "_B", "_A_B", "_A__B", "_B__A_B", "_C", "_B_C__A"])


@given(STACKS, st.sets(st.tuples(st.sampled_from(LOGIN_VARIABLES), SUFFIXES)))
def test_no_login_is_sent_to_two_addresses(stacks: dict[str, dict[str, str]], variables: set[tuple[str, str]]) -> None:
    environment = {name + suffix: f"value of {name}{suffix}" for name, suffix in variables}
    reached: dict[str, set[str]] = {}
    for stack, places in stacks.items():
        given = {**environment, **granted(stack, stacks, [], environment).variables}
        for installation, address in places.items():
            login = load_login(None, given, installation)
            for secret in login.secrets if login else ():
                reached.setdefault(secret, set()).add(address)
    assert all(len(places) == 1 for secret, places in reached.items() if secret)
