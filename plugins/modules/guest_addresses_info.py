#!/usr/bin/python
# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_addresses_info
short_description: List the IP addresses that a Linux instance uses
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Runs on an instance and lists its IP addresses with their interfaces, MAC addresses, listening sockets and numbers of connections.
  - The MAC address shows to which elastic network interface (ENI) an address belongs. Use the module to check whether a secondary
    private address is still in use before you unassign it.
  - The module reads every network namespace of the instance, because containers have their addresses there. As root it also finds
    namespaces that only a file descriptor, a mount or a thread keeps open.
  - If RV(complete) is V(false), the module could not read everything. Then an address that is not listed may still be in use. The
    addresses that are listed are correct.
  - Without root RV(complete) is always V(false), because a process of another user may keep a namespace open.
  - Loopback, link-local and multicast addresses are left out, because an ENI cannot have them.
  - The result has no addresses of other machines, no command lines, no user names and no environment variables.
requirements:
  - Linux with C(/proc). No other program is needed on the instance.
  - Python 3.9 or later on the instance.
extends_documentation_fragment:
  - alicloud_ops.network.attributes
attributes:
  check_mode:
    support: full
    details: The module changes nothing, with or without check mode.
  diff_mode:
    support: none
    details: The module changes nothing.
  idempotent:
    support: full
  platform:
    description: Operating systems on which the module runs.
    platforms: linux
    support: full
notes:
  - The module works without root. As root it also reports process names, the interfaces in the namespaces of containers, and network
    namespaces without a process.
  - The module does not see a network namespace that only an open socket keeps open.
  - The module reads TCP, UDP and raw sockets. It does not see an address that only address translation, IPVS, an eBPF program or a
    virtual machine on the instance uses.
seealso:
  - module: alicloud_ops.network.eni_secondary_ip_info
  - module: alicloud_ops.network.eni_secondary_ip
"""

EXAMPLES = r"""
- name: Read the addresses of all web servers
  hosts: web
  gather_facts: false
  become: true
  tasks:
    - name: Read the addresses of the instance
      alicloud_ops.network.guest_addresses_info:
      register: guest

    - name: Show the addresses that a service listens on
      ansible.builtin.debug:
        msg: "{{ guest.addresses | selectattr('listeners') | map(attribute='address') }}"

    - name: Stop if something could not be read
      ansible.builtin.assert:
        that: guest.complete
        fail_msg: "{{ guest.reasons | map(attribute='text') | join('; ') }}"
"""

RETURN = r"""
read_at:
  description:
    - Time at which the read began, in UTC, by the clock of the controller. The roles of this collection refuse a result that is too old.
  returned: if the guest could be reached
  type: str
  sample: "2026-01-05T10:00:00+00:00"
complete:
  description:
    - Whether RV(addresses) has every address of the instance. If not, an address that is not listed may still be configured.
  returned: success
  type: bool
  sample: true
reasons:
  description: Reasons why RV(complete) is V(false). Empty if it is V(true).
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description:
        - V(processes_hidden) if the module cannot see the processes of other users, or those of the machine around a container.
        - V(namespaces_hidden) if the module may not read the open files and the mounts of all processes. Without root this is always the
          case. A network namespace that only such a process keeps open is unknown.
        - V(namespace_not_permitted) if the module cannot enter a network namespace and sees no process in it.
        - V(namespace_unreadable) if a named network namespace or the list of mounts cannot be read.
        - V(netlink_failed) if the kernel did not list the interfaces. Then the module reads the addresses from C(/proc).
        - V(addresses_not_read), V(interfaces_not_read) and V(sockets_not_read) if a list in C(/proc) cannot be read.
      type: str
      sample: processes_hidden
    text:
      description: The part that could not be read, and why.
      type: str
      sample: processes of other users are hidden, so their network namespaces are unknown; run the module as root
    namespace:
      description: >-
        Network namespace that could not be read completely. An empty string means the namespace of the module, or the whole instance.
      type: str
      sample: ""
