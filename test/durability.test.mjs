// SPDX-License-Identifier: Apache-2.0
//
// durability.test.mjs - what may happen to a server besides a kill: no room on the disk, bits that turn, files that go, SIGTERM
// under load, clients that are slow or hostile, an event that the server dies of. After each of them every acknowledged event is
// there once and the server answers; damage is named.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { assertExactlyOnce, logged } from './lib/once.mjs';
import { binary, eventually, long, newFolder, opmaat, sleep, startServer } from './lib/server.mjs';

const config = { flush_ms: 50, train_ms: 60_000 };
const seed = Number(process.env.TEST_SEED ?? Date.now() % 1e9);
console.log(`# seed ${seed}`);
let state = seed;
const random = (below) => (state = (state * 1103515245 + 12345) % 2 ** 31) % below;

const servers = new Set();
const mounts = new Set();
async function start(options = {}) {
    const server = await startServer({ config, data: newFolder(), ...options });
    servers.add(server);
    return server;
}
after(() => {
    for (const one of servers) one.signalAll('SIGKILL');
    for (const folder of mounts) execFileSync(...as_root('umount', '-l', folder));
});

const as_root = (command, ...args) => process.getuid() === 0 ? [command, args] : ['sudo', ['-n', command, ...args]];

/** Sends single events until told to stop; keeps which were acknowledged and what else was answered. */
class Sender {
    constructor(server, tag, body = {}) {
        Object.assign(this, { server, tag, body, acknowledged: new Set(), statuses: new Map(), going: true, retry_after: 0 });
        this.ended = Promise.all([0, 1, 2, 3].map((n) => this.send(n)));
    }

    async send(lane) {
        for (let i = 0; this.going; i++) {
            const messageId = `${this.tag}-${lane}-${i}`;
            let status;
            try {
                const answer = await this.server.request('POST', '/v1/track', {
                    key: this.server.secret, body: { userId: `p-${lane}`, event: 'Product Viewed', messageId, ...this.body },
                });
                await answer.arrayBuffer();
                status = answer.status;
                if (status === 200) this.acknowledged.add(messageId);
                if (answer.headers.get('retry-after')) this.retry_after++;
            } catch (error) {
                status = error.cause?.code ?? error.message;
                await sleep(20);
            }
            this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
        }
    }

    stop() {
        this.going = false;
        return this.ended;
    }
}

