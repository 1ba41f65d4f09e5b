#!/usr/bin/python
# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: eni_secondary_ip_info
short_description: List the secondary private IP addresses of Alibaba Cloud ENIs
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Finds elastic network interfaces (ENIs) by id, instance, security group, network, tags, state or type.
  - Selectors are combined with AND. An ENI matches a list if it matches one of its entries.
  - Pass RV(assignments) to M(alicloud_ops.network.eni_secondary_ip) as O(alicloud_ops.network.eni_secondary_ip#module:assignments).
options:
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
    description:
      - Ids of security groups. Selects the primary and secondary ENIs in any of them.
      - A security group that does not exist is listed in RV(missing), unless O(eni_ids) or O(instance_ids) is set.
    type: list
    elements: str
  security_group_names:
    description:
      - Names of security groups. The whole name must match, and case matters. Several security groups can have the same name.
      - A name that no security group has is listed in RV(missing).
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
    description: >-
      Tags of the ENI. It must have all of them. A value is a string, a list of allowed strings, or null for any value.
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
    description: CIDR blocks. RV(assignments) lists only addresses that are completely inside one of them.
    type: list
    elements: str
  excluding:
    description: >-
      Addresses and CIDR blocks. RV(assignments) leaves out addresses that overlap one of them. This only shortens the list. To protect
      addresses from a change, use O(alicloud_ops.network.eni_secondary_ip#module:keep).
    type: list
    elements: str
  private_ip_addresses:
    description: Secondary private IPv4 addresses. RV(assignments) lists only these.
    type: list
    elements: str
    aliases: [secondary_private_ip_addresses]
  kinds:
    description: Kinds of secondary addresses in RV(assignments).
    type: list
    elements: str
    choices: [private_ip_addresses, ipv4_prefixes, ipv6_addresses, ipv6_prefixes]
    default: [private_ip_addresses]
extends_documentation_fragment:
  - alicloud_ops.network.connection
  - alicloud_ops.network.connection.module
  - alicloud_ops.network.attributes
  - alicloud_ops.network.attributes.api
attributes:
  check_mode:
    support: full
    details: The module changes nothing, with or without check mode.
  diff_mode:
    support: N/A
    details: The module changes nothing.
  idempotent:
    support: full
seealso:
  - module: alicloud_ops.network.eni_secondary_ip
notes:
  - The module needs the RAM action C(ecs:DescribeNetworkInterfaces). O(instance_ids) and security groups also need
    C(ecs:DescribeInstances). O(security_group_names), O(security_group_tags) and security groups without an ENI also need
    C(ecs:DescribeSecurityGroups).
"""

EXAMPLES = r"""
- name: List the secondary addresses in a security group
  alicloud_ops.network.eni_secondary_ip_info:
    security_group_ids: [sg-bp1example]
  register: group

- name: List the secondary addresses in all security groups with a tag
  alicloud_ops.network.eni_secondary_ip_info:
    security_group_tags:
      team: [web, shop]

- name: Unassign the addresses of the first task, except those in one subnet
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    assignments: "{{ group.assignments }}"
    keep: [192.168.0.0/25]

- name: List addresses and prefixes of all ENIs with a tag, except those in one block
  alicloud_ops.network.eni_secondary_ip_info:
    tags:
      team: web
    kinds: [private_ip_addresses, ipv4_prefixes]
    excluding: [192.168.1.0/24]

- name: Find the ENI that has a secondary address
  # ansible localhost -m alicloud_ops.network.eni_secondary_ip_info -a 'whole_region=true private_ip_addresses=192.168.0.10'
  alicloud_ops.network.eni_secondary_ip_info:
    whole_region: true
    private_ip_addresses: [192.168.0.10]
"""

RETURN = r"""
interfaces:
  description: Selected ENIs, sorted by id. ENIs without a matching address are included.
  returned: success
  type: list
  elements: dict
  contains:
    eni_id:
      description: Id of the ENI.
      type: str
      sample: eni-bp1example
    name:
      description: Name of the ENI.
      type: str
      sample: web-1
    description:
      description: Description of the ENI.
      type: str
      sample: ""
    type:
      description: Usually V(Primary) or V(Secondary). The service has other types too.
      type: str
      sample: Secondary
    status:
      description: State of the ENI.
      type: str
      sample: InUse
    instance_id:
      description: Id of the instance that the ENI is attached to, or null.
      type: str
      sample: i-bp1example
    private_ip_address:
      description: Primary private address.
      type: str
      sample: 192.168.0.5
    private_ip_addresses:
      description: Secondary private IPv4 addresses, each with its EIP, or null if it has none.
      type: list
      elements: dict
      sample: [{address: 192.168.0.10, eip: null}, {address: 192.168.0.30, eip: 203.0.113.30}]
    ipv4_prefixes:
      description: IPv4 prefixes.
      type: list
      elements: str
      sample: []
    ipv6_addresses:
      description: Secondary IPv6 addresses.
      type: list
      elements: str
      sample: []
    ipv6_prefixes:
      description: IPv6 prefixes.
      type: list
      elements: str
      sample: []
    security_group_ids:
      description: Ids of the security groups.
      type: list
      elements: str
      sample: [sg-bp1example]
    vpc_id:
      description: Id of the VPC.
      type: str
      sample: vpc-bp1example
    vswitch_id:
      description: Id of the vSwitch.
      type: str
      sample: vsw-bp1example
    zone_id:
      description: Id of the zone.
      type: str
      sample: cn-hangzhou-h
    mac_address:
      description: MAC address.
      type: str
      sample: "00:16:3e:00:00:01"
    owner_id:
      description: Id of the account that owns the ENI.
      type: str
      sample: "123456789012****"
    resource_group_id:
      description: Id of the resource group.
      type: str
      sample: ""
    creation_time:
      description: Time at which the ENI was created, in UTC.
      type: str
      sample: "2026-01-01T00:00:00Z"
    service_managed:
      description: Whether another cloud service manages the ENI.
      type: bool
      sample: false
    tags:
      description: Tags of the ENI.
      type: dict
      sample: {team: web}
assignments:
  description: Matching addresses, by ENI. ENIs without a matching address are not in this list.
  returned: success
  type: list
  elements: dict
  sample:
    - eni_id: eni-bp1example
      private_ip_addresses: [192.168.0.10, 192.168.0.30]
      ipv4_prefixes: []
      ipv6_addresses: []
      ipv6_prefixes: []
missing:
  description: Ids of ENIs, instances and security groups, and names and tags of security groups, that match nothing.
  returned: success
  type: list
  elements: str
  sample: []
unreadable:
  description:
    - ENIs and instances that exist, but whose records are missing in a reply or cannot be read, with the reason.
    - It is unknown whether they match. They are not in RV(interfaces).
  returned: success
  type: list
  elements: dict
  sample:
    - id: i-bp2example
      reason: "DescribeInstances failed with InstanceWithoutEni: the record of the instance i-bp2example shows no primary ENI"
region:
  description: Region that was read.
  returned: success
  type: str
  sample: cn-hangzhou
security_groups:
  description: Names of the security groups that match O(security_group_names) or O(security_group_tags), by id.
  returned: success
  type: dict
  sample: {sg-bp1example: web}
credential_source:
  description: Credential that was used, and its source.
  returned: if the options are valid
  type: str
  sample: ram_role_arn from options, with access_key from environment
summary:
  description: Counts of selected C(interfaces), of matching C(addresses), and of C(api_calls).
  returned: success
  type: dict
  sample: {interfaces: 1, addresses: 2, api_calls: 2}
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.alicloud_ops.network.plugins.module_utils._caller import Caller
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError, SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec, parse_connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import of_other_accounts
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import parse_selection, selection_spec
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_failure, build_info, build_refusal
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import select


def main() -> None:
    module = AnsibleModule(argument_spec={**selection_spec(), **connection_spec()}, supports_check_mode=True)
    result = run(module)
    (module.fail_json if result.get("failed") else module.exit_json)(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """The result of the module, with ``failed`` if it failed."""
    errors: list[str] = []
    wanted = parse_selection(module.params, errors)
    connection = parse_connection(module.params, os.environ, errors)
    if errors or connection is None:
        return {"failed": True, **build_refusal(errors, first="")}
    connection.credential.report_secrets_to(module.no_log_values.update)
    source = {"credential_source": connection.credential.source}
    try:
        ecs = Ecs(connection, Caller().is_waiting)
        found = select(ecs, wanted)
    except (SdkMissing, EcsError) as error:
        return {"failed": True, **build_failure(error, first=""), **source}
    strangers = of_other_accounts(found.interfaces, connection.account_id)
    if strangers:
        return {"failed": True, **build_refusal(strangers, first=""), **source}
    for name in found.missing:
        module.warn(f"{name} does not exist in {connection.region}, or belongs to another account")
    return {
        **build_info(found, wanted, ecs.api_calls),
        "region": connection.region,
        **source,
    }


if __name__ == "__main__":
    main()
