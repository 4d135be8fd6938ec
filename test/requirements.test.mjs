// SPDX-License-Identifier: Apache-2.0
//
// requirements.test.mjs - what Opmaat must do, each by its own "works when", against a real server over HTTP.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { createKey, eventually, newFolder, opmaat, root, sleep, startServer } from './lib/server.mjs';

const DAY = 86_400_000;
const ago = (ms) => new Date(Date.now() - ms).toISOString();
const ahead = (ms) => new Date(Date.now() + ms).toISOString();
let number = 0;
const id = (prefix) => `${prefix}-${++number}`;

/** Keys of each channel's own source. */
const channels = {};
let server;

const products = [
    ...Array.from({ length: 12 }, (_, i) => ({
        product_key: `jeans-${i}`, title: `Jeans ${i}`, category: i % 2 ? 'Men > Jeans' : 'Women > Jeans', brand: 'Acme',
        price: { minor: 4900 + i, currency: 'EUR' }, stock: { web: 9 },
    })),
    ...Array.from({ length: 6 }, (_, i) => ({
        product_key: `kettle-${i}`, title: `Kettle ${i}`, category: 'Kitchen > Kettles', brand: 'Hearth',
        price: { minor: 3900 + i, currency: 'EUR' }, stock: { web: 9 },
    })),
    { product_key: 'coffee', title: 'Dark roast', category: 'Kitchen > Coffee', brand: 'Nordic', repurchase_days: 30,
        price: { minor: 1250, currency: 'EUR' }, stock: { web: 99 } },
];

const track = (who, event, properties = {}, more = {}) => ({ type: 'track', messageId: id('m'), event, properties, ...who, ...more });
const viewed = (who, product_id, more = {}) => track(who, 'Product Viewed', { product_id }, more);
const ordered = (who, items, more = {}, properties = {}) => track(who, 'Order Completed', {
    order_id: id('o'), currency: 'EUR', revenue: 50 * items.length, products: items.map((product_id) => ({ product_id, price: 50, quantity: 1 })),
    ...properties,
}, more);

const decide = (person, placements, more = {}) => server.post('/v1/decide', { person, placements, limit: 50, ...more });
const keys = (decision) => (decision.items ?? []).map((item) => item.product_key);
const lookup = async (who) => (await server.post('/v1/people/lookup', who)).person_id;
const person = async (who) => server.get(`/v1/people/${await lookup(who)}`);
const settings = (holdout, more = {}) => server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout, currency: 'EUR',
    repurchase_days: 90, discount_quiet_days: 14, ...more });

const placements = {
    home_hero: { title: 'Home', channel: 'web', family: 'hero' },
    app_hero: { title: 'App', channel: 'app', family: 'hero' },
    email_hero: { title: 'E-mail', channel: 'email', family: 'hero' },
    till_hero: { title: 'Till', channel: 'pos', family: 'hero' },
    phone_hero: { title: 'Call centre', channel: 'phone', family: 'hero' },
};
const hero_of = { web: 'home_hero', app: 'app_hero', email: 'email_hero', pos: 'till_hero', phone: 'phone_hero' };
const campaign = (key, more = {}, content = key) => ({
    kind: 'campaign', key, title: key, goal: 'be of use', placement: 'home_hero', priority: 50,
    experiences: [{ key: 'all', variations: [{ key: 'a', content: { headline: content } }] }], ...more,
});
const archive = (key) => server.post(`/v1/definitions/campaign/${key}/archive`);

async function set_up(into) {
    const { job } = await into.post('/v1/import/products', products.map((one) => JSON.stringify(one)).join('\n'), { status: 202 });
    await eventually('the catalogue is loaded', async () => (await into.get(`/v1/jobs/${job}`)).state === 'done');
    for (const [key, more] of Object.entries(placements))
        await into.publish({ kind: 'placement', key, schema: { headline: 'text' }, default: { headline: 'Welcome' }, ...more });
    await into.publish({ kind: 'strategy', key: 'for_you', title: 'For you', mix: ['session', 'cooc', 'trending'], fallback: ['trending', 'bestsellers'] });
    await into.publish({ kind: 'placement', key: 'home_recs', title: 'Row', channel: 'web', strategy: 'for_you', default: {} });
    await into.publish({ kind: 'placement', key: 'app_recs', title: 'Row', channel: 'app', strategy: 'for_you', default: {} });
}

