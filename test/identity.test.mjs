// SPDX-License-Identifier: Apache-2.0
//
// identity.test.mjs - one person out of many systems, and what is refused on the way.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';

import { eventually, opmaat, startServer } from './lib/server.mjs';

const basis = { analytics: 'contract', personalisation: 'contract' };
const keys = {};
let server;

before(async () => {
    server = await startServer({ config: { flush_ms: 100 } });
    for (const key of ['commerce', 'app', 'analytics', 'crm', 'erp', 'pos', 'loyalty']) {
        await server.publish({ kind: 'source', key, title: key, owner: 'kari', basis, currency: 'EUR', identity_secret: 'a secret of sixteen' });
        keys[key] = (await server.post('/v1/keys', { kind: 'secret', source: key })).key;
    }
    keys.web = (await server.post('/v1/keys', { kind: 'write', source: 'commerce' })).key;
});
after(async () => {
    await server.stop();
    await opmaat(['verify', '--data', server.data]);
});

const load = async (kind, source, body) => {
    const { job } = await server.post(`/v1/import/${kind}?source=${source}`, body, { status: 202 });
    const done = await eventually('the import', async () => { const one = await server.get(`/v1/jobs/${job}`); return one.state !== 'waiting' && one.state !== 'running' && one; });
    assert.deepEqual([done.state, done.refused], ['done', 0]);
};
const find = async (who) => (await server.post('/v1/people/lookup', who)).person_id;

test('R1: the same person from seven sources is one profile, and every field names its source and time', async () => {
    await load('customers', 'crm', 'user_id,email,first_name,at\nana,ana@shop.example,Ana,2026-01-02\n');
    await load('customers', 'erp', 'erp_id,email,credit_limit,at\n100042,ana@shop.example,5000,2026-01-03\n');
    await load('orders', 'pos', 'order_key,product_key,quantity,at,price,phone\nR1,lamp,1,2026-01-04,20,+4790000001\n');
    await load('customers', 'loyalty', 'member_id,phone,email,level,at\nM-77,+4790000001,ana@shop.example,gold,2026-01-05\n');
    await server.post('/v1/track', { userId: 'ana', event: 'Order Completed', properties: { order_id: 'W1', revenue: 10, products: [{ product_id: 'mug', price: 10 }] } }, { key: keys.commerce });
    await server.post('/v1/screen', { userId: 'ana', name: 'Home', context: { device: { id: 'phone-1' } } }, { key: keys.app });
    await server.post('/v1/page', { userId: 'ana', anonymousId: 'cookie-1', context: { campaign: { source: 'news', name: 'spring' } } }, { key: keys.analytics });
    const ids = [{ user_id: 'ana' }, { email: 'ana@shop.example' }, { erp_id: '100042' }, { phone: '+4790000001' }, { member_id: 'M-77' }, { device_id: 'phone-1' }, { anonymous_id: 'cookie-1' }];
    const people = new Set(await Promise.all(ids.map(find)));
    assert.equal(people.size, 1, 'R18 along the way: every identifier leads to one id');
    const ana = await server.get(`/v1/people/${[...people][0]}`);
    assert.equal(ana.counters.orders, 2);
    const of = (name) => { const { value, source, at } = ana.traits.find((one) => one.name === name); return [value, source, at]; };
    assert.deepEqual(of('first_name'), ['Ana', 'crm', '2026-01-02T00:00:00.000Z']);
    assert.deepEqual(of('credit_limit'), [5000, 'erp', '2026-01-03T00:00:00.000Z']);
    assert.deepEqual(of('level'), ['gold', 'loyalty', '2026-01-05T00:00:00.000Z']);
    assert.deepEqual(of('first_source').slice(0, 2), ['news', 'analytics']);
    for (const one of [...ana.traits, ...ana.identifiers, ...ana.consent]) assert.ok(one.source && Date.parse(one.at) > 0, JSON.stringify(one));
    assert.deepEqual(new Set(ana.identifiers.map((one) => one.source)), new Set(['crm', 'erp', 'pos', 'loyalty', 'app', 'analytics']));
    const { events } = await server.get(`/v1/people/${ana.person_id}/history`);
    assert.deepEqual(events.filter((one) => one.type === 'order_completed').map((one) => one.source).sort(), ['commerce', 'pos']);
});

test('identifiers are given in the shape of Segment\'s Profile API', async () => {
    const path = '/v1/spaces/any/collections/users/profiles';
    const { data, cursor } = await server.get(`${path}/user_id:ana/external_ids`);
    assert.deepEqual(data.find((one) => one.type === 'erp_id'), { id: '100042', type: 'erp_id', source_id: 'erp', collection: 'users', created_at: data.find((one) => one.type === 'erp_id').created_at, encoding: 'none' });
    assert.deepEqual([cursor.has_more, cursor.next, data.length], [false, '', 7]);
    const first = await server.get(`${path}/${encodeURIComponent('email:Ana@shop.example')}/external_ids?limit=5`);
    const second = await server.get(`${path}/member_id:M-77/external_ids?limit=5&next=${first.cursor.next}`);
    assert.deepEqual([...first.data, ...second.data], data);
    await server.get(`${path}/user_id:nobody/external_ids`, { status: 404 });
    await server.get(`${path}/shoe_size:43/external_ids`, { status: 400 });
});

