// SPDX-License-Identifier: Apache-2.0
//
// definition-files.test.mjs - definitions as files: written out, looked through, applied, to another shop too.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { newFolder, opmaat } from './lib/server.mjs';

const folder = newFolder();
const data = join(folder, 'shop');
const files = join(folder, 'files');
mkdirSync(files);
const put = (name, doc, to = files) => writeFileSync(join(to, name), JSON.stringify(doc));
const run = (...words) => opmaat([...words, '--data', data], { ok: false });

const settings = { kind: 'settings', key: 'shop', currency: 'NOK' };
const buyers = { kind: 'segment', key: 'buyers', title: 'Buyers', rule: 'did(order_completed, last 90 days)' };
const loyal = { kind: 'segment', key: 'a-loyal', title: 'Loyal', rule: 'in segment "buyers" and count(order_completed) >= 3' };
const hook = { kind: 'connector', key: 'hook', type: 'webhook', url: 'https://shop.example/in', purpose: 'analytics',
    events: ['order_completed'], secret: 'whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ' };

test('files are applied in whatever order they need, and what says the same is left alone', async () => {
    put('1.json', loyal);                   // named before what it refers to
    put('2.json', buyers);
    put('3.json', settings);
    put('4.json', hook);
    const first = await run('apply', files);
    assert.equal(first.code, 0, first.stderr);
    assert.deepEqual(first.stdout.trim().split('\n').sort(), ['connector hook', 'segment a-loyal', 'segment buyers', 'settings shop']);
    put('2.json', { ...buyers, rule: 'did(order_completed, last 60 days)' });
    const second = await run('apply', files);
    assert.equal(second.stdout, 'segment buyers\n3 unchanged\n');
    assert.equal((await run('diff', files)).code, 0);
});

test('what is published is written out without its secrets, and applying that keeps them', async () => {
    const out = join(folder, 'out');
    assert.match((await run('export-definitions', out)).stdout, /^4 definitions$/m);
    assert.deepEqual(readdirSync(out).sort(), ['connector.hook.json', 'segment.a-loyal.json', 'segment.buyers.json', 'settings.shop.json']);
    assert.deepEqual(JSON.parse(readFileSync(join(out, 'segment.a-loyal.json'))), loyal);
    assert.equal(JSON.parse(readFileSync(join(out, 'connector.hook.json'))).secret, '(kept)');
    assert.equal((await run('apply', out)).stdout, '4 unchanged\n');
    assert.match((await run('log', 'cat')).stdout + (await run('export', 'all')).stdout, /whsec_c2VjcmV0/);
    // A file of the same definition keeps its own name, and one of nothing here is left.
    writeFileSync(join(out, 'mine.json'), readFileSync(join(out, 'segment.buyers.json')));
    rmSync(join(out, 'segment.buyers.json'));
    put('gone.json', { kind: 'segment', key: 'gone', rule: 'did(login)' }, out);
    const again = await run('export-definitions', out);
    assert.match(again.stderr, /gone\.json: segment\/gone is not published here; the file was left/);
    assert.equal(readdirSync(out).includes('segment.buyers.json'), false);
});

test('a diff names what differs, line by line, and a secret without showing it', async () => {
    const other = join(folder, 'other');
    await run('export-definitions', other);
    put('segment.buyers.json', { ...buyers, rule: 'did(order_completed, last 30 days)' }, other);
    put('connector.hook.json', { ...hook, secret: 'whsec_b3RoZXItb3RoZXItb3RoZXI' }, other);
    put('segment.new.json', { kind: 'segment', key: 'new', rule: 'did(product_viewed)' }, other);
    rmSync(join(other, 'settings.shop.json'));
    const { code, stdout } = await run('diff', other);
    assert.equal(code, 1);
    assert.match(stdout, /^differs: segment buyers\n {4}- {3}"rule": "did\(order_completed, last 60 days\)"\n {4}\+ {3}"rule": "did\(order_completed, last 30 days\)"$/m);
    assert.match(stdout, /^differs: connector hook\n {4}a secret$/m);
    assert.match(stdout, /^only in the files: segment new$/m);
    assert.match(stdout, /^only in the folder: settings shop$/m);
    assert.doesNotMatch(stdout, /whsec_/);
});

test('a file that is no definition, twice the same one, and a mistake: each is named and nothing is lost', async () => {
    const bad = join(folder, 'bad');
    mkdirSync(bad);
    put('a.json', buyers, bad);
    writeFileSync(join(bad, 'b.json'), '{"kind": "segment"');
    assert.match((await run('apply', bad)).stderr, /b\.json: /);
    put('b.json', { ...buyers, title: 'Again' }, bad);
    assert.match((await run('apply', bad)).stderr, /are both segment\/buyers/);
    put('b.json', { kind: 'segment', key: 'wrong', rule: 'count(product_viewd) > 1' }, bad);
    const { code, stderr } = await run('apply', bad);
    assert.equal(code, 1);
    assert.match(stderr, /b\.json: .*product_viewed/);
    assert.match((await run('apply', join(folder, 'nowhere'))).stderr, /cannot be read/);
});