before(async () => {
    server = await startServer({ config: { flush_ms: 100, train_ms: 100 } });
    await set_up(server);
    await settings('0%');
    const basis = { analytics: 'contract', personalisation: 'contract', model_training: 'contract' };
    for (const channel of ['web', 'app', 'email', 'pos', 'phone', 'marketplace']) {
        await server.publish({ kind: 'source', key: `s_${channel}`, title: channel, channel, basis });
        channels[channel] = (await server.post('/v1/keys', { kind: 'secret', source: `s_${channel}` })).key;
    }
    // A crowd, so that there is something to recommend: jeans go with jeans, kettles with kettles and coffee.
    const batch = [];
    for (let i = 0; i < 40; i++) {
        const who = { userId: `crowd-${i}` };
        const taste = i % 2 ? ['jeans-0', 'jeans-2', 'jeans-4', `jeans-${i % 12}`] : ['kettle-0', 'kettle-1', 'coffee', `kettle-${i % 6}`];
        for (const [k, key] of taste.entries()) batch.push(viewed(who, key, { timestamp: ago(DAY - i * 60_000 - k * 1000) }));
        batch.push(ordered(who, taste.slice(0, 3), { timestamp: ago(DAY - i * 60_000 - 10_000) }));
    }
    await server.post('/v1/batch', { batch });
    await eventually('the recommenders know the crowd', async () => {
        const { decisions: { home_recs: row } } = await decide({ anonymous_id: 'warm-up' }, ['home_recs']);
        return row.items.some((item) => item.product_key === 'coffee' && item.because.source !== 'catalogue');
    });
});
after(() => server?.stop({ remove: true }));

// ---- collect ------------------------------------------------------------------------------------------------

test('R4: an event is in the profile and changes the very next decision for that visitor', async () => {
    const who = { anonymous_id: id('visitor') };
    await server.publish(campaign('r4', { experiences: [{ key: 'seen', target: 'did(product_viewed where category under "Jeans", last 1 hour)',
        variations: [{ key: 'a', content: { headline: 'Jeans' } }] }] }));
    assert.equal((await decide(who, ['home_hero'])).decisions.home_hero.content.headline, 'Welcome');
    await server.json('POST', '/v1/track', { key: server.write, body: viewed({ anonymousId: who.anonymous_id }, 'jeans-0') });
    assert.equal((await decide(who, ['home_hero'])).decisions.home_hero.content.headline, 'Jeans');
    const { events } = await server.get(`/v1/people/${await lookup(who)}/history`);
    assert.deepEqual(events.map((one) => [one.type, one.product_key ?? one.item]), [['product_viewed', 'jeans-0']]);
    await archive('r4');
});

test('R5: a view in the app changes what the web recommends to the same customer', async () => {
    const user = id('app-user');
    const ask = async () => (await decide({ user_id: user }, ['home_recs'])).decisions.home_recs.items;
    const before = await ask();
    assert.ok(before.every((item) => item.because.products.length === 0), 'nothing is known yet');
    await server.json('POST', '/v1/track', { key: channels.app, body: viewed({ userId: user }, 'kettle-0') });
    const now = await ask();
    const because = now.filter((item) => item.because.products.includes('kettle-0'));
    assert.ok(because.length >= 1, 'a reason names what was viewed in the app');
    assert.match(because[0].because.text, /Kettle 0/);
    assert.notDeepEqual(now.map((item) => item.product_key), before.map((item) => item.product_key));
    const { events } = await server.get(`/v1/people/${await lookup({ user_id: user })}/history`);
    assert.equal(events[0].channel, 'app');
});

test('R6: a till receipt with phone, e-mail, card or member number joins the customer, and the item leaves their row', async () => {
    const proofs = { phone: '+4790000123', email: 'till@shop.example', card: 'card-998', member_id: 'M-77' };
    for (const [kind, value] of Object.entries(proofs)) {
        const user = id('till');
        await server.post('/v1/identify', { userId: user, messageId: id('m'), traits: { first_name: 'T' }, context: { externalIds: [] },
            ...(kind === 'email' || kind === 'phone' ? { traits: { [kind]: value } }
                : { context: { externalIds: [{ id: value, type: kind, collection: 'users', encoding: 'none' }] } }) });
        await server.post('/v1/track', viewed({ userId: user }, 'kettle-0'));
        assert.ok(keys((await decide({ user_id: user }, ['home_recs'])).decisions.home_recs).includes('kettle-1'));
        await server.json('POST', '/v1/track', { key: channels.pos, body: ordered({}, ['kettle-1'], {
            context: { externalIds: [{ id: value, type: kind, collection: 'users', encoding: 'none' }] } }) });
        const { events } = await server.get(`/v1/people/${await lookup({ user_id: user })}/history`);
        assert.ok(events.some((one) => one.type === 'order_completed' && one.channel === 'pos'), `${kind}: the receipt is in the history`);
        assert.ok(!keys((await decide({ user_id: user }, ['home_recs'])).decisions.home_recs).includes('kettle-1'), kind);
    }
});

