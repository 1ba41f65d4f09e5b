// Copyright (c) alicloud_ops maintainers
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Clients of Node.js against the local ECS endpoint: `node node.js ecs20140526|pop-core http://127.0.0.1:PORT`.
// Prints as JSON what they got. The packages are looked for as usual, and in NODE_PATH.

'use strict';

const [client, endpoint] = process.argv.slice(2);
const key = { accessKeyId: 'emulator-key-id', accessKeySecret: 'emulator-key-secret' };
const sts = { accessKeyId: 'STS.emulator-key-id', accessKeySecret: 'emulator-sts-secret', securityToken: 'emulator-sts-token' };
const region = 'cn-hangzhou';
const eni = 'eni-web0001';

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    const data = error.data || {};
    return { code: error.code, status: error.statusCode || data.statusCode || null, requestId: error.requestId || data.RequestId };
  }
  return null;
}

// The SDK of today: ACS3-HMAC-SHA256, everything in the query of a POST.
async function ecs20140526() {
  const { default: Client, ...models } = require('@alicloud/ecs20140526');
  const { Config } = require('@alicloud/openapi-client');
  const connect = (login, more) =>
    new Client(new Config({ ...login, ...more, endpoint: endpoint.replace('http://', ''), protocol: 'HTTP', regionId: region }));
  const ecs = connect(key);
  const list = (which) => which.describeNetworkInterfaces(
    new models.DescribeNetworkInterfacesRequest({ regionId: region, securityGroupId: 'sg-web', maxResults: 500, serviceManaged: false }));
  const unassign = () => ecs.unassignPrivateIpAddresses(new models.UnassignPrivateIpAddressesRequest(
    { regionId: region, networkInterfaceId: eni, privateIpAddress: ['192.168.0.11', '192.168.0.12'] }));
  const ids = async (which) => (await list(which)).body.networkInterfaceSets.networkInterfaceSet.map((row) => row.networkInterfaceId);
  const found = { listed: await ids(ecs), byToken: await ids(connect(sts)) };
  found.unassigned = Boolean((await unassign()).body.requestId);
  found.again = await failure(unassign());
  const assigned = await ecs.assignPrivateIpAddresses(new models.AssignPrivateIpAddressesRequest(
    { regionId: region, networkInterfaceId: eni, privateIpAddress: ['192.168.0.11'], clientToken: 'node' }));
  found.assigned = assigned.body.assignedPrivateIpAddressesSet.privateIpSet.privateIpAddress;
  found.wrongKey = await failure(list(connect({ ...key, accessKeySecret: 'wrong' })));
  return found;
}

// The older one: signature version 1.0, GET with a query or POST with a form.
async function popCore() {
  const { RPCClient } = require('@alicloud/pop-core');
  const connect = (login) => new RPCClient({ ...login, endpoint, apiVersion: '2014-05-26' });
  const list = (which, method) =>
    which.request('DescribeNetworkInterfaces', { RegionId: region, SecurityGroupId: 'sg-web', MaxResults: 500, 'Tag': [] }, { method });
  const ids = async (which, method) => (await list(which, method)).NetworkInterfaceSets.NetworkInterfaceSet.map((row) => row.NetworkInterfaceId);
  const rpc = connect(key);
  const unassign = () => rpc.request('UnassignPrivateIpAddresses',
    { RegionId: region, NetworkInterfaceId: eni, PrivateIpAddress: ['192.168.0.11', '192.168.0.12'] }, { method: 'POST' });
  const found = { listed: await ids(rpc, 'GET'), byForm: await ids(rpc, 'POST'), byToken: await ids(connect(sts), 'POST') };
  found.unassigned = Boolean((await unassign()).RequestId);
  found.again = await failure(unassign());
  const assigned = await rpc.request('AssignPrivateIpAddresses', { RegionId: region, NetworkInterfaceId: eni, PrivateIpAddress: ['192.168.0.11'] });
  found.assigned = assigned.AssignedPrivateIpAddressesSet.PrivateIpSet.PrivateIpAddress;
  found.wrongKey = await failure(list(connect({ ...key, accessKeySecret: 'wrong' }), 'GET'));
  return found;
}

({ ecs20140526, 'pop-core': popCore })[client]().then(
  (found) => console.log(JSON.stringify(found)),
  (error) => { console.error(error); process.exit(1); });
