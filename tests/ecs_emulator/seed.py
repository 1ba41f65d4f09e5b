# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed document → world. A wrong document is refused with all its errors and their paths."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ecs_emulator import settings as settings_module
from ecs_emulator.model import RESERVED_LAST, Instance, InstanceType, Interface, SecurityGroup, VSwitch
from ecs_emulator.settings import Settings
from ecs_emulator.timeline import Timeline
from ecs_emulator.world import World

SAMPLE = Path(__file__).parent / "seeds" / "sample.yml"
INTERFACE_TYPES = ("Primary", "Secondary", "Trunk", "Member")
INTERFACE_STATES = ("Available", "Attaching", "InUse", "Detaching", "Deleting", "Creating", "CreateFailed")
INSTANCE_STATES = ("Pending", "Running", "Starting", "Stopping", "Stopped")
DEFAULT_TYPE = "ecs.g7.xlarge"
INSTANCE_TYPES = {
    "ecs.g7.large": InstanceType(6, 6),
    "ecs.g7.xlarge": InstanceType(15, 15),
    "ecs.g7.2xlarge": InstanceType(15, 15),
    "ecs.g7.8xlarge": InstanceType(30, 30),
    "ecs.g7.16xlarge": InstanceType(50, 50),
}


class SeedError(Exception):
    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Credential:
    access_key_id: str
    access_key_secret: str
    security_token: str = ""
    user: str = ""
    allow: tuple[str, ...] = ("*",)
    inactive: bool = False
    token_expired: bool = False

    def may(self, action: str) -> bool:
        return "*" in self.allow or action in self.allow


DEFAULT_CREDENTIALS = (
    Credential("emulator-key-id", "emulator-key-secret", user="owner"),
    Credential("STS.emulator-key-id", "emulator-sts-secret", "emulator-sts-token", user="role"),
    Credential("emulator-limited-key-id", "emulator-limited-key-secret", user="limited", allow=("DescribeNetworkInterfaces",)),
)


@dataclass(frozen=True)
class Built:
    world: World
    credentials: Mapping[str, Credential]
    settings: Settings


def read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SeedError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SeedError([f"{path} is not UTF-8 text: {error}"]) from error
    except yaml.YAMLError as error:
        raise SeedError([f"{path} is not YAML: {error}"]) from error
    if not isinstance(document, dict):
        raise SeedError([f"{path} must hold a mapping"])
    return document


def build(document: Mapping[str, Any], given: Mapping[str, Any], start: Settings, clock: Callable[[], float]) -> Built:
    """The world of this document. Given settings win over those of the document, and these over those of the start."""
    problems: list[str] = []
    top = Fields(document, "", problems)
    of_seed, found = settings_module.merged(start, top.mapping("settings"))
    settings, more = settings_module.merged(of_seed, given)
    problems += [f"settings: {problem}" for problem in found] + more
    world = World(
        region=top.text("region", "cn-hangzhou"),
        account=top.text("account", "1000000000000001"),
        clock=clock,
        lag_ms=settings.lag_ms,
        random_seed=int(settings.random_seed),
    )
    world.regions += [region for region in top.texts("regions") if region != world.region]
    builder = Builder(world, problems)
    for add, name in (
        (builder.vswitch, "vswitches"),
        (builder.security_group, "security_groups"),
        (builder.instance_type, "instance_types"),
        (builder.instance, "instances"),
        (builder.interface, "interfaces"),
        (builder.generate, "generate"),
    ):
        for fields in top.items(name):
            add(fields)
            fields.close()
    builder.check_instances()
    credentials = [builder.credential(fields) for fields in top.items("credentials")] or list(DEFAULT_CREDENTIALS)
    top.close()
    if problems:
        raise SeedError(problems)
    return Built(world, {credential.access_key_id: credential for credential in credentials}, settings)


