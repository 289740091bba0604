"""Fixtures of this folder."""

from tests.sandbox.entra.fixtures import certificates, entra

__all__ = ["certificates", "entra"]