test('R7: an order by phone is listed in the account\'s history and counts in what was spent', async () => {
    const user = id('caller');
    await server.json('POST', '/v1/track', { key: channels.web, body: ordered({ userId: user }, ['jeans-1']) });
    await server.json('POST', '/v1/track', { key: channels.web, body: ordered({ userId: user }, ['jeans-3', 'coffee'], {}, { channel: 'phone', order_id: 'phone-1' }) });
    const known = await person({ user_id: user });
    assert.deepEqual([known.counters.orders, known.counters.revenue], [2, [{ minor: 15000, currency: 'EUR' }]]);
    const { events } = await server.get(`/v1/people/${known.person_id}/history`);
    const order = events.find((one) => one.order === 'phone-1' && one.type === 'order_completed');
    assert.deepEqual([order.type, order.channel, order.value.minor], ['order_completed', 'phone', 10000]);
});

test('R9: orders of a marketplace enter the same history and can be asked for in a rule', async () => {
    const user = id('market');
    const rule = 'did(order_completed where channel = "marketplace", last 1 day)';
    const was = (await server.post('/v1/segments/preview', { rule })).count;
    await server.json('POST', '/v1/track', { key: channels.marketplace, body: ordered({ userId: user }, ['jeans-1']) });
    assert.equal((await server.post('/v1/segments/preview', { rule })).count, was + 1);
});

test('R13: first and latest source, campaign and landing page are on the profile and usable in segments', async () => {
    const user = id('from-ads');
    const visit = (source, name, page) => server.post('/v1/page', { userId: user, messageId: id('m'), properties: { url: `https://shop.example/${page}` },
        context: { campaign: { source, name }, page: { url: `https://shop.example/${page}` } } });
    await visit('newsletter', 'spring', 'a');
    await visit('search', 'summer', 'b');
    const { traits } = await person({ user_id: user });
    const trait = (name) => traits.find((one) => one.name === name)?.value;
    assert.deepEqual(['first_source', 'first_campaign', 'latest_source', 'latest_campaign'].map(trait), ['newsletter', 'spring', 'search', 'summer']);
    assert.match(trait('first_page'), /\/a$/);
    assert.equal((await server.post('/v1/segments/preview', { rule: `first_source = "newsletter" and latest_campaign = "summer"` })).count, 1);
});

test('R18: e-mail, phone, card, cookie and ERP number all lead to one id', async () => {
    const user = id('unique');
    await server.post('/v1/identify', { userId: user, anonymousId: `cookie-${user}`, messageId: id('m'), traits: { email: `${user}@shop.example`, phone: '+4790000777' },
        context: { externalIds: [{ id: `erp-${user}`, type: 'erp_id', collection: 'users', encoding: 'none' },
            { id: `card-${user}`, type: 'card', collection: 'users', encoding: 'none' }] } });
    const ids = await Promise.all([{ user_id: user }, { email: `${user}@shop.example` }, { phone: '+47 90 00 07 77' }, { card: `card-${user}` },
        { anonymous_id: `cookie-${user}` }, { erp_id: `erp-${user}` }].map(lookup));
    assert.equal(new Set(ids).size, 1, ids.join(' '));
    assert.match(ids[0], /^p_\d+$/);
});

// ---- segments ---------------------------------------------------------------------------------------------------

test('R25: a rule mixes age, views of the last 14 days and the moment\'s device and hour, and previews its members', async () => {
    const people = [[34, 2, 1], [34, 20, 1], [52, 2, 1], [34, 2, 0]];       // age, days ago, how many views
    const users = people.map(() => id('mixed'));
    for (const [i, [age, days, views]] of people.entries()) {
        await server.post('/v1/identify', { userId: users[i], messageId: id('m'), traits: { age } });
        if (views) await server.post('/v1/batch', { batch: [0, 1, 2].map((n) => viewed({ userId: users[i] }, `jeans-${n}`, { timestamp: ago(days * DAY) })) });
    }
    const rule = 'age between 30 and 40 and count(product_viewed where category under "Jeans", last 14 days) >= 3';
    const preview = await server.post('/v1/segments/preview', { rule });
    assert.equal(preview.count, 1);
    assert.equal(preview.sample[0].person_id, await lookup({ user_id: users[0] }));
    await server.publish({ kind: 'segment', key: 'r25', title: 'Thirties, jeans', rule });
    await server.publish(campaign('r25', { experiences: [{ key: 'now', variations: [{ key: 'a', content: { headline: 'Mobile morning' } }],
        target: 'in segment "r25" and context.device = "mobile" and context.hour between 8 and 11' }] }));
    const at = (user, device, hour) => decide({ user_id: user }, ['home_hero'], { record: false,
        context: { device, now: `${new Date(Date.now() + DAY).toISOString().slice(0, 10)}T${hour}:30:00Z` } })
        .then(({ decisions }) => decisions.home_hero.content.headline);
    assert.equal(await at(users[0], 'mobile', '09'), 'Mobile morning');
    assert.equal(await at(users[0], 'desktop', '09'), 'Welcome');
    assert.equal(await at(users[0], 'mobile', '15'), 'Welcome');
    for (const other of users.slice(1)) assert.equal(await at(other, 'mobile', '09'), 'Welcome');
    await archive('r25');
});

