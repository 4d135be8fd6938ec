// SPDX-License-Identifier: Apache-2.0
//
// clients.test.mjs - other products' clients, unmodified but for their host: PostHog's, Optimizely's ODP, Google's
// Measurement Protocol, pixels and beacons; and the paths they find their routes under.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { PATIENCE_MS, eventually, opmaat, newFolder, startServer } from './lib/server.mjs';

const require = createRequire(import.meta.url);
const { PostHog } = require('posthog-node');
const optimizely = require('@optimizely/optimizely-sdk');

const config = { flush_ms: 100 };
let server;
before(async () => { server = await startServer({ config }); });
after(() => server?.stop({ remove: true }));

const lookup = async (id) => (await server.post('/v1/people/lookup', id)).person_id;
const person = async (id) => server.get(`/v1/people/${await lookup(id)}`);
/** What they did; that a segment was entered by it stands in a history too. */
const events = async (id) => (await server.get(`/v1/people/${await lookup(id)}/history?limit=200`)).events
    .filter((one) => !one.type.startsWith('segment_'));
const traits = (one) => Object.fromEntries(one.traits.map((trait) => [trait.name, trait.value]));
const letters = async () => (await server.get('/v1/dead-letters')).total;
const text = async (answer) => { const got = await answer.text(); return got; };

/* ---- PostHog ------------------------------------------------------------------------------------- */

test('posthog-node: identify, capture, alias and group arrive by changing only its host', async () => {
    const posthog = new PostHog(server.secret, { host: `${server.url}/posthog`, flushAt: 20, flushInterval: 20 });
    const failures = [];
    posthog.on('error', (error) => failures.push(error));
    posthog.identify({ distinctId: 'pia', properties: { email: 'pia@example.com', plan: 'gold' } });
    posthog.capture({ distinctId: 'pia', event: 'Product Viewed', properties: { product_id: 'jeans-1', price: 49.95, currency: 'EUR' } });
    posthog.capture({ distinctId: 'pia', event: 'Order Completed', properties: { order_id: 'ph-1', revenue: 99.9, currency: 'EUR',
        products: [{ product_id: 'jeans-1', price: 49.95, quantity: 2 }], $set: { vip: true } } });
    posthog.capture({ distinctId: 'pia', event: '$pageview', properties: { $current_url: 'https://shop.test/?utm_source=mail' } });
    posthog.alias({ distinctId: 'pia', alias: 'pia-before' });
    posthog.groupIdentify({ groupType: 'club', groupKey: 'club-1', properties: { name: 'Club' }, distinctId: 'pia' });
    await posthog.shutdown();
    assert.deepEqual(failures, []);
    const pia = await person({ user_id: 'pia' });
    assert.equal(traits(pia).plan, 'gold');
    assert.equal(traits(pia).vip, true, '$set beside another event');
    assert.equal(traits(pia).latest_source, 'mail');
    assert.equal(await lookup({ email: 'pia@example.com' }), pia.person_id);
    const history = await events({ user_id: 'pia' });
    const types = history.map((one) => one.type);
    for (const type of ['product_viewed', 'order_completed', 'page_viewed']) assert.ok(types.includes(type), `${type} among ${types}`);
    assert.deepEqual(history.find((one) => one.type === 'order_completed').value, { minor: 9990, currency: 'EUR' });
});

test('posthog: feature flags are answered in its shape', async () => {
    const posthog = new PostHog(server.write, { host: `${server.url}/posthog`, flushAt: 1, flushInterval: 20 });
    assert.deepEqual(await posthog.getAllFlags('pia'), {});
    assert.ok(!(await posthog.isFeatureEnabled('no-such', 'pia')));
    await posthog.shutdown();
});

