// SPDX-License-Identifier: Apache-2.0
//
// erase.test.mjs - somebody is forgotten: nothing in the data folder names them or what they did, nobody else changes, and a replay of
// what is left comes to the state there is. Also when the server is killed in the middle of it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { PATIENCE_MS, eventually, long, opmaat, sleep, startServer } from './lib/server.mjs';

// Words that stand nowhere else: what is looked for, in every file as it lies there and in what the log and the tables say.
const ANA = ['ana-erase-77', 'ana.erase@example.com', '+4791234567', 'browser-of-ana', 'phone-of-ana', 'Anastasia', 'SECRET-WISH', 'order-of-ana'];

const files = (dir) => readdirSync(dir, { recursive: true }).map((name) => join(dir, name)).filter((name) => statSync(name).isFile());

async function everything(data) {
    const raw = files(data).map((name) => [name, readFileSync(name)]);
    const { stdout } = await opmaat(['export', 'all', '--data', data]);
    const log = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter((entry) => entry.kind)
        .map((entry) => [`log ${entry.ref} ${entry.kind}`, Buffer.from(entry.bytes, 'base64')]);
    const python = 'import sqlite3,sys\nc=sqlite3.connect(sys.argv[1])\nfor (t,) in c.execute("select name from sqlite_master where type=\'table\'").fetchall():\n'
        + ' for r in c.execute(f"select * from {t}"):\n  print(t, *[v.hex() if isinstance(v,bytes) else v for v in r])';
    const dump = execFileSync('python3', ['-c', python, join(data, 'opmaat.db')], { maxBuffer: 1 << 28 }).toString().split('\n').map((line) => ['table', Buffer.from(line)]);
    return [...raw, ...log, ...dump];
}

/** Where each word is found: as text, and as the hex of a blob. */
function found(places, words = ANA) {
    const where = {};
    for (const word of words)
        for (const [place, bytes] of places)
            if (bytes.includes(word) || bytes.includes(Buffer.from(word).toString('hex'))) {
                (where[word] ??= []).push(place);
                if (place === 'table' && bytes.toString().startsWith('outbox ')) (where.outbox ??= []).push(place);
            }
    return where;
}

/** The store's decisions: ref and person of each. */
const decisions = (places) => places.map(([place, bytes]) => (place === 'table' ? bytes.toString() : '')).filter((line) => line.startsWith('decision '))
    .map((line) => line.split(' ')).map(([, ref, , person]) => ({ ref, person }));

const letters = (server) => server.get('/v1/dead-letters');

/** A crowd, and Ana among them: two browsers, a merge, orders, a refusal at a shared browser, a dead letter, a decision, a connector's row. */
async function crowd(server) {
    await server.publish({ kind: 'segment', key: 'wishers', title: 'Wishers', owner: 'Kari', rule: 'did(product_added_to_wishlist, last 30 days)' });
    await server.publish({ kind: 'segment', key: 'buyers', title: 'Buyers', owner: 'Kari', rule: 'count(order_completed) >= 1' });
    await server.publish({ kind: 'placement', key: 'home', title: 'Home', owner: 'Kari' });
    // Nobody listens there: its rows wait.
    await server.publish({ kind: 'connector', key: 'crm', title: 'CRM', owner: 'Kari', type: 'webhook', url: 'http://127.0.0.1:9/hook', purpose: 'analytics',
        events: ['Order Completed', 'Product Viewed'], segments: ['wishers', 'buyers'] });
    const track = (who, event, properties = {}, more = {}) => server.post('/v1/track', { ...who, event, messageId: randomUUID(), properties, ...more });
    for (let i = 0; i < 30; i++) {
        await track({ userId: `other-${i}` }, 'Product Viewed', { product_id: `p-${i % 7}`, name: `Thing ${i % 7}`, price: 10 + i, currency: 'EUR' });
        if (i === 4) await track({ anonymousId: 'browser-of-ana' }, 'Product Viewed', { product_id: 'p-first-seen-by-ana', name: 'Seen first', price: 3, currency: 'EUR' });
        if (i === 6) await track({ anonymousId: 'browser-of-ana' }, 'Shelf Scanned By Ana First', { shelf: 'SECRET-WISH' });
        if (i === 8) await server.post('/v1/identify', { userId: 'ana-erase-77', anonymousId: 'browser-of-ana', messageId: randomUUID(),
            traits: { email: 'Ana.Erase@example.com', phone: '+4791234567', firstName: 'Anastasia' } });
        if (i === 9) await track({ userId: 'ana-erase-77' }, 'Product Added to Wishlist', { product_id: 'p-3', note: 'SECRET-WISH' });
        if (i === 11) await track({ userId: 'ana-erase-77' }, 'Order Completed', { order_id: 'order-of-ana', revenue: 49.5, currency: 'EUR',
            products: [{ product_id: 'p-2', price: 49.5, quantity: 1 }] });
        if (i === 12) await track({ userId: 'other-3', anonymousId: 'browser-of-ana' }, 'Product Viewed', { product_id: 'p-1' });     // at Ana's browser
        if (i === 13) await track({ anonymousId: 'phone-of-ana' }, 'Product Viewed', { product_id: 'p-9', name: 'Nine', price: 9, currency: 'EUR' });
        if (i === 14) await server.post('/v1/identify', { userId: 'ana-erase-77', anonymousId: 'phone-of-ana', messageId: randomUUID() });
        if (i === 16) await server.post('/v1/decide', { person: { user_id: 'ana-erase-77' }, placements: ['home'] });
        if (i === 17) await server.request('POST', '/v1/batch', { key: server.secret, body: { batch: [{ type: 'track', userId: 'ana-erase-77', messageId: randomUUID(),
            event: 7, properties: { note: 'SECRET-WISH' } }] } });
        if (i % 5 === 0) await track({ userId: `other-${i}` }, 'Order Completed', { order_id: `o-${i}`, revenue: 20 + i, currency: 'EUR',
            products: [{ product_id: 'p-first-seen-by-ana', price: 20 + i, quantity: 1 }] });
        if (i % 6 === 0) await server.post('/v1/decide', { person: { user_id: `other-${i}` }, placements: ['home'] });
    }
}

