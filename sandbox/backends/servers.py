"""Installs and runs the two storage servers, each for as long as it is needed, on 127.0.0.1 only.

Both are packages from npm, by the lock in packages/: s3rver, and Azurite, Microsoft's own emulator of Azure Storage.
Their keys are the published ones of every installation and worth nothing elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import httpx

from sandbox import processes
from sandbox.errors import SandboxError
from sandbox.nocobase.packages import find_node
from sandbox.place import Place
from sandbox.steps import Report

SOURCE = Path(__file__).resolve().parent / "packages"

BUCKET = "state"
"""The bucket, and the container."""

AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's published account and its key, the same everywhere."""

PATIENCE = 60


@dataclass(frozen=True)
class Storage:
    """A running server with an empty bucket or container.

    environment: what the engine needs to find it. files: where it keeps what it is given.
    """

    environment: Mapping[str, str]
    files: Path

    def holds(self, text: bytes) -> bool:
        """Whether `text` is anywhere in what is stored."""
        return any(text in file.read_bytes() for file in self.files.rglob("*") if file.is_file())


def install(place: Place, report: Report) -> str:
    """Install both servers, unless exactly these are installed already. Raises SandboxError."""
    target = place.installed / "backends"
    wanted = (SOURCE / "package-lock.json").read_text()
    stamp = target / "installed.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return "already installed"
    report("npm ci")
    target.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, target)
    flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--omit=dev", "--omit=optional"]
    place.logs.mkdir(parents=True, exist_ok=True)
    with processes.log_file(place, "npm-backends").open("wb") as log:
        npm = [str(find_node().npm), "ci", *flags]
        ended = subprocess.run(npm, cwd=target, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if ended.returncode != 0:
        raise SandboxError(
            f"npm could not install the storage servers:\n{processes.log_tail(place, 'npm-backends', 5)}",
            "Check that npm reaches its registry (`npm ping`), then run the same command again.",
        )
    stamp.write_text(wanted)
    return "installed"


@contextmanager
def s3(place: Place) -> Iterator[Storage]:
    """An S3-compatible server with an empty bucket."""
    port = processes.free_port()
    files = place.home / "s3"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    options = ["--directory", files, "--address", "127.0.0.1", "--port", port, "--configure-bucket", BUCKET]
    with _running(place, "s3", "s3rver/bin/s3rver.js", options, port):
        environment = {
            "PULUMI_BACKEND_URL": f"s3://{BUCKET}?endpoint=127.0.0.1:{port}&disableSSL=true&s3ForcePathStyle=true",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "S3RVER",
            "AWS_SECRET_ACCESS_KEY": "S3RVER",
        }
        yield Storage(environment, files)


@contextmanager
def azure_blob(place: Place) -> Iterator[Storage]:
    """Azurite with an empty container."""
    port = processes.free_port()
    files = place.home / "azurite"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    options = ["--blobHost", "127.0.0.1", "--blobPort", port, "--location", files, "--silent", "--disableTelemetry"]
    options.append("--skipApiVersionCheck")
    with _running(place, "azurite", "azurite/dist/src/blob/main.js", options, port):
        _make_container(f"http://127.0.0.1:{port}")
        environment = {
            "PULUMI_BACKEND_URL": f"azblob://{BUCKET}",
            "AZURE_STORAGE_ACCOUNT": AZURITE_ACCOUNT,
            "AZURE_STORAGE_KEY": AZURITE_KEY,
            "AZURE_STORAGE_PROTOCOL": "http",
            "AZURE_STORAGE_DOMAIN": f"127.0.0.1:{port}",
            "AZURE_STORAGE_IS_LOCAL_EMULATOR": "true",
        }
        yield Storage(environment, files)


@contextmanager
def _running(place: Place, name: str, program: str, options: list[object], port: int) -> Iterator[None]:
    script = place.installed / "backends" / "node_modules" / program
    command = [str(find_node().node), str(script), *map(str, options)]
    processes.start(place, name, command, {"PATH": "/usr/bin:/bin"}, place.home)
    try:
        processes.wait_until_ready(place, name, lambda: not processes.port_is_free(port), PATIENCE)
        yield
    finally:
        processes.stop(place, name)


def _make_container(url: str) -> None:
    """Ask for the container, signed as Azure's documentation has it ("Authorize with Shared Key")."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    canonical = "".join(f"{name}:{value}\n" for name, value in headers.items())
    text = f"PUT{12 * chr(10)}{canonical}/{AZURITE_ACCOUNT}/{AZURITE_ACCOUNT}/{BUCKET}\nrestype:container"
    signature = hmac.new(base64.b64decode(AZURITE_KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {AZURITE_ACCOUNT}:{base64.b64encode(signature).decode()}"
    container = f"{url}/{AZURITE_ACCOUNT}/{BUCKET}"
    answer = httpx.put(container, params={"restype": "container"}, headers=headers, trust_env=False)
    if answer.is_error:
        raise SandboxError(f"Azurite made no container: {answer.status_code} {answer.text}", "Read azurite's log.")