test("posthog: a browser's bodies: packed and unlabelled, as a form, offset instead of time, strangers", async () => {
    const event = (id, more = {}) => ({ event: 'Product Viewed', uuid: id, properties: {
        token: server.write, distinct_id: 'ph-device', $device_id: 'ph-device', product_id: 'jeans-1', ...more }, offset: 60_000 });
    const send = async (path, body, headers = {}) => {
        const answer = await fetch(server.url + path, { method: 'POST', body, headers: { 'content-type': 'text/plain', ...headers } });
        assert.equal(answer.status, 200, await text(answer));
    };
    await send('/posthog/e/?compression=gzip-js', gzipSync(JSON.stringify([event('ph-a'), event('ph-b')])));
    const form = Buffer.from(JSON.stringify(event('ph-c'))).toString('base64');
    await send('/posthog/e/', `data=${encodeURIComponent(form)}`, { 'content-type': 'application/x-www-form-urlencoded' });
    await send('/posthog/i/v0/e/', JSON.stringify({ api_key: server.write, ...event('ph-d') }));
    const seen = await events({ anonymous_id: 'ph-device' });
    assert.equal(seen.length, 4);
    assert.ok(Math.abs(Date.now() - 60_000 - Date.parse(seen[0].at)) < 5000, seen[0].at);
    const bomb = await fetch(`${server.url}/posthog/e/`, { method: 'POST', body: gzipSync(Buffer.alloc(100 << 20, 0x20)) });
    assert.equal(bomb.status, 413, await text(bomb));
    const broken = await fetch(`${server.url}/posthog/e/`, { method: 'POST', body: Buffer.from([0x1f, 0x8b, 1, 2, 3]) });
    assert.equal(broken.status, 400, await text(broken));
    const unknown = await fetch(`${server.url}/posthog/batch/`, { method: 'POST', body: JSON.stringify({ api_key: 'nobody', batch: [] }) });
    assert.equal(unknown.status, 401, await text(unknown));
    const was = await letters();
    const mixed = await fetch(`${server.url}/posthog/batch/`, { method: 'POST', body: JSON.stringify({ api_key: server.write,
        batch: [event('ph-e'), 7, { event: '' }, { event: 'x', properties: {} }, event('ph-f')] }) });
    assert.equal(mixed.status, 200, await text(mixed));
    assert.equal((await events({ anonymous_id: 'ph-device' })).length, 6, 'the good ones of a bad batch');
    assert.equal(await letters() - was, 3);
});

/* ---- Optimizely Data Platform --------------------------------------------------------------------- */

const datafile = (key) => JSON.stringify({
    version: '4', rollouts: [], typedAudiences: [{ id: '1', name: 'odp', conditions: ['and', ['or', ['or',
        { match: 'qualified', name: 'odp.audiences', type: 'third_party_dimension', value: 'jeans' },
        { match: 'qualified', name: 'odp.audiences', type: 'third_party_dimension', value: 'nobody' }]]] }],
    audiences: [], featureFlags: [], experiments: [], groups: [], attributes: [], events: [], variables: [], anonymizeIP: true,
    botFiltering: false, sdkKey: 'k', environmentKey: 'e', projectId: '1', accountId: '1', revision: '1', sendFlagDecisions: true,
    integrations: [{ key: 'odp', host: `${server.url}/optimizely`, publicKey: key, pixelUrl: '' }],
});

const client = async (key) => {
    const made = optimizely.createInstance({
        projectConfigManager: optimizely.createStaticProjectConfigManager({ datafile: datafile(key) }),
        odpManager: optimizely.createOdpManager(), logger: optimizely.createLogger({ level: optimizely.ERROR }),
    });
    await made.onReady({ timeout: PATIENCE_MS });
    return made;
};

test('optimizely-sdk: ODP tells which segments a user is in, whatever the id holds; strangers are in none', async () => {
    await server.publish({ kind: 'segment', key: 'jeans', title: 'Jeans', rule: 'did(product_viewed where product = "jeans-1", last 30 days)' });
    await server.publish({ kind: 'segment', key: 'nobody', title: 'Nobody', rule: 'did(product_viewed where product = "no-such", last 30 days)' });
    const ids = ['odp-ana', 'quo"te', 'back\\slash', '") {audiences(subset: [', 'b\\"oth', 'blåbær'];
    for (const id of ids) await server.post('/v1/track', { userId: id, event: 'Product Viewed', messageId: randomUUID(), properties: { product_id: 'jeans-1' } });
    const sdk = await client(server.secret);
    for (const id of ids) {
        const user = sdk.createUserContext(id);
        assert.equal(await user.fetchQualifiedSegments(['IGNORE_CACHE']), true, id);
        assert.deepEqual(user.qualifiedSegments, ['jeans'], id);
        assert.equal(user.isQualifiedFor('jeans'), true);
    }
    const stranger = sdk.createUserContext('odp-stranger');
    assert.equal(await stranger.fetchQualifiedSegments(), true, 'no decode error');
    assert.deepEqual(stranger.qualifiedSegments, []);
    sdk.close();
});

test('optimizely-sdk: its ODP events arrive: two identifiers are one person', async () => {
    const sdk = await client(server.secret);
    sdk.sendOdpEvent('custom_action', 'fullstack', new Map([['fs_user_id', 'odp-eva'], ['email', 'eva@example.com']]),
        new Map([['colour', 'blue']]));
    sdk.sendOdpEvent('add_to_cart', 'product', new Map([['fs-user-id', 'odp-eva']]), new Map([['product_id', 'jeans-1']]));
    await eventually('both arrived', async () => (await events({ user_id: 'odp-eva' })).length === 2);
    const types = (await events({ user_id: 'odp-eva' })).map((one) => one.type);
    assert.ok(types.includes('custom_action') && types.includes('product_added'), `${types}`);
    assert.equal(await lookup({ email: 'eva@example.com' }), await lookup({ user_id: 'odp-eva' }));
    sdk.close();
});

