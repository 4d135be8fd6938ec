// SPDX-License-Identifier: Apache-2.0
//
// search.test.mjs - search, category pages and menus against a real server: what is found, in whose order, how soon a change shows,
// and what is reported of it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';

import { eventually, opmaat, sleep, startServer } from './lib/server.mjs';

const line = (key, title, brand, category, price, more = {}) => ({
    product_key: key, title, brand, category, price: `${price}`, currency: 'EUR', stock: 5, url: `/p/${key}`, ...more,
});
const PRODUCTS = [
    line('j-1', 'Slim jeans', 'Nordlys', 'Women > Jeans', 89, { colour: 'blue' }),
    line('j-2', 'Wide jeans', 'Fjord', 'Women > Jeans', 99, { colour: 'black' }),
    line('j-3', 'Straight jeans', 'Nordlys', 'Women > Jeans', 79, { colour: 'black' }),
    line('j-4', 'High waist jeans', 'Fjord', 'Women > Jeans', 109, { colour: 'blue' }),
    line('j-5', 'Worker jeans', 'Bergtatt', 'Men > Jeans', 95, { colour: 'blue' }),
    line('n-1', 'Aero 15 notebook 15.6" 16 GB', 'Bergtatt', 'Office > Computers', 1200, { attributes: { touchscreen: true } }),
    line('n-2', 'Aero 13 notebook 13.3" 8 GB', 'Fjord', 'Office > Computers', 900),
    line('n-3', 'Sleeve for notebook', 'Fjord', 'Office > Bags', 30),
    line('t-1', 'Wool sweater', 'Nordlys', 'Women > Sweaters', 120),
    line('t-2', 'Keyboard TN-2110 wireless', 'Bergtatt', 'Office > Computers', 60),
    ...Array.from({ length: 12 }, (_, i) => line(`s-${i}`, `Cotton socks no ${i}`, i % 2 ? 'Fjord' : 'Nordlys', 'Men > Socks', 9 + i)),
];
const YES = { consent: { categoryPreferences: { analytics: true, personalisation: true } } };

let server;

/** Loads products and waits until the index knows `key` by `words`. */
async function load(products) {
    const body = products.map((p) => JSON.stringify(p)).join('\n');
    const job = await server.json('POST', '/v1/import/products', { body, headers: { 'content-type': 'application/x-ndjson' }, status: 202 })
        .catch(() => server.json('POST', '/v1/import/products', { body, headers: { 'content-type': 'application/x-ndjson' } }));
    await eventually('the products are imported', async () => {
        const now = await server.get(`/v1/jobs/${job.id ?? job.job}`);
        return /done|finished|ok/.test(now.state ?? now.status);
    });
}
const search = (q, more = {}) => server.post('/v1/search', { q, record: false, ...more });
const keys = (answer) => answer.items.map((i) => i.product_key);
const track = (who, event, properties) => server.post('/v1/track', {
    messageId: randomUUID(), anonymousId: who, event, properties, context: YES,
});

before(async () => {
    server = await startServer({ config: { train_ms: 500, search_ms: 50 } });
    await load(PRODUCTS);
    await eventually('the index knows them', async () => (await search('socks')).total === 12);
});
after(() => server?.stop({ remove: true }));

/** A person who is not held out, as the server itself says. */
async function treated(prefix) {
    for (let i = 0; ; i++) {
        const id = `${prefix}-${i}`;
        const answer = await search('jeans', { person: { anonymous_id: id }, context: YES });
        if (!answer.holdout) return id;
    }
}

