// SPDX-License-Identifier: Apache-2.0
//
// whole.test.mjs - everything out and in again: the same counts, the same digest.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { newFolder, opmaat, startServer } from './lib/server.mjs';

const lines = (text) => text.trimEnd().split('\n');
const digest = (report) => report.match(/^state +(\w+)$/m)[1];

test('R3: everything exported and loaded into an empty instance has the same counts and checksum', async () => {
    const server = await startServer({ config: { flush_ms: 100 } });
    await server.publish({ kind: 'segment', key: 'viewers', title: 'Viewers', rule: 'count(product_viewed, last 30 days) >= 1' });
    for (let i = 0; i < 40; i++) {
        await server.post('/v1/batch', { batch: [
            { type: 'identify', messageId: `i${i}`, userId: `u${i}`, anonymousId: `a${i % 30}`, traits: { email: `u${i}@shop.example`, plan: i } },
            { type: 'track', messageId: `t${i}`, anonymousId: `a${i % 30}`, event: 'Product Viewed', properties: { product_id: `p${i % 7}` } },
            { type: 'track', messageId: `o${i}`, userId: `u${i}`, event: 'Order Completed',
                properties: { order_id: `o${i}`, revenue: 10 + i, currency: 'EUR', products: [{ product_id: `p${i % 7}`, price: 10 + i, quantity: 1 }] } },
            { type: 'track', messageId: `d${i}`, userId: `u${i}`, event: 'Order Completed', properties: { order_id: `x${i}`, revenue: 'much' } },
        ] });
    }
    const [a, b] = await Promise.all(['u1', 'u2'].map(async (user_id) => (await server.post('/v1/people/lookup', { user_id })).person_id));
    await server.post(`/v1/people/${a}/merge`, { with: b });
    await server.post('/v1/decide', { person: { user_id: 'u3' }, placements: ['nowhere'] });
    const events = lines(await (await server.request('GET', '/v1/export/events', { key: server.secret })).text()).map(JSON.parse);
    assert.equal(events.filter((one) => one.type === 'order_completed').length, 40);
    const paged = lines(await (await server.request('GET', '/v1/export/log?limit=50', { key: server.secret })).text()).map(JSON.parse);
    assert.ok(paged.length >= 51 && Number(paged.at(-1).next) === paged.at(-2).ref);
    await server.stop();

    const { stdout } = await opmaat(['export', 'all', '--data', server.data]);
    const said = JSON.parse(lines(stdout).at(-1));
    assert.deepEqual([said.counts.orders, said.counts.dead_letters, said.counts.events >= 120], [40, 40, true]);
    const file = join(newFolder(), 'whole.ndjson.gz');
    const copy = join(newFolder(), 'copy');
    writeFileSync(file, gzipSync(stdout));
    const taken = await opmaat(['import', 'all', file, '--data', copy]);
    assert.deepEqual(JSON.parse(taken.stdout), said);
    const [one, two] = await Promise.all([server.data, copy].map((data) => opmaat(['verify', '--data', data])));
    assert.equal(digest(two.stdout), digest(one.stdout));
    assert.equal(digest(two.stdout), said.digest);
    assert.equal((await opmaat(['export', 'all', '--data', copy])).stdout, stdout, 'and what goes out again is the same, to the byte');
    const again = await startServer({ data: copy, keys: false });
    again.secret = server.secret;
    const { person_id } = await again.post('/v1/people/lookup', { user_id: 'u2' });
    assert.equal(person_id, a, 'its keys work, and its people are who they were');
    assert.equal((await again.get('/v1/dead-letters?limit=1000')).dead_letters.length, 40);
    await again.stop();

    const refused = await opmaat(['import', 'all', file, '--data', server.data], { ok: false });
    assert.match(refused.stderr, /not empty/);
    for (const [cut, says] of [[lines(stdout).slice(0, -1).join('\n'), /cut short/], [lines(stdout).slice(1).join('\n'), /line 1: expected entry 1/],
        [stdout.replace('"digest":"', '"digest":"0'), /not what the export said/]]) {
        const path = join(newFolder(), 'cut.ndjson');
        writeFileSync(path, cut);
        const wrong = await opmaat(['import', 'all', path, '--data', join(newFolder(), 'new')], { ok: false });
        assert.equal(wrong.code, 1);
        assert.match(wrong.stderr, says);
    }
});
