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
  - Finds elastic network interfaces (ENIs) by id, instance, security group, network, tags, state or type,
    and tells their secondary addresses.
  - Every selector that is given must fit. Within a list, one of its entries must.
  - What it returns as RV(assignments) is what M(alicloud_ops.network.eni_secondary_ip) takes as
    O(alicloud_ops.network.eni_secondary_ip#module:assignments).
options:
  eni_ids:
    description: These ENIs. An empty list selects nothing, here and for every list below; empty strings count as not given.
    type: list
    elements: str
  instance_ids:
    description: The primary ENIs of these instances, as on the Instances page of the console.
    type: list
    elements: str
  instance_enis:
    description:
      - Which ENIs of the instances in O(instance_ids) to list.
      - V(primary) lists the primary ENI, as the Instances page of the console does. V(all) lists the secondary ENIs as well.
    type: str
    choices: [primary, all]
    default: primary
  security_group_ids:
    description:
      - The ENIs in any of these security groups, primary and secondary ones. An ENI in several of them is listed once.
      - A group in which there is no ENI is looked up, and is in RV(missing) where it does not exist. Beside O(eni_ids) or
        O(instance_ids) it only narrows what they name, and is not looked up.
    type: list
    elements: str
  security_group_names:
    description:
      - The ENIs in any of the security groups with these names, which may be more groups than names. Compared as a whole and with case.
      - A name that no group has is in RV(missing).
    type: list
    elements: str
  security_group_tags:
    description: The ENIs in any of the security groups with all of these tags. Written and compared as O(tags).
    type: dict
  vpc_id:
    description: The ENIs in this VPC.
    type: str
  vswitch_id:
    description: The ENIs in this vSwitch.
    type: str
  tags:
    description:
      - The ENIs with all of these tags. A value is a string, a list of strings of which one must fit, or null for any value.
      - Compared here and not by the service, whose own tag filter ends silently at 1,000 resources.
    type: dict
  status:
    description: The ENIs in this state.
    type: str
    choices: [Available, Attaching, InUse, Detaching, Deleting]
  type:
    description: The ENIs of this type.
    type: str
    choices: [Primary, Secondary]
  whole_region:
    description: Every ENI of the region. Has to be said where no selector is given.
    type: bool
    default: false
  within:
    description: For RV(assignments), only addresses that lie wholly inside one of these CIDR blocks.
    type: list
    elements: str
  excluding:
    description: For RV(assignments), no addresses that overlap one of these addresses or CIDR blocks.
    type: list
    elements: str
  private_ip_addresses:
    description: For RV(assignments), only these secondary private IPv4 addresses.
    type: list
    elements: str
    aliases: [secondary_private_ip_addresses]
  kinds:
    description: For RV(assignments), the kinds of secondary addresses to list.
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
    details: Nothing is changed, in check mode or without.
  diff_mode:
    support: N/A
    details: Nothing is changed.
  idempotent:
    support: full
seealso:
  - module: alicloud_ops.network.eni_secondary_ip
notes:
  - RAM actions needed are C(ecs:DescribeNetworkInterfaces); C(ecs:DescribeInstances) for O(instance_ids) and security groups;
    C(ecs:DescribeSecurityGroups) for O(security_group_names), O(security_group_tags), and groups in which there is no ENI.
"""

EXAMPLES = r"""
- name: Who holds which secondary address in a security group
  alicloud_ops.network.eni_secondary_ip_info:
    security_group_ids: [sg-bp1example]
  register: group

- name: The same for all groups with a tag, whatever their ids
  alicloud_ops.network.eni_secondary_ip_info:
    security_group_tags:
      team: [web, shop]

- name: Unassign all of them but those in one subnet
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    assignments: "{{ group.assignments }}"
    keep: [192.168.0.0/25]

- name: Prefixes and addresses of the ENIs with a tag, but not of one address block
  alicloud_ops.network.eni_secondary_ip_info:
    tags:
      team: web
    kinds: [private_ip_addresses, ipv4_prefixes]
    excluding: [192.168.1.0/24]

- name: Which ENI has this secondary address
  # ansible localhost -m alicloud_ops.network.eni_secondary_ip_info -a 'whole_region=true private_ip_addresses=192.168.0.10'
  alicloud_ops.network.eni_secondary_ip_info:
    whole_region: true
    private_ip_addresses: [192.168.0.10]
"""

RETURN = r"""
interfaces:
  description: All selected ENIs, by id, whether or not an address of theirs matches.
  returned: success
  type: list
  elements: dict
  contains:
    eni_id:
      description: The ENI.
      type: str
      sample: eni-bp1example
    name:
      description: Its name.
      type: str
      sample: web-1
    description:
      description: Its description.
      type: str
      sample: ""
    type:
      description: V(Primary) or V(Secondary); others are known to occur.
      type: str
      sample: Secondary
    status:
      description: Its state.
      type: str
      sample: InUse
    instance_id:
      description: The instance it is attached to, or null.
      type: str
      sample: i-bp1example
    private_ip_address:
      description: Its primary private address.
      type: str
      sample: 192.168.0.5
    private_ip_addresses:
      description: Its secondary private IPv4 addresses, each with the EIP that is bound to it, or null.
      type: list
      elements: dict
      sample: [{address: 192.168.0.10, eip: null}, {address: 192.168.0.30, eip: 203.0.113.30}]
    ipv4_prefixes:
      description: Its IPv4 prefixes.
      type: list
      elements: str
      sample: []
    ipv6_addresses:
      description: Its secondary IPv6 addresses.
      type: list
      elements: str
      sample: []
    ipv6_prefixes:
      description: Its IPv6 prefixes.
      type: list
      elements: str
      sample: []
    security_group_ids:
      description: Its security groups.
      type: list
      elements: str
      sample: [sg-bp1example]
    vpc_id:
      description: Its VPC.
      type: str
      sample: vpc-bp1example
    vswitch_id:
      description: Its vSwitch.
      type: str
      sample: vsw-bp1example
    zone_id:
      description: Its zone.
      type: str
      sample: cn-hangzhou-h
    mac_address:
      description: Its MAC address.
      type: str
      sample: "00:16:3e:00:00:01"
    owner_id:
      description: The account that it belongs to.
      type: str
      sample: "123456789012****"
    resource_group_id:
      description: Its resource group.
      type: str
      sample: ""
    creation_time:
      description: When it was made, in UTC.
      type: str
      sample: "2026-01-01T00:00:00Z"
    service_managed:
      description: Whether another cloud service manages it.
      type: bool
      sample: false
    tags:
      description: Its tags.
      type: dict
      sample: {team: web}
assignments:
  description: The matching addresses, only of ENIs that have one, ready for M(alicloud_ops.network.eni_secondary_ip).
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
  description: Ids of ENIs, instances and security groups, names and tags of security groups, that were named and that nothing has.
  returned: success
  type: list
  elements: str
  sample: []
unreadable:
  description:
    - ENIs and instances that exist, but whose record is missing from a reply or cannot be read, with the reason.
    - Nobody can say whether they match. They are not among RV(interfaces).
  returned: success
  type: list
  elements: dict
  sample:
    - id: i-bp2example
      reason: "DescribeInstances failed with InstanceWithoutEni: the record of the instance i-bp2example shows no primary ENI"
region:
  description: The region that was read.
  returned: success
  type: str
  sample: cn-hangzhou
security_groups:
  description: The names of the security groups that were found by O(security_group_names) and O(security_group_tags), by id.
  returned: success
  type: dict
  sample: {sg-bp1example: web}
credential_source:
  description: Which way to log in was used, and where it was found. Never the credential itself.
  returned: when the options are right
  type: str
  sample: ram_role_arn from options, with access_key from environment
summary:
  description: How many ENIs were selected, how many addresses match, and how many requests it took.
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
    """The module's result; with ``failed`` where it failed."""
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
    return {
        **build_info(found, wanted, ecs.api_calls),
        "region": connection.region,
        **source,
    }


if __name__ == "__main__":
    main()
