"""Metrics, read back by Prometheus' own parser."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from provisioning.entra.orphans import StoredSecret
from provisioning.status.compare import Overview, overview
from provisioning.status.metrics import exposition
from provisioning.status.read import Extra, Unread
from tests.provisioning.status.test_compare import NOW, ONE, TWO, held, registration

Samples = dict[tuple[str, ...], float]


def read(views: dict[str, Overview | None], now: datetime = NOW) -> dict[str, Samples]:
    """Every metric by its name: label values → value."""
    families = text_string_to_metric_families(exposition(views, now))
    return {
        family.name.removeprefix("nocobase_outlook_"): {
            tuple(sample.labels[name] for name in ("stack", "slot", "side") if name in sample.labels): sample.value
            for sample in family.samples
        }
        for family in families
    }


def test_metrics_of_all_stacks() -> None:
    views: dict[str, Overview | None] = {
        "prod": overview(TWO, registration(), [held(client_id="theirs")], NOW, 14),
        "broken": None,
    }
    found = read(views)
    assert found["attention"] == {("prod",): 1, ("broken",): 1}
    assert found["secret_in_use"] == {("prod", "a"): 0, ("prod", "b"): 1}
    ends = datetime.fromtimestamp(found["secret_end_timestamp_seconds"][("prod", "b")], UTC)
    assert ends.isoformat() == "2027-09-28T00:00:00+00:00"
    assert found["old_secret_retirement_timestamp_seconds"].keys() == {("prod",)}
    assert found["side_in_sync"] == {("prod", "Entra ID"): 0, ("prod", "https://nocobase.example.com"): 0}
    assert found["read_timestamp_seconds"] == {(): NOW.timestamp()}


def test_what_was_not_read_has_no_verdict() -> None:
    found = read({"prod": overview(ONE, Unread("x"), [held()], NOW, 14)})
    assert found["side_read"] == {("prod", "Entra ID"): 0, ("prod", "https://nocobase.example.com"): 1}
    assert found["side_in_sync"] == {("prod", "https://nocobase.example.com"): 1}
    assert "old_secret_retirement_timestamp_seconds" not in found


def test_what_entra_id_has_besides_is_counted() -> None:
    extra = Extra((), (StoredSecret("lost", "x"),), (), {"duplicate": "mail", "other": "mail"})
    found = read({"prod": overview(ONE, registration(), [held()], NOW, 14, extra)})
    assert (found["orphaned_secrets"], found["foreign_secrets"]) == ({("prod",): 1}, {("prod",): 0})
    assert found["duplicate_applications"] == {("prod",): 2}
    unread = Extra(duplicates=Unread("403"))
    found = read({"prod": overview(ONE, registration(), [held()], NOW, 14, unread)})
    assert found["orphaned_secrets"] == {("prod",): 0}
    assert "duplicate_applications" not in found
    assert "orphaned_secrets" not in read({"prod": overview(ONE, Unread("x"), [held()], NOW, 14)})


def test_any_name_of_a_stack_comes_back() -> None:
    name = 'a "quoted" \\ name'
    assert read({name: None})["attention"] == {(name,): 1}
