// SPDX-License-Identifier: Apache-2.0
//
// choices.test.mjs - what shoppers say of themselves: a quiz that was written in the console, and a page where they
// choose, against a real server.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';

import { eventually, startServer } from './lib/server.mjs';

const item = (product_key, category, brand, colour) => ({
    product_key, title: product_key, category, brand, colour, price: '40', currency: 'EUR', stock: 9,
});
const PRODUCTS = ['black', 'blue'].flatMap((colour) => [1, 2, 3, 4].flatMap((i) => [
    item(`jeans-${colour}-${i}`, 'Women > Jeans', i % 2 ? 'Acme' : 'Nordic', colour),
    item(`tea-${colour}-${i}`, 'Home > Tea', 'Hearth', colour),
]));
const BY_KEY = new Map(PRODUCTS.map((p) => [p.product_key, p]));
const quiz = {
    kind: 'quiz', key: 'skin', title: { en: 'Find your skin type', nb: 'Finn hudtypen din' }, owner: 'kari@shop.test',
    thanks: 'Thank you!',
    questions: [{
        key: 'skin-type', text: { en: 'How does your skin feel?', nb: 'Hvordan kjennes huden?' },
        answers: [{ key: 'dry', text: { en: 'Tight and dry', nb: 'Stram og tørr' } }, { key: 'oily', text: 'Oily' }],
    }],
};
const yes = { consent: { categoryPreferences: { analytics: true, personalisation: true } } };
const no = { consent: { categoryPreferences: { analytics: false, personalisation: false } } };

let server;
const tell = (body) => server.post('/v1/preferences', body, { key: server.write });
const told = (anonymous_id) => server.get(`/v1/preferences?anonymous_id=${anonymous_id}`, { key: server.write });
const viewed = (anonymousId, product_id) => ({ type: 'track', messageId: randomUUID(), anonymousId, event: 'Product Viewed', properties: { product_id }, context: yes });
const answered = (anonymousId, context, answer = 'dry') => ({
    type: 'track', messageId: randomUUID(), anonymousId, event: 'Quiz Answered', properties: { quiz: 'skin', question: 'skin-type', answer }, context,
});

