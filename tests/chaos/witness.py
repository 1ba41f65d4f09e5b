# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records each request of a run and the reply that the client got, below the module: in ``requests``, which its SDK uses.

The endpoint knows its actions, but not the replies that arrived. This file records these, which is all that the module could know.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import requests

from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError, PlanAged
from chaos.worlds import IPV4_PREFIXES, IPV6, IPV6_PREFIXES, PRIVATE_IPV4

# Where the addresses of an ENI are in its record: the wrapper, the list in it, and the name of the address.
PATHS = {
    PRIVATE_IPV4: ("PrivateIpSets", "PrivateIpSet", "PrivateIpAddress"),
    IPV4_PREFIXES: ("Ipv4PrefixSets", "Ipv4PrefixSet", "Ipv4Prefix"),
    IPV6: ("Ipv6Sets", "Ipv6Set", "Ipv6Address"),
    IPV6_PREFIXES: ("Ipv6PrefixSets", "Ipv6PrefixSet", "Ipv6Prefix"),
}


@contextlib.contextmanager
def recording(exchanges: list[dict[str, Any]]) -> Iterator[None]:
    """Append each request to ``exchanges``, in the order in which they end. Plain data, as in ``_exchange``."""
    send = requests.Session.send

    def watched(session: requests.Session, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        began, response = time.monotonic(), None
        try:
            response = send(session, request, **how)
        except (EcsError, PlanAged):
            raise  # the module stopped it after the connection was made and before the first byte
        except BaseException:
            exchanges.append(_exchange(request, None, began))
            raise
        exchanges.append(_exchange(request, response, began))
        return response

    with mock.patch.object(requests.Session, "send", watched):
        yield


def canonical(text: str) -> str:
    network = ipaddress.ip_network(text.strip())
    return str(network) if "/" in text else str(network.network_address)


def _exchange(request: requests.PreparedRequest, response: requests.Response | None, began: float) -> dict[str, Any]:
    """``status`` is None without a reply, and ``code`` is empty if it cannot be read. ``interfaces`` and ``instances``: the rows by id, or
    None if the reply is not a list of such rows. ``nameless``: rows without an id. Times are those of the monotonic clock."""
    document = _document(response)
    return {
        "action": str(request.headers.get("x-acs-action", "")),
        "parameters": dict(parse_qsl(urlsplit(request.url or "").query, keep_blank_values=True)),
        "thread": threading.get_ident(),
        "began": began,
        "ended": time.monotonic(),
        "status": None if response is None else response.status_code,
        "code": str(document.get("Code") or ""),
        "message": str(document.get("Message") or ""),
        "request_id": str(document.get("RequestId") or ""),
        "next_token": str(document.get("NextToken") or ""),
        "interfaces": _rows(document, "NetworkInterfaceSets", "NetworkInterfaceSet", "NetworkInterfaceId", _interface),
        "instances": _rows(document, "Instances", "Instance", "InstanceId", _instance),
        "nameless": _nameless(document),
    }


def _document(response: requests.Response | None) -> dict[str, Any]:
    if response is None:
        return {}
    try:
        document = json.loads(response.content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _list(document: Mapping[str, Any], outer: str, inner: str) -> list[Any] | None:
    wrapper = document.get(outer)
    rows = wrapper.get(inner) if isinstance(wrapper, dict) else None
    return rows if isinstance(rows, list) else None


def _rows(document: Mapping[str, Any], outer: str, inner: str, id_name: str, read: Any) -> dict[str, Any] | None:
    rows = _list(document, outer, inner)
    return None if rows is None else {row[id_name]: read(row) for row in rows if row.get(id_name)}


def _nameless(document: Mapping[str, Any]) -> int:
    rows = [(row, "NetworkInterfaceId") for row in _list(document, "NetworkInterfaceSets", "NetworkInterfaceSet") or ()]
    rows += [(row, "InstanceId") for row in _list(document, "Instances", "Instance") or ()]
    return sum(1 for row, id_name in rows if not row.get(id_name))


def _interface(record: Mapping[str, Any]) -> dict[str, Any]:
    """``whole``: the record has all required fields, so it is reliable."""
    held: dict[str, list[str]] = {}
    primary, eips = [], []
    for kind, (outer, inner, name) in PATHS.items():
        held[kind] = []
        for row in _list(record, outer, inner) or ():
            address = canonical(row[name])
            if row.get("Primary") or address == record.get("PrivateIpAddress"):
                primary.append(address)
                continue
            held[kind].append(address)
            if (row.get("AssociatedPublicIp") or {}).get("PublicIpAddress"):
                eips.append(address)
    status = record.get("Status") or ""
    has_primary = any(":" not in address for address in primary)
    return {
        "whole": bool(status and record.get("Type") and (has_primary or status == "Deleting")),
        "status": status,
        "type": record.get("Type") or "",
        "instance_id": record.get("InstanceId") or "",
        "service_managed": bool(record.get("ServiceManaged")),
        "tags": {tag["TagKey"]: tag["TagValue"] for tag in _list(record, "Tags", "Tag") or ()},
        "eips": eips,
        "primary": primary,
        **held,
    }


def _instance(record: Mapping[str, Any]) -> dict[str, Any]:
    enis = _list(record, "NetworkInterfaces", "NetworkInterface") or []
    primary = next((row["NetworkInterfaceId"] for row in enis if row.get("Type") == "Primary"), None)
    return {"whole": bool(record.get("Status") and primary), "status": record.get("Status") or "", "primary": primary}
