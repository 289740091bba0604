"""How a program ends before its time: without a traceback, and with no word that is not for its person."""

from __future__ import annotations

import signal
import subprocess
import sys

import pulumi
import pytest
from pulumi.runtime import settings

from provisioning import ending
from provisioning.ending import Ended, end_with
from tests.golden import PROJECT

TOLD = """
import signal, sys, time
from provisioning import ending

signal.signal(signal.SIGINT, signal.default_int_handler)
ending.end_quietly_when_told()
print("a line", end="")
signal.raise_signal(signal.SIGINT)
time.sleep(60)
"""


INTERRUPTED_WRITE = """
import io, signal, sys

class Written(io.StringIO):
    def flush(self):
        raise RuntimeError("reentrant call inside <_io.BufferedWriter name='<stdout>'>")

sys.stdout = Written()
"""


@pytest.mark.parametrize("before", ["", INTERRUPTED_WRITE], ids=["", "within a write"])
def test_a_program_that_its_host_ends_says_nothing(before: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", before + TOLD], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (32, "" if before else "a line", "")


def test_a_host_that_hears_the_signal_itself_is_left_alone() -> None:
    def own(*_: object) -> None:
        """The host's."""

    before = signal.signal(signal.SIGINT, own)
    try:
        ending.end_quietly_when_told()
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


GONE = """
import grpc
from provisioning import ending
from pulumi.runtime import settings

class Gone(grpc.RpcError):
    def code(self):
        return grpc.StatusCode.UNAVAILABLE

ending.end_quietly_when_told()
settings.handle_grpc_error(Gone())
"""


def test_an_engine_that_is_gone_is_no_news() -> None:
    """By itself the SDK has the host print "Resource monitor has terminated, shutting down"."""
    ended = subprocess.run([sys.executable, "-c", GONE], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (32, "", "")


def test_what_the_sdk_makes_of_an_error_is_replaced_where_it_looks_for_it() -> None:
    assert "grpc_error_to_exception" in settings.handle_grpc_error.__code__.co_names


def test_a_sentence_is_the_error_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", shown.append)
    with pytest.raises(Ended, match=r"^two settings are wrong$") as ended:
        end_with("two settings are wrong")
    assert shown == ["two settings are wrong"]
    assert ended.value.code == 32


@pytest.mark.parametrize("program", ["provisioning/head_start.py", "bootstrap/__main__.py", "policy/__main__.py"])
def test_a_program_can_be_told_from_its_first_lines_on(program: str) -> None:
    lines = (PROJECT / program).read_text(encoding="utf-8").splitlines()
    told = lines.index("end_quietly_when_told()")
    imports = [line for line in lines[:told] if line.startswith(("import ", "from "))]
    assert [line for line in imports if not line.endswith(("import end_quietly_when_told", "import annotations"))] == []


HEARD = """
import signal
from provisioning import ending

signal.signal(signal.SIGINT, signal.default_int_handler)
ending.end_quietly_when_told()
with ending.heard_out():
    signal.raise_signal(signal.SIGINT)
    print("the answer")
print("not reached")
"""


def test_a_question_is_heard_out_before_the_end() -> None:
    ended = subprocess.run([sys.executable, "-c", HEARD], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (32, "the answer\n", "")
