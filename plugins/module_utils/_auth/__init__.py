# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The credential that signs the calls: where it comes from, and how it is renewed. Private to this collection.

``choose`` finds it in options, environment and profiles. Each way to log in has its own file, with option names, validation and the
provider of the credential library of the SDK. ``credential`` provides the key for each call.
"""
