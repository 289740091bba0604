"""The settings for Pulumi Deployments, read by the engine's own type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine.build import FLAGS, SOURCES
from sandbox.place import PROJECT
from tests.go_programs import go

pytestmark = pytest.mark.proof

SETTINGS = PROJECT / "fleet" / "deployments.json"
PROGRAM = Path(__file__).with_name("deployment_settings.go")


def objection(settings: Any) -> str:
    """What the engine's type does not take, or loses; empty if there is nothing."""
    ended = go(SOURCES, "run", *FLAGS, PROGRAM, given=json.dumps(settings))
    if ended.returncode != 0:
        return ended.stderr
    kept = list(leaves(json.loads(ended.stdout)))
    # Values with a way of reading of their own (a secret, an image) do not reject what they do not know.
    return "\n".join(f"{path} is lost" for path, value in leaves(settings) if (path, value) not in kept)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that holds no other, with the way to it."""
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from leaves(inner, f"{path}.{key}")


def test_the_engine_reads_all_of_them() -> None:
    assert objection(json.loads(SETTINGS.read_text())) == ""


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["operationContexts"], {}, 'unknown field "operationContexts"'),
        (["operationContext", "oidc", "azure", "tenant"], "x", 'unknown field "tenant"'),
        (["operationContext", "options", "skipIntermediateDeployments"], "yes", "cannot unmarshal string"),
        (["operationContext", "environmentVariables", "NOCOBASE_API_KEY"], {"secrets": "x"}, ".secrets is lost"),
    ],
)
def test_it_finds_a_mistake(path: list[str], value: Any, expected: str) -> None:
    settings = json.loads(SETTINGS.read_text())
    inner = settings
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert expected in objection(settings)
