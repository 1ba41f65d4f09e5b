# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import count
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import (
    CONTAINER_NETWORK_TAGS,
    parse_protected_tags,
    parse_request,
    parse_selection,
)
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import entry, params, selection_params

KIND_NAMES = ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes")

LISTS = ("eni_ids", "instance_ids", "security_group_ids", "security_group_names")


def parse(**given):
    errors = []
    request = parse_request(params(**given), errors)
    return request, errors


def only_error(**given):
    errors = parse(**given)[1]
    assert len(errors) == 1, errors
    return errors[0]


def test_the_plain_case():
    request, errors = parse(eni_id=" eni-1 ", private_ip_addresses=[" 192.168.0.11", "192.168.0.10", "192.168.0.11"])
    assert errors == []
    (target,) = request.targets
    assert (target.eni_id, target.instance_id, target.all_secondary) == ("eni-1", None, False)
    assert target.named["private_ip_addresses"] == ("192.168.0.10", "192.168.0.11")
    assert count(target.named) == 2


# Rule 1: only what is named goes


@pytest.mark.parametrize("nothing", [None, [""], ["  ", ""], [None]], ids=repr)
@pytest.mark.parametrize("kind", KIND_NAMES)
def test_blank_lists_count_as_not_given_and_naming_nothing_is_an_error(kind, nothing):
    assert "no address is named" in only_error(eni_id="eni-1", **{kind: nothing})


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("state", ["absent", "present"])
def test_an_empty_list_is_nothing_to_do(kind, state):
    request, errors = parse(state=state, eni_id="eni-1", **{kind: []})
    assert errors == []
    assert count(request.targets[0].named) == 0
    assert not request.targets[0].all_secondary


def test_without_assignments_nothing_is_done():
    request, errors = parse(assignments=[])
    assert errors == []
    assert request.targets == ()


def test_all_secondary_cannot_be_combined_with_an_address_list():
    assert parse(eni_id="eni-1", all_secondary=True)[1] == []
    assert parse(eni_id="eni-1", all_secondary=True, private_ip_addresses=[""])[1] == []
    for kind in KIND_NAMES:
        assert f"all_secondary: cannot be combined with {kind};" in only_error(eni_id="eni-1", all_secondary=True, **{kind: []})


def test_all_secondary_is_for_absent_only():
    assert only_error(state="present", eni_id="eni-1", all_secondary=True).startswith("all_secondary: ")
    assert "all_secondary" not in only_error(state="present", eni_id="eni-1")


# Targets


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_blank_target_counts_as_not_set(blank):
    assert "no ENI is named" in only_error(eni_id=blank, instance_id=blank, private_ip_addresses=["192.168.0.10"])
    assert parse(eni_id=blank, instance_id="i-1", private_ip_addresses=["192.168.0.10"])[1] == []


def test_eni_id_and_instance_id_cannot_be_combined():
    error = only_error(eni_id="eni-1", instance_id="i-1", private_ip_addresses=["192.168.0.10"])
    assert "eni-1" in error
    assert "i-1" in error


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("eni_id", "i-1"),
        ("eni_id", "eni-"),
        ("eni_id", "eni-1,eni-2"),
        ("eni_id", "eni-1\neni-2"),
        ("eni_id", "ENI-1"),
        ("instance_id", "eni-1"),
        ("instance_id", "i-1 i-2"),
        ("instance_id", "my-host"),
    ],
)
def test_a_malformed_id_is_an_error_that_repeats_it(option, value):
    error = only_error(**{option: value}, private_ip_addresses=["192.168.0.10"])
    assert error.startswith(f"{option}: '{value}'")


IDS = {"eni_id": "eni-1", "instance_id": "i-1", "security_group_ids": "sg-1", "vpc_id": "vpc-1", "vswitch_id": "vsw-1"}


@pytest.mark.parametrize("of", IDS)
@pytest.mark.parametrize("option", ["eni_id", "instance_id"])
def test_the_error_for_an_id_of_another_kind_names_its_option_if_the_module_has_one(option, of):
    if of != option:
        error = only_error(**{option: IDS[of]}, private_ip_addresses=["192.168.0.10"])
        assert error.startswith(f"{option}: '{IDS[of]}' is a")
        assert error.endswith(f"; use {of}") == (of in ("eni_id", "instance_id"))
        assert ("; use " in error) == (of in ("eni_id", "instance_id"))


