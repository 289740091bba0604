"""Who signs in is asked of the azuread provider; where the engine takes its answer along, Entra ID says why."""

from __future__ import annotations

import sys
from types import ModuleType

import pulumi_azuread as azuread
import pytest

from provisioning import entra
from provisioning.ending import EngineGone
from provisioning.errors import SignInRejected
from provisioning.program import caller

LOST = [EngineGone(), Exception("invoke of x failed: Invoke: getProviderFromSource: context canceled")]


@pytest.mark.parametrize("lost", LOST, ids=["the engine is gone", "the run is cancelled"])
@pytest.mark.parametrize("rejected", [True, False])
def test_a_lost_answer_is_asked_for_again(lost: Exception, rejected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(**_: object) -> None:
        raise lost

    def token() -> str:
        if rejected:
            raise SignInRejected("The sign-in to Entra ID failed: AADSTS7000215.", "x")
        return "token"

    def end() -> None:
        raise SystemExit

    # The real one takes half a second to import.
    microsoft_graph = ModuleType("microsoft_graph")
    microsoft_graph.caller_token = token  # type: ignore[attr-defined]

    monkeypatch.setattr(azuread, "get_client_config", lose)
    monkeypatch.setitem(sys.modules, "provisioning.entra.microsoft_graph", microsoft_graph)
    monkeypatch.setattr(entra, "microsoft_graph", microsoft_graph, raising=False)
    monkeypatch.setattr(caller, "end_quietly", end)
    with pytest.raises(SignInRejected if rejected else SystemExit):
        caller.sign_in()


def test_an_answer_that_arrives_is_the_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise Exception("AADSTS7000215: Invalid client secret provided.")

    monkeypatch.setattr(azuread, "get_client_config", refuse)
    with pytest.raises(SignInRejected, match="AADSTS7000215"):
        caller.sign_in()
