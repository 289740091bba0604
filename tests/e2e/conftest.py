"""A stack for each test, with nothing in it or deployed already: a moment that the sandbox is brought back to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from sandbox.nocobase import server
from sandbox.place import PROJECT, Place
from sandbox.setup import nocobase_url
from tests.e2e import deployer as bootstrap
from tests.e2e import moments, outside
from tests.e2e.deployer import Deployer
from tests.e2e.forked import forked
from tests.e2e.moments import Moment
from tests.e2e.outside import sandbox_entra
from tests.e2e.stack import ATTACHED, NAME, NOWHERE, Stack, graph, surroundings

__all__ = ["NOWHERE", "Stack", "graph", "sandbox_entra"]

NEW_YEAR = {"PROVISIONING_TODAY": "2027-01-01"}
"""The day of the first deployment of `deployed_at_new_year`."""

APRIL = {"PROVISIONING_TODAY": "2027-04-03"}
"""The day of the rotation of `rotated`; it is due since 2027-04-01."""


@pytest.fixture(scope="session")
def attached(place: Place) -> Iterator[None]:
    """An azuread stand-in that goes on running: its start would be a fifth of each command."""
    command = [sys.executable, "-m", "sandbox.azuread", "--attached"]
    with subprocess.Popen(command, cwd=PROJECT, env=surroundings(place), stdout=subprocess.PIPE, text=True) as plugin:
        assert plugin.stdout is not None
        ATTACHED[place.home] = plugin.stdout.readline().strip()
        yield
        del ATTACHED[place.home]
        plugin.terminate()


@pytest.fixture(scope="session")
def empty(place: Place, attached: None) -> Iterator[Moment]:
    """The stack `dev` exists, selected and empty."""
    with forked(place):
        Stack(place).pulumi("stack", "select", "--create", NAME)
        yield moments.without_credentials(moments.take(place))
        outside.forget()


@pytest.fixture(scope="session")
def deployed_once(place: Place, empty: Moment) -> Callable[..., Moment]:
    """The moment after the first `up` in an environment with the given variables, deployed once for all tests."""
    made: dict[tuple[tuple[str, str], ...], Moment] = {}

    def deploy(**extra: str) -> Moment:
        key = tuple(sorted(extra.items()))
        if key not in made:
            at(place, empty).up(extra=extra)
            made[key] = moments.take(place)
        return made[key]

    return deploy


@pytest.fixture(scope="session")
def rotated_once(place: Place, deployed_once: Callable[..., Moment]) -> Moment:
    """The moment after the first rotation, made once for all tests."""
    at(place, deployed_once(**NEW_YEAR)).up(extra=APRIL)
    return moments.take(place)


def at(place: Place, moment: Moment) -> Stack:
    """The stack `dev` at that moment, with a NocoBase that runs."""
    moments.go_back(place, moment)
    # The address in the stack's settings is right again only now.
    server.start(place, int(nocobase_url(place).rpartition(":")[2]))
    return Stack(place)


@pytest.fixture
def stack(place: Place, empty: Moment) -> Stack:
    """The stack `dev`, empty. What a test leaves anywhere is gone at the begin of the next one."""
    return at(place, empty)


@pytest.fixture
def deployed(place: Place, deployed_once: Callable[..., Moment]) -> Stack:
    """The stack `dev` after its first `up`, today."""
    return at(place, deployed_once())


@pytest.fixture
def deployed_at_new_year(place: Place, deployed_once: Callable[..., Moment]) -> Stack:
    """The stack `dev` after its first `up`, on 2027-01-01."""
    return at(place, deployed_once(**NEW_YEAR))


@pytest.fixture
def rotated(place: Place, rotated_once: Moment) -> Stack:
    """The stack `dev` that was deployed on 2027-01-01, after its rotation on 2027-04-03: two secrets are there."""
    return at(place, rotated_once)


@pytest.fixture(scope="session")
def deployer_once(place: Place, empty: Moment) -> tuple[Deployer, Moment]:
    """The deployer of bootstrap/ with no settings but its repository, and the moment after it was made."""
    moments.go_back(place, empty)
    with bootstrap.made(place) as deployer:
        return deployer, moments.take(place)


@pytest.fixture
def deployer(place: Place, deployer_once: tuple[Deployer, Moment]) -> Deployer:
    """That deployer, beside the empty stack `dev`."""
    made, moment = deployer_once
    at(place, moment)
    return made