/** Enough room for a data folder, and no more. */
function small_disk(megabytes) {
    const folder = newFolder();
    execFileSync(...as_root('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=1777`, 'tmpfs', folder));
    mounts.add(folder);
    return folder;
}

test('a disk that fills: 429 while there is no room, nothing acknowledged is lost, and it goes on by itself', { timeout: 300_000 }, async (t) => {
    const data = join(small_disk(96), 'data');
    const server = await start({ data, config: { ...config, disk_free_bytes: 4 << 20, log_file_bytes: 8 << 20 } });
    const sender = new Sender(server, 'd', { properties: { padding: 'x'.repeat(28_000) } });
    await eventually('it says that there is no room', () => sender.statuses.get(429) > 10);
    assert.ok(sender.retry_after > 0, 'with Retry-After');
    assert.equal((await server.request('GET', '/healthz')).status, 200);
    // And now somebody else takes the last of it: what is known cannot be flushed, and nothing more can be.
    const hog = join(dirname(data), 'hog');
    const fd = openSync(hog, 'w');
    try { for (;;) writeSync(fd, Buffer.alloc(1 << 16)); } catch (error) { assert.equal(error.code, 'ENOSPC'); }
    closeSync(fd);
    await sleep(500);
    assert.equal((await server.request('GET', '/readyz')).status, 200, 'it still answers');
    unlinkSync(hog);
    await sender.stop();
    // Room again: old files of the log may go elsewhere, or the disk grows.
    execFileSync(...as_root('mount', '-o', 'remount,size=256m', dirname(data)));
    const before = sender.acknowledged.size;
    const later = new Sender(server, 'e');
    await eventually('it takes events again', () => later.acknowledged.size > 50);
    await later.stop();
    await server.stop();
    await assertExactlyOnce(server, new Set([...sender.acknowledged, ...later.acknowledged]));
    t.diagnostic(`${before} acknowledged before the disk was full, ${sender.statuses.get(429)} told to wait`);
    await server.stop({ remove: true });
});

test('SIGTERM under load: all that was acknowledged is there, and a start finds it clean', { timeout: 300_000 }, async () => {
    const server = await start();
    const acknowledged = new Set();
    for (let round = 0; round < (long ? 20 : 3); round++) {
        const sender = new Sender(server, `t${round}`);
        await eventually('some are acknowledged', () => sender.acknowledged.size > 20);
        await sleep(random(200));
        await server.stop();
        await sender.stop();
        for (const id of sender.acknowledged) acknowledged.add(id);
        assert.ok(![...sender.statuses.keys()].some((status) => status >= 500 && status !== 503), JSON.stringify([...sender.statuses]));
        await server.start();
        assert.match(server.output, /fold\.open entries=(\d+) loaded=\1 /, 'nothing had to be replayed');
    }
    await server.stop();
    await assertExactlyOnce(server, acknowledged);
    await server.stop({ remove: true });
});

/** A folder with some thousand events in several files of the log, no server on it. */
async function filled() {
    const server = await start({ config: { ...config, log_file_bytes: 1 << 20 } });
    const acknowledged = new Set();
    for (let batch = 0; batch < 40; batch++) {
        const events = Array.from({ length: 100 }, (_, i) => ({
            type: 'track', userId: `p-${i % 7}`, event: 'Product Viewed', messageId: `f-${batch}-${i}`, properties: { padding: 'y'.repeat(400) },
        }));
        await server.post('/v1/batch', { batch: events });
        for (const { messageId } of events) acknowledged.add(messageId);
    }
    await server.stop();
    return { server, acknowledged, log: join(server.data, 'log') };
}

const files_of = (log) => readdirSync(log).filter((name) => statSync(join(log, name)).isFile()).sort();

/** Opening a folder cuts a torn tail: what is to be used again is looked at in a copy. */
function copy(folder) {
    const other = join(newFolder(), 'data');
    execFileSync('cp', ['-a', folder, other]);
    return other;
}

function flip(path, at, bit) {
    const fd = openSync(path, 'r+'), one = Buffer.alloc(1);
    readSync(fd, one, 0, 1, at);
    one[0] ^= 1 << bit;
    writeSync(fd, one, 0, 1, at);
    closeSync(fd);
}

test('a bit that turns anywhere in the log is found, with the file and the record named', { timeout: 300_000 }, async (t) => {
    const { server, log } = await filled();
    const files = files_of(log);
    assert.ok(files.length > 1, `there are several files: ${files}`);
    // Where bytes of records are: what lies behind the last one is room for the next, and holds nothing.
    const ends = files.map((name) => {
        const bytes = readFileSync(join(log, name));
        let end = bytes.length;
        while (end > 0 && bytes[end - 1] === 0) end--;
        return end;
    });
    let named = 0, behind = 0;
    for (let round = 0; round < (long ? 200 : 15); round++) {
        const which = random(files.length), at = random(ends[which]), bit = random(8), path = join(log, files[which]);
        flip(path, at, bit);
        const { code, stderr } = await opmaat(['log', 'verify', '--data', server.data], { ok: false });
        if (code !== 0) {
            assert.match(stderr, new RegExp(files[which]), `the file is named: ${stderr}`);
            named++;
        } else {
            // The very last record may as well be torn: then it is what the store knows of it that tells.
            assert.equal(which, files.length - 1, `a bit turned at ${files[which]}:${at} bit ${bit} and nobody noticed`);
            const opened = await opmaat(['serve', '--data', copy(server.data), '--listen', '127.0.0.1:0'], { ok: false, timeout: 20_000 });
            assert.match(opened.stderr, /the log ends before/, opened.stderr);
            behind++;
        }
        flip(path, at, bit);
    }
    await opmaat(['verify', '--data', server.data]);
    t.diagnostic(`${named} named by the log, ${behind} by the store`);
    await server.stop({ remove: true });
});

test('a torn last record is cut, with the bytes said, and nothing before it is touched', { timeout: 300_000 }, async () => {
    const { server, acknowledged, log } = await filled();
    const last = join(log, files_of(log).at(-1)), bytes = readFileSync(last);
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end--;
    // The beginning of another record, as a crash in the middle of a write leaves it: the first bytes of the file's own first one.
    const torn = bytes.subarray(64, 64 + 300);
    const fd = openSync(last, 'r+');
    writeSync(fd, torn, 0, torn.length, end + (8 - end % 8) % 8);
    closeSync(fd);
    await server.start();
    assert.match(server.output, /cut/, 'it says so');
    const sender = new Sender(server, 'after');
    await eventually('it takes events', () => sender.acknowledged.size > 20);
    await sender.stop();
    await server.stop();
    await assertExactlyOnce(server, new Set([...acknowledged, ...sender.acknowledged]));
    await server.stop({ remove: true });
});

test('lost files are named: one of the log, and the store behind it; a lost store is made anew', { timeout: 300_000 }, async () => {
    const { server, acknowledged, log } = await filled();
    const middle = join(log, files_of(log)[1]), aside = `${server.data}.aside`;
    renameSync(middle, aside);
    const refused = await opmaat(['log', 'verify', '--data', server.data], { ok: false });
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /missing|gap|before/i, refused.stderr);
    renameSync(aside, middle);
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(server.data, `opmaat.db${suffix}`), { force: true });
    await assertExactlyOnce(server, acknowledged);
    await server.stop({ remove: true });
});

