// SPDX-License-Identifier: Apache-2.0
//
// admin.test.mjs - what the console asks and orders, against a real server: people, segments, definitions,
// results, sources, dead letters, keys, accounts, imports and exports.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { eventually, opmaat, newFolder, startServer } from './lib/server.mjs';

let server;
const DAY = 86_400_000;
const ago = (ms) => new Date(Date.now() - ms).toISOString();
const jeans = {
    kind: 'segment', key: 'jeans', title: 'Interested in jeans', owner: 'kari@shop.test',
    rule: 'count(product_viewed where category under "Jeans", last 30 days) >= 2',
};
const hero = {
    kind: 'placement', key: 'home_hero', title: 'Home', channel: 'web', schema: { headline: 'text' },
    default: { headline: 'Welcome' },
};
const spring = {
    kind: 'campaign', key: 'spring', title: 'Spring', goal: 'find spring clothes', placement: 'home_hero',
    experiences: [{
        key: 'all', choose: 'experiment',
        variations: [
            { key: 'a', share: '50%', control: true, content: { headline: 'A' } },
            { key: 'b', share: '50%', content: { headline: 'B' } },
        ],
    }],
};
const viewed = (userId, product, ms = 1000, extra = {}) => ({
    type: 'track', messageId: `v-${userId}-${product}-${ms}`, userId, event: 'Product Viewed',
    timestamp: ago(ms), properties: { product_id: product, ...extra },
});

/** The person a user id leads to. */
const find = async (user_id) => (await server.post('/v1/people/lookup', { user_id })).person_id;

/** A log-in as a browser has it: cookie and CSRF token. */
async function login(email, password, status = 200) {
    const answer = await server.request('POST', '/v1/login', { body: { email, password } });
    const body = await answer.json();
    assert.equal(answer.status, status, JSON.stringify(body));
    const cookie = answer.headers.get('set-cookie')?.split(';')[0];
    return { cookie, set: answer.headers.get('set-cookie'), ...body };
}

const as = (who, method, path, body, headers = {}) => server.request(method, path, {
    body, headers: { cookie: who.cookie, ...(method === 'GET' ? {} : { 'x-csrf': who.csrf }), ...headers },
});

