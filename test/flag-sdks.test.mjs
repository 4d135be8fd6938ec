// SPDX-License-Identifier: Apache-2.0
// One experiment, three SDK families from npm, unmodified, and /v1/decide: everybody gets the same from each.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { GrowthBook, setPolyfills } from '@growthbook/growthbook';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { createBatchEventProcessor, createInstance, createPollingProjectConfigManager } from '@optimizely/optimizely-sdk';

import { PATIENCE_MS, eventually, long, startServer } from './lib/server.mjs';

let server;
const PEOPLE = long ? 10_000 : 1_500;
const names = [(i) => `user-${i}`, (i) => `ż-ółć${i}`, (i) => `😀${i}`, (i) => `用户${i}`, (i) => String(i)];
const people = Array.from({ length: PEOPLE }, (_, i) => ({ id: names[i % names.length](i), country: ['NO', 'SE', 'PL'][i % 3], visits: i % 17 }));
const keys = ['hero', 'layer_one', 'layer_two', 'delivery', 'ramp'];

const arm = (key, share, value) => ({ key, share, value });
const flags = [
    { key: 'hero', type: 'string', default: 'old', rules: [
        { key: 'staff', kind: 'force', target: 'context.visits = 16', value: 'staff' },
        { key: 'test', kind: 'experiment', target: 'context.country in ("NO", "SE")', forced: { 'user-0': 'c' },
            variations: [arm('a', '30%', 'old'), arm('b', '30%', 'new'), arm('c', '20%', 'newer')] },
    ] },
    { key: 'layer_one', type: 'bool', default: false, rules: [{ key: 'x', kind: 'experiment', layer: { key: 'checkout', from: '0%', to: '40%' },
        variations: [arm('off', '50%', false), arm('on', '50%', true)] }] },
    { key: 'layer_two', type: 'number', default: 0, rules: [{ key: 'x', kind: 'experiment', layer: { key: 'checkout', from: '40%', to: '90%' }, holdout: '10%',
        variations: [arm('one', '50%', 1), arm('half', '50%', 0.5)] }] },
    { key: 'delivery', type: 'json', default: { n: 0 }, rules: [
        { key: 'some', kind: 'rollout', share: '20%', target: 'not context.country = "PL"', value: { n: 1 } },
        { key: 'rest', kind: 'force', target: 'context.visits between 3 and 9', value: { n: [2] } },
    ] },
    { key: 'ramp', type: 'bool', default: false, rules: [{ key: 'all', kind: 'rollout', share: '35%', value: true }] },
];

/** `work` for each, some at a time. */
async function each(list, work, at_once = 40) {
    let next = 0;
    await Promise.all(Array.from({ length: at_once }, async () => {
        while (next < list.length) {
            const i = next++;
            await work(list[i], i);
        }
    }));
}

before(async () => {
    server = await startServer({ config: { flush_ms: 100 } });
    await server.publish({ kind: 'settings', key: 'shop', holdout: '5%', currency: 'EUR' });
    for (const flag of flags) await server.publish({ kind: 'flag', title: flag.key, owner: 'kari@shop.test', ...flag });
});
after(async () => {
    await OpenFeature.close();
    await server?.stop({ remove: true });
});

const optimizely = (more = {}) => createInstance({
    projectConfigManager: createPollingProjectConfigManager({ sdkKey: server.write, urlTemplate: `${server.url}/optimizely/datafiles/%s.json`, ...more }),
});

