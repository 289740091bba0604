"""Fixtures for every test that talks to the stand-in for Entra ID. Import them in a folder's conftest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.entra.service import Certificates, Service, make_certificates, running


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One certificate authority for the whole run."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def entra_server(certificates: Certificates) -> Iterator[Service]:
    """A stand-in that runs as long as the tests do."""
    with running(certificates) as service:
        yield service


@pytest.fixture
def entra(entra_server: Service) -> Service:
    """A running stand-in with a new tenant and good weather; for bad days `entra.fault(...)`,
    `entra.behave(...)`; for other times `entra.set_time(...)`."""
    entra_server.directory.start_anew()
    entra_server.faults.clear()
    entra_server.take_requests()
    return entra_server