before(async () => {
    server = await startServer({ config: { flush_ms: 100 } });
    const products = ['p-1', 'p-2', 'p-3'].map((product_key, i) => JSON.stringify({
        product_key, title: ['Slim jeans', 'Wide jeans', 'Kettle'][i], category: i < 2 ? 'Women > Jeans' : 'Kitchen',
        brand: i < 2 ? 'Acme' : 'Hearth', price: { minor: 4900 + i, currency: 'EUR' }, stock: { web: 5 },
    })).join('\n');
    const { job } = await server.post('/v1/import/products', products, { status: 202 });
    await eventually('the catalogue is loaded', async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
    await server.put('/v1/definitions/settings/shop', { holdout: '0%', currency: 'EUR' });
    await server.post('/v1/definitions/settings/shop/publish');
});
after(() => server?.stop({ remove: true }));

test('an import says what it took and what it refused, line by line', async () => {
    const rows = `${JSON.stringify({ product_key: 'p-4', title: 'Scarf' })}\n${JSON.stringify({ title: 'no key' })}\n`;
    const { job } = await server.post('/v1/import/products?source=files', rows, { status: 202 });
    const done = await eventually('it is done', async () => {
        const at = await server.get(`/v1/jobs/${job}`);
        return at.state === 'done' && at;
    });
    assert.deepEqual([done.accepted, done.refused, done.items, done.progress], [1, 1, 1, 1]);
    assert.equal(done.refusals[0].line, 2);
    assert.match(done.refusals[0].reason, /product_key/);
    assert.equal((await server.get('/v1/jobs')).jobs[0].job, job);
    await server.get('/v1/jobs/j_9999', { status: 404 });
    await server.post('/v1/import/nonsense', 'x', { status: 404 });
    await server.post('/v1/import/products?mode=sideways', 'x', { status: 400 });
    assert.equal((await server.get('/v1/catalog/items?q=SCAR')).items[0].product_key, 'p-4');
    assert.equal((await server.get('/v1/catalog/items/p-1')).title, 'Slim jeans');
    await server.get('/v1/catalog/items/p-99', { status: 404 });
    assert.equal((await server.get('/v1/catalog/items?limit=2')).items.length, 2);
});

test('what is collected stands in the overview, and once a second in the stream', async () => {
    const was = await server.get('/v1/overview');
    await server.post('/v1/batch', { batch: [viewed('ana', 'p-1'), viewed('ana', 'p-2', 2000), viewed('ana', 'p-1')] });
    const now = await server.get('/v1/overview');
    assert.equal(now.events.total, was.events.total + 2);
    assert.equal(now.refused.duplicates, was.refused.duplicates + 1);
    assert.equal(now.events.per_second.length, 60);
    assert.equal(now.events.per_second.reduce((a, b) => a + b), now.events.last_minute);
    assert.equal(now.people.known, was.people.known + 1);
    assert.equal(now.latest[0].title, 'Wide jeans');
    assert.equal(now.latest[0].person_id, await find('ana'));
    const abort = new AbortController();
    const stream = await server.request('GET', '/v1/stream', { key: server.secret, signal: abort.signal });
    assert.equal(stream.headers.get('content-type'), 'text/event-stream');
    let text = '';
    for await (const bytes of stream.body) {
        text += Buffer.from(bytes).toString();
        if (text.split('\n\n').length > 2) break;
    }
    abort.abort();
    const lines = text.split('\n\n').filter(Boolean);
    const seen = JSON.parse(lines[0].replace(/^data: /, ''));
    assert.equal(seen.events.total, now.events.total);
    assert.ok(Date.parse(JSON.parse(lines[1].slice(6)).now) - Date.parse(seen.now) >= 900);
});

test('a person shows who they are, what they did and where each fact comes from', async () => {
    await server.post('/v1/identify', {
        userId: 'bo', anonymousId: 'anon-bo', messageId: 'bo-1', timestamp: ago(5 * DAY),
        traits: { email: 'Bo@Example.com', firstName: 'Bo', lastName: 'Åsen', age: 41 },
        context: { consent: { categoryPreferences: { analytics: true, marketing_email: false } } },
    });
    await server.post('/v1/track', {
        userId: 'bo', event: 'Order Completed', messageId: 'bo-2', timestamp: ago(2 * DAY),
        properties: { order_id: 'o-77', revenue: 98, currency: 'EUR', products: [{ product_id: 'p-1', price: 49, quantity: 2 }] },
    });
    const id = await find('bo');
    assert.equal((await server.post('/v1/people/lookup', { email: 'bo@example.COM' })).person_id, id);
    assert.equal((await server.post('/v1/people/lookup', { person_id: id })).person_id, id);
    await server.post('/v1/people/lookup', { user_id: 'nobody-at-all' }, { status: 404 });
    await server.post('/v1/people/lookup', { shoe: 1 }, { status: 400 });
    const bo = await server.get(`/v1/people/${id}`);
    assert.equal(bo.display, 'Bo Å.');
    assert.deepEqual(bo.identifiers.map((i) => `${i.kind} ${i.value} ${i.trust} ${i.source}`).sort(),
        ['anonymous_id anon-bo verified shop', 'email bo@example.com verified shop', 'user_id bo verified shop']);
    assert.equal(bo.traits.find((t) => t.name === 'age').value, 41);
    assert.equal(bo.traits.find((t) => t.name === 'age').source, 'shop');
    assert.equal(bo.consent.find((c) => c.purpose === 'marketing_email').state, 'denied');
    assert.deepEqual([bo.counters.orders, bo.counters.revenue], [1, [{ minor: 9800, currency: 'EUR' }]]);
    assert.ok(bo.affinities.some((a) => a.dimension === 'brand' && a.value === 'Acme' && a.score === 1));
    const history = await server.get(`/v1/people/${id}/history?limit=1`);
    assert.equal(history.events.length, 1);
    const rest = await server.get(`/v1/people/${id}/history?limit=50&before=${history.next}`);
    const all = [...history.events, ...rest.events];
    const order = all.find((e) => e.type === 'order_completed');
    assert.deepEqual([order.order, order.source, order.value.minor], ['o-77', 'shop', 9800]);
    assert.equal(all.find((e) => e.type === 'product_purchased').title, 'Slim jeans');
    assert.equal(rest.next, null);
    assert.equal(new Set(all.map((e) => JSON.stringify(e))).size, all.length, 'no entry is shown twice');
    await server.get('/v1/people/p_999999', { status: 404 });
    await server.get('/v1/people/nonsense', { status: 404 });
});

test('people are listed latest first, page after page, each once', async () => {
    await server.post('/v1/batch', { batch: Array.from({ length: 23 }, (_, i) => viewed(`crowd-${i}`, 'p-3', 10_000 + i)) });
    const seen = [];
    for (let next = '', pages = 0; next !== null; pages++) {
        const page = await server.get(`/v1/people?limit=10${next && `&after=${encodeURIComponent(next)}`}`);
        seen.push(...page.people);
        next = page.next;
        assert.ok(pages < 20);
    }
    assert.equal(new Set(seen.map((p) => p.person_id)).size, seen.length);
    const { people } = await server.get('/v1/overview');
    assert.equal(seen.length, people.known + people.anonymous);
    assert.deepEqual(seen.map((p) => p.last_at), seen.map((p) => p.last_at).sort().reverse());
    await server.post('/v1/track', { anonymousId: 'passer-by', event: 'Product Viewed', messageId: 'pb', properties: { product_id: 'p-3' } });
    assert.match((await server.get('/v1/people?limit=1')).people[0].display, /^anonymous [0-9a-f]{4}$/);
});

test('a segment stands as soon as it is published, and a membership is explained by its events', async () => {
    const preview = await server.post('/v1/segments/preview', { rule: jeans.rule });
    await server.publish(jeans);
    const [row] = (await server.get('/v1/segments')).segments.filter((s) => s.key === 'jeans');
    assert.equal(row.count, preview.count);
    assert.ok(preview.count >= 1 && preview.sample.length >= 1);
    const ana = await find('ana');
    const why = await server.get(`/v1/people/${ana}/explain?segment=jeans`);
    assert.equal(why.member, true);
    const leaf = (function dig(t) { return t.events.length ? t : t.children.map(dig).find(Boolean); }(why.tree));
    assert.equal(leaf.value, '2');
    assert.deepEqual(leaf.events.map((e) => e.item).sort(), ['p-1', 'p-2']);
    assert.equal((await server.get(`/v1/people/${ana}`)).segments[0].key, 'jeans');
    // The next view makes somebody else a member, at once.
    const cy = 'cy';
    await server.post('/v1/batch', { batch: [viewed(cy, 'p-1')] });
    assert.equal((await server.get(`/v1/people/${await find(cy)}/explain?segment=jeans`)).member, false);
    await server.post('/v1/batch', { batch: [viewed(cy, 'p-2')] });
    assert.equal((await server.get('/v1/segments/jeans')).count, row.count + 1);
    assert.deepEqual((await server.get(`/v1/people/${await find(cy)}/segments`)).segments.map((s) => s.key), ['jeans']);
    assert.deepEqual((await server.get(`/v1/people/${await find(cy)}/segments?at=${ago(DAY)}`)).segments, []);
    const members = await server.request('GET', '/v1/segments/jeans/members', { key: server.secret });
    assert.equal(members.headers.get('content-type'), 'application/x-ndjson');
    const lines = (await members.text()).trim().split('\n').map((l) => JSON.parse(l));
    assert.equal(lines.length, row.count + 1);
    assert.ok(lines.some((l) => l.person_id === ana));
    await server.get('/v1/segments/nothing/members', { status: 404 });
});

test('R27: a membership begins with the event and ends with its window, with no event', async () => {
    await server.publish({ kind: 'segment', key: 'just_now', title: 'Just now', rule: 'count(product_viewed, last 1 minute) >= 1' });
    await server.post('/v1/batch', { batch: [{ type: 'page', userId: 'dee', messageId: 'dee-0', timestamp: ago(58_000) }] });
    const dee = await find('dee');
    assert.ok(!(await server.get(`/v1/people/${dee}`)).segments.some((s) => s.key === 'just_now'));
    await server.post('/v1/batch', { batch: [viewed('dee', 'p-3', 57_500)] });
    assert.ok((await server.get(`/v1/people/${dee}`)).segments.some((s) => s.key === 'just_now'));
    const total = (await server.get('/v1/overview')).events.total;
    await eventually('the window ends', async () => !(await server.get(`/v1/people/${dee}`)).segments.some((s) => s.key === 'just_now'));
    assert.equal((await server.get('/v1/overview')).events.total, total);
});

test('overlaps are exact', async () => {
    await server.publish({ kind: 'segment', key: 'acme', title: 'Acme', rule: 'count(product_viewed where brand = "Acme", last 30 days) >= 1' });
    const both = await server.get('/v1/segments/overlap?keys=jeans,acme');
    const [one, two] = both.segments.map((s) => s.count);
    assert.ok(both.all >= 2 && both.all <= Math.min(one, two));
    assert.deepEqual(both.pairs, [{ keys: ['jeans', 'acme'], count: both.all }]);
    assert.equal(both.all, one, 'jeans here are all of that brand');
    await server.get('/v1/segments/overlap?keys=jeans,nothing', { status: 404 });
});

test('a rule that is wrong is told where, and what was meant', async () => {
    const good = await server.post('/v1/rules/check', { rule: jeans.rule, in: 'segment' });
    assert.equal(good.ok, true);
    assert.ok(good.text.includes('product_viewed'));
    const bad = await server.post('/v1/rules/check', { rule: 'count(product_viewd, last 30 days) >= 3', in: 'segment' });
    assert.equal(bad.ok, false);
    assert.deepEqual([bad.errors[0].column, bad.errors[0].length], [7, 13]);
    assert.match(bad.errors[0].hint, /product_viewed/);
    await server.post('/v1/segments/preview', { rule: 'count(' }, { status: 422 });
});

test('what does not compile is refused with path and column, and what stood goes on standing', async () => {
    await server.publish(hero);
    await server.publish(spring);
    const wrong = structuredClone(spring);
    wrong.experiences[0].target = 'in segment "jeanz"';
    const drafted = await server.put('/v1/definitions/campaign/spring', wrong);
    assert.deepEqual([drafted.revision, drafted.published_revision, drafted.draft.experiences[0].target],
        [2, 1, 'in segment "jeanz"']);
    const refused = await server.post('/v1/definitions/campaign/spring/publish', {}, { status: 422 });
    assert.equal(refused.errors[0].path, 'experiences[0].target');
    assert.ok(refused.errors[0].column >= 1);
    assert.match(refused.errors[0].message, /jeanz/);
    assert.equal((await server.get('/v1/definitions/campaign/spring')).published_revision, 1);
    assert.ok(await decided('eve', 'campaign'));
    await server.put('/v1/definitions/campaign/spring', spring, { headers: { 'if-match': '1' }, status: 409 });
    await server.put('/v1/definitions/campaign/spring', spring, { headers: { 'if-match': '2' } });
    await server.put('/v1/definitions/campaign/spring', { ...spring, key: 'autumn' }, { status: 400 });
});

const decided = async (user_id, field) =>
    (await server.post('/v1/decide', { person: { user_id }, placements: ['home_hero'] })).decisions.home_hero[field];

test('pausing, resuming, rolling back and archiving act on the next request', async () => {
    const second = structuredClone(spring);
    for (const v of second.experiences[0].variations) v.content.headline = 'second';
    await server.publish(second);
    assert.equal((await decided('eve', 'content')).headline, 'second');
    const { revisions } = await server.get('/v1/definitions/campaign/spring/revisions');
    assert.equal(revisions[0].state, 'published');
    assert.match(revisions[0].by, /^key om_secret_/);
    const diff = await server.get(`/v1/definitions/campaign/spring/diff?from=1&to=${revisions[0].revision}`);
    assert.deepEqual(diff.lines.filter((l) => l.op !== ' ').map((l) => l.op + l.text.trim()),
        ['-"headline": "A"', '+"headline": "second"', '-"headline": "B"', '+"headline": "second"']);
    await server.post('/v1/definitions/campaign/spring/pause');
    assert.equal(await decided('eve', 'campaign'), undefined);
    assert.equal(await decided('eve', 'reason'), 'paused');
    await server.post('/v1/definitions/campaign/spring/resume');
    assert.equal(await decided('eve', 'campaign'), 'spring');
    await server.post('/v1/definitions/campaign/spring/rollback', { revision: 1 });
    assert.match((await decided('eve', 'content')).headline, /^[AB]$/);
    await server.post('/v1/definitions/campaign/spring/rollback', { revision: 99 }, { status: 404 });
    await server.post('/v1/definitions/campaign/nothing/publish', {}, { status: 404 });
    // What others refer to cannot be archived from under them.
    const kept = await server.post('/v1/definitions/placement/home_hero/archive', {}, { status: 422 });
    assert.match(kept.errors[0].message, /home_hero/);
    await server.publish({ ...spring, key: 'for_jeans', experiences: [{ ...spring.experiences[0], target: 'in segment "jeans"' }] });
    const named = await server.post('/v1/definitions/segment/jeans/archive', {}, { status: 422 });
    assert.match(named.errors[0].message, /for_jeans/);
    await server.post('/v1/definitions/campaign/for_jeans/archive');
    assert.ok(!(await server.get('/v1/definitions?kind=campaign')).definitions.some((d) => d.key === 'for_jeans'));
    assert.equal((await server.get('/v1/definitions/campaign/for_jeans')).state, 'archived');
});

test('a document is tried without being kept', async () => {
    assert.deepEqual(await server.post('/v1/definitions/validate', spring), { ok: true });
    const bad = await server.post('/v1/definitions/validate', { ...spring, goal: '' }, { status: 422 });
    assert.equal(bad.errors[0].path, 'goal');
});

test('secrets are not shown: neither keys nor accounts nor a source\'s own', async () => {
    const secret = 'ab'.repeat(32);
    await server.publish({ kind: 'source', key: 'web', title: 'Web', basis: { analytics: 'contract' }, identity_secret: secret });
    const { definitions } = await server.get('/v1/definitions');
    const text = JSON.stringify(definitions) + JSON.stringify(await server.get('/v1/definitions/source/web/revisions'));
    assert.ok(!text.includes(secret) && !text.includes('"hash"') && !text.includes('"ticket"'));
    assert.ok(!definitions.some((d) => d.kind === 'key' || d.kind === 'account' || d.key === 'secret'));
    const kinds = [['key', server.secret.split('_').slice(0, 3).join('_')], ['settings', 'secret']];
    for (const [kind, key] of kinds) {
        await server.get(`/v1/definitions/${kind}/${key}`, { status: 404 });
        await server.put(`/v1/definitions/${kind}/${key}`, {}, { status: 404 });
        await server.post(`/v1/definitions/${kind}/${key}/archive`, {}, { status: 404 });
    }
    // Publishing the document as it was shown keeps the secret that was there.
    const { document } = await server.get('/v1/definitions/source/web');
    await server.publish({ ...document, kind: 'source', key: 'web', title: 'The web' });
    const exported = await (await server.request('GET', '/v1/export/definitions', { key: server.secret })).text();
    assert.ok(!exported.includes(secret));
    const made = await server.post('/v1/keys', { kind: 'write', source: 'web' });
    const { createHmac } = await import('node:crypto');
    const hash = createHmac('sha256', secret).update('fay').digest('hex');
    await server.json('POST', '/v1/identify', {
        key: made.key, body: { userId: 'fay', anonymousId: 'fay-anon', messageId: 'fay-1', context: { userHash: hash }, traits: { firstName: 'Fay' } },
    });
    const fay = await server.get(`/v1/people/${await find('fay')}`);
    assert.equal(fay.identifiers.find((i) => i.kind === 'user_id').trust, 'verified');
});

test('keys are made, shown once, listed without their secret, and revoked', async () => {
    const made = await server.post('/v1/keys', { kind: 'write', source: 'shop', owner: 'kari@shop.test' });
    assert.ok(made.key.startsWith(`${made.id}_`));
    const { keys } = await server.get('/v1/keys');
    const row = keys.find((k) => k.id === made.id);
    assert.deepEqual([row.kind, row.source, row.owner], ['write', 'shop', 'kari@shop.test']);
    assert.ok(!JSON.stringify(keys).includes(made.key));
    const send = (status) => server.json('POST', '/v1/track', {
        key: made.key, status, body: { anonymousId: 'k', event: 'Product Viewed', properties: { product_id: 'p-1' } },
    });
    await send(200);
    await server.get('/v1/overview', { key: made.key, status: 401 });
    await server.delete(`/v1/keys/${made.id}`);
    await send(401);
    assert.ok(!(await server.get('/v1/keys')).keys.some((k) => k.id === made.id));
    await server.post('/v1/keys', { kind: 'write', source: 'nowhere' }, { status: 422 });
    await server.post('/v1/keys', { kind: 'odd', source: 'shop' }, { status: 400 });
});

test('two people are joined by order, and parted again with what each had', async () => {
    await server.post('/v1/batch', { batch: [viewed('gus', 'p-1', 9000), viewed('hal', 'p-2', 8000), viewed('hal', 'p-3', 7000)] });
    const facts = async (id) => {
        const { affinities, ...p } = await server.get(`/v1/people/${id}`);
        for (const s of p.segments) delete s.entered_at;        // of the membership they have now
        return { p: { ...p, merges: [] }, h: (await server.get(`/v1/people/${id}/history`)).events };
    };
    const [gus, hal] = [await find('gus'), await find('hal')];
    const [gusWas, halWas] = [await facts(gus), await facts(hal)];
    const joined = await server.post(`/v1/people/${gus}/merge`, { with: hal });
    assert.deepEqual(joined.people, [joined.person_id]);
    assert.equal(await find('hal'), await find('gus'));
    const one = await server.get(`/v1/people/${hal}`);
    assert.equal(one.counters.events, 3);
    assert.match(one.merges[0].why, /^ordered by key om_secret_/);
    await server.post(`/v1/people/${gus}/merge`, { with: hal }, { status: 409 });
    await server.post(`/v1/people/${gus}/merge`, { with: 'p_999999' }, { status: 404 });
    const parted = await server.post(`/v1/people/${gus}/split`, { merge_id: one.merges[0].merge_id });
    assert.deepEqual(parted.people.sort(), [gus, hal].sort());
    assert.deepEqual(await facts(gus), gusWas);
    assert.deepEqual(await facts(hal), halWas);
    await server.post(`/v1/people/${gus}/split`, { merge_id: one.merges[0].merge_id }, { status: 409 });
});

test('a log-in joins the browser to the person; undoing it parts them', async () => {
    const browser = { anonymousId: 'jo-browser' };
    await server.post('/v1/batch', { batch: [{ ...viewed('x', 'p-1', 5000), userId: undefined, ...browser }] });
    const anonymous = (await server.post('/v1/people/lookup', { anonymous_id: 'jo-browser' })).person_id;
    await server.post('/v1/identify', { userId: 'jo', ...browser, messageId: 'jo-in', traits: { firstName: 'Jo' } });
    const jo = await find('jo');
    assert.equal((await server.post('/v1/people/lookup', { anonymous_id: 'jo-browser' })).person_id, jo);
    const { merges, counters } = await server.get(`/v1/people/${jo}`);
    assert.equal(merges.length, 1);
    assert.match(merges[0].why, /one event of shop named both/);
    assert.equal((await server.get(`/v1/people/${anonymous}`)).person_id, jo, 'the id from before leads on');
    await server.post(`/v1/people/${jo}/split`, { merge_id: merges[0].merge_id });
    const parts = await Promise.all([{ user_id: 'jo' }, { anonymous_id: 'jo-browser' }].map((w) => server.post('/v1/people/lookup', w)));
    assert.notEqual(parts[0].person_id, parts[1].person_id);
    const [known, stranger] = await Promise.all(parts.map((p) => server.get(`/v1/people/${p.person_id}`)));
    assert.deepEqual([known.known, stranger.known], [true, false]);
    assert.deepEqual([known.traits.map((t) => t.name), stranger.traits.length], [['first_name'], 0]);
    assert.equal(known.counters.events + stranger.counters.events, counters.events);
});

test('results add up from what was shown and what came of it', async () => {
    const arms = { a: 0, b: 0 };
    const bought = { a: 0, b: 0 };
    let clicks = 0;
    const ids = Array.from({ length: 60 }, (_, i) => `res-${i}`);
    for (const user_id of ids) {
        const { home_hero: d } = (await server.post('/v1/decide', { person: { user_id }, placements: ['home_hero'],
            events: [viewed(user_id, 'p-3')] })).decisions;
        assert.equal(d.campaign, 'spring');
        arms[d.variation]++;
        const batch = [{ type: 'track', userId: user_id, event: 'Decision Viewed', messageId: `dv-${user_id}`, properties: { ticket: d.ticket } }];
        if (d.variation === 'b') {
            clicks++;
            batch.push({ type: 'track', userId: user_id, event: 'Decision Clicked', messageId: `dc-${user_id}`, properties: { ticket: d.ticket } });
        }
        if (Number(user_id.slice(4)) % 3 === 0) {
            bought[d.variation]++;
            batch.push({ type: 'track', userId: user_id, event: 'Order Completed', messageId: `oc-${user_id}`,
                properties: { order_id: `r-${user_id}`, revenue: '12.50', currency: 'EUR', products: [{ product_id: 'p-3', price: 12.5, quantity: 1 }] } });
        }
        await server.post('/v1/batch', { batch });
    }
    const r = await server.get('/v1/results/spring');
    for (const key of ['a', 'b']) {
        const arm = r.arms.find((x) => x.variation === key);
        assert.equal(arm.exposed, arms[key], key);
        assert.equal(arm.buyers, bought[key]);
        assert.deepEqual(arm.revenue, { minor: bought[key] * 1250, currency: 'EUR' });
        assert.ok(Math.abs(arm.order_rate - bought[key] / arms[key]) < 1e-12);
        assert.ok(Math.abs(arm.revenue_per_person - bought[key] * 1250 / arms[key]) < 1e-9);
        assert.equal(arm.is_control, key === 'a');
    }
    assert.equal(r.arms.find((x) => x.variation === 'b').clicks, clicks);
    assert.equal(r.srm.alarm, false);
    const row = r.comparisons.find((c) => c.metric === 'order_rate');
    assert.deepEqual([row.variation, row.against], ['b', 'a']);
    assert.ok(row.low < row.estimate && row.estimate < row.high);
    assert.equal(row.significant, false, 'with so few people nothing is');
    const day = r.series.at(-1).arms;
    assert.deepEqual([day.a.exposed, day.b.exposed], [arms.a, arms.b]);
    assert.equal(r.state, 'published');
    await server.get('/v1/results/nothing', { status: 404 });
    const programme = await server.get('/v1/results');
    assert.equal(programme.arms.find((x) => x.variation === 'treated').exposed, 60);
    const rate = await server.get('/v1/metrics/order_rate');
    assert.equal(rate.values.find((v) => v.campaign === 'spring' && v.variation === 'a').value, r.arms.find((x) => x.variation === 'a').order_rate);
    await server.get('/v1/metrics/luck', { status: 404 });

    const { decisions } = await server.get(`/v1/people/${await find('res-0')}/decisions`);
    assert.deepEqual([decisions[0].placement, decisions[0].campaign, decisions[0].viewed], ['home_hero', 'spring', true]);
    const why = await server.get(`/v1/decisions/${decisions[0].decision_key}`);
    assert.equal(why.person_id, await find('res-0'));
    assert.equal(why.trace.campaigns[0].campaign, 'spring');
    assert.equal(why.trace.campaigns[0].outcome, 'won');
    assert.equal(why.propensity, 0.5);
    await server.get('/v1/decisions/d_0000000000000000', { status: 404 });
    await server.get('/v1/decisions/x', { status: 404 });
});

test('a preview link shows one variation and leaves no trace', async () => {
    const { token, query } = await server.post('/v1/preview-link', { campaign: 'spring', experience: 'all', variation: 'b', placement: 'home_hero' });
    assert.equal(query, `opmaat_preview=${encodeURIComponent(token)}`);
    const before = (await server.get('/v1/overview')).decisions.total;
    for (const user_id of ['look-1', 'look-2', 'look-3']) {
        const { home_hero: d } = (await server.post('/v1/decide', { person: { user_id }, placements: ['home_hero'], context: { preview: token } })).decisions;
        assert.deepEqual([d.variation, d.preview], ['b', true]);
    }
    assert.equal((await server.get('/v1/overview')).decisions.total, before);
    await server.post('/v1/preview-link', { campaign: 'spring', experience: 'all', variation: 'z' }, { status: 404 });
});

test('a dead letter says why, is mended and replayed, and is gone for good', async () => {
    const event = { type: 'track', event: 'Order Completed', messageId: 'dead-1', userId: 'ida', timestamp: ago(1000),
        properties: { order_id: 'o-dead', revenue: 'NaN-ish', currency: 'EUR', products: 'none' } };
    const bad = await server.post('/v1/batch', { batch: [{ type: 'no such type', messageId: 'dead-0', userId: 'ida' }, event] });
    assert.ok(bad.refused >= 1);
    const { dead_letters, total } = await server.get('/v1/dead-letters?source=shop');
    assert.equal(total, bad.refused);
    assert.equal(dead_letters.at(-1).event.messageId, 'dead-0');
    assert.ok(dead_letters[0].reason.length > 5);
    const letter = dead_letters.at(-1);
    const again = await server.post(`/v1/dead-letters/${letter.id}/replay`, {}, { status: 422 });
    assert.equal(again.detail, letter.reason);
    const mended = await server.post(`/v1/dead-letters/${letter.id}/replay`, {
        event: { type: 'track', event: 'Product Viewed', messageId: 'dead-0', userId: 'ida', properties: { product_id: 'p-1' } },
    });
    assert.equal(mended.accepted, 1);
    await server.post(`/v1/dead-letters/${letter.id}/replay`, {}, { status: 409 });
    await server.post('/v1/dead-letters/dl_1/replay', {}, { status: 404 });
    assert.equal((await server.get('/v1/dead-letters?source=shop')).total, total - 1);
    assert.equal((await server.get(`/v1/people/${await find('ida')}/history`)).events.length >= 1, true);
    const refused = (await server.get('/v1/sources')).sources.find((s) => s.key === 'shop');
    assert.equal(refused.refused, bad.refused);
});

test('sources show their counts, their basis and whether they live', async () => {
    await server.publish({ kind: 'source', key: 'tills', title: 'Tills', owner: 'per@shop.test', basis: { analytics: 'consent' } });
    const { sources } = await server.get('/v1/sources');
    const by = Object.fromEntries(sources.map((s) => [s.key, s]));
    assert.equal(by.shop.state, 'green');
    assert.ok(by.shop.accepted > 10 && by.shop.duplicates >= 1 && by.shop.lag_ms < 60_000);
    assert.equal(by.shop.basis.analytics, 'contract');
    assert.deepEqual([by.tills.state, by.tills.last_at, by.tills.owner], ['idle', null, 'per@shop.test']);
    const { key } = await server.post('/v1/keys', { kind: 'write', source: 'tills' });
    const { no_consent } = await server.json('POST', '/v1/track', {
        key, body: { anonymousId: 'till-1', event: 'Product Viewed', properties: { product_id: 'p-1' } },
    });
    assert.equal(no_consent, 1);
    assert.equal((await server.get('/v1/sources')).sources.find((s) => s.key === 'tills').no_consent, 1);
});

test('people log in: cookie, CSRF, roles, and an account that ends', async () => {
    for (const [email, role] of [['vi@shop.test', 'viewer'], ['Ed@Shop.test', 'editor'], ['ad@shop.test', 'admin']])
        await server.post('/v1/accounts', { email, role, password: `${role}-password` });
    await server.post('/v1/accounts', { email: 'x@shop.test', role: 'king', password: 'long enough' }, { status: 400 });
    await server.post('/v1/accounts', { email: 'x@shop.test', role: 'viewer', password: 'short' }, { status: 400 });
    const accounts = (await server.get('/v1/accounts')).accounts;
    assert.deepEqual(accounts.map((a) => `${a.email} ${a.role}`), ['vi@shop.test viewer', 'ed@shop.test editor', 'ad@shop.test admin']);
    assert.ok(!JSON.stringify(accounts).includes('argon2'));
    await login('vi@shop.test', 'wrong', 401);
    await login('nobody@shop.test', 'viewer-password', 401);
    const viewer = await login('VI@shop.test', 'viewer-password');
    assert.match(viewer.set, /HttpOnly; SameSite=Strict/);
    assert.match(viewer.set, /Path=\//);
    assert.deepEqual([viewer.email, viewer.role], ['vi@shop.test', 'viewer']);
    assert.equal((await (await as(viewer, 'GET', '/v1/session')).json()).csrf, viewer.csrf);
    assert.equal((await as(viewer, 'GET', '/v1/overview')).status, 200);
    assert.equal((await as(viewer, 'PUT', '/v1/definitions/segment/nope', jeans)).status, 403);
    assert.equal((await as(viewer, 'GET', '/v1/keys')).status, 403);
    const editor = await login('ed@shop.test', 'editor-password');
    const draft = { kind: 'segment', key: 'by_ed', rule: jeans.rule };
    assert.equal((await as(editor, 'PUT', '/v1/definitions/segment/by_ed', draft)).status, 200);
    assert.equal((await as(editor, 'PUT', '/v1/definitions/source/web', { title: 'x' })).status, 403);
    const noCsrf = await as(editor, 'PUT', '/v1/definitions/segment/by_ed', draft, { 'x-csrf': '' });
    assert.equal(noCsrf.status, 401);
    const wrongCsrf = await as(editor, 'PUT', '/v1/definitions/segment/by_ed', draft, { 'x-csrf': viewer.csrf });
    assert.equal(wrongCsrf.status, 401);
    // A neighbouring host name is the same site to a browser: its pages get nothing by the cookie.
    for (const headers of [{ origin: 'http://shop.test' }, { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'cross-site' }])
        assert.equal((await as(editor, 'GET', '/v1/session', undefined, headers)).status, 401, JSON.stringify(headers));
    assert.equal((await as(editor, 'GET', '/v1/session', undefined, { origin: server.url })).status, 200);
    assert.equal((await as({ cookie: 'opmaat_session=00' }, 'GET', '/v1/overview')).status, 401);
    const admin = await login('ad@shop.test', 'admin-password');
    assert.equal((await as(admin, 'GET', '/v1/keys')).status, 200);
    const audit = (await (await as(viewer, 'GET', '/v1/audit?limit=500')).json()).entries;
    const has = (who, what, object) => audit.some((e) => e.who === who && e.what === what && (!object || e.object === object));
    assert.ok(has('ed@shop.test', 'create', 'segment/by_ed'));
    assert.ok(has('vi@shop.test', 'sign_in') && has('vi@shop.test', 'sign_in_refused') && !JSON.stringify(audit).includes('nobody@'));
    assert.ok(audit.some((e) => e.what === 'pause' && e.object === 'campaign/spring'));
    assert.equal((await as(admin, 'DELETE', '/v1/accounts/vi@shop.test')).status, 200);
    assert.equal((await as(viewer, 'GET', '/v1/overview')).status, 401, 'its sessions end with it');
    await login('vi@shop.test', 'viewer-password', 401);
    assert.equal((await as(editor, 'POST', '/v1/logout')).status, 200);
    assert.equal((await as(editor, 'GET', '/v1/session')).status, 401);
});

test('guessing a password stops after ten tries, for accounts that exist and those that do not', async () => {
    await server.post('/v1/accounts', { email: 'target@shop.test', role: 'viewer', password: 'the right one' });
    for (const email of ['target@shop.test', 'ghost@shop.test']) {
        const answers = [];
        for (let i = 0; i < 11; i++) answers.push((await server.request('POST', '/v1/login', { body: { email, password: `no ${i}` } })).status);
        assert.deepEqual(answers, [...Array(10).fill(401), 429], email);
    }
    await login('target@shop.test', 'the right one', 429);
});

test('what is exported is whole, and products come in again', async () => {
    const rows = async (kind, query = '') => (await (await server.request('GET', `/v1/export/${kind}${query}`, { key: server.secret })).text())
        .trim().split('\n').map((l) => JSON.parse(l));
    const products = await rows('products');
    assert.deepEqual(products.map((p) => p.product_key), ['p-1', 'p-2', 'p-3', 'p-4']);
    const { people } = await server.get('/v1/overview');
    assert.equal((await rows('people')).length, people.known + people.anonymous);
    const orders = await rows('orders');
    assert.equal(orders.length, (await server.get('/v1/overview')).orders);
    assert.deepEqual(orders.find((o) => o.order_key === 'o-77').lines, [{ item: 'p-1', title: 'Slim jeans', quantity: 2, value: { minor: 9800, currency: 'EUR' } }]);
    assert.ok((await rows('definitions')).some((d) => d.key === 'spring'));
    const first = await rows('products', '?limit=3');
    assert.equal(first.length, 4);
    const more = await rows('products', `?limit=3&after=${first[3].next}`);
    assert.deepEqual([...first.slice(0, 3), ...more], products);
    await server.get('/v1/export/everything', { status: 404 });
    const other = await startServer({ config: { flush_ms: 100 } });
    try {
        const { job } = await other.post('/v1/import/products', products.map((p) => JSON.stringify(p)).join('\n'), { status: 202 });
        await eventually('it is done', async () => (await other.get(`/v1/jobs/${job}`)).state === 'done');
        const copy = await (await other.request('GET', '/v1/export/products', { key: other.secret })).text();
        assert.deepEqual(copy.trim().split('\n').map((l) => JSON.parse(l)), products);
    } finally {
        await other.stop({ remove: true });
    }
});

test('the counters read as Prometheus reads them', async () => {
    const answer = await server.request('GET', '/metrics');
    assert.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    const text = await answer.text();
    for (const line of text.trim().split('\n')) assert.match(line, /^(# (HELP|TYPE) opmaat_\S+ .+|opmaat_[a-z0-9_]+(\{[a-z]+="[^"]*"\})? -?[0-9]+)$/);
    const events = Number(text.match(/^opmaat_events_total (\d+)$/m)[1]);
    assert.equal(events, (await server.get('/v1/overview')).events.total);
});

test('every route that is not public refuses a stranger', async () => {
    const { stdout } = await opmaat(['routes'], { ok: true });
    let checked = 0;
    for (const line of stdout.trim().split('\n')) {
        const [method, path, who] = line.trim().split(/\s+/);
        if (!path?.startsWith('/') || who === 'anyone') continue;
        const status = (await server.request(method, path.replace(/\{\w+\}/g, 'x'), { body: method === 'GET' ? undefined : {} })).status;
        assert.equal(status, 401, `${method} ${path}`);
        checked++;
    }
    assert.ok(checked > 50, `${checked} routes`);
});

test('a restart keeps all but log-ins: replayed letters stay replayed, accounts and keys stand', async () => {
    const letters = (await server.get('/v1/dead-letters')).total;
    const admin = await login('ad@shop.test', 'admin-password');
    const results = (await server.get('/v1/results/spring')).arms;
    const counted = (await server.get('/v1/segments')).segments.map((s) => [s.key, s.count]);
    await server.stop();
    await server.start();
    assert.equal((await server.get('/v1/dead-letters')).total, letters);
    assert.equal((await as(admin, 'GET', '/v1/session')).status, 401);
    await login('ad@shop.test', 'admin-password');
    assert.deepEqual((await server.get('/v1/results/spring')).arms, results);
    assert.deepEqual((await server.get('/v1/segments')).segments.map((s) => [s.key, s.count]).filter(([k]) => k !== 'just_now'),
        counted.filter(([k]) => k !== 'just_now'));
});

test('a server with watchers stops by itself', async () => {
    const own = await startServer({ data: newFolder(), config: { flush_ms: 100 } });
    const streams = await Promise.all([1, 2, 3].map(() => own.request('GET', '/v1/stream', { key: own.secret })));
    const ends = streams.map(async (s) => { try { for await (const _ of s.body); } catch { /* cut off */ } });
    await own.stop({ remove: true });
    await Promise.all(ends);
});
