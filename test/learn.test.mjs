// SPDX-License-Identifier: Apache-2.0
//
// learn.test.mjs - bandits in a real server: shares move by what people did, each choice has its probability on record, results
// stay right, and the log alone gives the same state again.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createBatchEventProcessor, createInstance, createPollingProjectConfigManager } from '@optimizely/optimizely-sdk';

import { PATIENCE_MS, eventually, opmaat, startServer } from './lib/server.mjs';
import { rng } from './lib/random.mjs';

let server;
let number = 0;
const next = rng(47), random = () => next.unit();
const id = (prefix) => `${prefix}-${++number}`;

const campaign = (key, experience) => ({
    kind: 'campaign', key, title: key, goal: 'be of use', placement: `hero_${key}`, metric: 'click_rate',
    experiences: [{ key: 'all', variations: [
        { key: 'a', share: '50%', control: true, content: { headline: 'A' } }, { key: 'b', share: '50%', content: { headline: 'B' } },
    ], ...experience }],
});

/** People come, see what they are given and click as `rate(variation, context)` says. Returns what they were given. */
async function visitors(key, n, rate, context_of = () => ({})) {
    const given = [];
    for (let from = 0; from < n; from += 100) {
        const batch = [];
        await Promise.all(Array.from({ length: Math.min(100, n - from) }, async () => {
            const user_id = id(key), context = context_of();
            const { decisions } = await server.post('/v1/decide', { person: { user_id }, placements: [`hero_${key}`], context });
            const one = decisions[`hero_${key}`];
            const clicked = one.variation !== undefined && random() < rate(one.variation, context);
            given.push({ ...one, context, clicked });
            if (!one.ticket) return;
            for (const event of clicked ? ['Decision Viewed', 'Decision Clicked'] : ['Decision Viewed'])
                batch.push({ type: 'track', userId: user_id, messageId: id('m'), event, properties: { ticket: one.ticket } });
        }));
        await server.post('/v1/batch', { batch });
    }
    return given;
}

const shares_of = async (key) => {
    const [{ decision_key }] = await visitors(key, 1, () => 0);
    return server.get(`/v1/decisions/${decision_key}`);
};

before(async () => {
    server = await startServer({ config: { flush_ms: 100, learn_ms: 100 } });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    for (const key of ['r47', 'r86', 'context'])
        await server.publish({ kind: 'placement', key: `hero_${key}`, schema: { headline: 'text' }, default: { headline: 'Welcome' } });
});
after(() => server.stop({ remove: true }));

test('R47: a bandit moves people to the better arm, and every choice is logged with its probability', async () => {
    await server.publish(campaign('r47', { choose: 'bandit', bandit: { goal: 'reward', floor: '5%' } }));
    const rate = (variation) => (variation === 'b' ? 0.4 : 0.1);
    const first = await visitors('r47', 400, rate);
    assert.ok(first.every((one) => one.reason === 'bandit'));
    const early = await server.get(`/v1/decisions/${first[0].decision_key}`);
    assert.equal(early.propensity, 0.5);
    await eventually('shares have moved', async () => {
        const one = await shares_of('r47');
        return one.propensity > 0.9 || one.propensity < 0.1;
    });
    const late = await visitors('r47', 200, rate);
    const b = late.filter((one) => one.variation === 'b').length;
    assert.ok(b > 160, `${b} of 200 were given the better arm`);
    // Inverse-propensity weighting of what is on record gives everybody back: both arms' weights add up to the people.
    const records = await Promise.all(late.map((one) => server.get(`/v1/decisions/${one.decision_key}`)));
    for (const one of records) assert.ok(one.propensity >= 0.05 - 1e-9 && one.propensity <= 0.95 + 1e-9, `${one.propensity}`);
    const counted = records.reduce((sum, one) => sum + (one.variation === 'b') / one.propensity, 0);
    assert.ok(Math.abs(counted - 200) < 60, `weights of b add up to ${counted}`);
});

test('R86: with a floor, a control share, and results by epoch', async () => {
    await server.publish(campaign('r86', { choose: 'bandit', bandit: { goal: 'reward', floor: '4%', control_share: '20%' },
        variations: [{ key: 'a', control: true, content: { headline: 'A' } }, { key: 'b', content: { headline: 'B' } }, { key: 'c', content: { headline: 'C' } }] }));
    const rate = (variation) => ({ a: 0.1, b: 0.4, c: 0.1 })[variation];
    await visitors('r86', 500, rate);
    let seen = {};
    await eventually('shares have moved', async () => {
        seen = {};
        for (const one of await visitors('r86', 20, rate)) seen[one.variation] = (await server.get(`/v1/decisions/${one.decision_key}`)).propensity;
        return seen.b > 0.6;
    });
    const late = await visitors('r86', 300, rate);
    for (const one of late.slice(0, 100)) seen[one.variation] = (await server.get(`/v1/decisions/${one.decision_key}`)).propensity;
    assert.ok(seen.a >= 0.2 - 1e-9, `the control keeps its share: ${seen.a}`);
    if (seen.c !== undefined) assert.ok(seen.c >= 0.04 - 1e-9, `the floor holds: ${seen.c}`);
    const result = await server.get('/v1/results/r86');
    const row = result.comparisons.find((one) => one.metric === 'click_rate' && one.variation === 'b');
    assert.ok(row.low > 0, 'the better arm is found');
});

