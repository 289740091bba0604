"""What the engine is asked about the stack, and what happens when it cannot answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from provisioning.entra.client_secret_plan import LastSecrets, Slot
from provisioning.errors import ClockRejected, StateUnreadable
from provisioning.program import stack
from provisioning.pulumi_cli import plain
from tests.provisioning.checkpoints import OBJECT_ID, REDIRECT_URI, Json, application, export, password
from tests.provisioning.fake_pulumi import fake_pulumi
from tests.provisioning.program.test_last_state import ISSUED


def engine(monkeypatch: pytest.MonkeyPatch, *answers: Any, refreshed: Json | None = None) -> None:
    """Have the engine give `answers`, one for each reading of the state, the last one again and again.

    refreshed: what it answers of each single resource; it knows none without.
    """
    left = list(answers)

    def invoke(token: str, _: object) -> Any:
        if token == "pulumi:pulumi:getResource":
            if refreshed is None:
                raise Exception("invoke of pulumi:pulumi:getResource failed: unknown resource")
            return SimpleNamespace(value={"state": refreshed})
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(value={"outputs": answer})

    monkeypatch.setattr(stack, "invoke", invoke)
    monkeypatch.setattr(stack, "READ_PAUSE_SECONDS", 0)
    for name in ("get_organization", "get_project", "get_stack"):
        monkeypatch.setattr(pulumi, name, lambda: "x")


EOF = Exception("invoke of x failed: invocation of x returned an error: failed to load checkpoint: EOF")


def test_a_half_written_state_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = (application(), password("a", "2027-01-01", "2027-06-30"))
    engine(monkeypatch, EOF, EOF, {one["urn"]: {**one, "outputs": plain(one["outputs"])} for one in resources})
    assert stack.last_state().secrets_for(()) == LastSecrets(ISSUED)


OWN, THEIRS = "pulumi:organization/nocobase-outlook/prod", "theirs"


@pytest.mark.parametrize(
    ("refreshed", "tags", "owners"),
    [
        ({"objectId": OBJECT_ID, "tags": [THEIRS], "owners": ["other"]}, (THEIRS,), {"other"}),
        ({"objectId": OBJECT_ID}, (), set()),
        # A run without a refresh, and an application that a broken-off replacement has yet to delete.
        (None, (OWN,), {"me"}),
        ({"objectId": "another", "tags": [THEIRS], "owners": ["other"]}, (OWN,), {"me"}),
    ],
)
def test_tags_and_owners_are_those_that_the_refresh_of_this_run_has_found(
    monkeypatch: pytest.MonkeyPatch, refreshed: Json | None, tags: tuple[str, ...], owners: set[str]
) -> None:
    recorded = application(owners=["me"])
    engine(monkeypatch, {recorded["urn"]: recorded}, refreshed=refreshed)
    found = stack.last_state().application
    assert found is not None
    assert (found.tags, set(found.owners)) == (tags, owners)
    assert found.declared.redirect_uris == {REDIRECT_URI}


def test_an_unreadable_state_never_passes_for_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, EOF)
    with pytest.raises(StateUnreadable, match=r"failed to load checkpoint: EOF.*Run the command again"):
        stack.last_state()


def test_the_state_is_exported_of_the_stack_in_its_own_organization(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("get_organization", "acme"), ("get_project", "nocobase-outlook"), ("get_stack", "prod")):
        monkeypatch.setattr(pulumi, name, lambda value=value: value)
    fake = fake_pulumi(tmp_path, {"prod": export()})
    (tmp_path / "acme" / "nocobase-outlook").mkdir(parents=True)
    pending = password("a", "2027-01-01", "2027-06-30")
    former = {**password("b", "2027-01-01", "2027-06-30"), "delete": True}
    (tmp_path / "acme" / "nocobase-outlook" / "prod.export").write_text(export(pending, former))
    monkeypatch.setenv("PATH", fake.environment["PATH"])
    assert stack.awaiting_deletion() == {Slot.B}


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_the_testing_clock_on_this_machine(today: str, expected: datetime) -> None:
    environment = {"PROVISIONING_TODAY": today, "ARM_METADATA_HOSTNAME": "localhost:8443"}
    assert stack.now(environment) == expected


@pytest.mark.parametrize("host", [{}, {"ARM_METADATA_HOSTNAME": "management.azure.com"}])
def test_the_testing_clock_is_refused_on_a_real_tenant(host: dict[str, str]) -> None:
    with pytest.raises(ClockRejected, match="Unset it"):
        stack.now({"PROVISIONING_TODAY": "2027-01-31", **host})


def test_without_the_testing_clock_it_is_now() -> None:
    assert abs(stack.now({}) - datetime.now(UTC)) < timedelta(minutes=1)