const settled = (server, id) => eventually('the erasure is done', async () => {
    const receipt = await server.get(`/v1/regulations/${id}`);
    return receipt.state === 'done' && receipt;
}, PATIENCE_MS, 50);

const others = async (server) => {
    const of = [];
    for (let i = 0; i < 30; i++) {
        const { person_id } = await server.post('/v1/people/lookup', { user_id: `other-${i}` });
        const { events } = await server.get(`/v1/people/${person_id}/history?limit=100`);
        const person = await server.get(`/v1/people/${person_id}`);
        of.push({ person_id, events, segments: person.segments, identifiers: person.identifiers, counters: person.counters });
    }
    return of;
};

test('who is erased is nowhere, nobody else changes, and a replay comes to the same', async () => {
    const server = await startServer({ config: { flush_ms: 50, log_file_bytes: 1 << 20 } });
    await crowd(server);
    await sleep(1500);                                  // decisions are written with the next commit, and flushed
    const before = await others(server), overview = await server.get('/v1/overview');
    const { total } = await letters(server);
    const buyers = (await server.get('/v1/segments/buyers')).count, wishers = (await server.get('/v1/segments/wishers')).count;
    const her = (await server.post('/v1/people/lookup', { email: 'ana.erase@example.com' })).person_id.slice(2);
    await server.stop();
    const held_before = await everything(server.data), there = found(held_before);
    const theirs = decisions(held_before).filter((one) => one.person !== her).map((one) => one.ref);
    assert.ok(theirs.length >= 1 && decisions(held_before).length > theirs.length, 'decisions of hers and of others are in the store');
    for (const word of ANA) assert.ok(there[word]?.some((place) => place.startsWith('log')), `${word} is in the log before`);
    for (const word of ['ana-erase-77', 'ana.erase@example.com', 'Anastasia']) assert.ok(there[word].includes('table'), `${word} is in the tables before`);
    assert.ok(total >= 1 && there['SECRET-WISH'].some((place) => place.endsWith('dead')), 'a dead letter names her');
    assert.ok(there.outbox, 'so do rows that wait for a connector');
    await opmaat(['verify', '--data', server.data]);
    await server.start();

    const dry = await server.post('/v1/regulations', { regulation: 'erase', email: 'ana.erase@example.com', dry_run: true });
    assert.equal(dry.dry_run, true);
    assert.equal(dry.counts.people, 1);
    assert.equal(dry.counts.orders, 1);
    assert.ok(dry.counts.identifiers >= 5 && dry.counts.events >= 7 && dry.counts.decisions >= 1, JSON.stringify(dry.counts));
    assert.ok((await server.post('/v1/people/lookup', { email: 'ana.erase@example.com' })).person_id, 'a dry run erases nobody');
    const held = await server.post('/v1/regulations', { regulation: 'export', email: 'ana.erase@example.com' });
    assert.ok(JSON.stringify(held).includes('Anastasia'));

    const asked = await server.post('/v1/regulations', { regulation: 'erase', email: 'ana.erase@example.com' }, { status: 202 });
    for (const id of [{ email: 'ana.erase@example.com' }, { user_id: 'ana-erase-77' }, { anonymous_id: 'phone-of-ana' }])
        await server.post('/v1/people/lookup', id, { status: 404 });
    assert.equal((await server.get('/v1/segments/buyers')).count, buyers - 1, 'counts go down at once');
    assert.equal((await server.get('/v1/segments/wishers')).count, wishers - 1);
    const receipt = await settled(server, asked.id);
    assert.deepEqual({ ...receipt.counts, history: 0, others: 0 }, { ...dry.counts, history: 0, others: 0 }, 'the dry run told it');
    assert.ok(!JSON.stringify(receipt).includes('ana'), 'a receipt names nobody');
    assert.ok((await server.get('/v1/regulations')).regulations.some((one) => one.id === asked.id));

    assert.deepEqual(await others(server), before, 'nobody else changed');
    const now = await server.get('/v1/overview');
    assert.deepEqual(now.revenue ?? null, overview.revenue ?? null, 'what the shop took in stays');
    const decided = await server.post('/v1/decide', { person: { user_id: 'ana-erase-77' }, placements: ['home'] });
    assert.ok(decided.decisions ?? decided.placements ?? decided);
    // What comes under these identifiers is refused until it brings a consent.
    await server.post('/v1/track', { userId: 'ana-erase-77', event: 'Product Viewed', messageId: randomUUID(), properties: { product_id: 'p-1' } });
    await server.post('/v1/people/lookup', { user_id: 'ana-erase-77' }, { status: 404 });
    await sleep(1300);
    await server.stop();
    const after = await everything(server.data), kept = new Set(decisions(after).map((one) => one.ref));
    assert.deepEqual(found(after), {});
    assert.ok(!decisions(after).some((one) => one.person === her) && theirs.every((ref) => kept.has(ref)), 'her decisions alone are gone');
    await opmaat(['verify', '--data', server.data]);

    await server.start();
    assert.deepEqual(await others(server), before);
    await server.post('/v1/track', { userId: 'ana-erase-77', event: 'Product Viewed', messageId: randomUUID(), properties: { product_id: 'p-1' },
        context: { consent: { categoryPreferences: { analytics: true, personalisation: true } } } });
    const back = await server.post('/v1/people/lookup', { user_id: 'ana-erase-77' });
    const { events } = await server.get(`/v1/people/${back.person_id}/history`);
    assert.equal(events.filter((one) => one.type === 'product_viewed').length, 1, 'who returns and consents anew begins anew');
    await server.stop();
    await opmaat(['verify', '--data', server.data]);
    // And a second time, over a log that has stubs already, by the command.
    const { stdout } = await opmaat(['person', 'erase', 'user_id:ana-erase-77', '--data', server.data]);
    assert.match(stdout, /^receipt\s+e_\d+/);
    assert.deepEqual(found(await everything(server.data)), {});
    await opmaat(['verify', '--data', server.data]);
    await server.start();
    assert.deepEqual(await others(server), before);
    await server.stop({ remove: true });
});

