// SPDX-License-Identifier: Apache-2.0
//
// sdk.test.mjs - the server SDKs that shops have already, unmodified: only their host is changed. And the
// edges of the collect routes that such clients meet: limits, keys, poisonous events, browsers' preflights.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { PATIENCE_MS, eventually, opmaat, newFolder, startServer } from './lib/server.mjs';

const require = createRequire(import.meta.url);
const { Analytics } = require('@segment/analytics-node');
const RudderAnalytics = require('@rudderstack/rudder-sdk-node');

const config = { flush_ms: 100 };
let server;
before(async () => { server = await startServer({ config }); });
after(() => server?.stop({ remove: true }));

const basic = (key) => `Basic ${Buffer.from(`${key}:`).toString('base64')}`;
const person = async (id) => {
    const { person_id } = await server.post('/v1/people/lookup', id);
    return server.get(`/v1/people/${person_id}`);
};
const events = async (of) => (await server.get(`/v1/people/${of}/history?limit=200`)).events;
const source = async (key = 'shop') => (await server.get('/v1/sources')).sources.find((one) => one.key === key);

/** An SDK's call with a callback, as a promise. */
const call = (sdk, type, message) => new Promise((done, failed) => {
    sdk[type](message, (error) => (error ? failed(error) : done()));
});

/** What the log of a folder holds, decoded. The server must not run. */
async function logged(data) {
    const { stdout } = await opmaat(['log', 'cat', '--data', data]);
    return stdout.trim().split('\n').map((line) => JSON.parse(line));
}

const order = (id) => ({
    order_id: id, total: 129.9, revenue: '119.90', tax: 10, currency: 'EUR',
    products: [
        { product_id: 'jeans-1', sku: 'jeans-1-32', name: 'Slim jeans', category: 'Women > Jeans', price: 49.95, quantity: 2 },
        { product_id: 'belt-1', name: 'Belt', price: '20', quantity: 1 },
    ],
});

/** All six call types by one person, and a shop's day. `tag` keeps the persons of two clients apart. */
const day = (tag) => [
    ['identify', { userId: `${tag}-ana`, traits: { email: `${tag}-ana@example.com`, plan: 'gold', age: 34 } }],
    ['track', { userId: `${tag}-ana`, event: 'Product Viewed',
        properties: { product_id: 'jeans-1', name: 'Slim jeans', category: 'Women > Jeans', price: 49.95, currency: 'EUR' } }],
    ['track', { userId: `${tag}-ana`, event: 'Shelf Scanned', properties: { shelf: 7 } }],
    ['track', { userId: `${tag}-ana`, event: 'Order Completed', properties: order(`${tag}-1`) }],
    ['page', { userId: `${tag}-ana`, name: 'Home', properties: { url: 'https://shop.test/', path: '/' } }],
    ['screen', { userId: `${tag}-ana`, name: 'Start' }],
    ['group', { userId: `${tag}-ana`, groupId: `${tag}-club`, traits: { name: 'Club' } }],
    ['alias', { userId: `${tag}-ana`, previousId: `${tag}-before` }],
];

async function assertDay(tag) {
    const ana = await person({ user_id: `${tag}-ana` });
    const history = await events(ana.person_id);
    const types = history.map((one) => one.type).sort();
    for (const type of ['product_viewed', 'order_completed', 'page_viewed', 'screen_viewed'])
        assert.ok(types.includes(type), `${type} among ${types}`);
    assert.ok(types.includes('Shelf Scanned'), `a shop's own event keeps its name: ${types}`);
    assert.equal(types.filter((type) => type === 'product_purchased').length, 2, `one entry a line: ${types}`);
    const bought = history.find((one) => one.type === 'order_completed');
    assert.deepEqual(bought.value, { minor: 11990, currency: 'EUR' }, 'an order is worth its revenue');
    const viewed = history.find((one) => one.type === 'product_viewed');
    assert.match(JSON.stringify(viewed), /jeans-1/);
    const traits = Object.fromEntries(ana.traits.map((trait) => [trait.name, trait.value]));
    assert.equal(traits.plan, 'gold');
    assert.equal(traits.age, 34);
    const by_mail = await person({ email: `${tag}-ana@example.com` });
    assert.equal(by_mail.person_id, ana.person_id, 'her address leads to her');
    return ana;
}

test('analytics-node: all six call types arrive by changing only its host', async () => {
    const sdk = new Analytics({ writeKey: server.secret, host: server.url, flushAt: 5, flushInterval: 50 });
    const failures = [];
    sdk.on('error', (error) => failures.push(error));
    await Promise.all(day('seg').map(([type, message]) => call(sdk, type, message)));
    await sdk.closeAndFlush({ timeout: PATIENCE_MS });
    assert.deepEqual(failures, []);
    await assertDay('seg');
});