test('a bit that turns in the store is found at the next start, and the store can be made anew', { timeout: 300_000 }, async (t) => {
    const { server, acknowledged } = await filled();
    const path = join(server.data, 'opmaat.db');
    execFileSync('sqlite3', [path, 'PRAGMA wal_checkpoint(TRUNCATE)']);
    const whole = readFileSync(path);
    let found = 0, harmless = 0;
    for (let round = 0; round < (long ? 60 : 8); round++) {
        // In a person's bytes: what SQLite itself keeps no sum of.
        const person = JSON.parse(execFileSync('sqlite3', ['-json', path, 'SELECT hex(bytes) AS hex FROM person ORDER BY random() LIMIT 1']))[0];
        const bytes = Buffer.from(person.hex, 'hex'), piece = bytes.subarray(0, 200);
        const at = whole.indexOf(piece.subarray(0, 100)) + random(100);
        if (at < 100) { harmless++; continue; }
        flip(path, at, random(8));
        const { code, stderr } = await opmaat(['segment', 'count', 'did(product_viewed)', '--data', server.data], { ok: false });
        assert.notEqual(code, 0, `a bit turned at ${at}`);
        assert.match(stderr, /opmaat\.db|store/, stderr);
        found++;
        writeFileSync(path, whole);
    }
    assert.ok(found > 0);
    flip(path, whole.indexOf(Buffer.from(JSON.parse(execFileSync('sqlite3', ['-json', path, 'SELECT hex(bytes) AS hex FROM person LIMIT 1']))[0].hex, 'hex').subarray(0, 60)) + 20, 3);
    renameSync(path, `${path}.damaged`);
    await assertExactlyOnce(server, acknowledged);
    t.diagnostic(`${found} found, ${harmless} not placed`);
    await server.stop({ remove: true });
});

