"""What all tests share: a sandbox for each worker, set up by the same code as `make up`; and the figures of the run."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from provisioning.cli.common import Plain
from sandbox import processes
from sandbox.place import Place, cache_folder, default_place
from sandbox.project_copy import copy_project
from sandbox.setup import install_steps, load_record, start_steps, stop
from sandbox.steps import run_steps
from tests.figures import count_commands, pytest_configure, say, tally

__all__ = ["pytest_configure", "say", "tally"]

# Where golden output differs, the lines that do are shown.
pytest.register_assert_rewrite("tests.golden")

for name in ("COLUMNS", "PYTHONDONTWRITEBYTECODE"):
    # pytest-xdist names a width to its workers, which commands would take for a terminal's; and the program that the
    # engine runs would be compiled anew by each command.
    os.environ.pop(name, None)


# No test asserts how long something takes: the machines are shared.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """A running sandbox of its own beside that of `make up`: a copy of the project, a NocoBase and a tenant.

    Each worker of pytest-xdist has one, with ports of its own.
    """
    # A short path: NocoBase listens on a socket in it, and socket paths are limited to about 100 characters.
    with tempfile.TemporaryDirectory(prefix="nocobase-outlook-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder, "project"), default_place().installed, Path(folder, "home"), cache_folder())
        copy_project(place.project, f"http://localhost:{processes.free_port()}")
        try:
            run_steps([*install_steps(place), *start_steps(place)], Plain(file=io.StringIO()))
            count_commands(place.tools, Path(load_record(place).cli))
            yield place
        finally:
            stop(place)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end.

    A module's tests stay on one worker (`--dist loadfile`), which makes its fixtures once.
    """
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """0 for the longest tests, which have a limit of their own, 1 for the others on the real engine, 2 for the rest."""
    if item.get_closest_marker("e2e") is None:
        return 2
    return 0 if item.get_closest_marker("timeout") else 1