test('rudder-sdk-node: all six call types arrive, gzip under a wrong content type', async () => {
    const sdk = new RudderAnalytics(server.secret, { dataPlaneUrl: server.url, flushAt: 5, flushInterval: 50 });
    assert.equal(sdk.gzip, true, 'it packs by itself');
    await Promise.all(day('rud').map(([type, message]) => call(sdk, type, message)));
    await assertDay('rud');
});

test('both clients say the same thing to the log', async () => {
    // A folder of its own, because the log is read with no server on it.
    const other = await startServer({ config, data: newFolder() });
    const segment = new Analytics({ writeKey: other.secret, host: other.url, flushAt: 1 });
    const rudder = new RudderAnalytics(other.secret, { dataPlaneUrl: other.url, flushAt: 1, flushInterval: 50 });
    for (const [type, message] of day('one')) await call(segment, type, message);
    for (const [type, message] of day('one')) await call(rudder, type, message);
    await segment.closeAndFlush({ timeout: PATIENCE_MS });
    await other.stop();
    const all = (await logged(other.data)).filter((entry) => entry.kind === 'event').map((entry) => entry.event);
    assert.equal(all.length, 16);
    const plain = (event) => {
        const copy = { ...event };
        for (const name of ['event_key', 'at', 'event_id']) delete copy[name];
        return copy;
    };
    for (let i = 0; i < 8; i++) assert.deepEqual(plain(all[i + 8]), plain(all[i]), `call ${i}`);
});

test('what clients write differently means the same: nobody, traits, clocks', async () => {
    const say = (...batch) => server.post('/v1/batch', { sentAt: new Date().toISOString(), batch });
    const names = [{ userId: null }, { userId: '' }, {}];
    for (const [i, name] of names.entries())
        await say({ type: 'track', anonymousId: 'nameless', event: 'Product Viewed', messageId: `nameless-${i}`, ...name });
    const nameless = await person({ anonymous_id: 'nameless' });
    assert.equal((await events(nameless.person_id)).length, 3, 'no user id, however it is written');
    await say({ type: 'identify', userId: 'traited', messageId: 'traited-1', context: { traits: { plan: 'silver' } } });
    const traited = await person({ user_id: 'traited' });
    assert.deepEqual(traited.traits.filter((one) => one.name === 'plan').map((one) => one.value), ['silver'], 'traits under context');
    // A client whose clock is an hour ahead saw something two hours ago, by the difference to what it sent at.
    const ahead = Date.now() + 3_600_000;
    await server.post('/v1/batch', { sentAt: new Date(ahead).toISOString(), batch: [{
        type: 'track', userId: 'ahead', event: 'Product Viewed', messageId: 'ahead-1', timestamp: new Date(ahead - 7_200_000).toISOString(),
    }] });
    const [seen] = await events((await person({ user_id: 'ahead' })).person_id);
    assert.ok(Math.abs(Date.now() - 7_200_000 - Date.parse(seen.at)) < 5000, seen.at);
});

test('an order said twice, and corrected, stands once', async () => {
    const say = (event, properties) => server.post('/v1/batch', {
        batch: [{ type: 'track', userId: 'buyer', event, messageId: randomUUID(), properties }],
    });
    await say('Order Completed', order('o-9'));
    await say('Order Completed', order('o-9'));
    await say('Order Updated', { ...order('o-9'), revenue: 100 });
    const buyer = await person({ user_id: 'buyer' });
    const bought = (await events(buyer.person_id)).filter((one) => one.type === 'order_completed');
    assert.equal(bought.length, 1);
    assert.equal(bought[0].value.minor, 10000);
    await say('Order Refunded', { order_id: 'o-9' });
    const back = (await events(buyer.person_id)).filter((one) => one.type === 'order_completed');
    assert.equal(back[0].value, undefined, 'nothing is left of it');
});

test('one poisonous event of a batch: 200, the others are taken, it is a dead letter with its reason', async () => {
    const dead = (await server.get('/v1/dead-letters')).total;
    const good = (n) => ({ type: 'track', userId: 'poison', event: 'Product Viewed', messageId: `poison-${n}`,
        properties: { product_id: `p-${n}` } });
    const poison = [
        { type: 'track', userId: 'poison', messageId: 'no-event-name' },
        { type: 'dance', userId: 'poison', messageId: 'no-such-type' },
        { type: 'track', event: 'Nobody Did It', messageId: 'nobody' },
        7, null, [],
    ];
    const body = { batch: [good(1), ...poison, good(2)] };
    const answer = await server.post('/v1/batch', body);
    assert.equal(answer.accepted, 2, JSON.stringify(answer));
    assert.equal(answer.refused, poison.length, JSON.stringify(answer));
    const { person_id } = await person({ user_id: 'poison' });
    assert.equal((await events(person_id)).length, 2);
    const letters = await server.get('/v1/dead-letters');
    assert.equal(letters.total - dead, poison.length);
    assert.ok(letters.dead_letters.every((letter) => letter.reason.length > 0), 'each says why');
    await server.post('/v1/batch', { batch: [{ ...good(3) }, poison[0]] },
        { key: server.write, status: 400, headers: { 'x-strict-mode': '1' } });
});