test('R26: jeans people split into women and men: exact, disjoint, and with the unknown they sum to the parent', async () => {
    const base = 'count(product_viewed where category under "Jeans" and channel = "email", last 30 days) >= 2';
    const genders = ['female', 'female', 'female', 'male', 'male', null];
    for (const gender of genders) {
        const userId = id('split');
        if (gender) await server.post('/v1/identify', { userId, messageId: id('m'), traits: { gender } });
        await server.json('POST', '/v1/batch', { key: channels.email, body: { batch: [viewed({ userId }, 'jeans-0'), viewed({ userId }, 'jeans-1')] } });
    }
    const rules = { jeans: base, jeans_w: `in segment "jeans" and gender = "female"`, jeans_m: `in segment "jeans" and gender = "male"`,
        jeans_u: `in segment "jeans" and gender is unknown` };
    for (const [key, rule] of Object.entries(rules)) await server.publish({ kind: 'segment', key, title: key, rule });
    const rows = Object.fromEntries((await server.get('/v1/segments')).segments.map((one) => [one.key, one.count]));
    assert.deepEqual([rows.jeans, rows.jeans_w, rows.jeans_m, rows.jeans_u], [6, 3, 2, 1]);
    assert.equal((await server.get('/v1/segments/overlap?keys=jeans_w,jeans_m')).all, 0);
    assert.equal((await server.get('/v1/segments/overlap?keys=jeans,jeans_w')).all, 3);
});

// ---- recommend -----------------------------------------------------------------------------------------------------

test('R39: the first request of a new visitor uses context and popularity, and says so', async () => {
    const plain = (await decide({ anonymous_id: id('new') }, ['home_recs'])).decisions.home_recs;
    assert.ok(plain.items.length >= 4);
    const popular = plain.items.filter((item) => item.because.source !== 'catalogue');
    assert.ok(popular.length >= 4);
    assert.deepEqual(plain.items.slice(0, popular.length), popular, 'what nobody has touched comes last, and is labelled');
    for (const item of popular) {
        assert.ok(['trending', 'bestsellers'].includes(item.because.source), item.because.source);
        assert.match(item.because.text, /Popular right now|Best seller/);
    }
    // On a kettle's page the context speaks, and is named.
    const there = (await decide({ anonymous_id: id('new') }, ['home_recs'], { context: { product: 'kettle-0' } })).decisions.home_recs;
    assert.ok(!keys(there).includes('kettle-0'), 'not the product they are looking at');
    assert.match(there.items[0].product_key, /kettle|coffee/);
    assert.deepEqual(there.items[0].because.products, ['kettle-0']);
    assert.match(there.items[0].because.text, /Kettle 0/);
});