test('R52: typing errors, synonyms, prefixes, units and filters find; what found nothing is reported', async () => {
    assert.deepEqual(keys(await search('sweater')), ['t-1']);
    const slip = await search('swaeter');
    assert.deepEqual([keys(slip), slip.corrected], [['t-1'], 'sweater']);
    assert.deepEqual(keys(await search('swea', { typing: true })), ['t-1']);
    assert.deepEqual((await server.get('/v1/search/complete?q=swe')).words, ['sweater']);
    assert.deepEqual(keys(await search('notebook 16gb')), ['n-1']);
    assert.deepEqual(keys(await search('15,6 inch')), ['n-1']);
    assert.deepEqual(keys(await search('tn2110')), ['t-2']);
    assert.deepEqual(keys(await search('touchscreen')), ['n-1']);
    assert.deepEqual(keys(await search('"slim jeans"')), ['j-1']);
    assert.deepEqual(keys(await search('jeans -wide', { category: 'Women' })).includes('j-2'), false);
    assert.ok(keys(await search('notebook')).indexOf('n-3') === 2, 'a sleeve for a notebook stands behind notebooks');

    assert.equal((await search('laptop')).total, 0);
    await server.publish({ kind: 'search', key: 'shop', synonyms: [['laptop', 'notebook'], ['couch potato socks', 'socks']],
        redirects: [{ query: 'returns', url: '/help/returns' }], pins: [{ query: 'jeans', item: 'j-5', position: 2 }] });
    assert.equal((await search('laptop')).total, 3, 'the next request knows a synonym');
    assert.equal((await search('couch potato socks')).total, 12);
    assert.equal((await search('Returns')).redirect, '/help/returns');
    assert.equal(keys(await search('jeans'))[1], 'j-5', 'pinned');

    const cheap = await search('jeans', { filter: 'item.price < 90 EUR', facets: 'category,brand,price,colour', sort: 'price_asc' });
    assert.deepEqual([keys(cheap), cheap.total], [['j-3', 'j-1'], 2]);
    const counted = Object.fromEntries(cheap.facets.brand.map((f) => [f.value, f.count]));
    assert.deepEqual(counted, { Nordlys: 2 });
    assert.deepEqual(cheap.facets.category.map((f) => [f.value, f.count]), [['Women', 2], ['Women > Jeans', 2]]);
    assert.equal(cheap.facets.price.reduce((sum, f) => sum + f.count, 0), 2);
    const page = await search('socks', { limit: 5, offset: 10 });
    assert.deepEqual([page.total, page.items.length], [12, 2]);
    const wrong = await server.post('/v1/search', { q: 'x', filter: 'item.price <' }, { status: 400 });
    assert.match(wrong.detail, /column/);

    const nothing = await server.post('/v1/search', { q: 'zeppelin', person: { anonymous_id: 'r52' }, context: YES });
    assert.equal(nothing.total, 0);
    assert.ok(nothing.fallback.length > 0, 'never an empty page');
    await server.post('/v1/search', { q: 'sweater', person: { anonymous_id: 'r52' }, context: YES });
    const report = await eventually('the report counts both', async () => {
        const now = await server.get('/v1/search/report');
        return now.searches >= 2 && now;
    });
    assert.equal(report.zero_rate, 0.5);
    assert.deepEqual(report.nothing_found.map((r) => [r.query, r.zero_results]), [['zeppelin', 1]]);
});

test('R51: two clicks change the order of the same question and not what it finds; a reset restores it', async () => {
    const who = await treated('r51');
    const ask = (more) => search('jeans', { person: { anonymous_id: who }, context: YES, limit: 50, explain: true, ...more });
    const first = await ask();
    await track(who, 'Product Viewed', { product_id: 'j-4' });
    await track(who, 'Product Clicked', { product_id: 'j-2' });
    const second = await ask();
    assert.notDeepEqual(keys(second), keys(first));
    assert.deepEqual(keys(second).sort(), keys(first).sort(), 'the same items');
    assert.equal(second.total, first.total);
    const free = keys(second).filter((k) => k !== 'j-5');                       // j-5 is pinned
    assert.deepEqual(free.slice(0, 2).sort(), ['j-2', 'j-4'], 'the brand and category of the clicks come first');
    assert.ok(second.items.find((i) => i.product_key === 'j-2').explain.personal > 1);
    assert.match(second.items.find((i) => i.product_key === 'j-4').because.text, /Fjord|Jeans/);
    assert.deepEqual(keys(await ask({ personalise: false })), keys(first), 'reset');
    assert.deepEqual(keys(await ask({ personalise: 0 })), keys(first), 'dial at 0');
    const dials = [10, 50, 100].map(async (personalise) => (await ask({ personalise })).items.find((i) => i.product_key === 'j-4').explain.personal);
    const [low, middle, high] = await Promise.all(dials);
    assert.ok(low < middle && middle < high, `${low} ${middle} ${high}`);
});

