// SPDX-License-Identifier: Apache-2.0
//
// command.test.mjs - the command line beside a running server, by the socket in its data folder, and by --url; a copy of a folder that is
// in use, and a folder of it again.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { binary, environment, eventually, newFolder, opmaat, root, sleep, startServer } from './lib/server.mjs';

const who = (name) => ({ userId: name, traits: { email: `${name}@shop.test`, gender: 'female' } });
const jeans = { kind: 'segment', key: 'jeans', title: 'Jeans', rule: 'count(product_viewed, last 30 days) >= 2' };
const gift = join(root, 'docs/examples/gift-shop');
let server;
let data;
const on = (...args) => opmaat([...args, '--data', data]);
const tried = (...args) => opmaat([...args, '--data', data], { ok: false });

before(async () => {
    data = newFolder();
    server = await startServer({ data });
    for (const name of ['ana', 'bea', 'cid']) {
        await server.post('/v1/identify', who(name));
        for (let i = 0; i < (name === 'cid' ? 1 : 3); i++)
            await server.post('/v1/track', { userId: name, event: 'Product Viewed', properties: { product_id: `p-${i}` } });
    }
});
after(() => server.stop({ remove: true }));

test('a key is made, listed with its last use, and revoked, while the server runs', async () => {
    const { key, prefix } = JSON.parse((await on('key', 'create', '--kind', 'secret', '--source', 'till', '--basis', 'analytics=contract', '--json')).stdout);
    assert.equal((await server.request('GET', '/v1/overview', { key })).status, 200);
    const line = (await on('key', 'list')).stdout.split('\n').find((row) => row.startsWith(prefix));
    assert.match(line, /secret +till +live +20\d\d-/);
    await on('key', 'revoke', prefix);
    assert.equal((await server.request('GET', '/v1/overview', { key })).status, 401);
    assert.match((await on('key', 'list')).stdout, new RegExp(`${prefix} .*revoked`));
    assert.equal((await tried('key', 'revoke', 'om_secret_none')).code, 1);
});

test('who may log in: added, another role, another password, removed', async () => {
    const login = (password) => server.request('POST', '/v1/login', { body: { email: 'kari@shop.test', password } });
    await on('user', 'add', 'kari@shop.test', '--role', 'viewer', '--password', 'correct horse');
    assert.equal((await (await login('correct horse')).json()).role, 'viewer');
    await on('user', 'role', 'kari@shop.test', 'admin');
    assert.equal((await (await login('correct horse')).json()).role, 'admin', 'the password stays');
    await opmaat(['user', 'passwd', 'kari@shop.test', '--data', data], { input: 'battery staple\n' });
    assert.equal((await login('correct horse')).status, 401);
    assert.equal((await (await login('battery staple')).json()).role, 'admin', 'the role stays');
    assert.match((await on('user', 'list')).stdout, /kari@shop\.test +admin/);
    await on('user', 'remove', 'kari@shop.test');
    assert.equal((await login('battery staple')).status, 401);
    assert.match((await tried('user', 'role', 'nobody@shop.test', 'admin')).stderr, /there is no account/);
    assert.match((await tried('user', 'role', 'kari@shop.test', 'king')).stderr, /viewer, editor or admin|no account/);
});

test('definitions: applied, compared and written out; it holds from the next request on', async () => {
    const files = newFolder();
    writeFileSync(join(files, 'jeans.json'), JSON.stringify(jeans));
    assert.match((await on('apply', files)).stdout, /^segment jeans$/m);
    assert.equal((await server.get('/v1/segments/jeans')).count, 2);
    assert.equal((await on('apply', files)).stdout, '1 unchanged\n');
    writeFileSync(join(files, 'jeans.json'), JSON.stringify({ ...jeans, title: 'Denim' }));
    const differs = await tried('diff', files);
    assert.equal(differs.code, 1);
    assert.match(differs.stdout, /differs: segment jeans\n {4}- .*Jeans.*\n {4}\+ .*Denim/);
    writeFileSync(join(files, 'wrong.json'), JSON.stringify({ kind: 'segment', key: 'wrong', rule: 'count(product_viewd) > 1' }));
    assert.match((await tried('apply', files)).stderr, /wrong\.json: .*product_viewd/);
    const out = newFolder();
    assert.match((await on('export-definitions', out)).stdout, /definitions/);
    assert.ok(readdirSync(out).includes('segment.jeans.json'));
    await on('apply', gift);
});

