// SPDX-License-Identifier: Apache-2.0
//
// rest.test.mjs - people of whom nothing was heard for a while are kept compressed, and nobody can tell.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, opmaat, startServer } from './lib/server.mjs';

const people = 1500;
const asked = [1, 2, 3, 77, 500, people - 1];

/** A gauge of /metrics. */
async function gauge(server, name) {
    const text = await (await server.request('GET', '/metrics', { key: server.secret })).text();
    return Number(new RegExp(`^opmaat_${name} (\\d+)$`, 'm').exec(text)[1]);
}

test('who rests is compressed, is answered for as before, and wakes when something happens', async (t) => {
    const server = await startServer({ config: { people_plain_mb: 0, flush_ms: 50 } });
    t.after(() => server.stop({ remove: true }));
    await server.publish({ kind: 'segment', key: 'lookers', title: 'Lookers', rule: 'count(product_viewed, last 30 days) >= 2' });
    const yesterday = new Date(Date.now() - 86_400_000).toISOString();
    const batch = [];
    for (let i = 0; i < people; i++) {
        const call = { userId: `u${i}`, type: 'track', timestamp: yesterday, event: 'Product Viewed' };
        batch.push({ userId: `u${i}`, type: 'identify', timestamp: yesterday, traits: { city: `town${i % 7}` } });
        for (let k = 0; k <= i % 3; k++) batch.push({ ...call, properties: { product_id: `p${i + k}`, price: 5 } });
    }
    for (let at = 0; at < batch.length; at += 2000) await server.post('/v1/batch', { batch: batch.slice(at, at + 2000) });
    const whole = async () => JSON.stringify([(await server.get('/v1/segments/lookers')).count,
        await Promise.all(asked.map((i) => server.get(`/v1/people/p_${i}`)))]);
    const before = await whole();
    assert.match(before, /^\[[1-9]/);

    await server.stop();                                // what is loaded counts as heard of when it last was
    await server.start();
    await eventually('everybody is compressed', async () => await gauge(server, 'people_cold_bytes') > 0 && await gauge(server, 'people_plain_bytes') === 0);
    assert.equal(await whole(), before);

    const { person_id: id } = await server.post('/v1/people/lookup', { user_id: 'u3' });
    await server.post('/v1/track', { userId: 'u3', event: 'Product Viewed', properties: { product_id: 'p9' } });
    assert.match(JSON.stringify(await server.get(`/v1/people/${id}/history?limit=1`)), /"p9"/);
    assert.ok(await gauge(server, 'people_plain_bytes') > 0);
    await server.stop();
    const { stdout } = await opmaat(['verify', '--data', server.data]);
    assert.match(stdout, /state/);
});
