"""The recordings of the real engine with the real azuread provider, and what happened by hand between them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.entra import identity
from sandbox.entra.models import Directory, new_application
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


def recorded_tenant(scenarios: Sequence[Scenario]) -> Directory:
    """A directory with the recorded tenant's domain and its copy of Microsoft Graph's service principal."""
    directory = Directory(None, domain=DOMAIN)
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


def _application(directory: Directory, names: Names, scenario: Scenario) -> Json:
    path = next(entry["path"] for entry in scenario.http if entry["path"].startswith("/v1.0/applications/"))
    application = directory.state.applications[names.translate(path.rpartition("/")[2])]
    return application


BY_HAND: dict[str, Callable[[Directory, Names, Scenario], None]] = {
    "07-refresh-drift": rename_and_strip,
    "16-import-existing": make_by_hand,
    "18-refresh-app-gone": delete_by_hand,
}
"""What happened in the tenant before a scenario, outside of Pulumi."""
