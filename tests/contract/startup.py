"""`python -m tests.contract.startup`: how long the two stand-ins take from the start of the process to be of use.

The azuread plugin is of use when it prints its port, the stand-in for Entra ID when it answers over HTTPS.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path

from sandbox.place import PROJECT
from tests.sandbox.entra.service import Certificates, make_certificates

PATIENCE = 30.0


def azuread() -> float:
    """Seconds until the plugin prints its port."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "sandbox.azuread"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline()
        took = time.perf_counter() - start
        process.terminate()
    int(port)
    return took


def entra(files: Certificates, home: Path) -> float:
    """Seconds until the stand-in for Entra ID, with the state that it keeps in `home`, answers a request."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tls = ssl.create_default_context(cafile=str(files.authority))
    command: list[str | Path] = [sys.executable, "-m", "sandbox.entra", "--home", home, "--port", str(port)]
    command += ["--certificate", files.certificate, "--key", files.key]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=PROJECT) as process:
        try:
            while time.perf_counter() - start < PATIENCE:
                with suppress(ConnectionRefusedError):
                    connection = HTTPSConnection("localhost", port, context=tls)
                    try:
                        connection.request("GET", "/metadata/endpoints?api-version=2022-09-01")
                        assert connection.getresponse().status == 200
                        return time.perf_counter() - start
                    finally:
                        connection.close()
                time.sleep(0.005)
        finally:
            process.terminate()
    raise TimeoutError(f"the stand-in for Entra ID did not answer within {PATIENCE:.0f} s")


def report(name: str, measure: Callable[[], float], runs: int) -> None:
    """Print the median and the extremes of some runs, after one that warms the disk's cache."""
    measure()
    times = sorted(measure() for _ in range(runs))
    print(f"{name}: median {statistics.median(times):.3f} s, {times[0]:.3f} to {times[-1]:.3f} s, {runs} runs")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        files = make_certificates(Path(folder))
        report("azuread plugin", azuread, runs)
        report("Entra ID", lambda: entra(files, Path(folder, "home")), runs)


if __name__ == "__main__":
    main()
