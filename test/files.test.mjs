// SPDX-License-Identifier: Apache-2.0
//
// files.test.mjs - files of a shop's other systems: looked at first, read by a saved mapping, replaced, added to,
// fetched on a schedule; and what cannot be read is kept, mended and taken after all.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { eventually, opmaat, startServer } from './lib/server.mjs';

const basis = { analytics: 'contract', personalisation: 'contract' };
let server;
before(async () => { server = await startServer({ config: { flush_ms: 100 } }); });
after(async () => {
    await server.stop();
    await opmaat(['verify', '--data', server.data]);
});

const load = async (kind, body, query = '') => {
    const started = await server.post(`/v1/import/${kind}?${query}`, body, { status: 202 });
    return eventually(`the import of ${kind}`, async () => {
        const one = await server.get(`/v1/jobs/${started.job}`);
        return ['done', 'failed'].includes(one.state) && one;
    });
};
const person = async (who) => server.get(`/v1/people/${(await server.post('/v1/people/lookup', who)).person_id}`);
const stock = async (key) => (await server.request('GET', '/v1/export/products', { key: server.secret })).text()
    .then((text) => text.trim().split('\n').map((line) => JSON.parse(line)).find((one) => one.product_key === key).stock);

test('a file is previewed: its form, header and first rows, a proposed mapping, and what would be refused', async () => {
    const file = 'Receipt No;Date;Article;Qty;Unit Price;Mobile;Till\n' + Array.from({ length: 12 }, (_, i) =>
        `R${i};2026-01-${String(i + 1).padStart(2, '0')} 10:00;p${i};${i === 3 ? 'two' : 1};9.90;+47 900 00 0${i + 10};7`).join('\n');
    const seen = await server.post('/v1/import/orders?preview=true&currency=NOK', file);
    assert.deepEqual([seen.form, seen.whole_file, seen.rows.length, seen.lines, seen.accepted, seen.refused], ['CSV with semicolons', true, 10, 12, 11, 1]);
    assert.deepEqual(seen.columns, { order_key: 'Receipt No', at: 'Date', product_key: 'Article', quantity: 'Qty', price: 'Unit Price', phone: 'Mobile' });
    assert.deepEqual(seen.refusals, [{ line: 5, reason: 'quantity "two" is not a whole number' }]);
    assert.deepEqual(seen.rows[0], { 'Receipt No': 'R0', Date: '2026-01-01 10:00', Article: 'p0', Qty: '1', 'Unit Price': '9.90', Mobile: '+47 900 00 010', Till: '7' });
    const people = await server.post('/v1/import/customers?preview=true', '{"Customer Number":"D7","E-mail Address":"x","mail":"ana@shop.example"}\n');
    assert.deepEqual([people.form, people.columns.erp_id], ['NDJSON', 'Customer Number']);
    const xml = await server.post('/v1/import/products?preview=true', '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>a</g:id><g:title>A</g:title></item></channel></rss>');
    assert.deepEqual([xml.form, xml.accepted], ['XML', 1]);
    assert.equal((await server.get('/v1/jobs')).jobs.length, 0, 'nothing was imported');
});

