"""The pinned Pulumi CLI: one archive for each platform, unpacked only if its SHA-256 is the right one.

The version is in provisioning/pins.json. The right checksum is in pulumi_cli.sha256, which `make lock` writes beside
this file; until it was written for that version, it is the one that the release publishes of itself. The archive and
that list come from different hosts. No script is run. Source of the addresses: get.pulumi.com/install.sh and the
release pages of pulumi/pulumi.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from provisioning import pins
from provisioning.connections import proxy_for, trusted
from provisioning.errors import ProvisioningError

ARCHIVE = "https://get.pulumi.com/releases/sdk/{name}"
CHECKSUMS = "https://github.com/pulumi/pulumi/releases/download/v{version}/pulumi-{version}-checksums.txt"

RECORDED = Path(__file__).with_name("pulumi_cli.sha256")
"""The checksums that were looked at and committed, a line for each archive as `sha256sum` writes it."""

LARGEST = 500_000_000
"""Bytes of an archive; that of 2026 has some 100 million."""

LONGEST_LIST = 100_000
"""Bytes of a list of checksums."""

DEADLINE, ANSWER = 600.0, 30.0
"""Seconds for the whole of a download, and for each part of it."""

MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
SYSTEMS = {"linux": "linux", "darwin": "darwin"}
LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>[\w.-]+)")


class CliNotInstalled(ProvisioningError):
    """The Pulumi CLI was not installed; nothing of it is left."""


def archive_name(of: str, system: str = sys.platform, machine: str = platform.machine()) -> str:
    """The archive of a version for a machine. Raises CliNotInstalled if there is none for it."""
    try:
        return f"pulumi-v{of}-{SYSTEMS[system]}-{MACHINES[machine.lower()]}.tar.gz"
    except KeyError:
        raise CliNotInstalled(
            f"There is no archive of the Pulumi CLI for {system} on {machine}. Install it, and put it on PATH."
        ) from None


def checksums(text: str) -> dict[str, str]:
    """Name of each archive → its SHA-256 in hexadecimal digits. What is no such line is passed over."""
    return {found["name"]: found["digest"] for line in text.splitlines() if (found := LINE.fullmatch(line.strip()))}


def install(root: Path, of: str | None = None) -> Path:
    """Install a version, by default the pinned one, in `root`; the command is returned.

    Raises CliNotInstalled, ProxyUnusable and CertificatesUnusable.
    """
    of = of or pins.version(pins.CLI)
    try:
        return _install(root, of, archive_name(of))
    except OSError as error:
        raise CliNotInstalled(
            f"The Pulumi CLI cannot be installed in {root} ({_cause(error)}). "
            "Make sure that there is room, and that this account may write there."
        ) from error


def _install(root: Path, of: str, name: str) -> Path:
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix="partial-") as folder:
        archive = Path(folder, name)
        wanted, source = _wanted(name, of)
        found = _download(ARCHIVE.format(name=name), archive, LARGEST)
        if found != wanted:
            raise CliNotInstalled(f"{name} has the SHA-256 {found}, and {source} says {wanted}. Nothing was installed.")
        _unpack(archive, Path(folder, "unpacked"))
        _put(Path(folder, "unpacked", "pulumi"), root / "bin")
    print(f"{name} has the SHA-256 that {source} says.", flush=True)
    return root / "bin" / "pulumi"


def _wanted(name: str, of: str) -> tuple[str, str]:
    """The SHA-256 that an archive must have, and who says so."""
    recorded: Mapping[str, str] = {}
    if RECORDED.exists():
        recorded = checksums(RECORDED.read_text(encoding="utf-8"))
    if name in recorded:
        return recorded[name], RECORDED.name
    published = checksums(read_published(of))
    if name not in published:
        raise CliNotInstalled(f"The checksums of the release {of} do not name {name}. Nothing was installed.")
    return published[name], "the release's own list (run `make lock` to pin it)"


def read_published(of: str) -> str:
    """The list of checksums that a release publishes. Raises CliNotInstalled."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "checksums")
        _download(CHECKSUMS.format(version=of), file, LONGEST_LIST)
        return file.read_text(encoding="utf-8", errors="replace")


def _download(url: str, file: Path, largest: int) -> str:
    """Write what is at `url` to a file, and return its SHA-256. Raises CliNotInstalled."""
    digest, size, began = hashlib.sha256(), 0, time.monotonic()
    try:
        with (
            httpx.Client(
                verify=trusted(), proxy=proxy_for(url), timeout=ANSWER, follow_redirects=True, trust_env=False
            ) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
            file.open("wb") as target,
        ):
            if any(each.url.scheme != "https" for each in (*answer.history, answer)):
                raise CliNotInstalled(f"{url} leads to an address without TLS. Nothing was installed.")
            for part in answer.raise_for_status().iter_raw():
                size += len(part)
                if size > largest or time.monotonic() - began > DEADLINE:
                    raise CliNotInstalled(f"{url} has more than {largest} bytes, or takes longer than {DEADLINE:g} s.")
                digest.update(part)
                target.write(part)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CliNotInstalled(f"{url} cannot be read ({type(error).__name__}). Run it again.") from error
    return digest.hexdigest()


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as packed:
            # Nothing outside the folder, no devices, no owners.
            packed.extractall(folder, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise CliNotInstalled(f"{archive.name} cannot be unpacked ({_cause(error)}).") from error


def _cause(error: Exception) -> str:
    """What the system says of an error, or the kind of error."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def _put(unpacked: Path, target: Path) -> None:
    """Move what was unpacked to `target`, in one step. What is there already stays."""
    if not (unpacked / "pulumi").is_file():
        raise CliNotInstalled("The archive holds no `pulumi`.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.replace(unpacked, target)


def main() -> int:
    """Record the checksums of the pinned version's archives: all of them, or none."""
    of = pins.version(pins.CLI)
    names = [archive_name(of, system, machine) for system in SYSTEMS for machine in ("x86_64", "aarch64")]
    try:
        published = checksums(read_published(of))
        if missing := [name for name in names if name not in published]:
            raise CliNotInstalled(
                f"The checksums of the release {of} do not name {', '.join(missing)}. Nothing was recorded."
            )
        RECORDED.write_text("".join(f"{published[name]}  {name}\n" for name in names), "utf-8")
    except (ProvisioningError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
