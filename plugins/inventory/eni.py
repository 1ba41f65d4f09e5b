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
  - Lists elastic network interfaces (ENIs) as hosts. The name of a host is the id of its ENI.
  - The name of the inventory file is C(eni.yml) or C(eni.yaml), or it ends with C(.eni.yml) or C(.eni.yaml).
  - Selectors and address filters are those of M(alicloud_ops.network.eni_secondary_ip_info). Selectors are combined with AND. An ENI
    matches a list if it matches one of its entries.
  - The plugin reports all errors of the file at once. An unknown option is an error. Otherwise the plugin would ignore a
    misspelled selector, and select more ENIs.
options:
  plugin:
    description: Name of this plugin, which marks the file as its own.
    type: str
    required: true
    choices: [alicloud_ops.network.eni]
  regions:
    description:
      - Regions to read, one after another. By default the plugin reads only the region in O(region).
      - Cannot be combined with O(region).
    type: list
    elements: str
  on_region_error:
    description:
      - How to treat a region that cannot be read.
      - With V(fail) the inventory fails. With V(warn) the plugin shows a warning and lists the other regions. If no region can be read, the
        inventory always fails.
      - Be careful with V(warn) in AWX. An update with I(Overwrite) removes the hosts of the region that could not be read.
    type: str
    choices: [fail, warn]
    default: fail
  matching_only:
    description:
      - Whether to list only ENIs with an address that matches the address filters. These are O(within), O(excluding),
        O(private_ip_addresses) and O(kinds).
      - With V(false), other ENIs are listed too. Their C(eni_assignment) has empty lists.
    type: bool
    default: false
  group_by:
    description:
      - Kinds of groups to create. An empty list creates none. O(groups) and O(keyed_groups) create more.
      - Underscores replace characters that are not allowed in a group name. If two values lead to the same name, their ENIs are in one
        group, and the plugin shows a warning.
      - V(region), for example C(region_cn_hangzhou).
      - V(zone), for example C(zone_cn_hangzhou_h). It is a child of the group of the region, if there is one.
      - V(vpc), for example C(vpc_vpc_bp1example).
      - V(vswitch), for example C(vswitch_vsw_bp1example). It is a child of the group of the VPC, if there is one.
      - V(security_group), for example C(security_group_sg_bp1example), one group for each security group of the ENI. If
        O(security_group_names) or O(security_group_tags) is set, there are also groups with names, such as C(security_group_name_web).
      - V(type), for example C(type_Secondary).
      - V(status), for example C(status_InUse).
      - V(tag), for example C(tag_team_web) for the tag C(team) with the value C(web), and C(tag_team) if its value is empty.
    type: list
    elements: str
    choices: [region, zone, vpc, vswitch, security_group, type, status, tag]
    default: [region, zone, vpc, vswitch, security_group, type, status, tag]
  eni_ids:
    description: >-
      Ids of ENIs. In every selector, an empty list selects nothing, and an empty string counts as not set. If another selector is
      set, an empty string is an error. Otherwise an empty variable would make the selection wider.
    type: list
    elements: str
  instance_ids:
    description: Ids of instances. Selects their primary ENIs. O(instance_enis) can add their secondary ENIs.
    type: list
    elements: str
  instance_enis:
    description: Which ENIs of O(instance_ids) to select. V(primary) selects the primary ENI, V(all) also the secondary ENIs.
    type: str
    choices: [primary, all]
    default: primary
  security_group_ids:
    description: Ids of security groups. Selects the primary and secondary ENIs in any of them.
    type: list
    elements: str
  security_group_names:
    description: Names of security groups. The whole name must match, and case matters. Several security groups can have the same name.
    type: list
    elements: str
  security_group_tags:
    description: Tags of security groups. A security group must have all of them. O(tags) describes the values.
    type: dict
  vpc_id:
    description: Id of a VPC.
    type: str
  vswitch_id:
    description: Id of a vSwitch.
    type: str
  tags:
    description: Tags of the ENI. It must have all of them. A value is a string, a list of allowed strings, or null for any value.
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
    description: Whether to select every ENI of the region. Must be V(true) if no selector is set.
    type: bool
    default: false
  within:
    description: CIDR blocks. C(eni_assignment) has only addresses that are completely inside one of them.
    type: list
    elements: str
  excluding:
    description: Addresses and CIDR blocks. C(eni_assignment) leaves out addresses that overlap one of them.
    type: list
    elements: str
  private_ip_addresses:
    description: Secondary private IPv4 addresses. C(eni_assignment) has only these.
    type: list
    elements: str
    aliases: [secondary_private_ip_addresses]
  kinds:
    description: Kinds of secondary addresses in C(eni_assignment).
    type: list
    elements: str
    choices: [private_ip_addresses, ipv4_prefixes, ipv6_addresses, ipv6_prefixes]
    default: [private_ip_addresses]
  role_policy: # Plugins do not have the type json, which the modules use.
    description: Policy that narrows what the session may do, as a mapping or a JSON string.
    type: raw
    aliases: [assume_role_policy]
