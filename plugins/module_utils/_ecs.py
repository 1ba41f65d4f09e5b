# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ECS API as this collection uses it: calls, pages, retries.

Private to this collection. It returns plain records with the names of the API.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KIND_BY_NAME
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    BAD_CREDENTIAL,
    CALLER_GONE,
    INTERRUPTED,
    UNREADABLE_REPLY,
    EcsError,
    PlanAged,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import Connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer, Stopwatch
from ansible_collections.alicloud_ops.network.plugins.module_utils._sdk import Sdk

Batch = TypeVar("Batch")
Found = TypeVar("Found")

# The largest pages: the service reduces larger numbers, and smaller pages cost more calls (DescribeNetworkInterfaces, DescribeInstances).
INTERFACES_PER_PAGE = 500
INSTANCES_PER_PAGE = 100
GROUPS_PER_PAGE = 100
# Far more than an account can have in one region. A longer list probably has no end, and must not fill the memory.
MOST_ROWS = 500_000
LEAST_PER_PAGE = 50  # a page counts as this many rows at least, so that a list of empty pages ends too
# Number of reads at the same time. A reply with a hundred ENIs needs much more memory during the read than afterwards.
MOST_READERS = 4

WRITES_AHEAD = 100
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
# So a writer waits at most 7.5 s for its turn, or 15 s at the slowest allowed pace. This is usually less than the 15 s that remain
# when a plan is renewed. If reads delay the call further, it is not sent (PlanAged).
CALLS_PER_MINUTE_FOR_A_WRITER = 8
# An endpoint that has never answered is more likely mistyped than busy, so the module gives up earlier than retry_timeout.
FIRST_CONTACT_SECONDS = 8.0


class Record(dict[str, Any]):
    """A row of a reply, with the names of the API, and the call that returned it."""

    def __init__(self, row: Mapping[str, Any], action: str, request_id: str) -> None:
        super().__init__(row)
        self.action = action
        self.request_id = request_id


