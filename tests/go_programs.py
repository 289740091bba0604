"""Programs in Go, for proofs: a linter, and a type of the engine, that exist in no other language.

Their modules come from the Go module registry, in the versions that a go.mod and go.sum pin; Go's own cache keeps what
it has downloaded and built.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from sandbox.engine.build import OLDEST_GO, environment

INSTALL = f"No Go is on PATH. Install Go {OLDEST_GO} or newer: https://go.dev/doc/install"


def go(module: Path, *arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run `go` in the folder of a module, which it does not change. given: its input.

    Fails, in words, where no Go is installed.
    """
    command = shutil.which("go")
    assert command, INSTALL
    return subprocess.run(
        [command, *arguments],
        cwd=module,
        env={**environment(), "GOFLAGS": "-mod=readonly"},
        input=given,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