test('an export tells all that is held, however long ago, and nothing of anybody else; the command tells the same', async () => {
    // So short a hot history that most of what she did is long out of it.
    const server = await startServer({ config: { flush_ms: 50, history_events: 16, log_file_bytes: 1 << 20 } });
    await crowd(server);
    for (let i = 0; i < 60; i++)
        await server.post('/v1/track', { userId: 'ana-erase-77', event: 'Product Viewed', messageId: `view-${i}`, properties: { product_id: `p-${i % 7}`, step: i } });
    // With a write key anybody may say that they are Ana: that is not hers to be told.
    await server.post('/v1/track', { userId: 'ana-erase-77', anonymousId: 'browser-of-a-liar', event: 'Claimed To Be Ana', messageId: randomUUID() }, { key: server.write });
    await sleep(1300);
    const ana = await server.post('/v1/people/lookup', { user_id: 'ana-erase-77' });
    assert.ok((await server.get(`/v1/people/${ana.person_id}/history?limit=1000`)).older > 20, 'most of it is no longer at hand');

    const held = await server.post('/v1/regulations', { regulation: 'export', user_id: 'ana-erase-77' });
    assert.equal(held.person.person_id, ana.person_id);
    const name = held.person.traits.find((trait) => /first.?name/i.test(trait.name));
    assert.ok(name.value === 'Anastasia' && name.source && name.at, 'traits with their source');
    assert.deepEqual(new Set(held.person.identifiers.map((one) => one.value)), new Set(['ana-erase-77', 'ana.erase@example.com', '+4791234567', 'browser-of-ana', 'phone-of-ana']));
    assert.ok(held.person.segments.some((one) => one.key === 'wishers') && held.person.segments.some((one) => one.key === 'buyers'));
    assert.deepEqual(held.history.filter((one) => one.event_key?.startsWith('view-')).map((one) => one.event_key), Array.from({ length: 60 }, (_, i) => `view-${i}`));
    for (const word of ['Shelf Scanned By Ana First', 'SECRET-WISH', 'p-first-seen-by-ana', 'order-of-ana'])
        assert.ok(JSON.stringify(held.history).includes(word), `${word} is told`);
    assert.deepEqual(held.orders.map((one) => [one.order_key, one.lines.length]), [['order-of-ana', 1]]);
    assert.ok(held.decisions.length >= 1 && held.decisions.every((one) => one.placement === 'home' && one.at));
    const text = JSON.stringify(held);
    assert.ok(!/other-\d/.test(text) && !text.includes('browser-of-a-liar') && !text.includes('Claimed To Be Ana'), 'nobody else is in it');
    const dry = await server.post('/v1/regulations', { regulation: 'erase', user_id: 'ana-erase-77', dry_run: true });
    assert.ok(dry.counts.events >= held.history.length && held.decisions.length === dry.counts.decisions && held.orders.length === dry.counts.orders);
    assert.deepEqual((await server.post('/v1/regulations', { regulation: 'export', person_id: ana.person_id })).history, held.history);
    await server.post('/v1/regulations', { regulation: 'export', user_id: 'nobody-at-all' }, { status: 404 });
    await server.stop();
    const { stdout } = await opmaat(['person', 'export', 'user_id:ana-erase-77', '--data', server.data]);
    const offline = JSON.parse(stdout);
    for (const part of ['history', 'orders', 'decisions']) assert.deepEqual(offline[part], held[part]);
    for (const part of ['identifiers', 'traits', 'consent']) assert.deepEqual(offline.person[part], held.person[part]);
    assert.notEqual((await opmaat(['person', 'export', 'user_id:nobody-at-all', '--data', server.data], { ok: false })).code, 0);
    await server.start();
    await server.stop({ remove: true });
});

