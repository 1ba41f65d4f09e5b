#!/usr/bin/python
# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: eni_secondary_ip
short_description: Unassign and assign secondary private IP addresses of Alibaba Cloud ENIs
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Unassigns secondary private addresses from elastic network interfaces (ENIs), or assigns them.
  - Takes one ENI, the primary ENI of an instance, or thousands of ENIs in one task.
  - Only what is named goes. The primary address of an ENI is never touched, and neither is an address that was not named.
  - Check mode reads everything, refuses what a run would refuse, and returns what a run would return (but for C(summary.api_calls)),
    as far as reading can tell. Whether writing is permitted, and what the service checks only then, shows in a run.
  - Success is what was read back from the service, not what it accepted.
options:
  state:
    description:
      - Required. V(absent) unassigns the addresses, V(present) assigns them.
      - There is no default, so that nothing is removed by an omission.
    type: str
    choices: [absent, present]
  eni_id:
    description: The ENI. Exactly one of O(eni_id), O(instance_id) and O(assignments) is required.
    type: str
    aliases: [network_interface_id]
  instance_id:
    description:
      - The instance whose primary ENI is meant, as on the Instances page of the console.
      - An address that is on a secondary ENI of this instance is an error that names that ENI.
    type: str
  private_ip_addresses:
    description:
      - Secondary private IPv4 addresses, exactly these and nothing else.
      - An empty list is nothing to do. An empty string or a list of empty strings counts as not given. Neither ever means all.
      - With O(state=absent), an address that is not on the ENI is reported and left alone. If another ENI of the region holds it, a
        warning names that ENI. An address inside an assigned prefix is an error.
      - The primary address of the ENI is an error, whatever O(on_refusal) says.
    type: list
    elements: str
    aliases: [secondary_private_ip_addresses]
  ipv4_prefixes:
    description: IPv4 prefixes, such as V(192.168.0.16/28).
    type: list
    elements: str
  ipv6_addresses:
    description: Secondary IPv6 addresses.
    type: list
    elements: str
  ipv6_prefixes:
    description: IPv6 prefixes, such as V(2001:db8:0:0:10::/80).
    type: list
    elements: str
  all_secondary:
    description:
      - Every secondary private IPv4 address of the ENI. For O(state=absent) only, and instead of naming addresses.
      - Addresses in O(keep) stay. Prefixes and IPv6 addresses are not included.
    type: bool
    default: false
  assignments:
    description:
      - Many ENIs in one task, which is far faster than a loop and kind to the account's quota. Stands instead of the options above.
      - The lists that this module returns as RV(unassigned) and RV(assigned) are of this shape.
      - The same ENI may be named more than once and by different names. Its addresses are joined.
      - An empty list is nothing to do. An empty string is an error because it is not a list.
    type: list
    elements: dict
    suboptions:
      eni_id:
        description: The ENI. Exactly one of O(assignments[].eni_id) and O(assignments[].instance_id) is required.
        type: str
        aliases: [network_interface_id]
      instance_id:
        description: The instance whose primary ENI is meant.
        type: str
      private_ip_addresses:
        description: As O(private_ip_addresses).
        type: list
        elements: str
        aliases: [secondary_private_ip_addresses]
      ipv4_prefixes:
        description: As O(ipv4_prefixes).
        type: list
        elements: str
      ipv6_addresses:
        description: As O(ipv6_addresses).
        type: list
        elements: str
      ipv6_prefixes:
        description: As O(ipv6_prefixes).
        type: list
        elements: str
      all_secondary:
        description: As O(all_secondary).
        type: bool
        default: false
  keep:
    description:
      - Addresses or CIDR blocks that are never unassigned, of all kinds.
      - An address or prefix that overlaps one of them is skipped and reported. That is not an error.
      - V([]) keeps nothing. A blank value, such as V('') or V(['']), is an error, because a guard must not vanish with an empty variable.
    type: list
    elements: str
  allow_eip:
    description:
      - Whether an address with an elastic IP address (EIP) bound to it may be unassigned.
      - It is refused by default, also with O(all_secondary=true).
      - What the service does with the EIP is not documented. Disassociate it first where you can.
    type: bool
    default: false
  protected_tags:
    description:
      - ENIs with such a tag are refused. A value is a string, a list of strings, or null for any value.
      - The tags of container networks are always protected, because an address there belongs to a pod. They are C(creator=terway),
        C(creator=alibabacloud-erdma-controller), and C(ack.aliyun.com) and C(cilium-eni-index) with any value.
      - To protect the ENIs of another controller, name its tag with the value null for any value. It is added to the list above.
      - Only an explicit V({}) turns the protection off.
    type: dict
  missing:
    description:
      - How to treat an ENI or instance that does not exist. V(fail) makes it an error. V(ignore) reports it in RV(missing).
      - An instance that cannot be seen because a permission is missing always fails.
      - An ENI that this task has already read never counts as missing. If a later read lacks it, its addresses fail.
    type: str
    choices: [fail, ignore]
    default: fail
  max_addresses:
    description:
      - Maximum number of addresses to write, as a whole number. If more would be written, the module fails before the first write.
      - A prefix counts as one. With V(0) nothing may be written.
      - A blank value is an error, because a guard must not vanish with an empty variable.
    type: raw
  on_refusal:
    description:
      - What to do if something must not be touched. Reasons are the state of the ENI or its instance, a service-managed ENI,
        O(protected_tags), an EIP, or an address that another ENI holds.
      - V(fail) writes nothing at all and reports every refusal. V(skip) reports the refused addresses as skipped and continues with the
        others.
    type: str
    choices: [fail, skip]
    default: fail
  wait:
    description:
      - Whether to read back until the change shows, and to wait for a transitional state to end (Attaching, Detaching, Starting,
        Stopping, Pending).
      - With V(false), an accepted call counts as success and RV(interfaces[].verified) is false. A call that was not accepted is still
        read back, once.
      - Check mode never waits. It reports a transitional state at once.
    type: bool
    default: true
  wait_timeout:
    description:
      - Maximum number of seconds to wait for each ENI. It limits four things.
      - How long the module waits before the first write for a transitional state to end.
      - How long it reads back until an accepted change shows, counted from the last accepted call of the ENI. An address that does not
        show in this time is reported in RV(interfaces[].failures) with the code C(NotVerified).
      - How long it looks for the effect of a call whose reply was lost or does not say whether it was carried out.
      - How long it reads an ENI again that a read does not list although it was listed before.
      - Time for which pacing or throttling holds calls back does not count.
    type: int
    default: 60
