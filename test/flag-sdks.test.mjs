// SPDX-License-Identifier: Apache-2.0
// One experiment, three SDK families from npm, unmodified, and /v1/decide: everybody gets the same from each.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { GrowthBook, setPolyfills } from '@growthbook/growthbook';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { createBatchEventProcessor, createInstance, createPollingProjectConfigManager } from '@optimizely/optimizely-sdk';

import { eventually, long, startServer } from './lib/server.mjs';

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
    await sdk.onReady({ timeout: 10_000 });
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
