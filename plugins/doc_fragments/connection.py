# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options in ``module_utils/_options.py``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - alibabacloud-ecs20140526 >= 7.9.3, < 8
  - alibabacloud-credentials >= 1.0.9, < 2
  - alibabacloud-tea >= 0.4.1, < 1
options:
  region:
    description:
      - The region, such as V(cn-hangzhou).
      - Where it is not set, the environment variable E(ALIBABA_CLOUD_REGION_ID) counts, then E(ALICLOUD_REGION), then
        E(ALICLOUD_REGION_ID), then the region of the profile that the credential comes from, or where it comes from no
        profile, of the current one in C(~/.aliyun/config.json).
      - Empty text counts as not set, here and for every other option that is a text or a list of texts, and for every variable.
    type: str
    aliases: [region_id, alicloud_region]
  endpoint:
    description:
      - Where the calls go, as C(host), C(host:port) or a URL. By default the region's own ECS endpoint, see O(endpoint_type).
      - Without a scheme it is V(https://). V(http://) is for loopback addresses only.
      - Where it is not set, the environment variable E(ALIBABA_CLOUD_ECS_ENDPOINT) counts, then E(ALICLOUD_ECS_ENDPOINT).
    type: str
  endpoint_type:
    description:
      - V(public) or V(vpc), for the endpoints of ECS and of STS. V(vpc) is reached from inside a VPC of the region only.
      - Where it is not set, the environment variable E(ALIBABA_CLOUD_ENDPOINT_TYPE) counts, and V(public) if that is not set either.
    type: str
  sts_endpoint:
    description:
      - Where roles are assumed, as C(host) or C(host:port), always by HTTPS. By default V(sts.aliyuncs.com), or the one of the region
        with O(endpoint_type=vpc).
      - Where it is not set, the environment variable E(ALIBABA_CLOUD_STS_ENDPOINT) counts, then E(ALICLOUD_STS_ENDPOINT),
        then E(ALIBABA_CLOUD_STS_REGION), which names a region.
    type: str
  ca_bundle:
    description:
      - A file with certificates in PEM form that are trusted beside the usual ones, for an endpoint or a proxy with a private authority.
      - Verification can't be turned off.
    type: path
  connect_timeout:
    description: Seconds to wait for a connection, for calls and for fetching a credential; 1 to 3600.
    type: int
    default: 5
  read_timeout:
    description: Seconds to wait for the next part of a reply, 1 to 3600. It is no limit for the whole call, see O(retry_timeout).
    type: int
    default: 10
  account_id:
    description:
      - A guard. Nothing is written, and nothing is listed, unless every ENI that was read belongs to this account.
      - Compared with the C(OwnerId) of the ENIs. It says whose ENIs they are, which is the account of the caller but for ENIs that another
        account shares.
      - If it is not set, the environment variable E(ALIBABA_CLOUD_ACCOUNT_ID) is used, then E(ALICLOUD_ACCOUNT_ID).
      - An empty string is an error, because the guard would vanish. An empty environment variable counts as not set.
    type: str
  access_key_id:
    description:
      - The id of the AccessKey that signs the calls. Goes together with O(access_key_secret).
      - The other ways to log in are O(role_arn) with O(oidc_token_file), O(ecs_role_name), O(credentials_uri) and O(profile).
        Name one of them.
      - What is named by an option wins over all variables. A way to log in is taken whole from one place, and half of one is an error,
        it never falls through to the next.
      - The variables have second spellings, E(ALICLOUD_ACCESS_KEY_ID), E(ALICLOUD_SECRET_ACCESS_KEY) and E(ALICLOUD_ACCESS_KEY_SECRET).
        Two spellings with different values are an error.
      - Where no option names one, the variables of the SDK count, which are E(ALIBABA_CLOUD_ACCESS_KEY_ID),
        E(ALIBABA_CLOUD_ACCESS_KEY_SECRET) and E(ALIBABA_CLOUD_SECURITY_TOKEN) here; then those of Terraform, which are
        E(ALICLOUD_ACCESS_KEY), E(ALICLOUD_SECRET_KEY) and E(ALICLOUD_SECURITY_TOKEN) here.
      - Where nothing at all is named, the current profile of the C(aliyun) command line is used, then the profile V(default) of
        C(~/.alibabacloud/credentials.ini), then the RAM role of the ECS instance this runs on.
      - The result tells in C(credential_source) which it was.
    type: str
    aliases: [access_key, alicloud_access_key]
  access_key_secret:
    description: The secret of O(access_key_id).
    type: str
    aliases: [secret_key, secret_access_key, alicloud_secret_key]
  security_token:
    description: The token that belongs to a temporary AccessKey of STS. Leave it out for a permanent one.
    type: str
    aliases: [alicloud_security_token]
  role_arn:
    description:
      - A RAM role to assume, with whatever credential is named beside it or, where none is, with the one that counts without it.
      - With O(oidc_token_file) it is assumed with that token.
      - The variables are E(ALIBABA_CLOUD_ROLE_ARN) and E(ALICLOUD_ASSUME_ROLE_ARN).
        They count for a credential from the same place or a later one.
    type: str
    aliases: [assume_role_arn, alicloud_assume_role_arn]
  role_session_name:
    description:
      - What the session is called in ActionTrail. By default V(alicloud_ops.network).
      - The variables are E(ALIBABA_CLOUD_ROLE_SESSION_NAME) and E(ALICLOUD_ASSUME_ROLE_SESSION_NAME).
    type: str
    aliases: [assume_role_session_name, alicloud_assume_role_session_name]
  role_session_expiration:
    description:
      - Seconds that the session lasts, 900 or more and at most what the role allows. By default V(3600). It is renewed while the task runs.
      - The variable is E(ALICLOUD_ASSUME_ROLE_SESSION_EXPIRATION).
    type: int
    aliases: [assume_role_session_expiration, alicloud_assume_role_session_expiration]
  role_policy:
    description: A policy that narrows what the session may do, on top of the policies of the role.
    type: json
    aliases: [assume_role_policy]
  external_id:
    description:
      - The external id that the trust policy of the role asks for. Does not go with O(oidc_token_file).
      - The variable is E(ALIBABA_CLOUD_EXTERNAL_ID).
    type: str
  oidc_provider_arn:
    description:
      - The OIDC provider that vouches for the token in O(oidc_token_file), as in a pod with RRSA. Goes together with it and O(role_arn).
      - The variable is E(ALIBABA_CLOUD_OIDC_PROVIDER_ARN), which RRSA sets.
    type: str
  oidc_token_file:
    description:
      - The file with the token. It is read again whenever the session is renewed.
      - The variable is E(ALIBABA_CLOUD_OIDC_TOKEN_FILE), which RRSA sets.
    type: path
  ecs_role_name:
    description:
      - The RAM role of the ECS instance this runs on. Its credential comes from the metadata service, which is asked in the hardened mode
        (IMDSv2) first. Where E(ALIBABA_CLOUD_ECS_METADATA_DISABLED) is V(true), asking for it is an error.
      - The variables are E(ALIBABA_CLOUD_ECS_METADATA) and E(ALICLOUD_ECS_ROLE_NAME).
    type: str
    aliases: [role_name]
  disable_imds_v1:
    description:
      - Never ask the metadata service without a session token, also where it refuses to hand out one.
      - Where it is not set, the environment variable E(ALIBABA_CLOUD_IMDSV1_DISABLED) counts, and V(false) if that is not set either.
    type: bool
  credentials_uri:
    description:
      - A URI that answers with a temporary AccessKey, for C(https://), or C(http://) on a loopback address. Redirects are not followed.
      - Kept out of logs as a whole, because whoever knows it can fetch the key.
      - The variable is E(ALIBABA_CLOUD_CREDENTIALS_URI).
    type: str
  profile:
    description:
      - A profile in C(~/.aliyun/config.json) of the C(aliyun) command line or, where it has none of that name, a section in
        C(~/.alibabacloud/credentials.ini).
      - All modes but C(RsaKeyPair), C(BearerToken) and C(Anonymous). The files are never written to.
      - The variables are E(ALIBABA_CLOUD_PROFILE) and E(ALICLOUD_PROFILE).
    type: str
  credentials_file:
    description:
      - The file to look for O(profile) in, instead of the two. Of either form, whatever it is called.
      - It says where to look, and not who logs in. So it counts for a profile that is named elsewhere, too.
      - The variables are E(ALIBABA_CLOUD_CREDENTIALS_FILE) and E(ALICLOUD_SHARED_CREDENTIALS_FILE).
    type: path
    aliases: [shared_credentials_file]
  retry_timeout:
    description:
      - Seconds after which a call is no longer sent again. What passes by itself is retried (throttling, conflicting operations,
        connections, server errors); everything else fails at once.
      - Waiting for the first turn, because of O(calls_per_minute) or because the service throttles, comes on top.
      - An endpoint that has not answered even once is not called again after 8 seconds. It is more likely mistyped than busy.
      - A write whose reply was lost is never blindly sent again. The ENI is read, and only what remains is sent.
    type: int
    default: 120
  max_concurrency:
    description:
      - How many calls may be under way at once, of which each is for another ENI, 64 at most. Only writes go side by side.
    type: int
    default: 8
  calls_per_minute:
    description:
      - At most so many calls a minute, over all actions, evenly spaced with bursts of O(max_concurrency). V(0) sets no limit.
        Otherwise 4 or more.
      - The quota of the service is shared by everything in the account. Leave some of it to the others.
      - When the service throttles a call nevertheless, all calls wait, one tries again, and when it is let through all go on.
    type: int
    default: 300
"""

    # Of those that tasks run. An inventory is read where Ansible runs, and has no environment of a task.
    MODULE = r"""
options: {}
notes:
  - Runs where the SDK is installed, which is the controller or the execution environment.
    Use C(delegate_to=localhost) or C(connection=local).
  - Secrets are masked wherever they came from. Do not pass them by the C(environment) keyword of a task or play, because
    Ansible puts that on a command line, where C(-vvv) and the process list show it. Set them in the environment of the C(ansible) command.
"""