extends_documentation_fragment:
  - alicloud_ops.network.connection
  - alicloud_ops.network.connection.module
  - alicloud_ops.network.attributes
  - alicloud_ops.network.attributes.api
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - name: UnassignPrivateIpAddresses
    description: The API behind O(state=absent) for IPv4.
    link: https://www.alibabacloud.com/help/en/ecs/api-unassignprivateipaddresses
  - name: Secondary private IP addresses
    description: The user guide, with what has to be done inside the operating system.
    link: https://www.alibabacloud.com/help/en/ecs/user-guide/secondary-private-ip-addresses
notes:
  - The ENI must be Available or InUse, and the instance of a primary ENI Running or Stopped.
  - RAM actions needed are C(ecs:DescribeNetworkInterfaces); C(ecs:DescribeInstances) for instances and primary ENIs;
    C(ecs:UnassignPrivateIpAddresses) and C(ecs:UnassignIpv6Addresses) for O(state=absent);
    C(ecs:AssignPrivateIpAddresses) and C(ecs:AssignIpv6Addresses) for O(state=present). Check mode takes only the first two.
  - Unassigning does not change the operating system of the instance. Remove the address there as well.
  - An unassigned address is free for anybody. It can be assigned back while it is still free; its EIP binding is not restored.
"""

EXAMPLES = r"""
# Credentials and region come from the environment here. They can be set once by
#   module_defaults:
#     group/alicloud_ops.network.alicloud:
#       region: cn-hangzhou

- name: See what would be unassigned, on the command line
  # ansible localhost -m alicloud_ops.network.eni_secondary_ip --check --diff
  #   -a 'state=absent eni_id=eni-bp1example private_ip_addresses=192.168.0.10,192.168.0.11'
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    eni_id: eni-bp1example
    private_ip_addresses: [192.168.0.10, 192.168.0.11]
  check_mode: true
  diff: true

- name: Unassign two addresses from an ENI
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    region: cn-hangzhou
    eni_id: eni-bp1example
    private_ip_addresses:
      - 192.168.0.10
      - 192.168.0.11

- name: Unassign an address from the primary ENI of an instance
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    instance_id: i-bp1example
    private_ip_addresses: [192.168.0.20]

- name: Unassign all secondary IPv4 addresses of an ENI, but not those of a subnet, and never more than ten
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    eni_id: eni-bp1example
    all_secondary: true
    keep: [192.168.0.128/25]
    max_addresses: 10

- name: Unassign an address although an EIP is bound to it
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    eni_id: eni-bp1example
    private_ip_addresses: [192.168.0.30]
    allow_eip: true

- name: Clean up many ENIs in one task, go on where one is refused
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    assignments:
      - eni_id: eni-bp1example
        private_ip_addresses: [192.168.0.10]
        ipv4_prefixes: [192.168.0.16/28]
      - instance_id: i-bp2example
        all_secondary: true
    on_refusal: skip
  register: cleanup

