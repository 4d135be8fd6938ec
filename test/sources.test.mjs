// SPDX-License-Identifier: Apache-2.0
//
// sources.test.mjs - many systems at once, each with its own health; one person out of six of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PATIENCE_MS, eventually, sleep, startServer } from './lib/server.mjs';

const basis = { analytics: 'contract', personalisation: 'contract', model_training: 'contract' };

const job = async (server, kind, source, body, query = '') => {
    const started = await server.post(`/v1/import/${kind}?source=${source}${query}`, body, { status: 202 });
    return eventually(`the import into ${source}`, async () => {
        const one = await server.get(`/v1/jobs/${started.job}`);
        return ['done', 'failed'].includes(one.state) && one;
    });
};

test('R2: 23 sources at once, each with last record, lag, accepted and refused; one that stops turns red', async () => {
    const server = await startServer({ config: { flush_ms: 200 } });
    const live = ['web', 'app-ios', 'app-android', 'pos-oslo', 'pos-bergen', 'call-centre', 'marketplace', 'kiosk', 'loyalty-live', 'chat', 'email-clicks', 'search'];
    const files = { 'erp-orders': ['orders', 'order_key,product_key,quantity,at,price,user_id\nE1,p,1,2026-01-02,3.50,ana\nE2,p,some,2026-01-02,3.50,ana\n'],
        'pos-nightly': ['orders', 'order_key,product_key,quantity,at,price,member_id\nR1,p,1,2026-01-02,3.50,M1\n'], 'phone-orders': ['orders', 'order_key,product_key,quantity,at,price,phone\nT1,p,1,2026-01-02,3.50,+4790000001\n'],
        crm: ['customers', 'user_id,first_name\nana,Ana\n,Nobody\n'], loyalty: ['customers', 'member_id,level\nM1,gold\n'], survey: ['customers', 'email,answer\nana@shop.example,yes\n'],
        'web-history': ['events', '{"type":"track","messageId":"h1","userId":"ana","event":"Product Viewed","properties":{"product_id":"p"}}\n{"type":"shout"}\n'],
        pim: ['products', '{"product_key":"p","title":"Lamp"}\n{"title":"No key"}\n'], 'price-list': ['prices', 'product_key,price,currency\np,3.50,EUR\n'],
        'stock-oslo': ['stock', 'product_key,stock:oslo-1\np,4\n'], cms: ['content', '{"content_key":"c","title":"How to"}\n'] };
    const names = [...live, ...Object.keys(files)];
    assert.equal(names.length, 23);
    try {
        const keys = {};
        for (const [i, key] of names.entries()) {
            await server.publish({ kind: 'source', key, title: key, owner: `${key}@shop.example`, purpose: 'to know the shop', basis, currency: 'EUR',
                ...(live.includes(key) ? i === 0 ? {} : { expected_every: '3 seconds' } : { expected_every: '25 hours' }) });
            if (live.includes(key)) keys[key] = (await server.post('/v1/keys', { kind: 'secret', source: key })).key;
        }
        const send = (key, n) => server.post('/v1/batch', { batch: [
            { type: 'track', messageId: `${key}-${n}`, userId: 'ana', event: 'Product Viewed', properties: { product_id: 'p' } },
            ...(n === 0 ? [{ type: 'track', messageId: `${key}-bad`, event: 'Product Viewed' }, { type: 'track', messageId: `${key}-0`, userId: 'ana', event: 'Product Viewed' }] : []) ] }, { key: keys[key] });
        await Promise.all(live.map((key) => send(key, 0)));
        for (const [key, [kind, body]] of Object.entries(files)) assert.equal((await job(server, kind, key, body)).state, 'done', key);
        await Promise.all(live.map((key) => send(key, 'again')));
        const health = async () => Object.fromEntries((await server.get('/v1/sources')).sources.filter((one) => names.includes(one.key)).map((one) => [one.key, one]));
        const now = await health();
        assert.equal(Object.keys(now).length, 23);
        for (const key of live) {
            const { accepted, refused, duplicates, state, last_at, lag_ms } = now[key];
            assert.deepEqual([accepted, refused, duplicates, state], [2, 1, 1, 'green'], key);
            assert.ok(Date.now() - Date.parse(last_at) < PATIENCE_MS && lag_ms < PATIENCE_MS, key);
        }
        for (const key of Object.keys(files)) {
            const bad = ['erp-orders', 'crm', 'web-history', 'pim'].includes(key);
            assert.deepEqual([now[key].accepted, now[key].refused, now[key].state, now[key].owner], [1, bad ? 1 : 0, 'green', `${key}@shop.example`], key);
        }
        assert.equal(now.web.expected_ms, 60_000, 'a minute of silence, where nothing else is said');

        // All but one go on: it turns red once it has been silent for as long as was expected of it, and nobody else does.
        for (let n = 1, red = false; !red; n++) {
            assert.ok(n < 40, 'it never turned red');
            await Promise.all(live.filter((key) => key !== 'kiosk').map((key) => send(key, n)));
            const { kiosk, ...others } = await health();
            red = kiosk.state === 'red';
            assert.equal(red, kiosk.lag_ms > 3000, `${kiosk.lag_ms} ms`);
            assert.deepEqual(Object.values(others).filter((one) => one.state !== 'green').map((one) => one.key), []);
            if (!red) await sleep(250);
        }
        await send('kiosk', 'back');
        assert.equal((await health()).kiosk.state, 'green');
    } finally {
        await server.stop();
    }
});