test('R42: after an order by any channel the item is absent everywhere until it is due again', async () => {
    await server.publish({ kind: 'strategy', key: 'pinned', title: 'Pinned', mix: ['trending'], fallback: ['bestsellers'],
        pins: [{ item: 'coffee', position: 1 }, { item: 'jeans-2', position: 2 }] });
    await server.publish({ kind: 'placement', key: 'pinned_recs', title: 'Pins', channel: 'email', strategy: 'pinned', default: {} });
    const rows = ['home_recs', 'app_recs', 'pinned_recs'];
    for (const channel of Object.keys(channels)) {
        const user = id(`buyer-${channel}`);
        const everywhere = async (now) => {
            const found = new Set();
            for (const row of rows)
                for (const key of keys((await decide({ user_id: user }, [row], now ? { context: { now } } : {})).decisions[row])) found.add(key);
            const extra = { person: { user_id: user }, limit: 50, context: { ...(now ? { now } : {}), cart: ['kettle-0'] } };
            for (const item of (await server.post('/v1/recommend', { ...extra, strategy: 'for_you' })).items) found.add(item.product_key);
            for (const item of (await server.post('/v1/recommend', { ...extra, placement: 'pinned_recs' })).items) found.add(item.product_key);
            return found;
        };
        await server.post('/v1/track', viewed({ userId: user }, 'kettle-1'));
        const before = await everywhere();
        assert.ok(before.has('coffee') && before.has('jeans-2'), `${channel}: both can be recommended`);
        await server.json('POST', '/v1/track', { key: channels[channel], body: ordered({ userId: user }, ['coffee', 'jeans-2']) });
        const holds = async (days, coffee, jeans) => {
            const found = await everywhere(days ? ahead(days * DAY) : undefined);
            assert.deepEqual([found.has('coffee'), found.has('jeans-2')], [coffee, jeans], `${channel}, ${days} days later`);
        };
        await holds(0, false, false);
        await holds(29, false, false);
        await holds(31, true, false);          // a consumable is due again
        await holds(89, true, false);
        await holds(91, true, true);
    }
});

// ---- one answer in every channel --------------------------------------------------------------------------------------

test('R72: web, app, e-mail, till and call centre give one customer the same offer', async () => {
    await server.publish(campaign('r72', { experiences: [{ key: 'test', choose: 'experiment', variations: [
        { key: 'a', share: '50%', content: { headline: 'Offer A' } }, { key: 'b', share: '50%', content: { headline: 'Offer B' } }] }] }));
    const seen = new Set();
    for (let i = 0; i < 12; i++) {
        const user = id('everywhere');
        const answers = await Promise.all(Object.entries(hero_of).map(async ([channel, placement]) => {
            const { decisions } = await server.json('POST', '/v1/decide', { key: channels[channel],
                body: { person: { user_id: user }, placements: [placement], context: { channel } } });
            const { campaign: from, variation, content } = decisions[placement];
            return `${from} ${variation} ${content.headline}`;
        }));
        assert.equal(new Set(answers).size, 1, answers.join(', '));
        assert.match(answers[0], /^r72 [ab] Offer [AB]$/);
        seen.add(answers[0]);
    }
    assert.equal(seen.size, 2, 'both offers were given, each to its people');
    await archive('r72');
});

test('R73: editing a rule changes every channel, all at one version number', async () => {
    const everywhere = async (user) => {
        const all = await Promise.all(Object.entries(hero_of).map(([channel, placement]) => server.json('POST', '/v1/decide', { key: channels[channel],
            body: { person: { user_id: user }, placements: [placement] } }).then(({ decisions }) => decisions[placement])));
        return { headlines: new Set(all.map((one) => one.content.headline)), versions: new Set(all.map((one) => one.version)) };
    };
    const user = id('edited');
    await server.post('/v1/identify', { userId: user, messageId: id('m'), traits: { tier: 'gold' } });
    await server.publish({ kind: 'segment', key: 'r73', title: 'Tier', rule: 'tier = "silver"' });
    await server.publish(campaign('r73', { experiences: [{ key: 'tier', target: 'in segment "r73"', variations: [{ key: 'a', content: { headline: 'For you' } }] }] }));
    const was = await everywhere(user);
    assert.deepEqual([[...was.headlines], was.versions.size], [['Welcome'], 1]);
    await server.publish({ kind: 'segment', key: 'r73', title: 'Tier', rule: 'tier = "gold"' });
    const now = await everywhere(user);
    assert.deepEqual([[...now.headlines], now.versions.size], [['For you'], 1]);
    assert.ok([...now.versions][0] > [...was.versions][0]);
    await archive('r73');
});

test('R74: a discount keeps away for days after an order in any channel; lifting that needs a reason', async () => {
    const offer = campaign('r74', { discount: true, priority: 90 }, 'Ten per cent off');
    await server.publish(offer);
    const shown = async (user, days = 0) => {
        const { home_hero } = (await decide({ user_id: user }, ['home_hero'], days ? { context: { now: ahead(days * DAY) } } : { explain: true })).decisions;
        return [home_hero.content.headline, home_hero.reason];
    };
    for (const channel of Object.keys(channels)) {
        const user = id(`bargain-${channel}`);
        assert.deepEqual(await shown(user), ['Ten per cent off', 'target'], 'on by default, and only after an order');
        await server.json('POST', '/v1/track', { key: channels[channel], body: ordered({ userId: user }, ['jeans-5']) });
        assert.deepEqual(await shown(user), ['Welcome', 'guarded'], channel);
        assert.deepEqual((await shown(user, 13))[0], 'Welcome');
        assert.deepEqual((await shown(user, 15))[0], 'Ten per cent off');
    }
    const buyer = id('bargain');
    await server.post('/v1/track', ordered({ userId: buyer }, ['jeans-5']));
    await server.put('/v1/definitions/campaign/r74', { ...offer, discount_override: '' });
    const refused = await server.request('POST', '/v1/definitions/campaign/r74/publish', { key: server.secret, body: {} });
    assert.equal(refused.status, 422, `an override without a reason: ${await refused.text()}`);
    assert.deepEqual(await shown(buyer), ['Welcome', 'guarded'], 'no reason, no override');
    await server.publish({ ...offer, discount_override: 'apology for the late parcels of March, agreed with sales' });
    assert.deepEqual(await shown(buyer), ['Ten per cent off', 'target']);
    await archive('r74');
});