test('questions are answered the same with a server and without', async () => {
    const asked = [
        ['segment', 'count', 'jeans'], ['segment', 'members', 'jeans'], ['segment', 'count', 'gender = "female"', '--json'],
        ['segment', 'count', 'did(product_viewed)', '--at', '2020-01-01'],
        ['rule', 'check', 'did(order_completed, last 14 days)'], ['rule', 'check', 'did(ordr_completed)'],
        ['rule', 'explain', 'gender = "female"', '--person', 'user_id:ana'],
        ['rule', 'explain', 'gender = "female"', '--person', 'p_1'], ['decide', '--person', 'p_1', '--placement', 'home_recs'],
        ['person', 'show', 'email:ana@shop.test'], ['person', 'export', 'user_id:ana'], ['consent', 'show', 'user_id:ana'],
        ['export', 'people'], ['export', 'definitions'], ['export', 'erasures'], ['flag', 'lint'], ['user', 'list'],
        ['log', 'cat', '--from', '3', '--count', '4'],
    ];
    const answers = async () => {
        const all = [];
        for (const args of asked) {
            const { code, stdout, stderr } = await tried(...args);
            all.push({ args, code, stdout, stderr });
        }
        return all;
    };
    await opmaat(['segment', 'count', 'jeans', '--url', server.url, '--key', server.secret]);
    const with_one = await answers();
    await server.stop();
    const without = await answers();
    await server.start();
    for (const [i, one] of with_one.entries()) assert.deepEqual(one, without[i]);
    assert.equal(with_one[0].stdout, '2\n');
    assert.match((await tried('rule', 'check', 'did(ordr_completed)')).stderr, /did\(ordr_completed\)\n {4}\^ column 5: .*order_completed/);
    const { decisions } = JSON.parse((await on('decide', '--person', 'user_id:ana', '--placement', 'home_recs')).stdout);
    assert.equal(typeof decisions.home_recs.status, 'string');
});

test('files come in through the server, and what is refused is told', async () => {
    const file = join(newFolder(), 'products.csv');
    writeFileSync(file, 'id,title,price\np-0,Slim jeans,49.00 EUR\np-1,Wide jeans,59.00 EUR\n,nameless,1.00 EUR\n');
    const { stdout } = await on('import', 'products', file, '--json');
    const told = JSON.parse(stdout);
    assert.equal(told.accepted, 2);
    assert.equal(told.refused, 1);
    assert.equal((await server.get('/v1/catalog/items/p-1')).title ?? 'Wide jeans', 'Wide jeans');
    assert.match((await tried('import', 'all', file)).stderr, /another process|not empty/);
});

test('all that there is comes out whole beside a running server, and goes into an empty folder', async () => {
    const out = join(newFolder(), 'whole.ndjson');
    writeFileSync(out, (await on('export', 'all')).stdout);
    const copy = join(newFolder(), 'copy');
    await opmaat(['import', 'all', out, '--data', copy]);
    assert.match((await on('log', 'verify')).stdout, /^records/);
    assert.match((await on('verify')).stdout, /a replay of the log gives the same state/);
    assert.deepEqual(readdirSync(data).filter((name) => name.startsWith('verify')), []);
});

test('the socket is its owner\'s alone', async () => {
    const socket = join(data, 'control');
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    if (process.getuid() !== 0) return;
    chmodSync(data, 0o755);                             // even where somebody opened it to all
    chmodSync(socket, 0o666);
    const script = `require('net').connect(${JSON.stringify(socket)}, function () { this.write('GET /v1/keys HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); })
        .on('data', (bytes) => process.stdout.write(bytes)).on('error', (e) => process.stdout.write(e.code)).on('close', () => process.exit(0))`;
    const got = execFileSync(process.execPath, ['-e', script], { uid: 65534, gid: 65534, cwd: '/' }).toString();
    chmodSync(data, 0o700);
    chmodSync(socket, 0o600);
    assert.doesNotMatch(got, /keys/);
});

test('a worker that is killed, or started anew, takes its commands on again, and no command keeps it out', async () => {
    for (let i = 0; i < 3; i++) {
        const asked = Array.from({ length: 4 }, () => on('segment', 'count', 'jeans'));
        server.child.kill('SIGHUP');
        for (const { stdout } of await Promise.all(asked)) assert.equal(stdout, '2\n');
        await sleep(200);
    }
    await eventually('it answers', async () => (await fetch(`${server.url}/readyz`)).ok);
    const worker = Number(execFileSync('pgrep', ['-P', String(server.child.pid)]).toString().trim());
    process.kill(worker, 'SIGKILL');
    assert.equal((await on('segment', 'count', 'jeans')).stdout, '2\n');
    await eventually('it answers', async () => (await fetch(`${server.url}/readyz`)).ok);
});