test('an event the server dies of is set aside after the second time, and everybody else\'s is taken', { timeout: 300_000 }, async () => {
    const poison = join(dirname(binary), 'test', 'shim', 'poison.so');
    assert.ok(existsSync(poison), `the shim is built beside ${binary}`);
    const server = await start({ env: { LD_PRELOAD: poison } });
    const sender = new Sender(server, 'well');
    await eventually('some are acknowledged', () => sender.acknowledged.size > 20);
    await server.request('POST', '/v1/track', { key: server.secret, body: { userId: 'eve', event: 'Poison Pill', messageId: 'pill', properties: { a: 1 } } }).catch(() => {});
    const letter = await eventually('it lies with the dead letters', async () => {
        const { dead_letters } = await server.get('/v1/dead-letters');
        return dead_letters.find((one) => /died twice/.test(one.reason));
    });
    assert.match(JSON.stringify(letter.event), /Poison Pill/, 'whole');
    assert.match(server.output, /fold\.skipped ref=\d+/, 'aloud');
    const seen = sender.acknowledged.size;
    await eventually('the others are taken', () => sender.acknowledged.size > seen + 50);
    await sender.stop();
    await server.stop();
    server.env = {};
    const keys = await logged(server.data);
    for (const id of sender.acknowledged) assert.ok(keys.has(id), id);
    assert.match((await opmaat(['verify', '--data', server.data])).stdout, /a replay of the log gives the same state/);
    await server.stop({ remove: true });
});

/* ---- clients ----------------------------------------------------------------------------------------------------------- */

/** Writes bytes on a connection of its own; what came back until it closed, or until `ms`. */
const raw = (server, bytes, ms = 3000) => new Promise((done) => {
    const socket = connect(server.port, '127.0.0.1');
    let text = '';
    const end = () => { socket.destroy(); done(text); };
    const late = setTimeout(end, ms);
    socket.on('data', (part) => { text += part; });
    socket.on('close', () => { clearTimeout(late); end(); });
    socket.on('error', () => {});
    socket.write(bytes);
});

test('slow and half-open clients are shown the door, and nobody else waits for them', { timeout: 300_000 }, async () => {
    const server = await start({ config: { ...config, http_request_ms: 1500 } });
    const head = `POST /v1/track HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer ${server.write}\r\nContent-Length: 500\r\n\r\n`;
    const halves = ['', 'POST /v1/tr', 'POST /v1/track HTTP/1.1\r\nHost: s\r\n', head, `${head}{"event":`];
    const sockets = Array.from({ length: 500 }, (_, i) => {
        const socket = connect(server.port, '127.0.0.1').on('error', () => {});
        socket.write(halves[i % halves.length]);
        return socket;
    });
    const dripping = setInterval(() => { for (const one of sockets) if (!one.destroyed && one !== sockets[0]) one.write(' '); }, 300);
    const sender = new Sender(server, 's');
    await eventually('others are served meanwhile', () => sender.acknowledged.size > 200);
    await sender.stop();
    assert.deepEqual([...sender.statuses.keys()], [200]);
    const begun = sockets.filter((_, i) => i % halves.length >= 1);
    await eventually('those who began a request and did not end it are gone', () => begun.every((one) => one.destroyed || one.readableEnded || one.closed));
    clearInterval(dripping);
    for (const one of sockets) one.destroy();
    await server.stop({ remove: true });
});

