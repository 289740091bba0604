"""The stand-in provider and the stand-in for Entra answer every recorded call and request as the real ones did."""

from __future__ import annotations

import pytest

from tests.contract.recordings import BY_HAND, load
from tests.contract.replay import Result
from tests.figures import Say

SCENARIOS = [scenario.name for scenario in load()]


@pytest.mark.parametrize("name", SCENARIOS)
def test_provider_answers_as_recorded(name: str, provider_results: dict[str, Result]) -> None:
    assert provider_results[name].differences == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_entra_answers_as_recorded(name: str, http_results: dict[str, Result]) -> None:
    assert http_results[name].differences == []


def test_nothing_is_left_out(provider_results: dict[str, Result], http_results: dict[str, Result], say: Say) -> None:
    scenarios = load()
    calls = sum(len(scenario.calls) for scenario in scenarios)
    requests = sum(len(scenario.http) for scenario in scenarios)
    compared = sum(result.compared for result in provider_results.values())
    withdrawn = sum(result.withdrawn for result in provider_results.values())
    asked = sum(result.compared for result in http_results.values())
    same = sum(not result.differences for result in provider_results.values())
    say(f"{compared} provider calls compared with the real azuread provider's, {same} scenarios without a difference")
    say(f"{asked} requests to Graph compared with the recorded answers")
    assert len(scenarios) == 43
    assert set(BY_HAND) <= set(SCENARIOS)
    assert compared + withdrawn == calls
    assert withdrawn == 6
    assert asked == requests
