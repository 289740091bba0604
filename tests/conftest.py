"""What all tests share: one sandbox for the run, set up by the same code as `make up`."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from sandbox import processes
from sandbox.place import Place, cache_folder, default_place
from sandbox.project_copy import copy_project
from sandbox.setup import install_steps, start_steps, stop
from sandbox.steps import run_steps


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    """A running sandbox of its own beside that of `make up`: a copy of the project, a NocoBase and a tenant."""
    # A short path: NocoBase listens on a socket in it, and socket paths are limited to about 100 characters.
    with tempfile.TemporaryDirectory(prefix="nocobase-outlook-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder, "project"), default_place().installed, Path(folder, "home"), cache_folder())
        copy_project(place.project, f"http://localhost:{processes.free_port()}")
        try:
            run_steps([*install_steps(place), *start_steps(place)], Console(file=io.StringIO()))
            yield place
        finally:
            stop(place)
