# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: eni
short_description: Alibaba Cloud ENIs as inventory hosts
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Lists elastic network interfaces (ENIs) as hosts. A host is named by the id of its ENI.
  - The inventory file is named C(eni.yml) or C(eni.yaml), or its name ends with C(.eni.yml) or C(.eni.yaml).
  - Selectors and address filters are those of M(alicloud_ops.network.eni_secondary_ip_info). An ENI is listed if it matches every
    selector that is set. In a list, one of the entries has to match.
  - All errors of the file are reported at once. An option that does not exist is an error, because a misspelled selector must not
    select more.
options:
  plugin:
    description: Name of this plugin. It marks the file as one for this plugin.
    type: str
    required: true
    choices: [alicloud_ops.network.eni]
  regions:
    description:
      - Regions to read, one after another.
      - If it is not set, one region is read, see O(region). It cannot be combined with O(region).
    type: list
    elements: str
  on_region_error:
    description:
      - What to do if a region cannot be read.
      - With V(fail) there is no inventory. With V(warn) there is a warning, and the inventory consists of the other regions.
        If no region can be read, it is an error in both cases.
      - Be careful with V(warn) in AWX. An update with I(Overwrite) removes the hosts of the region that could not be read.
    type: str
    choices: [fail, warn]
    default: fail
  matching_only:
    description:
      - Whether to list only ENIs that hold an address that matches the address filters (O(within), O(excluding),
        O(private_ip_addresses) and O(kinds)).
      - With V(false) the other ENIs are listed too. Their C(eni_assignment) has empty lists.
    type: bool
    default: false
  group_by:
    description:
      - Kinds of groups to create. An empty list creates none. O(groups) and O(keyed_groups) create more.
      - Characters that cannot be part of a group name become underscores. If two values lead to the same name,
        their ENIs are in one group, and there is a warning.
      - V(region), for example C(region_cn_hangzhou).
      - V(zone), for example C(zone_cn_hangzhou_h). It is a child of the group of the region, if there is one.
      - V(vpc), for example C(vpc_vpc_bp1example).
      - V(vswitch), for example C(vswitch_vsw_bp1example). It is a child of the group of the VPC, if there is one.
      - V(security_group), for example C(security_group_sg_bp1example), a group for each security group of the ENI. Names
        of security groups are known only if O(security_group_names) or O(security_group_tags) is set. Then there are groups
        like C(security_group_name_web) as well.
      - V(type), for example C(type_Secondary).
      - V(status), for example C(status_InUse).
      - V(tag), for example C(tag_team_web) for the tag C(team) with the value C(web), and C(tag_team) if its value is empty.
    type: list
    elements: str
    choices: [region, zone, vpc, vswitch, security_group, type, status, tag]
    default: [region, zone, vpc, vswitch, security_group, type, status, tag]
  eni_ids:
    description: Ids of ENIs. An empty list selects nothing, here and in every list below. Empty strings count as not set.
    type: list
    elements: str
  instance_ids:
    description: Ids of instances. Selects their primary ENIs, see O(instance_enis).
    type: list
    elements: str
  instance_enis:
    description: ENIs of the instances in O(instance_ids) to select. V(primary) selects the primary ENI, V(all) also the secondary ENIs.
    type: str
    choices: [primary, all]
    default: primary
  security_group_ids:
    description: Ids of security groups. Selects the primary and secondary ENIs in any of them.
    type: list
    elements: str
  security_group_names:
    description: Names of security groups, compared as a whole and with case. Several security groups can have the same name.
    type: list
    elements: str
  security_group_tags:
    description: Tags of security groups. A security group has to have all of them. Values are written as in O(tags).
    type: dict
  vpc_id:
    description: Id of a VPC.
    type: str
  vswitch_id:
    description: Id of a vSwitch.
    type: str
  tags:
    description:
      - Tags of the ENI. It has to have all of them.
      - A value is a string, a list of strings of which one has to match, or null for any value.
    type: dict
  status:
    description: State of the ENI.
    type: str
    choices: [Available, Attaching, InUse, Detaching, Deleting]
  type:
    description: Type of the ENI.
    type: str
    choices: [Primary, Secondary]
  whole_region:
    description: Whether to select every ENI of the region. It has to be V(true) if no selector is set.
    type: bool
    default: false
  within:
    description: CIDR blocks. Only addresses that lie wholly inside one of them are part of C(eni_assignment).
    type: list
    elements: str
  excluding:
    description: Addresses and CIDR blocks. Addresses that overlap one of them are not part of C(eni_assignment).
    type: list
    elements: str
  private_ip_addresses:
    description: Secondary private IPv4 addresses. Only they are part of C(eni_assignment).
    type: list
    elements: str
    aliases: [secondary_private_ip_addresses]
  kinds:
    description: Kinds of secondary addresses that are part of C(eni_assignment).
    type: list
    elements: str
    choices: [private_ip_addresses, ipv4_prefixes, ipv6_addresses, ipv6_prefixes]
    default: [private_ip_addresses]
  role_policy: # The type that it has for the modules does not exist for plugins.
    description: Policy that narrows what the session may do, in addition to the policies of the role. A mapping, or a string with JSON.
    type: raw
    aliases: [assume_role_policy]