before(async () => {
    server = await startServer({ config: { train_ms: 200 }, basis: 'analytics=consent,personalisation=consent,model_training=contract' });
    const { job } = await server.post('/v1/import/products', PRODUCTS.map((p) => JSON.stringify(p)).join('\n'), { status: 202 });
    await eventually('the catalogue is loaded', async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
    await server.publish({ kind: 'settings', key: 'shop', holdout: '0%', currency: 'EUR' });
    await server.publish({ kind: 'strategy', key: 'mine', title: 'Mine', mix: ['session', 'cooc', 'trending'], fallback: ['bestsellers'] });
    await server.publish({ kind: 'placement', key: 'row', title: 'Row', strategy: 'mine', min_items: 1, schema: {} });
    await server.publish({ kind: 'placement', key: 'hero', title: 'Hero', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
    const batch = [];
    for (let i = 0; i < 40; i++) for (let k = 1; k <= 3; k++) batch.push(viewed(`crowd-${i}`, `${i % 4 ? 'jeans' : 'tea'}-${(i >> 2) % 2 ? 'black' : 'blue'}-${1 + (i + k) % 4}`));
    await server.post('/v1/batch', { batch });
    await eventually('the model knows the crowd', async () => (await server.get('/v1/models')).models[0]?.interactions >= 100);
});
after(() => server?.stop({ remove: true }));

test('a quiz that cannot be asked is refused, with the reason', async () => {
    const refused = async (questions, reason) => {
        await server.put('/v1/definitions/quiz/bad', { kind: 'quiz', key: 'bad', title: 'Bad', questions });
        const { errors } = await server.post('/v1/definitions/quiz/bad/publish', {}, { status: 422 });
        assert.match(errors[0].message, reason);
    };
    await refused([], /1 to 50 questions/);
    await refused([{ key: 'a', text: 'A?', answers: [] }], /1 to 50 answers/);
    await refused([{ key: 'a', text: ' ', answers: [{ key: 'x', text: 'X' }] }], /question "a" has no text/);
    await refused([{ key: 'a', text: 'A?', answers: [{ key: 'x', text: 'X' }, { key: 'x', text: 'Y' }] }], /two answers "x"/);
    await server.get('/v1/quizzes/bad', { status: 404 });
});

test('R10: a quiz writes declared facts through the consent gate, and a rule targets one answer', async () => {
    await server.publish(quiz);
    const asked = await server.get('/v1/quizzes/skin?locale=nb-NO', { key: null });
    assert.equal(asked.title, 'Finn hudtypen din');
    assert.deepEqual(asked.questions, [{
        key: 'skin-type', text: 'Hvordan kjennes huden?', answers: [{ key: 'dry', text: 'Stram og tørr' }, { key: 'oily', text: 'Oily' }],
    }]);
    await server.publish({
        kind: 'campaign', key: 'care', title: 'Care', goal: 'find a cream', placement: 'hero',
        experiences: [{ key: 'dry', target: 'quiz("skin-type") = "dry"', choose: 'fixed', variations: [{ key: 'a', content: { headline: 'For dry skin' } }] }],
    });
    const shown = async (anonymous_id, events = []) => {
        const { decisions } = await server.post('/v1/decide', { person: { anonymous_id }, placements: ['hero'], context: yes, events }, { key: server.write });
        return decisions.hero.content.headline;
    };
    assert.equal(await shown('dora'), 'Welcome');
    assert.equal(await shown('dora', [answered('dora', yes)]), 'For dry skin', 'in the same request');
    assert.equal(await shown('olga', [answered('olga', yes, 'oily')]), 'Welcome', 'another answer is not it');
    assert.equal((await server.post('/v1/batch', { batch: [answered('nils', no)] }, { key: server.write })).no_consent, 1);
    assert.equal(await shown('nils'), 'Welcome');
    const { person_id } = await server.post('/v1/people/lookup', { anonymous_id: 'dora' });
    const { traits } = await server.get(`/v1/people/${person_id}`);
    const fact = traits.find((t) => t.name === 'quiz.skin-type');
    assert.deepEqual([fact.value, fact.origin], ['dry', 'declared']);
    await server.post('/v1/definitions/quiz/skin/pause', {});
    await server.get('/v1/quizzes/skin', { status: 404 });
    await server.post('/v1/definitions/quiz/skin/resume', {});
});

test('R23: what people choose themselves is kept, and outranks what is inferred in every decision', async () => {
    const person = { anonymous_id: 'vera' };
    const ask = (path, body) => server.post(path, { person, context: yes, ...body }, { key: server.write });
    // All she did says blue jeans by Acme.
    await server.post('/v1/batch', { batch: ['jeans-blue-1', 'jeans-blue-3', 'jeans-blue-1', 'jeans-blue-3'].map((key) => viewed('vera', key)) }, { key: server.write });
    await server.publish({
        kind: 'campaign', key: 'look', title: 'Look', goal: 'her own shop', placement: 'hero', priority: 9,
        experiences: [
            { key: 'calm', target: 'trait("preferences.layout") = "calm"', choose: 'fixed', variations: [{ key: 'a', content: { headline: 'Calm' } }] },
            { key: 'tea', target: 'affinity(category, "tea") > affinity(category, "jeans")', choose: 'fixed', variations: [{ key: 'a', content: { headline: 'Tea' } }] },
            { key: 'jeans', target: 'affinity(category, "jeans") > 0.5', choose: 'fixed', variations: [{ key: 'a', content: { headline: 'Jeans' } }] },
        ],
    });
    const headline = async () => (await ask('/v1/decide', { placements: ['hero'] })).decisions.hero.content.headline;
    const row = async () => (await ask('/v1/decide', { placements: ['row'], limit: 6 })).decisions.row.items;
    const recommended = async (more = {}) => (await ask('/v1/recommend', { strategy: 'mine', limit: 6, ...more })).items;
    const category = (one) => BY_KEY.get(one.product_key).category;
    assert.equal(await headline(), 'Jeans');
    assert.equal(category((await recommended())[0]), 'Women > Jeans');

    const chose = await tell({ person, context: yes, preferences: { category: ['Home > Tea'], colour: 'black' } });
    assert.deepEqual(chose.preferences, { category: ['Home > Tea'], colour: 'black' });
    assert.equal(await headline(), 'Tea');
    for (const list of [await row(), await recommended()]) {
        const fits = list.map((one) => (category(one) === 'Home > Tea') + (BY_KEY.get(one.product_key).colour === 'black'));
        assert.deepEqual(fits, [...fits].sort().reverse(), 'what fits most of the choices comes first');
        assert.equal(fits[0], 2);
        assert.equal(list[0].because.likes.chosen, true);
        assert.match(list[0].because.text, /Because you chose /);
    }
    const beside = await recommended({ context: { ...yes, product: 'jeans-blue-1' } });
    const black = beside.map((one) => BY_KEY.get(one.product_key).colour === 'black');
    assert.deepEqual(black, [...black].sort().reverse(), 'beside a product, too');
    const found = await ask('/v1/search', { category: 'Women', q: 'jeans', personalise: 100 });
    assert.match(found.items[0].product_key, /^jeans-black/, 'search puts the chosen colour before the one she looked at');
    const menu = await ask('/v1/navigation', {});
    assert.match(JSON.stringify(menu.categories?.[0] ?? menu), /Home/, 'a menu begins with what was chosen');

    await tell({ person, context: yes, preferences: { layout: 'calm' } });
    assert.equal(await headline(), 'Calm');
    assert.deepEqual((await told('vera')).preferences, { category: ['Home > Tea'], colour: 'black', layout: 'calm' });
    await tell({ person, context: yes, preferences: { layout: null, category: null, colour: null } });
    assert.deepEqual((await told('vera')).preferences, {});
    assert.equal(await headline(), 'Jeans');
    assert.equal(category((await recommended())[0]), 'Women > Jeans');
});

test('a choice is nobody else\'s to read, needs consent, and is checked', async () => {
    await server.post('/v1/identify', { userId: 'eva', traits: { preferences: { brand: 'Acme' } }, context: yes });
    assert.deepEqual((await server.get('/v1/preferences?user_id=eva')).preferences, { brand: 'Acme' }, 'a secret key may');
    assert.deepEqual((await server.get('/v1/preferences?user_id=eva', { key: server.write })).preferences, {}, 'a claim may not');
    const refused = await tell({ person: { anonymous_id: 'noel' }, context: no, preferences: { brand: 'Acme' } });
    assert.deepEqual(refused, { preferences: {}, no_consent: 1 });
    const wrong = async (preferences, reason) => assert.match((await server.post('/v1/preferences',
        { person: { anonymous_id: 'x' }, context: yes, preferences }, { key: server.write, status: 400 })).detail, reason);
    await wrong(undefined, /expected \{"preferences"/);
    await wrong({ 'Big Name': 1 }, /a name is 1 to 40/);
    await wrong({ brand: { a: 1 } }, /a choice is a text/);
    await wrong({ brand: Array.from({ length: 33 }, () => 'a') }, /at most 32 texts/);
    await server.get('/v1/preferences?anonymous_id=vera', { key: null, status: 401 });
});
