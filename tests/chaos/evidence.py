# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The knowledge of the module: its writes with their replies, and the results of its reads."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.witness import canonical
from chaos.worlds import IPV4_PREFIXES, IPV6, IPV6_PREFIXES, KINDS, PRIVATE_IPV4

# The parameter of a write that names addresses of a kind, and how many the API takes in one call.
PARAMETERS = {
    PRIVATE_IPV4: ("PrivateIpAddress.", 32),
    IPV4_PREFIXES: ("Ipv4Prefix.", 10),
    IPV6: ("Ipv6Address.", 10),
    IPV6_PREFIXES: ("Ipv6Prefix.", 10),
}
# Codes that show that this request has arrived before.
ARRIVED_EARLIER = re.compile(r"SignatureNonceUsed|Idempotent")
# Codes of calls that were refused because of one or more addresses. The API does not document the effect on the other addresses.
ABOUT_AN_ADDRESS = re.compile(r"InvalidIp\.|InvalidPrivateIpAddress|InvalidVSwitchId\.IpInvalid|InvalidParameter")


@dataclass(frozen=True)
class Write:
    exchange: Mapping[str, Any]
    eni_id: str
    addresses: tuple[str, ...]

    @property
    def began(self) -> float:
        return float(self.exchange["began"])

    @property
    def ended(self) -> float:
        return float(self.exchange["ended"])

    @property
    def code(self) -> str:
        return str(self.exchange["code"])

    @property
    def is_accepted(self) -> bool:
        return self.exchange["status"] == 200 and bool(self.exchange["request_id"])

    @property
    def is_plainly_refused(self) -> bool:
        """HTTP 4xx with a readable code that does not mean that the request arrived earlier. Every other write may have been
        carried out."""
        status = self.exchange["status"]
        return status is not None and 400 <= status < 500 and bool(self.code) and not ARRIVED_EARLIER.match(self.code)

    def may_have_changed(self, address: str) -> bool:
        """Whether only a read can show the outcome of this address. A call that was refused because of another address may have been
        carried out for this one."""
        if not self.is_plainly_refused:
            return True
        if len(self.addresses) == 1 or not ABOUT_AN_ADDRESS.match(self.code):
            return False
        named = _named_in(self.exchange["message"])
        return address not in named or named.issuperset(self.addresses)  # a refusal that names all does not show the cause


@dataclass(frozen=True)
class Read:
    """All pages of one read. ``asked``: the ids of ENIs or instances that it asked for. ``rows``: by id."""

    began: float
    ended: float
    asked: frozenset[str]
    rows: Mapping[str, Mapping[str, Any]]