test('a refused link is a record with its reason: a claim, a shared browser; a signed claim is none', async () => {
    const post = (path, body) => server.post(path, body, { key: keys.web });
    await post('/v1/identify', { userId: 'ana', anonymousId: 'thief', traits: { email: 'ana@shop.example' } });
    assert.notEqual(await find({ anonymous_id: 'thief' }), await find({ user_id: 'ana' }));
    await server.post('/v1/identify', { userId: 'bo', anonymousId: 'ipad' }, { key: keys.commerce });
    await server.post('/v1/identify', { userId: 'cy', anonymousId: 'ipad' }, { key: keys.commerce });
    assert.notEqual(await find({ user_id: 'bo' }), await find({ user_id: 'cy' }), 'the second log-in on one browser is another person');
    const refusals = async (query = '') => (await server.get(`/v1/identity/refusals${query}`)).refusals;
    const [shared] = await refusals('?reason=other_person');
    assert.deepEqual([shared.kind, shared.value, shared.person, shared.other, shared.source], ['anonymous_id', 'ipad', await find({ user_id: 'cy' }), await find({ user_id: 'bo' }), 'commerce']);
    assert.deepEqual((await refusals('?reason=claimed')).map((one) => [one.kind, one.trust]).sort(), [['email', 'claimed'], ['user_id', 'claimed']]);
    assert.equal((await refusals('?since=2100-01-01')).length, 0);
    const page = await server.get('/v1/identity/refusals?limit=2');
    assert.equal((await refusals(`?before=${page.next}`)).length, 1);

    const userHash = createHmac('sha256', 'a secret of sixteen').update('dee').digest('hex');
    await post('/v1/identify', { userId: 'dee', anonymousId: 'dee-browser', context: { userHash } });
    assert.equal(await find({ user_id: 'dee' }), await find({ anonymous_id: 'dee-browser' }));
    assert.equal((await refusals()).length, 3);
});

test('a value many people share joins nobody once it is blocked, and alias joins two user ids for good', async () => {
    await server.put('/v1/definitions/settings/identity', { kind: 'settings', key: 'identity', blocked: { shoe: ['43'] } });
    await server.post('/v1/definitions/settings/identity/publish', undefined, { status: 422 });
    await server.publish({ kind: 'settings', key: 'identity', blocked: { email: ['Till@shop.example'], phone: ['+47 22 00 00 00'] } });
    await load('customers', 'pos', 'user_id,email,phone\neva,till@shop.example,\nfay,till@shop.example,\ngro,,0047 22000000\n');
    assert.notEqual(await find({ user_id: 'eva' }), await find({ user_id: 'fay' }));
    await server.post('/v1/people/lookup', { email: 'till@shop.example' }, { status: 404 });
    const { found } = await server.get('/v1/sources/pos');
    assert.deepEqual(found.map((one) => [one.what, one.count]).filter(([what]) => /blocked/.test(what)), [['a blocked email was left out', 2], ['a blocked phone was left out', 1]]);
    await server.post('/v1/alias', { userId: 'gro', previousId: 'gro-old' }, { key: keys.commerce });
    await server.post('/v1/track', { userId: 'gro-old', event: 'Product Viewed', properties: { product_id: 'lamp' } }, { key: keys.commerce });
    assert.equal(await find({ user_id: 'gro-old' }), await find({ user_id: 'gro' }));
});

test('R19: a merge is listed on the person with why, and its undoing gives back both people', async () => {
    await server.post('/v1/track', { anonymousId: 'han-browser', event: 'Product Viewed', properties: { product_id: 'lamp' } }, { key: keys.commerce });
    const stranger = await find({ anonymous_id: 'han-browser' });
    const was = await server.get(`/v1/people/${stranger}`);
    await server.post('/v1/identify', { userId: 'han', anonymousId: 'han-browser', traits: { first_name: 'Han' } }, { key: keys.commerce });
    const han = await find({ user_id: 'han' });
    const { merges, counters } = await server.get(`/v1/people/${han}`);
    assert.deepEqual([merges.length, /one event of commerce named both/.test(merges[0].why), counters.events > 1], [1, true, true]);
    const { people } = await server.post(`/v1/people/${han}/split`, { merge_id: merges[0].merge_id });
    assert.equal(people.length, 2);
    const back = await server.get(`/v1/people/${await find({ anonymous_id: 'han-browser' })}`);
    assert.deepEqual([back.person_id, back.known, back.counters, back.traits], [stranger, was.known, was.counters, was.traits]);
    assert.deepEqual((await server.get(`/v1/people/${await find({ user_id: 'han' })}`)).traits.map((one) => one.value), ['Han']);
});

test('quiz answers are declared facts, above what others say, and a rule can ask for one', async () => {
    await server.publish({ kind: 'segment', key: 'dry_skin', title: 'Dry skin', rule: 'quiz("skin-type") = "dry"' });
    await server.post('/v1/track', { userId: 'ida', event: 'Quiz Answered', properties: { quiz: 'skin', question: 'skin-type', answer: 'dry' } }, { key: keys.commerce });
    const ida = await server.get(`/v1/people/${await find({ user_id: 'ida' })}`);
    assert.deepEqual(ida.traits.map((one) => [one.name, one.value, one.origin, one.source]), [['quiz.skin-type', 'dry', 'declared', 'commerce']]);
    assert.deepEqual(ida.segments.map((one) => one.key), ['dry_skin']);
});
