# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Campaigns of random scenarios for eni_secondary_ip. Each scenario can be repeated by its number.

faults: a run with faults. The result is compared with the real state of the endpoint.
truth: check mode, run, second run and restore, without faults.
"""
