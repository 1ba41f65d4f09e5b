# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that change the addresses of an interface, with all rules of the service to refuse them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ecs_emulator.context import Context
from ecs_emulator.errors import refusal
from ecs_emulator.model import Interface
from ecs_emulator.seed import DEFAULT_TYPE
from ecs_emulator.world import IPV6_PREFIX_MASK

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_IPV6 = 10
MOST_PREFIXES = 10
MOST_IPV6_WHEN_AVAILABLE = 10


@dataclass(frozen=True)
class Family:
    """The differences between IPv4 and IPv6."""

    version: int
    addresses: str
    prefixes: str
    kind: str
    prefix_kind: str
    count: str
    prefix_count: str
    malformed: str
    exceeded: str


IPV4 = Family(
    version=4,
    addresses="PrivateIpAddress",
    prefixes="Ipv4Prefix",
    kind="private_ip_addresses",
    prefix_kind="ipv4_prefixes",
    count="SecondaryPrivateIpAddressCount",
    prefix_count="Ipv4PrefixCount",
    malformed="InvalidPrivateIpAddress.Malformed",
    exceeded="InvalidOperation.Ipv4CountExceeded",
)
IPV6 = Family(
    version=6,
    addresses="Ipv6Address",
    prefixes="Ipv6Prefix",
    kind="ipv6_addresses",
    prefix_kind="ipv6_prefixes",
    count="Ipv6AddressCount",
    prefix_count="Ipv6PrefixCount",
    malformed="InvalidIp.Address",
    exceeded="InvalidOperation.Ipv6CountExceeded",
)


def unassign_private_ip_addresses(context: Context) -> dict[str, Any]:
    return _unassign(context, IPV4)


def unassign_ipv6_addresses(context: Context) -> dict[str, Any]:
    return _unassign(context, IPV6)


def assign_private_ip_addresses(context: Context) -> dict[str, Any]:
    eni_id, addresses, prefixes = _assign(context, IPV4, "AssignPrivateIpAddresses")
    return {
        "AssignedPrivateIpAddressesSet": {
            "NetworkInterfaceId": eni_id,
            "PrivateIpSet": {"PrivateIpAddress": addresses},
            "Ipv4PrefixSet": {"Ipv4Prefixes": prefixes},
        }
    }


def assign_ipv6_addresses(context: Context) -> dict[str, Any]:
    eni_id, addresses, prefixes = _assign(context, IPV6, "AssignIpv6Addresses")
    return {"NetworkInterfaceId": eni_id, "Ipv6Sets": {"Ipv6Address": addresses}, "Ipv6PrefixSets": {"Ipv6Prefix": prefixes}}


# --- unassign


def _unassign(context: Context, family: Family) -> dict[str, Any]:
    region, parameters, switches = context.region(), context.parameters, context.switches
    eni_id = _eni_id(context)
    parameters.one_of(family.addresses, family.prefixes)
    addresses: list[str] = []
    prefixes: list[Network] = []

    def read_parameters() -> None:
        addresses.extend(_addresses(context, family))
        prefixes.extend(_prefixes(context, family))
        if addresses and prefixes and switches["mixed"] == "refuse":
            raise refusal("InvalidParameter.Conflict", f"{family.addresses}, {family.prefixes}")
        twice = _repeated([*addresses, *map(str, prefixes)])
        if twice and (family.version == 6 or switches["duplicates"] == "refuse"):
            raise refusal("InvalidIp.IpRepeated", twice)

    interface = _in_order(context, read_parameters, lambda: _changeable(context, eni_id, region))
    wanted, wanted_prefixes = list(dict.fromkeys(addresses)), list(dict.fromkeys(map(str, prefixes)))
    assigned = [address for address in wanted if address in getattr(interface, family.kind)]
    missing = [address for address in wanted if address not in assigned]
    refusals: list[Callable[[], None]] = [
        lambda: _check_within(interface, family, wanted),
        lambda: _check_assigned(context, interface, family, assigned, missing),
    ]
    for check in refusals if switches["validation_order"] == "interface_first" else reversed(refusals):
        check()
    held = getattr(interface, family.prefix_kind)
    unknown = [prefix for prefix in wanted_prefixes if prefix not in held]
    if unknown:
        raise refusal(switches["prefix_unassigned"], unknown[0])
    _take(context, interface, family, assigned, wanted_prefixes)
    return {}


def _check_assigned(context: Context, interface: Interface, family: Family, assigned: list[str], missing: list[str]) -> None:
    """The primary address is not a secondary address, so it is missing like any other address."""
    if not missing:
        return
    batch = context.switches["batch"]
    if batch == "lenient" and assigned:
        return
    if batch == "partial" and assigned:
        _take(context, interface, family, assigned, [])
    if context.switches["unassigned_message"] == "bare":
        missing_text = refusal("InvalidIp.IpUnassigned", "")
        missing_text.message = "The specified IP is not assigned on this ENI."
        raise missing_text
    raise refusal("InvalidIp.IpUnassigned", missing[0])


