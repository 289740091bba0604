"""What the contract tests share: certificates, the plugin process, and the results of one whole replay each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tests.contract.normalise import Names
from tests.contract.recordings import load, recorded_tenant
from tests.contract.replay import Result, play_http, play_provider, stub_call
from tests.sandbox.entra.fixtures import certificates
from tests.sandbox.entra.service import Certificates, running

__all__ = ["certificates", "http_results", "plugin", "provider_results"]


@contextmanager
def plugin(environment: dict[str, str]) -> Iterator[grpc.Channel]:
    """The stand-in plugin as the engine runs it: a process that prints its port."""
    root = Path(__file__).parent.parent.parent
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.azuread"],
        cwd=root,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


@pytest.fixture(scope="session")
def provider_results(certificates: Certificates) -> dict[str, Result]:
    """All scenarios against the plugin process: each goes on from the state that the last one left."""
    scenarios = load()
    names = Names()
    results = {}
    with running(certificates, recorded_tenant(scenarios)) as service, plugin(service.environment) as channel:
        call = stub_call(channel)
        for scenario in scenarios:
            results[scenario.name] = play_provider(scenario, service, names, call)
    return results


@pytest.fixture(scope="session")
def http_results(certificates: Certificates) -> dict[str, Result]:
    """All recorded requests against the stand-in for Entra."""
    scenarios = load()
    names = Names()
    results = {}
    with running(certificates, recorded_tenant(scenarios)) as service, service.client() as client:
        for scenario in scenarios:
            results[scenario.name] = play_http(scenario, service, names, client)
    return results