test('the same assignments from Optimizely, GrowthBook, OpenFeature and /v1/decide', { timeout: 900_000 }, async () => {
    const sdk = optimizely();
    await sdk.onReady({ timeout: PATIENCE_MS });
    const want = people.map(({ id, ...attributes }) => {
        const all = sdk.createUserContext(id, attributes).decideAll(['DISABLE_DECISION_EVENT']);
        return keys.map((key) => (all[key].variables.value === undefined ? all[key].enabled : all[key].variables.value));
    });
    sdk.close();
    const kinds = keys.map((_, k) => new Set(want.map((row) => JSON.stringify(row[k]))).size);
    assert.deepEqual(kinds, [4, 2, 3, 3, 2], 'every variation is given to somebody');

    await each(people, async ({ id, ...context }, i) => {
        const said = await server.post('/v1/decide', { person: { user_id: id }, context, flags: keys, record: false });
        assert.deepEqual(keys.map((key) => said.flags[key].value), want[i], `decide for ${id}`);
    });

    await each(people, async ({ id, ...attributes }, i) => {
        const gb = new GrowthBook({ apiHost: `${server.url}/growthbook`, clientKey: server.write, remoteEval: true, attributes: { id, ...attributes } });
        await gb.init({ skipCache: true });
        assert.deepEqual(keys.map((key) => gb.getFeatureValue(key, null)), want[i], `GrowthBook for ${id}`);
        gb.destroy();
    });

    await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: server.url, headers: [['Authorization', `Bearer ${server.write}`]] }));
    const client = OpenFeature.getClient();
    await each(people.filter((_, i) => i % 5 === 0), async ({ id, ...context }) => {
        const row = want[people.findIndex((p) => p.id === id)], at = { targetingKey: id, ...context };
        const got = await Promise.all([client.getStringValue('hero', '?', at), client.getBooleanValue('layer_one', false, at), client.getNumberValue('layer_two', -1, at),
            client.getObjectValue('delivery', {}, at), client.getBooleanValue('ramp', false, at)]);
        assert.deepEqual(got, row, `OpenFeature for ${id}`);
    });
    await each(people, async ({ id, ...context }, i) => {
        const { flags: all } = await server.post('/ofrep/v1/evaluate/flags', { context: { targetingKey: id, ...context } }, { key: server.write });
        assert.deepEqual(keys.map((key) => all.find((f) => f.key === key).value), want[i], `OFREP for ${id}`);
    });
});

test('R84: a server-side SDK decides with no network on the page, and its reports are measured', async () => {
    await server.publish({ kind: 'flag', key: 'till', title: 'Till', owner: 'kari@shop.test', type: 'bool', default: false,
        rules: [{ key: 't', kind: 'experiment', variations: [arm('old', '50%', false), arm('new', '50%', true)] }] });
    // A dispatcher of five lines, as docs/guide/optimizely.md has it.
    const post = (event) => server.request('POST', '/optimizely/v1/events', { body: event.params }).then((r) => ({ statusCode: r.status }));
    const sdk = createInstance({
        projectConfigManager: createPollingProjectConfigManager({ sdkKey: server.write, urlTemplate: `${server.url}/optimizely/datafiles/%s.json` }),
        eventProcessor: createBatchEventProcessor({ eventDispatcher: { dispatchEvent: post }, batchSize: 1, flushInterval: 50 }),
    });
    await sdk.onReady({ timeout: PATIENCE_MS });
    const arms = { true: 0, false: 0 };
    for (let i = 0; i < 40; i++) {
        const person = sdk.createUserContext(`till-${i}`);
        const decision = person.decide('till');
        assert.equal(person.decide('till').enabled, decision.enabled, 'the same person, the same answer');
        if (decision.ruleKey === 'till.t') arms[decision.enabled]++;          // the rest are held out
        if (i % 4 === 0) person.trackEvent('order_completed', { revenue: 4900, value: 1.5 });
    }
    assert.ok(arms.true > 8 && arms.false > 8);
    const results = await eventually('the impressions are in the results', async () => {
        const got = await server.get('/v1/results/till');
        return got.arms.reduce((n, v) => n + v.exposed, 0) >= arms.true + arms.false && got;
    });
    assert.equal(results.arms.reduce((n, v) => n + v.exposed, 0), arms.true + arms.false, 'each person once');
    assert.deepEqual(results.arms.map((v) => v.exposed).sort((a, b) => a - b), Object.values(arms).sort((a, b) => a - b));
    sdk.close();
});

test('a datafile has a date of its own for each change, and is not sent twice', async () => {
    const path = `/optimizely/datafiles/${server.write}.json`, dates = [];
    for (let i = 0; i < 3; i++) {
        await server.publish({ kind: 'flag', key: 'dated', title: 'Dated', owner: 'kari@shop.test', type: 'number', default: i, rules: [] });
        const answer = await server.request('GET', path);
        dates.push(answer.headers.get('last-modified'));
        assert.equal((await answer.json()).featureFlags.find((f) => f.key === 'dated').variables[0].defaultValue, String(i));
        assert.equal((await server.request('GET', path, { headers: { 'if-modified-since': dates[i] } })).status, 304);
        assert.equal((await server.request('GET', path, { headers: { 'if-modified-since': dates[0] } })).status, i === 0 ? 304 : 200);
    }
    assert.ok(Date.parse(dates[0]) < Date.parse(dates[1]) && Date.parse(dates[1]) < Date.parse(dates[2]), dates.join());
    assert.equal((await server.request('GET', '/optimizely/datafiles/nobody.json')).status, 401);
});

