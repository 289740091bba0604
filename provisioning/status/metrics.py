"""Metrics in Prometheus' text format, for a textfile collector or a push gateway.

Source: Prometheus' documentation, "Exposition formats", version 0.0.4. The client library would bring a registry and a
server for these few lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from provisioning.status.compare import Overview, Side, Sync

PREFIX = "nocobase_outlook"


@dataclass(frozen=True)
class Gauge:
    """One metric: its name without the prefix, what it means, and its samples: labels and value."""

    name: str
    help: str
    samples: Sequence[tuple[Mapping[str, str], float]]


def gauges(read: Mapping[str, Overview | None], now: datetime) -> list[Gauge]:
    """The metrics of every stack; None for one that could not be read at all."""
    views = [view for view in read.values() if view is not None]
    secrets = [(view.deployed, secret) for view in views for secret in view.deployed.secrets]
    sides = [(view.deployed.stack, side) for view in views for side in (view.entra, *view.nocobase)]
    asked = [pair for pair in sides if not pair[1].skipped]
    seen = [pair for pair in asked if pair[1].sync is not Sync.UNREAD]
    return [
        Gauge(
            "attention",
            "1 if a person is needed for the stack, 0 if not.",
            [({"stack": stack}, float(view is None or bool(view.alarms))) for stack, view in read.items()],
        ),
        Gauge(
            "secret_end_timestamp_seconds",
            "When a client secret ends.",
            [({"stack": state.stack, "slot": secret.slot.value}, secret.ends.timestamp()) for state, secret in secrets],
        ),
        Gauge(
            "secret_in_use",
            "1 if NocoBase was given the client secret, 0 if not.",
            [
                ({"stack": state.stack, "slot": secret.slot.value}, float(bool(state.used_by(secret))))
                for state, secret in secrets
            ],
        ),
        Gauge(
            "next_rotation_timestamp_seconds",
            "When the next client secret is due.",
            [({"stack": view.deployed.stack}, at.timestamp()) for view in views if (at := view.deployed.next_rotation)],
        ),
        Gauge(
            "old_secret_retirement_timestamp_seconds",
            "When the replaced client secret is to be removed, if there is one.",
            [({"stack": view.deployed.stack}, at.timestamp()) for view in views if (at := view.deployed.old_retires)],
        ),
        Gauge(
            "side_read",
            "1 if Entra ID or NocoBase could be read, 0 if not; missing where it was not asked.",
            [(_labels(stack, side), float(side.sync is not Sync.UNREAD)) for stack, side in asked],
        ),
        Gauge(
            "side_in_sync",
            "1 if Entra ID or NocoBase holds what the stack's state says, 0 if not; missing where it was not read.",
            [(_labels(stack, side), float(side.sync is Sync.YES)) for stack, side in seen],
        ),
        Gauge("read_timestamp_seconds", "When all of this was read.", [({}, now.timestamp())]),
    ]


def exposition(metrics: Sequence[Gauge]) -> str:
    """The metrics as text; those without samples are left out."""
    lines = []
    for metric in metrics:
        if not metric.samples:
            continue
        name = f"{PREFIX}_{metric.name}"
        lines += [f"# HELP {name} {_escaped(metric.help)}", f"# TYPE {name} gauge"]
        for labels, value in metric.samples:
            named = ",".join(f'{key}="{_escaped(text, quote=True)}"' for key, text in labels.items())
            lines.append(f"{name}{{{named}}} {value!r}" if named else f"{name} {value!r}")
    return "".join(f"{line}\n" for line in lines)


def _labels(stack: str, side: Side) -> dict[str, str]:
    return {"stack": stack, "side": side.target}


def _escaped(text: str, quote: bool = False) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if quote else escaped
