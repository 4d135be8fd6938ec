// SPDX-License-Identifier: Apache-2.0
//
// metrics.test.mjs - a metric among everybody over the last days, before a campaign is measured by it; and a plan with looks.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startServer } from './lib/server.mjs';

const DAY = 86_400_000;
let server;
const now = Date.now();
const midnight = Math.floor(now / DAY) * DAY;
const near = (got, want, what) => assert.ok(Math.abs(got - want) < 1e-9, `${what}: ${got}, not ${want}`);

before(async () => {
    server = await startServer();
    const batch = [];
    const tell = (userId, event, daysAgo, properties = {}) =>
        batch.push({ type: 'track', userId, event, messageId: `${userId}-${event}-${daysAgo}-${batch.length}`, timestamp: new Date(Math.min(midnight - daysAgo * DAY + 3_600_000, now)).toISOString(), properties });
    /* ten people look on the third day before today; four of them order for 10, 20, 30 and 40 euros, one of those again a day later, for 60 */
    for (let i = 0; i < 10; i++) tell(`m-${i}`, 'Product Viewed', 3, { product_id: 'p' });
    for (let i = 0; i < 4; i++) tell(`m-${i}`, 'Order Completed', 3, { order_id: `o-${i}`, currency: 'EUR', revenue: 10 * (i + 1), products: [{ product_id: 'p', price: 10 * (i + 1), quantity: 1 }] });
    tell('m-0', 'Order Completed', 2, { order_id: 'o-9', currency: 'EUR', revenue: 60, products: [{ product_id: 'p', price: 60, quantity: 2 }] });
    tell('m-long-ago', 'Order Completed', 40, { order_id: 'o-old', currency: 'EUR', revenue: 999, products: [{ product_id: 'p', price: 999, quantity: 1 }] });
    await server.post('/v1/batch', { batch });
});
after(() => server.stop({ remove: true }));

const preview = (document, options) => server.post('/v1/metrics/preview', { document: { kind: 'metric', key: 'x', ...document } }, options);
const order = (of) => ({ event: 'order_completed', of });

test('shares, means, ratios and quantiles of everybody who did anything, in all and by day', async () => {
    const share = await preview({ type: 'proportion', numerator: order('any') });
    assert.equal(share.people, 10, 'who did nothing in these days is not among them');
    near(share.value, 0.4, 'share');
    assert.equal(share.days.length, 28);
    const [third, second] = [share.days.at(-4), share.days.at(-3)];
    assert.equal(third.people, 10);
    near(third.value, 0.4, 'share of the day');
    assert.equal(second.people, 1);
    near(second.value, 1, 'share of the day after');
    assert.equal(share.days[0].value, null, 'a day without anybody has no number');
    const mean = await preview({ type: 'mean', numerator: order('value') });
    near(mean.value, 1600, 'mean, in minor units');
    assert.deepEqual([mean.money, mean.currency], [true, 'EUR']);
    near((await preview({ type: 'ratio', numerator: order('value'), denominator: order('count') })).value, 16000 / 5, 'ratio');
    near((await preview({ type: 'quantile', quantile: 0.9, numerator: order('value') })).value, 4000, 'quantile');
    near((await preview({ type: 'proportion', rule: 'count(order_completed) >= 2' })).value, 0.1, 'rule');
});

test('what is wrong is said, and what has no such number', async () => {
    const wrong = await preview({ type: 'mean', numerator: { event: 'order_complete', of: 'count' } }, { status: 422 });
    assert.match(wrong.detail, /numerator: no event is called "order_complete"/);
    assert.match((await preview({ type: 'proportion', numerator: { of: 'clicked' } }, { status: 422 })).detail, /belongs to a campaign/);
});

test('the list has the core metrics and the shop\'s own', async () => {
    await server.publish({ kind: 'metric', key: 'wishes', title: 'Wishes', type: 'proportion', numerator: { event: 'product_added_to_wishlist', of: 'any' } });
    const { metrics } = await server.get('/v1/metrics');
    assert.equal(metrics.find((m) => m.metric === 'wishes').core, false);
    assert.equal(metrics.find((m) => m.metric === 'order_rate').core, true);
});

test('a plan with looks takes a little more people at most, and fewer on the average', async () => {
    const plan = await server.post('/v1/plan', { base: 0.03, lift: 0.1, people_per_day: 2000, looks: 5 });
    const group = plan.group_sequential;
    assert.equal(group.looks, 5);
    assert.ok(group.people > plan.fixed.people && group.people < 1.035 * plan.fixed.people, JSON.stringify(plan.fixed) + JSON.stringify(group));
    assert.ok(group.people_expected < 0.9 * plan.fixed.people);
    assert.ok(group.people < plan.sequential.people);
    await server.post('/v1/plan', { base: 0.03, looks: 21 }, { status: 400 });
});
