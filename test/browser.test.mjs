// SPDX-License-Identifier: Apache-2.0
//
// browser.test.mjs - Segment's and RudderStack's browser clients, unmodified and bundled as a shop would, in a real
// Chromium on a page of another origin: preflights, settings, retries told by Retry-After, beacons.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { eventually, root, startServer } from './lib/server.mjs';

const require = createRequire(import.meta.url);
const { chromium } = require('playwright-core');
const esbuild = require('esbuild');

let server, browser, shop, origin;
const bundles = {};

/** The client's own module as a script that leaves its exports in window.sdk. */
async function bundle(name) {
    const made = await esbuild.build({
        stdin: { contents: `import * as sdk from ${JSON.stringify(name)}; window.sdk = sdk;`, resolveDir: join(root, 'test') },
        bundle: true, write: false, format: 'iife', platform: 'browser', define: { 'process.env.NODE_ENV': '"production"' }, logLevel: 'silent',
    });
    return made.outputFiles[0].text;
}

before(async () => {
    shop = createServer((req, res) => {
        const script = bundles[req.url.slice(1)];
        res.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' });
        res.end(script ?? `<!doctype html><title>Shop</title><script src="/${new URL(req.url, 'http://x').searchParams.get('sdk')}"></script>`);
    });
    await new Promise((done) => shop.listen(0, '127.0.0.1', done));
    origin = `http://localhost:${shop.address().port}`;                    // another origin than the server's 127.0.0.1
    [bundles['segment.js'], bundles['rudder.js']] = await Promise.all([bundle('@segment/analytics-next'), bundle('@rudderstack/analytics-js/bundled')]);
    [server, browser] = await Promise.all([
        startServer({ config: { flush_ms: 100 } }),
        chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking',
            '--disable-component-update', '--disable-sync', '--no-first-run'] }),
    ]);
});
after(async () => {
    await browser?.close();
    shop?.closeAllConnections();
    shop?.close();
    await server?.stop({ remove: true });
});

const lookup = async (id) => (await server.post('/v1/people/lookup', id)).person_id;
const events = async (id) => (await server.get(`/v1/people/${await lookup(id)}/history?limit=200`)).events;
const person = async (id) => server.get(`/v1/people/${await lookup(id)}`);

async function open(sdk) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const seen = [];
    page.on('request', (request) => { if (request.url().startsWith(server.url)) seen.push(`${request.method()} ${new URL(request.url()).pathname}`); });
    await page.goto(`${origin}/?sdk=${sdk}&utm_source=letter`);
    return { context, page, seen };
}

const order = { order_id: 'b-1', revenue: 49.95, currency: 'EUR', products: [{ product_id: 'jeans-1', price: 49.95, quantity: 1 }] };

async function assertDay(anonymous, tag) {
    await eventually('the whole day arrived', async () => (await events({ anonymous_id: anonymous })).length >= 4);
    const history = await events({ anonymous_id: anonymous });
    const types = history.map((one) => one.type);
    for (const type of ['page_viewed', 'product_viewed', 'order_completed', 'product_purchased'])
        assert.ok(types.includes(type), `${type} among ${types}`);
    const one = await person({ anonymous_id: anonymous });
    const traits = Object.fromEntries(one.traits.map((trait) => [trait.name, trait.value]));
    assert.equal(traits.latest_source, 'letter', 'the campaign of the page');
    await server.post('/v1/people/lookup', { user_id: `${tag}-ana` }, { status: 404 });    // a public key's claim names nobody
}

test('analytics-next: settings, preflights and all its calls from another origin', async () => {
    const { context, page, seen } = await open('segment.js');
    const anonymous = await page.evaluate(async ({ key, url, order: bought }) => {
        const host = new URL(url).host;
        const analytics = window.sdk.AnalyticsBrowser.load({ writeKey: key, cdnURL: url },
            { integrations: { 'Segment.io': { apiHost: `${host}/v1`, protocol: 'http' } } });
        await analytics.page('Home');
        await analytics.track('Product Viewed', { product_id: 'jeans-1', price: 49.95, currency: 'EUR' });
        await analytics.identify('seg-ana', { email: 'seg-ana@example.com' });
        await analytics.track('Order Completed', bought);
        await analytics.group('club', { name: 'Club' });
        await analytics.screen('Start');
        await analytics.alias('seg-ana-new');
        return (await analytics.user()).anonymousId();
    }, { key: server.write, url: server.url, order });
    await assertDay(anonymous, 'seg');
    assert.ok(seen.some((one) => /projects\/.*\/settings/.test(one)), `${seen}`);
    for (const path of ['/v1/p', '/v1/t', '/v1/i', '/v1/g', '/v1/s', '/v1/a']) assert.ok(seen.includes(`POST ${path}`), `${path} of ${seen}`);
    await context.close();
});