test('ODP over the wire: 202, errors in its shape, a public key opens nobody', async () => {
    const post = (path, body, key) => server.request('POST', path, { body, headers: { 'x-api-key': key } });
    const event = { type: 'fullstack', action: 'identified', identifiers: { fs_user_id: 'odp-bo', vuid: 'vuid_1' }, data: { idempotence_id: 'odp-1' } };
    let answer = await post('/v3/events', [event, { type: 'fullstack' }], server.secret);
    assert.equal(answer.status, 202);
    const said = await answer.json();
    assert.equal(said.title, 'Accepted');
    assert.equal(said.status, 202);
    assert.ok(Date.parse(said.timestamp) > 0);
    assert.equal(await lookup({ anonymous_id: 'vuid_1' }), await lookup({ user_id: 'odp-bo' }));
    answer = await post('/v3/events', '{', server.secret);
    assert.equal(answer.status, 400);
    assert.equal((await answer.json()).title, 'Bad Request');
    answer = await post('/v3/events', [event], 'nobody');
    assert.equal(answer.status, 403);
    assert.deepEqual(await answer.json(), { message: 'Forbidden' });
    const ask = (name, id) => `{"query" : "query {customer(${name} : \\"${id}\\") {audiences(subset: [\\"jeans\\"]) {edges {node {name state}}}}}"}`;
    const edges = async (body, key) => (await (await post('/v3/graphql', body, key)).json());
    assert.equal((await edges(ask('fs_user_id', 'odp-ana'), server.secret)).data.customer.audiences.edges.length, 1);
    assert.deepEqual((await edges(ask('fs_user_id', 'odp-ana'), server.write)).data.customer.audiences.edges, [], 'claimed by whoever types it');
    await server.post('/v1/track', { anonymousId: 'vuid_2', event: 'Product Viewed', messageId: randomUUID(), properties: { product_id: 'jeans-1' } }, { key: server.write });
    assert.equal((await edges(ask('vuid', 'vuid_2'), server.write)).data.customer.audiences.edges.length, 1, "a browser's own");
    const wrong = await edges(ask('shoe_size', '44'), server.secret);
    assert.equal(wrong.data.customer, null);
    assert.equal(wrong.errors[0].extensions.code, 'INVALID_IDENTIFIER_EXCEPTION');
    assert.ok(wrong.errors[0].message.length && Array.isArray(wrong.errors[0].locations));
    const nonsense = await edges('{"query": "{me}"}', server.secret);
    assert.equal(nonsense.data.customer, null);
    assert.equal(nonsense.errors[0].extensions.classification, 'DataFetchingException');
});

/* ---- Google Analytics 4 ---------------------------------------------------------------------------- */

test("Google's Measurement Protocol: e-commerce events, traits and consent, answered 204", async () => {
    const send = (body) => server.request('POST', `/mp/collect?measurement_id=G-1&api_secret=${server.secret}`, { body: JSON.stringify(body) });
    const answer = await send({
        client_id: '12345.678', user_id: 'ga-ana', timestamp_micros: (Date.now() - 3_600_000) * 1000, user_properties: { plan: { value: 'gold' } },
        events: [
            { name: 'view_item', params: { currency: 'EUR', value: 49.95, session_id: 7, items: [{ item_id: 'jeans-1', item_name: 'Slim jeans',
                item_category: 'Women', item_category2: 'Jeans', price: 49.95 }] } },
            { name: 'purchase', params: { transaction_id: 'ga-1', value: 99.9, currency: 'EUR', items: [{ item_id: 'jeans-1', price: 49.95, quantity: 2 }] } },
            { name: 'page_view', params: { page_location: 'https://shop.test/?utm_source=ads', page_title: 'Home' } },
            { name: 'search', params: { search_term: 'jeans' } },
            { params: {} },
        ],
    });
    assert.equal(answer.status, 204);
    const history = await events({ user_id: 'ga-ana' });
    const types = history.map((one) => one.type).sort();
    assert.deepEqual(types, ['identified', 'order_completed', 'page_viewed', 'product_purchased', 'product_viewed', 'products_searched']);
    assert.deepEqual(history.find((one) => one.type === 'order_completed').value, { minor: 9990, currency: 'EUR' });
    assert.ok(Math.abs(Date.now() - 3_600_000 - Date.parse(history.at(-1).at)) < 10_000);
    const ana = await person({ user_id: 'ga-ana' });
    assert.equal(traits(ana).plan, 'gold');
    assert.equal(await lookup({ anonymous_id: '12345.678' }), ana.person_id);
    const refused = await send({ client_id: 'ga-no', consent: { ad_user_data: 'DENIED', analytics_storage: 'DENIED' }, events: [{ name: 'view_item' }] });
    assert.equal(refused.status, 204);
    await server.post('/v1/people/lookup', { anonymous_id: 'ga-no' }, { status: 404 });
});

