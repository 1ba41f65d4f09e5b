# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether check mode predicts the run. Check mode reports a transitional state at once; a run waits until it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chaos.case import DONE, kind_of
from chaos.scenario import Scenario

TRANSITIONAL = ("EniInTransition", "InstanceInTransition")
# Words in an error that a run would wait. Such an error does not have a code.
WAITS = "a run waits up to"


def differences(scenario: Scenario, predicted: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    """Compare all keys except the number of calls. If a transitional state has ended since check mode, compare only the entries of
    ``interfaces`` or only the errors, as they are without that state. All other keys follow from these."""
    if "interfaces" in predicted and "interfaces" in result:
        expected = [_after_the_wait(scenario, *both) for both in zip(predicted["interfaces"], result["interfaces"], strict=False)]
        if expected != predicted["interfaces"]:
            return _differences(scenario, {"interfaces": expected}, {"interfaces": result["interfaces"]})
    ended = {error for error in predicted.get("errors", ()) if WAITS in error} - set(result.get("errors", ()))
    if ended:
        # Now more addresses are written, so the run may exceed max_addresses.
        ours, theirs = (
            [error for error in errors if error not in ended and not error.startswith("max_addresses:")]
            for errors in (predicted["errors"], result.get("errors", []))
        )
        return _differences(scenario, {"errors": ours}, {"errors": theirs})
    return _differences(scenario, predicted, result)


def _differences(scenario: Scenario, predicted: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    ours, theirs = _comparable(scenario, predicted), _comparable(scenario, result)
    return [
        f"check mode says {key}={ours.get(key)!r}, the run {theirs.get(key)!r}"
        for key in sorted({*ours, *theirs})
        if ours.get(key) != theirs.get(key)
    ]


def _after_the_wait(scenario: Scenario, predicted: Mapping[str, Any], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The expected entry of the run. Check mode skips addresses of an ENI in a transitional state, and a run waits until the state ends."""
    waits = {skip["address"] for skip in predicted["skipped"] if skip["code"] in TRANSITIONAL}
    if not waits or waits & {skip["address"] for skip in entry["skipped"]}:
        return predicted
    done = DONE[scenario.arguments["state"]]
    change = _without if done == "unassigned" else _with
    skipped = [skip for skip in predicted["skipped"] if skip["address"] not in waits]
    return {
        **predicted,
        "skipped": skipped,
        done: _with(predicted[done], waits),
        "after": change(predicted["after"], waits),
        "status": entry["status"],
    }


def _with(lists: Mapping[str, list[str]], addresses: Iterable[str]) -> dict[str, set[str]]:
    return {kind: {*held, *(address for address in addresses if kind_of(address) == kind)} for kind, held in lists.items()}


def _without(lists: Mapping[str, list[str]], addresses: Iterable[str]) -> dict[str, set[str]]:
    return {kind: set(held).difference(addresses) for kind, held in lists.items()}


def _comparable(scenario: Scenario, result: Mapping[str, Any]) -> dict[str, Any]:
    """All keys except the number of calls, and the status of an ENI in a transitional state."""
    found = {name: value for name, value in result.items() if name != "invocation"}
    if "interfaces" in found:
        changing = {interface["id"] for interface in scenario.seed["interfaces"] if "becomes" in interface}
        found["interfaces"] = [_sorted(entry, entry["eni_id"] in changing) for entry in found["interfaces"]]
    if "summary" in found:
        found["summary"] = {name: number for name, number in found["summary"].items() if name != "api_calls"}
    return found


def _sorted(entry: Mapping[str, Any], is_changing: bool) -> dict[str, Any]:
    """With sorted address lists, because those of a prediction after the wait are sets."""
    return {
        name: {kind: sorted(held) for kind, held in value.items()} if isinstance(value, dict) else value
        for name, value in entry.items()
        if name != "status" or not is_changing
    }