@pytest.mark.parametrize(
    ("option", "value", "use"),
    [
        ("eni_ids", ["i-1"], "instance_ids"),
        ("instance_ids", ["vsw-1"], "vswitch_id"),
        ("security_group_ids", ["vpc-1"], "vpc_id"),
        ("vpc_id", "sg-1", "security_group_ids"),
        ("vswitch_id", "eni-1", "eni_ids"),
    ],
)
def test_the_error_of_a_selector_for_an_id_of_another_kind_names_its_selector(option, value, use):
    (error,) = selection(**{option: value})[1]
    assert error.startswith(f"{option}: ")
    assert error.endswith(f"; use {use}")


def test_the_error_for_a_text_that_is_not_an_id_gives_an_example():
    assert "is not an ENI id such as eni-bp1example" in only_error(eni_id="web 1", private_ip_addresses=["192.168.0.10"])


def test_the_error_for_an_address_of_another_kind_names_the_option_for_it():
    error = only_error(eni_id="eni-1", private_ip_addresses=["2001:db8::10"])
    assert error.startswith("private_ip_addresses: '2001:db8::10'")
    assert "use ipv6_addresses" in error


# assignments


def test_assignments_keep_their_order_and_option_path():
    request, errors = parse(
        assignments=[
            entry(eni_id="eni-1", private_ip_addresses=["192.168.0.10"], ipv4_prefixes=[], ipv6_addresses=["2001:DB8::1"]),
            entry(instance_id="i-1", all_secondary=True),
        ]
    )
    assert errors == []
    assert [(target.option_path, target.name, count(target.named), target.all_secondary) for target in request.targets] == [
        ("assignments[0].", "eni-1", 2, False),
        ("assignments[1].", "i-1", 0, True),
    ]
    assert request.targets[0].named["ipv6_addresses"] == ("2001:db8::1",)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("eni_id", "eni-2"),
        ("instance_id", "i-1"),
        ("private_ip_addresses", ["192.168.0.10"]),
        ("ipv6_prefixes", []),
        ("all_secondary", True),
    ],
)
def test_assignments_cannot_be_combined_with_single_targets(option, value):
    error = only_error(assignments=[entry(eni_id="eni-1", private_ip_addresses=[])], **{option: value})
    assert error.startswith("assignments: ")
    assert option in error


def test_blank_options_with_assignments_count_as_not_set():
    blanks = {kind: [""] for kind in KIND_NAMES}
    assert parse(assignments=[entry(eni_id="eni-1", private_ip_addresses=[])], eni_id="", instance_id=" ", **blanks)[1] == []


# Rule 3: all errors at once, each with its option path


def test_every_error_is_reported_with_its_option_path():
    _parsed, errors = parse(
        state="",
        assignments=[
            entry(eni_id="eni 1", private_ip_addresses=["192.168.0.300", "192.168.0.10", "nonsense"]),
            entry(ipv4_prefixes=["192.168.0.17/28"]),
            entry(eni_id="eni-1", instance_id="i-1"),
        ],
        keep=["192.168.0.1/24", "10.0.0.0/8"],
        protected_tags={"owner": 7},
        max_addresses=-1,
        wait_timeout=-1,
    )
    paths = sorted(error.partition(": ")[0] for error in errors)
    assert paths == sorted(
        [
            "state",
            "max_addresses",
            "wait_timeout",
            "keep",
            "protected_tags",
            "assignments[0].eni_id",
            "assignments[0].private_ip_addresses",
            "assignments[0].private_ip_addresses",
            "assignments[1]",
            "assignments[1].ipv4_prefixes",
            "assignments[2]",
            "assignments[2]",
        ]
    )


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_malformed_address_of_any_kind_is_an_error(kind):
    assert only_error(eni_id="eni-1", **{kind: ["nonsense"]}).startswith(f"{kind}: 'nonsense'")


def test_max_addresses_may_be_zero():
    request, errors = parse(eni_id="eni-1", private_ip_addresses=[], max_addresses=0)
    assert errors == []
    assert request.max_addresses == 0


# A guard must never vanish because a variable was empty