extends_documentation_fragment:
  - alicloud_ops.network.connection
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
notes:
  - Host variables are all that M(alicloud_ops.network.eni_secondary_ip_info) returns of an ENI
    (RV(alicloud_ops.network.eni_secondary_ip_info#module:interfaces)), with the prefix C(eni_), such as C(eni_instance_id), C(eni_tags)
    and C(eni_private_ip_addresses). The id is C(eni_id). Without the prefix, some would be reserved words of Ansible.
  - There are three more host variables. C(eni_region) is the region. C(eni_assignment) is what
    O(alicloud_ops.network.eni_secondary_ip#module:assignments) takes as an entry, with the addresses that match the address filters.
    C(eni_security_group_names) has the names of security groups by id, as far as they are known.
  - C(ansible_connection) is V(local), and C(ansible_python_interpreter) is the Python that runs Ansible, because nobody
    logs in to an ENI. O(compose) can replace both.
  - Strings from the cloud are never templated, wherever they are used. In the output of C(ansible-inventory --list) they are
    marked by C(__ansible_unsafe).
  - The other options, but for those of C(constructed) and C(inventory_cache), can be templates, for example with the C(env) lookup.
    Extra variables can be used in them. They can also be encrypted by C(ansible-vault encrypt_string).
  - With O(cache=true), each region is cached on its own. The cache is not used if a selector, an address filter, the region, the endpoint,
    the account or the credential has changed. No secret is written to the cache.
  - Ansible only warns if an inventory cannot be read, and goes on without hosts. Set E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED) to
    V(true) to make it an error. AWX does so by itself.
  - In AWX, use the file as an inventory source from a project. The credential sets the environment variables that are named below the
    options. The I(Source variables) of such a source are environment variables too.
  - RAM actions needed are those of M(alicloud_ops.network.eni_secondary_ip_info).
seealso:
  - module: alicloud_ops.network.eni_secondary_ip_info
  - module: alicloud_ops.network.eni_secondary_ip
"""

EXAMPLES = r"""
# web.eni.yml: all ENIs in a security group. Region and credential come from the environment.
# Show the groups with: ansible-inventory -i web.eni.yml --graph
plugin: alicloud_ops.network.eni
security_group_ids: [sg-bp1example]

---
# Every ENI of two regions. If one of them cannot be read, the other one is listed.
plugin: alicloud_ops.network.eni
regions: [cn-hangzhou, cn-beijing]
whole_region: true
on_region_error: warn

---
# ENIs with a tag that hold addresses in one block, but not in the part of it that is kept.
plugin: alicloud_ops.network.eni
tags:
  team: [web, shop]
within: [192.168.0.0/16]
excluding: [192.168.0.0/24]
matching_only: true

---
# A profile of the aliyun command line, and the account that all ENIs have to belong to.
plugin: alicloud_ops.network.eni
profile: production
account_id: "1000000000000001"
vpc_id: vpc-bp1example

---
# A selector from an environment variable, as set by AWX.
plugin: alicloud_ops.network.eni
security_group_ids: "{{ lookup('env', 'SECURITY_GROUPS') | split(',') }}"

---
# Fewer groups of the plugin, and some that are made of host variables.
plugin: alicloud_ops.network.eni
whole_region: true
group_by: [security_group, vswitch]
strict: true
compose:
  secondary_addresses: eni_private_ip_addresses | map(attribute='address')
groups:
  managed: eni_service_managed
  with_eip: eni_private_ip_addresses | selectattr('eip') | length > 0
keyed_groups:
  - key: eni_tags.team | default('nobody')
    prefix: team
  - key: eni_instance_id
    prefix: instance
    default_value: none

---
# Cached for ten minutes in files. Refresh with: ansible-inventory -i cached.eni.yml --list --flush-cache
plugin: alicloud_ops.network.eni
whole_region: true
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/ansible-eni
cache_timeout: 600
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import trust_as_template

from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError, SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import Connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import of_other_accounts
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_failure, build_refusal
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import select
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import shorten
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import plain
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._inventory import (
    Membership,
    Settings,
    describe_region,
    has_matches,
    host_variables,
    in_order,
    inventory_spec,
    memberships,
    missing_everywhere,
    parse_settings,
    same_name,
    unknown_options,
)

FILE_NAMES = ("eni.yml", "eni.yaml")
# Written here, and by nobody else: the only strings of a host that may be templates.
CONNECTION_VARIABLES = {
    "ansible_connection": trust_as_template("local"),
    "ansible_python_interpreter": trust_as_template("{{ ansible_playbook_python }}"),
}


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "alicloud_ops.network.eni"

    def verify_file(self, path: str) -> bool:
        name = Path(path).name
        fits = name in FILE_NAMES or name.endswith(tuple(f".{each}" for each in FILE_NAMES))
        return fits and bool(super().verify_file(path))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._path = path
        self._secrets: set[str] = set()
        settings = self._read_settings()
        regions = self._read_regions(settings, cache)
        self._warn(regions)
        enis = [eni for region in regions for eni in region["interfaces"]]
        self._add_hosts(settings, list(filter(has_matches, enis)) if settings.matching_only else enis)

    def _failure(self, *errors: str) -> AnsibleParserError:
        """All of it in one message that begins with the name of the file."""
        return AnsibleParserError(remove_values(build_refusal(errors, first=f"{self._path}: ")["msg"], self._secrets))

    def _read_settings(self) -> Settings:
        config = self.loader.load_from_file(self._path, cache="none", trusted_as_template=True)
        if not isinstance(config, Mapping) or config.get("plugin") != self.NAME:
            raise self._failure(f"plugin: the file has to be a mapping with plugin: {self.NAME}")
        own = {spelling for name, option in inventory_spec().items() for spelling in (name, *option.get("aliases", ()))}
        errors = unknown_options(config, sorted({*own, *self.option_definitions}))
        given = {str(name): self._template(name, value, errors) for name, value in config.items() if name in own}
        try:
            # Only the options of Ansible itself. It would stop at the first wrong one of the others.
            self.set_options(direct={name: value for name, value in config.items() if name not in own}, var_options=self._vars)
        except AnsibleError as error:
            errors.append(str(error))
        else:
            self._load_cache(errors)
        settings = parse_settings(given, os.environ, errors)
        if settings is None or errors:
            raise self._failure(*errors)
        for connection in settings.connections:
            connection.credential.report_secrets_to(self._secrets.update)
        return settings

    def _load_cache(self, errors: list[str]) -> None:
        if not self.get_option("cache"):
            return
        try:
            self.load_cache_plugin()
        except AnsibleError as error:
            errors.append(f"cache_plugin: cannot be used with this cache_connection, cache_prefix and cache_timeout: {error}")

    def _template(self, name: str, value: Any, errors: list[str]) -> Any:
        """The file may hold templates and vault-encrypted values."""
        self.templar.available_variables = self._vars
        try:
            return plain(self.templar.template(value))
        except AnsibleError as error:
            errors.append(f"{name}: {error}")
            return None

    def _read_regions(self, settings: Settings, use_cache: bool) -> list[dict[str, Any]]:
        is_caching = self.get_option("cache")
        regions: list[dict[str, Any]] = []
        failures: list[str] = []
        for connection in settings.connections:
            key = f"{self.get_cache_key(self._path)}_{settings.cache_suffix(connection)}"
            region = self._cache.get(key) if is_caching and use_cache else None
            if region is None:
                try:
                    region = self._read_region(settings, connection)
                except EcsError as error:
                    failures.append(f"region {connection.region} cannot be read: {error}")
                    continue
                if is_caching:
                    self._cache[key] = region
            regions.append(region)
        if failures and (not regions or not settings.warn_on_region_error):
            raise self._failure(*failures)
        for failure in failures:
            self._say(self.display.warning, f"{failure}. Its ENIs are not in the inventory.")
        return regions

    def _read_region(self, settings: Settings, connection: Connection) -> dict[str, Any]:
        try:
            ecs = Ecs(connection)
        except SdkMissing as error:
            raise self._failure(build_failure(error)["msg"]) from None
        found = select(ecs, settings.selection)
        errors = of_other_accounts(found.interfaces, connection.account_id)
        if errors:
            raise self._failure(*errors)
        self._say(
            self.display.v,
            f"{connection.region}: ENIs: {len(found.interfaces)}; API calls: {ecs.api_calls}; credential: {connection.credential.source}",
        )
        return describe_region(connection.region, found, settings.selection)

    def _say(self, show: Any, text: str) -> None:
        show(remove_values(f"{self._path}: {text}", self._secrets))

    def _warn(self, regions: list[dict[str, Any]]) -> None:
        missing = missing_everywhere(regions)
        if missing:
            names = ", ".join(region["region"] for region in regions)
            self._say(self.display.warning, f"{shorten(missing)}: named in the file, but not found in {names}.")
        for region in regions:
            for reason in region["unreadable"]:
                self._say(self.display.warning, f"{region['region']}: not in the inventory, because {reason}")

    def _add_hosts(self, settings: Settings, enis: list[dict[str, Any]]) -> None:
        of_eni = {eni["eni_id"]: memberships(eni, settings.group_by) for eni in enis}
        safe_names = self._add_groups(in_order(one for each in of_eni.values() for one in each))
        strict = self.get_option("strict")
        compose, conditions, keyed = (self.get_option(name) for name in ("compose", "groups", "keyed_groups"))
        for eni in enis:
            host = self.inventory.add_host(eni["eni_id"])
            for name, value in {**CONNECTION_VARIABLES, **host_variables(eni)}.items():
                self.inventory.set_variable(host, name, value)
            for membership in of_eni[host]:
                self.inventory.add_child(safe_names[membership.group], host)
            if compose or conditions or keyed:
                self._set_composite_vars(compose, self.inventory.get_host(host).get_vars(), host, strict=strict)
                self._add_host_to_composed_groups(conditions, {}, host, strict=strict)
                self._add_host_to_keyed_groups(keyed, {}, host, strict=strict)

    def _add_groups(self, ordered: list[Membership]) -> dict[str, str]:
        """The safe name of each group."""
        safe_names: dict[str, str] = {}
        for membership in ordered:
            for name in filter(None, (membership.parent, membership.group)):
                safe_names[name] = str(self.inventory.add_group(self._sanitize_group_name(name)))
            if membership.parent:
                self.inventory.add_child(safe_names[membership.parent], safe_names[membership.group])
        for safe, names in same_name(safe_names).items():
            self._say(self.display.warning, f"the group {safe} stands for {shorten(names)}.")
        return safe_names