class Ecs:
    """The ECS API of one region, safe to share between threads once the first call has returned."""

    _thread = threading.local()

    def __init__(self, connection: Connection, is_caller_waiting: Callable[[], bool] = lambda: True) -> None:
        """``is_caller_waiting`` is called right before each call is sent. When it returns False, nothing more is sent."""
        self._connection = connection
        self._is_caller_waiting = is_caller_waiting
        self._pacer = Pacer(connection.calls_per_minute, connection.max_concurrency)
        self._count = threading.Lock()
        self.api_calls = 0
        self._answered_at: float | None = None
        self._may_read_instances = False
        self._sdk = Sdk(connection)

    def stop(self) -> None:
        """Send nothing more. Calls that wait for their turn fail with Interrupted."""
        self._pacer.stop()

    def stopwatch(self) -> Stopwatch:
        """A stopwatch that starts now. It pauses while pacing or throttling holds back the calls of this thread."""
        return Stopwatch(self._pacer)

    @property
    def retry_timeout(self) -> float:
        return self._connection.retry_timeout

    def is_fatal(self, error: EcsError) -> bool:
        """Whether no later call is likely to succeed: the credential is not valid, or nothing has answered for a while."""
        silent = _clock.now() - (self._answered_at or 0)
        is_silent = error.is_unanswered and error.is_transient and silent >= self.retry_timeout
        return error.code == CALLER_GONE or bool(BAD_CREDENTIAL.match(error.code)) or is_silent

    @property
    def writers(self) -> int:
        """Number of ENIs to write at once: no more than the pace allows before their plans age."""
        pace, most = self._connection.calls_per_minute, self._connection.max_concurrency
        return max(min(most, pace // CALLS_PER_MINUTE_FOR_A_WRITER), 1) if pace else most

    def read_concurrently(self, read: Callable[[Batch], Found], batches: Sequence[Batch]) -> list[Found]:
        """The results of ``read`` for each batch, in order. The first batch is read alone, so that the others share its connection."""
        found = [read(batch) for batch in batches[:1]]
        if len(batches) > 1:
            with ThreadPoolExecutor(min(self.writers, MOST_READERS, len(batches) - 1)) as pool:
                try:
                    timed = list(pool.map(lambda batch: (read(batch), self._pacer.waited), batches[1:]))
                except BaseException as error:
                    if not isinstance(error, Exception):
                        self.stop()  # otherwise the pool would wait for threads that wait for their turn
                    raise
            found += [one for one, _waited in timed]
            self._pacer.waited += max(waited for _one, waited in timed)
        return found

    @property
    def writes_ahead(self) -> int:
        """Number of ENIs that may wait for a writer: no more than can be written in about 15 s, so that their plans stay fresh."""
        pace = self._connection.calls_per_minute
        return max(min(WRITES_AHEAD, pace // 4), 1) if pace else WRITES_AHEAD

    @property
    def last_request_id(self) -> str | None:
        """The request id of the last list that this thread has read."""
        return getattr(self._thread, "request_id", None)

    @property
    def region(self) -> str:
        return self._connection.region

    def network_interfaces(self, **filters: Any) -> list[Record]:
        """All rows of DescribeNetworkInterfaces. Filters have the names of the SDK."""
        parameters = {"max_results": INTERFACES_PER_PAGE, **filters}
        return list(self._rows("DescribeNetworkInterfaces", parameters, "NetworkInterfaceSets", "NetworkInterfaceSet"))

    def instances(self, *, instance_ids: Sequence[str] | None = None, **filters: Any) -> list[Record]:
        """All rows of DescribeInstances. Without permission the service returns an empty list, so another call checks an empty list."""
        parameters = {"max_results": INSTANCES_PER_PAGE, **filters}
        if instance_ids is not None:
            parameters["instance_ids"] = json.dumps(list(instance_ids))
        rows = list(self._rows("DescribeInstances", parameters, "Instances", "Instance"))
        if len(rows) < (1 if instance_ids is None else len(instance_ids)):
            self._prove_instances_are_readable()
        return rows

    def security_groups(self, *, security_group_ids: Sequence[str] | None = None, **filters: Any) -> list[Record]:
        """All rows of DescribeSecurityGroups. Filters have the names of the SDK."""
        parameters = {"max_results": GROUPS_PER_PAGE, **filters}
        if security_group_ids is not None:
            parameters["security_group_ids"] = json.dumps(list(security_group_ids))
        return list(self._rows("DescribeSecurityGroups", parameters, "SecurityGroups", "SecurityGroup"))

    def unassign(self, eni_id: str, kind: str, addresses: Sequence[str], *, not_after: float) -> None:
        """Unassign addresses of one kind from one ENI. After ``not_after`` (``_clock.now``) the call raises PlanAged and is not sent."""
        called = KIND_BY_NAME[kind]
        self._write(f"Unassign{called.api_noun}", eni_id, {called.parameter: list(addresses)}, not_after)

    def assign(self, eni_id: str, kind: str, addresses: Sequence[str], *, client_token: str, not_after: float) -> None:
        """As ``unassign``. The same ``client_token`` makes it harmless to send the request twice."""
        called = KIND_BY_NAME[kind]
        self._write(f"Assign{called.api_noun}", eni_id, {called.parameter: list(addresses), "client_token": client_token}, not_after)

    def _write(self, action: str, eni_id: str, parameters: Mapping[str, Any], not_after: float) -> None:
        self._send(action, {"network_interface_id": eni_id, **parameters}, not_after)

    def _prove_instances_are_readable(self) -> None:
        if self._may_read_instances:
            return
        try:
            self._send("DescribeInstances", {"dry_run": True})
        except EcsError as error:
            if error.code == "DryRunOperation":
                self._may_read_instances = True
                return
            raise
        raise EcsError(
            "DescribeInstances", UNREADABLE_REPLY, "the reply to DryRun=true is not DryRunOperation, so an empty list proves nothing"
        )

    def _rows(self, action: str, parameters: Mapping[str, Any], outer: str, inner: str) -> Iterator[Record]:
        tokens: set[str] = set()
        total = 0
        asked = dict(parameters)
        while True:
            reply = self._send(action, asked)
            request_id = self._thread.request_id = reply["RequestId"]
            wrapper = reply.get(outer)
            rows = wrapper.get(inner) if isinstance(wrapper, dict) else None
            if not isinstance(rows, list):
                raise EcsError(action, UNREADABLE_REPLY, f"the reply has no list {outer}.{inner}", request_id)
            if not all(isinstance(row, dict) for row in rows):
                raise EcsError(action, UNREADABLE_REPLY, f"{outer}.{inner} has an entry that is not a record", request_id)
            total += max(len(rows), LEAST_PER_PAGE)
            if total > MOST_ROWS:
                raise EcsError(action, UNREADABLE_REPLY, f"the list did not end after {len(tokens) + 1} pages", request_id)
            yield from (Record(row, action, request_id) for row in rows)
            token = reply.get("NextToken")
            if token in (None, ""):
                return
            if not isinstance(token, str):
                raise EcsError(action, UNREADABLE_REPLY, "NextToken is not a string", request_id)
            if token in tokens:
                raise EcsError(action, UNREADABLE_REPLY, "the reply repeats a NextToken, so the list has no end", request_id)
            tokens.add(token)
            asked["next_token"] = token

    def _send(self, action: str, parameters: Mapping[str, Any], not_after: float | None = None) -> dict[str, Any]:
        """One call, repeated until it has a reply or fails finally. Returns the reply with the names of the API. ``not_after`` is set for
        a write. Age and caller are checked at the turn of the call, and again right before the request is sent, because fetching a
        credential may take time."""

        def check() -> None:
            if not self._is_caller_waiting():
                raise EcsError(action, CALLER_GONE, "not sent, because the process that waits for the result has ended", unsent=True)
            if not_after is not None and _clock.now() > not_after:
                raise PlanAged()

        started = 0.0
        refusal: EcsError | None = None  # of the last attempt of a write that left this machine, so that it is not lost
        pause = FIRST_PAUSE
        while True:
            try:
                self._admit(action, check)
                started = started or _clock.now()
                return self._send_once(action, parameters, check)
            except PlanAged:
                raise PlanAged(refusal) from None
            except EcsError as caught:
                error = caught
            if not_after is not None and not error.unsent:
                refusal = error
            if not (error.is_transient and (not_after is None or error.certainly_not_carried_out)):
                raise refusal or error
            patience = self.retry_timeout
            if self._answered_at is None:
                patience = min(patience, FIRST_CONTACT_SECONDS)
            left = started + patience - _clock.now()
            if left <= 0:
                raise refusal or error
            if not error.is_throttled:  # a throttled call waits in admit(), with all others
                jitter = random.uniform(0.75, 1.25)  # noqa: S311 - spreads calls, keeps no secret
                _clock.sleep(min(pause * jitter, left))
                pause = min(pause * 2, LONGEST_PAUSE)

    def _admit(self, action: str, check: Callable[[], None]) -> None:
        """Wait for the turn of this call."""
        if not self._pacer.admit():
            raise EcsError(action, INTERRUPTED, "not sent, because the task was interrupted", unsent=True)
        try:
            check()
        except BaseException:
            self._pacer.abandoned()
            raise

    def _send_once(self, action: str, parameters: Mapping[str, Any], check: Callable[[], None]) -> dict[str, Any]:
        try:
            reply = self._sdk.call(action, {"region_id": self.region, **parameters}, check)
        except EcsError as error:
            if error.code == CALLER_GONE:
                self._pacer.abandoned()
            else:
                self._note(error)
            raise
        except BaseException:  # the check stopped it
            self._pacer.abandoned()
            raise
        self._note(None)
        return reply

    def _note(self, error: EcsError | None) -> None:
        """Update pace and counters after a call."""
        with self._count:
            self.api_calls += 1
        if error and error.is_throttled:
            self._pacer.throttled(error.retry_after)
        else:
            self._pacer.passed()
        if error is None or not (error.unsent or error.is_unanswered):
            self._answered_at = _clock.now()
