// SPDX-License-Identifier: Apache-2.0
//
// segments.test.mjs - what can be asked of groups of people: how they stood, how they overlap, what sets them apart, what a change
// would do; against a real server over HTTP.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startServer } from './lib/server.mjs';

const DAY = 86_400_000;
const ago = (ms) => new Date(Date.now() - ms).toISOString();
let number = 0, server;
const id = (prefix) => `${prefix}-${++number}`;
const track = (userId, event, properties = {}, more = {}) => ({ type: 'track', messageId: id('m'), userId, event, properties, ...more });
const viewed = (userId, product_id, more) => track(userId, 'Product Viewed', { product_id }, more);
const ordered = (userId, revenue, more, product_id = 'jeans-1') => track(userId, 'Order Completed', {
    order_id: id('o'), currency: 'EUR', revenue, products: [{ product_id, price: revenue, quantity: 1 }] }, more);
const identify = (userId, traits, more) => ({ type: 'identify', messageId: id('m'), userId, traits, ...more });
const send = async (batch) => {
    for (let i = 0; i < batch.length; i += 400) await server.post('/v1/batch', { batch: batch.slice(i, i + 400) });
};
const segment = (key, rule, more = {}) => server.publish({ kind: 'segment', key, title: key, rule, ...more });
const counts = async (query = '') => Object.fromEntries((await server.get(`/v1/segments${query}`)).segments.map((s) => [s.key, s.count]));
const lookup = async (who) => (await server.post('/v1/people/lookup', who)).person_id;
const campaign = (key, more = {}) => ({
    kind: 'campaign', key, title: key, goal: 'be of use', placement: 'home', priority: 50,
    experiences: [{ key: 'all', variations: [{ key: 'a', content: { headline: key } }] }], ...more,
});

before(async () => {
    server = await startServer({ config: { flush_ms: 200 } });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    for (const key of ['home', 'mail'])
        await server.publish({ kind: 'placement', key, title: key, channel: key === 'home' ? 'web' : 'email', family: key, default: { headline: 'Welcome' } });
    await server.json('POST', '/v1/import/products', { status: 202, headers: { 'content-type': 'application/x-ndjson' }, body: [
        ...Array.from({ length: 4 }, (_, i) => ({ product_key: `jeans-${i}`, title: `Jeans ${i}`, category: 'Jeans', price: { minor: 5000, currency: 'EUR' } })),
        ...Array.from({ length: 4 }, (_, i) => ({ product_key: `kettle-${i}`, title: `Kettle ${i}`, category: 'Kettles', price: { minor: 3000, currency: 'EUR' } })),
    ].map((one) => JSON.stringify(one)).join('\n') });
});
after(() => server?.stop({ remove: true }));

test('any past instant: counts, overlap, a person, a trend, and the difference with its reasons', async () => {
    const at = (days) => ({ timestamp: ago(days * DAY) });
    await send([
        ...[12, 11, 10].map((d) => viewed('ana', 'jeans-1', at(d))),            // three within 7 days until day 5
        ...[4, 3, 2].map((d) => viewed('bo', 'jeans-1', at(d))),                // three from day 2 on
        ...[12, 11, 2, 1, 0.5].map((d) => viewed('cy', 'jeans-1', at(d))),      // three from day 0.5 on
        identify('ana', { city: 'Oslo' }, at(11.5)),
    ]);
    await segment('lookers', 'count(product_viewed, last 7 days) >= 3');
    await segment('osloers', 'city = "Oslo"');
    assert.deepEqual(await counts(), { lookers: 2, osloers: 1 });
    const then = `?at=${ago(9 * DAY)}&identity=now`;
    assert.deepEqual(await counts(then), { lookers: 1, osloers: 1 });
    assert.deepEqual(await counts(`?at=${ago(11.8 * DAY)}&identity=now`), { lookers: 0, osloers: 0 });
    assert.equal((await server.get(`/v1/segments/lookers${then}`)).segments[0].count, 1);
    assert.equal((await server.get(`/v1/segments/overlap?keys=lookers,osloers&at=${ago(9 * DAY)}`)).all, 1);
    assert.equal((await server.get('/v1/segments/overlap?keys=lookers,osloers')).all, 0);

    const ana = await lookup({ user_id: 'ana' });
    const stood = await server.get(`/v1/people/${ana}?at=${ago(11.8 * DAY)}`);
    assert.deepEqual([stood.traits.some((t) => t.name === 'city'), stood.counters.events, stood.segments.length], [false, 1, 0]);
    assert.deepEqual((await server.get(`/v1/people/${ana}?at=${ago(9 * DAY)}`)).segments.map((s) => s.key).sort(), ['lookers', 'osloers']);
    await server.get(`/v1/people/${ana}?at=${ago(40 * DAY)}`, { status: 404 });
    await server.get(`/v1/people/${ana}?at=${ago(-DAY)}`, { status: 400 });

    const diff = await server.get(`/v1/segments/lookers/diff?from=${ago(9 * DAY)}&to=${ago(0)}&identity=now`);
    assert.deepEqual([diff.before, diff.after, diff.entered, diff.left, diff.stayed], [1, 2, 2, 1, 0]);
    const left = diff.people.find((p) => p.moved === 'left');
    assert.equal(left.person_id, ana);
    assert.deepEqual([left.why[0].was, left.why[0].is], ['3', '0']);
    assert.match(left.why[0].rule, /count\(product_viewed, last 7 days\) >= 3/);
    assert.equal(diff.left_because[0].people, 1);
    const first = await server.get(`/v1/segments/lookers/diff?from=${ago(9 * DAY)}&identity=now&limit=1`);
    const rest = await server.get(`/v1/segments/lookers/diff?from=${ago(9 * DAY)}&identity=now&after=${first.next}`);
    assert.deepEqual([...first.people, ...rest.people].map((p) => p.person_id), diff.people.map((p) => p.person_id));

    const { points } = await server.get('/v1/segments/lookers/trend?days=14');
    assert.equal(points.length, 15);
    assert.deepEqual([points[0].count, points[5].count, points.at(-1).count], [0, 1, 2]);
});

