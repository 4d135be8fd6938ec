// SPDX-License-Identifier: Apache-2.0
//
// hooks.test.mjs - Shopify's and WooCommerce's webhooks: signatures, their senders' quirks, orders that arrive twice
// and out of turn, products, and what people may ask for by law.

import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';

import { eventually, opmaat, newFolder, startServer } from './lib/server.mjs';

const SECRET = 'shpss_today', OLD = 'shpss_yesterday', WOO = 'woo&secret';
let server;

const basis = { analytics: 'contract', personalisation: 'contract' };
const sources = (of) => [
    of.publish({ kind: 'source', key: 'shopify', title: 'Shopify', owner: 'Kari', basis, currency: 'EUR', webhook: 'shopify',
        webhook_secret: SECRET, webhook_secret_old: OLD }),
    of.publish({ kind: 'source', key: 'woo', title: 'WooCommerce', owner: 'Kari', basis, currency: 'EUR', webhook: 'woocommerce', webhook_secret: WOO }),
];
before(async () => {
    server = await startServer({ config: { flush_ms: 100 } });
    for (const made of sources(server)) await made;
});
after(() => server?.stop({ remove: true }));

const sign = (secret, body) => createHmac('sha256', secret).update(body).digest('base64');

async function shopify(topic, payload, { secret = SECRET, id = randomUUID(), status = 200, prefix = 'x-', on = server } = {}) {
    const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
    const answer = await on.request('POST', '/hooks/shopify/shopify', { body, headers: { 'content-type': 'application/json',
        [`${prefix}shopify-topic`]: topic, [`${prefix}shopify-hmac-sha256`]: sign(secret, body), [`${prefix}shopify-webhook-id`]: id,
        'x-shopify-shop-domain': 'test.myshopify.com' } });
    const text = await answer.text();
    assert.equal(answer.status, status, text);
    return JSON.parse(text);
}

async function woo(topic, payload, { secret = WOO, status = 200 } = {}) {
    const body = JSON.stringify(payload);
    const answer = await server.request('POST', '/hooks/woocommerce/woo', { body, headers: { 'content-type': 'application/json',
        'x-wc-webhook-topic': topic, 'x-wc-webhook-signature': sign(secret, body), 'x-wc-webhook-id': '1', 'x-wc-webhook-delivery-id': 'same' } });
    const text = await answer.text();
    assert.equal(answer.status, status, text);
    return JSON.parse(text);
}

const lookup = async (id) => (await server.post('/v1/people/lookup', id)).person_id;
const person = async (id) => server.get(`/v1/people/${await lookup(id)}`);
const events = async (id) => (await server.get(`/v1/people/${await lookup(id)}/history?limit=200`)).events;
const orders = async (id) => (await events(id)).filter((one) => one.type === 'order_completed');
const bought = async (id) => (await events(id)).filter((one) => one.type === 'product_purchased');
const minutes = (n) => new Date(Date.now() - n * 60_000).toISOString();
const letters = async () => (await server.get('/v1/dead-letters')).total;

let number = 1000;
/** An order as Shopify's Admin API writes it. `left`: what is left of its lines' quantities after refunds. */
function order(customer, { id = ++number, left = [2, 1], at = minutes(60), updated = at, more = {} } = {}) {
    const price = ['49.95', '20.00'];
    const subtotal = left[0] * 49.95 + left[1] * 20;
    return { id, name: `#${id}`, email: customer ? `c${customer}@example.com` : null, created_at: at, processed_at: at, updated_at: updated, cancelled_at: null,
        financial_status: 'paid', currency: 'EUR', total_price: '129.90', subtotal_price: '119.90', current_subtotal_price: subtotal.toFixed(2),
        total_discounts: '0.00', total_tax: '20.74', total_shipping_price_set: { shop_money: { amount: '10.00', currency_code: 'EUR' } },
        discount_codes: [{ code: 'SPRING', amount: '0.00', type: 'fixed_amount' }], taxes_included: true, source_name: 'web', test: false,
        customer: customer ? { id: customer, email: `c${customer}@example.com`, phone: null } : null, note_attributes: [],
        landing_site: '/?utm_source=letter&utm_campaign=spring', referring_site: 'https://mail.example/',
        line_items: left.map((n, i) => ({ product_id: 7000 + i, variant_id: 8000 + i, sku: `SKU-${i}`, title: `Product ${i}`, quantity: [2, 1][i],
            current_quantity: n, price: price[i], total_discount: '0.00', discount_allocations: [] })), ...more };
}

