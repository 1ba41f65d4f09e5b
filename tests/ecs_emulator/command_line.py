# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ecs_emulator import seed
from ecs_emulator.seed import SeedError
from ecs_emulator.server import Server, loopback, serve
from ecs_emulator.switches import SWITCHES

LAST_PORT = 65535


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, without the usage."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def parser() -> argparse.ArgumentParser:
    made = Parser(prog="ecs_emulator", description="A local ECS endpoint for tests and for trying things without an account.")
    made.add_argument("--host", default="127.0.0.1", type=loopback, help="a loopback address; nothing else is allowed")
    made.add_argument("--port", default=0, type=_port, metavar="N", help="0 takes a free one")
    made.add_argument("--seed", default=seed.SAMPLE, type=Path, metavar="FILE.yml", help="what exists (default: seeds/sample.yml)")
    made.add_argument("--latency-ms", type=float, help="how long each call takes")
    made.add_argument("--lag-ms", type=_lag, metavar="N or N-M", help="how long a read shows the old view after a change")
    made.add_argument(
        "--calls-per-minute", action="append", default=[], metavar="N or Action=N", help="calls of one action in one window; 0 is no limit"
    )
    made.add_argument("--window-seconds", type=float, help="how long a 'minute' is (default 60)")
    made.add_argument("--random-seed", type=int, help="makes faults and lag repeatable")
    made.add_argument(
        "--switch", action="append", default=[], metavar="NAME=CHOICE", help="what is not known of the service; see --list-switches"
    )
    made.add_argument("--list-switches", action="store_true", help="print the switches with their choices (the default first) and facts")
    made.add_argument("--stop-with-stdin", action="store_true", help="stop when standard input ends, so as not to outlive the parent")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.list_switches:
        for switch in SWITCHES:
            print(f"{switch.name}: {'|'.join(switch.choices)}\n    {switch.fact}")
        return 0
    try:
        server = Server(seed.read(options.seed), _given(options))
    except SeedError as error:
        print(f"The seed {options.seed} or an option is wrong:", *error.problems, sep="\n  ", file=sys.stderr)
        return 2
    try:
        asyncio.run(_run(server, options))
    except OSError as error:
        print(f"Can't listen on {options.host} port {options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


async def _run(server: Server, options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.stop_with_stdin:

        def wait_for_end() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=wait_for_end, daemon=True).start()
    await serve(server, options.host, options.port, stop)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings on the command line. All others come from the seed, or are defaults."""
    plain = {name: getattr(options, name) for name in ("latency_ms", "lag_ms", "window_seconds", "random_seed")}
    given = {name: value for name, value in plain.items() if value is not None}
    problems = [f"--switch {pair}: NAME=CHOICE is needed" for pair in options.switch if "=" not in pair]
    limits: dict[str, int] = {}
    for text in options.calls_per_minute:
        action, _equals, number = text.rpartition("=")
        if not (number.isascii() and number.isdecimal()):
            problems.append(f"--calls-per-minute {text}: a whole number is needed")
            continue
        limits[action or "default"] = int(number)
    if problems:
        raise SeedError(problems)
    if options.switch:
        given["switches"] = dict(pair.split("=", 1) for pair in options.switch)
    if limits:
        given["calls_per_minute"] = limits
    return given


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and int(text) <= LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port; a whole number from 0 to {LAST_PORT} is needed")


def _lag(text: str) -> list[float]:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(?:-([0-9]+(?:\.[0-9]+)?))?", text, re.ASCII)
    low, high = (float(match[1]), float(match[2] or match[1])) if match else (1.0, 0.0)
    if low > high:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a lag; milliseconds are needed, as one number (200) or as the least and the most (100-300)"
        )
    return [low, high]
