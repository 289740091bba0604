"""A PostgreSQL cluster for one NocoBase: where its programs are found, and that nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import processes
from sandbox.errors import SandboxError
from sandbox.nocobase import postgres
from sandbox.nocobase.postgres import PostgreSQL


def test_programs_on_path_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "initdb").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert postgres.find_programs() == tmp_path


def test_missing_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    with pytest.raises(SandboxError, match="not installed"):
        PostgreSQL()


def test_a_cluster_lives_as_long_as_it_is_used() -> None:
    try:
        cluster = PostgreSQL()
    except SandboxError as error:
        pytest.skip(f"PostgreSQL was not tried: {error}")
    with cluster:
        port = int(cluster.environment["DB_PORT"])
        assert not processes.port_is_free(port)
        assert cluster.mail_settings_row() is None
    assert processes.port_is_free(port)
    assert not cluster._folder.exists()
