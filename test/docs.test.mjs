// SPDX-License-Identifier: Apache-2.0
//
// docs.test.mjs - every command in docs/start.md and docs/guide is run, top to bottom, a page at a time, in a
// folder of its own; and the reference pages say what the program says.
//
// The convention: a fenced block marked sh is run. The text block right below it holds lines its output must
// contain, in that order; "…" stands for anything. A page with <!-- after: start --> begins where the start's
// second part ended: with its server, $KEY, $SHOP and ask.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { binary, freePort, newFolder, opmaat, root } from './lib/server.mjs';

const page = (name) => readFileSync(join(root, 'docs', name), 'utf8');
const pages = ['start.md', ...readdirSync(join(root, 'docs/guide'), { recursive: true }).filter((name) => name.endsWith('.md') && name !== 'README.md').sort().map((name) => `guide/${name}`)];

/** The sh blocks of a page, each with the lines that must follow from it. */
function blocks(text) {
    const found = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, kind, body]) => ({ kind, body }));
    const out = [];
    for (const { kind, body } of found) {
        if (kind === 'sh') out.push({ body, wanted: [] });
        if (kind === 'text') out.at(-1).wanted = body.trimEnd().split('\n');
    }
    return out;
}

/** A folder in which the paths of the docs exist. */
function workplace() {
    const folder = newFolder();
    mkdirSync(join(folder, 'build'));
    symlinkSync(binary, join(folder, 'build/opmaat'));
    for (const name of ['docs', 'maps', 'test']) symlinkSync(join(root, name), join(folder, name));
    symlinkSync(join(root, 'test/node_modules'), join(folder, 'node_modules'));
    return folder;
}

const MARK = '=====block';

/** One bash for the whole page; the output of each block, by its number. */
async function run(list, port) {
    const script = ['set -eu -o pipefail', 'trap \'kill $(jobs -p) 2>/dev/null || true\' EXIT',
        ...list.map(({ body }, i) => `echo "${MARK} ${i}"\n${body.replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)}`)].join('\n');
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OPMAAT_')));
    const bash = spawn('bash', ['-c', script], { cwd: workplace(), env: { ...env, NODE_OPTIONS: '' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    bash.stdout.on('data', (bytes) => { out += bytes; });
    bash.stderr.on('data', (bytes) => { err += bytes; });
    const late = setTimeout(() => bash.kill('SIGTERM'), 60_000);
    const code = await new Promise((done) => bash.on('close', done));
    clearTimeout(late);
    const parts = out.split(new RegExp(`${MARK} \\d+\\n`)).slice(1);
    return { code, parts, err };
}

function check(wanted, output, where) {
    let at = 0;
    for (const line of wanted)
        for (const piece of line.split('…')) {
            const found = output.indexOf(piece, at);
            assert.ok(found >= 0, `${where}: after\n${output.slice(0, at)}\nexpected\n${piece}\nin\n${output.slice(at)}`);
            at = found + piece.length;
        }
}

const started = blocks(page('start.md'));

for (const name of pages) {
    const own = blocks(page(name));
    if (own.length === 0) continue;
    test(`docs/${name}: its ${own.length} blocks run, and print what it says`, async () => {
        const before = page(name).includes('<!-- after: start -->') ? started.slice(0, 3) : [];
        const list = [...before, ...own];
        const { code, parts, err } = await run(list, await freePort());
        const last = list[parts.length - 1];
        assert.equal(code, 0, `in this block:\n${last?.body}\nwhich printed\n${parts.at(-1)}\n${err.slice(-2000)}`);
        for (const [i, { wanted }] of list.entries()) check(wanted, parts[i], `docs/${name}, block ${i - before.length + 1}`);
    });
}

test('every link of the docs leads somewhere', () => {
    const all = readdirSync(join(root, 'docs'), { recursive: true }).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
    for (const name of [...all, 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md']) {
        const text = readFileSync(join(root, name), 'utf8').replace(/```[\s\S]*?```/g, '');
        for (const [, to] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
            if (/^[a-z]+:/.test(to)) continue;
            assert.ok(existsSync(join(root, dirname(name), to)), `${name}: ${to}`);
        }
    }
});

test('the reference pages are what the program says', async () => {
    const check = spawn(join(root, 'tools/reference'), ['--check', root], { env: { ...process.env, OPMAAT_BINARY: binary } });
    let out = '';
    check.stdout.on('data', (bytes) => { out += bytes; });
    assert.equal(await new Promise((done) => check.on('close', done)), 0, out);
    const { stdout } = await opmaat(['help']);
    for (const [, name] of stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)) assert.match(page('reference/commands.md'), new RegExp(`^## ${name}$`, 'm'));
});

test('the README names no command that is not there', async () => {
    const { stdout } = await opmaat(['help']);
    const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name);
    for (const file of ['README.md', 'CONTRIBUTING.md', ...pages.map((name) => `docs/${name}`)])
        for (const [, name] of readFileSync(join(root, file), 'utf8').matchAll(/(?:build\/|`)opmaat ([a-z]+)/g))
            assert.ok(names.includes(name) || name === 'help', `${file}: opmaat ${name}`);
});
