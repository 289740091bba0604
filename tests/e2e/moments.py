"""Moments of a sandbox: taken once, and gone back to between tests instead of `pulumi destroy`.

A moment is what all sides hold: the engine's state and the stacks' settings, the tenant, and NocoBase's email settings.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sandbox.place import Place
from tests.e2e.outside import sandbox_entra

TABLE = "mailSettings"
Row = dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """files: the engine's and the project's, by path. tenant: Entra ID's state. rows: by NocoBase's databases."""

    files: Mapping[Path, bytes] = field(repr=False)
    tenant: Mapping[str, Any] = field(repr=False)
    rows: Mapping[str, list[Row]] = field(repr=False)


def take(place: Place) -> Moment:
    """What all sides hold now."""
    tenant: dict[str, Any] = json.loads((place.entra / "state.json").read_text())
    rows = {database.name: _rows(database) for database in _databases(place)}
    return Moment({file: file.read_bytes() for file in _files(place)}, tenant, rows)


def without_credentials(moment: Moment) -> Moment:
    """The same, with email settings that hold nobody's credentials: other tests use the worker's NocoBase, too."""
    nobody = {"clientId": None, "clientSecret": None}
    return replace(moment, rows={name: [{**row, **nobody} for row in rows] for name, rows in moment.rows.items()})


def go_back(place: Place, moment: Moment) -> None:
    """Have all sides hold what they held at that moment, on a day of good weather. NocoBase goes on running."""
    for file in _files(place):
        file.unlink()
    shutil.rmtree(place.pulumi_state / ".pulumi" / "locks", ignore_errors=True)
    shutil.rmtree(place.project / "reports", ignore_errors=True)
    for file, content in moment.files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    sandbox_entra(place, "PUT", "state", moment.tenant)
    for database in _databases(place):
        _write(database, moment.rows.get(database.name))


def _files(place: Place) -> Iterator[Path]:
    """The engine's state, which stack is selected, and the stacks' settings."""
    for folder in (place.pulumi_state / ".pulumi" / "stacks", place.pulumi_home / "workspaces"):
        yield from (file for file in folder.rglob("*") if file.is_file())
    yield place.pulumi_state / ".pulumi" / "meta.yaml"
    for project in (place.project, place.project / "bootstrap"):
        yield from project.glob("Pulumi.*.yaml")


def _databases(place: Place) -> Iterator[Path]:
    """Those of NocoBase's main application and of its sub-applications that have email settings."""
    for file in place.nocobase.glob("*.sqlite"):
        with _connected(file) as database:
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (TABLE,)).fetchone():
                yield file


def _rows(file: Path) -> list[Row]:
    with _connected(file) as database:
        return [dict(row) for row in database.execute(f"SELECT * FROM {TABLE}")]


def _write(file: Path, rows: list[Row] | None) -> None:
    """Replace the rows; of an application that is newer than the moment, empty the credentials."""
    with _connected(file) as database, database:
        if rows is None:
            database.execute(f"UPDATE {TABLE} SET clientId = NULL, clientSecret = NULL")
            return
        database.execute(f"DELETE FROM {TABLE}")
        for row in rows:
            names, values = ", ".join(row), ", ".join("?" * len(row))
            database.execute(f"INSERT INTO {TABLE} ({names}) VALUES ({values})", tuple(row.values()))


@contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, timeout=30)) as database:
        database.row_factory = sqlite3.Row
        yield database