class Evidence:
    def __init__(self, exchanges: Sequence[Mapping[str, Any]]) -> None:
        self.exchanges = sorted(exchanges, key=lambda exchange: exchange["began"])
        self.writes = [write for exchange in self.exchanges if (write := _write(exchange))]
        self.reads = _whole_reads(self.exchanges, "DescribeNetworkInterfaces", "interfaces")
        self.instance_reads = _whole_reads(self.exchanges, "DescribeInstances", "instances")

    def writes_of(self, eni_id: str, address: str) -> list[Write]:
        return [write for write in self.writes if write.eni_id == eni_id and address in write.addresses]

    def views_of(self, eni_id: str) -> list[tuple[Read, Mapping[str, Any] | None]]:
        """Each read for this ENI, with its record. None if the read left it out, or if the record is not reliable."""
        return [(read, _if_whole(read.rows.get(eni_id))) for read in self.reads if eni_id in read.asked]

    def last_view_before(self, eni_id: str, moment: float) -> Mapping[str, Any] | None:
        return next((row for read, row in reversed(self.views_of(eni_id)) if row and read.ended < moment), None)

    def later_views(self, eni_id: str, address: str) -> list[Mapping[str, Any]]:
        """The results of reads that started after the last write of this address ended."""
        ended = max((write.ended for write in self.writes_of(eni_id, address)), default=0.0)
        return [row for read, row in self.views_of(eni_id) if row and read.began >= ended]

    def is_shown_after_last_write(self, eni_id: str) -> bool:
        """Whether a read that started after the last write of this ENI ended shows it, or no write of it was sent."""
        ended = [write.ended for write in self.writes if write.eni_id == eni_id]
        return not ended or any(row and read.began >= max(ended) for read, row in self.views_of(eni_id))

    def is_shown_changed(self, eni_id: str, address: str, state: str) -> bool:
        return any((address in secondary_addresses(row)) == (state == "present") for row in self.later_views(eni_id, address))

    def looked_again(self, eni_id: str, address: str) -> bool:
        """Whether a read of it was sent after its last write, with any reply."""
        ended = max((write.ended for write in self.writes_of(eni_id, address)), default=0.0)
        return any(exchange["began"] >= ended and eni_id in _asked(exchange) for exchange in self.exchanges)

    def last_look(self, eni_id: str) -> Mapping[str, Any]:
        """The last request for a read of this ENI."""
        return [exchange for exchange in self.exchanges if eni_id in _asked(exchange)][-1]

    def seconds_of_silence(self, last: Mapping[str, Any]) -> float:
        """Time without a valid reply of the service, up to the end of this exchange."""
        answered = [exchange["ended"] for exchange in self.exchanges if exchange["request_id"] and exchange["ended"] <= last["ended"]]
        return float(last["ended"] - max(answered, default=float("-inf")))

    def was_seen(self, thing_id: str, before: float) -> bool:
        """Whether a reply before this moment showed this ENI or instance."""
        return any(
            thing_id in (*(exchange["interfaces"] or ()), *(exchange["instances"] or ()))
            or thing_id in (row["primary"] for row in (exchange["instances"] or {}).values())
            for exchange in self.exchanges
            if exchange["ended"] < before
        )

    def times_left_out(self, thing_id: str) -> list[float]:
        """Start times of reads for this ENI or instance whose replies left it out."""
        reads = self.reads if thing_id.startswith("eni-") else self.instance_reads
        return [read.began for read in reads if thing_id in read.asked and thing_id not in read.rows]

    def is_broken_in(self, thing_id: str, request_id: str) -> bool:
        """Whether the error in the reply with this request id concerns this ENI or instance, or the whole reply."""
        for exchange in self.exchanges:
            if exchange["request_id"] == request_id:
                rows = {**(exchange["interfaces"] or {}), **(exchange["instances"] or {})}
                if not rows or exchange["nameless"]:
                    return True
                return thing_id in rows and not rows[thing_id]["whole"]
        return True

    def has_broken_holder(self, eni_id: str) -> bool:
        """Whether a list of a vSwitch had another ENI that cannot be read."""
        return any(
            not row["whole"]
            for exchange in self.exchanges
            if "VSwitchId" in exchange["parameters"]
            for other, row in (exchange["interfaces"] or {}).items()
            if other != eni_id
        )

    def instance_status_before(self, instance_id: str, moment: float) -> str | None:
        shown = [
            exchange["instances"][instance_id]["status"]
            for exchange in self.exchanges
            if exchange["ended"] < moment and instance_id in (exchange["instances"] or ())
        ]
        return shown[-1] if shown else None


def secondary_addresses(row: Mapping[str, Any]) -> set[str]:
    return {address for kind in KINDS for address in row[kind]}


def _named_in(message: str) -> set[str]:
    named = set()
    for word in re.findall(r"[0-9A-Fa-f:./]*[0-9A-Fa-f]", message):
        with contextlib.suppress(ValueError):
            named.add(canonical(word))
    return named


def _if_whole(row: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return row if row and row["whole"] else None


def written_addresses(parameters: Mapping[str, str]) -> tuple[str, ...]:
    prefixes = tuple(prefix for prefix, _most in PARAMETERS.values())
    return tuple(canonical(value) for name, value in parameters.items() if name.startswith(prefixes))


def _write(exchange: Mapping[str, Any]) -> Write | None:
    if not exchange["action"].startswith(("Assign", "Unassign")):
        return None
    return Write(exchange, exchange["parameters"].get("NetworkInterfaceId", ""), written_addresses(exchange["parameters"]))


def _asked(exchange: Mapping[str, Any]) -> frozenset[str]:
    parameters = exchange["parameters"]
    listed = (value for name, value in parameters.items() if name.startswith("NetworkInterfaceId."))
    return frozenset((*listed, *json.loads(parameters.get("InstanceIds") or "[]")))


def _whole_reads(exchanges: Iterable[Mapping[str, Any]], action: str, rows: str) -> list[Read]:
    """Complete reads, in the order of their start. The pages of a read come one after another in one thread."""
    found = []
    under_way: dict[int, list[Mapping[str, Any]]] = {}
    for exchange in exchanges:
        thread, token = exchange["thread"], exchange["parameters"].get("NextToken", "")
        pages = under_way.pop(thread, [])
        if exchange["action"] != action:
            continue
        if token and not (pages and pages[-1]["next_token"] == token):
            continue
        pages = pages if token else []
        is_readable = exchange["status"] == 200 and exchange[rows] is not None and not exchange["nameless"]
        if is_readable:
            pages = [*pages, exchange]
        if is_readable and not exchange["next_token"]:
            all_rows = {thing_id: row for page in pages for thing_id, row in page[rows].items()}
            found.append(Read(pages[0]["began"], exchange["ended"], _asked(pages[0]), all_rows))
        elif pages:
            under_way[thread] = pages
    return sorted(found, key=lambda read: read.began)