@pytest.mark.parametrize("nothing", [None, []], ids=repr)
def test_without_keep_and_with_an_empty_list_nothing_is_kept(nothing):
    request, errors = parse(eni_id="eni-1", private_ip_addresses=[], keep=nothing)
    assert errors == []
    assert list(request.keep) == []


@pytest.mark.parametrize("blank", [[""], ["  ", ""], [None]], ids=repr)
def test_keep_that_is_given_and_blank_is_an_error(blank):
    error = only_error(eni_id="eni-1", private_ip_addresses=[], keep=blank)
    assert error.startswith("keep: ")
    assert "is empty text" in error


@pytest.mark.parametrize("blank", ["", "  "])
def test_max_addresses_that_is_given_and_blank_is_an_error(blank):
    error = only_error(eni_id="eni-1", private_ip_addresses=[], max_addresses=blank)
    assert error.startswith("max_addresses: ")
    assert "is empty text" in error


@pytest.mark.parametrize(("keep", "index"), [(["", "192.168.0.0/28"], 0), (["192.168.0.0/28", " "], 1), (["192.168.0.0/28", None], 1)])
def test_a_blank_entry_of_keep_is_an_error_with_its_path(keep, index):
    assert only_error(eni_id="eni-1", private_ip_addresses=[], keep=keep).startswith(f"keep[{index}]: is empty text")


@pytest.mark.parametrize(("given", "number"), [("12", 12), (" 12 ", 12), (12, 12), ("0", 0)], ids=repr)
def test_max_addresses_may_be_a_number_as_text(given, number):
    request, errors = parse(eni_id="eni-1", private_ip_addresses=[], max_addresses=given)
    assert (request.max_addresses, errors) == (number, [])


@pytest.mark.parametrize("given", ["many", "1.5", "1e3", 1.5, True, "\u0661", [3], {}], ids=repr)
def test_max_addresses_that_is_not_a_whole_number_is_an_error(given):
    error = only_error(eni_id="eni-1", private_ip_addresses=[], max_addresses=given)
    assert error.startswith(f"max_addresses: '{given}' is not a whole number")


@pytest.mark.parametrize("option", ["max_addresses", "wait_timeout"])
def test_a_number_with_very_many_digits_is_an_error(option):
    error = only_error(eni_id="eni-1", private_ip_addresses=[], **{option: 10**400})
    assert error.startswith(f"{option}: 10000000000000000000… (401 digits) is too large")


def test_blank_guards_are_reported_together_with_all_other_errors():
    _request, errors = parse(state="", eni_id="i-1", private_ip_addresses=["2001:db8::1"], keep=[""], max_addresses="", wait_timeout=-1)
    assert sorted(error.partition(":")[0] for error in errors) == [
        "eni_id",
        "keep",
        "max_addresses",
        "private_ip_addresses",
        "state",
        "wait_timeout",
    ]


@pytest.mark.parametrize("option", ["within", "excluding", "private_ip_addresses"])
def test_a_blank_address_filter_is_reported_with_all_other_errors(option):
    errors = selection(**{option: [" "]}, eni_ids=["i-1"], vpc_id="vsw-1")[1]
    assert sorted(error.partition(":")[0] for error in errors) == sorted([option, "eni_ids", "vpc_id"])


@pytest.mark.parametrize("option", ["within", "excluding", "private_ip_addresses"])
def test_a_blank_entry_of_an_address_filter_is_an_error_with_its_path(option):
    (error,) = selection(**{option: ["192.168.0.1", ""]}, eni_ids=["eni-1"])[1]
    assert error.startswith(f"{option}[1]: is empty text")


@pytest.mark.parametrize("others", [{"vpc_id": "vpc-1"}, {"tags": {"team": "web"}}], ids=str)
@pytest.mark.parametrize("option", [*LISTS, "vswitch_id"])
def test_a_blank_selector_together_with_another_one_is_an_error_because_it_would_widen_the_selection(option, others):
    (error,) = selection(**{option: [""] if option in LISTS else " "}, **others)[1]
    assert error.startswith(f"{option}: is empty text")


@pytest.mark.parametrize("option", ["within", "excluding", "private_ip_addresses"])
def test_an_empty_address_filter_matches_nothing(option):
    parsed, errors = selection(**{option: []}, eni_ids=["eni-1"])
    assert errors == []
    value = getattr(parsed, option)
    assert value is not None
    assert not value


