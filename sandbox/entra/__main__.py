"""`python -m sandbox.entra`: run the stand-in for Entra ID and Microsoft Graph in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path

from sandbox.entra.server import run


def main() -> None:
    """Parse the arguments and serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.entra", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of state.json")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: loopback)")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--certificate", type=Path, required=True, help="server certificate, PEM")
    parser.add_argument("--key", type=Path, required=True, help="its private key, PEM")
    given = parser.parse_args()
    run(given.home, host=given.host, port=given.port, certificate=given.certificate, key=given.key)


if __name__ == "__main__":
    main()
