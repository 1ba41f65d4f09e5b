# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in ``module_utils/_options.py``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - alibabacloud-ecs20140526 >= 7, < 8
options:
  region:
    description:
      - The region, such as V(cn-hangzhou).
      - Where it is not set, the environment variable E(ALIBABA_CLOUD_REGION_ID) counts, then E(ALICLOUD_REGION), then the region
        of the current profile of the C(aliyun) command line (of the profile named by E(ALIBABA_CLOUD_PROFILE), if set).
      - Empty counts as not set, here and for every option and variable below.
    type: str
    aliases: [region_id, alicloud_region]
  endpoint:
    description:
      - Where the calls go, as C(host), C(host:port) or a URL. By default the region's public ECS endpoint.
      - Without a scheme it is V(https://). V(http://) is for loopback addresses only.
      - Where it is not set, the environment variable E(ALIBABA_CLOUD_ECS_ENDPOINT) counts.
    type: str
  access_key_id:
    description:
      - The id of the AccessKey that signs the calls. Goes together with O(access_key_secret).
      - A source is taken whole. If none of O(access_key_id), O(access_key_secret) and O(security_token) is set, the environment variables
        E(ALIBABA_CLOUD_ACCESS_KEY_ID), E(ALIBABA_CLOUD_ACCESS_KEY_SECRET) and E(ALIBABA_CLOUD_SECURITY_TOKEN) count; if none of
        these is set, E(ALICLOUD_ACCESS_KEY), E(ALICLOUD_SECRET_KEY) and E(ALICLOUD_SECURITY_TOKEN).
      - Half a pair is an error, it never falls through to the next source.
    type: str
    aliases: [access_key, alicloud_access_key]
  access_key_secret:
    description: The secret of O(access_key_id).
    type: str
    aliases: [secret_key, alicloud_secret_key]
  security_token:
    description: The token that belongs to a temporary AccessKey of STS. Leave it out for a permanent one.
    type: str
    aliases: [alicloud_security_token]
  retry_timeout:
    description:
      - Seconds after which a call is no longer sent again. What passes by itself is retried (throttling, conflicting operations,
        connections, server errors); everything else fails at once.
      - A write whose reply was lost is never blindly sent again. The ENI is read, and only what remains is sent.
    type: int
    default: 120
  max_concurrency:
    description: How many ENIs are written to at once. Calls on one ENI always follow one another.
    type: int
    default: 8
  calls_per_minute:
    description:
      - At most so many calls a minute, over all actions, evenly spaced with bursts of O(max_concurrency). V(0) sets no limit.
      - The quota of the service is shared by everything in the account. Leave some of it to the others.
      - When the service throttles a call nevertheless, all calls wait, one tries again, and when it is let through all go on.
    type: int
    default: 300
notes:
  - Runs where the SDK is installed, which is the controller or the execution environment.
    Use C(delegate_to=localhost) or C(connection=local).
"""
