"""Fixtures of this folder."""

from tests.sandbox.entra.fixtures import certificates, entra, entra_server

__all__ = ["certificates", "entra", "entra_server"]