test('too big, too many, too deep, too compressed: a clear no, nothing lost beside it, and the server lives', { timeout: 300_000 }, async () => {
    const server = await start();
    const post = async (path, body, headers = {}) => {
        const answer = await server.request('POST', path, { key: server.secret, body, headers: { 'content-type': 'application/json', ...headers } });
        return { status: answer.status, body: await answer.json().catch(() => null) };
    };
    // A gzip bomb: 200 MB in 200 KB.
    const bomb = gzipSync(Buffer.alloc(200 << 20, 0x20), { level: 9 });
    const before = statSync(binary).size;
    assert.ok(bomb.length < 300_000 && before > 0);
    const bombed = await post('/v1/batch', bomb, { 'content-encoding': 'gzip' });
    assert.equal(bombed.status, 413, JSON.stringify(bombed.body));
    assert.match(bombed.body.detail, /4(194304| MB| MiB)|limit/);
    // One byte over 32 KB is a dead letter, the events beside it are taken.
    const event = (messageId, bytes) => {
        const one = { type: 'track', userId: 'ana', event: 'Product Viewed', messageId, properties: { padding: '' } };
        one.properties.padding = 'x'.repeat(bytes - JSON.stringify(one).length);
        return one;
    };
    const mixed = await post('/v1/batch', { batch: [event('fits', 32 << 10), event('over', (32 << 10) + 1), event('small', 300)] });
    assert.equal(mixed.status, 200);
    const { dead_letters } = await server.get('/v1/dead-letters');
    assert.equal(dead_letters.length, 1);
    assert.match(dead_letters[0].reason, /32/);
    // 2,501 events in one batch.
    const many = await post('/v1/batch', { batch: Array.from({ length: 2501 }, (_, i) => ({ type: 'track', userId: 'ana', event: 'Product Viewed', messageId: `m-${i}` })) });
    assert.ok(many.status === 400 || many.status === 413, `${many.status}`);
    assert.match(many.body.detail, /2,?500/);
    // 10,000 levels.
    const deep = await post('/v1/track', `{"userId":"ana","event":"x","properties":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`);
    assert.equal(deep.status, 400);
    const source = (await server.get('/v1/sources')).sources[0];
    assert.equal(source.accepted, 2, 'what fitted was taken');
    assert.equal(source.refused, 1);
    await server.stop({ remove: true });
});

test('every framing trick is refused, and what it tried to smuggle is not heard', { timeout: 300_000 }, async () => {
    const server = await start();
    const smuggled = (n) => `POST /v1/track HTTP/1.1\r\nHost: s\r\nAuthorization: Bearer ${server.secret}\r\nContent-Length: ${n}\r\n\r\n`;
    const body = (id) => JSON.stringify({ userId: 'eve', event: 'Product Viewed', messageId: id });
    const inner = (id) => `${smuggled(body(id).length)}${body(id)}`;
    const post = 'POST /v1/batch HTTP/1.1\r\nHost: s\r\n';
    const probes = {
        'length and chunked': `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        'two lengths': `${post}Content-Length: 2\r\nContent-Length: 4\r\n\r\n{}`,
        'a length of +2': `${post}Content-Length: +2\r\n\r\n{}`,
        'a space before the colon': `${post}Content-Length : 2\r\n\r\n{}`,
        'bare line feeds': 'POST /v1/batch HTTP/1.1\nHost: s\nContent-Length: 2\n\n{}',
        'a bare carriage return in a header': `${post}X: a\rY: b\r\nContent-Length: 2\r\n\r\n{}`,
        'a zero byte in a header': `${post}X: a\0b\r\nContent-Length: 2\r\n\r\n{}`,
        'a chunk size of 0x2': `${post}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n`,
        'chunk data without its line end': `${post}Transfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n`,
        'a folded header': `${post}X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}`,
        'no host': 'POST /v1/batch HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}',
        'HTTP/0.9': 'GET /healthz\r\n\r\n',
        'HTTP/3.7': 'GET /healthz HTTP/3.7\r\nHost: s\r\n\r\n',
    };
    let n = 0;
    for (const [name, probe] of Object.entries(probes)) {
        const answer = await raw(server, `${probe}${inner(`smuggled-${n++}`)}`);
        assert.doesNotMatch(answer, /^HTTP\/1\.[01] 2/, `${name}: ${answer.slice(0, 80)}`);
        assert.doesNotMatch(answer, /\r\nHTTP\/1\.1 200|"success":true/, `${name}: the second request was answered`);
    }
    const fine = await raw(server, `${smuggled(body('plain').length)}${body('plain')}`.repeat(3), 1500);
    assert.equal(fine.match(/HTTP\/1\.1 200/g)?.length, 3, 'three in a row, well framed, are answered');
    await server.stop();
    assert.deepEqual([...(await logged(server.data)).keys()], ['plain']);
    await server.stop({ remove: true });
});