class Fields:
    """One mapping of the document. It returns fields by type, and collects their errors."""

    def __init__(self, mapping: object, place: str, problems: list[str]) -> None:
        self.place = place
        self._problems = problems
        self._left = dict(mapping) if isinstance(mapping, Mapping) else {}
        if not isinstance(mapping, Mapping):
            self.wrong("", f"must be a mapping, not {mapping!r}")

    def wrong(self, name: str, text: str) -> None:
        self._problems.append(f"{'.'.join(part for part in (self.place, name) if part) or 'the document'}: {text}")

    def text(self, name: str, default: str | None = "", *, pattern: str = "", choices: tuple[str, ...] = ()) -> str:
        """A field without a default is required."""
        value = self._left.pop(name, default)
        if value is None:
            self.wrong(name, "is missing")
            return ""
        if not isinstance(value, str):
            self.wrong(name, f"must be a text, not {value!r}")
            return ""
        if pattern and value and not re.fullmatch(pattern, value):
            self.wrong(name, f"{value!r} does not look like {pattern}")
        if choices and value not in choices:
            self.wrong(name, f"{value!r} is not one of {', '.join(choices)}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._left.pop(name, None) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(name, f"must be a list of texts, not {value!r}")
            return ()
        return tuple(value)

    def number(self, name: str, default: int | None = 0) -> int:
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.wrong(name, "is missing" if value is None else f"must be a whole number from 0, not {value!r}")
            return 0
        return value

    def flag(self, name: str) -> bool:
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            self.wrong(name, f"must be true or false, not {value!r}")
        return value is True

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._left.pop(name, None) or {}
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            self.wrong(name, f"must be a mapping, not {value!r}")
            return {}
        return dict(value)

    def labels(self, name: str) -> dict[str, str]:
        value = self.mapping(name)
        if not all(isinstance(item, str) for item in value.values()):
            self.wrong(name, "must hold texts only")
        return {key: str(item) for key, item in value.items()}

    def part(self, name: str) -> Fields | None:
        value = self._left.pop(name, None)
        return None if value is None else Fields(value, f"{self.place}.{name}", self._problems)

    def items(self, name: str) -> list[Fields]:
        value = self._left.pop(name, None) or []
        if not isinstance(value, list):
            self.wrong(name, f"must be a list, not {value!r}")
            return []
        return [Fields(item, f"{name}[{number}]", self._problems) for number, item in enumerate(value)]

    def close(self) -> None:
        for name in self._left:
            self.wrong(str(name), "is not known")


class Builder:
    def __init__(self, world: World, problems: list[str]) -> None:
        self.world = world
        self._problems = problems
        self._attached: set[str] = set()
        world.instance_types.update(INSTANCE_TYPES)

    def credential(self, fields: Fields) -> Credential:
        credential = Credential(
            access_key_id=fields.text("access_key_id", None),
            access_key_secret=fields.text("access_key_secret", None),
            security_token=fields.text("security_token"),
            user=fields.text("user"),
            allow=fields.texts("allow") or ("*",),
            inactive=fields.flag("inactive"),
            token_expired=fields.flag("token_expired"),
        )
        fields.close()
        return credential

    def vswitch(self, fields: Fields) -> None:
        vswitch_id = fields.text("id", None, pattern="vsw-[a-z0-9]+")
        cidr = self._network(fields, "cidr", None)
        ipv6_cidr = self._network(fields, "ipv6_cidr", "")
        vpc_id = fields.text("vpc_id", None, pattern="vpc-[a-z0-9]+")
        region_id = fields.text("region", self.world.region)
        zone_id = fields.text("zone_id", f"{region_id}-h")
        held = fields.texts("held")
        if region_id not in self.world.regions:
            fields.wrong("region", f"{region_id!r} is not in regions")
        if not isinstance(cidr, ipaddress.IPv4Network) or (ipv6_cidr and not isinstance(ipv6_cidr, ipaddress.IPv6Network)):
            fields.wrong("cidr", "an IPv4 network is needed, and as ipv6_cidr an IPv6 network or nothing")
            return
        if vswitch_id in self.world.vswitches:
            fields.wrong("id", f"{vswitch_id} is there twice")
        vswitch = VSwitch(vswitch_id, vpc_id, zone_id, region_id, cidr, ipv6_cidr if isinstance(ipv6_cidr, ipaddress.IPv6Network) else None)
        self.world.vswitches[vswitch_id] = vswitch
        for address in held:
            parsed = self._address(fields, "held", vswitch, address)
            if parsed:
                self.world.block(vswitch, str(parsed))

    def security_group(self, fields: Fields) -> None:
        group_id = fields.text("id", None, pattern="sg-[a-z0-9]+")
        if group_id in self.world.security_groups:
            fields.wrong("id", f"{group_id} is there twice")
        self.world.security_groups[group_id] = SecurityGroup(
            group_id,
            vpc_id=fields.text("vpc_id", None, pattern="vpc-[a-z0-9]+"),
            region_id=fields.text("region", self.world.region),
            name=fields.text("name", group_id),
            description=fields.text("description"),
            type=fields.text("type", "normal", choices=("normal", "enterprise")),
            service_managed=fields.flag("service_managed"),
            resource_group_id=fields.text("resource_group_id"),
            tags=fields.labels("tags"),
        )

    def instance_type(self, fields: Fields) -> None:
        name = fields.text("name", None)
        self.world.instance_types[name] = InstanceType(fields.number("private_ip_addresses", None), fields.number("ipv6_addresses"))

    def instance(self, fields: Fields) -> None:
        instance = Instance(
            instance_id=fields.text("id", None, pattern="i-[a-z0-9]+"),
            status=fields.text("status", "Running", choices=INSTANCE_STATES),
            instance_type=self._instance_type(fields),
            region_id=fields.text("region", self.world.region),
            name=fields.text("name"),
            resource_group_id=fields.text("resource_group_id"),
            tags=fields.labels("tags"),
        )
        if instance.instance_id in self.world.instances:
            fields.wrong("id", f"{instance.instance_id} is there twice")
        self.world.instances[instance.instance_id] = Timeline(instance)
        self._becomes(fields, instance.instance_id, INSTANCE_STATES)

    def interface(self, fields: Fields) -> None:
        eni_id = fields.text("id", None, pattern="eni-[a-z0-9]+")
        if self.world.interface(eni_id):
            fields.wrong("id", f"{eni_id} is there twice")
        kind = fields.text("type", "Secondary", choices=INTERFACE_TYPES)
        instance_id = fields.text("instance_id", pattern="i-[a-z0-9]+")
        status = fields.text("status", "InUse" if instance_id else "Available", choices=INTERFACE_STATES)
        vswitch = self._vswitch(fields)
        group_ids = self._groups(fields, vswitch)
        service_managed = fields.flag("service_managed")
        primary_address = fields.text("primary_address")
        addresses = fields.texts("private_ip_addresses")
        ipv6_addresses = tuple(self._ipv6(fields, address) for address in fields.texts("ipv6_addresses"))
        primary_ipv6 = fields.text("primary_ipv6_address")
        ipv4_prefixes, ipv6_prefixes = (tuple(map(_canonical, fields.texts(name))) for name in ("ipv4_prefixes", "ipv6_prefixes"))
        eips = fields.labels("eips")
        tags, name, description = fields.labels("tags"), fields.text("name"), fields.text("description")
        resource_group_id = fields.text("resource_group_id")
        self._becomes(fields, eni_id, INTERFACE_STATES)
        self._check_attachment(fields, kind, status, instance_id, service_managed)
        if vswitch is None:
            return
        interface = Interface(
            eni_id=eni_id,
            type=kind,
            status=status,
            vswitch=vswitch,
            instance_id=instance_id,
            primary_address=primary_address or next(iter(self.world.free_addresses(vswitch, 1, in_order=True)), ""),
            private_ip_addresses=addresses,
            ipv4_prefixes=ipv4_prefixes,
            ipv6_addresses=ipv6_addresses,
            ipv6_prefixes=ipv6_prefixes,
            primary_ipv6_address=self._ipv6(fields, primary_ipv6) if primary_ipv6 else "",
            eips=eips,
            security_group_ids=group_ids,
            tags=tags,
            service_managed=service_managed,
            name=name,
            description=description,
            resource_group_id=resource_group_id,
        )
        self._check_addresses(fields, interface)
        if not self._problems:
            self.world.add(interface)

    def generate(self, fields: Fields) -> None:
        """Many records of a kind, the same in every run, with ascending ids and addresses."""
        prefix = fields.text("prefix", None, pattern="[a-z0-9]+")
        count = fields.number("count", None)
        kind = fields.text("type", "Secondary", choices=("Primary", "Secondary"))
        vswitch = self._vswitch(fields)
        group_ids, tags = self._groups(fields, vswitch), fields.labels("tags")
        each = fields.number("private_ip_addresses")
        prefixes, ipv6, ipv6_prefixes = fields.number("ipv4_prefixes"), fields.number("ipv6_addresses"), fields.number("ipv6_prefixes")
        eip_every = fields.number("eip_every")
        instance_type = self._instance_type(fields)
        if vswitch is None or self._problems:
            return
        world = self.world
        picked = world.free_addresses(vswitch, count * (1 + each), in_order=True)
        if len(picked) < count * (1 + each):
            fields.wrong("vswitch_id", f"{vswitch.cidr} has no room for {count * (1 + each)} addresses")
            return
        for number in range(count):
            primary_address, *addresses = picked[number * (1 + each) : (number + 1) * (1 + each)]
            eni_id, instance_id = f"eni-{prefix}{number:05d}", f"i-{prefix}{number:05d}"
            if kind == "Primary":
                world.instances[instance_id] = Timeline(
                    Instance(instance_id, "Running", instance_type, vswitch.region_id, name=instance_id)
                )
                self._attached.add(instance_id)
            has_eip = bool(eip_every and addresses and number % eip_every == 0)
            world.add(
                Interface(
                    eni_id=eni_id,
                    type=kind,
                    status="InUse" if kind == "Primary" else "Available",
                    instance_id=instance_id if kind == "Primary" else "",
                    vswitch=vswitch,
                    primary_address=primary_address,
                    private_ip_addresses=tuple(addresses),
                    security_group_ids=group_ids,
                    tags=tags,
                    name=eni_id,
                    # 198.18.0.0/15 is for benchmarks (RFC 2544).
                    eips={addresses[0]: str(ipaddress.IPv4Address("198.18.0.0") + number)} if has_eip else {},
                    ipv4_prefixes=tuple(world.free_prefixes(vswitch, prefixes)) if prefixes else (),
                    ipv6_addresses=tuple(world.free_addresses(vswitch, ipv6, version=6)) if ipv6 else (),
                    ipv6_prefixes=tuple(world.free_prefixes(vswitch, ipv6_prefixes, version=6)) if ipv6_prefixes else (),
                )
            )

    def check_instances(self) -> None:
        for instance_id in self.world.instances:
            if instance_id not in self._attached:
                self._problems.append(f"instances: {instance_id} has no primary interface")

    def _becomes(self, fields: Fields, thing_id: str, states: tuple[str, ...]) -> None:
        becomes = fields.part("becomes")
        if becomes:
            status, after_ms = becomes.text("status", None, choices=states), becomes.number("after_ms", None)
            becomes.close()
            self.world.pass_later(thing_id, status, after_ms)

    def _instance_type(self, fields: Fields) -> str:
        name = fields.text("instance_type", DEFAULT_TYPE)
        if name not in self.world.instance_types:
            fields.wrong("instance_type", f"{name!r} is not in instance_types")
        return name

    def _vswitch(self, fields: Fields) -> VSwitch | None:
        vswitch_id = fields.text("vswitch_id", None)
        if vswitch_id and vswitch_id not in self.world.vswitches:
            fields.wrong("vswitch_id", f"{vswitch_id!r} is not in vswitches")
        return self.world.vswitches.get(vswitch_id)

    def _groups(self, fields: Fields, vswitch: VSwitch | None) -> tuple[str, ...]:
        group_ids = fields.texts("security_group_ids")
        for group_id in group_ids:
            group = self.world.security_groups.get(group_id)
            if group is None:
                fields.wrong("security_group_ids", f"{group_id!r} is not in security_groups")
            elif vswitch and group.vpc_id != vswitch.vpc_id:
                fields.wrong("security_group_ids", f"{group_id} is in {group.vpc_id}, but {vswitch.vswitch_id} is in {vswitch.vpc_id}")
        return group_ids

    def _check_attachment(self, fields: Fields, kind: str, status: str, instance_id: str, service_managed: bool) -> None:
        if instance_id and instance_id not in self.world.instances and not service_managed:
            fields.wrong("instance_id", f"{instance_id!r} is not in instances")
        if kind == "Primary":
            if not instance_id:
                fields.wrong("instance_id", "a primary interface has an instance")
            elif instance_id in self._attached:
                fields.wrong("instance_id", f"{instance_id!r} has a primary interface already")
            self._attached.add(instance_id)
        if status == "Available" and instance_id:
            fields.wrong("status", "an Available interface has no instance")
        if status == "InUse" and not instance_id and not service_managed:
            fields.wrong("status", "an InUse interface has an instance")

    def _check_addresses(self, fields: Fields, interface: Interface) -> None:
        vswitch = interface.vswitch
        seen: set[str] = set()
        for address in interface.addresses:
            if self._address(fields, "", vswitch, address) is None:
                continue
            holder = self.world.holder(vswitch, address)
            if holder or address in seen:
                fields.wrong("", f"{address} is held by {holder or interface.eni_id} already")
            seen.add(address)
        for prefix, mask in [(prefix, 28) for prefix in interface.ipv4_prefixes] + [(prefix, 80) for prefix in interface.ipv6_prefixes]:
            self._check_prefix(fields, interface, prefix, mask)
        for address in interface.eips:
            if address not in (interface.primary_address, *interface.private_ip_addresses):
                fields.wrong("eips", f"{address} is not an address of {interface.eni_id}")

    def _address(self, fields: Fields, name: str, vswitch: VSwitch, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """An address that a record in this vSwitch can hold. None after an error."""
        try:
            parsed = ipaddress.ip_address(text)
        except ValueError:
            fields.wrong(name, f"{text!r} is not an address")
            return None
        network = vswitch.network(parsed.version)
        if network is None or parsed not in network:
            fields.wrong(name, f"{text} is not in {vswitch.vswitch_id}")
            return None
        if vswitch.reserves(text):
            fields.wrong(name, f"{text} is reserved by the system in {vswitch.vswitch_id}; {_which_are_reserved(parsed.version)}")
            return None
        return parsed

    def _check_prefix(self, fields: Fields, interface: Interface, prefix: str, mask: int) -> None:
        try:
            parsed = ipaddress.ip_network(prefix)
        except ValueError as error:
            fields.wrong("", str(error))
            return
        network = interface.vswitch.network(parsed.version)
        if parsed.prefixlen != mask or network is None or not parsed.subnet_of(network):  # type: ignore[arg-type]
            fields.wrong("", f"{prefix} is not a /{mask} of {interface.vswitch.vswitch_id}")
        elif interface.vswitch.reserves(prefix):
            fields.wrong("", f"{prefix} contains an address that is reserved by the system; {_which_are_reserved(parsed.version)}")
        elif not self.world.prefix_is_free(interface.vswitch, parsed):
            fields.wrong("", f"{prefix} is in use already")
        elif any(ipaddress.ip_address(address) in parsed for address in interface.addresses):
            fields.wrong("", f"{prefix} holds an address of {interface.eni_id}")

    def _ipv6(self, fields: Fields, address: str) -> str:
        try:
            return str(ipaddress.IPv6Address(address))
        except ValueError:
            fields.wrong("", f"{address!r} is not an IPv6 address")
            return address

    def _network(self, fields: Fields, name: str, default: str | None) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        text = fields.text(name, default)
        try:
            return ipaddress.ip_network(text) if text else None
        except ValueError as error:
            fields.wrong(name, str(error))
            return None


def _which_are_reserved(version: int) -> str:
    return f"these are the first address and the last {RESERVED_LAST[version]}"


def _canonical(prefix: str) -> str:
    """The form of the API. A text that is not a network stays unchanged, and is refused later."""
    try:
        return str(ipaddress.ip_network(prefix))
    except ValueError:
        return prefix
