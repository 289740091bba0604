"""The owners of an application or a service principal, at its creation and afterwards."""

from __future__ import annotations

from sandbox.azuread import state
from sandbox.azuread.graph import Graph


def owner_references(graph: Graph, owners: list[str]) -> list[str]:
    """The owners to name in a creation: the caller always, and up to 19 others."""
    others = [owner for owner in state.text_order(owners) if owner != graph.caller]
    return [f"{graph.base}/v1.0/directoryObjects/{owner}" for owner in [graph.caller, *others[:19]]]


def settle_owners(graph: Graph, path: str, owners: list[str]) -> None:
    """After a creation: add the owners beyond the first 20, and remove the caller if the program leaves it out."""
    for owner in [owner for owner in state.text_order(owners) if owner != graph.caller][19:]:
        graph.post(f"{path}/owners/$ref", {"@odata.id": f"{graph.base}/v1.0/directoryObjects/{owner}"})
    if graph.caller not in owners:
        graph.delete(f"{path}/owners/{graph.caller}/$ref")


def change_owners(graph: Graph, path: str, wanted: list[str]) -> None:
    """Add and remove until the owners are as wanted."""
    present = [owner["id"] for owner in graph.get(f"{path}/owners")["value"]]
    for owner in state.text_order(wanted):
        if owner not in present:
            graph.post(f"{path}/owners/$ref", {"@odata.id": f"{graph.base}/v1.0/directoryObjects/{owner}"})
    for owner in present:
        if owner not in wanted:
            graph.delete(f"{path}/owners/{owner}/$ref")