const refund = (of, at) => ({ id: of.id * 10 + 1, order_id: of.id, created_at: at, processed_at: at,
    refund_line_items: [{ quantity: 1, subtotal: '49.95', line_item: { product_id: 7000, variant_id: 8000, sku: 'SKU-0' } }],
    transactions: [{ kind: 'refund', amount: '49.95', currency: 'EUR' }] });

test('shopify: a delivery is believed for its signature over the raw body, by the present secret or the one before', async () => {
    const spaced = `{ "id" : 501, "email":"c501@example.com", "first_name":"Å\\u0301sa",\n "tags": "a, b" }`;
    await shopify('customers/create', spaced);
    assert.equal((await person({ user_id: '501' })).traits.find((one) => one.name === 'first_name').value, 'Å\u0301sa');
    await shopify('customers/create', { id: 502 }, { secret: OLD });
    await shopify('customers/create', { id: 503 }, { prefix: '' });
    await shopify('customers/create', { id: 504 }, { secret: 'wrong', status: 401 });
    for (const id of ['502', '503']) await lookup({ user_id: id });
    await server.post('/v1/people/lookup', { user_id: '504' }, { status: 404 });
    const unsigned = await server.request('POST', '/hooks/shopify/shopify', { body: '{}', headers: { 'x-shopify-topic': 'orders/create' } });
    assert.equal(unsigned.status, 401, await unsigned.text());
    const nowhere = await server.request('POST', '/hooks/shopify/web', { body: '{}' });
    assert.equal(nowhere.status, 404, await nowhere.text());
    const { document } = await server.get('/v1/definitions/source/shopify');
    assert.ok(!JSON.stringify(document).includes(SECRET) && !JSON.stringify(document).includes(OLD), 'secrets are not shown');
    await server.publish({ kind: 'source', key: 'shopify', ...document });
    await shopify('customers/create', { id: 505 });                         // and stay what they are when the document is sent back
    await lookup({ user_id: '505' });
});

test('shopify: an order is told whole: person, lines, money, coupon, campaign, tax and day', async () => {
    await shopify('orders/create', order(601, { at: minutes(90), more: { note_attributes: [{ name: 'anonymous_id', value: 'browser-601' }] } }));
    const [one] = await orders({ user_id: '601' });
    assert.deepEqual(one.value, { minor: 11990, currency: 'EUR' });
    assert.ok(Math.abs(Date.parse(one.at) - Date.now() + 90 * 60_000) < 5000);
    assert.equal((await bought({ user_id: '601' })).length, 2);
    assert.equal(await lookup({ email: 'c601@example.com' }), await lookup({ user_id: '601' }));
    assert.equal(await lookup({ anonymous_id: 'browser-601' }), await lookup({ user_id: '601' }));
    const traits = Object.fromEntries((await person({ user_id: '601' })).traits.map((trait) => [trait.name, trait.value]));
    assert.equal(traits.latest_source, 'letter');
    assert.equal(traits.latest_campaign, 'spring');
});

const permutations = (list) => (list.length < 2 ? [list]
    : list.flatMap((one, i) => permutations(list.filter((_, k) => k !== i)).map((rest) => [one, ...rest])));