test('a backup is made while it is written to, and is whole; a folder of it is as it was', async () => {
    const to = join(newFolder(), 'copy');
    let more = true;
    const writing = (async () => {
        for (let i = 0; more; i++) await server.post('/v1/track', { userId: `w-${i % 50}`, event: 'Product Viewed', properties: { product_id: `p-${i % 3}` } });
    })();
    await sleep(100);
    assert.match((await on('backup', to)).stdout, /is whole/);
    more = false;
    await writing;
    assert.match((await tried('backup', to)).stderr, /holds something already/);
    assert.match((await opmaat(['verify', '--data', to])).stdout, /gives the same state/);
    const again = join(newFolder(), 'again');
    const restored = await opmaat(['restore', to, '--data', again]);
    assert.match(restored.stdout, /is as it was at 20/);
    assert.match(restored.stderr, /--erasures FILE/);
    assert.match((await opmaat(['segment', 'count', 'jeans', '--data', again])).stdout, /^\d+$/m);
    assert.match((await opmaat(['restore', to, '--data', again], { ok: false })).stderr, /holds something already/);
    const log = join(to, 'log', readdirSync(join(to, 'log'))[0]);
    const bytes = readFileSync(log);
    bytes[200] ^= 1;
    writeFileSync(log, bytes);
    assert.match((await opmaat(['restore', to, '--data', join(newFolder(), 'x')], { ok: false })).stderr, /is not as it was copied/);
    rmSync(join(to, 'backup.json'));
    assert.match((await opmaat(['restore', to, '--data', join(newFolder(), 'x')], { ok: false })).stderr, /is no backup/);
});

test('a backup that is killed leaves nothing by its name, and the next one is made', async () => {
    const to = join(newFolder(), 'copy');
    for (const ms of [5, 15, 30, 60]) {
        const child = spawn(binary, ['backup', to, '--data', data], { env: environment(), stdio: 'ignore' });
        const ended = new Promise((done) => child.once('close', done));
        await sleep(ms);
        child.kill('SIGKILL');
        await ended;
        if (!existsSync(to)) continue;
        assert.ok(existsSync(join(to, 'backup.json')), 'what has the name is whole');
        rmSync(to, { recursive: true });
    }
    await on('backup', to);
    await opmaat(['restore', to, '--data', join(newFolder(), 'x')]);
    assert.ok(!existsSync(`${to}.part`));
});

test('whoever was erased after a backup is erased again by the list, and nobody else', async () => {
    const to = join(newFolder(), 'copy');
    const list = join(newFolder(), 'erasures.ndjson');
    await server.post('/v1/identify', who('gone.before'));
    await on('person', 'erase', 'email:gone.before@shop.test');
    await server.post('/v1/identify', { ...who('gone.before'), context: { consent: { categoryPreferences: { analytics: true, personalisation: true } } } });
    await on('backup', to);
    assert.match((await on('person', 'erase', 'email:bea@shop.test')).stdout, /^receipt +e_\d+\n/);
    writeFileSync(list, (await on('export', 'erasures')).stdout);
    assert.doesNotMatch(readFileSync(list, 'utf8'), /\bbea\b|shop\.test/);
    const plain = join(newFolder(), 'plain'), clean = join(newFolder(), 'clean');
    await opmaat(['restore', to, '--data', plain]);
    assert.match((await opmaat(['export', 'people', '--data', plain])).stdout, /bea@shop\.test/);
    const { stdout } = await opmaat(['restore', to, '--data', clean, '--erasures', list]);
    assert.match(stdout, /1 erased again; 1 of the list/);
    const people = (await opmaat(['export', 'people', '--data', clean])).stdout;
    assert.doesNotMatch(people, /bea@shop\.test/);
    assert.match(people, /ana@shop\.test/);
    assert.doesNotMatch((await opmaat(['export', 'all', '--data', clean])).stdout, /bea@shop\.test/);
    assert.match((await opmaat(['verify', '--data', clean])).stdout, /gives the same state/);
});

