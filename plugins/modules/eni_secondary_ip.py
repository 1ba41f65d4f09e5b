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
  - Unassigns secondary private addresses from one or many elastic network interfaces (ENIs), or assigns them.
  - The module changes only addresses that you name, and never a primary address. It reads the ENI again after each write.
  - Check mode returns what a run would change or refuse. It cannot detect a missing write permission.
options:
  state:
    description: Required. V(absent) unassigns, V(present) assigns.
    type: str
    choices: [absent, present]
  eni_id:
    description: Id of the ENI. Set this, O(instance_id) or O(assignments).
    type: str
    aliases: [network_interface_id]
  instance_id:
    description: Id of an instance. The module changes its primary ENI. An address on another ENI of the instance is an error.
    type: str
  private_ip_addresses:
    description: >-
      Secondary private IPv4 addresses. An empty list does nothing. A primary address, or an address inside a prefix of the ENI, is an
      error.
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
    description: >-
      Whether to unassign all secondary private IPv4 addresses. Prefixes and IPv6 addresses stay assigned.
    type: bool
    default: false
  assignments:
    description: >-
      List of ENIs with their addresses, in the form of RV(unassigned). This is much faster than a loop. Entries for the same ENI are
      combined. An empty list does nothing.
    type: list
    elements: dict
    suboptions:
      eni_id:
        description: Id of the ENI. Set this or O(assignments[].instance_id).
        type: str
        aliases: [network_interface_id]
      instance_id:
        description: Id of the instance.
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
    description: >-
      Guard. Addresses and CIDR blocks that are never unassigned. Addresses that overlap one of them are skipped, without an error.
    type: list
    elements: str
  allow_eip:
    description: >-
      Whether to unassign an address to which an EIP is bound. If you can, unbind the EIP first. The service does not document what
      happens to the EIP.
    type: bool
    default: false
  protected_tags:
    description: >-
      Guard. ENIs with one of these tags are refused. A value is a string, a list of strings, or null for any value. The module adds the
      tags of container networks, because pods use the addresses of these ENIs (C(creator=terway),
      C(creator=alibabacloud-erdma-controller), C(ack.aliyun.com), C(cilium-eni-index)). V({}) turns this guard off.
    type: dict
  missing:
    description: >-
      How to treat an ENI or instance that does not exist. V(ignore) lists it in RV(missing) and continues. An ENI that the task has
      already read never counts as missing.
    type: str
    choices: [fail, ignore]
    default: fail
  max_addresses:
    description: >-
      Guard. Maximum number of addresses to write. A prefix counts as one. If there are more, the module writes nothing and fails.
    type: raw
  on_refusal:
    description: >-
      How to treat an address that must not be changed, for example because of its EIP or the state of its ENI. V(fail) writes nothing and
      reports all refusals. V(skip) skips these addresses and changes the others.
    type: str
    choices: [fail, skip]
    default: fail
  wait:
    description: >-
      Whether to wait until a read shows the change. Before the write, the module also waits until a state such as Attaching ends. With
      V(false) an accepted call counts as done. Check mode never waits.
    type: bool
    default: true
  wait_timeout:
    description: >-
      Maximum number of seconds to wait for an ENI, before the first write and again after each accepted call.
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
  - module: alicloud_ops.network.eni_secondary_ip_info
  - name: Secondary private IP addresses
    description: User guide of the service.
    link: https://www.alibabacloud.com/help/en/ecs/user-guide/secondary-private-ip-addresses
