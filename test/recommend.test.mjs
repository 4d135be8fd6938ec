// SPDX-License-Identifier: Apache-2.0
//
// recommend.test.mjs - additions, outfits, a step up, what is due again and what a quiz says, against a real server.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';

import { eventually, startServer } from './lib/server.mjs';

const DAY = 86_400_000;
const ago = (ms) => new Date(Date.now() - ms).toISOString();
const item = (key, category, price, more = {}) => ({
    product_key: key, title: key.replaceAll('-', ' '), brand: 'Nordlys', category, price: `${price}`, currency: 'EUR', stock: 9, url: `/p/${key}`, ...more,
});
const sizes = (key, stock) => ({ stock: undefined, variants: Object.entries(stock).map(([size, left]) => ({ variant_key: `${key}-${size}`, size, stock: left })) });
const shelf = (name, category, from, step, more = () => ({})) =>
    Array.from({ length: 6 }, (_, i) => item(`${name}-${i}`, category, from + i * step, more(`${name}-${i}`, i)));
const PRODUCTS = [
    ...shelf('dress', 'Women > Dresses', 80, 20, (key) => sizes(key, { S: 2, M: 2 })),
    ...shelf('jacket', 'Women > Jackets', 100, 30, (key, i) => sizes(key, i < 3 ? { S: 4, M: 0 } : { S: 1, M: 3 })),
    ...shelf('bag', 'Women > Bags', 40, 10),
    ...shelf('shoe', 'Women > Shoes', 60, 15, (key) => sizes(key, { 38: 2, 40: 1 })),
    ...shelf('kettle', 'Home > Kettles', 30, 10),
    ...shelf('tea', 'Home > Tea', 5, 1),
    item('bean', 'Home > Coffee', 9), item('filter', 'Home > Filters', 3),
    item('cream-dry', 'Care > Creams', 20, { attributes: { 'skin-type': 'dry', scent: 'none' } }),
    item('serum-dry', 'Care > Serums', 30, { attributes: { 'skin-type': ['dry', 'normal'] } }),
    item('cream-oily', 'Care > Creams', 20, { attributes: { 'skin-type': 'oily' } }),
    item('soap', 'Care > Soaps', 4, { attributes: { scent: 'none' } }), item('wash', 'Care > Soaps', 6, { attributes: { scent: 'none' } }),
];
const CATEGORY = new Map(PRODUCTS.map((p) => [p.product_key, p.category]));
let server;
let people = 0;
const someone = () => `r-${people++}`;
const lines = (keys) => keys.map((product_id) => ({ product_id, price: 10, quantity: 1 }));
const ordered = (userId, keys, ms) => ({ type: 'track', event: 'Order Completed', messageId: randomUUID(), userId, timestamp: ago(ms),
    properties: { order_id: randomUUID(), revenue: 10 * keys.length, currency: 'EUR', products: lines(keys) } });
const keys = (answer) => answer.items.map((one) => one.product_key);
const recommend = (body) => server.post('/v1/recommend', { limit: 5, ...body });