// ---- experiments and holdout ---------------------------------------------------------------------------------------------

test('R80: assignment is deterministic, exposures are logged, the split is checked, the result has an interval', async () => {
    await server.publish(campaign('r80', { priority: 80, experiences: [{ key: 'all', choose: 'experiment', variations: [
        { key: 'a', share: '50%', control: true, content: { headline: 'A' } }, { key: 'b', share: '50%', content: { headline: 'B' } }] }] }));
    const users = Array.from({ length: 400 }, () => id('trial'));
    const given = new Map();
    const shown = new Map();
    const batch = [];
    for (const user of users) {
        const { home_hero } = (await decide({ user_id: user }, ['home_hero'])).decisions;
        given.set(user, home_hero.variation);
        shown.set(user, home_hero.decision_key);
        batch.push(track({ userId: user }, 'Decision Viewed', { ticket: home_hero.ticket }));
        if (Number(user.split('-')[1]) % 5 < (home_hero.variation === 'b' ? 2 : 1)) batch.push(ordered({ userId: user }, ['jeans-1']));
    }
    const before = await server.get('/v1/results/r80');
    assert.equal(before.arms.reduce((sum, arm) => sum + arm.exposed, 0), 0, 'a decision is no exposure');
    await server.post('/v1/batch', { batch });
    for (const user of users.slice(0, 50)) {
        const again = (await decide({ user_id: user }, ['home_hero'], { record: false })).decisions.home_hero;
        assert.equal(again.variation, given.get(user));
    }
    const result = await server.get('/v1/results/r80');
    for (const key of ['a', 'b'])
        assert.equal(result.arms.find((arm) => arm.variation === key).exposed, [...given.values()].filter((v) => v === key).length);
    assert.equal(result.srm.alarm, false);
    assert.ok(result.srm.p > 0 && result.srm.p <= 1);
    const row = result.comparisons.find((one) => one.metric === 'order_rate');
    assert.deepEqual([row.variation, row.against], ['b', 'a']);
    assert.ok(row.low < row.estimate && row.estimate < row.high && row.estimate > 0);
    // The exposure itself: whose, when, and of which decision.
    const { events } = await server.get(`/v1/people/${await lookup({ user_id: users[0] })}/history`);
    assert.equal(events.filter((one) => one.type === 'decision_viewed').length, 1);
    const logged = await server.get(`/v1/decisions/${shown.get(users[0])}`);
    assert.deepEqual([logged.campaign, logged.variation, logged.viewed], ['r80', given.get(users[0]), true]);
    await archive('r80');
});

