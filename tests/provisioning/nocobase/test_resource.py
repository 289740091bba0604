"""States of earlier versions name the provider of the push by a module's former path."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest
from pulumi.dynamic import dynamic

from provisioning.nocobase.push_resource import MailSettingsProvider

FORMER = "gASVPgAAAAAAAACMHnByb3Zpc2lvbmluZy5ub2NvYmFzZS5yZXNvdXJjZZSMFE1haWxTZXR0aW5nc1Byb3ZpZGVylJOUKYGULg=="
"""`__provider` in states of versions in which the class was in `provisioning.nocobase.resource`."""


def loaded(recorded: str) -> Any:
    """The provider, as the engine's provider process makes it of `__provider`."""
    return pickle.loads(base64.b64decode(recorded))


@pytest.mark.parametrize("recorded", [FORMER, dynamic.serialize_provider(MailSettingsProvider())])
def test_the_provider_in_a_state_is_this_one(recorded: str) -> None:
    assert type(loaded(recorded)) is MailSettingsProvider


def test_a_state_names_the_class_and_holds_no_code_of_it() -> None:
    recorded = base64.b64decode(dynamic.serialize_provider(MailSettingsProvider()))
    assert b"provisioning.nocobase.push_resource" in recorded
    assert len(recorded) < 200
