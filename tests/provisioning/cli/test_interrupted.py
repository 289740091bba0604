"""Ctrl-C, whenever it comes, is exit code 130 without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from provisioning.cli.common import errors_as_sentences
from tests.golden import PROJECT

IMPORTING = """
import runpy, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
runpy.run_module("provisioning", run_name="__main__")
"""


def test_while_it_imports() -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTING], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_while_it_reads() -> None:
    command = [sys.executable, "-m", "provisioning", "explain", "-"]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in said) == (130, False)


def test_at_a_question() -> None:
    app = typer.Typer()

    @app.command()
    def ask() -> None:
        with errors_as_sentences():
            raise typer.Abort

    ended = CliRunner().invoke(app, [])
    assert (ended.exit_code, ended.stderr) == (130, "Interrupted.\n")
