"""What the contract tests share: `--tenant`, a tenant to test, the plugin process, and one whole replay each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from sandbox.entra import identity
from tests.contract import real_tenant
from tests.contract.normalise import Names
from tests.contract.recordings import load, recorded_tenant
from tests.contract.replay import Result, play_http, play_provider, stub_call
from tests.contract.report import Report
from tests.contract.tenant import Access, Tenant, new_prefix
from tests.figures import Say
from tests.sandbox.entra.fixtures import certificates, entra, entra_server
from tests.sandbox.entra.service import Certificates, Service, running

__all__ = ["certificates", "entra", "entra_server", "http_results", "plugin", "provider_results"]

SANDBOX_PATIENCE, SANDBOX_PAUSE = 5.0, 0.02
"""Seconds; a slow day in the sandbox is over in a fraction of that."""
SANDBOX_LOOKS = 5
SLOW_DAY = {"hidden_reads": 2, "settling": 0.3}
"""How often new objects are not found, and for how many seconds new secrets are refused."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/contract --tenant real`."""
    parser.addoption(
        "--tenant",
        choices=["sandbox", "real"],
        default="sandbox",
        help="where the contract tests run: the sandbox (default), or the real tenant of the ARM_* variables or `az`",
    )
    parser.addoption("--sign-in", action="store_true", help="with --tenant real: a person signs in where a test asks")


def _is_real(config: pytest.Config) -> bool:
    # The option is unknown to a run that began in another folder.
    return bool(config.getoption("tenant", default="sandbox") == "real")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The sandbox has good and slow days; a real tenant has the day that it has."""
    if "weather" in metafunc.fixturenames:
        metafunc.parametrize("weather", ["real"] if _is_real(metafunc.config) else ["good day", "slow day"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only the tests of a real tenant may leave this machine."""
    if _is_real(config):
        for item in items:
            if "weather" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.enable_socket)


@pytest.fixture(scope="session")
def real_access(request: pytest.FixtureRequest) -> Access:
    """The real tenant; the tests are skipped where nobody is signed in."""
    try:
        return real_tenant.access(os.environ, interactive=bool(request.config.getoption("sign_in", default=False)))
    except real_tenant.NoCredentialsError as problem:
        pytest.skip(str(problem))


def sandbox_access(service: Service) -> Access:
    """The sandbox, asked as a real tenant is."""
    token = service.token()
    return Access(
        graph=service.address,
        login=service.address,
        tenant_id=identity.TENANT_ID,
        caller=identity.DEPLOYER_OBJECT_ID,
        bearer=lambda: token,
        tls=service.tls,
        patience=SANDBOX_PATIENCE,
        pause=SANDBOX_PAUSE,
        looks=SANDBOX_LOOKS,
        kind="app",
        rights=real_tenant.rights(real_tenant.claims_of(token)),
        somebody=min(identity.PEOPLE),
        interactive=True,
    )


@pytest.fixture
def report(request: pytest.FixtureRequest, say: Say) -> Report:
    """Where the answers to open questions go."""
    return Report(say if _is_real(request.config) else None)


@pytest.fixture
def tenant(weather: str, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    """A tenant to test. Whatever the test makes is removed, also after a failure."""
    if weather == "real":
        access: Access = request.getfixturevalue("real_access")
    else:
        service: Service = request.getfixturevalue("entra")
        if weather == "slow day":
            service.behave(**SLOW_DAY)
        access = sandbox_access(service)
    made = Tenant(access, new_prefix())
    try:
        yield made
    finally:
        made.clean_up()


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
