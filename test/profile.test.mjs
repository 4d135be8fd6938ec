// SPDX-License-Identifier: Apache-2.0
//
// profile.test.mjs - what is known of a person and what rules make of it, each requirement by its own "works when", against a
// real server over HTTP.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { eventually, startServer } from './lib/server.mjs';

const HOUR = 3_600_000, DAY = 24 * HOUR;
const ago = (ms) => new Date(Date.now() - ms).toISOString();
let number = 0;
const id = (prefix) => `${prefix}-${++number}`;
let server;

const products = [
    ...Array.from({ length: 6 }, (_, i) => ({ product_key: `jeans-${i}`, title: `Jeans ${i}`, category: 'Clothes > Jeans', brand: 'Acme',
        colour: i % 2 ? 'blue' : 'black', price: { minor: 4900 + 100 * i, currency: 'EUR' }, stock: { web: 9 } })),
    ...Array.from({ length: 3 }, (_, i) => ({ product_key: `kettle-${i}`, title: `Kettle ${i}`, category: 'Kitchen > Kettles', brand: 'Hearth',
        colour: 'red', price: { minor: 2900 + 100 * i, currency: 'EUR' }, stock: { web: 9 } })),
];

const track = (who, event, properties = {}, more = {}) => ({ type: 'track', messageId: id('m'), event, properties, ...who, ...more });
const viewed = (who, product_id, more = {}) => track(who, 'Product Viewed', { product_id }, more);
const send = (...batch) => server.post('/v1/batch', { batch });
const lookup = async (who) => (await server.post('/v1/people/lookup', who)).person_id;
const person = async (who) => server.get(`/v1/people/${await lookup(who)}`);
const history = async (who) => (await server.get(`/v1/people/${await lookup(who)}/history?limit=200`)).events;
const count = async (rule) => (await server.post('/v1/segments/preview', { rule })).count;
const explain = async (who, key) => server.get(`/v1/people/${await lookup(who)}/explain?segment=${key}`);
const headline = async (who, context = {}) =>
    (await server.post('/v1/decide', { person: who, placements: ['hero'], context, record: false })).decisions.hero.content.headline;
const segments = async (who) => (await person(who)).segments.map((one) => one.key);