test('shopify: repeated, unordered and refunded: every order of arrival ends in the same order', async () => {
    const made = (customer) => order(customer, { at: minutes(60), updated: minutes(60) });
    const first = (o) => ['orders/create', o];
    const paid = (o) => ['orders/paid', { ...o, updated_at: minutes(50) }];
    const back = (o) => ['refunds/create', refund(o, minutes(40))];
    const after_ = (o) => ['orders/updated', order(o.customer.id, { id: o.id, left: [1, 1], at: o.created_at, updated: minutes(39) })];
    const turns = [...permutations([0, 1, 2, 3]), [0, 3, 2, 2, 1], [0, 1, 3, 2, 3, 0], [2, 2, 0, 3, 0, 2]];
    const short = permutations([0, 1, 2]);                                   // a refund that nobody follows up with the order
    for (const [i, turn] of turns.entries()) {
        const o = made(700 + i);
        const all = [first(o), paid(o), back(o), after_(o)].map(([topic, body]) => [topic, body, `${topic}-${o.id}`]);
        for (const at of turn) await shopify(all[at][0], all[at][1], { id: all[at][2] });
        const who = { user_id: `${700 + i}` };
        const found = await orders(who);
        assert.equal(found.length, 1, `turn ${turn}`);
        assert.equal(found[0].value.minor, 6995, `turn ${turn}: 119.90 less 49.95`);
        assert.deepEqual((await bought(who)).map((line) => line.quantity).sort(), [1, 1], `turn ${turn}`);
    }
    for (const [i, turn] of short.entries()) {
        const o = made(780 + i);
        const all = [first(o), paid(o), back(o)];
        for (const at of turn) await shopify(...all[at]);
        assert.equal((await orders({ user_id: `${780 + i}` }))[0].value.minor, 6995, `turn ${turn}`);
    }
    const alone = made(750);
    await shopify(...first(alone));
    await shopify(...back(alone));
    assert.equal((await orders({ user_id: '750' }))[0].value.minor, 6995);
    const cancelled = { ...alone, cancelled_at: minutes(10), updated_at: minutes(10) };
    await shopify('orders/cancelled', cancelled);
    await shopify('orders/updated', { ...alone, updated_at: minutes(30) });
    assert.equal((await orders({ user_id: '750' })).length, 0, 'a late older statement does not bring it back');
});

test('R7: a draft order is a phone order, a till receipt is pos, and both count; a guest at the till is taken too', async () => {
    await shopify('orders/create', order(801, { more: { source_name: 'shopify_draft_order' } }));
    await shopify('orders/create', order(801, { more: { source_name: 'pos' } }));
    await shopify('orders/create', order(801, { more: { note_attributes: [{ name: 'channel', value: 'marketplace' }] } }));
    const history = await orders({ user_id: '801' });
    assert.deepEqual(history.map((one) => one.channel).sort(), ['marketplace', 'phone', 'pos']);
    const { counters } = await person({ user_id: '801' });
    assert.equal(counters.orders, 3);
    assert.match(JSON.stringify(counters), /35970/, 'three times 119.90 was spent');
    const was = await letters();
    const answer = await shopify('orders/create', order(null, { more: { source_name: 'pos' } }));
    assert.equal(answer.accepted, 1, JSON.stringify(answer));
    assert.equal(await letters(), was);
});

test('shopify: products come and go with price, list price, stock and variants', async () => {
    const product = { id: 9001, title: 'Slim jeans', body_html: '<p>Blue <b>denim</b></p>', vendor: 'Acme', product_type: 'Jeans', handle: 'slim-jeans',
        status: 'active', published_at: minutes(1000), updated_at: minutes(1), tags: 'denim, sale', image: { src: 'https://cdn.test/j.jpg' },
        options: [{ name: 'Size' }, { name: 'Color' }],
        variants: [{ id: 9101, price: '39.95', compare_at_price: '49.95', option1: '32', option2: 'Blue', inventory_management: 'shopify', inventory_policy: 'deny', inventory_quantity: 3 },
            { id: 9102, price: '39.95', compare_at_price: null, option1: '33', option2: 'Blue', inventory_management: 'shopify', inventory_policy: 'deny', inventory_quantity: -2 }] };
    await shopify('products/create', product);
    const item = await server.get('/v1/catalog/items/9001');
    assert.equal(item.title, 'Slim jeans');
    assert.equal(item.url, '/products/slim-jeans');
    assert.match(JSON.stringify(item), /3995/);
    assert.match(JSON.stringify(item), /4995/);
    assert.equal((await server.get('/v1/catalog/items/9101')).product_key, '9001', 'a variant leads to its product');
    await shopify('products/delete', { id: 9001 });
    assert.equal((await server.get('/v1/catalog/items/9001')).removed, true);
});

test('shopify: leave to write is taken as it was given, and nobody who was not asked has said no', async () => {
    const consent = async (id) => Object.fromEntries((await person({ user_id: id })).consent.map((one) => [one.purpose, one.state]));
    await shopify('customers/update', { id: 851, email: 'c851@example.com', updated_at: minutes(5), email_marketing_consent: { state: 'subscribed' }, sms_marketing_consent: { state: 'not_subscribed' } });
    assert.equal((await consent('851')).marketing_email, 'granted');
    assert.equal((await consent('851')).marketing_sms ?? 'unknown', 'unknown');
    await shopify('customers_email_marketing_consent/update', { customer_id: 851, email_address: 'c851@example.com', email_marketing_consent: { state: 'unsubscribed' } });
    assert.equal((await consent('851')).marketing_email, 'denied');
});