- name: Give back exactly what was taken
  alicloud_ops.network.eni_secondary_ip:
    state: present
    assignments: "{{ cleanup.unassigned }}"

- name: With the option names of the older collection
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    alicloud_access_key: "{{ my_key_id }}"
    alicloud_secret_key: "{{ my_key_secret }}"
    alicloud_region: cn-hangzhou
    network_interface_id: eni-bp1example
    secondary_private_ip_addresses: [192.168.0.10]
"""

RETURN = r"""
unassigned:
  description:
    - With O(state=absent), the addresses that were unassigned, by ENI. In check mode, those that would be.
    - Passed as O(assignments) with O(state=present), they are assigned again.
    - An address of which a call was sent and that is gone afterwards counts as unassigned by this task, although somebody else may have
      been quicker.
    - An address of which a call was sent, but whose outcome no read showed, is in RV(interfaces[].failures) and not here. C(changed) is
      true in that case.
  returned: O(state=absent)
  type: list
  elements: dict
  sample:
    - eni_id: eni-bp1example
      private_ip_addresses: [192.168.0.10, 192.168.0.11]
      ipv4_prefixes: []
      ipv6_addresses: []
      ipv6_prefixes: []
assigned:
  description: With O(state=present), what was assigned, in the same shape.
  returned: O(state=present)
  type: list
  elements: dict
  sample:
    - eni_id: eni-bp1example
      private_ip_addresses: [192.168.0.10, 192.168.0.11]
      ipv4_prefixes: []
      ipv6_addresses: []
      ipv6_prefixes: []
interfaces:
  description: What happened to each ENI, in the order of the request.
  returned: when the plan could be made
  type: list
  elements: dict
  contains:
    eni_id:
      description: The ENI. Null for an instance that does not exist.
      type: str
      sample: eni-bp1example
    instance_id:
      description: The instance it is attached to, or null.
      type: str
      sample: i-bp1example
    type:
      description: V(Primary) or V(Secondary). Null if the ENI does not exist or cannot be read.
      type: str
      sample: Secondary
    status:
      description: The state of the ENI when it was last read, null where it does not exist.
      type: str
      sample: InUse
    before:
      description: All secondary addresses before, by kind.
      type: dict
      sample: {private_ip_addresses: [192.168.0.10, 192.168.0.11, 192.168.0.12], ipv4_prefixes: [], ipv6_addresses: [], ipv6_prefixes: []}
    after:
      description: All secondary addresses after, as they were read back, by kind.
      type: dict
      sample: {private_ip_addresses: [192.168.0.12], ipv4_prefixes: [], ipv6_addresses: [], ipv6_prefixes: []}
    verified:
      description:
        - Whether reads show the outcome of every write, so that RV(interfaces[].after) is what is so.
        - It is false with O(wait=false), and if the outcome of a call did not show in time.
      type: bool
      sample: true
    unassigned:
      description: What was unassigned, by kind.
      returned: O(state=absent)
      type: dict
      sample: {private_ip_addresses: [192.168.0.10, 192.168.0.11], ipv4_prefixes: [], ipv6_addresses: [], ipv6_prefixes: []}
    already_absent:
      description: Addresses that were named but were not on the ENI, by kind.
      returned: O(state=absent)
      type: dict
      sample: {private_ip_addresses: [], ipv4_prefixes: [], ipv6_addresses: [], ipv6_prefixes: []}
    assigned:
      description: What was assigned, by kind.
      returned: O(state=present)
      type: dict
      sample: {private_ip_addresses: [192.168.0.10], ipv4_prefixes: [], ipv6_addresses: [], ipv6_prefixes: []}
    already_present:
      description: Addresses that were named and were already on the ENI, by kind.
      returned: O(state=present)
      type: dict
      sample: {private_ip_addresses: [], ipv4_prefixes: [], ipv6_addresses: [], ipv6_prefixes: []}
    skipped:
      description:
        - Addresses that were left alone, with a reason code and text.
        - Codes are C(Kept), C(EniMissing), C(ServiceManaged), C(ProtectedTag), C(EipBound), C(AddressHeld), C(HolderUnreadable),
          C(EniState), C(EniInTransition), C(InstanceState), C(InstanceInTransition) and C(InstanceUnknown).
      type: list
      elements: dict
      sample: [{address: 192.168.0.13, code: Kept, reason: "kept, because it is in keep"}]
    failures:
      description:
        - Addresses that were not changed, or whose change no read has shown, with the code, message and request id of the service.
        - Codes of this module are C(NotVerified) (a call was sent, and no read has shown the outcome), C(EniNotReturned) (the service
          no longer lists the ENI), C(InstanceWithoutEni), C(Refused) (read again right before its call, it no longer passed),
          C(PlanAged) (pacing let no call through in time), C(ConnectionFailed) and C(UnreadableReply) (no answer, or none that can be
          read), C(CallerGone), C(NoThreads), and C(Unexpected).
        - Without addresses, nothing could be read of the ENI.
      type: list
      elements: dict
      sample: []