notes:
  - The ENI must be Available or InUse. The instance of a primary ENI must be Running or Stopped.
  - The module does not change the operating system of the instance. Remove the address there too.
  - You can undo a change while the addresses are free. An undo does not bind an EIP again.
  - Run the module on the controller, with C(connection=local) or C(delegate_to=localhost). Then it stops writing when its play ends. Over
    another connection, such as SSH, it cannot see the end of the play, so the writes may go on. Over SSH it returns a warning. An async
    task always goes on.
  - O(keep) protects addresses, and lists them as skipped. The option O(alicloud_ops.network.eni_secondary_ip_info#module:excluding) of the
    info module only leaves addresses out of its list. It protects nothing.
"""

EXAMPLES = r"""
- name: Unassign two addresses (try it with --check --diff first)
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    region: cn-hangzhou
    eni_id: eni-bp1example
    private_ip_addresses: [192.168.0.10, 192.168.0.11]

- name: Unassign all secondary IPv4 addresses of a primary ENI except in one subnet, at most ten
  alicloud_ops.network.eni_secondary_ip:
    state: absent
    instance_id: i-bp1example
    all_secondary: true
    keep: [192.168.0.128/25]
    max_addresses: 10

- name: Unassign from many ENIs, and skip what is refused
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

- name: Undo it
  alicloud_ops.network.eni_secondary_ip:
    state: present
    assignments: "{{ cleanup.unassigned }}"

# On the command line: unassign, show a short result, undo.
# ansible localhost -m alicloud_ops.network.eni_secondary_ip
#   -a 'state=absent eni_id=eni-bp1example private_ip_addresses=192.168.0.10' | sed '1s/.*/{/' > result.json
# jq -c '.msg, .summary, .unassigned' result.json
# ansible localhost -m alicloud_ops.network.eni_secondary_ip -e @result.json
#   -a '{"state": "present", "assignments": "{{ unassigned }}"}'
# ANSIBLE_CALLBACK_RESULT_FORMAT=yaml shows results as YAML.
"""

RETURN = r"""
unassigned:
  description: >-
    Addresses that were unassigned, by ENI. In check mode, those that would be unassigned. An address that someone else unassigned at the
    same time is listed too.
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
  description: Addresses that were assigned, as in RV(unassigned).
  returned: O(state=present)
  type: list
  elements: dict
interfaces:
  description: Outcome for each ENI. Addresses are in four lists, as in O(assignments).
  returned: if a plan could be made
  type: list
  elements: dict
  contains:
    eni_id:
      description: Id of the ENI, or null.
      type: str
    instance_id:
      description: Id of the instance of the ENI, or null.
      type: str
    type:
      description: V(Primary), V(Secondary) or null.
      type: str
    status:
      description: State of the ENI in the last read, or null.
      type: str
    before:
      description: Secondary addresses before the task.
      type: dict
    after:
      description: Secondary addresses after the task.
      type: dict
    verified:
      description:
        - Whether a read after the last write shows the ENI and the outcome of every write. In check mode it is predicted, like the rest.
      type: bool
    unassigned:
      description: Addresses that were unassigned.
      returned: O(state=absent)
      type: dict
    already_absent:
      description: Addresses that were not on the ENI. If another ENI has one of them, a warning names that ENI.
      returned: O(state=absent)
      type: dict
    assigned:
      description: Addresses that were assigned.
      returned: O(state=present)
      type: dict
    already_present:
      description: Addresses that were already on the ENI.
      returned: O(state=present)
      type: dict
    skipped:
      description: >-
        Addresses that the module skipped, with code and reason. Codes are C(Kept), C(EniMissing), C(ServiceManaged), C(ProtectedTag),
        C(EipBound), C(AddressHeld), C(HolderUnreadable), C(EniState), C(EniInTransition), C(InstanceState), C(InstanceInTransition) and
        C(InstanceUnknown).
      type: list
      elements: dict
    failures:
      description: >-
        Addresses that failed, with code, message and request id. An entry without addresses means that the ENI could not be read.
        C(NotVerified) means that a call was sent, but no read shows its outcome. Then C(changed) is V(true). Other codes of the module are
        C(EniNotReturned), C(InstanceWithoutEni), C(Refused), C(PlanAged), C(ConnectionFailed), C(UnreadableReply), C(CallerGone),
        C(NoThreads) and C(Unexpected).
      type: list
      elements: dict
missing:
  description: ENIs and instances that do not exist.
  returned: if a plan could be made
  type: list
  elements: str
summary:
  description: >-
    Counts of C(interfaces), C(addresses) and C(api_calls), and of addresses that are C(unassigned), C(assigned), C(already_absent),
    C(already_present), C(skipped) and C(failed).
  returned: if a plan could be made
  type: dict
diff:
  description: Addresses before and after, one per line, for C(--diff).
  returned: if a plan could be made
  type: dict
credential_source:
  description: Credential that was used, and its source.
  returned: if the options are valid
  type: str
  sample: ram_role_arn from options, with access_key from environment
errors:
  description: All errors and refusals. Nothing was changed.
  returned: if the request is refused
  type: list
  elements: str
error:
  description: Action, code, message and request id of the call that failed before any change.
  returned: if a read fails
  type: dict
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.alicloud_ops.network.plugins.module_utils._caller import Caller
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError, SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec, parse_connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import find_refusals
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import parse_request, request_spec
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_failure, build_refusal, build_result
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import find_elsewhere, review
from ansible_collections.alicloud_ops.network.plugins.module_utils._run import carry_out, open_ledger, predict

MOST_REPEATED = 100
REMOTE = "the play runs on another machine, so the writes of this task may go on after the play has ended; use connection: local"


def main() -> None:
    module = AnsibleModule(argument_spec={**request_spec(), **connection_spec()}, supports_check_mode=True)
    result = run(module)
    (module.fail_json if result.get("failed") else module.exit_json)(**result)


def run(module: AnsibleModule) -> dict[str, Any]:
    """The result of the module, with ``failed`` if it failed."""
    errors: list[str] = []
    request = parse_request(module.params, errors)
    connection = parse_connection(module.params, os.environ, errors)
    entries = module.params["assignments"] or []
    if len(entries) > MOST_REPEATED:
        # Ansible repeats the options in the result. But `interfaces` in the result already has all of them, and more.
        module.params["assignments"] = f"{len(entries)} entries (not repeated here, see interfaces)"
        entries.clear()
    if errors or connection is None:
        return {"failed": True, **build_refusal(errors)}
    connection.credential.report_secrets_to(module.no_log_values.update)
    source = {"credential_source": connection.credential.source}
    try:
        caller = Caller()
        if caller.is_remote and not module.check_mode:
            module.warn(REMOTE)
        ecs = Ecs(connection, caller.is_waiting)
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