test('what a connector could not deliver of them is gone, with what its receiver said to it, and nobody else\'s', async (t) => {
    const receiver = createServer((req, res) => {
        let body = '';
        req.on('data', (some) => { body += some; }).on('end', () => {
            const [, name] = /"user_id":"([^"]+)"|$/.exec(body);
            res.writeHead(422).end(`no contact by the name of ${name ?? 'that'}: ${/ana-erase-77/.test(body) ? 'ana.erase@example.com' : ''}`);
        });
    });
    t.after(() => { receiver.closeAllConnections(); receiver.close(); });
    await new Promise((done) => receiver.listen(0, '127.0.0.1', done));
    const server = await startServer({ config: { flush_ms: 50 } });
    await server.publish({ kind: 'connector', key: 'crm', title: 'CRM', owner: 'Kari', type: 'webhook', url: `http://127.0.0.1:${receiver.address().port}/hook`,
        purpose: 'analytics', basis: 'contract', events: ['Product Viewed'] });
    await server.post('/v1/identify', { userId: 'ana-erase-77', messageId: randomUUID(), traits: { email: 'ana.erase@example.com' } });
    for (const userId of ['ana-erase-77', 'other-1', 'ana-erase-77', 'other-2'])
        await server.post('/v1/track', { userId, event: 'Product Viewed', messageId: randomUUID(), properties: { product_id: 'p-1' } });
    const dead = async () => (await server.get('/v1/connectors/crm/dead-letters')).dead_letters;
    await eventually('all four are given up', async () => (await dead()).length === 4, PATIENCE_MS, 50);
    await server.stop();
    assert.ok(found(await everything(server.data), ['ana-erase-77'])['ana-erase-77'].some((place) => place.includes('deliver.db')), 'they are in there');
    await server.start();
    const { id } = await server.post('/v1/regulations', { regulation: 'erase', user_id: 'ana-erase-77' }, { status: 202 });
    await settled(server, id);
    assert.equal((await dead()).length, 2);
    await eventually('they are counted no more', async () => (await server.get('/v1/connectors')).connectors[0].dead === 2, PATIENCE_MS, 50);
    const lying = files(server.data).filter((name) => name.includes('deliver.db')).map((name) => [name, readFileSync(name)]);
    assert.deepEqual(found(lying, ['ana-erase-77', 'ana.erase@example.com']), {}, 'not in its write-ahead log either, while it runs');
    await server.stop();
    assert.deepEqual(found(await everything(server.data), ['ana-erase-77', 'ana.erase@example.com']), {});
    await server.stop({ remove: true });
});