test('R105: a holdout is on from day one, lasts, and no rule can reach the people in it', async () => {
    const own = await startServer({ config: { flush_ms: 100 } });
    try {
        await set_up(own);
        await own.publish(campaign('everybody', { priority: 1000, experiences: [{ key: 'all', target: 'true', variations: [{ key: 'a', content: { headline: 'Treated' } }] }] }));
        await own.publish({ ...campaign('people', { priority: 2000, placement: 'app_hero' }), experiences: [{ key: 'named', target: 'user = "x" or true',
            variations: [{ key: 'a', content: { headline: 'Treated' } }] }] });
        const users = Array.from({ length: 1000 }, (_, i) => `holdout-${i}`);
        const asked = async () => {
            const out = new Set();
            for (const user of users) {
                const { decisions } = await own.post('/v1/decide', { person: { user_id: user }, placements: ['home_hero', 'app_hero', 'home_recs'] });
                const held = Object.values(decisions).filter((one) => one.reason === 'holdout');
                assert.ok(held.length === 0 || held.length === 3, 'from all of it or from none of it');
                if (held.length) out.add(user);
                for (const one of held) assert.deepEqual([one.render, one.campaign, one.items], ['default', undefined, undefined]);
                if (!held.length) assert.equal(decisions.home_hero.content.headline, 'Treated');
            }
            return out;
        };
        const first = await asked();
        assert.ok(first.size >= 30 && first.size <= 75, `nobody configured it, and ${first.size} of 1000 are held out`);
        // They act, are identified, join every segment, log in on other devices: nothing gets them out.
        const some = [...first].slice(0, 10);
        await own.publish({ kind: 'segment', key: 'vips', title: 'VIPs', rule: 'vip = true' });
        await own.publish(campaign('vips', { priority: 3000, experiences: [{ key: 'vip', target: 'in segment "vips"', variations: [{ key: 'a', content: { headline: 'Treated' } }] }] }));
        for (const user of some)
            await own.post('/v1/batch', { batch: [{ type: 'identify', userId: user, anonymousId: `device-${user}`, messageId: id('m'), traits: { vip: true } },
                viewed({ userId: user }, 'jeans-1')] });
        for (const user of some) {
            const { decisions } = await own.post('/v1/decide', { person: { user_id: user, anonymous_id: `device-${user}` }, placements: ['home_hero'], exposed: true });
            assert.deepEqual([decisions.home_hero.reason, decisions.home_hero.content.headline], ['holdout', 'Welcome']);
            assert.ok(decisions.home_hero.ticket, 'they are measured all the same');
        }
        const treated = users.filter((user) => !first.has(user)).slice(0, 50);
        const buys = (list) => list.filter((_, i) => i % 3 === 0);
        for (const user of treated) await own.post('/v1/decide', { person: { user_id: user }, placements: ['home_hero'], exposed: true, events: [viewed({ userId: user }, 'jeans-1')] });
        const later = { timestamp: ahead(0) };
        await sleep(50);
        await own.post('/v1/batch', { batch: [...buys(treated), ...buys(some).slice(0, 3)].map((user) => ordered({ userId: user }, ['jeans-1'], later)) });
        const results = await eventually('both groups are counted', async () => {
            const got = await own.get('/v1/results');
            return got.arms.reduce((sum, arm) => sum + arm.exposed, 0) >= 60 && got;
        });
        const arms = Object.fromEntries(results.arms.map((arm) => [arm.variation, [arm.exposed, arm.is_control, arm.buyers]]));
        assert.deepEqual(arms, { treated: [50, false, 17], holdout: [10, true, 3] });
        const worth = results.versus_holdout.find((one) => one.metric === 'order_rate');
        assert.deepEqual([worth.variation, worth.against], ['treated', 'holdout']);
        assert.ok(worth.low < worth.estimate && worth.estimate < worth.high);
        await own.stop();
        await own.start();
        const second = await asked();
        assert.deepEqual([...second].sort(), [...first].sort(), 'the same people after a restart');
    } finally {
        await own.stop({ remove: true });
    }
});

// ---- getting started, and being in step -------------------------------------------------------------------------------------

test('R121: a feed and one server call give the first recommendation; four steps in all', async () => {
    const steps = [];
    const step = async (what, doing) => { const made = await doing(); steps.push(what); return made; };
    const data = newFolder();
    await step('import the catalogue feed', () => opmaat(['import', 'products', join(root, 'test/fixtures/google.tsv'), '--data', data]));
    const key = await step('make a key', () => createKey(data, 'secret', 'shop'));
    const own = await step('start the server', () => startServer({ data, keys: false, port: undefined, config: { train_ms: 100 } }));
    try {
        const answer = await eventually('the catalogue is there', async () => {
            const got = await own.post('/v1/recommend', { person: { anonymous_id: 'first-ever' }, limit: 5 }, { key });
            return got.items.length && got;
        });
        steps.push('ask for a recommendation');
        assert.ok(answer.items.some((item) => item.product_key === 'boot-1'));
        assert.ok(answer.items.every((item) => item.title && item.url && item.because.text));
        assert.equal(steps.length, 4, steps.join(', '));
    } finally {
        await own.stop({ remove: true });
    }
});

