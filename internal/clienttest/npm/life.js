// A VM's life with proxmox-api, which sends form bodies and takes an error's text from the status line. Each check says what
// it expects; the first that fails ends the script with status 1. The environment tells where gpved is.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import proxmoxApi, { ProxmoxEngine } from 'proxmox-api';

const { GPVE_HOST: host, GPVE_PASSWORD: password, GPVE_NODE: nodeName, GPVE_BRIDGE: bridge, GPVE_IMPORT: importFrom } = process.env;
const port = Number(process.env.GPVE_PORT);
const vmid = 78200, linked = 78201, full = 78202;

const proxmox = proxmoxApi({ host, port, username: 'root@pam', password });
const node = proxmox.nodes.$(nodeName);
const vm = (id) => node.qemu.$(id);

async function step(name, run) {
  const began = Date.now();
  try {
    await run();
  } catch (err) {
    console.log(`FAIL ${name}`);
    throw err;
  }
  console.log(`ok   ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
}

// wait follows a task to its end.
async function wait(upid, status = 'OK') {
  assert.match(upid, /^UPID:[^:]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:]+:[^:]*:[^:]+:$/);
  const deadline = Date.now() + 120_000;
  for (;;) {
    const st = await node.tasks.$(upid).status.$get();
    if (st.status === 'stopped') {
      const log = (await node.tasks.$(upid).log.$get({ limit: 500 })).map((l) => l.t).join('\n');
      assert.equal(st.exitstatus, status, log);
      return st;
    }
    assert.equal(st.exitstatus, undefined);
    assert.ok(Date.now() < deadline, `${upid} takes too long`);
    await sleep(200);
  }
}

const refused = (promise, text) => assert.rejects(promise, (err) => {
  assert.ok(err.message.includes(text), `expected ${text} in: ${err.message}`);
  return true;
});

await step('log in, version', async () => {
  const version = await proxmox.version.$get();
  assert.match(version.version, /^\d+\.\d+/);
});

await step('log in again when the ticket is refused', async () => {
  const engine = new ProxmoxEngine({ host, port, username: 'root@pam', password });
  await engine.getTicket();
  const good = engine.ticket;
  engine.ticket = 'PVE:root@pam:00000000::bm90IGEgc2lnbmF0dXJl';
  const nodes = await proxmoxApi(engine).nodes.$get();
  assert.equal(nodes[0].node, nodeName);
  assert.notEqual(engine.ticket, good);
});

await step('API token', async () => {
  const tokens = proxmox.access.users.$('root@pam').token;
  const made = await tokens.$('npm').$post({ privsep: false, comment: 'for Node' });
  const api = proxmoxApi({ host, port, tokenID: made['full-tokenid'], tokenSecret: made.value });
  assert.equal((await api.nodes.$get()).length, 1);
  await tokens.$('npm').$delete();
  await refused(api.nodes.$get(), 'return Error 401');
});

await step('nodes, storage, resources', async () => {
  const nodes = await proxmox.nodes.$get();
  assert.deepEqual(nodes.map((n) => [n.node, n.status]), [[nodeName, 'online']]);
  const status = await node.status.$get();
  assert.equal(typeof status.cpuinfo.cpus, 'number');
  const [local] = await node.storage.$get({ content: 'images', enabled: true });
  assert.deepEqual([local.storage, local.active, local.enabled], ['local', 1, 1]);
  const resources = await proxmox.cluster.resources.$get({ type: 'storage' });
  assert.equal(resources[0].id, `storage/${nodeName}/local`);
  assert.equal(await proxmox.cluster.nextid.$get({ vmid }), String(vmid));
});

await step('create', async () => {
  await wait(await node.qemu.$post({
    vmid, name: 'orchard', memory: '128', cores: 1, ostype: 'l26', kvm: false, onboot: false, scsihw: 'virtio-scsi-pci',
    scsi0: `local:0,import-from=${importFrom}`, ide2: 'local:cloudinit', net0: `virtio,bridge=${bridge}`,
    ipconfig0: 'ip=10.213.78.20/24', serial0: 'socket', boot: 'order=scsi0', description: 'apples & pears; 50% off\nünder a tree', tags: 'fruit',
  }));
  const config = await vm(vmid).config.$get();
  assert.equal(config.name, 'orchard');
  assert.equal(config.kvm, 0);
  assert.equal(config.memory, '128');
  assert.equal(config.description.trimEnd(), 'apples & pears; 50% off\nünder a tree');
  assert.match(config.scsi0, /^local:78200\/vm-78200-disk-\d+\.(raw|qcow2),.*size=32M$/);
  await refused(node.qemu.$post({ vmid }), 'already exists');
  await refused(proxmox.cluster.nextid.$get({ vmid }), `VM ${vmid} already exists`);
});

await step('change the configuration', async () => {
  assert.equal(await vm(vmid).config.$put({ cores: 2, tags: 'fruit;ripe', delete: 'description' }), null);
  await wait(await vm(vmid).config.$post({ memory: '160', onboot: true }));
  const config = await vm(vmid).config.$get({ current: true });
  assert.deepEqual([config.cores, config.tags, config.memory, config.onboot, config.description], [2, 'fruit;ripe', '160', 1, undefined]);
  const pending = await vm(vmid).pending.$get();
  assert.ok(pending.some((row) => row.key === 'cores' && row.value === 2 && row.pending === undefined));
  await refused(vm(vmid).config.$put({ cores: 0 }), 'value must have a minimum value of 1');
  await refused(vm(vmid).config.$put({ colour: 'red' }), 'property is not defined in schema');
  await vm(vmid).config.$put({ cores: 1 });
});

await step('start', async () => {
  await wait(await vm(vmid).status.start.$post());
  const status = await vm(vmid).status.current.$get();
  assert.deepEqual([status.status, status.qmpstatus, status.vmid, status.name], ['running', 'running', vmid, 'orchard']);
  assert.equal(typeof status.pid, 'number');
  const [row] = (await node.qemu.$get({ full: true })).filter((r) => r.vmid === vmid);
  assert.equal(row.status, 'running');
  await wait(await vm(vmid).status.start.$post(), `VM ${vmid} already running`);
  await refused(vm(vmid).agent.ping.$post(), 'No QEMU guest agent configured');
});

await step('resize while it runs', async () => {
  await wait(await vm(vmid).resize.$put({ disk: 'scsi0', size: '64M' }));
  assert.match((await vm(vmid).config.$get()).scsi0, /size=64M/);
});

await step('stop', async () => {
  await wait(await vm(vmid).status.stop.$post());
  const status = await vm(vmid).status.current.$get();
  assert.equal(status.status, 'stopped');
  assert.equal(status.pid, undefined);
});

await step('clone, template', async () => {
  await wait(await vm(vmid).clone.$post({ newid: full, name: 'copy', full: true }));
  assert.match((await vm(full).config.$get()).scsi0, /^local:78202\/vm-78202-disk-\d+\./);
  await wait(await vm(vmid).template.$post());
  assert.equal((await vm(vmid).config.$get()).template, 1);
  await wait(await vm(vmid).clone.$post({ newid: linked, name: 'graft' }));
  assert.match((await vm(linked).config.$get()).scsi0, /^local:78200\/base-78200-disk-\d+\.(raw|qcow2)\/78201\/vm-78201-disk-\d+\.qcow2/);
});

await step('tasks', async () => {
  const tasks = await node.tasks.$get({ vmid, limit: 500 });
  for (const type of ['qmcreate', 'qmconfig', 'qmstart', 'resize', 'qmstop', 'qmclone', 'qmtemplate']) {
    assert.ok(tasks.some((t) => t.type === type && t.id === String(vmid)), `no task ${type}`);
  }
  assert.ok(tasks.every((t, i) => i === 0 || tasks[i - 1].starttime >= t.starttime), 'newest first');
});

await step('delete', async () => {
  for (const id of [linked, full, vmid]) {
    await wait(await vm(id).$delete({ purge: true, 'destroy-unreferenced-disks': true }));
  }
  await refused(vm(vmid).status.current.$get(), `Configuration file 'nodes/${nodeName}/qemu-server/${vmid}.conf' does not exist`);
  const left = (await node.qemu.$get()).filter((row) => [linked, full, vmid].includes(row.vmid));
  assert.deepEqual(left, []);
});