test('GrowthBook evaluates by itself what hashes its way, and hears of a change', async () => {
    await server.publish({ kind: 'settings', key: 'shop', holdout: '0%', currency: 'EUR' });
    const flag = (value) => ({ kind: 'flag', key: 'local', title: 'Local', owner: 'kari@shop.test', type: 'string', default: 'none', rules: [
        { key: 'vips', kind: 'force', target: 'context.plan in ("gold", "platinum") and not context.age < 18', value },
        { key: 'x', kind: 'experiment', hash: 'gb2', layer: { key: 'pages', from: '0%', to: '70%' }, variations: [arm('a', '40%', 'a'), arm('b', '40%', 'b')] }] });
    await server.publish(flag('vip'));
    const people = Array.from({ length: 500 }, (_, i) => ({ id: names[i % 5](i), ...(i % 3 ? { plan: i % 2 ? 'gold' : 'basic' } : {}), ...(i % 4 ? { age: i % 40 } : {}) }));
    const payload = await (await server.request('GET', `/growthbook/api/features/${server.write}`)).json();
    assert.deepEqual(Object.keys(payload.features).includes('hero'), false, 'opt3 is not sent to who cannot compute it');
    const seen = new Set();
    for (const person of people) {
        const gb = new GrowthBook({ attributes: person });
        gb.initSync({ payload });
        const { flags: said } = await server.post('/v1/decide', { person: { user_id: person.id }, context: person, flags: ['local'], record: false });
        assert.equal(gb.getFeatureValue('local', null), said.local.value, JSON.stringify(person));
        seen.add(said.local.value);
    }
    assert.deepEqual([...seen].sort(), ['a', 'b', 'none', 'vip']);

    const stream = await server.request('GET', `/growthbook/sub/${server.write}`);
    const reader = stream.body.pipeThrough(new TextDecoderStream()).getReader();
    await reader.read();
    await server.publish(flag('gold'));
    let text = '';
    while (!text.includes('\n\n')) text += (await reader.read()).value;
    const [head, data] = text.trim().split('\n');
    assert.equal(head, 'event: features');
    assert.equal(JSON.parse(data.slice(6)).features.local.rules[0].force, 'gold');
    await reader.cancel();
});

test('OFREP says what is wrong in its own words, and its ETag covers context and configuration', async () => {
    const ask = (path, body, headers = {}) => server.request('POST', path, { body, key: server.write, headers });
    await server.publish({ kind: 'flag', key: 'plan', title: 'Plan', owner: 'kari@shop.test', type: 'bool', default: false,
        rules: [{ key: 'gold', kind: 'force', target: 'context.plan = "gold"', value: true }] });
    const one = '/ofrep/v1/evaluate/flags/ramp', all = '/ofrep/v1/evaluate/flags';
    assert.deepEqual(await (await ask(one, '{')).json().then((b) => [b.key, b.errorCode]), ['ramp', 'PARSE_ERROR']);
    assert.deepEqual(await (await ask(one, { context: 7 })).json().then((b) => b.errorCode), 'INVALID_CONTEXT');
    assert.deepEqual(await (await ask(one, { context: {} })).json().then((b) => b.errorCode), 'TARGETING_KEY_MISSING');
    assert.equal((await ask(`${all}/no/such`, { context: {} })).status, 404);
    assert.equal((await server.request('POST', one, { body: { context: {} } })).status, 401);
    const first = await ask(all, { context: { targetingKey: 'a', plan: 'basic' } }), etag = first.headers.get('etag');
    assert.equal((await ask(all, { context: { targetingKey: 'a', plan: 'basic' } }, { 'if-none-match': etag })).status, 304);
    assert.equal((await ask(all, { context: { targetingKey: 'a', plan: 'gold', age: 30 } }, { 'if-none-match': etag })).status, 200, 'another context is another answer');
    const [stream] = (await first.json()).eventStreams;
    assert.equal(stream.type, 'sse');
    const reader = (await fetch(stream.url)).body.pipeThrough(new TextDecoderStream()).getReader();
    await reader.read();
    await server.publish({ kind: 'flag', key: 'dated', title: 'Dated', owner: 'kari@shop.test', type: 'number', default: 99, rules: [] });
    assert.equal(JSON.parse((await reader.read()).value.slice(6)).type, 'refetchEvaluation');
    await reader.cancel();
    assert.equal((await ask(all, { context: { targetingKey: 'a', plan: 'basic' } }, { 'if-none-match': etag })).status, 200);
});

