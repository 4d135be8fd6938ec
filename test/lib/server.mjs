// SPDX-License-Identifier: Apache-2.0
// server.mjs - a real Opmaat for an end-to-end test: its own data folder, its own port, its own keys.
//
//   const server = await startServer({ config: { flush_ms: 100 } });
//   await server.post('/v1/track', { userId: 'ana', event: 'Product Viewed' });
//   await server.stop();                     // or kill9(), then start() again on the same data
//
// Keys are made before the first start, as an operator would, with `opmaat key create`. A folder
// made here is removed by stop({ remove: true }) and when the test process ends.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const binary = process.env.OPMAAT_BINARY ?? join(root, 'build', 'opmaat');
export const shared = process.env.OPMAAT_SHARED ?? join(root, '..', 'shared');
/** True in `script/test long`: do more rounds. */
export const long = process.env.TEST_LONG === '1';

/** How long a test waits for what should come at once: on a machine with better things to do, models are made in what time is left over. */
export const PATIENCE_MS = 60_000;

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Calls `probe` until it returns something truthy; fails with `what` after `ms`. */
export async function eventually(what, probe, ms = PATIENCE_MS, every = 20) {
    const until = Date.now() + ms;
    for (let last; ;) {
        try {
            const got = await probe();
            if (got) return got;
        } catch (error) {
            last = error;
        }
        if (Date.now() > until)
            throw new Error(`never came true in ${ms} ms: ${what}${last ? `; at last: ${last.message}` : ''}`, { cause: last });
        await sleep(every);
    }
}

export function freePort() {
    return new Promise((done, failed) => {
        const probe = createServer();
        probe.on('error', failed);
        probe.listen(0, '127.0.0.1', () => {
            const { port } = probe.address();
            probe.close(() => done(port));
        });
    });
}

/** A new empty folder, removed when this process ends. */
const folders = new Set();
export function newFolder() {
    const folder = mkdtempSync(join(tmpdir(), 'opmaat-test-'));
    folders.add(folder);
    return folder;
}

/** Our own OPMAAT_* variables are not settings; the server refuses names it does not know. */
export function environment(extra = {}) {
    const env = { ...process.env };
    for (const name of Object.keys(env)) if (name.startsWith('OPMAAT_')) delete env[name];
    return { ...env, ...extra };
}

/** Runs the binary to its end: { code, stdout, stderr }. `ok: false` also takes a failure. */
export async function opmaat(args, { ok = true, env, input, timeout = 600_000 } = {}) {
    const going = run(binary, args, {
        cwd: root, env: environment(env), timeout, maxBuffer: 1 << 28,
    });
    if (input !== undefined) going.child.stdin.end(input);
    else going.child.stdin.end();
    const ended = await going.then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
        (error) => ({ code: error.code ?? error.signal, stdout: error.stdout, stderr: error.stderr }));
    if (ok) assert.equal(ended.code, 0, `opmaat ${args.join(' ')}: ${ended.stderr}${ended.stdout}`);
    return ended;
}

/** Makes a key in `data` and returns it as text. No server may be running on the folder. */
export async function createKey(data, kind, source,
        basis = 'analytics=contract,personalisation=contract,model_training=contract') {
    const args = ['key', 'create', '--data', data, '--kind', kind, '--source', source, '--json'];
    if (basis) args.push('--basis', basis);
    const { stdout } = await opmaat(args);
    const made = JSON.parse(stdout);
    assert.equal(typeof made.key, 'string', `key create printed ${stdout}`);
    return made.key;
}