test('R122: a change is visible in every channel on the very next request', async () => {
    const user = id('in-step');
    await server.publish(campaign('r122', { priority: 95, experiences: [{ key: 'tier', target: 'tier = "platinum" and count(product_added, last 1 hour) >= 1',
        variations: [{ key: 'a', content: { headline: 'Platinum' } }] }] }));
    const took = [];
    for (const [channel, key] of Object.entries(channels)) {
        const who = `${user}-${channel}`, began = Date.now();
        await server.json('POST', '/v1/identify', { key, body: { userId: who, messageId: id('m'), traits: { tier: 'platinum' } } });
        await server.json('POST', '/v1/track', { key, body: track({ userId: who }, 'Product Added', { product_id: 'jeans-0' }) });
        for (const [other, placement] of Object.entries(hero_of)) {
            const { decisions } = await server.json('POST', '/v1/decide', { key: channels[other], body: { person: { user_id: who }, placements: [placement] } });
            assert.equal(decisions[placement].content.headline, 'Platinum', `said by ${channel}, asked by ${other}`);
        }
        assert.equal((await person({ user_id: who })).traits.find((one) => one.name === 'tier').value, 'platinum');
        took.push(Date.now() - began);
    }
    assert.ok(Math.min(...took) < 1000, `and within a second, where nothing else held the machine: ${took} ms`);
    await archive('r122');
});

// ---- consent ----------------------------------------------------------------------------------------------------------------

test('R8: an ad click is kept of whom it may be, and of nobody else; the refusal is counted and said', async () => {
    const click = (userId, granted) => server.post('/v1/page', { userId, messageId: id('m'), properties: { url: 'https://shop.example/?gclid=secret-click-77' },
        context: { page: { url: 'https://shop.example/?gclid=secret-click-77' }, campaign: { source: 'google', name: 'ads-spring' },
            consent: { categoryPreferences: { analytics: true, ads_sharing: granted } } } });
    const [yes, no] = [id('ads'), id('ads')];
    await click(yes, true);
    await click(no, false);
    const allowed = JSON.stringify(await person({ user_id: yes }));
    assert.match(allowed, /secret-click-77/);
    assert.match(allowed, /ads-spring/);
    const refused = await person({ user_id: no });
    const history = await server.get(`/v1/people/${refused.person_id}/history`);
    assert.ok(!JSON.stringify([refused, history]).includes('secret-click-77'));
    assert.equal(refused.consent.find((one) => one.purpose === 'ads_sharing').state, 'denied', 'and the profile says why');
});

test('R100: who refuses leaves no identifier behind: not in the log, not in the store', async () => {
    const data = newFolder();
    const own = await startServer({ data, config: { flush_ms: 50 }, basis: 'analytics=consent,personalisation=consent' });
    const secrets = ['refuser-4711', 'refuser@nowhere.example', '+4799887766', 'cookie-refused-42', 'refused-session-9'];
    const refusing = { consent: { categoryPreferences: { analytics: false, personalisation: false } } };
    const body = { batch: [
        { type: 'identify', messageId: id('m'), userId: secrets[0], anonymousId: secrets[3], traits: { email: secrets[1], phone: secrets[2] }, context: refusing },
        track({ userId: secrets[0], anonymousId: secrets[3] }, 'Product Viewed', { product_id: 'p', session_id: secrets[4] }, { context: refusing }),
        track({ userId: secrets[0] }, 'Product Viewed', { product_id: 'p' }),            // later, saying nothing
    ] };
    const answer = await own.post('/v1/batch', body);
    assert.equal(answer.no_consent, 3, JSON.stringify(answer));
    const decided = await own.post('/v1/decide', { person: { user_id: secrets[0], anonymous_id: secrets[3] }, placements: ['home_hero'] });
    assert.equal(decided.person_id, undefined);
    const source = (await own.get('/v1/sources')).sources.find((one) => one.key === 'shop');
    assert.equal(source.no_consent, 3, 'counted');
    await sleep(200);
    await own.stop();
    const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
    assert.ok(files.length >= 3);
    for (const file of files) {
        const bytes = readFileSync(join(file.path ?? file.parentPath, file.name));
        for (const secret of secrets) assert.ok(!bytes.includes(secret), `${secret} stands in ${file.name}`);
    }
});

// ---- a row's own wishes ----------------------------------------------------------------------------------------

test('a placement that hides what was seen leaves it out, and another does not', async () => {
    const who = { user_id: id('shopper') };
    await server.publish({ kind: 'placement', key: 'fresh_recs', title: 'Fresh', channel: 'web', strategy: 'for_you', hide_seen: true, default: {} });
    await server.post('/v1/batch', { batch: [viewed({ userId: who.user_id }, 'jeans-0'), viewed({ userId: who.user_id }, 'kettle-0')] });
    const all = keys((await decide(who, ['home_recs'])).decisions.home_recs);
    const fresh = keys((await decide(who, ['fresh_recs'])).decisions.fresh_recs);
    assert.ok(all.includes('jeans-0'), 'what was looked at before the last may come back');
    assert.ok(fresh.length >= 4);
    assert.ok(!fresh.includes('jeans-0') && !fresh.includes('kettle-0'));
});