test('what a protocol cannot say is said, a preview shows a variation, and a layer is not given away twice', async () => {
    const lint = await server.get('/v1/flags/lint?flag=local');
    assert.match(lint.optimizely.map((n) => n.text).join(), /its hash is gb2/);
    assert.deepEqual(lint.growthbook.filter((n) => n.kind === 'left out'), []);
    assert.match((await server.get('/v1/flags/lint?flag=till')).growthbook.map((n) => n.text).join(), /opt3/);
    const { token } = await server.post('/v1/flags/preview', { flag: 'till', rule: 't', variation: 'new' });
    for (const id of ['p-1', 'p-2', 'p-3', 'p-4']) {
        const got = await server.post('/ofrep/v1/evaluate/flags/till', { context: { targetingKey: id, opmaat_preview: token } });
        assert.deepEqual([got.value, got.metadata.why], [true, 'preview']);
    }
    await server.put('/v1/definitions/flag/thief', { type: 'bool', default: false, rules: [{ key: 'x', kind: 'rollout', share: '50%', value: true,
        layer: { key: 'checkout', from: '30%', to: '60%' } }] });
    assert.match(JSON.stringify(await server.post('/v1/definitions/flag/thief/publish', {}, { status: 422 })), /shares a part of layer checkout/);
    await server.put('/v1/definitions/flag/loop', { type: 'bool', default: false, rules: [{ key: 'x', kind: 'force', value: true, requires: [{ flag: 'loop', value: true }] }] });
    assert.match(JSON.stringify(await server.post('/v1/definitions/flag/loop/publish', {}, { status: 422 })), /leads back/);
});

const seen = (id, flag) => server.post(`/ofrep/v1/evaluate/flags/${flag}`, { context: { targetingKey: id } });
const ordered = (id, total) => ({ type: 'track', event: 'Order Completed', userId: id, messageId: `o-${id}`, properties: { order_id: `o-${id}`, total, revenue: total, currency: 'EUR' } });

test('R88: a test starts small and grows by itself, and a guardrail stops it', { timeout: 300_000 }, async () => {
    const ramped = (key, ramp) => ({ kind: 'flag', key, title: key, owner: 'kari@shop.test', type: 'bool', default: false,
        rules: [{ key: 't', kind: 'experiment', ramp, variations: [arm('old', '5%', false), arm('new', '5%', true)] }] });
    await server.publish(ramped('grows', { steps: ['5%', '20%', '50%'], every: '2 seconds', guardrail: 'order_rate' }));
    const ids = Array.from({ length: 300 }, (_, i) => `r-${i}`);
    const values = async () => Object.fromEntries((await Promise.all(ids.map(async (id) =>
        [id, (await server.post('/v1/decide', { person: { user_id: id }, flags: ['grows'], record: false })).flags.grows.variation]))));
    const first = await values();
    const history = await eventually('the last step is reached', async () => {
        const { revisions } = await server.get('/v1/definitions/flag/grows/revisions');
        return revisions.length >= 3 && revisions;
    }, PATIENCE_MS, 200);
    assert.deepEqual(history.slice(0, 2).map((r) => r.by), ['ramp', 'ramp'], 'each step is a revision in the log');
    const last = await values();
    for (const id of ids) if (first[id]) assert.equal(last[id], first[id], 'nobody changes arms');
    assert.ok(Object.values(last).filter(Boolean).length > 5 * Object.values(first).filter(Boolean).length);

    await server.publish({ ...ramped('stops', { steps: ['50%'], every: '1 day', guardrail: 'order_rate' }),
        rules: [{ key: 't', kind: 'experiment', ramp: { steps: ['50%'], every: '1 day', guardrail: 'order_rate' }, variations: [arm('old', '50%', false), arm('new', '50%', true)] }] });
    const people = Array.from({ length: 1000 }, (_, i) => `g-${i}`), orders = [];
    await each(people, async (id, i) => {
        const got = await seen(id, 'stops');
        if (got.variant === 'old' ? i % 2 === 0 : i % 20 === 0) orders.push(ordered(id, 10));
    });
    await server.post('/v1/batch', { batch: orders });
    const stopped = await eventually('the guardrail stops it', async () => {
        const at = await server.get('/v1/definitions/flag/stops');
        return at.paused && at;
    }, PATIENCE_MS, 200);
    assert.ok(stopped);
    assert.equal((await seen('g-1', 'stops')).reason, 'DISABLED');
});

