// SPDX-License-Identifier: Apache-2.0
//
// predict.test.mjs - predictions from a real shop's orders (CDNOW, moved so that it ends yesterday) and simulated visits: cards with
// charts, scores with reasons, rules that ask for them, intent with each event, and the same state from a replay.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { PATIENCE_MS, eventually, newFolder, opmaat, shared, startServer } from './lib/server.mjs';

const DAY = 86_400_000;
const folder = newFolder();
let server;
const iso = (ms) => new Date(ms).toISOString();

/** The sample's orders as CSV, its last day yesterday. */
function orders() {
    const rows = gunzipSync(readFileSync(join(shared, 'data/cdnow/cdnow_sample.txt.gz'))).toString().trim().split('\n')
        .map((line) => line.trim().split(/\s+/));
    const at = (text) => Date.UTC(+text.slice(0, 4), +text.slice(4, 6) - 1, +text.slice(6));
    const moved = Math.floor(Date.now() / DAY) * DAY - DAY - Math.max(...rows.map((r) => at(r[2])));
    const lines = rows.map((r, i) => [`o${i}`, iso(at(r[2]) + moved + DAY / 2), `c${r[1]}`, 'cd', 1, r[4]].join(','));
    return `order,at,customer,sku,pieces,each\n${lines.join('\n')}\n`;
}

/** A visit's events, oldest first; every fifth buys, and those look at more and mostly start checkout. */
function visit(n, random) {
    const start = Date.now() - 3 * DAY + n * 60_000;
    const buys = random() < 0.2;
    const names = Array.from({ length: 1 + Math.floor(random() * 4) }, () => 'Product Viewed');
    if (buys || random() < 0.2) names.push('Product Added');
    if ((buys && random() < 0.9) || random() < 0.04) names.push('Checkout Started');
    if (buys) names.push('Order Completed');
    return names.map((event, i) => ({
        type: 'track', event, messageId: `v${n}-${i}`, anonymousId: `visitor-${n}`, timestamp: iso(start + i * 20_000),
        properties: event === 'Order Completed'
            ? { order_id: `w${n}`, revenue: 20, currency: 'EUR', products: [{ product_id: 'cd', price: 20, quantity: 1 }] } : { product_id: 'cd', price: 20 },
    }));
}

before(async () => {
    const data = join(folder, 'shop');
    writeFileSync(join(folder, 'orders.csv'), orders());
    writeFileSync(join(folder, 'map.json'), JSON.stringify({ currency: 'EUR', columns: { order_key: 'order', at: 'at', user_id: 'customer',
        product_key: 'sku', quantity: 'pieces', price: 'each' } }));
    await opmaat(['import', 'orders', join(folder, 'orders.csv'), '--map', join(folder, 'map.json'), '--data', data]);
    server = await startServer({ data, config: { flush_ms: 100, train_ms: 200, predict_ms: 500 } });
    let state = 7;
    const random = () => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state / 2 ** 32; };
    const events = Array.from({ length: 900 }, (_, n) => visit(n, random)).flat();
    for (let i = 0; i < events.length; i += 500) await server.post('/v1/batch', { batch: events.slice(i, i + 500) });
});
after(() => server?.stop({ remove: true }));

const cards = async () => (await server.get('/v1/predictions')).predictions;
const person = async (who) => {
    const { person_id: id } = await server.post('/v1/people/lookup', who);
    return server.get(`/v1/people/${id}`);
};
const score = (of, name) => of.predictions.find((p) => p.score === name);