addresses:
  description: Addresses by network namespace. An address that is configured on two interfaces is listed twice.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: IPv4 or IPv6 address.
      type: str
      sample: 192.168.0.10
    prefix_length:
      description: Prefix length, or null if it is not known.
      type: int
      sample: 24
    found_as:
      description:
        - V(interface_address) if the address is configured on an interface.
        - V(local_route) if a local route makes the kernel accept all addresses in the block.
        - V(socket) if a socket is bound to the address or connected from it, although the address is not configured.
      type: str
      sample: interface_address
    namespace:
      description: Name of the network namespace, as in RV(namespaces).
      type: str
      sample: ""
    interface:
      description: Name of the interface, or null if it is not known.
      type: str
      sample: eth1
    mac_address:
      description: MAC address of the interface, or null if it has none or it is not known.
      type: str
      sample: "00:16:3e:00:00:01"
    parent_interface:
      description: Physical interface below a macvlan, ipvlan or VLAN interface. Null for other interfaces, or if it is not visible.
      type: str
      sample: null
    parent_namespace:
      description: Network namespace of RV(addresses[].parent_interface), or null.
      type: str
      sample: null
    parent_mac_address:
      description: MAC address of RV(addresses[].parent_interface), or null.
      type: str
      sample: null
    mac_addresses:
      description: MAC addresses of the interface and of all interfaces below it, including the ports of a bridge or bond.
      type: list
      elements: str
      sample: ["00:16:3e:00:00:01"]
    scope:
      description: Scope of the address, as the command C(ip address) shows it, or null if it is not known.
      type: str
      sample: global
    dynamic:
      description: Whether the address has a limited lifetime, for example from DHCP. Null if it is not known.
      type: bool
      sample: false
    removed_with_it:
      description: >-
        Addresses that the kernel removes together with this one, because it is the primary address of their subnet and
        C(promote_secondaries) is off. Null if that is not known.
      type: list
      elements: str
      sample: []
    listeners:
      description: Sockets that are bound to this address. If processes with the same name share a port, the port is listed once.
      type: list
      elements: dict
      contains:
        protocol:
          description: V(tcp), V(udp), V(udplite) or V(raw).
          type: str
          sample: tcp
        port:
          description: Port, or the number of the IP protocol for V(raw).
          type: int
          sample: 22
        process:
          description: Name of the process, or null if the module may not read it.
          type: str
          sample: sshd
    connections:
      description:
        - Number of connected UDP sockets, and of TCP connections that are established, half closed or being opened by this machine.
      type: int
      sample: 3
    uncertain:
      description:
        - Whether no socket is bound to this address, but a service in its network namespace listens on all addresses. That service may use
          this address.
      type: bool
      sample: false
interfaces:
  description: >-
    MAC addresses of this instance, with their interfaces. Macvlan, ipvlan and VLAN interfaces are left out, because the ENI is the
    interface below them.
  returned: success
  type: list
  elements: dict
  contains:
    interface:
      description: Name of the interface.
      type: str
      sample: eth1
    namespace:
      description: Name of the network namespace, as in RV(namespaces).
      type: str
      sample: ""
    mac_address:
      description: MAC address.
      type: str
      sample: "00:16:3e:00:00:01"
namespaces:
  description: Network namespaces of the instance.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description:
        - An empty string for the network namespace of the module, which is usually the main one.
        - For other namespaces, the name that C(ip netns) uses. If there is none, C(net:[INODE]), or C(pid:PID) if the module may not read
          the inode.
      type: str
      sample: "net:[4026532301]"
    process:
      description: Name of a process in the namespace. Null for the namespace of the module, or if there is no process.
      type: str
      sample: nginx
    complete:
      description: Whether all addresses and sockets of the namespace were read.
      type: bool
      sample: true
    interfaces_read:
      description: Whether the interfaces of the namespace are known. If not, its addresses have no MAC address.
      type: bool
      sample: true
    wildcard_listeners:
      description: Sockets that are bound to C(0.0.0.0) or C(::). They may use every address of the namespace.
      type: list
      elements: dict
      contains:
        family:
          description: V(ipv4) or V(ipv6). Most programs that listen on C(::) accept IPv4 as well.
          type: str
          sample: ipv4
        protocol:
          description: V(tcp), V(udp) or V(udplite).
          type: str
          sample: tcp
        port:
          description: Port.
          type: int
          sample: 22
        process:
          description: Name of the process, or null if it may not be read.
          type: str
          sample: sshd
"""

import sys

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_system import read_guest


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    if not sys.platform.startswith("linux"):
        module.fail_json(msg=f"The module supports Linux only, but this machine runs {sys.platform}.")
    try:
        result = read_guest()
    except OSError as error:
        module.fail_json(msg=f"The module cannot read the addresses of this machine: {error}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
