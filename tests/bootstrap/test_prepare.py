"""Who signs in and who owns the deployer: by the rules of the main program."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from deployer import left_behind, settings
from deployer import prepare as preparing
from deployer.left_behind import LeftBehind
from provisioning.entra.ownership import Owner
from provisioning.errors import SignInRejected
from provisioning.program import stack
from provisioning.program.caller import Caller
from provisioning.resource_types import APPLICATION_TYPE, PRINCIPAL_TYPE

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

FIRST, NEXT = "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "2b4e28ba-2fa1-11d2-883f-0016d3cca427"
GITHUB = {"githubRepository": "contoso/mail"}


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """`NEXT` runs a stack that `FIRST` has made; Entra ID knows a further owner. What is configured."""
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    outputs = {"objectId": "object", "clientId": "client", "displayName": "deployer", "owners": [FIRST]}
    state: dict[str, Any] = {f"urn::{kind}::deployer": {"type": kind, "outputs": outputs} for kind in KINDS}
    configured = dict(GITHUB)
    monkeypatch.setattr(stack, "_read_resources", lambda _: state)
    monkeypatch.setattr(stack, "_whole_name", lambda: "organization/nocobase-outlook-bootstrap/deployer")
    monkeypatch.setattr(preparing, "sign_in", lambda: Caller(NEXT, "tenant", application=False))
    monkeypatch.setattr(settings, "configuration", lambda: (configured, "bootstrap"))
    for read in ("application_owners", "principal_owners"):
        monkeypatch.setattr(directory, read, lambda _: (Owner(FIRST), Owner("by hand")))
    monkeypatch.setattr(left_behind, "find", lambda *_: LeftBehind())
    return configured


KINDS = (APPLICATION_TYPE, PRINCIPAL_TYPE)


@pytest.mark.usefixtures("signed_in")
def test_whoever_runs_it_next_is_added_and_nobody_is_dropped() -> None:
    run = preparing.prepare("deployer")
    assert run.owners.object_ids == run.principal_owners.object_ids == tuple(sorted([FIRST, NEXT, "by hand"]))


def test_who_is_no_longer_to_be_an_owner_is_named(signed_in: dict[str, str]) -> None:
    signed_in["formerOwners"] = f'["{FIRST}"]'
    run = preparing.prepare("deployer")
    assert run.owners.object_ids == run.principal_owners.object_ids == tuple(sorted([NEXT, "by hand"]))
    signed_in["formerOwners"] = f'["{NEXT}"]'
    with pytest.raises(pulumi.RunError, match="would lock itself out"):
        preparing.prepare("deployer")


@pytest.mark.usefixtures("signed_in")
def test_a_refused_sign_in_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Caller:
        raise SignInRejected("The sign-in to Entra ID failed: x.", "x")

    monkeypatch.setattr(preparing, "sign_in", refuse)
    with pytest.raises(pulumi.RunError, match=r"^The sign-in to Entra ID failed: x\.$"):
        preparing.prepare("deployer")
