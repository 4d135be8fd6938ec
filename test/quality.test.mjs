// SPDX-License-Identifier: Apache-2.0
//
// quality.test.mjs - what sends us data, how well it goes, and what becomes of what is wrong.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, opmaat, startServer } from './lib/server.mjs';

const basis = { analytics: 'contract', personalisation: 'contract' };
const found = async (server, key) => Object.fromEntries((await server.get(`/v1/sources/${key}`)).found.map((one) => [one.what, one.count]));
const source = async (server, key) => (await server.get('/v1/sources')).sources.find((one) => one.key === key);

test('R15: each event type has owner, purpose and schema; one outside the plan raises a visible warning', async () => {
    const server = await startServer();
    const plan = { outside: 'warn', events: {
        'Product Viewed': { owner: 'web team', purpose: 'recommendations', properties: { product_id: 'text', price: { type: 'number?', min: 0 } } },
        identify: { owner: 'crm', purpose: 'greeting', properties: { first_name: 'text?' } } } };
    const shop = { kind: 'source', key: 'shop', title: 'Shop', owner: 'kari@shop.example', purpose: 'to know what is looked at', basis, plan };
    try {
        for (const wrong of [{ ...plan, outside: 'shout' }, { events: { 'Product Viewed': { owner: 'web team' } } },
            { events: { A: { owner: 'x', purpose: 'y', properties: { p: 'word' } } } }]) {
            await server.put('/v1/definitions/source/shop', { ...shop, plan: wrong });
            await server.post('/v1/definitions/source/shop/publish', undefined, { status: 422 });
        }
        await server.publish(shop);
        const track = (event, properties, more = {}) => server.post('/v1/track', { userId: 'ana', event, properties, ...more });
        assert.equal((await track('Product Viewed', { product_id: 'p', price: 3 })).warnings, undefined);
        assert.deepEqual((await track('Product Viewed', { product_id: 'p', price: -3 })).warnings, [{ index: 0, what: 'Product Viewed: price is below 0' }]);
        await track('Lamp Rubbed', {});
        await track('Lamp Rubbed', {});
        assert.deepEqual(await found(server, 'shop'), { 'Product Viewed: price is below 0': 1, 'Lamp Rubbed is not in the plan': 2 });
        const told = await server.get('/v1/sources/shop');
        assert.deepEqual([told.owner, told.purpose, told.plan], [shop.owner, shop.purpose, plan]);
        assert.deepEqual([told.accepted, told.warnings, told.refused], [4, 3, 0]);

        // Strict, by the body or by a header: nothing of the request is taken, and the reason is told.
        await track('Lamp Rubbed', {}, { strict: true, status: 400 }).then(() => assert.fail('taken'), (error) => assert.match(error.message, /Lamp Rubbed is not in the plan; nothing was taken/));
        const header = await server.request('POST', '/v1/batch', { key: server.secret, headers: { 'x-strict-mode': '1' },
            body: { batch: [{ type: 'track', userId: 'ana', event: 'Product Viewed', properties: { product_id: 'p' } }, { type: 'page', userId: 'ana' }] } });
        assert.equal(header.status, 400);
        assert.match(await header.text(), /event 1: page is not in the plan/);
        assert.equal((await source(server, 'shop')).accepted, 4);

        // A source may be strict for all its senders.
        await server.publish({ ...shop, plan: { ...plan, outside: 'refuse' } });
        await track('Lamp Rubbed', {});
        const { dead_letters } = await server.get('/v1/dead-letters');
        assert.deepEqual(dead_letters.map((one) => one.reason), ['Lamp Rubbed is not in the plan']);
        const before = await source(server, 'shop');
        await server.stop();
        await server.start();
        assert.deepEqual({ ...await source(server, 'shop'), lag_ms: 0, state: '' }, { ...before, lag_ms: 0, state: '' });
        assert.equal((await found(server, 'shop'))['Lamp Rubbed is not in the plan'], 2, 'warnings stay');
    } finally {
        await server.stop();
    }
    await opmaat(['verify', '--data', server.data]);
});

