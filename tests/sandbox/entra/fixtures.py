"""Fixtures for every test that talks to the stand-in for Entra ID. Import them in a folder's conftest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.entra.service import Certificates, Service, make_certificates, running


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One certificate authority for the whole run."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def entra(certificates: Certificates) -> Iterator[Service]:
    """A running stand-in with an empty tenant, faults included: `entra.fault(...)`, `entra.behave(...)`."""
    with running(certificates) as service:
        yield service
