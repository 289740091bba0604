"""The guard of the first deployment: applications made by hand with the name of the one to be created."""

from __future__ import annotations

import re

import pytest

from provisioning.entra.other_applications import reject_namesakes
from provisioning.errors import NameTaken
from provisioning.foreign import quoted
from sandbox.entra import identity
from tests.provisioning.entra.test_directory import make
from tests.sandbox.entra.service import Service

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

NAME = "it's mail"
DENIED = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}


def test_an_application_made_by_hand_is_in_the_way_of_a_first_deployment(tenant: Service) -> None:
    reject_namesakes(NAME)
    with tenant.graph() as graph:
        made = make(graph, "/applications", {"displayName": NAME})
    with pytest.raises(NameTaken) as refusal:
        reject_namesakes(NAME)
    day = made["createdDateTime"][:10]
    owner = f"service principal {quoted(identity.DEPLOYER_NAME)} ({identity.DEPLOYER_OBJECT_ID})"
    assert re.search(
        rf"client ID {made['appId']}, created on {day} \d\d:\d\d UTC, owned by {re.escape(owner)}\..*"
        rf"Only if you know who made it, adopt it: python -m provisioning adopt {made['appId']}$",
        str(refusal.value),
    )
    reject_namesakes("another")
    # Whoever may not read the owners is stopped all the same.
    tenant.fault(f"GET /v1.0/applications/{made['id']}/owners", status=403, body=DENIED)
    with pytest.raises(NameTaken, match="of unknown owners"):
        reject_namesakes(NAME)


def test_whoever_may_not_look_is_not_kept_from_creating(tenant: Service) -> None:
    with tenant.graph() as graph:
        make(graph, "/applications", {"displayName": NAME})
    tenant.fault("GET /v1.0/applications", status=403, body=DENIED)
    reject_namesakes(NAME)
