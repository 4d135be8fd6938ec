// SPDX-License-Identifier: Apache-2.0
//
// deliver.test.mjs - what leaves for other systems: real receivers over HTTP, dead ones, refusals, consent, restarts.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { eventually, freePort, sleep, startServer } from './lib/server.mjs';

let server;
let number = 0;
const id = (prefix) => `${prefix}-${++number}`;

const receivers = [];

/** A receiver: keeps what came; `answer(body)` may say another status than 200. */
async function receiver(answer = () => 200, port = 0) {
    const calls = [];
    const http = createServer((req, res) => {
        const parts = [];
        req.on('data', (part) => parts.push(part));
        req.on('end', () => {
            const text = Buffer.concat(parts).toString();
            const body = JSON.parse(text);
            const status = answer(body);
            if (status === 0) return;                   // never answers
            calls.push({ headers: req.headers, text, body, status });
            res.writeHead(status, { 'content-type': 'text/plain' }).end(status === 200 ? '' : 'not this one');
        });
    });
    await new Promise((done) => http.listen(port, '127.0.0.1', done));
    const taken = () => calls.filter((call) => call.status === 200);
    receivers.push(http);
    return {
        calls, taken, url: `http://127.0.0.1:${http.address().port}/in`,
        rows: () => taken().flatMap((call) => call.body.deliveries ?? call.body.batch ?? []),
        close: () => { http.closeAllConnections(); return new Promise((done) => http.close(done)); },
    };
}

const consented = { context: { consent: { categoryPreferences: { marketing_email: true, ads_sharing: true, analytics: true, personalisation: true } } } };
const refused = { context: { consent: { categoryPreferences: { marketing_email: false, ads_sharing: false, analytics: true, personalisation: true } } } };
const track = (userId, event, properties = {}, more = consented) =>
    server.post('/v1/track', { userId, messageId: id('m'), event, properties, ...more });
const identify = (userId, traits, more = consented) => server.post('/v1/identify', { userId, messageId: id('m'), traits, ...more });
const state = async (key) => (await server.get('/v1/connectors')).connectors.find((one) => one.key === key);
const connector = (key, more) => server.publish({ kind: 'connector', key, title: key, owner: 'kari@shop.no', type: 'webhook', purpose: 'marketing_email', ...more });

before(async () => {
    server = await startServer({ config: { flush_ms: 50 } });
    await server.publish({ kind: 'segment', key: 'viewers', title: 'Viewers', rule: 'count(product_viewed, last 30 days) >= 2' });
    await server.publish({ kind: 'segment', key: 'not_buyers', title: 'Looked, not bought', rule: 'did(product_viewed, last 30 days) and not did(order_completed, last 30 days)' });
});
after(async () => {
    await server?.stop({ remove: true });
    for (const http of receivers) { http.closeAllConnections(); http.close(); }
});

test('R120: events, profiles and memberships leave by webhook, signed, in order', async () => {
    const hook = await receiver();
    await connector('crm', { url: hook.url, secret: 'whsec_c2hvcC1zZWNyZXQ=', authorization: 'Bearer their-key', events: ['Order Completed', 'Bike Fitted'],
        segments: ['viewers'], profiles: true });
    await identify('ana', { email: 'Ana@Example.com', first_name: 'Ana' });
    await track('ana', 'Product Viewed', { product_id: 'p-1' });
    await track('ana', 'Product Viewed', { product_id: 'p-2' });
    await track('ana', 'Bike Fitted', { height: 171 });
    await track('ana', 'Order Completed', { order_id: id('o'), revenue: 20, currency: 'EUR', products: [{ product_id: 'p-1', price: 20 }] });
    await eventually('four rows came', () => hook.rows().length >= 4);
    const rows = hook.rows();
    assert.deepEqual(rows.map((row) => row.kind), ['profile', 'segment_entered', 'event', 'event']);
    assert.equal(rows[0].person.traits.first_name, 'Ana');
    assert.equal(rows[1].segment, 'viewers');
    assert.ok(rows[1].person.identifiers.some((one) => one.kind === 'email' && one.value === 'ana@example.com'));
    assert.equal(rows[2].event.properties.height, 171);
    assert.equal(rows[3].event.type, 'order_completed');
    assert.deepEqual(rows.map((row) => row.sequence), [...rows.map((row) => row.sequence)].sort((a, b) => a - b));
    for (const call of hook.calls) {
        const signed = `${call.headers['webhook-id']}.${call.headers['webhook-timestamp']}.${call.text}`;
        const expected = createHmac('sha256', Buffer.from('c2hvcC1zZWNyZXQ=', 'base64')).update(signed).digest('base64');
        assert.equal(call.headers['webhook-signature'], `v1,${expected}`);
        assert.equal(call.headers.authorization, 'Bearer their-key');
    }
    const shown = await server.get('/v1/definitions/connector/crm');
    assert.ok(!JSON.stringify(shown).includes('c2hvcC1zZWNyZXQ='), 'the secret is not shown');
    assert.ok(!JSON.stringify(shown).includes('their-key'), 'nor the key to their system');
    await hook.close();
});

