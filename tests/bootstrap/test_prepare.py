"""Who signs in and who owns the deployer: by the rules of the main program."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from deployer import left_behind, settings
from deployer import prepare as preparing
from deployer.left_behind import TRUST_TYPE, LeftBehind
from provisioning.ending import Ended
from provisioning.entra.registration import Owner
from provisioning.errors import SignInRejected
from provisioning.program import stack
from provisioning.program.caller import Caller
from provisioning.program.last_state import Resources
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
    monkeypatch.setattr(settings, "configuration", lambda: configured)
    for read in ("application_owners", "principal_owners"):
        monkeypatch.setattr(directory, read, lambda _: (Owner(FIRST), Owner("by hand")))
    monkeypatch.setattr(left_behind, "find", lambda *_: LeftBehind())
    return configured


KINDS = (APPLICATION_TYPE, PRINCIPAL_TYPE)


@pytest.mark.usefixtures("signed_in")
def test_the_next_caller_is_added_and_nobody_is_dropped() -> None:
    run = preparing.prepare()
    whole = tuple(sorted([FIRST, NEXT, "by hand"]))
    assert run.deployer.owners.object_ids == run.deployer.principal_owners.object_ids == whole
    # It is yet to be created.
    assert run.preview is not None
    assert run.preview.owners.object_ids == run.preview.principal_owners.object_ids == (NEXT,)


def test_who_is_no_longer_to_be_an_owner_is_named(signed_in: dict[str, str]) -> None:
    signed_in["formerOwners"] = f'["{FIRST}"]'
    deployer = preparing.prepare().deployer
    assert deployer.owners.object_ids == deployer.principal_owners.object_ids == tuple(sorted([NEXT, "by hand"]))
    signed_in["formerOwners"] = f'["{NEXT}"]'
    with pytest.raises(Ended, match="would lock itself out"):
        preparing.prepare()


EARLIER = [f"repo:contoso/mail:environment:{name}" for name in ("test", "prod", "test-preview", "prod-preview")]
RECORDED = {
    (TRUST_TYPE, f"deployer-github-{subject.rpartition(':')[2]}"): {"issuer": "x", "subject": subject}
    for subject in EARLIER
}


def subjects(configured: dict[str, str], recorded: Resources) -> list[str]:
    """Whom the deployer trusts after a run with such a state."""
    return [trust.subject for trust in preparing.with_earlier(settings.load(configured), recorded).trusts]


def test_trusts_of_an_earlier_version_stay_until_a_setting_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi, "warn", said.append)
    new = subjects(GITHUB, {})
    assert not set(EARLIER) & set(new)
    assert said == []
    assert subjects(GITHUB, RECORDED) == [*new, *EARLIER]
    assert subjects({**GITHUB, "githubJobs": json.dumps(["environment:{environment}"])}, RECORDED) == EARLIER
    assert "pulumi config set keepEarlierTrusts false, then pulumi up" in said[0]
    assert subjects({**GITHUB, "keepEarlierTrusts": "false"}, RECORDED) == new
    assert subjects({**GITHUB, "githubRepository": "contoso/other"}, {}) != new
    assert len(said) == 2


def test_trusts_of_an_earlier_version_count_against_the_limit() -> None:
    many = {**GITHUB, "previews": "false", "environments": json.dumps(["test", "prod", *map(str, range(16))])}
    assert len(subjects(many, {})) == 18
    with pytest.raises(Ended, match=r"22 federated credentials; .* 4 of them are of an earlier version"):
        subjects(many, RECORDED)


@pytest.mark.usefixtures("signed_in")
def test_a_rejected_sign_in_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def reject() -> Caller:
        raise SignInRejected("The sign-in to Entra ID failed: x.", "x")

    monkeypatch.setattr(preparing, "sign_in", reject)
    with pytest.raises(Ended, match=r"^The sign-in to Entra ID failed: x\.$"):
        preparing.prepare()