test('who is suppressed keeps what is held, and nothing more comes in until they consent', async () => {
    const server = await startServer({ config: { flush_ms: 50 } });
    await crowd(server);
    await sleep(1300);
    const before = await others(server);
    const { person_id: ana } = await server.post('/v1/people/lookup', { user_id: 'ana-erase-77' });
    const events = async () => (await server.get(`/v1/people/${ana}/history?limit=1000`)).events;
    const did = await events();
    const view = (who, more = {}) => server.post('/v1/track', { ...who, event: 'Product Viewed', messageId: randomUUID(), properties: { product_id: 'p-1' }, ...more });
    const dry = await server.post('/v1/regulations', { regulation: 'suppress', email: 'ana.erase@example.com', dry_run: true });
    assert.ok(dry.dry_run && dry.counts.people === 1 && dry.counts.identifiers === 5, JSON.stringify(dry));
    await view({ userId: 'ana-erase-77' });
    assert.equal((await events()).length, did.length + 1, 'a dry run suppresses nobody');

    const receipt = await server.post('/v1/regulations', { regulation: 'suppress', email: 'ana.erase@example.com' });
    assert.equal(receipt.state, 'done');
    const kept = await server.get(`/v1/regulations/${receipt.id}`);
    assert.ok(kept.regulation === 'suppress' && kept.state === 'done' && kept.counts.people === 1 && kept.by, JSON.stringify(kept));
    assert.ok(!JSON.stringify(kept).includes('ana'), 'it names nobody');
    assert.ok((await server.get('/v1/regulations')).regulations.some((one) => one.id === receipt.id));

    // A stranger, too: nobody has that identifier yet.
    await server.post('/v1/regulations', { regulation: 'suppress', user_id: 'never-seen-1' });
    const refused = async () => {
        for (const who of [{ userId: 'ana-erase-77' }, { anonymousId: 'browser-of-ana' }, { anonymousId: 'phone-of-ana' }, { userId: 'never-seen-1' }])
            assert.equal((await view(who)).no_consent, 1, JSON.stringify(who));
        const claimed = await server.post('/v1/track', { userId: 'ana-erase-77', event: 'Product Viewed', messageId: randomUUID() }, { key: server.write });
        assert.equal(claimed.no_consent, 1, 'also from who merely claims the name');
        await server.post('/v1/people/lookup', { user_id: 'never-seen-1' }, { status: 404 });
        assert.equal((await events()).length, did.length + 1, 'nothing came, and nothing went');
        assert.deepEqual(await others(server), before, 'nobody else changed');
    };
    await refused();
    await sleep(300);
    await server.stop();
    await opmaat(['verify', '--data', server.data]);
    await server.start();
    await refused();
    const consent = { context: { consent: { categoryPreferences: { analytics: true, personalisation: true } } } };
    await view({ userId: 'ana-erase-77' }, consent);
    await view({ userId: 'never-seen-1' }, consent);
    assert.equal((await events()).length, did.length + 2, 'a consent brings it back');
    await view({ anonymousId: 'browser-of-ana' });
    assert.equal((await events()).length, did.length + 3, 'under each of their names');
    assert.ok((await server.post('/v1/people/lookup', { user_id: 'never-seen-1' })).person_id);
    await server.post('/v1/regulations', { regulation: 'suppress' }, { status: 400 });
    await server.stop();
    await opmaat(['verify', '--data', server.data]);
    await server.stop({ remove: true });
});

test('killed in the middle of it, the next start does the rest', async () => {
    for (let round = 0; round < (long ? 6 : 3); round++) {
        const server = await startServer({ config: { flush_ms: 50, log_file_bytes: 1 << 20 } });
        await crowd(server);
        await sleep(1200);
        const before = await others(server);
        await server.post('/v1/regulations', { regulation: 'erase', user_id: 'ana-erase-77' }, { status: 202 });
        await sleep([0, 30, 100, 5, 60, 200][round]);
        await server.kill9();
        if (round % 2) await opmaat(['verify', '--data', server.data]);
        await server.start();
        await eventually('all erasures are done', async () => (await server.get('/v1/regulations')).regulations.every((one) => one.state === 'done'), PATIENCE_MS, 50);
        assert.deepEqual(await others(server), before);
        await server.post('/v1/people/lookup', { user_id: 'ana-erase-77' }, { status: 404 });
        await server.stop();
        assert.deepEqual(found(await everything(server.data)), {});
        await opmaat(['verify', '--data', server.data]);
        await server.stop({ remove: true });
    }
});