test('a person who has not agreed does not leave', async () => {
    const hook = await receiver();
    await connector('newsletter', { url: hook.url, events: ['Product Viewed'] });
    await track('said-no', 'Product Viewed', { product_id: 'p-1' }, refused);
    await track('said-nothing', 'Product Viewed', { product_id: 'p-1' }, {});
    await track('said-yes', 'Product Viewed', { product_id: 'p-1' });
    await eventually('all three are dealt with', async () => (await state('newsletter')).withheld === 2 && hook.rows().length === 1);
    assert.ok(!JSON.stringify(hook.calls).includes('said-no'));
    assert.equal((await state('newsletter')).delivered, 1);
    await hook.close();
});

test('a dead receiver slows nobody, is tried again, and gets everything in order once it answers', async () => {
    const port = await freePort();
    const well = await receiver();
    const hanging = await receiver(() => 0);
    await connector('dead', { url: `http://127.0.0.1:${port}/in`, events: ['Product Added'] });
    await connector('hanging', { url: hanging.url, events: ['Product Added'], timeout_ms: 60000 });
    await connector('well', { url: well.url, events: ['Product Added'] });
    for (let i = 0; i < 30; i++) await track('bo', 'Product Added', { product_id: `p-${i}` });
    await eventually('the one that is well has all thirty', () => well.rows().length === 30);
    const red = await eventually('the dead one is red', async () => {
        const now = await state('dead');
        return now.state === 'red' && now.attempts > 0 && now;
    });
    assert.match(red.problem, /no answer/);
    await eventually('thirty wait for it', async () => (await state('dead')).waiting === 30);
    const back = await receiver(() => 200, port);
    await eventually('all thirty came, in order', () => back.rows().length === 30);
    assert.deepEqual(back.rows().map((row) => row.event.properties.product_id), Array.from({ length: 30 }, (_, i) => `p-${i}`));
    await eventually('it is green again', async () => (await state('dead')).state === 'green');
    for (const one of [well, hanging, back]) await one.close();
});

test('what is refused alone goes to the dead letters, with its reason, and can be sent again', async () => {
    let strict = true;
    const hook = await receiver((body) => strict && body.deliveries.some((row) => row.event.properties.product_id === 'bad') ? 422 : 200);
    await connector('strict', { url: hook.url, events: ['Product Clicked'] });
    for (const product_id of ['a', 'b', 'bad', 'c']) await track('cy', 'Product Clicked', { product_id });
    await eventually('the others came', () => hook.rows().length === 3);
    assert.deepEqual(hook.rows().map((row) => row.event.properties.product_id), ['a', 'b', 'c']);
    const letters = await eventually('one is dead', async () => {
        const { dead_letters } = await server.get('/v1/connectors/strict/dead-letters');
        return dead_letters.length === 1 && dead_letters;
    });
    assert.match(letters[0].reason, /answered 422: not this one/);
    assert.equal((await state('strict')).state, 'yellow');
    const turnedDown = () => hook.calls.filter((call) => call.status === 422).length, before = turnedDown();      // alone, or with the batch first
    await server.post(`/v1/connectors/strict/dead-letters/${letters[0].id}/replay`, {}, { status: 202 });
    await eventually('it was refused again and lies there again', async () => turnedDown() > before && !(await server.get('/v1/connectors/strict/dead-letters')).dead_letters[0]?.again);
    strict = false;
    await server.post('/v1/connectors/strict/dead-letters/all/replay', {}, { status: 202 });
    await eventually('none is dead', async () => (await state('strict')).dead === 0);
    assert.equal(hook.rows().at(-1).event.properties.product_id, 'bad');
    await hook.close();
});

