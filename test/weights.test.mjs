// SPDX-License-Identifier: Apache-2.0
//
// weights.test.mjs - what the recommenders of a mix count is learnt from what shoppers click, placement by placement: those who click what
// is bought together make that recommender's weight rise, those who click at random move nothing, and the log alone gives the same state.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';

import { eventually, opmaat, sleep, startServer } from './lib/server.mjs';
import { rng } from './lib/random.mjs';

const PAIRS = 30, SHOPPERS = 900;
const product = (i) => `p-${i}`, partner = (i) => `p-${i ^ 1}`;
let server;

/** Shoppers look at one product, see a row, and click each item with the chance `chance(item, seen)`: the same ones, in whatever order they are answered. */
async function shoppers(placement, prefix, chance) {
    for (let from = 0; from < SHOPPERS; from += 50) {
        const batch = [];
        await Promise.all(Array.from({ length: 50 }, async (_, k) => {
            const i = from + k, seen = product(i % (2 * PAIRS)), user_id = `${prefix}-${i}`, random = rng(1 + i);
            const { decisions: { [placement]: row } } = await server.post('/v1/decide', { person: { user_id }, placements: [placement], limit: 8, events: [
                { type: 'track', event: 'Product Viewed', messageId: randomUUID(), userId: user_id, properties: { product_id: seen } }] });
            const said = (event, ticket) => batch.push({ type: 'track', userId: user_id, messageId: randomUUID(), event, properties: { ticket } });
            said('Decision Viewed', row.ticket);
            for (const item of row.items) if (random.unit() < chance(item, seen)) said('Decision Clicked', item.ticket);
        }));
        await server.post('/v1/batch', { batch });
    }
}
const weights = async (placement) => (await server.get('/v1/models')).weights.find((one) => one.placement === placement);