test('shopify: what people may ask for by law waits where it can be seen, and a redaction acts at once', async () => {
    await shopify('orders/create', order(901));
    const shop = { shop_id: 1, shop_domain: 'test.myshopify.com' };
    await shopify('customers/data_request', { ...shop, customer: { id: 901, email: 'c901@example.com' }, orders_requested: [1], data_request: { id: 99 } });
    const redact = { ...shop, customer: { id: 901, email: 'c901@example.com', phone: '' }, orders_to_redact: [1] };
    await shopify('customers/redact', redact);
    await shopify('customers/redact', redact);
    await shopify('customers/redact', { ...shop, customer: { id: 999_901, email: 'stranger@example.com' }, orders_to_redact: [] });
    await shopify('shop/redact', shop);
    const { regulations } = await server.get('/v1/regulations');
    assert.deepEqual(regulations.map((one) => one.regulation).sort(), ['erase', 'erase', 'erase', 'erase_shop', 'export'], 'each redaction has its receipt');
    const waiting = regulations.filter((one) => one.state === 'waiting');
    assert.ok(waiting.length === 2 && waiting.every((one) => Date.parse(one.due_at) > Date.now()));
    assert.ok(!JSON.stringify(regulations).includes('@'), 'no address lies there');
    assert.equal(regulations.find((one) => one.regulation === 'export').user_id, '901');
    await server.post(`/v1/regulations/${waiting[0].id}/done`);
    await server.post('/v1/regulations/no-such/done', undefined, { status: 404 });
    await eventually('the erasures are done', async () => (await server.get('/v1/regulations')).regulations
        .filter((one) => one.regulation === 'erase').every((one) => one.state === 'done' && one.because === 'shopify customers/redact'));
    // They are forgotten, and from now on nothing is collected of them.
    for (const userId of ['901', '999901']) {
        await server.post('/v1/people/lookup', { user_id: userId }, { status: 404 });
        await server.post('/v1/track', { userId, event: 'Product Viewed', messageId: randomUUID(), properties: { product_id: '7000' } });
        await server.post('/v1/people/lookup', { user_id: userId }, { status: 404 });
    }
    const kept = await shopify('orders/create', order(901));
    assert.equal(kept.accepted, 1, 'an order stays the shop\'s, without them');
    await server.post('/v1/people/lookup', { user_id: '901' }, { status: 404 });
});

test('what cannot be used is a dead letter with its reason and answered 200; what the sender can mend is refused', async () => {
    const was = await letters();
    const said = await shopify('app/uninstalled', { id: 1 });
    assert.match(said.reason, /app\/uninstalled/);
    assert.match((await shopify('orders/create', order(950, { more: { test: true } }))).reason, /test order/);
    await shopify('orders/create', { id: 5, currency: 'not money', line_items: 7, customer: { id: 5 } });
    await shopify('products/create', { title: 'no id' });
    assert.equal(await letters() - was, 4);
    await shopify('orders/create', '{"id":', { status: 400 });
    await shopify('orders/create', '[]', { status: 400 });
});

