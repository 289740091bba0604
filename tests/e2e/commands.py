"""The commands beside `pulumi`, run in this process: their imports are paid once, not by each test."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from provisioning import cli
from tests.e2e.remembered import remembering
from tests.e2e.stack import Stack, surroundings


def command(stack: Stack, *arguments: str, ok: bool = True, extra: Mapping[str, str] | None = None) -> tuple[str, str]:
    """What `python -m provisioning …` prints to stdout and stderr, piped."""
    code, printed, said = run(stack, *arguments, extra=extra)
    assert (code == 0) is ok, printed + said
    assert "Traceback" not in said
    return printed, said


def run(stack: Stack, *arguments: str, extra: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """The exit code of `python -m provisioning …`, and what it prints to stdout and stderr."""
    return run_in(stack.place.project, surroundings(stack.place, extra), *arguments)


def run_in(folder: Path, variables: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """The same in any folder with a project. variables: of the environment, besides this process's own."""
    printed, said = io.StringIO(), io.StringIO()
    code = 0
    with (
        chdir(folder),
        mock.patch.dict(os.environ, variables),
        mock.patch("sys.argv", ["provisioning", *arguments]),
        remembering(),
        redirect_stdout(printed),
        redirect_stderr(said),
        warnings.catch_warnings(),
    ):
        # Microsoft's SDK uses what it has deprecated itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return code, printed.getvalue(), said.getvalue()