missing:
  description: The ENIs and instances that do not exist, with O(missing=ignore).
  returned: when the plan could be made
  type: list
  elements: str
  sample: []
summary:
  description:
    - How many ENIs and addresses, and what became of them. A prefix counts as one.
    - C(api_calls) counts every request that was sent, repeated ones included.
  returned: when the plan could be made
  type: dict
  sample: {interfaces: 1, addresses: 2, unassigned: 2, already_absent: 0, skipped: 0, failed: 0, api_calls: 3}
diff:
  description: All secondary addresses of the ENIs that change, before and after, one a line, sorted by ENI and address.
  returned: when the plan could be made
  type: dict
  sample:
    before: "eni-bp1example 192.168.0.10\neni-bp1example 192.168.0.11\neni-bp1example 192.168.0.12\n"
    after: "eni-bp1example 192.168.0.12\n"
credential_source:
  description: Which way to log in was used, and where it was found. Never the credential itself.
  returned: when the options are right
  type: str
  sample: ram_role_arn from options, with access_key from environment
errors:
  description: Every error and every refusal, one each. Nothing was changed.
  returned: when the request is refused
  type: list
  elements: str
  sample: ["private_ip_addresses: '192.168.0.300' is not an IPv4 address such as 192.168.0.10"]
error:
  description: The call that failed before anything was changed.
  returned: when reading failed
  type: dict
  sample:
    action: DescribeNetworkInterfaces
    code: Forbidden.RAM
    message: User not authorized to operate on the specified resource.
    request_id: 473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.alicloud_ops.network.plugins.module_utils._caller import Caller
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError, SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec, parse_connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import find_refusals
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import parse_request
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_failure, build_refusal, build_result
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import find_elsewhere, review
from ansible_collections.alicloud_ops.network.plugins.module_utils._run import carry_out, open_ledger, predict

MOST_REPEATED = 100


def target_spec() -> dict[str, dict[str, Any]]:
    """What names one ENI and its addresses: for the module itself and for an entry of assignments."""
    addresses = {"type": "list", "elements": "str"}
    return {
        "eni_id": {"type": "str", "aliases": ["network_interface_id"]},
        "instance_id": {"type": "str"},
        "private_ip_addresses": {**addresses, "aliases": ["secondary_private_ip_addresses"]},
        "ipv4_prefixes": addresses,
        "ipv6_addresses": addresses,
        "ipv6_prefixes": addresses,
        "all_secondary": {"type": "bool", "default": False},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent", "present"]},
            **target_spec(),
            "assignments": {"type": "list", "elements": "dict", "options": target_spec()},
            "keep": {"type": "list", "elements": "str"},
            "allow_eip": {"type": "bool", "default": False},
            "protected_tags": {"type": "dict"},
            "missing": {"type": "str", "choices": ["fail", "ignore"], "default": "fail"},
            "max_addresses": {"type": "raw"},
            "on_refusal": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 60},
            **connection_spec(),
        },
        supports_check_mode=True,
    )
    result = run(module)
    (module.fail_json if result.get("failed") else module.exit_json)(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """The module's result; with ``failed`` where it failed."""
    errors: list[str] = []
    request = parse_request(module.params, errors)
    connection = parse_connection(module.params, os.environ, errors)
    entries = module.params["assignments"] or []
    if len(entries) > MOST_REPEATED:
        # Ansible repeats the arguments in the result, where the ledger already says all of it and more.
        module.params["assignments"] = f"{len(entries)} entries, which are not repeated here"
        entries.clear()
    if errors or connection is None:
        return {"failed": True, **build_refusal(errors)}
    connection.credential.report_secrets_to(module.no_log_values.update)
    source = {"credential_source": connection.credential.source}
    try:
        ecs = Ecs(connection, Caller().is_waiting)
        plan = review(ecs, request, request.targets, wait_for_states=not module.check_mode)
        refusals = find_refusals(plan, request, connection.account_id)
        if refusals:
            return {"failed": True, **build_refusal(refusals), **source}
        if request.state == "absent":
            for warning in find_elsewhere(ecs, plan):
                module.warn(warning)
    except (SdkMissing, EcsError) as error:
        return {"failed": True, **build_failure(error), **source}
    if module.check_mode:
        ledger = predict(plan, request)
    else:
        ledger = open_ledger(plan)
        carry_out(ecs, request, ledger)
    return {**build_result(request.state, ledger, ecs.api_calls), **source}


if __name__ == "__main__":
    main()
