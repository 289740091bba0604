"""The recordings of the real engine with the real azuread provider, and what happened by hand between them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.entra import identity, permissions
from sandbox.entra.directory import Directory
from sandbox.entra.graph_objects import new_application
from tests.contract.normalise import Names

Json = dict[str, Any]
FOLDER = Path(__file__).parent.parent / "recordings" / "azuread-6.10.0"
DOMAIN = "lab.onmicrosoft.com"
"""Initial domain of the recorded tenant."""


@dataclass(frozen=True)
class Scenario:
    """One run of the real engine: its calls to the provider, and the provider's requests to Graph."""

    name: str
    faults: list[Json]
    calls: list[Json]
    http: list[Json]


@cache
def load() -> Sequence[Scenario]:
    """All scenarios, in the order in which they were recorded: each goes on from the state that the last one left."""
    scenarios = []
    for path in sorted(FOLDER.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        scenarios.append(
            Scenario(document["scenario"], document["faults"], document["provider_calls"], document["http"])
        )
    return scenarios


class RecordedTenant(Directory):
    """The tenant that the laboratory's server kept: anybody may do anything, and an empty object is merged."""

    emptied = frozenset()

    def permissions(self, caller: str) -> frozenset[str]:
        """All that any request of the recordings needs."""
        return permissions.BUILT_IN[identity.ADMINISTRATOR_OBJECT_ID]


def recorded_tenant(scenarios: Sequence[Scenario]) -> Directory:
    """A directory with the recorded tenant's domain and its copy of Microsoft Graph's service principal."""
    directory = RecordedTenant(None, domain=DOMAIN)
    answers = [
        entry["response"]["value"][0]
        for scenario in scenarios
        for entry in scenario.http
        if entry["path"] == "/v1.0/servicePrincipals" and identity.GRAPH_APP_ID in entry["query"]
    ]
    principal = copy.deepcopy(answers[0])
    own = directory.by_app_id("servicePrincipals", identity.GRAPH_APP_ID)
    assert own is not None
    del directory.state.servicePrincipals[own["id"]]
    directory.state.servicePrincipals[principal["id"]] = principal
    return directory


def rename_and_strip(directory: Directory, names: Names, scenario: Scenario) -> None:
    """Before 07: someone renames the application, removes its permissions and deletes the secret of slot b."""
    application = _application(directory, names, scenario)
    application["displayName"] = "renamed by hand"
    application["requiredResourceAccess"] = []
    application["passwordCredentials"] = [
        credential for credential in application["passwordCredentials"] if credential["displayName"] != "NocoBase b"
    ]


def make_by_hand(directory: Directory, names: Names, scenario: Scenario) -> None:
    """Before 16: someone registers an application. The recorded tenant left out what was never set."""
    recorded = next(entry["response"] for entry in scenario.http if entry["path"].startswith("/v1.0/applications/"))
    made = {**new_application(DOMAIN, directory.clock.now()), **copy.deepcopy(recorded)}
    made = {key: value for key, value in made.items() if key in recorded}
    directory.state.applications[made["id"]] = made
    directory.state.owners[made["id"]] = [identity.DEPLOYER_OBJECT_ID]


def delete_by_hand(directory: Directory, names: Names, scenario: Scenario) -> None:
    """Before 18: someone deletes the application. The recorded tenant left its service principal alone."""
    path = next(entry["path"] for entry in scenario.http if entry["path"].startswith("/v1.0/applications/"))
    del directory.state.applications[names.translate(path.rpartition("/")[2])]


def prepare_for_the_deployer(directory: Directory, names: Names, scenario: Scenario) -> None:
    """Before 24: Microsoft Graph offers application permissions, and there is a mail application of which the deployer
    is to become an owner."""
    _graph_offers_roles(directory, scenario)
    owned = next(entry["path"] for entry in scenario.http if entry["path"].endswith("/owners/$ref")).split("/")[3]
    made = {**new_application(DOMAIN, directory.clock.now()), "id": owned, "displayName": "mail"}
    directory.state.applications[owned] = made
    directory.state.owners[owned] = [identity.DEPLOYER_OBJECT_ID]


def _graph_offers_roles(directory: Directory, scenario: Scenario) -> None:
    recorded = next(entry["response"]["value"][0] for entry in scenario.http if identity.GRAPH_APP_ID in entry["query"])
    directory.state.servicePrincipals[recorded["id"]] = copy.deepcopy(recorded)


def change_the_deployer_by_hand(directory: Directory, names: Names, scenario: Scenario) -> None:
    """Before 29: someone disables the service principal, deletes one trust and points another elsewhere, withdraws an
    application permission and removes the deployer from the owners of the mail application."""
    application = _application(directory, names, scenario, federated=True)
    principal = directory.by_app_id("servicePrincipals", application["appId"])
    assert principal is not None
    principal["accountEnabled"] = False
    trusts = directory.state.federatedIdentityCredentials[application["id"]]
    trusts[:] = [trust for trust in trusts if trust["name"] != "test"]
    next(trust for trust in trusts if trust["name"] == "prod")["subject"] = (
        "repo:contoso/mail:environment:changed-by-hand"
    )
    (gone,) = (entry["path"] for entry in scenario.http[:10] if "appRole" in entry["path"] and entry["status"] == 404)
    del directory.state.appRoleAssignments[names.translate(gone.rpartition("/")[2])]
    for owners in directory.state.owners.values():
        if principal["id"] in owners:
            owners.remove(principal["id"])


def change_the_mail_application_by_hand(directory: Directory, names: Names, scenario: Scenario) -> None:
    """Before 39, seen by 40: someone sets on both objects whatever the program does not declare, and adds an owner."""
    for kind in ("applications", "servicePrincipals"):
        answers = (entry for entry in scenario.http if re.fullmatch(f"/v1.0/{kind}/[^/]+", entry["path"]))
        recorded = names.translate(next(answers)["response"])
        own = getattr(directory.state, kind)[recorded["id"]]
        own |= {key: value for key, value in recorded.items() if own.get(key) != value and key not in MADE_BY_ENTRA}
        if kind == "applications":
            directory.state.owners[own["id"]].append("88888888-8888-8888-8888-888888888888")


MADE_BY_ENTRA = frozenset({"passwordCredentials", "createdDateTime"})


def _application(directory: Directory, names: Names, scenario: Scenario, federated: bool = False) -> Json:
    """The first application that a scenario asks for. federated: only one with federated credentials."""
    paths = (entry["path"].split("/") for entry in scenario.http if entry["path"].startswith("/v1.0/applications/"))
    identifier = next(path[3] for path in paths if not federated or "federatedIdentityCredentials" in path)
    application = directory.state.applications[names.translate(identifier)]
    return application


BY_HAND: dict[str, Callable[[Directory, Names, Scenario], None]] = {
    "07-refresh-drift": rename_and_strip,
    "16-import-existing": make_by_hand,
    "18-refresh-app-gone": delete_by_hand,
    "24-deployer-create": prepare_for_the_deployer,
    "29-deployer-refresh-drift": change_the_deployer_by_hand,
    "40-mail-changed-by-hand-refresh": change_the_mail_application_by_hand,
}
"""What happened in the tenant before a scenario, outside of Pulumi."""

BY_OTHERS = {"43-mail-destroy": 2}
"""How many of a scenario's first requests none of its calls made: somebody looked, or the engine had hung up."""