before(async () => {
    server = await startServer({ config: { train_ms: 200, learn_ms: 100, flush_ms: 100 }, basis: 'analytics=contract,personalisation=contract,model_training=contract' });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    const goods = Array.from({ length: 2 * PAIRS }, (_, i) => ({ product_key: product(i), title: `Thing ${i}`, category: `C${i % 5}`, price: '10', currency: 'EUR', stock: 9 }));
    const { job } = await server.post('/v1/import/products', goods.map((one) => JSON.stringify(one)).join('\n'), { status: 202 });
    await eventually('the catalogue is loaded', async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
    for (const [key, more] of Object.entries({ clicked: {}, chance: {}, hand: { weights: { popular: 2, cooc: 1 } } })) {
        await server.publish({ kind: 'strategy', key, title: key, mix: { popular: 3, cooc: 1 }, weights: 'learnt', fallback: ['popular'], ...more });
        await server.publish({ kind: 'placement', key: `row_${key}`, title: key, strategy: key, default: {} });
    }
    // Pairs are bought together; how popular a product is has nothing to do with that, so that what goes with it stands now high, now low.
    const batch = [];
    const did = (userId, event, properties) => batch.push({ type: 'track', event, messageId: randomUUID(), userId, properties });
    for (let i = 0; i < 3 * PAIRS; i++)
        did(`crowd-${i}`, 'Order Completed', { order_id: `o-${i}`, currency: 'EUR', revenue: 20,
            products: [2 * (i % PAIRS), 2 * (i % PAIRS) + 1].map((k) => ({ product_id: product(k), price: 10, quantity: 1 })) });
    for (let i = 0; i < 2 * PAIRS; i++)
        for (let k = 0; k < (i * 37 % (2 * PAIRS)) / 2; k++) did(`keen-${i}-${k}`, 'Product Added', { product_id: product(i) });
    await server.post('/v1/batch', { batch });
    await eventually('the model knows the crowd', async () => (await server.get('/v1/models')).models[0]?.interactions >= 800);
});
after(() => server?.stop({ remove: true }));

test('shoppers who click what is bought together make its weight rise, by bounded steps', async () => {
    const was = await weights('row_clicked');
    assert.deepEqual([was.weights, was.learns, was.learnt, was.in_force.cooc], ['defaults', true, undefined, 0.25]);
    await shoppers('row_clicked', 'a', (item, seen) => item.product_key === partner(Number(seen.slice(2))) ? 0.9 : 0.01);
    // How far it rises depends on when it began to: rows made with the defaults alone bring it to a third.
    const steps = [{ version: 0, cooc: was.in_force.cooc }];
    const now = await eventually('most clicks are learnt from, and the weight has risen', async () => {
        const row = await weights('row_clicked'), { version } = row.learnt ?? { version: 0 };
        if (version > steps.at(-1).version) steps.push({ version, cooc: row.in_force.cooc });
        assert.ok(row.in_force.cooc > 0.3 && row.latest.impressions > 7 * SHOPPERS, JSON.stringify(row));
        return row;
    });
    assert.equal(now.weights, 'learnt');
    for (const [i, to] of steps.slice(1).entries()) {
        const from = steps[i];
        assert.ok(Math.abs(to.cooc - from.cooc) <= 0.1001 * (to.version - from.version), `no step is a leap: ${JSON.stringify(steps)}`);
    }
    assert.ok(now.learnt.impressions >= 2000 && now.learnt.clicks >= 50 && now.learnt.from <= now.learnt.to);
    assert.ok(now.learnt.log_loss < now.learnt.log_loss_defaults);
    // And it is what rows are made with.
    const { items } = await server.post('/v1/recommend', { person: { anonymous_id: 'z' }, placement: 'row_clicked', context: { product: 'p-2' }, limit: 8 });
    const own = items.find((one) => one.product_key === 'p-3').because.weights;
    assert.ok(Math.abs(own.cooc - now.in_force.cooc) < 0.11, JSON.stringify([own, now]));
});

test('clicks at random leave the defaults, and too little data says what is missing', async () => {
    await shoppers('row_chance', 'b', () => 0.05);
    await eventually('the learner has looked', async () => (await weights('row_chance')).latest?.verdict === 'no_better');
    // Looked at often enough, chance may move a weight for a moment; it comes back.
    await eventually('the defaults are in force', async () => (({ in_force, defaults }) => in_force.cooc === defaults.cooc)(await weights('row_chance')));
    const row = await weights('row_chance');
    assert.ok(row.latest.impressions >= 2000);
    const { decisions: { row_hand: hand } } = await server.post('/v1/decide', { person: { user_id: 'h' }, placements: ['row_hand'] });
    assert.ok(hand.items.length);
    assert.deepEqual((({ weights, learns, in_force }) => ({ weights, learns, in_force }))(await weights('row_hand')),
        { weights: 'by_hand', learns: false, in_force: { popular: 0.6667, cooc: 0.3333 } });
});

test('a strategy that is set to the defaults uses them at once, and one set to learn again has what was learnt', async () => {
    const strategy = { kind: 'strategy', key: 'clicked', title: 'clicked', mix: { popular: 3, cooc: 1 }, fallback: ['popular'] };
    await server.publish({ ...strategy, weights: 'defaults' });
    assert.equal((await weights('row_clicked')).in_force.cooc, 0.25);
    await server.publish({ ...strategy, weights: 'learnt' });
    assert.ok((await weights('row_clicked')).in_force.cooc > 0.3);
    const wrong = await server.post('/v1/definitions/validate', { ...strategy, weights: { session: 1 } }, { status: 422 });
    assert.match(JSON.stringify(wrong), /session is not in the mix/);
});

test('the log alone gives the same weights and the same digest, and so does a restart', async () => {
    let before;
    await eventually('the steps have come to their end', async () => {
        const seen = before;
        before = (await weights('row_clicked')).learnt;
        await sleep(1000);
        return before.version === seen?.version;
    });
    await server.stop();
    const { stdout } = await opmaat(['verify', '--data', server.data]);
    assert.match(stdout, /a replay of the log gives the same state/);
    await server.start();
    const { version, ...after } = (await weights('row_clicked')).learnt;
    assert.deepEqual({ ...after, version }, before);
});