before(async () => {
    server = await startServer({ config: { train_ms: 200 }, basis: 'analytics=contract,personalisation=contract,model_training=contract' });
    const { job } = await server.post('/v1/import/products', PRODUCTS.map((one) => JSON.stringify(one)).join('\n'), { status: 202 });
    await eventually('the catalogue is loaded', async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
    for (const [key, more] of Object.entries({
        complements: { mix: ['crosssell'] }, higher: { mix: ['upsell'] }, cart: { mix: { crosssell: 1, upsell: 0.7 } },
        outfit: { mix: ['outfit'], in_size: true }, again: { mix: ['replenish'] }, quiz: { mix: ['quiz'] }, row: { mix: ['popular'] },
        bundles: { mix: ['bundles'] }, alike: { mix: ['content'] },
    })) await server.publish({ kind: 'strategy', key, title: key, ...more });
    const batch = [];
    for (let i = 0; i < 60; i++) {
        const who = `crowd-${i}`;
        batch.push(ordered(who, [`dress-${i % 6}`, `bag-${i % 3}`, `shoe-${i % 4}`, ...(i % 2 ? [`jacket-${i % 6}`] : [])], (5 + i % 9) * DAY + i * 1000));
        batch.push(ordered(who, [`kettle-${i % 6}`, `tea-${i % 4}`], (20 + i % 9) * DAY + i * 1000));
        // Coffee is bought every four weeks, filters once.
        for (let k = 0; k < 3; k++) batch.push(ordered(who, k ? ['bean'] : ['bean', 'filter'], (100 - 28 * k) * DAY + i * 1000));
    }
    await server.post('/v1/batch', { batch });
    await eventually('the model knows the crowd', async () => (await server.get('/v1/models')).models[0]?.interactions >= 500);
});
after(() => server?.stop({ remove: true }));

test('R43: a cart is offered complements and a higher tier, and no substitute', async () => {
    const cart = ['kettle-1'];
    const added = await recommend({ person: { user_id: someone() }, context: { cart }, strategy: 'complements', limit: 3 });
    assert.ok(added.items.some((one) => one.because.source === 'complements'), JSON.stringify(added.items.map((i) => [i.product_key, i.because])));
    for (const one of added.items.filter((i) => i.because.source === 'complements')) {
        assert.notEqual(CATEGORY.get(one.product_key), 'Home > Kettles', `${one.product_key} is a substitute`);
        assert.deepEqual(one.because.products, cart);
        assert.ok(one.because.weights.complements > 0);
    }
    assert.match(added.items[0].product_key, /^tea-/);
    const higher = await recommend({ person: { user_id: someone() }, context: { cart }, strategy: 'higher', limit: 2 });
    for (const one of higher.items) {
        assert.equal(CATEGORY.get(one.product_key), 'Home > Kettles');
        assert.ok(one.price.price.minor > 4000, `${one.product_key} is a step up from 40`);
        assert.match(one.because.text, /A step up from kettle 1/);
    }
    assert.equal(higher.items.length, 2);
    const both = await recommend({ person: { user_id: someone() }, context: { cart }, strategy: 'cart', limit: 4 });
    assert.deepEqual(new Set(both.items.map((one) => one.because.source)), new Set(['complements', 'upsell']));
});

test('R44: one item of a wish list gives an outfit: distinct roles, in stock, in size', async () => {
    const who = someone();
    await server.post('/v1/batch', { batch: [
        { type: 'identify', messageId: randomUUID(), userId: who, traits: { size: 'M', size_shoes: '40' } },
        { type: 'track', event: 'Product Added to Wishlist', messageId: randomUUID(), userId: who, properties: { product_id: 'dress-1' } },
    ] });
    const { items } = await recommend({ person: { user_id: who }, strategy: 'outfit', limit: 3 });
    assert.equal(items.length, 3);
    const roles = items.map((one) => CATEGORY.get(one.product_key));
    assert.deepEqual([...new Set(roles)].sort(), ['Women > Bags', 'Women > Jackets', 'Women > Shoes']);
    for (const one of items) {
        assert.equal(one.because.source, 'outfit');
        assert.deepEqual(one.because.products, ['dress-1']);
    }
    const jacket = items.find((one) => one.product_key.startsWith('jacket'));
    assert.ok(['jacket-3', 'jacket-4', 'jacket-5'].includes(jacket.product_key), `${jacket.product_key} has no M in stock`);
});

test('R24: what is put on the wish list, and taken off again, changes the outfit', async () => {
    const who = someone();
    const wish = (event, product_id) => server.post('/v1/track', { type: 'track', event, messageId: randomUUID(), userId: who, properties: { product_id } });
    const outfit = async () => (await recommend({ person: { user_id: who }, strategy: 'outfit', limit: 3 })).items
        .filter((one) => one.because.source === 'outfit');
    assert.deepEqual(await outfit(), [], 'nothing wished, no outfit');
    await wish('Product Added to Wishlist', 'dress-1');
    const dressed = await outfit();
    assert.ok(dressed.length >= 2 && dressed.every((one) => one.because.products.includes('dress-1')), JSON.stringify(dressed));
    await wish('Product Removed from Wishlist', 'dress-1');
    assert.deepEqual(await outfit(), [], 'taken off again, no outfit of it');
    await wish('Product Added to Wishlist', dressed[0].product_key);
    const other = await outfit();
    assert.ok(other.length >= 1 && other.every((one) => one.because.products.includes(dressed[0].product_key)), JSON.stringify(other));
});

test('R42: what was just bought is gone everywhere until its interval; consumables return on time', async () => {
    const [fresh, due] = [someone(), someone()];
    await server.post('/v1/batch', { batch: [ordered(fresh, ['bean', 'filter'], 3 * DAY), ordered(due, ['bean', 'filter'], 30 * DAY)] });
    const again = async (who) => (await recommend({ person: { user_id: who }, strategy: 'again', limit: 1 })).items[0];
    await eventually('coffee is due', async () => (await again(due))?.product_key === 'bean');
    const wanted = await again(due);
    assert.deepEqual([wanted.because.source, wanted.because.text], ['replenish', 'Time to buy it again']);
    for (const strategy of ['again', 'row', 'complements', 'alike', 'bundles']) {
        const early = keys(await recommend({ person: { user_id: fresh }, strategy, limit: 50 }));
        assert.ok(!early.includes('bean') && !early.includes('filter'), `${strategy}: bought three days ago`);
        const late = keys(await recommend({ person: { user_id: due }, strategy, limit: 50 }));
        assert.ok(!late.includes('filter'), `${strategy}: nobody buys a filter twice`);
    }
    assert.ok(keys(await recommend({ person: { user_id: due }, strategy: 'row', limit: 50 })).includes('bean'), 'and may be shown elsewhere, too');
});

test('R45: the answers of a quiz alone give a ranked list, the answer its reason', async () => {
    const answered = async (answers) => {
        const who = someone();
        for (const [question, answer] of Object.entries(answers))
            await server.post('/v1/track', { messageId: randomUUID(), userId: who, event: 'Quiz Answered', properties: { quiz: 'skin', question, answer } });
        const { items } = await recommend({ person: { user_id: who }, strategy: 'quiz', limit: 20 });
        return items.filter((one) => one.because.source === 'quiz');
    };
    const ranked = (items) => items.map((one) => [one.product_key, one.because.answer]);
    // What fits both answers first; then what fits the answer that fewer things fit (two are for dry skin, three without scent).
    const dry = await answered({ 'skin-type': 'dry', scent: 'none' });
    assert.deepEqual(ranked(dry).slice(0, 2), [['cream-dry', 'dry'], ['serum-dry', 'dry']]);
    assert.deepEqual(ranked(dry).slice(2).sort(), [['soap', 'none'], ['wash', 'none']]);
    for (const one of dry) assert.equal(one.because.text, `Because you answered ${one.because.answer}`);
    assert.ok(dry[0].score > dry[1].score && dry[1].score > dry[2].score, JSON.stringify(dry.map((one) => one.score)));
    assert.ok(Math.abs(dry[2].score - dry[3].score) < 1e-9, 'equally fitting, and nobody has dealt with either');
    // Another answer to one question turns the order about.
    const oily = await answered({ 'skin-type': 'oily', scent: 'none' });
    assert.deepEqual(ranked(oily)[0], ['cream-oily', 'oily']);
    assert.deepEqual(ranked(oily).slice(1).sort(), [['cream-dry', 'none'], ['soap', 'none'], ['wash', 'none']]);
    // And one answer alone ranks nothing but what fits it.
    assert.deepEqual(ranked(await answered({ 'skin-type': 'dry' })).sort(), [['cream-dry', 'dry'], ['serum-dry', 'dry']]);
});

test('a product nobody has touched is recommended by what it is', async () => {
    const newcomer = item('kettle-new', 'Home > Kettles', 45);
    const { job } = await server.post('/v1/import/products', JSON.stringify(newcomer), { status: 202 });
    await eventually('it is loaded', async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
    const who = someone();
    await server.post('/v1/track', { messageId: randomUUID(), userId: who, event: 'Product Viewed', properties: { product_id: 'kettle-2' } });
    await eventually('and the next model knows it', async () =>
        keys(await recommend({ person: { user_id: who }, context: { product: 'kettle-2' }, strategy: 'alike', limit: 10 })).includes('kettle-new'));
});

test('the model has a card', async () => {
    const [card] = (await server.get('/v1/models')).models;
    assert.ok(card.sessions > 200 && card.items > 20 && card.bytes > 0 && card.seconds >= 0 && card.from < card.to);
    assert.ok(card.held_out.questions > 0);
});

test('rows of categories and of brands, each with a handful of its items, as a placement too', async () => {
    const userId = someone();
    await server.post('/v1/batch', { batch: ['kettle-1', 'kettle-2', 'dress-1'].map((product_id, i) => ({ type: 'track', event: 'Product Viewed', messageId: randomUUID(),
        userId, timestamp: ago((3 - i) * 60_000), properties: { product_id } })) });
    await server.publish({ kind: 'strategy', key: 'categories', title: 'Categories for you', mix: ['cooc', 'content', 'popular'], rows: { by: 'category', items: 3 } });
    await server.publish({ kind: 'placement', key: 'category_rows', title: 'Categories', strategy: 'categories', default: {} });
    const answer = await recommend({ person: { user_id: userId }, strategy: 'categories', limit: 9 });
    assert.ok(answer.rows.length >= 3);
    assert.deepEqual(answer.rows.flatMap((row) => row.items), keys(answer), 'the rows are the items, row after row');
    for (const row of answer.rows) {
        assert.ok(row.items.length >= 1 && row.items.length <= 3);
        for (const key of row.items) assert.equal(CATEGORY.get(key), row.category);
        assert.equal(row.title, row.category.split(' > ').at(-1));
    }
    assert.equal(new Set(answer.rows.map((row) => row.category)).size, answer.rows.length);
    assert.ok(answer.rows.some((row) => row.because.length), 'what was looked at is given as the reason');
    const { decisions: { category_rows: row } } = await server.post('/v1/decide', { person: { user_id: userId }, placements: ['category_rows'], limit: 9 });
    assert.deepEqual(row.rows.flatMap((one) => one.items), keys(row));
    assert.ok(row.items.every((one) => one.ticket));
    const brands = await recommend({ person: { user_id: userId }, strategy: { mix: ['popular'], rows: { by: 'brand', items: 2 } }, limit: 6 });
    assert.deepEqual([brands.rows.length, brands.rows[0].brand, brands.rows[0].items.length], [1, 'Nordlys', 2]);
    const wrong = await server.post('/v1/definitions/validate', { kind: 'strategy', key: 'row', title: 'row', rows: { by: 'colour' } }, { status: 422 });
    assert.match(JSON.stringify(wrong), /category/);
});

test('where nobody may be learnt from, rows are still full', async () => {
    const own = await startServer({ config: { train_ms: 200 }, basis: 'analytics=contract,personalisation=contract,model_training=consent' });
    try {
        const { job } = await own.post('/v1/import/products', PRODUCTS.map((one) => JSON.stringify(one)).join('\n'), { status: 202 });
        await eventually('the catalogue is loaded', async () => (await own.get(`/v1/jobs/${job}`)).state === 'done');
        await own.publish({ kind: 'strategy', key: 'row', title: 'row', mix: ['session', 'cooc', 'content'] });
        const seen = (userId, product_id) => ({ type: 'track', event: 'Product Viewed', messageId: randomUUID(), userId, properties: { product_id } });
        await own.post('/v1/batch', { batch: Array.from({ length: 40 }, (_, i) => seen(`n-${i}`, PRODUCTS[i % 10].product_key)) });
        await eventually('a model is there', async () => (await own.get('/v1/models')).models[0]?.memory_limit_bytes > 0);
        await own.post('/v1/track', seen('ana', 'kettle-1'));
        const ask = (body) => own.post('/v1/recommend', { strategy: 'row', limit: 10, ...body });
        await eventually('what is alike is known', async () => (await ask({ person: { user_id: 'ana' } })).items.some((one) => one.because.source === 'content'));
        const model = (await own.get('/v1/models')).models[0];
        assert.equal(model.interactions, 0, 'nobody was asked, so nobody is learnt from');
        const row = await ask({ person: { user_id: 'ana' } });
        assert.equal(row.items.length, 10);
        assert.ok(row.items.every((one) => ['content', 'catalogue'].includes(one.because.source)), JSON.stringify(row.items.map((one) => one.because.source)));
        assert.equal((await ask({ person: { anonymous_id: 'stranger' } })).items.length, 10);
        assert.ok(!(await ask({ person: { user_id: 'ana' }, context: { product: 'kettle-0', cart: ['tea-1'] } })).items.some((one) => ['kettle-0', 'tea-1'].includes(one.product_key)));
        const { training } = await own.get('/v1/models');
        assert.equal(typeof training.running, 'boolean');
        assert.match(training.stage, /idle|reading_histories|quick_model|whole_model|measuring/);
    } finally {
        await own.stop({ remove: true });
    }
});

test('only what a strategy or a question names is built, and what is missing is said until it is', async () => {
    const { models: [before] } = await server.get('/v1/models');
    assert.equal(before.recommenders.session, 'built');
    assert.equal(before.recommenders.complements, 'built', 'a strategy names it');
    assert.equal(before.recommenders.slist, 'not asked for');
    assert.equal(before.recommenders.spectral, 'not asked for');
    assert.equal(before.factor_people, 0, 'nobody asks for factors');
    const tried = { person: { user_id: 'crowd-1' }, strategy: { mix: ['slist', 'session'] } };
    const first = await recommend(tried);
    assert.deepEqual(first.not_built_yet, ['slist']);
    assert.ok(first.items.length > 0, 'the rest of the mix answers');
    const then = await eventually('it is built', async () => {
        const answer = await recommend(tried);
        return !answer.not_built_yet && answer;
    });
    assert.ok(then.items.some((one) => one.because.weights.slist > 0), JSON.stringify(then.items.map((one) => one.because.weights)));
    const { models: [after_] } = await server.get('/v1/models');
    assert.deepEqual([after_.recommenders.slist, after_.recommenders.spectral], ['built', 'not asked for']);
});