def _take(context: Context, interface: Interface, family: Family, addresses: Sequence[str], prefixes: Sequence[str]) -> None:
    with_eip = {address: interface.eips[address] for address in addresses if address in interface.eips}
    if with_eip and context.switches["eip"] == "refuse":
        raise refusal("InvalidParameter.Conflict", f"{family.addresses} with an EIP: {next(iter(with_eip))}")
    context.world.change(
        interface.eni_id,
        **{
            family.kind: tuple(address for address in getattr(interface, family.kind) if address not in addresses),
            family.prefix_kind: tuple(prefix for prefix in getattr(interface, family.prefix_kind) if prefix not in prefixes),
            "eips": {address: eip for address, eip in interface.eips.items() if address not in with_eip},
        },
    )
    _note(context, "unassigned", interface.eni_id, family, addresses, prefixes)
    if with_eip:
        context.effect["eips_dropped"] = with_eip


# --- assign


def _assign(context: Context, family: Family, action: str) -> tuple[str, list[str], list[str]]:
    region, parameters = context.region(), context.parameters
    eni_id = _eni_id(context)
    parameters.one_of(family.addresses, family.prefixes, family.count, family.prefix_count)
    token = parameters.text("ClientToken")
    if len(token) > 64 or not token.isascii():
        raise refusal("InvalidParameter", "ClientToken")
    earlier: tuple[str, list[str], list[str]] | None = context.asked_again(action, token)
    if earlier is not None:
        return earlier
    addresses: list[str] = []
    prefixes: list[Network] = []
    counts: list[int] = []

    def read_parameters() -> None:
        addresses.extend(_addresses(context, family))
        prefixes.extend(_prefixes(context, family))
        most = MOST_PREFIXES if family.version == 6 else None
        counts.extend(
            (_count(context, family.count, family.addresses, most), _count(context, family.prefix_count, family.prefixes, MOST_PREFIXES))
        )
        twice = _repeated(addresses) or _repeated([str(prefix) for prefix in prefixes])
        if twice:
            raise refusal("InvalidIp.IpRepeated", twice)

    interface = _in_order(context, read_parameters, lambda: _changeable(context, eni_id, region))
    vswitch = interface.vswitch
    if family.version == 6 and vswitch.ipv6_cidr is None:
        raise refusal("InvalidVSwitch.Ipv6NotTurnOn")
    _check_within(interface, family, addresses)
    for address in addresses:
        if vswitch.reserves(address):
            raise refusal("InvalidVSwitchId.IpInvalid", address, vswitch.network(family.version))
    for prefix in prefixes:
        network = vswitch.network(family.version)
        if network is None or not prefix.subnet_of(network) or vswitch.reserves(str(prefix)):  # type: ignore[arg-type]
            raise refusal("InvalidIp.IpPrefixIllegal", prefix)
    _check_room(context, interface, family, len(addresses) + len(prefixes) + sum(counts))
    world = context.world
    for address in addresses:
        if world.holder(vswitch, address) or any(ipaddress.ip_address(address) in prefix for prefix in prefixes):
            raise refusal("InvalidIp.IpAssigned", address)
    for prefix in prefixes:
        if not world.prefix_is_free(vswitch, prefix):
            raise refusal("InvalidIp.IpAssigned", prefix)
    picked = addresses + world.free_addresses(vswitch, counts[0], version=family.version)
    picked_prefixes = [str(prefix) for prefix in prefixes] + world.free_prefixes(vswitch, counts[1], version=family.version)
    if len(picked) < len(addresses) + counts[0] or len(picked_prefixes) < len(prefixes) + counts[1]:
        raise refusal("InvalidVSwitchId.IpNotEnough", vswitch.vswitch_id)
    world.change(
        eni_id,
        **{
            family.kind: getattr(interface, family.kind) + tuple(picked),
            family.prefix_kind: getattr(interface, family.prefix_kind) + tuple(picked_prefixes),
        },
    )
    _note(context, "assigned", eni_id, family, picked, picked_prefixes)
    context.remember(action, token, (eni_id, picked, picked_prefixes))
    return eni_id, picked, picked_prefixes


def _count(context: Context, name: str, excluded_by: str, most: int | None) -> int:
    count = context.parameters.number(name)
    if count is None:
        return 0
    if context.parameters.listed(excluded_by):
        raise refusal("InvalidParameter.Conflict", f"{excluded_by}, {name}")
    if count < 1 or (most is not None and count > most):
        raise refusal("InvalidParameter", name)
    return count