extends_documentation_fragment:
  - alicloud_ops.network.connection
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
notes:
  - The host variables are the keys of RV(alicloud_ops.network.eni_secondary_ip_info#module:interfaces) with the prefix C(eni_), such as
    C(eni_instance_id), C(eni_tags) and C(eni_private_ip_addresses). The key C(eni_id) does not get a second prefix.
  - There are three more host variables. C(eni_region) is the region. C(eni_assignment) is an entry for
    O(alicloud_ops.network.eni_secondary_ip#module:assignments), with the addresses that match the address filters.
    C(eni_security_group_names) has the known names of security groups, by id.
  - Nobody can log in to an ENI, so tasks run on the controller. C(ansible_connection) is V(local), and C(ansible_python_interpreter) is
    the Python that runs Ansible. O(compose) can replace both.
  - Ansible never treats strings from the cloud as templates. C(ansible-inventory --list) marks them with C(__ansible_unsafe).
  - All options except those of C(constructed) and C(inventory_cache) can be templates, for example with the C(env) lookup. They can use
    extra variables, and can be encrypted with C(ansible-vault encrypt_string).
  - With O(cache=true), the plugin caches each region separately. It ignores the cache if a selector, an address filter, the region, the
    endpoint, the account or the credential has changed. The cache has no secrets.
  - If an inventory cannot be read, Ansible only shows a warning and continues without hosts. To make it an error, set
    E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED) to V(true), as AWX does.
  - In AWX, use the file as an inventory source from a project. The AWX credential sets environment variables for the plugin. The
    I(Source variables) of this source become environment variables too.
  - The plugin needs the RAM actions of M(alicloud_ops.network.eni_secondary_ip_info).
  - The guide C(docs/docsite/rst/guide_credentials.rst) lists all environment variables and RAM actions.
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
# ENIs with a tag and with addresses in one block, except one part of the block.
plugin: alicloud_ops.network.eni
tags:
  team: [web, shop]
within: [192.168.0.0/16]
excluding: [192.168.0.0/24]
matching_only: true

---
# A profile of the aliyun command line. All ENIs must belong to the account.
plugin: alicloud_ops.network.eni
profile: production
account_id: "1000000000000001"
vpc_id: vpc-bp1example

---
# A selector from an environment variable that AWX sets.
plugin: alicloud_ops.network.eni
security_group_ids: "{{ lookup('env', 'SECURITY_GROUPS') | split(',') }}"

---
# Only two kinds of groups from group_by, and more groups that are made from host variables.
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
# A cache in files, for ten minutes. Refresh it with: ansible-inventory -i cached.eni.yml --list --flush-cache
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
# These strings come from this file, so they are the only strings of a host that may be templates.
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
        """All errors in one message that begins with the name of the file."""
        return AnsibleParserError(remove_values(build_refusal(errors, first=f"{self._path}: ")["msg"], self._secrets))

    def _read_settings(self) -> Settings:
        config = self.loader.load_from_file(self._path, cache="none", trusted_as_template=True)
        if not isinstance(config, Mapping) or config.get("plugin") != self.NAME:
            raise self._failure(f"plugin: the file must be a mapping with plugin: {self.NAME}")
        own = {spelling for name, option in inventory_spec().items() for spelling in (name, *option.get("aliases", ()))}
        errors = unknown_options(config, sorted({*own, *self.option_definitions}))
        given = {str(name): self._template(name, value, errors) for name, value in config.items() if name in own}
        try:
            # Only the options of Ansible itself, because Ansible would stop at the first error in the options of this plugin.
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
            self._say(self.display.warning, f"{shorten(missing)}: not found in {names}.")
        for region in regions:
            for reason in region["unreadable"]:
                self._say(
                    self.display.warning, f"{region['region']}: an ENI or instance cannot be read, so it is not in the inventory: {reason}"
                )

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
            self._say(self.display.warning, f"the group {safe} has the ENIs of several names: {shorten(names)}.")
        return safe_names