test('R36: each score has a calibration chart and the date it was made', async () => {
    const all = await eventually('cards of all scores', async () => {
        const got = await cards();
        return got.some((c) => c.score === 'churn' && c.enough) && got.some((c) => c.score === 'intent' && c.enough) && got;
    }, 3 * PATIENCE_MS);
    for (const name of ['churn', 'alive', 'orders_365', 'next_order_days', 'clv_365', 'intent']) {
        const card = all.find((c) => c.score === name);
        assert.ok(card, `there is a card of ${name}`);
        assert.ok(Math.abs(Date.now() - Date.parse(card.made_at)) < 10 * PATIENCE_MS, `${name} says when it was made`);
        assert.ok(card.version > 0);
        assert.ok(card.calibration.length >= 5, `${name} has a chart`);
        for (const bin of card.calibration) assert.ok(bin.n > 0 && bin.low <= bin.observed && bin.observed <= bin.high);
    }
    const churn = all.find((c) => c.score === 'churn');
    assert.ok(churn.measures.brier < churn.measures.brier_base, 'better than the rate alone');
    const off = churn.calibration.reduce((sum, b) => sum + b.n * Math.abs(b.predicted - b.observed), 0) / churn.judged;
    assert.ok(off < 0.05, `forecast and outcome are ${off} apart on average`);
});

test('a person\'s scores carry version, date and reasons, and more silence is more churn', async () => {
    const one = await eventually('scores', async () => {
        const p = await person({ user_id: 'c0001' });
        return score(p, 'churn') && p;
    });
    for (const name of ['churn', 'alive', 'orders_365', 'clv_365', 'recency', 'frequency', 'monetary']) {
        const s = score(one, name);
        assert.ok(s, name);
        assert.ok(s.version >= 1 && Date.parse(s.at) > Date.now() - 10 * PATIENCE_MS);
    }
    assert.ok(score(one, 'churn').reasons.length > 0 && score(one, 'churn').reasons[0].text.length > 0);
    assert.equal(score(one, 'clv_365').value.currency, 'EUR');
});

test('a rule asks for a prediction, and a replay gives the same', async () => {
    await server.publish({ kind: 'segment', key: 'leaving', title: 'Leaving', owner: 'kari', rule: 'predicted("churn") > 0.9' });
    const segment = await server.get('/v1/segments/leaving');
    const count = segment.count ?? segment.members;
    assert.ok(count > 100 && count < 2357, `${count} of 2,357 buyers and some visitors`);
});

test('R35: the purchase-intent score updates per event and is better calibrated than a fixed base rate on a test set', async () => {
    const intent = (await cards()).find((c) => c.score === 'intent');
    assert.ok(intent.measures.log_loss < 0.9 * intent.measures.log_loss_base, 'on visits forecast before they were learnt');
    assert.ok(intent.measures.brier < 0.9 * intent.measures.brier_base);
    const said = [];
    for (const event of ['Product Viewed', 'Product Added', 'Checkout Started']) {
        await server.post('/v1/track', { anonymousId: 'here-now', event, properties: { product_id: 'cd', price: 20 } });
        const now = score(await person({ anonymous_id: 'here-now' }), 'intent');
        assert.ok(now && now.reasons.length > 0);
        said.push(now.value);
    }
    assert.ok(said[0] < said[1] && said[1] < said[2], `${said} rises with each event`);
    assert.ok(said[2] > 0.4, `${said[2]} once checkout started`);
});

test('the log holds the scores: another folding of it gives the same state', async () => {
    await server.stop();
    await opmaat(['verify', '--data', server.data]);
    await server.start();
    const after_restart = await person({ user_id: 'c0001' });
    assert.ok(score(after_restart, 'churn'), 'scores are there at once');
    assert.ok((await cards()).some((c) => c.score === 'churn' && c.enough), 'and so is the card');
});

test('with too little, the number needed is said', async () => {
    const fresh = await startServer({ config: { train_ms: 100, predict_ms: 100 } });
    try {
        await fresh.post('/v1/track', { userId: 'ana', event: 'Product Viewed' });
        const got = await eventually('reasons', async () => {
            const { predictions } = await fresh.get('/v1/predictions');
            return predictions.length === 2 && predictions.every((p) => !p.enough && p.why.includes('needed')) && predictions;
        });
        assert.match(got[0].why, /50 and 20 are needed/);
        assert.match(got[1].why, /500 and 30 are needed/);
    } finally {
        await fresh.stop({ remove: true });
    }
});