def _check_room(context: Context, interface: Interface, family: Family, more: int) -> None:
    """A prefix counts as one address."""
    has = len(getattr(interface, family.kind)) + len(getattr(interface, family.prefix_kind))
    world = context.world
    if interface.status == "InUse":
        instance = world.instance(interface.instance_id)
        limits = world.instance_types[instance.instance_type if instance else DEFAULT_TYPE]
        # The limit of the instance type includes the primary IPv4 address.
        limit = limits.private_ip_addresses - 1 if family.version == 4 else limits.ipv6_addresses
        if family.version == 6 and limit == 0:
            raise refusal("InvalidOperation.Ipv6NotSupport")
    else:
        limit = int(context.switches["available_limit"]) if family.version == 4 else MOST_IPV6_WHEN_AVAILABLE
    if has + more > limit:
        raise refusal(family.exceeded, limit)


# --- common checks


def _eni_id(context: Context) -> str:
    eni_id = context.parameters.required("NetworkInterfaceId")
    if not re.fullmatch("eni-[a-z0-9]+", eni_id):
        raise refusal("InvalidEniId.Malformed")
    return eni_id


def _in_order(context: Context, read_parameters: Callable[[], None], find: Callable[[], Interface]) -> Interface:
    if context.switches["validation_order"] == "parameters_first":
        read_parameters()
        return find()
    interface = find()
    read_parameters()
    return interface


def _changeable(context: Context, eni_id: str, region: str) -> Interface:
    """The real state of the interface, if the service would change its addresses now."""
    interface = context.world.interface(eni_id)
    if interface is None or interface.vswitch.region_id != region:
        raise refusal("InvalidEniId.NotFound", eni_id)
    if interface.service_managed:
        raise refusal("InvalidOperation.EniServiceManaged")
    if interface.type in ("Trunk", "Member") and context.switches["trunk"] == "refuse":
        raise refusal("InvalidOperation.InvalidEniType")
    if interface.status not in ("Available", "InUse"):
        raise refusal("InvalidOperation.InvalidEniState", "Available, InUse", interface.status)
    instance = context.world.instance(interface.instance_id)
    by_instance = interface.type == "Primary" or context.switches["secondary_instance_state"] == "check"
    if by_instance and instance and instance.status not in ("Running", "Stopped"):
        raise refusal("InvalidOperation.InvalidEcsState", "Running, Stopped", instance.status)
    return interface


def _addresses(context: Context, family: Family) -> list[str]:
    limit = context.switches["addresses_per_call"]
    most = MOST_IPV6 if family.version == 6 else (None if limit == "any" else int(limit))
    parse = ipaddress.IPv4Address if family.version == 4 else ipaddress.IPv6Address
    found = []
    for text in context.parameters.listed(family.addresses, most):
        try:
            found.append(str(parse(text)))
        except ValueError:
            raise refusal(family.malformed, text) from None
    return found


def _prefixes(context: Context, family: Family) -> list[Network]:
    texts = context.parameters.listed(family.prefixes, MOST_PREFIXES)
    found: list[Network] = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise refusal("InvalidIp.IpPrefixIllegal", text) from None
        address, slash, _mask = text.partition("/")
        if network.version != family.version or not slash:
            raise refusal("InvalidIp.IpPrefixIllegal", text)
        if ipaddress.ip_address(address) != network.network_address:
            raise refusal("InvalidIp.IpPrefixNotStrict")
        found.append(network)
    if len({network.prefixlen for network in found}) > 1:
        raise refusal("InvalidIp.IpPrefixMaskNotSame", ",".join(texts))
    least, most = _masks(context, family)
    for network in found:
        if not least <= network.prefixlen <= most:
            raise refusal("InvalidIp.IpPrefixMaskInvalid", network.prefixlen, least, most)
    return found


def _masks(context: Context, family: Family) -> tuple[int, int]:
    if family.version == 6:
        return IPV6_PREFIX_MASK, IPV6_PREFIX_MASK
    least, _dash, most = context.switches["ipv4_prefix_mask"].partition("-")
    return int(least), int(most or least)


def _check_within(interface: Interface, family: Family, addresses: Sequence[str]) -> None:
    network = interface.vswitch.network(family.version)
    for address in addresses:
        if network is None or ipaddress.ip_address(address) not in network:
            raise refusal("InvalidVSwitchId.IpInvalid", address, network)


def _repeated(items: Sequence[str]) -> str:
    return next((item for number, item in enumerate(items) if item in items[:number]), "")


def _note(context: Context, what: str, eni_id: str, family: Family, addresses: Sequence[str], prefixes: Sequence[str]) -> None:
    changed = {kind: list(items) for kind, items in ((family.kind, addresses), (family.prefix_kind, prefixes)) if items}
    if changed:
        context.effect.update({"eni_id": eni_id, what: changed})