test('woocommerce: the unsigned ping is answered 200, over HTTP/1.0 as it speaks it', async () => {
    const body = 'webhook_id=17';
    const answer = await new Promise((done, failed) => {
        const socket = connect(server.port, '127.0.0.1', () => socket.write(`POST /hooks/woocommerce/woo HTTP/1.0\r\nHost: shop\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
        let got = '';
        socket.on('data', (bytes) => { got += bytes; });
        socket.on('end', () => done(got));
        socket.on('error', failed);
    });
    assert.match(answer, /^HTTP\/1\.[01] 200 /);
    await woo('order.created', { id: 1 }, { secret: 'wrong', status: 401 });
});

const wooOrder = (customer, { id = ++number, status = 'processing', modified = minutes(60), refunds = [], more = {} } = {}) => ({
    id, number: `${id}`, status, currency: 'EUR', total: '130.00', total_tax: '20.00', shipping_total: '10.00', discount_total: '5.00', customer_id: customer,
    billing: { email: `w${customer || id}@example.com`, phone: `+47 22 ${10_000 + id}`, country: 'NO' }, created_via: 'checkout',
    date_created_gmt: minutes(60).slice(0, 19), date_modified_gmt: modified.slice(0, 19),
    line_items: [{ product_id: 31, variation_id: 32, sku: 'W-1', name: 'Mug', quantity: 2, total: '80.00', price: 40 }, { product_id: 33, variation_id: 0, name: 'Tea', quantity: 1, total: '20.00', price: 20 }],
    coupon_lines: [{ code: 'spring' }], refunds, meta_data: [{ id: 1, key: '_wc_order_attribution_utm_source', value: 'letter' }, { id: 2, key: '_anonymous_id', value: `wb-${customer}` }], ...more });

test('woocommerce: orders through their states, refunds net, deliveries that share an id, late ones', async () => {
    const o = wooOrder(41, { id: 4100, status: 'pending' });
    await woo('order.created', o);
    assert.equal((await orders({ user_id: '41' })).length, 0, 'not paid yet');
    await woo('order.updated', wooOrder(41, { id: 4100, modified: minutes(50) }));
    assert.deepEqual((await orders({ user_id: '41' }))[0].value, { minor: 10000, currency: 'EUR' });
    assert.equal(await lookup({ anonymous_id: 'wb-41' }), await lookup({ user_id: '41' }));
    await woo('order.updated', wooOrder(41, { id: 4100, modified: minutes(30), refunds: [{ id: 1, total: '-65.00' }] }));
    assert.equal((await orders({ user_id: '41' }))[0].value.minor, 5000, 'half of it was given back');
    await woo('order.updated', wooOrder(41, { id: 4100, modified: minutes(40), status: 'completed' }));
    assert.equal((await orders({ user_id: '41' }))[0].value.minor, 5000, 'a late older one changes nothing');
    await woo('order.updated', wooOrder(41, { id: 4100, modified: minutes(20), status: 'refunded', refunds: [{ id: 1, total: '-65.00' }, { id: 2, total: '-65.00' }] }));
    assert.equal((await orders({ user_id: '41' }))[0].value?.minor ?? 0, 0);
    await woo('order.created', wooOrder(0, { id: 4200, more: { created_via: 'admin' } }));
    const [phone] = await orders({ email: 'w4200@example.com' });
    assert.equal(phone.channel, 'phone', 'a guest by e-mail, written by hand');
    await woo('order.deleted', { id: 4200 });
    assert.equal((await orders({ email: 'w4200@example.com' })).length, 0);
});

test('woocommerce: customers and products', async () => {
    await woo('customer.updated', { id: 51, email: 'w51@example.com', first_name: 'Ola', last_name: 'N', date_created_gmt: '2026-01-02T10:00:00',
        date_modified_gmt: '2026-11-02T10:00:00', billing: { phone: '+4711111111', city: 'Oslo', country: 'NO' } });
    const traits = Object.fromEntries((await person({ user_id: '51' })).traits.map((trait) => [trait.name, trait.value]));
    assert.equal(traits.first_name, 'Ola');
    assert.equal(await lookup({ email: 'w51@example.com' }), await lookup({ user_id: '51' }));
    await woo('product.created', { id: 31, name: 'Mug', type: 'simple', status: 'publish', permalink: 'https://shop.test/mug', sku: 'W-1', price: '40.00', regular_price: '50.00', on_sale: true,
        stock_status: 'instock', manage_stock: true, stock_quantity: 7, categories: [{ id: 1, name: 'Kitchen' }], images: [{ src: 'https://shop.test/mug.jpg' }],
        attributes: [{ name: 'Glaze', options: ['blue'] }], date_created_gmt: '2026-01-02T10:00:00' });
    const item = await server.get('/v1/catalog/items/31');
    assert.equal(item.title, 'Mug');
    assert.match(JSON.stringify(item), /4000/);
    await woo('product.deleted', { id: 31 });
    assert.equal((await server.get('/v1/catalog/items/31')).removed, true);
    const said = await woo('coupon.created', { id: 1 });
    assert.match(said.reason, /coupon\.created/);
});

test('what webhooks left folds again to the same state', async () => {
    const own = await startServer({ config: { flush_ms: 50 }, data: newFolder() });
    for (const made of sources(own)) await made;
    const o = order(1);
    await shopify('orders/create', o, { on: own });
    await shopify('refunds/create', refund(o, minutes(40)), { on: own });
    await shopify('customers/redact', { customer: { id: 1, email: 'c1@example.com' } }, { on: own });
    await own.stop();
    await opmaat(['verify', '--data', own.data]);
    const again = await startServer({ config: { flush_ms: 50 }, data: own.data, keys: false });
    await again.stop({ remove: true });
});