test('R6: a receipt with phone, e-mail, card or member number joins the online person, by a saved mapping', async () => {
    await server.publish({ kind: 'source', key: 'pos', title: 'Till', basis, channel: 'pos', currency: 'NOK' });
    await server.put('/v1/definitions/mapping/till', { kind: 'mapping', key: 'till', of: 'receipts', columns: {} });
    await server.post('/v1/definitions/mapping/till/publish', undefined, { status: 422 });
    await server.publish({ kind: 'mapping', key: 'till', of: 'orders', title: 'Receipts of the tills', time_zone: 'Europe/Oslo', columns: {
        order_key: 'Receipt No', at: 'Date', product_key: 'Article', quantity: 'Qty', price: 'Unit Price', phone: 'Mobile', email: 'Mail', member_id: 'Member', card: 'Card', channel: { value: 'pos' } } });
    await server.post('/v1/identify', { userId: 'ana', traits: { email: 'ana@shop.example', phone: '+4790000001', member_id: 'M-77', card_token: 'tok_1' } });
    const day = (ago) => new Date(Date.now() - ago * 86400e3).toISOString().slice(0, 10);
    const file = 'Receipt No;Date;Article;Qty;Unit Price;Mobile;Mail;Member;Card\n'
        + `R1;2026-01-01 10:00;lamp;1;100.00;+47 900 00 001;;;\nR2;${day(2)} 10:00;lamp;1;100.00;;Ana@Shop.example;;\n`
        + `R3;${day(3)} 10:00;lamp;1;100.00;;;M-77;\nR4;${day(4)} 10:00;lamp;1;100.00;;;;tok_1\n`;
    const done = await load('orders', file, 'source=pos&map=till');
    assert.deepEqual([done.state, done.accepted, done.refused], ['done', 4, 0]);
    const ana = await person({ user_id: 'ana' });
    assert.deepEqual([ana.counters.orders, ana.counters.revenue], [4, [{ minor: 40000, currency: 'NOK' }]]);
    const { events } = await server.get(`/v1/people/${ana.person_id}/history`);
    const receipt = events.find((one) => one.type === 'order_completed' && one.order === 'R1');
    assert.deepEqual([receipt.at, receipt.channel, receipt.source], ['2026-01-01T09:00:00.000Z', 'pos', 'pos']);
    await server.post('/v1/import/orders?map=nobody', file, { status: 404 });
    const { decisions } = await server.post('/v1/recommend', { person: { user_id: 'ana' }, strategy: 'for_you' }).then((got) => ({ decisions: got.items ?? [] }));
    assert.ok(!decisions.some((one) => one.product_key === 'lamp'), 'what was bought in the shop is recommended nowhere');
});

test('lines that cannot be read are dead letters: found, mended and taken, once each', async () => {
    const file = 'user_id,email,level\nbo,not-an-address,gold\ncy,cy@shop.example,silver\n';
    await load('customers', file, 'source=crm');
    await load('customers', file, 'source=crm');
    const { dead_letters } = await server.get('/v1/dead-letters?source=crm');
    assert.deepEqual(dead_letters.map((one) => [one.reason, one.event]),
        [['line 2: email "not-an-address" identifies nobody', { import: 'customers', row: { user_id: 'bo', email: 'not-an-address', level: 'gold' } }]]);
    await server.post(`/v1/dead-letters/${dead_letters[0].id}/replay`, {}, { status: 422 });
    const { replayed } = await server.post('/v1/dead-letters/replay', { source: 'crm', set: { 'row.email': 'bo@shop.example' } });
    assert.equal(replayed, 1);
    const bo = await person({ email: 'bo@shop.example' });
    assert.equal(bo.traits.find((one) => one.name === 'level').value, 'gold');

    const orders = 'order_key,product_key,quantity,at,price,currency,user_id\nL1,p,1,2026-01-01,5,EUR,bo\nL1,q,one,2026-01-01,5,EUR,bo\nL2,q,one,2026-01-01,5,EUR,bo\n';
    await load('orders', orders, 'source=erp');
    const letters = (await server.get('/v1/dead-letters?source=erp')).dead_letters.reverse();
    const mended = letters.map((one) => ({ event: { ...one.event, row: { ...one.event.row, quantity: '1' } } }));
    const refused = await server.request('POST', `/v1/dead-letters/${letters[0].id}/replay`, { key: server.secret, body: mended[0] });
    assert.match(await refused.text(), /the order L1 has other lines/);
    await server.post(`/v1/dead-letters/${letters[1].id}/replay`, mended[1]);
    assert.deepEqual((await person({ user_id: 'bo' })).counters.revenue, [{ minor: 1000, currency: 'EUR' }]);
});