const running = new Set();
process.on('exit', () => {
    for (const child of running) {
        // Both the parent that holds the sockets and the worker: they are one process group.
        try { process.kill(-child.pid, 'SIGKILL'); } catch { /* already gone */ }
    }
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
// A test that is told to stop takes its servers with it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(1));

class Server {
    constructor(options) {
        Object.assign(this, options);
        this.url = `http://127.0.0.1:${this.port}`;
        this.output = '';
    }

    /** Starts the process and waits for /readyz. Also after stop() or kill9(): same data, same port. */
    async start() {
        const settings = Object.entries(this.config).map(([name, value]) => `--${name}=${value}`);
        const args = [this.command, '--data', this.data, '--listen', `127.0.0.1:${this.port}`,
            ...settings, ...this.args];
        this.child = spawn(binary, args, {
            cwd: root, env: environment(this.env), detached: true, stdio: ['ignore', 'pipe', 'pipe'],
        });
        running.add(this.child);
        const keep = (bytes) => { this.output = (this.output + bytes).slice(-200_000); };
        this.child.stdout.on('data', keep);
        this.child.stderr.on('data', keep);
        this.ended = new Promise((done) => this.child.once('close', (code, signal) => {
            running.delete(this.child);
            done({ code, signal });
        }));
        let gone = null;
        this.ended.then((how) => { gone = how; });
        await eventually('the server answers /readyz', async () => {
            if (gone) return true;
            const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(2000) });
            await answer.arrayBuffer();
            return answer.status === 200;
        }, this.wait_ms);
        if (gone) throw new Error(`opmaat ${args.join(' ')} ended: ${JSON.stringify(gone)}\n${this.output}`);
        return this;
    }

    async stop({ remove = false } = {}) {
        if (running.has(this.child)) {
            this.child.kill('SIGTERM');
            const late = setTimeout(() => this.signalAll('SIGKILL'), PATIENCE_MS);
            const how = await this.ended;
            clearTimeout(late);
            assert.notEqual(how.signal, 'SIGKILL', `the server did not stop by itself:\n${this.output}`);
        }
        if (remove) rmSync(this.data, { recursive: true, force: true });
    }

    /** Everything at once, the parent process too, as a power cut would. */
    async kill9() {
        this.signalAll('SIGKILL');
        await this.ended;
    }

    signalAll(signal) {
        try { process.kill(-this.child.pid, signal); } catch { /* already gone */ }
    }

    /** fetch on this server. `body` that is no string or bytes is sent as JSON. */
    request(method, path, { body, key, headers = {}, ...rest } = {}) {
        const plain = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
        return fetch(this.url + path, {
            method,
            body: plain ? body : JSON.stringify(body),
            headers: {
                ...(key ? { authorization: `Bearer ${key}` } : {}),
                ...(plain ? {} : { 'content-type': 'application/json' }),
                ...headers,
            },
            ...rest,
        });
    }

    /** The answer's JSON, with the secret key; any status but `status` fails the test. */
    async json(method, path, { status = 200, key = this.secret, ...rest } = {}) {
        const answer = await this.request(method, path, { key, ...rest });
        const text = await answer.text();
        assert.equal(answer.status, status, `${method} ${path}: ${answer.status} ${text}`);
        return text === '' ? null : JSON.parse(text);
    }

    get(path, options) { return this.json('GET', path, options); }
    post(path, body, options) { return this.json('POST', path, { body, ...options }); }
    put(path, body, options) { return this.json('PUT', path, { body, ...options }); }
    delete(path, options) { return this.json('DELETE', path, options); }

    /** Writes and publishes one definition. */
    async publish(definition) {
        const path = `/v1/definitions/${definition.kind}/${definition.key}`;
        await this.put(path, definition);
        return this.post(`${path}/publish`);
    }
}

/**
 * A server that answers. `data`: a folder with data in it already; without it a new one.
 * `config`: settings by name (src/base/config.def). `args`: more arguments. `keys: false`: make none.
 * `command`: 'serve' or 'demo'. Has: url, port, data, secret, write, output.
 */
export async function startServer({
    data = newFolder(), config = {}, args = [], env = {}, source = 'shop', port, keys = true,
    command = 'serve', wait_ms = PATIENCE_MS, basis,
} = {}) {
    const made = keys ? {
        secret: await createKey(data, 'secret', source, basis),
        write: await createKey(data, 'write', source, basis),
    } : {};
    const server = new Server({
        data, config, args, env, command, wait_ms, port: port ?? await freePort(), ...made,
    });
    return server.start();
}