test('R81: a factorial test tells main effects and interactions', { timeout: 300_000 }, async () => {
    const arms = [['old', 'a'], ['old', 'b'], ['new', 'a'], ['new', 'b']].map(([headline, image], i) =>
        ({ key: `${headline}_${image}`, share: '25%', value: i, levels: { headline, image } }));
    const flag = { kind: 'flag', key: 'mvt', title: 'MVT', owner: 'kari@shop.test', type: 'number', default: -1,
        rules: [{ key: 't', kind: 'experiment', factors: { headline: ['old', 'new'], image: ['a', 'b'] }, variations: arms }] };
    await server.put('/v1/definitions/flag/mvt', { ...flag, rules: [{ ...flag.rules[0], variations: arms.map(({ levels, ...rest }) => rest) }] });
    assert.match(JSON.stringify(await server.post('/v1/definitions/flag/mvt/publish', {}, { status: 422 })), /says no level of headline/);
    await server.publish(flag);
    const orders = [], chance = { old_a: 10, old_b: 10, new_a: 4, new_b: 2 }, count = {};
    await each(Array.from({ length: 800 }, (_, i) => `m-${i}`), async (id) => {
        const { variant } = await seen(id, 'mvt');
        count[variant] = (count[variant] ?? 0) + 1;
        if (count[variant] % chance[variant] === 0) orders.push(ordered(id, 20));
    });
    await server.post('/v1/batch', { batch: orders });
    const told = Object.entries(count).reduce((n, [key, people]) => n + (key in chance ? people : 0), 0);
    const exposed = await eventually('every exposure is counted', async () => {
        const { arms: counted } = await server.get('/v1/results/mvt');
        return counted.reduce((n, a) => n + a.exposed, 0) >= told && counted;
    });
    assert.deepEqual(Object.fromEntries(exposed.map((a) => [a.variation, a.exposed])), Object.fromEntries(Object.keys(chance).map((key) => [key, count[key]])));
    const { factors } = await server.get('/v1/flags/mvt/factors');
    const { effects } = factors.find((f) => f.metric === 'order_rate');
    assert.deepEqual(effects.map((e) => [e.kind, e.factor, e.with]), [['main', 'headline', undefined], ['main', 'image', undefined], ['interaction', 'headline', 'image']]);
    const results = await server.get('/v1/results/mvt');            // the same people, so the same numbers
    const rate = Object.fromEntries(results.arms.map((a) => [a.variation, a.order_rate]));
    const near = (x, y) => assert.ok(Math.abs(x - y) < 1e-9, `${x} ${y}`);
    near(effects[0].effect, (rate.new_a + rate.new_b - rate.old_a - rate.old_b) / 2);
    near(effects[2].effect, rate.new_b - rate.new_a - rate.old_b + rate.old_a);
    assert.ok(effects[0].low > 0 && effects[0].p < 0.05, 'the headline is told apart from chance');
});

test('R87: the share of live rules with a control, and those without by name', async () => {
    await server.publish({ kind: 'flag', key: 'bare', title: 'Bare', owner: 'kari@shop.test', type: 'bool', default: false, rules: [{ key: 'everyone', kind: 'force', value: true }] });
    const found = await server.get('/v1/tests/coverage'), of = (key, rule) => found.rules.find((r) => r.key === key && r.rule === rule);
    assert.equal(of('bare', 'everyone').tested, false);
    assert.deepEqual([of('mvt', 't').by, of('ramp', 'all').by], ['experiment', 'share']);
    assert.equal(of('stops', 't'), undefined, 'what is paused is not live');
    assert.equal(found.with_control, found.rules.filter((r) => r.tested).length);
    assert.equal(found.share, found.with_control / found.live);
});
