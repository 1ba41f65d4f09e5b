# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the local ECS endpoint, talk to its control paths, stop it. Standard library only."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

FOLDER = Path(__file__).resolve().parent.parent / "ecs_emulator"
ANNOUNCEMENT = "listening on "


class EmulatorError(Exception):
    pass


class Emulator:
    """The endpoint as a separate process, on a free port.

    >>> with Emulator() as emulator:
    ...     os.environ.update(emulator.environment())

    The options are those of the command line: Emulator("--lag-ms", "200", seed="seeds/other.yml").
    """

    def __init__(self, *options: str, seed: str | Path | None = None, port: int = 0, python: str = sys.executable) -> None:
        chosen = ["--seed", str(seed)] if seed else []
        self._command = [python, str(FOLDER), "--port", str(port), "--stop-with-stdin", *chosen, *options]
        self._process: subprocess.Popen[str] | None = None
        self.endpoint = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> Self:
        # Its standard input stays open as long as this process lives, and ends with it.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in stop)
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(ANNOUNCEMENT):
            self._process.wait()
            self._errors.seek(0)
            message = line + self._errors.read()
            self.stop()
            raise EmulatorError(f"The endpoint did not start: {message.strip()}")
        self.endpoint = line.removeprefix(ANNOUNCEMENT).strip()
        return self

    def stop(self) -> None:
        """End only the process that was started here."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        self._errors.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def environment(self) -> dict[str, str]:
        """The variables that a user would set for this endpoint."""
        return {
            "ALIBABA_CLOUD_ECS_ENDPOINT": self.endpoint,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator-key-id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-key-secret",
            "ALIBABA_CLOUD_REGION_ID": "cn-hangzhou",
        }

    def state(self) -> dict[str, Any]:
        """The real state, whatever reads show."""
        found: dict[str, Any] = self._talk("GET", "state")
        return found

    def calls(self, action: str | None = None, since: int = 0, writes: bool | None = None) -> list[dict[str, Any]]:
        """The calls since the start, the last reset, or the call of this sequence number.

        ``writes``: only the calls of actions that change something, or only the others.
        """
        asked = {"since": str(since), "action": action or "", "writes": "" if writes is None else str(writes).lower()}
        found: list[dict[str, Any]] = self._talk("GET", f"calls?{urlencode(asked)}")
        return found

    def faults(self, faults: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Replace all faults. An empty list ends them."""
        found: list[dict[str, Any]] = self._talk("POST", "faults", list(faults))
        return found

    def fault_counts(self) -> list[dict[str, Any]]:
        """For each fault, how often it matched a call, and how often it fired."""
        found: list[dict[str, Any]] = self._talk("GET", "faults")
        return found

    def settings(self) -> dict[str, Any]:
        """The settings in force, and all switches with their choices."""
        found: dict[str, Any] = self._talk("GET", "settings")
        return found

    def reset(self, seed: Mapping[str, Any] | str | Path | None = None, **settings: Any) -> None:
        """Reset to the start, with this seed (a document, or its path) and these settings."""
        body = dict(settings)
        if isinstance(seed, Mapping):
            body["seed"] = dict(seed)
        elif seed:
            body["seed_file"] = str(Path(seed).resolve())
        self._talk("POST", "reset", body)

    def _talk(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"), timeout=60)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"/_emulator/{path}", text, {"Content-Type": "application/json"} if text else {})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise EmulatorError("; ".join(answer.get("errors", [str(answer)])))
        return answer