test('a no that was said after a backup is said again by the list: of people, of the suppressed and of strangers', async () => {
    const to = join(newFolder(), 'copy'), list = join(newFolder(), 'erasures.ndjson'), kinds = ['analytics', 'personalisation', 'marketing_email'];
    const agrees = (name, at) => ({ ...who(name), timestamp: at, context: { consent: { categoryPreferences: Object.fromEntries(kinds.map((k) => [k, true])) } } });
    const consents = async (name, folder) => Object.fromEntries((await opmaat(['consent', 'show', `user_id:${name}`, '--data', folder])).stdout.trim().split('\n')
        .map((line) => line.split(/ +/).slice(0, 2)));
    for (const name of ['dan', 'eli', 'fay', 'ida']) await server.post('/v1/identify', agrees(name));
    await on('consent', 'deny', 'user_id:fay', 'analytics');
    writeFileSync(list, (await on('export', 'erasures')).stdout);               // an older list, of before she came back
    await server.post('/v1/identify', agrees('fay'));
    await on('backup', to);
    const early = join(newFolder(), 'early');
    await opmaat(['restore', to, '--data', early, '--erasures', list]);
    assert.equal((await consents('fay', early)).analytics, 'granted', 'who consented later than the list says no stays');

    await on('consent', 'deny', 'user_id:dan', 'marketing_email');
    await server.post('/v1/regulations', { regulation: 'suppress', email: 'eli@shop.test' });
    await server.post('/v1/regulations', { regulation: 'suppress', user_id: 'hal' });
    await server.post('/v1/identify', agrees('gus'));
    await on('consent', 'deny', 'user_id:gus', 'analytics');
    writeFileSync(list, (await on('export', 'erasures')).stdout);
    const lines = readFileSync(list, 'utf8');
    assert.doesNotMatch(lines, /shop\.test|dan|eli|hal|gus/);
    const said = (await on('consent', 'show', 'user_id:dan')).stdout.split('\n').find((line) => line.startsWith('marketing_email')).split(/ +/)[2];

    const plain = join(newFolder(), 'plain'), clean = join(newFolder(), 'clean');
    assert.match((await opmaat(['restore', to, '--data', plain])).stderr, /a no that was said after it is forgotten/);
    assert.equal((await consents('dan', plain)).marketing_email, 'granted');
    assert.match((await opmaat(['restore', to, '--data', clean, '--erasures', list])).stdout, /^refused again: by [2-9] people, and under [1-9]\d* identifiers that nobody has$/m);
    const dan = await consents('dan', clean), eli = await consents('eli', clean);
    assert.deepEqual(kinds.map((k) => dan[k]), ['granted', 'granted', 'denied']);
    assert.deepEqual(kinds.map((k) => eli[k]), ['denied', 'denied', 'denied']);
    assert.equal((await consents('ida', clean)).marketing_email, 'granted', 'and nobody else');
    assert.ok((await opmaat(['consent', 'show', 'user_id:dan', '--data', clean])).stdout.includes(said), 'at the time at which it was said');
    assert.match((await opmaat(['verify', '--data', clean])).stdout, /gives the same state/);

    const again = await startServer({ data: clean });
    try {
        for (const name of ['hal', 'gus', 'jon']) await again.post('/v1/identify', who(name));
        const found = (name) => again.request('POST', '/v1/people/lookup', { key: again.secret, body: { user_id: name } }).then((r) => r.status);
        assert.deepEqual([await found('hal'), await found('gus'), await found('jon')], [404, 404, 200]);
        const refusals = lines.trim().split('\n').map((line) => JSON.parse(line)).filter((row) => row.regulation === 'refuse');
        const counts = await again.post('/v1/regulations', { regulation: 'refuse', refusals });
        assert.deepEqual(counts, { people: 0, identifiers: 0 }, 'a second time it changes nothing');
        await again.post('/v1/regulations', { regulation: 'refuse', refusals: [{ whom: 'x', purposes: ['analytics'], asked_at: said }] }, { status: 400 });
        await again.post('/v1/regulations', { regulation: 'refuse', refusals: [] }, { status: 400 });
    } finally {
        await again.stop();
    }
});

test('a folder that is not there is said to be so, and is not made', async () => {
    const nowhere = join(newFolder(), 'nowhere');
    for (const args of [['segment', 'count', 'true'], ['export', 'people'], ['key', 'list'], ['log', 'stat'], ['verify'], ['backup', `${nowhere}.copy`]]) {
        const { code, stderr } = await opmaat([...args, '--data', nowhere], { ok: false });
        assert.equal(code, 1, args.join(' '));
        assert.match(stderr, /there is no folder/);
    }
    assert.ok(!existsSync(nowhere));
    assert.equal((await opmaat(['key', 'list', '--url', server.url], { ok: false })).code, 1);
});

test('bench measures this machine, and leaves nothing behind', async () => {
    const disk = newFolder();
    const told = JSON.parse((await opmaat(['bench', '--disk', disk, '--seconds', '1', '--json'])).stdout);
    assert.equal(told.measures.length, 5);
    for (const one of told.measures) {
        assert.ok(one.rate > 0 && one.p99_ms >= one.p50_ms && one.server_cpu_us > 0, JSON.stringify(one));
        assert.equal(one.refused, 0, one.name);
    }
    assert.ok(told.syncs_per_second > 0);
    assert.deepEqual(readdirSync(disk), []);
});
