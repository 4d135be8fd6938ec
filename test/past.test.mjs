// SPDX-License-Identifier: Apache-2.0
//
// past.test.mjs - a person and segments as they were: what was said again since is read from the log, on the real server.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startServer } from './lib/server.mjs';

const DAY = 86_400_000;
const ago = (days) => new Date(Date.now() - days * DAY).toISOString();
let server, id;

before(async () => {
    server = await startServer({ config: { flush_ms: 100 } });
    const says = (userId, plan, days) => ({ type: 'identify', userId, timestamp: ago(days), traits: { plan } });
    await server.post('/v1/batch', { batch: [says('ana', 'gold', 30), says('bo', 'gold', 30), says('ana', 'silver', 20), says('cy', 'gold', 5)] });
    await server.post('/v1/batch', { batch: [says('ana', 'bronze', 10), says('bo', 'gold', 2)] });
    await server.publish({ kind: 'segment', key: 'gold', title: 'Gold', rule: 'plan = "gold"' });
    id = (await server.post('/v1/people/lookup', { user_id: 'ana' })).person_id;
});
after(() => server.stop({ remove: true }));

const plan = async (days) => (await server.get(`/v1/people/${id}?at=${ago(days)}`)).traits.find((t) => t.name === 'plan')?.value;
const gold = async (days) => (await server.get(`/v1/segments/gold?at=${ago(days)}`)).segments?.[0].count;

test('a fact is what it was then, however often it was said since', async () => {
    assert.deepEqual([await plan(25), await plan(15), await plan(5)], ['gold', 'silver', 'bronze']);
    const then = await server.get(`/v1/people/${id}?at=${ago(15)}`);
    assert.equal(then.facts_from, null, 'the log was read from its beginning');
    await server.get(`/v1/people/${id}?at=${ago(40)}`, { status: 404 });
});

test('segments, reasons and differences ask the facts of then', async () => {
    assert.deepEqual([await gold(25), await gold(15), await gold(4), await gold(1)], [2, 1, 2, 2]);
    const { segments } = await server.get(`/v1/people/${id}/segments?at=${ago(25)}`);
    assert.deepEqual(segments.map((s) => s.key), ['gold']);
    const diff = await server.get(`/v1/segments/gold/diff?from=${ago(25)}&to=${ago(1)}`);
    assert.deepEqual([diff.before, diff.after, diff.entered, diff.left, diff.stayed], [2, 2, 1, 1, 1]);
    const left = diff.people.find((row) => row.moved === 'left');
    assert.match(left.why[0].was, /gold/);
    const why = await server.get(`/v1/people/${id}/explain?segment=gold&at=${ago(25)}`);
    assert.equal(why.member ?? why.holds ?? why.is, true);
});
