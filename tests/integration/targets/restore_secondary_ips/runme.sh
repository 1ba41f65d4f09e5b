#!/usr/bin/env bash
# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A playbook, because a target that is a role would be taken for the role of the collection with the same name.
set -eux
ANSIBLE_ROLES_PATH=.. ansible-playbook playbook.yml -i ../../inventory "$@"