# protected_tags


@pytest.mark.parametrize("nothing", [None, {"owner": "db"}])
def test_container_networks_stay_protected_whatever_is_added(nothing):
    tags = parse_protected_tags(nothing, [])
    for key, values in CONTAINER_NETWORK_TAGS.items():
        assert tags[key] == values


def test_only_an_explicit_empty_dict_turns_the_protection_off():
    assert parse_protected_tags({}, []) == {}


@pytest.mark.parametrize("key", ["", " "])
def test_a_tag_without_a_key_is_an_error(key):
    errors = []
    parse_protected_tags({key: "web"}, errors)
    assert errors == ["protected_tags: a tag has an empty key, so it would match nothing; name the key"]


def test_protected_values_are_only_added():
    errors = []
    tags = parse_protected_tags({"creator": "me", "ack.aliyun.com": "c-1", "owner": ["a", "b"], "frozen": None}, errors)
    assert errors == []
    assert set(tags["creator"]) == {"terway", "alibabacloud-erdma-controller", "me"}
    assert tags["ack.aliyun.com"] is None
    assert tags["owner"] == ("a", "b")
    assert tags["frozen"] is None
    assert parse_protected_tags({"creator": None}, [])["creator"] is None


@pytest.mark.parametrize("value", [7, True, [], ["a", 7], {"a": "b"}], ids=repr)
def test_a_tag_value_that_can_never_match_is_an_error(value):
    errors = []
    parse_protected_tags({"owner": value}, errors)
    assert len(errors) == 1
    assert "'owner'" in errors[0]


# Requests to the info module


def selection(**given):
    errors = []
    parsed = parse_selection(selection_params(**given), errors)
    return parsed, errors


@pytest.mark.parametrize("nothing", [None, [""], [" ", None]], ids=repr)
def test_a_blank_selector_counts_as_not_set(nothing):
    (error,) = selection(**dict.fromkeys(LISTS, nothing))[1]
    assert "whole_region" in error


@pytest.mark.parametrize("option", LISTS)
def test_an_empty_selector_is_given_and_empty(option):
    parsed, errors = selection(**{option: []})
    assert errors == []
    assert getattr(parsed, option) == ()
    assert "whole_region" in selection(**{option: []}, whole_region=True)[1][0]


@pytest.mark.parametrize(("instance_enis", "all_enis"), [("primary", False), ("all", True)])
def test_all_enis_of_an_instance_are_selected_on_request_only(instance_enis, all_enis):
    parsed, errors = selection(instance_ids=["i-1"], instance_enis=instance_enis)
    assert (parsed.all_enis_of_instances, errors) == (all_enis, [])


def test_the_whole_region_must_be_asked_for():
    assert selection(whole_region=True)[1] == []
    assert len(selection()[1]) == 1


def test_a_selection_reports_all_its_errors():
    _parsed, errors = selection(
        eni_ids=["eni-1", "i-1"],
        instance_ids=["eni-1"],
        security_group_ids=["group"],
        vpc_id="vsw-1",
        vswitch_id="vpc-1",
        tags={"owner": 7},
        within=["192.168.0.1/24"],
        excluding=["nonsense"],
        private_ip_addresses=["192.168.0.300"],
    )
    assert sorted(error.partition(":")[0] for error in errors) == sorted(
        [
            "eni_ids",
            "instance_ids",
            "security_group_ids",
            "vpc_id",
            "vswitch_id",
            "tags",
            "within",
            "excluding",
            "private_ip_addresses",
        ]
    )


@pytest.mark.parametrize("group", ["sg-bp1example", "G1234567890"])
def test_groups_of_both_kinds_of_id(group):
    parsed, errors = selection(security_group_ids=[group, group])
    assert (parsed.security_group_ids, errors) == ((group,), [])


@pytest.mark.parametrize("option", ["security_group_tags", "tags"])
def test_empty_tags_are_an_error(option):
    # With another selector, an empty value would vanish, and only the other selector would remain.
    assert selection(**{option: {}}, type="Secondary")[1] == [f"{option}: {{}} is empty; set a tag such as {{team: web}}, or leave it out"]
