# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in ``module_utils/_options.py``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - Python >= 3.11
  - alibabacloud-ecs20140526 >= 7.9.3, < 8
  - alibabacloud-credentials >= 1.0.9, < 2
  - alibabacloud-tea >= 0.4.1, < 1
options:
  region:
    description: Region, such as V(cn-hangzhou). By default E(ALIBABA_CLOUD_REGION_ID), then the region of the profile.
    type: str
    aliases: [region_id, alicloud_region]
  endpoint:
    description: >-
      ECS endpoint, as C(host), C(host:port) or a URL. By default E(ALIBABA_CLOUD_ECS_ENDPOINT), then the endpoint of the region.
      V(http://) is allowed only for loopback addresses.
    type: str
  endpoint_type:
    description: >-
      Type of the ECS and STS endpoints, V(public) or V(vpc). V(vpc) works only inside a VPC of the region. By default
      E(ALIBABA_CLOUD_ENDPOINT_TYPE), then V(public).
    type: str
  sts_endpoint:
    description: HTTPS endpoint of STS, C(host) or C(host:port). By default E(ALIBABA_CLOUD_STS_ENDPOINT), then V(sts.aliyuncs.com).
    type: str
  ca_bundle:
    description: PEM file with more certificates to trust.
    type: path
  connect_timeout:
    description: Seconds to wait for a connection, 1 to 3600.
    type: int
    default: 5
  read_timeout:
    description: Seconds to wait for the next part of a reply, 1 to 3600. O(retry_timeout) limits how long the call is repeated.
    type: int
    default: 10
  account_id:
    description: >-
      Guard. The task writes nothing and fails if an ENI belongs to another account. By default E(ALIBABA_CLOUD_ACCOUNT_ID).
    type: str
  access_key_id:
    description: >-
      Id of the AccessKey that signs the calls. Other ways to log in are O(profile), O(ecs_role_name), O(credentials_uri) and
      O(oidc_token_file).
    type: str
    aliases: [access_key, alicloud_access_key]
  access_key_secret:
    description: Secret of O(access_key_id).
    type: str
    aliases: [secret_key, secret_access_key, alicloud_secret_key]
  security_token:
    description: STS token of a temporary AccessKey.
    type: str
    aliases: [alicloud_security_token]
  role_arn:
    description: RAM role to assume with another credential, such as an AccessKey.
    type: str
    aliases: [assume_role_arn, alicloud_assume_role_arn]
  role_session_name:
    description: Name of the session in ActionTrail. By default V(alicloud_ops.network).
    type: str
    aliases: [assume_role_session_name, alicloud_assume_role_session_name]
  role_session_expiration:
    description: Lifetime of the session in seconds, 900 or more. By default V(3600).
    type: int
    aliases: [assume_role_session_expiration, alicloud_assume_role_session_expiration]
  role_policy:
    description: Policy that narrows what the session may do.
    type: json
    aliases: [assume_role_policy]
  external_id:
    description: External id in the trust policy of the role. Not allowed with O(oidc_token_file).
    type: str
  oidc_provider_arn:
    description: OIDC provider of the token in O(oidc_token_file).
    type: str
  oidc_token_file:
    description: File with an OIDC token, as in a pod with RRSA. Requires O(oidc_provider_arn) and O(role_arn).
    type: path
  ecs_role_name:
    description: RAM role of the ECS instance that the task runs on.
    type: str
    aliases: [role_name]
  disable_imds_v1:
    description: >-
      Whether to use only the hardened mode (IMDSv2) of the metadata service. By default E(ALIBABA_CLOUD_IMDSV1_DISABLED).
    type: bool
  credentials_uri:
    description: URI that returns a temporary AccessKey. V(http://) is allowed only for loopback addresses.
    type: str
  profile:
    description: Profile in C(~/.aliyun/config.json), or section in C(~/.alibabacloud/credentials.ini).
    type: str
  credentials_file:
    description: Another file to read O(profile) from, in JSON or INI format.
    type: path
    aliases: [shared_credentials_file]
  retry_timeout:
    description: >-
      Maximum number of seconds to repeat a call after throttling, conflicts, lost connections and server errors. A write that may have
      been carried out is repeated only after a read.
    type: int
    default: 120
  max_concurrency:
    description: Maximum number of concurrent calls, 1 to 64.
    type: int
    default: 8
  calls_per_minute:
    description: >-
      Maximum number of calls per minute, 4 or more. V(0) sets no limit. All users of the account share one quota.
    type: int
    default: 300
notes:
  - An empty string counts as not set. For a guard it is an error, so that an empty variable cannot disable the guard.
seealso:
  - ref: ansible_collections.alicloud_ops.network.docsite.guide_credentials
    description: Ways to log in, endpoints and permissions.
"""

    # Only for modules. An inventory is read in the process of Ansible, and a task cannot set its environment.
    MODULE = r"""
options: {}
notes:
  - Run the module where the SDK is installed, usually on the controller (C(delegate_to=localhost)).
  - The guide C(docs/docsite/rst/guide_credentials.rst) lists all environment variables and RAM actions.
  - Do not set secrets with the C(environment) keyword, because Ansible puts it on a command line.
"""