test('the same messageId twice is one event, also over both clients', async () => {
    const before_ = await source();
    const once = { type: 'track', userId: 'twin', event: 'Product Viewed', messageId: 'twin-1',
        properties: { product_id: 'p-1' } };
    await server.post('/v1/batch', { batch: [once, once] });
    await server.post('/v1/track', once);
    const segment = new Analytics({ writeKey: server.secret, host: server.url, flushAt: 1 });
    await call(segment, 'track', { userId: 'twin', event: 'Product Viewed', messageId: 'twin-1' });
    await segment.closeAndFlush({ timeout: PATIENCE_MS });
    const rudder = new RudderAnalytics(server.secret, { dataPlaneUrl: server.url, flushAt: 1 });
    await call(rudder, 'track', { userId: 'twin', event: 'Product Viewed', messageId: 'twin-1' });
    const twin = await person({ user_id: 'twin' });
    assert.equal((await events(twin.person_id)).length, 1);
    const now = await source();
    assert.equal(now.accepted - before_.accepted, 1);
    assert.equal(now.duplicates - before_.duplicates, 4);
});

test('an event of 32 KB is taken, one byte more is a dead letter', async () => {
    const sized = (bytes, id) => {
        const event = { type: 'track', userId: 'big', event: 'Shelf Scanned', messageId: id, properties: { pad: '' } };
        event.properties.pad = 'x'.repeat(bytes - JSON.stringify(event).length);
        assert.equal(JSON.stringify(event).length, bytes);
        return event;
    };
    const answer = await server.post('/v1/batch', { batch: [sized(32 << 10, 'fits'), sized((32 << 10) + 1, 'too-big')] });
    assert.equal(answer.accepted, 1, JSON.stringify(answer));
    assert.equal(answer.refused, 1, JSON.stringify(answer));
    assert.match(answer.reasons[0].reason, /32768|big/i);
});

test('2,500 events are a batch, 2,501 are refused whole', async () => {
    const many = (n, tag) => ({ batch: Array.from({ length: n }, (_, i) => ({
        type: 'track', userId: `many-${i % 7}`, event: 'Product Viewed', messageId: `${tag}-${i}` })) });
    const answer = await server.post('/v1/batch', many(2500, 'a'));
    assert.equal(answer.accepted, 2500);
    const refused = await server.request('POST', '/v1/batch', { key: server.secret, body: many(2501, 'b') });
    assert.ok([400, 413].includes(refused.status), `${refused.status}`);
    assert.match(await refused.text(), /2500/);
    const { accepted } = await server.post('/v1/batch', many(1, 'b'));
    assert.equal(accepted, 1, 'nothing of the refused batch was taken: its first event is new');
});

test('a body over 4 MB and a gzip bomb are refused with 413', async () => {
    const post = (body, headers = {}) => fetch(`${server.url}/v1/batch`, {
        method: 'POST', body, headers: { authorization: basic(server.write), 'content-type': 'application/json', ...headers },
    }).then(async (answer) => { await answer.arrayBuffer(); return answer.status; }, (error) => error);
    const big = await post(Buffer.concat([Buffer.from('{"batch":["'), Buffer.alloc(4 << 20, 0x61), Buffer.from('"]}')]));
    assert.equal(big, 413);
    const bomb = gzipSync(Buffer.alloc(200 << 20, 0x20), { level: 9 });
    assert.ok(bomb.length < 1 << 20, 'it is small on the wire');
    assert.equal(await post(bomb, { 'content-encoding': 'gzip' }), 413);
    const noise = await post(randomBytes(2000), { 'content-encoding': 'gzip' });
    assert.equal(noise, 400, 'what is no gzip is a bad request');
    assert.equal(await post('{"batch":'), 400);
    const just = Buffer.from(`{"pad":"${'a'.repeat((4 << 20) - 600)}","batch":[{"type":"track","userId":"pad","event":"Shelf Scanned"}]}`);
    assert.equal(await post(just), 200, 'just under the limit is taken');
    const { status } = await server.request('GET', '/readyz');
    assert.equal(status, 200, 'and it lives');
});

