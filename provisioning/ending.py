"""How a program ends before its time, under any host: quietly when it is told to, else with one sentence.

Pulumi's Python host runs a program as a process of its own, sends it SIGINT when the engine cancels the run (Ctrl-C, or
a provider has refused something), and adds words of its own unless the program ends with QUIETLY. Source:
pulumi-language-python and pulumi-language-python-exec of Pulumi 3.274; measured with both.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import grpc
import pulumi
from pulumi.runtime import settings

QUIETLY = 32
"""The exit code of a program after which its host says nothing more."""


def end_quietly_when_told() -> None:
    """Have this program end at once, without a traceback, when its host sends SIGINT or the engine goes: that says why.

    To be called once, by a program's first lines. A host that hears the signal itself is left alone.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _told)
    error_of = settings.grpc_error_to_exception

    def of_an_engine_that_lives(exn: grpc.RpcError) -> Exception:
        call: Any = exn
        # The SDK makes "Resource monitor has terminated, shutting down" of it, which is no news to anybody.
        if call.code() != grpc.StatusCode.UNAVAILABLE:
            return error_of(exn)
        return EngineGone() if _asking else end_quietly()

    settings.grpc_error_to_exception = of_an_engine_that_lives


class EngineGone(Exception):
    """The engine went without an answer."""


_asking: list[bool] = []
"""Whether the program has been told to end, for each question that it hears out."""


@contextmanager
def heard_out() -> Iterator[None]:
    """Let a question be answered even if the program is told to end meanwhile: a refused sign-in does both at once.

    What the block raises is raised, EngineGone among it; otherwise, a program that has been told to ends after it.
    """
    _asking.append(False)
    try:
        yield
    finally:
        told = _asking.pop()
    if told:
        end_quietly()


def _told(_number: int, _frame: object) -> None:
    if not _asking:
        end_quietly()
    _asking[-1] = True


class Ended(SystemExit):
    """The program ends with an error that the person was shown. Its code is QUIETLY, its text the error's."""

    def __init__(self, sentence: str) -> None:
        super().__init__(QUIETLY)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def end_with(sentence: str) -> NoReturn:
    """Show the person one sentence as the error, and end the program. Raises Ended."""
    pulumi.log.error(sentence)
    raise Ended(sentence)


def end_quietly() -> NoReturn:
    """End this program now; what it has printed is shown."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a closed pipe, or a write that the signal has interrupted
            stream.flush()
    os._exit(QUIETLY)
