// SPDX-License-Identifier: Apache-2.0
//
// kill.test.mjs - what was acknowledged survives kill -9 and a power cut, once each, and the hosts of the
// shops' SDKs live through it.
//
// The worker is killed at random moments while two shops send through their unmodified SDKs. The parent holds
// the socket, so their connections wait instead of being refused. Then the same with the power cut under all
// of it: test/shim notes what was not synced, and takes it back after the kill.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { assertExactlyOnce } from './lib/once.mjs';
import { binary, eventually, freePort, long, newFolder, opmaat, sleep, startServer } from './lib/server.mjs';

const rounds = long ? 200 : 6;
const shop = join(dirname(fileURLToPath(import.meta.url)), 'lib', 'shop.mjs');
const shim = join(dirname(binary), 'test', 'shim', 'unsynced.so');
const rollback = join(dirname(binary), 'test', 'shim', 'unsynced-rollback');
const config = { flush_ms: 50, train_ms: 200 };

/** A repeatable source of chance; the seed is in the first line of output. */
const seed = Number(process.env.TEST_SEED ?? Date.now() % 1e9);
console.log(`# seed ${seed}`);
let state = seed;
function random(below) {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state % below;
}

/** The process that works behind the parent which holds the socket. */
function workerOf(parent) {
    for (const name of readdirSync('/proc')) {
        if (!/^\d+$/.test(name)) continue;
        try {
            const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
            const [status, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
            if (Number(ppid) === parent && status !== 'Z') return Number(name);
        } catch { /* it just ended */ }
    }
    return 0;
}

/** A shop: a Node process of its own that sends through one SDK and says which events were acknowledged. */
class Shop {
    constructor(sdk, url, key, tag) {
        this.sdk = sdk;
        this.acknowledged = new Set();
        this.errors = 0;
        this.sent = 0;
        this.output = '';
        this.child = spawn(process.execPath, [shop, sdk, url, key, tag], { stdio: ['pipe', 'pipe', 'pipe'] });
        this.child.stderr.on('data', (bytes) => { this.output += bytes; });
        createInterface({ input: this.child.stdout }).on('line', (line) => {
            const [what, id] = line.split(' ');
            if (what === 'ok') this.acknowledged.add(id);
            else if (what === 'failed') this.errors++;
            else if (what === 'sent') this.sent = Number(id);
        });
        this.ended = new Promise((done) => this.child.once('close', (code, signal) => {
            this.how = { code, signal };
            done();
        }));
        shops.add(this);
    }

    assertAlive(when) {
        assert.equal(this.how, undefined, `${when}: the host of ${this.sdk} ended: ${JSON.stringify(this.how)} ${this.output}`);
    }

    /** Sends no more, waits for what is under way. */
    async finish() {
        this.child.stdin.end();
        const late = setTimeout(() => this.child.kill('SIGKILL'), 30_000);
        await this.ended;
        clearTimeout(late);
        shops.delete(this);
    }

    kill() {
        this.child.kill('SIGKILL');
        shops.delete(this);
        return this.ended;
    }
}
const shops = new Set();
const servers = new Set();
after(async () => {
    for (const one of shops) one.child.kill('SIGKILL');
    for (const one of servers) one.signalAll('SIGKILL');
    for (const one of servers) rmSync(`${one.data}.undo`, { recursive: true, force: true });   // the shim's notes
});

test('kill -9 of the worker under load: hosts live, each acknowledged event is there once', { timeout: rounds * 6000 + 60_000 }, async (t) => {
    const server = await startServer({ config, data: newFolder() });
    servers.add(server);
    const all = [new Shop('segment', server.url, server.secret, 's'), new Shop('rudder', server.url, server.secret, 'r'),
        new Shop('posthog', server.url, server.secret, 'p')];
    const count = () => all.reduce((sum, one) => sum + one.acknowledged.size, 0);
    await eventually('the first are acknowledged', () => all.every((one) => one.acknowledged.size > 0));
    for (let round = 0; round < rounds; round++) {
        const before = all.map((one) => one.acknowledged.size);
        await sleep(random(400) + (long ? 2100 : 0));   // the parent gives up at 30 deaths a minute
        const worker = await eventually('there is a worker', () => workerOf(server.child.pid));
        process.kill(worker, 'SIGKILL');
        await eventually('all are served again', () => all.every((one, i) => {
            one.assertAlive(`round ${round}`);
            return one.acknowledged.size > before[i] + 5;
        }), 20_000);
    }
    for (const one of all) {
        await one.finish();
        assert.deepEqual(one.how, { code: 0, signal: null }, `${one.sdk}: ${one.output}`);
        assert.equal(one.errors, 0, `${one.sdk} reported failures: ${one.output}`);
        assert.equal(one.acknowledged.size, one.sent, `${one.sdk}: everything sent was acknowledged in the end`);
    }
    await server.stop();
    await assertExactlyOnce(server, new Set(all.flatMap((one) => [...one.acknowledged])));
    t.diagnostic(`${rounds} kills, ${count()} acknowledged`);
    await server.stop({ remove: true });
});

test('a power cut under load: what was not synced is gone, what was acknowledged is not', { timeout: rounds * 10_000 + 60_000 }, async (t) => {
    assert.ok(existsSync(shim) && existsSync(rollback), `the shim is built beside ${binary}`);
    const data = newFolder();
    const port = await freePort();
    const server = await startServer({ config, data, port });
    servers.add(server);
    await server.stop();
    server.env = { LD_PRELOAD: shim, UNSYNCED_DIR: data };
    const acknowledged = new Set();
    for (let round = 0; round < rounds; round++) {
        await server.start();
        const two = [new Shop('segment', server.url, server.secret, `s${round}`), new Shop('rudder', server.url, server.secret, `r${round}`)];
        await eventually('both are served', () => two.every((one) => one.acknowledged.size > 0));
        await sleep(random(500));
        await server.kill9();
        await Promise.all(two.map((one) => one.kill()));
        for (const one of two) for (const id of one.acknowledged) acknowledged.add(id);
        const torn = round % 2 ? ['--torn', String(random(1e9))] : [];
        execFileSync(rollback, [...torn, data]);
    }
    delete server.env;
    server.env = {};
    await server.start();
    await server.stop();
    await assertExactlyOnce(server, acknowledged);
    t.diagnostic(`${rounds} power cuts, ${acknowledged.size} acknowledged`);
    await server.stop({ remove: true });
});

test('a key made in a new folder just before a power cut is still a key', { timeout: 300_000 }, async () => {
    const data = newFolder();
    const env = { LD_PRELOAD: shim, UNSYNCED_DIR: data };
    const { stdout } = await opmaat(['key', 'create', '--data', data, '--kind', 'write', '--source', 'shop', '--basis', 'analytics=contract', '--json'], { env });
    execFileSync(rollback, [data]);
    const server = await startServer({ config, data, keys: false });
    servers.add(server);
    const answer = await server.request('POST', '/v1/track', { key: JSON.parse(stdout).key, body: { anonymousId: 'a', event: 'Product Viewed' } });
    assert.equal(answer.status, 200, await answer.text());
    await server.stop({ remove: true });
});

test('a restart by SIGHUP refuses no connection', { timeout: 300_000 }, async () => {
    const server = await startServer({ config, data: newFolder() });
    servers.add(server);
    let going = true, answered = 0;
    const statuses = new Map();
    // A connection of its own for each call: what is asked is whether one is ever refused or cut off.
    const post = (body) => new Promise((done, failed) => {
        const call = request(`${server.url}/v1/track`, {
            method: 'POST', agent: false, headers: { authorization: `Bearer ${server.write}` },
        }, (answer) => answer.resume().on('end', () => done(answer.statusCode)));
        call.on('error', failed).end(JSON.stringify(body));
    });
    const caller = async (n) => {
        for (let i = 0; going; i++) {
            const status = await post({ type: 'track', anonymousId: `a-${n}`, event: 'Product Viewed', messageId: `hup-${n}-${i}` })
                .catch((error) => error.code ?? error.message);
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
            answered++;
        }
    };
    const callers = Promise.all([0, 1, 2, 3].map(caller));
    for (let round = 0; round < (long ? 20 : 4); round++) {
        const before = workerOf(server.child.pid), seen = answered;
        process.kill(server.child.pid, 'SIGHUP');
        await eventually('another worker works', () => {
            const now = workerOf(server.child.pid);
            return now && now !== before && answered > seen + 20;
        });
    }
    going = false;
    await callers;
    assert.deepEqual([...statuses.keys()], [200], `every call was answered: ${JSON.stringify([...statuses])}`);
    await server.stop({ remove: true });
});
