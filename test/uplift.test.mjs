// SPDX-License-Identifier: Apache-2.0
//
// uplift.test.mjs - a campaign's uplift as a score: learnt in the background from the shop's own experiment, with a card, usable in
// rules, the same from a replay; and with too little, the number that is needed. Women are moved by the campaign, men are not.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { rng } from './lib/random.mjs';
import { PATIENCE_MS, eventually, opmaat, startServer } from './lib/server.mjs';

const DAY = 86_400_000, N = 3000;
const next = rng(41), random = () => next.unit();
const ago = (days) => new Date(Date.now() - days * DAY).toISOString();
let server, number = 0;

const campaign = (key, more) => ({ kind: 'campaign', key, title: key, goal: 'be of use', placement: 'hero', ...more, experiences: [{ key: 'all',
    choose: 'experiment', variations: [{ key: 'a', share: '50%', control: true, content: { headline: 'A' } }, { key: 'b', share: '50%', content: { headline: 'B' } }] }] });
const event = (userId, name, days, properties) => ({ type: 'track', userId, messageId: `m-${++number}`, event: name, timestamp: ago(days), properties });

before(async () => {
    server = await startServer({ config: { flush_ms: 100, train_ms: 300, predict_ms: 300 } });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    await server.publish({ kind: 'placement', key: 'hero', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
    await server.publish(campaign('quiet', { priority: -1, uplift: true }));
    await server.publish(campaign('spring'));
});
after(() => server.stop({ remove: true }));

const card = async (key = 'spring') => (await server.get('/v1/predictions')).predictions.find((p) => p.score === `uplift.${key}`);

test('with too little, the card says how many are needed', async () => {
    const got = await eventually('a card', async () => { const c = await card('quiet'); return c?.learnt_from && c; });
    assert.equal(got.enough, false);
    assert.match(got.why, /500 people and 50 outcomes of each are needed/);
});

test('what a campaign changes for each is learnt from its experiment, told with its card, and asked by a rule', async () => {
    for (let from = 0; from < N; from += 100) {
        const people = Array.from({ length: 100 }, (_, i) => ({ user: `ana-${from + i}`, woman: random() < 0.5, luck: random() }));
        await server.post('/v1/batch', { batch: people.map(({ user, woman }) => ({ type: 'identify', userId: user, messageId: `m-${++number}`,
            timestamp: ago(20), traits: { gender: woman ? 'female' : 'male' } })) });
        const batch = [];
        await Promise.all(people.map(async (one) => {
            const { hero } = (await server.post('/v1/decide', { person: { user_id: one.user }, placements: ['hero'] })).decisions;
            const moved = one.woman && hero.variation === 'b';
            batch.push(event(one.user, 'Decision Viewed', 10, { ticket: hero.ticket }));
            if (one.luck < (moved ? 0.6 : 0.2)) batch.push(event(one.user, 'Order Completed', 9, { order_id: `o-${one.user}`, currency: 'EUR', revenue: 30,
                products: [{ product_id: 'p-1', price: 30, quantity: 1 }] }));
        }));
        await server.post('/v1/batch', { batch });
    }
    await server.publish(campaign('spring', { uplift: { outcome: 'order', days: 3 } }));
    const got = await eventually('the card', async () => { const c = await card(); return c?.enough && c; }, PATIENCE_MS, 200);
    assert.equal(got.learnt_from.treated + got.learnt_from.control, N);
    assert.ok(['two_model', 'response'].includes(got.model));
    assert.ok(got.measures[`qini_${got.model}`].low > 0, 'better than at random, with its interval');
    assert.ok(Math.abs(got.measures.effect.value - 0.2) < 0.08, `${got.measures.effect.value} on average`);
    assert.ok(got.version > 0 && Math.abs(Date.now() - Date.parse(got.made_at)) < 10 * PATIENCE_MS);
    assert.equal(got.qini.length, 21);
    for (const bin of got.calibration) assert.ok(bin.low <= bin.observed && bin.observed <= bin.high);

    await server.publish({ kind: 'segment', key: 'worth_it', title: 'Worth it', 
        rule: 'predicted("uplift.spring") > 0.15 and not did(order_completed, last 365 days)' });  // who is as those were that it learnt from
    await server.publish({ kind: 'segment', key: 'women', title: 'Women', rule: 'gender = "female" and not did(order_completed, last 365 days)' });
    await server.publish({ kind: 'segment', key: 'both', title: 'Both', rule: 'in segment "worth_it" and in segment "women"' });
    const count = async (key) => (await server.get(`/v1/segments/${key}`)).count;
    await eventually('scores of many', async () => (await count('both')) > 0.5 * await count('women'), PATIENCE_MS, 200);
    assert.ok(await count('both') > 0.8 * await count('worth_it'), 'those moved are women');

    const { person_id: id } = await server.post('/v1/people/lookup', { user_id: 'ana-1' });
    const score = (await server.get(`/v1/people/${id}`)).predictions.find((p) => p.score === 'uplift.spring');
    assert.ok(score.value > -1 && score.value < 1 && score.version > 0 && Date.parse(score.at));
    assert.ok(score.reasons[0].code && score.reasons[0].text);
});

test('a campaign that tests nothing has no uplift, and a rule names only campaigns that are', async () => {
    const fixed = { ...campaign('fixed', { uplift: true }), experiences: [{ key: 'all', variations: [{ key: 'a', content: { headline: 'A' } }] }] };
    await assert.rejects(server.publish(fixed), /experiment/);
    await assert.rejects(server.publish({ kind: 'segment', key: 'no', title: 'No', rule: 'predicted("uplift.sprong") > 0' }), /uplift\.spring/);
});

test('the scores are in the log: another folding of it gives the same state', async () => {
    await server.stop();
    await opmaat(['verify', '--data', server.data]);
    await server.start();
    assert.equal((await card()).enough, true);
});
