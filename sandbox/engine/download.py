"""Downloads the official Pulumi CLI of the SDK's version, as the pipelines do: an archive whose checksum is checked.

Needs the pulumi package; writes to the cache only. Run as a module, it is the child process of `download`, in the
Python that has the packages.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from sandbox.engine.find import LANGUAGE_HOST, Engine, Origin, downloads, engine_version
from sandbox.errors import SandboxError
from sandbox.place import PROJECT, Place

SECONDS = 300.0


def download(
    place: Place, report: Callable[[str], None], python: Path | None = None, seconds: float = SECONDS
) -> Engine:
    """Download the engine that belongs to the installed SDK.

    python: the interpreter that has the pulumi package; by default the running one.

    Raises SandboxError if that fails or takes longer than `seconds`; nothing is left behind then.
    """
    folder = downloads(place)
    folder.mkdir(parents=True, exist_ok=True)
    report("downloading the official Pulumi CLI")
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder.parent))
    try:
        _run_installer([str(python or sys.executable), "-m", "sandbox.engine.download", str(partial)], seconds)
        version = engine_version(partial / "bin" / "pulumi")
        if version is None:
            raise SandboxError("The downloaded Pulumi CLI does not run on this machine.", _REMEDY)
        home = folder / str(version)
        if not home.exists():
            partial.rename(home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Engine(home / "bin" / "pulumi", version, Origin.DOWNLOADED, (home / "bin" / LANGUAGE_HOST).exists())


_REMEDY = "Install the Pulumi CLI (https://www.pulumi.com/docs/install/), then run `make up` again."


def _run_installer(command: list[str], seconds: float) -> None:
    # A session of its own, so that the time limit ends the installer's shell and curl as well.
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except BaseException as stopped:
            _end_session(process)
            if isinstance(stopped, subprocess.TimeoutExpired):
                raise SandboxError(f"Downloading the Pulumi CLI took longer than {seconds:.0f} s.", _REMEDY) from None
            raise
    if process.returncode != 0:
        end = "\n".join(f"  | {line}" for line in output.splitlines()[-5:])
        raise SandboxError(f"Downloading the Pulumi CLI failed:\n{end}", _REMEDY)


def _end_session(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def _install(root: str) -> None:
    from pipelines.pulumi_release import install  # noqa: PLC0415 - only the child process has to have the packages
    from provisioning.errors import ProvisioningError  # noqa: PLC0415 - as above

    try:
        install(Path(root))
    except ProvisioningError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _install(sys.argv[1])