test('a contextual bandit learns whom each arm is for', async () => {
    await server.publish(campaign('context', { choose: 'contextual_bandit', bandit: { context: ['device'], policy: 'tree', floor: '5%' } }));
    const rate = (variation, { device }) => ((variation === 'a') === (device === 'mobile') ? 0.5 : 0.1);
    const device = () => ({ device: random() < 0.5 ? 'mobile' : 'desktop' });
    await visitors('context', 1200, rate, device);
    let late = [];
    await eventually('the policy has split', async () => {
        late = await visitors('context', 100, rate, device);
        return late.filter((one) => (one.variation === 'a') === (one.context.device === 'mobile')).length > 85;
    });
    const [one] = late;
    const record = await server.get(`/v1/decisions/${one.decision_key}`);
    assert.ok(record.propensity > 0 && record.propensity <= 1);
});

test('an unmodified Optimizely SDK asks a contextual bandit, and the bandit learns from it', async () => {
    await server.publish({ kind: 'placement', key: 'hero_cmab', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
    await server.publish(campaign('cmab', { choose: 'contextual_bandit', bandit: { context: ['device'], policy: 'tree', floor: '5%' } }));
    const sdk = createInstance({
        projectConfigManager: createPollingProjectConfigManager({ sdkKey: server.write, urlTemplate: `${server.url}/optimizely/datafiles/%s.json` }),
        cmab: { predictionEndpointTemplate: `${server.url}/optimizely/predict/%s?write_key=${server.write}` },
        eventProcessor: createBatchEventProcessor({ batchSize: 1, flushInterval: 20, eventDispatcher: {
            dispatchEvent: (event) => server.request('POST', '/optimizely/v1/events', { body: event.params }).then((r) => ({ statusCode: r.status })) } }),
    });
    await sdk.onReady({ timeout: PATIENCE_MS });
    const given = { a: 0, b: 0 };
    for (let i = 0; i < 40; i++) {
        const person = sdk.createUserContext(`cmab-${i}`, { device: i % 2 ? 'mobile' : 'desktop' });
        const decision = await person.decideAsync('cmab.all', ['INCLUDE_REASONS']);
        assert.ok(decision.variationKey in given, decision.reasons.join());
        assert.deepEqual(decision.variables.content, { headline: decision.variationKey.toUpperCase() });
        given[decision.variationKey]++;
        const { decisions } = await server.post('/v1/decide', { person: { anonymous_id: `cmab-${i}` }, placements: ['hero_cmab'], context: { device: i % 2 ? 'mobile' : 'desktop' } });
        assert.equal(decisions.hero_cmab.variation, decision.variationKey, 'the same arm as the server gives');
    }
    assert.ok(given.a > 5 && given.b > 5);
    const results = await eventually('the impressions are in the results', async () => {
        const got = await server.get('/v1/results/cmab');
        return got.arms.reduce((n, v) => n + v.exposed, 0) >= 40 && got;
    });
    assert.deepEqual(Object.fromEntries(results.arms.map((v) => [v.variation, v.exposed])), given);
    const { predictions } = await server.post('/predict/none', { instances: [{ visitorId: 'x' }] }, { status: 404 });
    assert.equal(predictions, undefined);
    sdk.close();
});

test('R37: a change is tried on what people did, with an interval, before it is launched', async () => {
    const even = (shares) => campaign('r37', { choose: 'experiment', variations: [
        { key: 'a', share: shares[0], control: true, content: { headline: 'A' } }, { key: 'b', share: shares[1], content: { headline: 'B' } }] });
    await server.publish({ kind: 'placement', key: 'hero_r37', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
    await server.publish(even(['70%', '30%']));
    const given = await visitors('r37', 600, (variation) => (variation === 'b' ? 0.5 : 0.2));
    const rate = (key) => { const own = given.filter((one) => one.variation === key); return own.filter((one) => one.clicked).length / own.length; };
    await server.put('/v1/definitions/campaign/r37', even(['0%', '100%']));            // a draft: nobody sees it
    await server.stop();
    const { stdout } = await opmaat(['replay', '--data', server.data, '--campaign', 'r37', '--json']);
    const told = JSON.parse(stdout);
    const { gain, logged, dr } = told.metrics;
    assert.equal(told.people, 600);
    assert.ok(Math.abs(told.covered - 1) < 1e-9);
    assert.ok(Math.abs(logged.value - given.filter((one) => one.clicked).length / 600) < 1e-9);
    assert.ok(Math.abs(dr.value - rate('b')) < 1e-9, `${dr.value} is what b's people did: ${rate('b')}`);
    assert.ok(gain.low > 0 && gain.low < gain.value && gain.value < gain.high);
    assert.ok(told.weights.effective_sample_size > 100 && told.weights.effective_sample_size < 300);
    const { stdout: file } = await opmaat(['replay', '--data', server.data, '--campaign', 'r37', '--since', new Date(Date.now() + 1e6).toISOString()], { ok: false });
    assert.equal(file, '');
    server = await startServer({ data: server.data, config: server.config, keys: false, port: server.port })
        .then((again) => Object.assign(again, { secret: server.secret }));
});

test('what was learnt is in the log: the folder folds again to the same state', async () => {
    const { data, config } = server;
    await server.stop();
    await opmaat(['verify', '--data', data]);            // ends with 1 when a digest differs
    const { stdout: log } = await opmaat(['log', 'cat', '--data', data, '--count', '100000']);
    assert.match(log, /allotment/);
    server = await startServer({ data, config, keys: false, port: server.port }).then((again) => Object.assign(again, { secret: server.secret }));
    const one = await shares_of('r47');
    assert.ok(one.propensity > 0.9 || one.propensity < 0.1, 'shares are as they were');
});