test('R53: a category page stands in another order for another profile, within what the merchandiser set', async () => {
    await server.publish({ kind: 'search', key: 'merchandising', pins: [{ category: 'Women > Jeans', item: 'j-1', position: 1 }],
        boosts: [{ rule: 'item.brand = "Bergtatt"', by: 0.5 }] });
    const page = (who) => search('', { category: 'Women > Jeans', person: { anonymous_id: who }, context: YES });
    const [a, b] = [await treated('r53a'), await treated('r53b')];
    for (let i = 0; i < 3; i++) {
        await track(a, 'Product Viewed', { product_id: 'j-2' });
        await track(b, 'Product Viewed', { product_id: 'j-3' });
    }
    const [forA, forB] = [keys(await page(a)), keys(await page(b))];
    assert.deepEqual(forA.toSorted(), ['j-1', 'j-2', 'j-3', 'j-4']);
    assert.deepEqual(forB.toSorted(), forA.toSorted());
    assert.deepEqual([forA[0], forB[0]], ['j-1', 'j-1'], 'the pin holds for both');
    assert.ok(forA.indexOf('j-2') < forA.indexOf('j-3'), `${forA}`);
    assert.ok(forB.indexOf('j-3') < forB.indexOf('j-2'), `${forB}`);
});

test('R54: the menu stands in the order of what a person deals with; the time to a product is measured', async () => {
    const who = await treated('r54');
    const menu = async () => (await server.post('/v1/navigation', { person: { anonymous_id: who }, context: YES })).categories.map((c) => c.title);
    assert.deepEqual(await menu(), ['Women', 'Men', 'Office']);
    await track(who, 'Product Viewed', { product_id: 'n-1' });
    await track(who, 'Product Viewed', { product_id: 'n-2' });
    assert.deepEqual((await menu())[0], 'Office');
    assert.deepEqual((await menu()).toSorted(), ['Men', 'Office', 'Women']);
    // Times that are known: a search, and so many seconds later the product. A server of its own, or other visits would count too.
    const quiet = await startServer();
    try {
        const start = Date.now() - 3_600_000;
        const own = { treated: [4, 9, 20, 61, 300, 17.5], holdout: [30, 95] };
        const visits = [];
        for (let i = 0, want; (want = Object.values(own).flat().length) > visits.length; i++) {
            const id = `r54-${i}`;
            const { holdout } = await quiet.post('/v1/search', { q: 'jeans', record: false, person: { anonymous_id: id }, context: YES });
            const arm = holdout ? 'holdout' : 'treated';
            const seconds = own[arm][visits.filter((one) => one.arm === arm).length];
            if (seconds !== undefined) visits.push({ id, arm, seconds });
            assert.ok(i < 2000, `${want} visits`);
        }
        const at = (id, ms, event, properties) => ({ type: 'track', messageId: randomUUID(), anonymousId: id, event, properties, context: YES, timestamp: new Date(start + ms).toISOString() });
        await quiet.post('/v1/batch', { batch: visits.flatMap(({ id, seconds }) => [
            at(id, 0, 'Products Searched', { query: 'jeans', results: 5 }),
            at(id, seconds * 1000, 'Product Viewed', { product_id: 'j-1' }),
            at(id, seconds * 1000 + 5000, 'Product Viewed', { product_id: 'j-2' }),     // the second product is no answer to how soon the first came
        ]).concat([at('r54-lost', 0, 'Products Searched', { query: 'jeans', results: 5 })]) });
        const { time_to_product: { treated: t, holdout: h } } = await quiet.get('/v1/search/report');
        assert.equal(t.median_seconds, (17.5 + 20) / 2, JSON.stringify(t));
        assert.equal(h.median_seconds, (30 + 95) / 2, JSON.stringify(h));
        assert.deepEqual([t.reached_product, h.reached_product, t.visits + h.visits], [6, 2, 9]);
        assert.deepEqual([t.median_steps, h.median_steps], [2, 2]);
    } finally {
        await quiet.stop({ remove: true });
    }
});

