// SPDX-License-Identifier: Apache-2.0
//
// results.test.mjs - results of a campaign on a real server: metrics as definitions, segments, epochs, currencies, and one number
// on every way out.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { rng } from './lib/random.mjs';
import { opmaat, startServer } from './lib/server.mjs';

let server, people;
let number = 0;
const next = rng(83), random = () => next.unit();
const id = (prefix) => `${prefix}-${++number}`;
const N = 900;

const track = (userId, event, properties) => ({ type: 'track', userId, messageId: id('m'), event, properties });
const order = (user, revenue, currency = 'EUR') => track(user, 'Order Completed', { order_id: id('o'), currency, revenue,
    products: [{ product_id: 'p-1', price: revenue, quantity: 1 }] });
const of = (result, metric, list = result.comparisons) => list.find((one) => one.metric === metric);

before(async () => {
    server = await startServer({ config: { flush_ms: 100 } });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR', rates: { NOK: 0.1 } });
    await server.publish({ kind: 'placement', key: 'hero', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
    await server.publish({ kind: 'segment', key: 'women', title: 'Women', rule: 'gender = "female"' });
    await server.publish({ kind: 'metric', key: 'wish_rate', title: 'Wishes', type: 'proportion', direction: 'down', description: 'people who wished',
        numerator: { event: 'wishlist_added', of: 'any' } });
    await server.publish({ kind: 'metric', key: 'spend_cut', title: 'Spending, cut', type: 'mean', winsorise: 0.95, numerator: { event: 'order_completed', of: 'value' } });
    await server.publish({ kind: 'metric', key: 'spend_high', title: 'The tenth that spends most', type: 'quantile', quantile: 0.9, numerator: { event: 'order_completed', of: 'value' } });
    await server.publish({ kind: 'campaign', key: 'spring', title: 'Spring', goal: 'be of use', placement: 'hero', metric: 'order_rate', guardrails: ['wish_rate'],
        segments: ['women'], mde: '10%', experiences: [{ key: 'all', choose: 'experiment', variations: [
            { key: 'a', share: '50%', control: true, content: { headline: 'A' } }, { key: 'b', share: '50%', content: { headline: 'B' } }] }] });
    people = [];
    for (let from = 0; from < N; from += 100) {
        const batch = [], traits = [];
        const users = Array.from({ length: 100 }, () => ({ user: id('ana'), woman: random() < 0.5 }));
        for (const { user, woman } of users) traits.push({ type: 'identify', userId: user, messageId: id('m'), traits: { gender: woman ? 'female' : 'male' } });
        await server.post('/v1/batch', { batch: traits });
        await Promise.all(users.map(async (one) => {
            const { hero } = (await server.post('/v1/decide', { person: { user_id: one.user }, placements: ['hero'] })).decisions;
            one.variation = hero.variation;
            one.spent = random() < (one.variation === 'b' && one.woman ? 0.7 : 0.2) ? 10 + Math.floor(random() * 90) : 0;
            one.norwegian = random() < 0.3;
            one.wished = random() < 0.1;
            batch.push(track(one.user, 'Decision Viewed', { ticket: hero.ticket }));
            if (one.spent) batch.push(order(one.user, one.norwegian ? one.spent * 10 : one.spent, one.norwegian ? 'NOK' : 'EUR'));
            if (one.wished) batch.push(track(one.user, 'Product Added to Wishlist', { product_id: 'p-1' }));
        }));
        await server.post('/v1/batch', { batch });
        people.push(...users);
    }
});
after(() => server.stop({ remove: true }));

const mean = (list, value) => list.reduce((sum, one) => sum + value(one), 0) / list.length;
const arm = (key, list = people) => list.filter((one) => one.variation === key);

test('R83: a segment has its own result, and all of them together are corrected for many looks', async () => {
    const result = await server.get('/v1/results/spring');
    const [women] = result.segments;
    assert.equal(women.segment, 'women');
    const row = of(women, 'order_rate');
    const want = mean(arm('b').filter((one) => one.woman), (one) => one.spent > 0) - mean(arm('a').filter((one) => one.woman), (one) => one.spent > 0);
    assert.ok(Math.abs(row.estimate - want) < 1e-9, `${row.estimate} is ${want}`);
    assert.ok(row.low < want && want < row.high && row.significant);
    for (const one of women.comparisons) {
        assert.equal(one.tier, 'segment');
        assert.ok(one.p_adjusted >= one.p);
    }
    // Two rows in the segment tier (order_rate and the guardrail): Benjamini and Hochberg by hand.
    const p = women.comparisons.map((one) => one.p).sort((x, y) => x - y);
    assert.ok(Math.abs(row.p_adjusted - Math.min(2 * p[0], p[1])) < 1e-12);
    assert.ok(of(women, 'wish_rate').verdict === 'open', 'nothing is found where nothing is');
});

test('R106: a number is defined once and the same in the page, the metric, the file and `opmaat stats`', async () => {
    const result = await server.get('/v1/results/spring');
    const values = (key) => Object.fromEntries(result.metrics.find((one) => one.key === key).arms.map((one) => [one.variation, one]));
    for (const key of ['a', 'b']) {
        const own = arm(key);
        assert.equal(values('order_rate')[key].people, own.length);
        assert.ok(Math.abs(values('order_rate')[key].value - mean(own, (one) => one.spent > 0)) < 1e-12);
        assert.ok(Math.abs(values('wish_rate')[key].value - mean(own, (one) => one.wished)) < 1e-12);
        assert.ok(Math.abs(values('revenue_per_person')[key].value - mean(own, (one) => one.spent * 100)) < 1e-6, 'kroner count at the rate of the table');
        const buyers = own.filter((one) => one.spent);
        assert.ok(Math.abs(values('average_order_value')[key].value - mean(buyers, (one) => one.spent * 100)) < 1e-6);
        const shown = result.arms.find((one) => one.variation === key);
        assert.equal(shown.exposed, own.length);
        assert.ok(Math.abs(shown.order_rate - values('order_rate')[key].value) < 1e-12, 'the fold and the census agree');
    }
    assert.equal(result.money_without_rate, 0);
    const one = await server.get('/v1/metrics/order_rate');
    for (const row of one.values.filter((value) => value.campaign === 'spring')) assert.ok(Math.abs(row.value - values('order_rate')[row.variation].value) < 1e-12);

    const wished = await server.get('/v1/metrics/wish_rate');
    assert.equal(wished.definition, 'people who wished');
    for (const row of wished.values.filter((value) => value.campaign)) assert.ok(Math.abs(row.value - values('wish_rate')[row.variation].value) < 1e-12);
    assert.match((await server.get('/v1/metrics/nothing', { status: 404 })).detail, /order_rate/);

    const csv = await (await server.request('GET', '/v1/results/spring?format=csv', { key: server.secret })).text();
    const [head, ...lines] = csv.trim().split('\n').map((line) => line.split(','));
    const cell = (metric, column) => Number(lines.find((line) => line[0] === '' && line[1] === metric)[head.indexOf(column)]);
    for (const row of result.comparisons) {
        assert.equal(cell(row.metric, 'estimate'), row.estimate);
        assert.equal(cell(row.metric, 'p_adjusted'), row.p_adjusted);
    }
    const { stdout } = await opmaat(['stats', '--json'], { input: JSON.stringify({ relative: false, metrics: [{ key: 'm', kind: 'proportion',
        arms: ['a', 'b'].map((key) => ({ key, n: arm(key).length, sum: arm(key).filter((person) => person.spent).length })) }] }) });
    const told = JSON.parse(stdout).metrics[0].comparisons[0], row = of(result, 'order_rate');
    for (const [mine, theirs] of [['estimate', 'effect'], ['low', 'low'], ['high', 'high'], ['p', 'p']]) assert.ok(Math.abs(row[mine] - told[theirs]) < 1e-9, mine);
});

test('a result says how much could be seen, what is left to wait for, and how it came about', async () => {
    const result = await server.get('/v1/results/spring');
    const row = of(result, 'order_rate'), guard = of(result, 'wish_rate');
    assert.equal(row.tier, 'primary');
    assert.equal(row.verdict, 'better');
    assert.equal(guard.tier, 'guardrail');
    assert.ok(row.least_lift > 0 && row.people_per_arm > 100 && row.days_left > 0);
    const last = result.intervals.at(-1);
    assert.ok(Math.abs(last.relative - row.relative) < 1e-9 && Math.abs(last.low - row.relative_low) < 1e-9, 'the last day of the interval is the page');
    const cap = people.map((one) => one.spent * 100).sort((x, y) => x - y)[Math.ceil(0.95 * N) - 1];
    const cut = (key) => mean(arm(key), (one) => Math.min(cap, one.spent * 100));
    assert.ok(Math.abs(of(result, 'spend_cut').estimate - (cut('b') - cut('a'))) < 1e-6);
    assert.ok(result.metrics.find((one) => one.key === 'spend_high').arms.every((one) => one.value >= 0));
    assert.equal(result.epochs.length, 1);
    assert.equal(result.srm.alarm, false);
});

test('R80: shares that change are an epoch, no alarm and no bias', async () => {
    const { definition } = { definition: await server.get('/v1/definitions/campaign/spring') };
    const document = { kind: 'campaign', key: 'spring', title: 'Spring', goal: 'be of use', placement: 'hero', metric: 'order_rate',
        experiences: [{ key: 'all', choose: 'experiment', variations: [
            { key: 'a', share: '10%', control: true, content: { headline: 'A' } }, { key: 'b', share: '90%', content: { headline: 'B' } }] }] };
    assert.ok(definition);
    await server.publish(document);
    const batch = [];
    await Promise.all(Array.from({ length: 300 }, async () => {
        const user = id('bo');
        const { hero } = (await server.post('/v1/decide', { person: { user_id: user }, placements: ['hero'] })).decisions;
        batch.push(track(user, 'Decision Viewed', { ticket: hero.ticket }));
    }));
    await server.post('/v1/batch', { batch });
    const result = await server.get('/v1/results/spring');
    assert.equal(result.epochs.length, 2);
    assert.deepEqual(result.epochs[1].shares, [0.1, 0.9]);
    assert.equal(result.srm.alarm, false);
    assert.ok(result.srm.p > 0.001, `${result.srm.p}`);
});

test('R104: the programme says what it brought in money, by the holdout, and for each unit it cost', async () => {
    const other = await startServer({ config: { flush_ms: 100 } });
    await other.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '40%', currency: 'EUR', programme_cost: '100.00' });
    await other.publish({ kind: 'placement', key: 'hero', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
    await other.publish({ kind: 'campaign', key: 'all', title: 'All', goal: 'be of use', placement: 'hero',
        experiences: [{ key: 'all', variations: [{ key: 'a', content: { headline: 'A' } }] }] });
    const batch = [], spent = { treated: [], holdout: [] };
    await Promise.all(Array.from({ length: 500 }, async () => {
        const user = id('kim');
        const { hero } = (await other.post('/v1/decide', { person: { user_id: user }, placements: ['hero'] })).decisions;
        const held = hero.reason === 'holdout', amount = random() < (held ? 0.1 : 0.5) ? 40 : 0;
        spent[held ? 'holdout' : 'treated'].push(amount * 100);
        batch.push(track(user, 'Decision Viewed', { ticket: hero.ticket }));
        if (amount) batch.push(order(user, amount));
    }));
    for (let from = 0; from < batch.length; from += 100) await other.post('/v1/batch', { batch: batch.slice(from, from + 100) });
    const { incremental } = await other.get('/v1/results');
    const each = mean(spent.treated, (minor) => minor) - mean(spent.holdout, (minor) => minor), want = each * spent.treated.length;
    assert.ok(Math.abs(incremental.revenue.minor - want) < 1, `${incremental.revenue.minor} is ${want}`);
    assert.ok(incremental.low.minor < want && want < incremental.high.minor && incremental.low.minor > 0);
    assert.ok(Math.abs(incremental.return - want / 10_000) < 1e-6);
    assert.ok(incremental.return_low < incremental.return && incremental.return < incremental.return_high);
    await other.stop({ remove: true });
});

test('a metric that cannot be is refused with the reason', async () => {
    const wrong = { kind: 'metric', key: 'nonsense', type: 'proportion', numerator: { event: 'order_completed', of: 'value' } };
    await server.put('/v1/definitions/metric/nonsense', wrong);
    const answer = await server.request('POST', '/v1/definitions/metric/nonsense/publish', { key: server.secret });
    assert.equal(answer.status, 422);
    assert.match(await answer.text(), /counts people/);
});

test('a plan says how many people a test takes, read once or watched, and refuses what is none', async () => {
    const plan = await server.post('/v1/plan', { base: 0.05, lift: 0.05, arms: 2, people_per_day: 10_000 });
    // The rule of 16: 16 p (1 - p) / d^2 = 121,600 at 5 % and 5 % of it; ours has both arms' variances and 15.7 for 16.
    assert.ok(plan.fixed.people_per_arm > 0.98 * 121_600 && plan.fixed.people_per_arm < 1.03 * 121_600, `${plan.fixed.people_per_arm}`);
    assert.ok(plan.sequential.people_per_arm > plan.fixed.people_per_arm);
    assert.ok(Math.abs(plan.fixed.days - plan.fixed.people / 10_000) < 1e-3);
    assert.ok(plan.by_day.length > 14 && plan.by_day[13].fixed < plan.by_day[13].sequential);
    for (const wrong of [{}, { base: 2 }, { base: 0.1, lift: 0 }, { base: 0.1, arms: 1 }]) await server.post('/v1/plan', wrong, { status: 400 });
});
