// SPDX-License-Identifier: Apache-2.0
//
// strategy.test.mjs - what a strategy makes of a person, a moment and a store, and what the shop's people make of a strategy.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';

import { eventually, startServer } from './lib/server.mjs';

const COLOURS = ['green', 'blue', 'red', 'black'];
const item = (key, category, more = {}) => ({
    product_key: key, title: key.replaceAll('-', ' '), brand: 'Nordlys', category, price: '20', currency: 'EUR', stock: { web: 9 }, url: `https://shop.example/p/${key}`, ...more,
});
const PRODUCTS = [
    ...Array.from({ length: 12 }, (_, i) => item(`shirt-${i}`, 'Clothes > Shirts', { colour: COLOURS[i % 4], attributes: { seller: i % 2 ? 'ours' : 'theirs' } })),
    ...Array.from({ length: 4 }, (_, i) => item(`scarf-${i}`, 'Clothes > Scarves', { colour: COLOURS[i], brand: 'Fjell' })),
    ...Array.from({ length: 6 }, (_, i) => item(`cocoa-${i}`, 'Drinks > Hot', { stock: { web: 5, 'store-a': i === 0 ? 0 : 3, 'store-b': 2 } })),
    ...Array.from({ length: 6 }, (_, i) => item(`lemonade-${i}`, 'Drinks > Iced', { stock: { web: 5, 'store-a': 4, 'store-b': i === 1 ? 0 : 2 } })),
];
const ARTICLES = ['knots', 'harbours', 'wool', 'coffee', 'birds', 'tides'].map((key) => ({ content_key: key, title: `About ${key}`, url: `/guide/${key}` }));
let server;
let people = 0;
const someone = () => `s-${people++}`;
const did = (userId, event, properties, timestamp) => ({ type: 'track', event, messageId: randomUUID(), userId, properties, ...(timestamp ? { timestamp } : {}) });
const viewed = (userId, product_id, timestamp) => did(userId, 'Product Viewed', { product_id }, timestamp);
const keys = (answer) => answer.items.map((one) => one.product_key ?? one.content_key);
const recommend = (body) => server.post('/v1/recommend', { limit: 6, ...body });
const load = async (kind, list) => {
    const { job } = await server.post(`/v1/import/${kind}`, list.map((one) => JSON.stringify(one)).join('\n'), { status: 202 });
    await eventually(`${kind} are loaded`, async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
};

before(async () => {
    server = await startServer({ config: { train_ms: 200 }, basis: 'analytics=contract,personalisation=contract,model_training=contract' });
    await load('products', PRODUCTS);
    await load('content', ARTICLES);
    for (const [key, more] of Object.entries({
        plain: { mix: ['popular'] },
        by_colour: { mix: ['popular'], likes: { colour: 5 } },
        weather: { mix: ['popular'], filter: 'item.category under "Drinks"', boosts: [
            { rule: 'context.hour < 11 and context.weather = "cold" and item.category under "Hot"', by: 20 },
            { rule: 'context.hour >= 12 and context.weather = "hot" and item.category under "Iced"', by: 20 },
        ] },
        articles: { mix: ['session', 'cooc'], fallback: ['popular'], kind_of_item: 'content' },
        capped: { mix: ['popular'], filter: 'item.category under "Clothes"', diversity: { max_per_category: 4, max_per_seller: 2 } },
        varied: { mix: ['popular'], filter: 'item.category under "Clothes"', diversity: { lambda: 0.3 } },
        curated: { mix: ['popular'], filter: 'item.category under "Clothes"', pins: [{ item: 'shirt-11', position: 1, note: 'the campaign shirt' }],
            boosts: [{ rule: 'item.category under "Scarves"', by: 3, note: 'autumn' }], buries: [{ rule: 'item.product = "shirt-0"', note: 'returns are high' }],
            notes: [{ text: 'Scarves first until it snows.', author: 'kari@shop.example', at: '2026-10-01' }] },
    })) await server.publish({ kind: 'strategy', key, title: key, ...more });
    await server.publish({ kind: 'placement', key: 'reading', title: 'To read', channel: 'web', strategy: 'articles', schema: { headline: 'text?' } });
    const batch = [];
    for (let i = 0; i < 80; i++) {
        const who = `crowd-${i}`;
        for (let k = 0; k < 12; k++) if (i % 12 >= k) batch.push(viewed(who, `shirt-${k}`));
        batch.push(viewed(who, `scarf-${i % 4}`), viewed(who, `cocoa-${i % 6}`), viewed(who, `lemonade-${i % 6}`));
        // Who reads of knots reads of harbours; who reads of wool, of birds.
        for (const key of i % 2 ? ['knots', 'harbours', 'tides'] : ['wool', 'birds', 'coffee']) batch.push(did(who, 'Content Viewed', { content_id: key }));
    }
    await server.post('/v1/batch', { batch });
    await eventually('the model knows the crowd', async () => (await server.get('/v1/models')).models[0]?.interactions >= 850);
});
after(() => server?.stop({ remove: true }));

test('R41: an article that was read changes the article list; products and articles share one engine', async () => {
    const who = someone();
    const list = async () => keys((await server.post('/v1/decide', { person: { user_id: who }, placements: ['reading'], limit: 3 })).decisions.reading);
    const before = await list();
    await server.post('/v1/batch', { batch: [did(who, 'Content Viewed', { content_id: 'knots' })] });
    const { reading } = (await server.post('/v1/decide', { person: { user_id: who }, placements: ['reading'], limit: 3 })).decisions;
    assert.notDeepEqual(keys(reading), before);
    assert.deepEqual(new Set(keys(reading).slice(0, 2)), new Set(['harbours', 'tides']));
    assert.ok(['session', 'cooc'].includes(reading.items[0].because.source));
    assert.deepEqual(reading.items[0].because.products, ['knots']);
    const products = await recommend({ person: { user_id: who }, strategy: 'plain' });
    assert.ok(keys(products).every((key) => PRODUCTS.some((p) => p.product_key === key)), 'a row of products has no articles in it');
    const models = (await server.get('/v1/models')).models;
    assert.equal(models.filter((m) => m.key === 'recommend').length, 1, 'one model for both');
});

test('R46: hour, weather and store change the order; what that store is out of never shows', async () => {
    const who = someone();
    const at = (now, weather, store) => recommend({ person: { user_id: who }, strategy: 'weather', limit: 12, context: { now, weather, store, hour: new Date(now).getUTCHours() } });
    const morning = keys(await at('2026-11-20T08:00:00Z', 'cold', 'store-a'));
    const afternoon = keys(await at('2026-11-20T15:00:00Z', 'hot', 'store-b'));
    assert.ok(morning.slice(0, 4).every((key) => key.startsWith('cocoa')), morning.join());
    assert.ok(afternoon.slice(0, 4).every((key) => key.startsWith('lemonade')), afternoon.join());
    assert.ok(!morning.includes('cocoa-0') && morning.includes('lemonade-1'), 'store A has no cocoa 0');
    assert.ok(!afternoon.includes('lemonade-1') && afternoon.includes('cocoa-0'), 'store B has no lemonade 1');
    await load('stock', [{ product_key: 'cocoa-3', stock: { web: 5, 'store-a': 0, 'store-b': 2 } }]);
    assert.ok(!keys(await at('2026-11-20T08:00:00Z', 'cold', 'store-a')).includes('cocoa-3'), 'sold out there a moment ago');
});

test('R48: a liking for a colour, from what was looked at, reorders a list and is named', async () => {
    const who = someone();
    const before = await recommend({ person: { user_id: who }, strategy: 'by_colour', limit: 12 });
    await server.post('/v1/batch', { batch: ['scarf-1', 'shirt-9', 'shirt-5'].map((key) => viewed(who, key)) });       // all of them blue
    const now = await recommend({ person: { user_id: who }, strategy: 'by_colour', limit: 12 });
    assert.notDeepEqual(keys(now), keys(before));
    const first = PRODUCTS.find((p) => p.product_key === keys(now)[0]);
    assert.equal(first.colour, 'blue');
    assert.deepEqual(now.items[0].because.likes, { colour: 'blue' });
    assert.match(now.items[0].because.text, /you like blue$/);
    const red = now.items.find((one) => PRODUCTS.find((p) => p.product_key === one.product_key).colour === 'red');
    assert.equal(red?.because.likes, undefined, 'nothing is said of a colour they have not looked at');
});

test('R49: people pin, boost, bury and write notes, and see the effect beside the algorithm\'s order', async () => {
    const shown = await recommend({ person: { user_id: someone() }, strategy: 'curated', limit: 8, explain: true });
    assert.equal(keys(shown)[0], 'shirt-11');
    assert.ok(!keys(shown).includes('shirt-0'), 'buried below the rest');
    assert.equal(shown.algorithm[0].product_key, 'shirt-0', 'which the algorithm would have put first');
    const [pinned] = shown.items;
    assert.deepEqual(pinned.effects, [{ what: 'pin', position: 1, note: 'the campaign shirt' }]);
    assert.ok(pinned.algorithm_position > 1);
    const scarf = shown.items.find((one) => one.product_key.startsWith('scarf'));
    assert.deepEqual(scarf.effects, [{ what: 'boost', rule: 'item.category under "Scarves"', by: 3, note: 'autumn' }]);
    assert.ok(shown.items.indexOf(scarf) + 1 < scarf.algorithm_position);
    assert.deepEqual(shown.notes, [{ text: 'Scarves first until it snows.', author: 'kari@shop.example', at: '2026-10-01' }]);
    const tried = await recommend({ person: { user_id: someone() }, strategy: { mix: ['popular'], pins: [{ item: 'cocoa-2', position: 2 }] }, explain: true });
    assert.equal(keys(tried)[1], 'cocoa-2', 'a strategy can be tried before it is written down');
    await server.post('/v1/recommend', { strategy: { mix: ['nonesuch'] } }, { status: 400 });
});

test('what a filter lets through follows the stock, the price and the filter itself, on the next request', async () => {
    const filtered = (key, filter) => server.publish({ kind: 'strategy', key, title: key, mix: ['popular'], filter });
    const shown = async (strategy) => keys(await recommend({ person: { user_id: someone() }, strategy, limit: 50 }));
    const lets = async (strategy, key) => (await shown(strategy)).includes(key);
    const change = (more) => load('products', [{ ...PRODUCTS.find((p) => p.product_key === 'shirt-3'), ...more }]);
    await filtered('plenty', 'item.stock["web"] > 5 and item.category under "Shirts"');
    await filtered('cheap', 'item.price < 25 EUR and item.category under "Shirts"');
    await filtered('green', 'item.colour = "green"');
    for (const round of [1, 2]) {
        for (const asked of [1, 2]) assert.ok(await lets('plenty', 'shirt-3') && await lets('cheap', 'shirt-3') && !await lets('green', 'shirt-3'), `${round} ${asked}`);
        await load('stock', [{ product_key: 'shirt-3', stock: { web: 4 } }]);
        assert.ok(!await lets('plenty', 'shirt-3') && await lets('cheap', 'shirt-3'), 'few are left');
        await load('stock', [{ product_key: 'shirt-3', stock: { web: 9 } }]);
        assert.ok(await lets('plenty', 'shirt-3'), 'and more again');
        await change({ price: '30' });
        assert.ok(!await lets('cheap', 'shirt-3') && await lets('plenty', 'shirt-3'), 'dearer');
        await change({ price: '20', colour: 'green' });
        assert.ok(await lets('cheap', 'shirt-3') && await lets('green', 'shirt-3'), 'cheaper, and dyed');
        await change({});
    }
    await filtered('plenty', 'item.stock["web"] < 5 or item.category under "Scarves"');
    assert.ok(!await lets('plenty', 'shirt-3') && await lets('plenty', 'scarf-0'), 'another filter');
});

test('caps hold for category and seller, and variety puts unlike things beside each other', async () => {
    const seller = (key) => PRODUCTS.find((p) => p.product_key === key).attributes?.seller;
    const capped = keys(await recommend({ person: { user_id: someone() }, strategy: 'capped', limit: 8 }));
    assert.ok(capped.filter((key) => key.startsWith('shirt')).length <= 4);
    for (const one of ['ours', 'theirs']) assert.ok(capped.filter((key) => seller(key) === one).length <= 2, capped.join());
    const varied = keys(await recommend({ person: { user_id: someone() }, strategy: 'varied', limit: 4 }));
    const colours = new Set(varied.map((key) => PRODUCTS.find((p) => p.product_key === key).colour));
    assert.ok(colours.size >= 3 && varied.some((key) => key.startsWith('scarf')), varied.join());
});

test('R50: a block for an e-mail is drawn when it is sent and again when it is opened, with the stock and price of then', async () => {
    const who = someone();
    await server.publish({ kind: 'strategy', key: 'letter', title: 'In a letter', mix: ['popular'], filter: 'item.category under "Scarves"' });
    await server.publish({ kind: 'placement', key: 'newsletter', title: 'Row in the newsletter', channel: 'email', strategy: 'letter',
        schema: { headline: 'text?' }, default: { headline: { en: 'Warm & <soft>' } } });
    await server.post('/v1/batch', { batch: [viewed(who, 'cocoa-1')] });
    const sent = await server.post('/v1/email-block/newsletter', { person: { user_id: who }, limit: 4, context: { locale: 'en' } });
    assert.ok(sent.html.includes('Warm &amp; &lt;soft&gt;'), 'text stays text');
    for (const title of ['scarf 0', 'scarf 1', 'scarf 2', 'scarf 3']) assert.ok(sent.html.includes(title), title);
    assert.ok(sent.html.includes('20.00 EUR') && !/<script|<style|<link/i.test(sent.html));
    // Between sending and opening one is sold out and one gets cheaper.
    await load('products', [{ ...PRODUCTS.find((p) => p.product_key === 'scarf-1'), stock: { web: 0 } }, { ...PRODUCTS.find((p) => p.product_key === 'scarf-2'), price: '15', list: '20' }]);
    const opened = await fetch(sent.open);
    assert.equal(opened.headers.get('content-type'), 'text/html; charset=utf-8');
    const html = await opened.text();
    assert.ok(!html.includes('scarf 1') && html.includes('scarf 2') && html.includes('15.00 EUR'), html);
    // Seen and clicked, by nothing but what stands in the letter.
    const pixel = await fetch(/src="([^"]*\/v1\/i\/[^"]*)"/.exec(html)[1]);
    assert.equal(pixel.headers.get('content-type'), 'image/gif');
    const click = await fetch(/href="([^"]*\/v1\/c\/[^"]*)"/.exec(html)[1], { redirect: 'manual' });
    assert.equal(click.status, 302);
    assert.match(click.headers.get('location'), /^https:\/\/shop\.example\/p\/scarf-\d$/);
    const { person_id } = await server.post('/v1/people/lookup', { user_id: who });
    await eventually('the person saw and clicked it', async () => {
        const { events } = await server.get(`/v1/people/${person_id}/history`);
        return events.some((e) => e.type === 'decision_viewed') && events.some((e) => e.type === 'decision_clicked');
    });
    await server.post('/v1/batch', { batch: [did(who, 'Order Completed', { order_id: randomUUID(), revenue: 20, currency: 'EUR', products: [{ product_id: 'scarf-3', price: 20, quantity: 1 }] })] });
    assert.ok(!(await (await fetch(sent.open)).text()).includes('scarf 3'), 'and what was bought since is not offered');
    assert.equal((await fetch(sent.open.replace(/to=../, 'to=xx'))).status, 403);
    assert.equal((await fetch(sent.open.replace('newsletter', 'reading'))).status, 403);
});

test('what was seen several times without a click sinks, and comes back when it is dealt with', async () => {
    const who = someone();
    await server.publish({ kind: 'strategy', key: 'turning', title: 'Turning', mix: ['popular'], filter: 'item.category under "Clothes"', rotate: 0.5 });
    await server.publish({ kind: 'placement', key: 'turning_row', title: 'Turning row', channel: 'web', strategy: 'turning', schema: { headline: 'text?' } });
    const row = async () => (await server.post('/v1/decide', { person: { user_id: who }, placements: ['turning_row'], limit: 3 })).decisions.turning_row;
    await server.post('/v1/batch', { batch: [viewed(who, 'cocoa-1')] });
    const first = await row();
    const seen = async (ticket) => server.post('/v1/batch', { batch: [did(who, 'Decision Viewed', { ticket })] });
    await seen(first.ticket);
    const second = await row();
    assert.notDeepEqual(keys(second), keys(first));
    const rows = [first, second];
    for (let i = 0; i < 4; i++) {
        await seen(rows.at(-1).ticket);
        rows.push(await row());
    }
    assert.ok(new Set(rows.flatMap(keys)).size >= 6, 'more of the shelf was seen than one row holds');
});

test('a placement is measured on the shop\'s own log, cut by time, beside what is popular', async () => {
    const batch = [];
    for (let i = 0; i < 1500; i++) {
        const at = (minute) => new Date(Date.now() - (1500 - i) * 1_200_000 + minute * 60_000).toISOString();
        const first = i % 6;                            // who looks at one lemonade looks at its cocoa next
        batch.push(viewed(`past-${i}`, `lemonade-${first}`, at(0)), viewed(`past-${i}`, `cocoa-${first}`, at(1)));
    }
    await server.publish({ kind: 'strategy', key: 'sessions', title: 'Sessions', mix: ['session', 'rules'] });
    await server.publish({ kind: 'placement', key: 'next_up', title: 'Next', channel: 'web', strategy: 'sessions', schema: { headline: 'text?' } });
    for (let i = 0; i < batch.length; i += 500) await server.post('/v1/batch', { batch: batch.slice(i, i + 500) });
    const measured = await eventually('it was all taken in', async () => {
        const e = await server.get('/v1/placements/next_up/evaluation');
        return e.train_interactions > 2500 && e;
    });
    assert.ok(measured.questions >= 20 && measured.protocol.includes('Split by time'));
    const { strategy, popular } = measured.metrics;
    assert.ok(strategy['mrr@10'].low > popular['mrr@10'].high, JSON.stringify(measured.metrics));
    assert.ok(strategy['hr@10'].low <= strategy['hr@10'].value && strategy['hr@10'].value <= strategy['hr@10'].high);
    await server.get('/v1/placements/nonesuch/evaluation', { status: 404 });
});
