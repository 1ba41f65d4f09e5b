# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Campaigns of random scenarios for eni_secondary_ip, each repeatable from its number.

faults: a run while things go wrong; the result is compared with what the endpoint knows to be so.
truth: check mode, run, second run and restoring, with nothing going wrong.
"""