test('R55: the median steps from entry to product view, beside the holdout', async () => {
    const start = Date.now() - 3_600_000;
    const walk = (who, steps) => server.post('/v1/batch', { batch: Array.from({ length: steps }, (_, i) => ({
        type: 'track', messageId: randomUUID(), anonymousId: who, context: YES, timestamp: new Date(start + i * 10_000).toISOString(),
        event: i === steps - 1 ? 'Product Viewed' : 'Product List Viewed', properties: i === steps - 1 ? { product_id: 's-1' } : { category: 'Men > Socks' },
    })) });
    const out = [], inside = [];
    for (let i = 0; out.length < 8 || inside.length < 40; i++) {
        const id = `r55-${i}`;
        const { holdout } = await search('jeans', { person: { anonymous_id: id }, context: YES });
        (holdout ? out : inside).push(id);
    }
    for (const id of out) await walk(id, 6);
    for (const id of inside.slice(0, 40)) await walk(id, 3);
    const { time_to_product: t } = await server.get('/v1/search/report');
    assert.equal(t.holdout.median_steps, 6);
    assert.equal(t.treated.median_steps, 3);
    assert.ok(t.difference_of_mean_steps.high < 0, JSON.stringify(t.difference_of_mean_steps));
});

test('R16: placements and segments with too little to show are listed', async () => {
    await server.publish({ kind: 'segment', key: 'jeans_people', rule: 'did(product_viewed where category under "Jeans")' });
    await server.publish({ kind: 'strategy', key: 'socks', filter: 'item.category = "Socks" or item.brand = "Nordlys"' });
    await server.publish({ kind: 'strategy', key: 'not_jeans', filter: 'item.price > 1000 EUR' });
    await server.publish({ kind: 'placement', key: 'home_row', strategy: 'socks' });
    await server.publish({ kind: 'placement', key: 'rich_row', strategy: 'not_jeans' });
    await track('r16', 'Product Viewed', { product_id: 'j-1' });
    const covered = await server.get('/v1/catalog/coverage?least=3');
    assert.equal(covered.placements, 2);
    assert.equal(covered.placements_covered, 0.5);
    assert.deepEqual(covered.gaps.map((g) => [g.placement, g.segment, g.items]), [['rich_row', undefined, 1], ['rich_row', 'jeans_people', 1]]);
    assert.equal(covered.segments_in_placements, 2);
    assert.equal(covered.segments_covered, 0.5);
    assert.equal((await server.get('/v1/catalog/coverage?least=1')).gaps.length, 0);
});

test('a price, an empty shelf and a hidden item act on the next request; new words within a moment', async () => {
    const put = async (change) => load([change]);
    await put(line('j-1', 'Slim jeans', 'Nordlys', 'Women > Jeans', 19));
    assert.equal(keys(await search('jeans', { filter: 'item.price < 20 EUR' }))[0], 'j-1');
    await put({ ...line('j-3', 'Straight jeans', 'Nordlys', 'Women > Jeans', 79), hidden: true });
    assert.equal(keys(await search('jeans')).includes('j-3'), false);
    await put(line('x-1', 'Zeppelin kite', 'Fjord', 'Toys', 45));
    await eventually('a new item is found', async () => keys(await search('zeppelin'))[0] === 'x-1', 3000, 20);
    await put(line('x-1', 'Balloon kite', 'Fjord', 'Toys', 45));
    await eventually('by its new words, and no longer by its old', async () =>
        keys(await search('balloon'))[0] === 'x-1' && !keys(await search('zeppelin')).includes('x-1'), 3000, 20);
});

test('a public key sees its own anonymous history and no reasons of rank', async () => {
    const answer = await server.post('/v1/search', { q: 'jeans', explain: true, person: { anonymous_id: 'pub' } }, { key: server.write });
    assert.ok(answer.items.length > 0);
    assert.equal(answer.items[0].explain, undefined);
    const byQuery = await server.get('/v1/search?q=socks&limit=3&facets=brand', { key: server.write });
    assert.deepEqual([byQuery.total, byQuery.items.length], [12, 3]);
    assert.equal(byQuery.facets.brand.reduce((sum, f) => sum + f.count, 0), 12);
});