test('a key comes by Basic, Bearer, header, query or body; an unknown one is answered 401', async () => {
    const event = () => ({ type: 'track', userId: 'keyed', event: 'Product Viewed', messageId: randomUUID() });
    const send = async (path, headers, extra = {}) => {
        const answer = await server.request('POST', path, { body: { ...event(), ...extra }, headers });
        await answer.arrayBuffer();
        return answer.status;
    };
    const key = server.write;
    assert.equal(await send('/v1/track', { authorization: basic(key) }), 200);
    assert.equal(await send('/v1/track', { authorization: `Basic ${Buffer.from(key).toString('base64')}` }), 200, 'without the colon');
    assert.equal(await send('/v1/track', { authorization: `Bearer ${key}` }), 200);
    assert.equal(await send('/v1/track', { 'x-write-key': key }), 200);
    assert.equal(await send(`/v1/track?writeKey=${key}`, {}), 200);
    assert.equal(await send('/v1/track', {}, { writeKey: key }), 200);
    assert.equal(await send('/v1/track', {}), 401);
    assert.equal(await send('/v1/track', { authorization: basic('wk_nobody') }), 401);
    assert.equal(await send('/v1/track', { authorization: 'Basic !!!' }), 401);
    const batch = await server.request('POST', '/v1/batch', { body: { writeKey: key, batch: [event()] } });
    assert.equal(batch.status, 200);
    const failures = [];
    const sdk = new Analytics({ writeKey: 'unknown', host: server.url, flushAt: 1, maxRetries: 0 });
    sdk.on('error', (error) => failures.push(error));
    await call(sdk, 'track', { userId: 'x', event: 'y' }).catch(() => {});
    await sdk.closeAndFlush({ timeout: PATIENCE_MS });
    assert.equal(failures.length, 1, 'the SDK hears of it, and its host lives');
});

test("a browser's preflight: the origin is echoed, every client's headers are allowed", async () => {
    const asked = 'authorization,content-type,x-retry-count,anonymousid,sentat,rsa-recovered,rsa-retry-attempt,x-api-key';
    for (const path of ['/v1/t', '/v1/p', '/v1/batch', '/v1/track', '/v1/decide']) {
        const answer = await server.request('OPTIONS', path, { headers: {
            origin: 'https://shop.test', 'access-control-request-method': 'POST', 'access-control-request-headers': asked,
        } });
        await answer.arrayBuffer();
        assert.ok([200, 204].includes(answer.status), `${path}: ${answer.status}`);
        assert.equal(answer.headers.get('access-control-allow-origin'), 'https://shop.test');
        assert.equal(answer.headers.get('access-control-allow-credentials'), 'true');
        assert.match(answer.headers.get('vary'), /origin/i);
        assert.match(answer.headers.get('access-control-allow-methods'), /POST/);
        const allowed = answer.headers.get('access-control-allow-headers').toLowerCase().split(/, */);
        for (const header of asked.split(',')) assert.ok(allowed.includes(header), `${path}: ${header} in ${allowed}`);
        assert.equal(answer.headers.get('access-control-max-age'), '7200');
    }
});

test('answers to a browser expose Retry-After, refusals too', async () => {
    const headers = { origin: 'https://shop.test', 'content-type': 'text/plain' };
    const post = (key, body) => server.request('POST', '/v1/t', { key, headers, body });
    const good = await post(server.write, JSON.stringify({ event: 'Product Viewed', anonymousId: 'a-1', messageId: 'ajs-1' }));
    assert.equal(good.status, 200, 'JSON under text/plain, the type in the path');
    const unknown = await post('nobody', '{}');
    assert.equal(unknown.status, 401);
    const broken = await post(server.write, '{');
    assert.equal(broken.status, 400);
    for (const answer of [good, unknown, broken]) {
        await answer.arrayBuffer();
        assert.match(answer.headers.get('access-control-expose-headers') ?? '', /retry-after/i);
        assert.equal(answer.headers.get('access-control-allow-origin'), 'https://shop.test');
    }
});

test("a full disk's 429 says when to come again, and decisions go on", async () => {
    const full = await startServer({ config: { ...config, disk_free_bytes: 2 ** 40 }, data: newFolder() });
    const answer = await full.request('POST', '/v1/track', {
        key: full.write, headers: { origin: 'https://shop.test' }, body: { userId: 'a', event: 'Product Viewed' },
    });
    await answer.arrayBuffer();
    assert.equal(answer.status, 429);
    const seconds = Number(answer.headers.get('retry-after'));
    assert.ok(seconds >= 1 && seconds <= 300, `${seconds}`);
    assert.match(answer.headers.get('access-control-expose-headers'), /retry-after/i);
    const decided = await full.request('POST', '/v1/decide', { key: full.write, body: { user_id: 'a', placements: ['none'] } });
    await decided.arrayBuffer();
    assert.equal(decided.status, 200);
    await full.stop({ remove: true });
});
