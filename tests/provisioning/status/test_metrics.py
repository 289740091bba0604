"""Metrics, read back by Prometheus' own parser."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from provisioning.status.compare import Overview, overview
from provisioning.status.metrics import Gauge, exposition, gauges
from provisioning.status.read import Unread
from tests.provisioning.status.test_compare import NOW, ONE, TWO, held, registration

Samples = dict[tuple[str, ...], float]


def read(views: dict[str, Overview | None], now: datetime = NOW) -> dict[str, Samples]:
    """Every metric by its name: label values → value."""
    families = text_string_to_metric_families(exposition(gauges(views, now)))
    return {
        family.name.removeprefix("nocobase_outlook_"): {
            tuple(sample.labels.values()): sample.value for sample in family.samples
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


@given(st.text(), st.text().filter(str.strip), st.floats(allow_nan=False))
def test_any_label_value_and_number_comes_back(label: str, words: str, value: float) -> None:
    printed = exposition([Gauge("x", words, [({"stack": label}, value)])])
    (family,) = text_string_to_metric_families(printed)
    (sample,) = family.samples
    assert (sample.labels, sample.value) == ({"stack": label}, value)