test('identity as of then: people joined since are counted apart', async () => {
    await send([viewed('one', 'jeans-1'), viewed('two', 'jeans-1')]);
    await segment('both', 'did(product_viewed, last 1 days)');
    const [a, b] = [await lookup({ user_id: 'one' }), await lookup({ user_id: 'two' })];
    const before = (await counts()).both, instant = new Date().toISOString();
    await new Promise((done) => setTimeout(done, 20));
    await server.post(`/v1/people/${a}/merge`, { with: b });
    assert.equal((await counts()).both, before - 1);
    const then = await server.get(`/v1/segments/both?at=${instant}`);
    assert.deepEqual([then.segments[0].count, then.joined_since], [before, 1]);
    assert.equal((await server.get(`/v1/segments/both?at=${instant}&identity=now`)).segments[0].count, before - 1);
    assert.equal((await server.get(`/v1/people/${a}?at=${instant}`)).people_then, 2);
    await server.post('/v1/definitions/segment/both/archive');
});

test('R26: from the jeans segment two children are made in one action; counts are exact, disjoint and sum to the parent less unknown', async () => {
    const who = ['female', 'female', 'Female', 'male', 'male', 'robot', null, null].map((gender) => [id('split'), gender]);
    await send(who.flatMap(([userId, gender]) => [...(gender ? [identify(userId, { gender })] : []), viewed(userId, 'jeans-0'), viewed(userId, 'jeans-2')]));
    await segment('jeans', 'count(product_viewed where product = "jeans-2") >= 1', { title: 'Jeans' });
    const split = await server.post('/v1/segments/jeans/split', { by: 'gender' });
    assert.deepEqual(split.children.map((c) => [c.key, c.count]),
        [['jeans_women', 3], ['jeans_men', 2], ['jeans_robot', 1], ['jeans_other', 0], ['jeans_unknown', 2]]);
    assert.deepEqual([split.count, split.sum, split.unknown], [8, 6, 2]);
    assert.equal((await server.get('/v1/segments/overlap?keys=jeans_women,jeans_men')).all, 0);
    await send([viewed('late', 'jeans-2'), identify('late', { gender: 'elf' })]);        // a value that came later
    const now = await counts();
    assert.equal(now.jeans, ['women', 'men', 'robot', 'other', 'unknown'].reduce((sum, k) => sum + now[`jeans_${k}`], 0));
    assert.equal(now.jeans_other, 1);
    assert.equal((await server.post('/v1/segments/jeans/split', { by: 'gender' })).count, 9);       // again: new revisions
    await segment('jeans_oslo', 'true');
    await server.post('/v1/segments/jeans/split', { by: 'shoe' }, { status: 422 });
    await send([identify('late', { city: 'Oslo' })]);
    await server.post('/v1/segments/jeans/split', { by: 'city' }, { status: 409 });
    await server.post('/v1/definitions/segment/jeans_oslo/archive');

    const csv = await (await server.request('GET', '/v1/segments/jeans_men/members?format=csv', { key: server.secret })).text();
    assert.equal(csv.split('\r\n')[0], 'person_id,display,entered_at,last_at');
    assert.equal(csv.trim().split('\r\n').length, 3);
});

test('R29: an overlap matrix with exact shared counts for any chosen segments, and the winner rule for shared members', async () => {
    const people = Array.from({ length: 7 }, () => id('lap'));
    await send(people.map((userId, i) => identify(userId, { lap_a: i < 5, lap_b: i >= 2 })));       // shared: 2, 3, 4
    await segment('lap_a', 'lap_a = true');
    await segment('lap_b', 'lap_b = true');
    const to = (key) => [{ key: 'x', target: `in segment "${key}"`, variations: [{ key: 'a', content: { headline: key } }] }];
    await server.publish(campaign('for_a', { priority: 20, experiences: to('lap_a') }));
    await server.publish(campaign('for_b', { priority: 10, experiences: to('lap_b') }));
    const got = await server.get('/v1/segments/overlap?keys=lap_a,lap_b,jeans');
    assert.deepEqual(got.segments.map((s) => s.count).slice(0, 2), [5, 5]);
    assert.deepEqual(got.pairs.map((p) => p.count), [3, 0, 0]);
    const { winners, winners_of } = await server.get('/v1/segments/overlap?keys=lap_a,lap_b');
    assert.equal(winners_of, 3);
    const home = winners.find((w) => w.placement === 'home');
    const won = home.won_by[0];
    assert.deepEqual([won.people, won.over !== undefined, home.nobody], [3, true, 0]);
    const said = await server.post('/v1/decide', { person: { user_id: people[3] }, placements: ['home'] });
    assert.equal(said.decisions.home.content.headline, won.campaign === 'for_a' ? 'lap_a' : 'lap_b');
    assert.match(won.why, /priority \d+ goes before \d+/);
    for (const key of ['for_a', 'for_b']) await server.post(`/v1/definitions/campaign/${key}/archive`);
});