test('mode=replace drops what the file lacks, but not more than a fifth unless forced; delta adds pieces', async () => {
    const rows = (n) => Array.from({ length: n }, (_, i) => JSON.stringify({ product_key: `r-${i}`, title: `Row ${i}`, stock: { web: 5 } })).join('\n');
    const there = async () => (await server.get('/v1/catalog/items?q=r-&limit=100')).items.length;
    assert.equal((await load('products', rows(10), 'source=pim')).state, 'done');
    const short = await load('products', rows(7), 'source=pim&mode=replace');
    assert.deepEqual([short.state, /would drop 3 of the 10 .*more than 20 %; nothing was changed/.test(short.error), await there()], ['failed', true, 10]);
    const broken = await load('products', `${rows(10)}\n{"title": "No key"}`, 'source=pim&mode=replace');
    assert.match(broken.error, /1 lines cannot be read/);
    const little = await load('products', rows(8), 'source=pim&mode=replace');
    assert.deepEqual([little.state, little.dropped, await there()], ['done', 2, 8]);
    const forced = await load('products', rows(2), 'source=pim&mode=replace&force=true');
    assert.deepEqual([forced.state, forced.dropped, await there()], ['done', 6, 2]);
    await load('stock', 'product_key,stock:web\nr-0,-2\nr-0,-1\nr-1,4\n', 'source=till-stock&mode=delta');
    assert.deepEqual([await stock('r-0'), await stock('r-1')], [{ web: 2 }, { web: 9 }]);
    await load('stock', 'product_key,stock:web\nr-1,3\n', 'source=wms&mode=replace&force=true');
    assert.deepEqual([await stock('r-0'), await stock('r-1')], [{ web: 0 }, { web: 3 }]);
    await server.post('/v1/import/orders?mode=replace', 'x', { status: 422 });
    await server.post('/v1/import/prices?mode=delta', 'x', { status: 422 });
});

test('a Google Merchant feed is fetched from its address on a schedule; a failure is told and tried again', async () => {
    let asked = 0;
    let feed = 'id\ttitle\tprice\tavailability\ng-1\tGloves\t19.99 EUR\tin_stock\n';
    const shop = createServer((request, answer) => {
        asked++;
        if (request.url === '/moved') return answer.writeHead(302, { location: '/feed.tsv' }).end();
        if (!feed) return answer.writeHead(503).end();
        return answer.writeHead(200, { 'content-type': 'text/plain' }).end(gzipSync(feed));
    });
    await new Promise((done) => { shop.listen(0, '127.0.0.1', done); });
    try {
        await server.publish({ kind: 'source', key: 'merchant', title: 'Merchant feed', basis, expected_every: '1 hour' });
        const url = `http://127.0.0.1:${shop.address().port}/moved`;
        await server.put('/v1/definitions/feed/merchant', { kind: 'feed', key: 'merchant', url: 'file:///etc/passwd', of: 'products' });
        await server.post('/v1/definitions/feed/merchant/publish', undefined, { status: 422 });
        await server.publish({ kind: 'feed', key: 'merchant', url, of: 'products', every: '1 second' });
        const item = (key) => server.request('GET', `/v1/catalog/items/${key}`, { key: server.secret });
        await eventually('the feed was fetched', async () => (await item('g-1')).status === 200);
        feed = '';
        await eventually('a failed fetch is told', async () => (await server.get('/v1/jobs')).jobs.some((one) => one.source === 'merchant' && /answered 503/.test(one.error ?? '')));
        feed = 'id\ttitle\tprice\tavailability\ng-1\tGloves\t19.99 EUR\tin_stock\ng-2\tHat\t9.99 EUR\tout_of_stock\n';
        await eventually('and fetched again', async () => (await item('g-2')).status === 200);
        assert.ok(asked >= 6);
        await server.post('/v1/definitions/feed/merchant/archive');
        const merchant = (await server.get('/v1/sources')).sources.find((one) => one.key === 'merchant');
        assert.ok(merchant.accepted >= 3 && merchant.state === 'green');
    } finally {
        shop.close();
    }
});