/* ---- pixels and beacons ----------------------------------------------------------------------------- */

test('a pixel carries a call in its address, and is a picture whatever it says', async () => {
    const get = async (path) => {
        const answer = await fetch(server.url + path);
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get('content-type'), 'image/gif');
        assert.equal(Buffer.from(await answer.arrayBuffer()).subarray(0, 6).toString(), 'GIF89a');
    };
    const call = { writeKey: server.write, anonymousId: 'pixel-1', event: 'Email Opened', messageId: 'px-1', properties: { letter: 'spring?>' } };
    await get(`/v1/pixel/track?data=${Buffer.from(JSON.stringify(call)).toString('base64')}`);
    await get(`/v1/pixel/track?data=${encodeURIComponent(Buffer.from(JSON.stringify({ ...call, messageId: 'px-2' })).toString('base64url'))}`);
    await get(`/pixel/v1/track?writeKey=${server.write}&anonymousId=pixel-1&event=Product+Viewed&properties.product_id=jeans-1&messageId=px-3`);
    await get(`/pixel/v1/page?writeKey=${server.write}&anonymousId=pixel-1&name=Home&messageId=px-4`);
    await get('/v1/pixel/track?data=%%%');
    await get('/v1/pixel/track');
    await get('/v1/pixel/track?writeKey=nobody&event=x&anonymousId=y');
    await eventually('four arrived', async () => (await events({ anonymous_id: 'pixel-1' })).length === 4);
    const types = (await events({ anonymous_id: 'pixel-1' })).map((one) => one.type).sort();
    assert.deepEqual(types, ['Email Opened', 'Email Opened', 'page_viewed', 'product_viewed']);
});

test('a beacon: text/plain, the key in the address or in the body', async () => {
    const batch = (n, more = {}) => JSON.stringify({ batch: [{ type: 'track', anonymousId: 'beacon-1', event: 'Product Viewed', messageId: `beacon-${n}` }], ...more });
    for (const [path, body] of [[`/beacon/v1/batch?writeKey=${server.write}`, batch(1)], ['/v1/batch', batch(2, { write_key: server.write })]]) {
        const answer = await fetch(server.url + path, { method: 'POST', body, headers: { 'content-type': 'text/plain' } });
        assert.equal(answer.status, 200, await text(answer));
    }
    assert.equal((await events({ anonymous_id: 'beacon-1' })).length, 2);
});

/* ---- paths and keys ---------------------------------------------------------------------------------- */

test('routes are found under the prefix of the settings, and short ones at the root unless it says no', async () => {
    const own = await startServer({ config, data: newFolder() });
    let n = 0;
    const send = async (path) => {
        const answer = await own.request('POST', path, { key: own.write, body: { anonymousId: 'a', event: 'Product Viewed', messageId: `path-${n++}` } });
        await answer.arrayBuffer();
        return answer.status;
    };
    for (const path of ['/v1/t', '/t', '/segment/v1/t', '/segment/t', '/rudderstack/v1/track']) assert.equal(await send(path), 200, path);
    assert.equal(await send('/px/v1/t'), 404);
    await own.publish({ kind: 'settings', key: 'shop', title: 'Shop', path_prefix: '/px', root_aliases: false });
    for (const path of ['/v1/t', '/px/v1/t', '/px/segment/t', '/segment/t']) assert.equal(await send(path), 200, path);
    for (const path of ['/t', '/px/t']) assert.equal(await send(path), 404, path);
    const settings = await own.get('/px/segment/v1/projects/k/settings');
    assert.equal(settings.integrations['Segment.io'].apiKey, 'k');
    await own.stop({ remove: true });
});

test('an unknown key may be answered 200, for clients that end their process on 401; it is counted', async () => {
    const own = await startServer({ config, data: newFolder() });
    await own.publish({ kind: 'settings', key: 'shop', title: 'Shop', unknown_keys: 'ignore' });
    const answer = await own.request('POST', '/v1/batch', { key: 'nobody', body: { batch: [{ type: 'track', userId: 'x', event: 'y' }] } });
    assert.equal(answer.status, 200);
    assert.equal((await answer.json()).accepted, 0);
    assert.match(await (await own.request('GET', '/metrics')).text(), /opmaat_unknown_keys_total 1/);
    await own.stop({ remove: true });
});
