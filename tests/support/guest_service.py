# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program in a guest that holds sockets: python guest_service.py NAME.

It reads one line of JSON, opens these sockets, says so and keeps them until its standard input ends:
``listen``: (address, port); ``freebind``: the same, for addresses that are not configured; ``datagram``: the same for UDP;
``connect``: (own address, other address, port, number).
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

IP_FREEBIND = 15


def open_socket(address: str, kind: socket.SocketKind) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return opened


def main() -> None:
    Path("/proc/self/comm").write_text(sys.argv[1])
    print("started", flush=True)
    wanted = json.loads(sys.stdin.readline() or "{}")
    kept = []
    for option in ("listen", "freebind", "datagram"):
        for address, port in wanted.get(option, ()):
            opened = open_socket(address, socket.SOCK_DGRAM if option == "datagram" else socket.SOCK_STREAM)
            if option == "freebind":
                opened.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
            opened.bind((address, port))
            if option != "datagram":
                opened.listen(16)
            kept.append(opened)
    for own, other, port, number in wanted.get("connect", ()):
        for _number in range(number):
            opened = open_socket(own, socket.SOCK_STREAM)
            opened.bind((own, 0))
            opened.connect((other, port))
            kept.append(opened)
    print("ready", flush=True)
    sys.stdin.read()
    del kept


main()
