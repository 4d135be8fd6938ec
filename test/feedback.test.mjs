// SPDX-License-Identifier: Apache-2.0
//
// feedback.test.mjs - what people say: by what they were shown, who they are, and where on their journey they stood.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { eventually, startServer } from './lib/server.mjs';

let server;
let number = 0;
const id = (prefix) => `${prefix}-${++number}`;
const track = (userId, event, properties, more = {}) => server.post('/v1/track', { userId, messageId: id('m'), event, properties, ...more });
const feedback = () => server.get('/v1/feedback');

before(async () => {
    server = await startServer({ config: { flush_ms: 50 } });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    await server.publish({ kind: 'segment', key: 'lookers', title: 'Lookers', rule: 'did(product_viewed, last 30 days)' });
    await server.publish({ kind: 'placement', key: 'hero', title: 'Hero', channel: 'web', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
    await server.publish({
        kind: 'campaign', key: 'spring', title: 'Spring', goal: 'find clothes', placement: 'hero',
        experiences: [
            { key: 'lookers', target: 'in segment "lookers"', variations: [{ key: 'a', content: { headline: 'You looked' } }] },
            { key: 'all', variations: [{ key: 'b', content: { headline: 'Hello' } }] },
        ],
    });
});
after(() => server?.stop({ remove: true }));

test('R11: ratings and free text are kept per experience, and told by experience and segment', async () => {
    await track('ana', 'Product Viewed', { product_id: 'p-1' });
    await track('bo', 'Page Viewed', {});
    for (const [who, ratings] of Object.entries({ ana: [5, 4], bo: [1] })) {
        const { decisions } = await server.post('/v1/decide', { person: { user_id: who }, placements: ['hero'] });
        for (const rating of ratings) await track(who, 'Feedback Given', { rating, comment: `${who} says ${rating}`, ticket: decisions.hero.ticket });
    }
    await track('bo', 'Feedback Given', { rating: 'soon', comment: 'no number' });
    const said = await feedback();
    assert.equal(said.answers, 3);
    assert.ok(Math.abs(said.average - 10 / 3) < 1e-9, 'of 5, 4 and 1');
    assert.deepEqual(said.experiences.map(({ campaign, experience, variation, answers, average }) => [campaign, experience, variation, answers, average]),
        [['spring', 'all', 'b', 1, 1], ['spring', 'lookers', 'a', 2, 4.5]]);
    assert.deepEqual(said.experiences[1].comments.map((one) => one.text), ['ana says 4', 'ana says 5']);
    const lookers = said.segments.find((one) => one.segment === 'lookers');
    assert.deepEqual([lookers.answers, lookers.average], [2, 4.5]);
    await server.stop();
    await server.start();
    assert.deepEqual(await feedback(), said, 'the same after a restart');
});

test('R12: a CSV of survey rows is imported and told on the stage its person stood on', async () => {
    await server.publish({ kind: 'source', key: 'survey', title: 'Survey', owner: 'kari@shop.example', basis: { analytics: 'contract' } });
    await server.post('/v1/track', { userId: 'cy', messageId: id('m'), event: 'Order Completed',
        properties: { order_id: 'o-1', revenue: 30, currency: 'EUR', products: [{ product_id: 'p-1', price: 30 }] } });
    const rows = ['type,event,userId,messageId,properties.quiz,properties.question,properties.answer',
        'track,Quiz Answered,cy,s-1,spring survey,would-recommend,9', 'track,Quiz Answered,ana,s-2,spring survey,would-recommend,4',
        'track,Quiz Answered,dora,s-3,spring survey,would-recommend,7'];
    const { job } = await server.post('/v1/import/events?source=survey', rows.join('\n'), { status: 202 });
    const done = await eventually('the rows are in', async () => {
        const state = await server.get(`/v1/jobs/${job}`);
        return state.state === 'done' && state;
    });
    assert.equal(done.accepted, 3, JSON.stringify(done));
    const { surveys } = await feedback();
    const people = Object.fromEntries(await Promise.all(['cy', 'ana', 'dora'].map(async (user_id) => {
        const { person_id } = await server.post('/v1/people/lookup', { user_id });
        return [user_id, (await server.get(`/v1/people/${person_id}`)).stage.is];
    })));
    assert.notEqual(people.cy, people.ana, 'they stand on different stages');
    const expected = new Map();
    for (const [who, answer] of Object.entries({ cy: 9, ana: 4, dora: 7 })) expected.set(people[who], [...(expected.get(people[who]) ?? []), answer]);
    for (const [stage, answers] of expected) {
        const row = surveys.find((one) => one.stage === stage && one.question === 'would-recommend');
        assert.ok(row, `a row for ${stage} in ${JSON.stringify(surveys)}`);
        assert.deepEqual([row.survey, row.answers, row.average], ['spring survey', answers.length, answers.reduce((a, b) => a + b) / answers.length]);
    }
});
