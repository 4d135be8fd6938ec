// SPDX-License-Identifier: Apache-2.0
//
// places.test.mjs - what sells and rises in a store and in a country, from the till to the row.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';

import { PATIENCE_MS, eventually, opmaat, startServer } from './lib/server.mjs';

const PRODUCTS = Array.from({ length: 12 }, (_, i) => ({
    product_key: `p-${i}`, title: `Thing ${i}`, category: i % 2 ? 'Odd' : 'Even', price: '20', currency: 'EUR', stock: { web: 9, 'oslo-1': 9, 'bergen-2': 9, 'lund-3': 9, 'new-9': 9 },
}));
const HOUR = 3_600_000;
let server;
const recommend = (body) => server.post('/v1/recommend', { limit: 4, person: { user_id: `stranger-${randomUUID()}` }, ...body });
const keys = (answer) => answer.items.map((one) => one.product_key);
const load = async (kind, body) => {
    const { job } = await server.post(`/v1/import/${kind}`, body, { status: 202 });
    await eventually(`${kind} are loaded`, async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
};
/* A receipt: the till says which store it stands in, and who showed a card. */
const receipt = (who, store, country, product_id, ago) => ({
    type: 'track', event: 'Order Completed', messageId: randomUUID(), userId: who, timestamp: new Date(Date.now() - ago).toISOString(),
    context: { location: { country } },
    properties: { order_id: randomUUID(), store_id: store, channel: 'pos', currency: 'EUR', products: [{ product_id, price: 20, quantity: 1 }] },
});

before(async () => {
    server = await startServer({ config: { train_ms: 200 }, basis: 'analytics=contract,personalisation=contract,model_training=contract' });
    await load('products', PRODUCTS.map((one) => JSON.stringify(one)).join('\n'));
    for (const [key, more] of Object.entries({
        here: { mix: ['bestsellers_here'], fallback: ['bestsellers_here'] }, rising: { mix: ['trending_here'] }, looked: { mix: ['popular_here'] },
        odd: { mix: ['bestsellers_here'], filter: 'item.category under "Odd"' }, everywhere: { mix: ['bestsellers'] },
    })) await server.publish({ kind: 'strategy', key, title: key, ...more });
    const batch = [];
    for (let i = 0; i < 60; i++) {
        batch.push(receipt(`oslo-${i}`, 'oslo-1', 'NO', 'p-1', (i + 1) * HOUR), receipt(`bergen-${i}`, 'bergen-2', 'NO', 'p-2', (i + 1) * HOUR));
        // In Lund two things sold three weeks ago, and a third sells today.
        if (i < 50) batch.push(receipt(`lund-${i}`, 'lund-3', 'SE', 'p-3', (500 + i) * HOUR), receipt(`lund-${i}`, 'lund-3', 'SE', 'p-4', (501 + i) * HOUR));
        if (i < 10) batch.push(receipt(`lund-${i}`, 'lund-3', 'SE', 'p-6', (i + 1) * HOUR));
    }
    batch.push({ type: 'track', event: 'Product Viewed', messageId: randomUUID(), userId: 'ida', context: { location: { country: 'SE' }, store: 'lund-3' }, properties: { product_id: 'p-9' } });
    await server.post('/v1/batch', { batch });
    // Receipts of nobody: a file of the till's.
    const rows = Array.from({ length: 40 }, (_, i) => `T${i},${new Date(Date.now() - (i + 1) * HOUR).toISOString()},p-5,1,20.00,EUR,NO,oslo-1`);
    await load('orders', ['order_key,at,product_key,quantity,price,currency,country,store', ...rows].join('\n'));
    await eventually('the model knows all of it', async () => {
        const [model] = (await server.get('/v1/models')).models;
        return model?.interactions >= 271 && model.stores === 3 && model.countries === 2;
    });
});
after(() => server?.stop({ remove: true }));

test('two stores of one country have bestsellers of their own', async () => {
    const oslo = await recommend({ strategy: 'here', context: { store: 'oslo-1' } });
    const bergen = await recommend({ strategy: 'here', context: { store: 'bergen-2' } });
    assert.deepEqual(keys(oslo).slice(0, 2), ['p-1', 'p-5'], 'the receipts of nobody count too');
    assert.equal(keys(bergen)[0], 'p-2');
    const { because } = oslo.items[0];
    assert.deepEqual([because.source, because.store, because.text], ['bestsellers_here', 'oslo-1', 'Best seller in your store']);
    const from_around = bergen.items.find((one) => one.product_key === 'p-1');
    assert.equal(from_around.because.text, 'Best seller in your country', 'it sells in Oslo');
});

test('a country is asked where no store is known, and everybody where no country is', async () => {
    const sweden = await recommend({ strategy: 'here', context: { country: 'SE' } });
    assert.deepEqual(keys(sweden).slice(0, 2).sort(), ['p-3', 'p-4']);
    assert.deepEqual([sweden.items[0].because.country, sweden.items[0].because.text], ['SE', 'Best seller in your country']);
    const unopened = await recommend({ strategy: 'here', context: { country: 'SE', store: 'new-9' } });
    assert.deepEqual(keys(unopened), keys(sweden), 'a store nobody bought in yet is its country');
    const nowhere = await recommend({ strategy: 'here', context: { country: 'FI' } });
    assert.deepEqual(keys(nowhere), keys(await recommend({ strategy: 'everywhere' })));
    assert.equal(nowhere.items[0].because.text, 'Best seller');
    assert.equal(nowhere.items[0].because.country, undefined);
});

test('who is known is answered by the country and the store of their facts, unless the question says where', async () => {
    const known = { person: { user_id: 'ida' }, strategy: 'looked' };
    const home = await recommend(known);
    assert.deepEqual(keys(home).slice(0, 2).sort(), ['p-3', 'p-4']);
    assert.deepEqual([home.items[0].because.store, home.items[0].because.text], ['lund-3', 'Many in your store have looked at this']);
    const away = await recommend({ ...known, context: { store: 'oslo-1' } });
    assert.equal(away.items[0].product_key, 'p-1');
});

test('what rises, and a filter within', async () => {
    const rising = await recommend({ strategy: 'rising', context: { country: 'SE' } });
    assert.equal(rising.items[0].product_key, 'p-6');
    assert.equal(rising.items[0].because.text, 'Popular right now in your country');
    assert.deepEqual(keys(await recommend({ strategy: 'odd', context: { store: 'oslo-1' }, limit: 2 })), ['p-1', 'p-5']);
});

test('who has not consented is answered by where the request is', async () => {
    const refused = { person: { anonymous_id: `shy-${randomUUID()}` }, strategy: 'here', context: { store: 'oslo-1', consent: { categoryPreferences: { personalisation: false } } } };
    assert.equal((await recommend(refused)).items[0].product_key, 'p-1');
});

test('a replay knows where each order was made, and the same log makes the same lists of every recommender', async () => {
    const { models: [{ recommenders }] } = await server.get('/v1/models');
    const lists = () => eventually('every recommender is built', async () => {
        const all = {};
        for (const name of Object.keys(recommenders))
            for (const [i, person] of ['ida', 'oslo-1', 'lund-7'].entries()) {
                const answer = await recommend({ person: { user_id: person }, strategy: { mix: [name] }, limit: 8, context: i ? { product: 'p-3' } : { store: 'oslo-1', cart: ['p-1'] } });
                if (answer.not_built_yet) return false;
                all[`${name} for ${person}`] = answer.items;
            }
        return all;
    }, PATIENCE_MS, 200);
    const before = await lists();
    await server.stop();
    await opmaat(['verify', '--data', server.data]);
    await server.start();
    await eventually('the model stands again', async () => (await server.get('/v1/models')).models[0]?.stores === 3);
    assert.equal(keys(await recommend({ strategy: 'here', context: { store: 'bergen-2' } }))[0], 'p-2');
    assert.deepEqual(await lists(), before);
});
