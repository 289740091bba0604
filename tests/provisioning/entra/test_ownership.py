"""What an adoption and the guard of the first deployment read in Entra ID."""

from __future__ import annotations

import pytest

from provisioning.entra.ownership import reject_namesakes
from provisioning.errors import NameTaken
from sandbox.entra import identity
from tests.provisioning.entra.test_directory import NOBODY, make
from tests.sandbox.entra.service import Service

# msgraph's own generated code uses its deprecated names.
pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")

NAME = "it's mail"


def test_an_application_made_by_hand_is_in_the_way_of_a_first_deployment(tenant: Service) -> None:
    reject_namesakes(NAME)
    with tenant.graph() as graph:
        made = make(graph, "/applications", {"displayName": NAME})
    with pytest.raises(NameTaken, match=made["appId"]):
        reject_namesakes(NAME)
    reject_namesakes("another")


def test_whoever_may_not_look_is_not_kept_from_creating(tenant: Service) -> None:
    with tenant.graph() as graph:
        make(graph, "/applications", {"displayName": NAME})
    body = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}}
    tenant.fault("GET /v1.0/applications", status=403, body=body)
    reject_namesakes(NAME)


def test_an_application_is_looked_up_with_its_owners_and_all_are_listed_page_by_page(
    tenant: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from provisioning.entra import directory  # noqa: PLC0415 - a second of imports

    with tenant.graph() as graph:
        made = make(graph, "/applications", {"displayName": NAME, "notes": "by hand", "tags": ["mail"]})
        alone = directory.look_up(made["appId"])
        make(graph, "/servicePrincipals", {"appId": made["appId"], "notes": "its own"})
        for number in range(4):
            make(graph, "/applications", {"displayName": f"another {number}"})
    assert alone is not None
    assert (alone.application["notes"], alone.owners) == ("by hand", (identity.DEPLOYER_OBJECT_ID,))
    assert (alone.principal, alone.principal_owners) == (None, ())
    found = directory.look_up(made["appId"])
    assert found is not None
    assert found.principal is not None
    assert found.principal["notes"] == "its own"
    assert found.principal_owners == (identity.DEPLOYER_OBJECT_ID,)
    assert directory.look_up(NOBODY) is None
    monkeypatch.setattr(directory, "LARGEST_PAGE", 2)
    assert len(directory.applications()) == 5
    (named,) = directory.applications(NAME)
    assert (named.client_id, named.tags, named.stack) == (made["appId"], ("mail",), None)
