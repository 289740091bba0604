"""Metrics in Prometheus' text format, for a textfile collector or a push gateway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from provisioning.foreign import one_line
from provisioning.status.compare import Overview, Side, Sync
from provisioning.status.for_programs import every_duplicate

PREFIX = "nocobase_outlook"

Samples = Iterable[tuple[Mapping[str, str], float]]
"""The labels and the value of each."""


def exposition(read: Mapping[str, Overview | None], now: datetime) -> str:
    """The metrics of every stack, None for one that could not be read at all; those without samples are left out."""
    registry = CollectorRegistry()
    for name, meaning, found in _metrics(read, now):
        samples = list(found)
        if not samples:
            continue
        gauge = Gauge(f"{PREFIX}_{name}", meaning, list(samples[0][0]), registry=registry)
        for labels, value in samples:
            shown = {label: one_line(text) for label, text in labels.items()}
            (gauge.labels(**shown) if labels else gauge).set(value)
    return generate_latest(registry).decode()


def _metrics(read: Mapping[str, Overview | None], now: datetime) -> Iterator[tuple[str, str, Samples]]:
    """Each metric: its name, what it means, and its samples."""
    views = {stack: view for stack, view in read.items() if view is not None}
    secrets = [(view.deployed, secret) for view in views.values() for secret in view.deployed.secrets]
    sides = [(stack, side) for stack, view in views.items() for side in (view.entra, *view.nocobase)]
    asked = [pair for pair in sides if not pair[1].skipped]
    seen = [pair for pair in asked if pair[1].sync is not Sync.UNREAD]
    extras = {stack: view.extra for stack, view in views.items() if view.extra is not None}

    yield (
        "attention",
        "1 if a person is needed for the stack, 0 if not.",
        (({"stack": stack}, view is None or bool(view.alarms)) for stack, view in read.items()),
    )
    yield (
        "secret_end_timestamp_seconds",
        "When a client secret of the stack ends.",
        (({"stack": state.stack, "slot": secret.slot.value}, secret.ends.timestamp()) for state, secret in secrets),
    )
    yield (
        "secret_in_use",
        "1 if NocoBase was given the client secret, 0 if not.",
        (({"stack": state.stack, "slot": secret.slot.value}, bool(state.used_by(secret))) for state, secret in secrets),
    )
    yield (
        "next_rotation_timestamp_seconds",
        "When the next client secret is due.",
        (({"stack": stack}, at.timestamp()) for stack, view in views.items() if (at := view.deployed.next_rotation)),
    )
    yield (
        "old_secret_retirement_timestamp_seconds",
        "When the replaced client secret is to be removed, if there is one.",
        (({"stack": stack}, at.timestamp()) for stack, view in views.items() if (at := view.deployed.old_retires)),
    )
    yield (
        "orphaned_secrets",
        "How many client secrets an interrupted run left in Entra ID; missing where that was not read.",
        (({"stack": stack}, len(extra.orphaned)) for stack, extra in extras.items()),
    )
    yield (
        "foreign_secrets",
        "How many client secrets in Entra ID are somebody else's; missing where that was not read.",
        (({"stack": stack}, len(extra.foreign)) for stack, extra in extras.items()),
    )
    yield (
        "duplicate_applications",
        "How many duplicates of the application an interrupted run left; missing where that was not read.",
        (
            ({"stack": stack}, len(found))
            for stack, view in views.items()
            if (found := every_duplicate(view)) is not None
        ),
    )
    yield (
        "side_read",
        "1 if Entra ID or NocoBase could be read, 0 if not; missing where it was not asked.",
        ((_labels(stack, side), side.sync is not Sync.UNREAD) for stack, side in asked),
    )
    yield (
        "side_in_sync",
        "1 if Entra ID or NocoBase holds what the stack's state says, 0 if not; missing where it was not read.",
        ((_labels(stack, side), side.sync is Sync.YES) for stack, side in seen),
    )
    yield "read_timestamp_seconds", "When all of this was read.", [({}, now.timestamp())]


def _labels(stack: str, side: Side) -> dict[str, str]:
    return {"stack": stack, "side": side.target}
