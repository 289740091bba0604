"""Installs the Pulumi CLI of the locked version, unless there is one on PATH: `python -m pipelines.steps.cli`."""

from __future__ import annotations

import os
import shutil
import sys

from pipelines.steps.running import cli_folder


def main() -> int:
    """Say where the CLI is, or install it by Pulumi's own script."""
    found = shutil.which("pulumi")
    if found is None:
        from pulumi.automation import PulumiCommand  # noqa: PLC0415 - half a second of imports

        found = PulumiCommand.install(root=os.fspath(cli_folder())).command
    print(f"Pulumi CLI: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