test('R68: an advertising platform hears of entering and leaving, hashed, for those who agreed; R69: a buyer leaves', async () => {
    const hook = await receiver();
    await connector('ads', { type: 'ads', url: hook.url, segments: ['not_buyers'], purpose: 'ads_sharing' });
    const sha = (text) => createHash('sha256').update(text).digest('hex');
    const told = (what) => hook.taken().flatMap((call) => call.body.segments).flatMap((one) => one[what]).map((one) => one.email_sha256);
    await identify('dora', { email: 'Dora@Example.com' });
    await identify('eve', { email: 'eve@example.com' }, refused);
    await track('dora', 'Product Viewed', { product_id: 'p-1' });
    await track('eve', 'Product Viewed', { product_id: 'p-1' }, refused);
    await eventually('dora is added', () => told('add').includes(sha('dora@example.com')));
    const file = await (await server.request('GET', '/v1/connectors/ads/ads-file?format=google', { key: server.secret })).text();
    assert.match(file, new RegExp(`^Email,Phone\n(.*\n)*${sha('dora@example.com')},\n`));
    assert.ok(!file.includes(sha('eve@example.com')));
    await track('dora', 'Order Completed', { order_id: id('o'), revenue: 20, currency: 'EUR', products: [{ product_id: 'p-1', price: 20 }] });
    await eventually('dora is removed once she bought', () => told('remove').includes(sha('dora@example.com')));
    assert.ok(!told('add').includes(sha('eve@example.com')));
    await identify('fay', { email: 'fay@example.com' });
    await track('fay', 'Product Viewed', { product_id: 'p-1' });
    await eventually('fay is added', () => told('add').includes(sha('fay@example.com')));
    await track('fay', 'Product Viewed', { product_id: 'p-1' }, refused);
    await eventually('fay is removed once she took it back', () => told('remove').includes(sha('fay@example.com')));
    assert.ok(!JSON.stringify(hook.calls).includes('example.com'), 'no address leaves in the clear');
    await hook.close();
});

test('a poll reads the same rows, page by page, and Segment\'s format is a batch another server takes', async () => {
    const other = await startServer();
    await connector('queue', { type: 'poll', events: ['Coupon Entered'] });
    await connector('forward', { url: `${other.url}/v1/batch`, authorization: `Basic ${Buffer.from(`${other.secret}:`).toString('base64')}`, format: 'segment',
        events: ['Coupon Entered'], segments: ['viewers'] });
    for (let i = 0; i < 5; i++) await track('gil', 'Coupon Entered', { coupon: `c-${i}` });
    const first = await eventually('three rows are there', async () => {
        const page = await server.get('/v1/connectors/queue/poll?limit=3');
        return page.page.deliveries.length === 3 && page;
    });
    const rest = await eventually('and two', async () => {
        const page = await server.get(`/v1/connectors/queue/poll?after=${first.next}`);
        return page.page.deliveries.length === 2 && page;
    });
    assert.deepEqual([...first.page.deliveries, ...rest.page.deliveries].map((row) => row.event.properties.coupon), ['c-0', 'c-1', 'c-2', 'c-3', 'c-4']);
    await eventually('the other server knows gil', async () => {
        const { person_id } = await other.post('/v1/people/lookup', { user_id: 'gil' });
        const { events } = await other.get(`/v1/people/${person_id}/history`);
        return events.filter((event) => event.type === 'coupon_entered').length === 5;
    });
    await other.stop({ remove: true });
});

test('after kill -9 nothing is lost: rows go on from where their receiver stands, and a replay sends them again', async () => {
    const port = await freePort();
    await connector('later', { url: `http://127.0.0.1:${port}/in`, events: ['Product Shared'], batch: 7 });
    const since = new Date().toISOString();
    for (let i = 0; i < 40; i++) await track('hal', 'Product Shared', { product_id: `s-${i}` });
    await server.kill9();
    await server.start();
    const hook = await receiver(() => 200, port);
    const keys = () => hook.rows().map((row) => row.event.properties.product_id);
    await eventually('all forty came', () => new Set(keys()).size === 40);
    assert.deepEqual([...new Set(keys())], Array.from({ length: 40 }, (_, i) => `s-${i}`), 'in order');
    await server.stop();
    await server.start();
    await sleep(400);
    const before = keys().length;
    assert.equal(before, 40, 'a clean restart repeats nothing');
    await server.post('/v1/connectors/later/replay', { since }, { status: 202 });
    await eventually('all forty came again', () => keys().length === 80);
    await server.post('/v1/connectors/later/replay', { since: '2100-01-01T00:00:00Z' }, { status: 404 });
    await hook.close();
});

test('a connector that cannot work is refused with the reason', async () => {
    const wrong = async (more, reason) => {
        const document = { kind: 'connector', key: 'wrong', title: 'x', type: 'webhook', url: 'https://x.example', purpose: 'analytics', events: ['*'], ...more };
        await server.put('/v1/definitions/connector/wrong', document);
        const answer = await server.request('POST', '/v1/definitions/connector/wrong/publish', { key: server.secret });
        assert.equal(answer.status, 422);
        assert.match(await answer.text(), reason);
    };
    await wrong({ url: 'file:///etc/passwd' }, /http or https/);
    await wrong({ purpose: undefined }, /say the purpose/);
    await wrong({ segments: ['viewer'] }, /no published segment/);
    await wrong({ type: 'ads', events: undefined, segments: ['viewers'] }, /only by consent to ads_sharing/);
});