test('R14: duplicate orders, unknown products, bad clocks and wrong types are quarantined with a reason, mended and replayed', async () => {
    const server = await startServer({ config: { flush_ms: 50 } });
    const letters = async (query = '') => (await server.get(`/v1/dead-letters${query}`));
    const order = (id, more = {}) => ({ type: 'track', userId: 'ana', event: 'Order Completed',
        properties: { order_id: id, revenue: '20.00', currency: 'EUR', products: [{ product_id: 'known', price: '20.00', quantity: 1 }], ...more } });
    try {
        await server.publish({ kind: 'source', key: 'shop', title: 'Shop', basis, checks: { unknown_products: 'quarantine', clock_ahead: '2 hours', clock_behind: '30 days' } });
        await server.publish({ kind: 'source', key: 'erp', title: 'ERP', basis });
        const { key: erp } = await server.post('/v1/keys', { kind: 'secret', source: 'erp' });
        await server.request('POST', '/v1/import/products?source=catalogue', { key: server.secret, body: '{"product_key":"known","title":"Known"}\n' });
        await eventually('the catalogue is there', async () => (await server.request('GET', '/v1/catalog/items/known', { key: server.secret })).status === 200);
        const sent = new Date();
        const at = (ms) => new Date(sent.getTime() + ms).toISOString();
        await server.post('/v1/batch', { sentAt: at(0), batch: [
            { ...order('o-1'), messageId: 'm1' },
            { ...order('o-2', { revenue: 'twenty' }), messageId: 'm2' },
            { ...order('o-3', { products: [{ product_id: 'strange', price: '20.00', quantity: 1 }] }), messageId: 'm3' },
            { ...order('o-4'), messageId: 'm4', timestamp: at(9 * 3600e3) },
            { ...order('o-5'), messageId: 'm5', timestamp: at(-40 * 86400e3) },
            { type: 'track', event: 'Product Viewed', userId: 'ana', messageId: 'm6', properties: { product_id: 'strange' } },
            { type: 'track', event: 'Product Viewed', userId: 'ana', messageId: 'm6', properties: { product_id: 'strange' } },
        ] });
        await server.post('/v1/track', { ...order('o-1'), messageId: 'e1' }, { key: erp });
        const all = await letters('?limit=100');
        const reasons = all.dead_letters.map((one) => one.reason).sort();
        assert.deepEqual(reasons, [
            'it is 40.0 days old; the source allows 30.0', 'its clock is 9.0 hours ahead of ours; the source allows 2.0',
            'properties.revenue "twenty" is not an amount', 'the catalogue has no product "strange"', 'the catalogue has no product "strange"',
            'the order was reported by shop already']);
        const ana = async () => (await server.get(`/v1/people/${(await server.post('/v1/people/lookup', { user_id: 'ana' })).person_id}`)).counters;
        assert.deepEqual((await ana()).revenue, [{ minor: 2000, currency: 'EUR' }], 'none of them counts');

        // Searched.
        const ids = async (query) => (await letters(query)).dead_letters.map((one) => one.id).length;
        await eventually('they are on disk', async () => (await letters()).groups.length === 5);
        assert.deepEqual(await Promise.all(['?source=erp', '?reason=no%20product', '?q=O-3', '?q=twenty', '?since=2100-01-01T00:00:00Z', '?source=shop&reason=clock'].map(ids)),
            [1, 2, 1, 1, 0, 1]);
        const first = await letters('?limit=4');
        const second = await letters(`?limit=4&before=${first.next}`);
        assert.deepEqual([first.total, first.dead_letters.length, second.dead_letters.length, second.next], [6, 4, 2, null]);
        await server.stop();
        await server.start();
        assert.deepEqual((await letters('?limit=100')).dead_letters, all.dead_letters, 'they are there after a restart');

        // Mended one by one: a wrong type.
        const of = (reason) => all.dead_letters.find((one) => one.reason.includes(reason));
        const twenty = of('not an amount');
        await server.post(`/v1/dead-letters/${twenty.id}/replay`, {}, { status: 422 });
        const event = structuredClone(twenty.event);
        event.properties.revenue = '20.00';
        assert.deepEqual(await server.post(`/v1/dead-letters/${twenty.id}/replay`, { event }), { accepted: 1, no_consent: 0 });
        await server.post(`/v1/dead-letters/${twenty.id}/replay`, { event }, { status: 409 });
        assert.equal((await ana()).revenue[0].minor, 4000);

        // Many at once: the catalogue learns of the product, and those that lacked it go in as they are.
        assert.deepEqual((await server.post('/v1/dead-letters/replay', { reason: 'no product' })).replayed, 0);
        await server.request('POST', '/v1/import/products?source=catalogue', { key: server.secret, body: '{"product_key":"strange","title":"Strange"}\n' });
        await eventually('the product is there', async () => (await server.get('/v1/catalog/items/strange')).title === 'Strange');
        const many = await server.post('/v1/dead-letters/replay', { reason: 'no product' });
        assert.deepEqual([many.replayed, many.refused, many.left], [2, 0, 0]);
        assert.equal((await ana()).revenue[0].minor, 6000);

        // The clocks are set right in bulk; the order of two sources is looked at, and left.
        const clocks = await server.post('/v1/dead-letters/replay', { reason: 'allows', set: { timestamp: at(-1000) } });
        assert.deepEqual([clocks.replayed, clocks.refused], [2, 0]);
        assert.equal((await ana()).revenue[0].minor, 10000);
        assert.deepEqual((await letters()).dead_letters.map((one) => one.reason), ['the order was reported by shop already']);
        const duplicate = of('reported by');
        await server.post(`/v1/dead-letters/${duplicate.id}/replay`, { accept: true });
        assert.equal((await ana()).revenue[0].minor, 12000, 'who takes it as it is has their way');
        assert.equal((await letters()).total, 0);
        await eventually('those taken are listed apart', async () => (await letters('?replayed=true')).total === 6);
    } finally {
        await server.stop();
    }
    await opmaat(['verify', '--data', server.data]);
});