before(async () => {
    server = await startServer({ config: { flush_ms: 100 } });
    const { job } = await server.post('/v1/import/products', products.map((one) => JSON.stringify(one)).join('\n'), { status: 202 });
    await eventually('the catalogue is loaded', async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    await server.publish({ kind: 'placement', key: 'hero', title: 'Home', channel: 'web', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
});
after(() => server?.stop({ remove: true }));

test('R20: the page of a person shows stage and intent with the events that led to them', async () => {
    const who = { userId: id('stage') }, by = { user_id: who.userId };
    await send(track(who, 'Page Visited', {}, { timestamp: ago(20 * DAY) }));
    assert.equal((await person(by)).stage.is, 'awareness');
    await send(...['jeans-0', 'jeans-1', 'jeans-2'].map((key, i) => viewed(who, key, { timestamp: ago(HOUR + i * 1000) })));
    let { stage, intent } = await person(by);
    assert.equal(stage.is, 'consideration');
    assert.equal(intent.is, 'compare');
    assert.match(stage.help, /choose/);
    await send(track(who, 'Product Added', { product_id: 'jeans-1', quantity: 1, price: 50, currency: 'EUR' }));
    ({ stage, intent } = await person(by));
    assert.equal(stage.is, 'intent');
    assert.equal(intent.is, 'buy');
    const led = (why) => [...(why.events ?? []), ...(why.children ?? []).flatMap(led)];
    assert.ok(led(stage.why).some((one) => one.type === 'product_added' && one.item === 'jeans-1'), JSON.stringify(stage.why));
    assert.ok(Date.parse(stage.may_change_at) > Date.now() + 13 * DAY);
    assert.equal(await count('stage = "intent" and intent = "buy"'), 1);
    await send(track(who, 'Order Completed', { order_id: id('o'), currency: 'EUR', revenue: 50, products: [{ product_id: 'jeans-1', price: 50, quantity: 1 }] }));
    assert.equal((await person(by)).stage.is, 'purchase');
    assert.equal(await count('stage = "intent"'), 0);
});

test('R21: lifetime value, order value, frequency and retention equal a hand calculation after each order', async () => {
    const who = { userId: id('worth') }, by = { user_id: who.userId };
    const order = (order_id, days, revenue, currency, more = {}) => track(who, 'Order Completed', { order_id, currency, revenue,
        products: [{ product_id: 'jeans-0', price: revenue, quantity: 1 }], ...more }, { timestamp: ago(days * DAY) });
    const worth = async () => (await person(by)).worth;
    const of = (all, currency) => {
        const one = all.in.find((each) => each.currency === currency);
        return [one.orders, one.lifetime_value.minor, one.average_order_value?.minor];
    };
    await send(order('w-1', 500, 100, 'EUR'));
    let all = await worth();
    assert.deepEqual([all.orders, all.orders_a_year, of(all, 'EUR')], [1, 0, [1, 10000, 10000]]);
    assert.equal((await person(by)).retention.is, 'lost');
    await send(order('w-2', 100, 50.5, 'EUR'));
    all = await worth();
    assert.deepEqual([all.orders, all.orders_a_year, of(all, 'EUR')], [2, 1, [2, 15050, 7525]]);
    assert.ok(Math.abs(all.days_between_orders - 400) < 1e-3);
    assert.equal((await person(by)).retention.is, 'kept');
    await send(order('w-3', 20, 399, 'NOK'));
    all = await worth();
    assert.deepEqual([all.orders, all.orders_a_year, of(all, 'EUR'), of(all, 'NOK')], [3, 2, [2, 15050, 7525], [1, 39900, 39900]]);
    assert.ok(Math.abs(all.days_between_orders - 240) < 1e-3);
    // A part of the second comes back: 20.25 of 50.50. (100 + 30.25) / 2 = 65.125, and half a cent is rounded up.
    await send(track(who, 'Order Refunded', { order_id: 'w-2', currency: 'EUR', total: 20.25 }));
    all = await worth();
    assert.deepEqual([all.orders, of(all, 'EUR')], [3, [2, 13025, 6513]]);
    const rule = 'orders.count = 3 and orders.revenue = 130.25 EUR and orders.average = 65.13 EUR and orders.revenue = 399 NOK and orders.frequency = 2';
    assert.equal(await count(rule), 1);
});

test('what somebody chose comes before what was inferred', async () => {
    const who = { userId: id('chooser') }, by = { user_id: who.userId };
    await send(...Array.from({ length: 6 }, (_, i) => viewed(who, `jeans-${i}`, { timestamp: ago(HOUR + i * 1000) })));
    let { affinities } = await person(by);
    assert.deepEqual([affinities[0].score, affinities.some((one) => one.declared)], [1, false]);
    assert.ok(affinities.some((one) => one.dimension === 'price' && one.value === '50-100'));
    await server.publish({ kind: 'campaign', key: 'kettles', title: 'Kettles', goal: 'be of use', placement: 'hero', priority: 50,
        experiences: [{ key: 'k', target: 'affinity(category, "Kitchen > Kettles") >= 1', variations: [{ key: 'a', content: { headline: 'Tea time' } }] }] });
    assert.equal(await headline(by), 'Welcome');
    await server.post('/v1/identify', { ...who, messageId: id('m'), traits: { preferences: { category: ['Kitchen > Kettles'], colour: 'red', theme: 'dark' } } });
    assert.equal(await headline(by), 'Tea time');
    ({ affinities } = await person(by));
    const kettles = affinities.find((one) => one.value === 'Kitchen > Kettles');
    assert.deepEqual([kettles.declared, kettles.score], [true, 1]);
    assert.equal(await count('preferences.theme = "dark" and affinity(colour, "red") = 1'.replace(' = 1', ' >= 1')), 1);
    // Given later by somebody else, the same name does not outrank it.
    await server.post('/v1/identify', { ...who, messageId: id('m'), traits: { colour: 'blue' } });
    const { traits } = await person(by);
    assert.equal(traits.find((one) => one.name === 'preferences.colour').value, 'red');
    await server.post('/v1/definitions/campaign/kettles/archive');
});

test('a wish list holds what was put on it and not what left it or was bought', async () => {
    const who = { userId: id('wisher') }, by = { user_id: who.userId };
    const wish = (event, product_id) => send(track(who, event, { product_id }));
    for (const key of ['jeans-0', 'jeans-1', 'kettle-0']) await wish('Product Added to Wishlist', key);
    const list = async () => (await person(by)).wishlist.map((one) => one.item);
    assert.deepEqual(await list(), ['kettle-0', 'jeans-1', 'jeans-0']);
    await wish('Product Removed from Wishlist', 'jeans-1');
    await send(track(who, 'Order Completed', { order_id: id('o'), currency: 'EUR', revenue: 29, products: [{ product_id: 'kettle-0', price: 29, quantity: 1 }] }));
    assert.deepEqual(await list(), ['jeans-0']);
    assert.equal(await count('wishlist.count = 1 and did(in_wishlist where category under "Jeans")'), 1);
});

test('R28: three category views in the session place an unknown visitor in a segment for the next page', async () => {
    await server.publish({ kind: 'segment', key: 'hot', title: 'Hot', rule: 'count(product_viewed where category under "Jeans", this session) >= 3' });
    await server.publish({ kind: 'campaign', key: 'hot', title: 'Hot', goal: 'be of use', placement: 'hero', priority: 50,
        experiences: [{ key: 'hot', target: 'in segment "hot"', variations: [{ key: 'a', content: { headline: 'Your size is here' } }] }] });
    const who = { anonymousId: id('stranger') }, by = { anonymous_id: who.anonymousId };
    for (const [i, key] of ['jeans-0', 'jeans-1', 'jeans-2'].entries()) {
        assert.equal(await headline(by), 'Welcome', `page ${i}`);
        await server.json('POST', '/v1/track', { key: server.write, body: viewed(who, key) });
    }
    assert.equal(await headline(by), 'Your size is here');
    assert.equal((await person(by)).known, false);
    await server.post('/v1/definitions/campaign/hot/archive');
});

test('R27: the moves of a membership are events, it remembers what matched, and it ends by itself', async () => {
    await server.publish({ kind: 'segment', key: 'left_behind', title: 'Left behind', rule: 'did(in_cart where category under "Kettles", last 1 hour)' });
    await server.publish({ kind: 'segment', key: 'came_and_went', title: 'Came and went',
        rule: 'did(segment_entered where segment = "left_behind", last 1 hour) and did(segment_left where segment = "left_behind")' });
    const who = { userId: id('basket') }, by = { user_id: who.userId };
    await send(track(who, 'Product Added', { product_id: 'kettle-1', cart_id: 'cart-77', quantity: 1, price: 29, currency: 'EUR' },
        { timestamp: ago(HOUR - 4000) }));
    const [of] = (await person(by)).segments.filter((one) => one.key === 'left_behind');
    assert.deepEqual(of.matched.map(({ item, cart }) => [item, cart]), [['kettle-1', 'cart-77']]);
    assert.deepEqual((await explain(by, 'left_behind')).matched.map((one) => one.cart), ['cart-77']);
    await server.publish({ kind: 'campaign', key: 'back', title: 'Back', goal: 'be of use', placement: 'hero', priority: 50, experiences: [{ key: 'b',
        target: 'did(in_cart)', variations: [{ key: 'a', content: { headline: 'Still thinking of {{matched.left_behind.title|it}}? {{matched.left_behind.cart|}}' } }] }] });
    assert.equal(await headline(by), 'Still thinking of Kettle 1? cart-77');
    await eventually('the window has closed, with no event', async () => !(await segments(by)).includes('left_behind'));
    const moves = (await history(by)).filter((one) => one.type.startsWith('segment_')).map((one) => [one.type, one.segment]).reverse();
    assert.deepEqual(moves[0], ['segment_entered', 'left_behind']);
    assert.deepEqual(moves.slice(1).sort(), [['segment_entered', 'came_and_went'], ['segment_left', 'left_behind']]);    // of one instant
    assert.ok((await segments(by)).includes('came_and_went'));
    assert.equal(await headline(by), 'Still thinking of it? ');
    await server.post('/v1/definitions/campaign/back/archive');
    await server.stop();
    await server.start();
    assert.ok((await segments(by)).includes('came_and_went'));
});

test('R34: country, language and store-area conditions work and pick localised content', async () => {
    await server.publish({ kind: 'campaign', key: 'near', title: 'Near', goal: 'be of use', placement: 'hero', priority: 60, experiences: [
        { key: 'store', target: 'distance_km(59.913, 10.752) <= 25', variations: [{ key: 'a', content: { headline: { en: 'Pick it up in Oslo today', 'nb-NO': 'Hent den i Oslo i dag' } } }] },
        { key: 'norway', target: 'context.country = "NO" or (country = "NO" and context.locale starts with "nb")',
            variations: [{ key: 'a', content: { headline: { en: 'Delivered all over Norway', 'nb-NO': 'Levert i hele Norge' } } }] }] });
    const by = { anonymous_id: id('traveller') };
    assert.equal(await headline(by, { locale: 'nb-NO', latitude: 59.95, longitude: 10.7, country: 'NO' }), 'Hent den i Oslo i dag');
    assert.equal(await headline(by, { locale: 'en-GB', latitude: 59.95, longitude: 10.7, country: 'NO' }), 'Pick it up in Oslo today');
    assert.equal(await headline(by, { locale: 'nb-NO', latitude: 60.39, longitude: 5.32, country: 'NO' }), 'Levert i hele Norge');
    assert.equal(await headline(by, { locale: 'de-DE', country: 'DE' }), 'Welcome');
    // What was seen of a person in events will do as well, and makes segments.
    const who = { userId: id('oslo') };
    await send(viewed(who, 'jeans-0', { context: { locale: 'nb-NO', location: { country: 'NO', region: 'Oslo', city: 'Oslo', latitude: 59.92, longitude: 10.75 } } }));
    assert.equal(await count('country = "NO" and region = "Oslo" and language starts with "nb" and distance_km(59.913, 10.752) < 5'), 1);
    assert.equal(await headline({ user_id: who.userId }, { locale: 'nb-NO' }), 'Hent den i Oslo i dag');
    await server.post('/v1/definitions/campaign/near/archive');
});

test('an account, lists and versions are facts that rules ask about', async () => {
    const who = { userId: id('buyer') };
    await server.post('/v1/group', { ...who, messageId: id('m'), groupId: 'acct-9', traits: { plan: 'gold', employees: 40, industries: ['retail', 'food'] } });
    await server.post('/v1/identify', { ...who, messageId: id('m'), traits: { app_version: '2.10.0', address: { city: 'Bergen', postalCode: '5003' } } });
    assert.equal(await count('account.id = "acct-9" and account.plan = "gold" and account.employees > 30 and account.industries has any of ("food", "toys")'), 1);
    assert.equal(await count('app_version > version "2.9" and address.city = "bergen" and address.postalCode starts with "50"'), 1);
});

test('a rule that is too heavy is refused with the reason, and its cost is told before', async () => {
    const part = (i) => `sequence(product_viewed where price > ${i} EUR then product_added then not order_completed within ${i + 1} hours for the same product)`;
    const rule = Array.from({ length: 30 }, (_, i) => part(i)).join(' or ');
    const heavy = await server.post('/v1/rules/check', { rule });
    assert.equal(heavy.ok, false);
    assert.match(heavy.errors[0].message, /too heavy: it costs \d+, the most is 4000/);
    const light = await server.post('/v1/rules/check', { rule: part(1) });
    assert.ok(light.cost > 0 && light.cost < light.cost_max, JSON.stringify(light));
    await assert.rejects(server.publish({ kind: 'segment', key: 'heavy', title: 'Heavy', rule }), /too heavy/);
});