test('analytics-next: batching, and an apiHost without /v1', async () => {
    const { context, page, seen } = await open('segment.js');
    const anonymous = await page.evaluate(async ({ key, url }) => {
        const analytics = window.sdk.AnalyticsBrowser.load({ writeKey: key, cdnURL: `${url}/segment` }, { integrations: { 'Segment.io': {
            apiHost: `${new URL(url).host}/segment`, protocol: 'http', deliveryStrategy: { strategy: 'batching', config: { size: 3, timeout: 500 } } } } });
        for (let i = 0; i < 4; i++) await analytics.track('Product Viewed', { product_id: `jeans-${i}` });
        return (await analytics.user()).anonymousId();
    }, { key: server.write, url: server.url });
    await eventually('four arrived', async () => (await events({ anonymous_id: anonymous })).length === 4);
    assert.ok(seen.includes('POST /segment/b'), `${seen}`);
    await context.close();
});

test('rudder analytics-js: source configuration, its headers through the preflight, and all its calls', async () => {
    const { context, page, seen } = await open('rudder.js');
    const anonymous = await page.evaluate(({ key, url, order: bought }) => new Promise((done) => {
        const analytics = new window.sdk.RudderAnalytics();
        analytics.load(key, url, { configUrl: url, onLoaded: () => {
            analytics.page('Home');
            analytics.track('Product Viewed', { product_id: 'jeans-1', price: 49.95, currency: 'EUR' });
            analytics.identify('rud-ana', { email: 'rud-ana@example.com' });
            analytics.track('Order Completed', bought);
            analytics.group('club', { name: 'Club' });
            analytics.alias('rud-ana-new');
            done(analytics.getAnonymousId());
        } });
    }), { key: server.write, url: server.url, order });
    await assertDay(anonymous, 'rud');
    await eventually('its last call', () => seen.includes('POST /v1/alias'));
    assert.ok(seen.some((one) => one.startsWith('GET /sourceConfig')), `${seen}`);
    assert.ok(!seen.some((one) => one.includes('rsa-plugins')), 'nothing is fetched from elsewhere');
    await context.close();
});

test('rudder analytics-js: beacons as the page goes away', async () => {
    const { context, page } = await open('rudder.js');
    const anonymous = await page.evaluate(({ key, url }) => new Promise((done) => {
        const analytics = new window.sdk.RudderAnalytics();
        analytics.load(key, url, { configUrl: url, useBeacon: true, beaconQueueOptions: { maxItems: 2, flushQueueInterval: 500 }, onLoaded: () => {
            for (let i = 0; i < 3; i++) analytics.track('Product Viewed', { product_id: `jeans-${i}` });
            done(analytics.getAnonymousId());
        } });
    }), { key: server.write, url: server.url });
    await page.goto('about:blank');
    await eventually('three arrived', async () => (await events({ anonymous_id: anonymous })).length === 3);
    await context.close();
});

test('Retry-After can be read by a script of another origin, and analytics-next waits as long', async () => {
    const full = await startServer({ config: { flush_ms: 100, disk_free_bytes: 2 ** 40 } });
    const { context, page } = await open('segment.js');
    const seconds = await page.evaluate(async ({ key, url }) => {
        const answer = await fetch(`${url}/v1/t`, { method: 'POST', headers: { authorization: `Basic ${btoa(`${key}:`)}`, 'x-retry-count': '1' },
            body: JSON.stringify({ event: 'x', anonymousId: 'y' }) });
        return [answer.status, Number(answer.headers.get('retry-after'))];
    }, { key: full.write, url: full.url });
    assert.equal(seconds[0], 429);
    assert.ok(seconds[1] >= 1, `${seconds}`);
    const times = [];
    page.on('request', (request) => { if (request.method() === 'POST' && request.url() === `${full.url}/v1/t`) times.push(Date.now()); });
    await page.evaluate(async ({ key, url }) => {
        const analytics = window.sdk.AnalyticsBrowser.load({ writeKey: key, cdnURL: url },
            { integrations: { 'Segment.io': { apiHost: `${new URL(url).host}/v1`, protocol: 'http' } } });
        void analytics.track('Product Viewed', { product_id: 'jeans-1' });
    }, { key: full.write, url: full.url });
    await eventually('it tries again', () => times.length >= 2);
    assert.ok(times[1] - times[0] >= 900, `it waited ${times[1] - times[0]} ms`);
    await context.close();
    await full.stop({ remove: true });
});
