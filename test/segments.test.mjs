// SPDX-License-Identifier: Apache-2.0
//
// segments.test.mjs - what can be asked of groups of people: how they stood, how they overlap, what sets them apart, what a change
// would do; against a real server over HTTP.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { eventually, startServer } from './lib/server.mjs';

const DAY = 86_400_000;
const ago = (ms) => new Date(Date.now() - ms).toISOString();
let number = 0, server;
const id = (prefix) => `${prefix}-${++number}`;
const track = (userId, event, properties = {}, more = {}) => ({ type: 'track', messageId: id('m'), userId, event, properties, ...more });
const viewed = (userId, product_id, more) => track(userId, 'Product Viewed', { product_id }, more);
const ordered = (userId, revenue, more, product_id = 'jeans-1') => track(userId, 'Order Completed', {
    order_id: id('o'), currency: 'EUR', revenue, products: [{ product_id, price: revenue, quantity: 1 }] }, more);
const identify = (userId, traits, more) => ({ type: 'identify', messageId: id('m'), userId, traits, ...more });
const send = async (batch) => {
    for (let i = 0; i < batch.length; i += 400) await server.post('/v1/batch', { batch: batch.slice(i, i + 400) });
};
const segment = (key, rule, more = {}) => server.publish({ kind: 'segment', key, title: key, rule, ...more });
const counts = async (query = '') => Object.fromEntries((await server.get(`/v1/segments${query}`)).segments.map((s) => [s.key, s.count]));
const lookup = async (who) => (await server.post('/v1/people/lookup', who)).person_id;
const campaign = (key, more = {}) => ({
    kind: 'campaign', key, title: key, goal: 'be of use', placement: 'home', priority: 50,
    experiences: [{ key: 'all', variations: [{ key: 'a', content: { headline: key } }] }], ...more,
});

async function stock() {
    const { job } = await server.json('POST', '/v1/import/products', { status: 202, headers: { 'content-type': 'application/x-ndjson' }, body: [
        ...Array.from({ length: 4 }, (_, i) => ({ product_key: `jeans-${i}`, title: `Jeans ${i}`, category: 'Jeans', price: { minor: 5000, currency: 'EUR' } })),
        ...Array.from({ length: 4 }, (_, i) => ({ product_key: `kettle-${i}`, title: `Kettle ${i}`, category: 'Kettles', price: { minor: 3000, currency: 'EUR' } })),
    ].map((one) => JSON.stringify(one)).join('\n') });
    await eventually('the products are in', async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
}

before(async () => {
    server = await startServer({ config: { flush_ms: 200 } });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    for (const key of ['home', 'mail'])
        await server.publish({ kind: 'placement', key, title: key, channel: key === 'home' ? 'web' : 'email', family: key, default: { headline: 'Welcome' } });
    await stock();
});
after(() => server?.stop({ remove: true }));

test('any past instant: counts, overlap, a person, a trend, and the difference with its reasons', async () => {
    const at = (days) => ({ timestamp: ago(days * DAY) });
    await send([
        ...[12, 11, 10].map((d) => viewed('ana', 'jeans-1', at(d))),            // three within 7 days until day 5
        ...[4, 3, 2].map((d) => viewed('bo', 'jeans-1', at(d))),                // three from day 2 on
        ...[12, 11, 2, 1, 0.5].map((d) => viewed('cy', 'jeans-1', at(d))),      // three from day 0.5 on
        identify('ana', { city: 'Oslo' }, at(11.5)),
    ]);
    await segment('lookers', 'count(product_viewed, last 7 days) >= 3');
    await segment('osloers', 'city = "Oslo"');
    assert.deepEqual(await counts(), { lookers: 2, osloers: 1 });
    const then = `?at=${ago(9 * DAY)}&identity=now`;
    assert.deepEqual(await counts(then), { lookers: 1, osloers: 1 });
    assert.deepEqual(await counts(`?at=${ago(11.8 * DAY)}&identity=now`), { lookers: 0, osloers: 0 });
    assert.equal((await server.get(`/v1/segments/lookers${then}`)).segments[0].count, 1);
    assert.equal((await server.get(`/v1/segments/overlap?keys=lookers,osloers&at=${ago(9 * DAY)}`)).all, 1);
    assert.equal((await server.get('/v1/segments/overlap?keys=lookers,osloers')).all, 0);

    const ana = await lookup({ user_id: 'ana' });
    const stood = await server.get(`/v1/people/${ana}?at=${ago(11.8 * DAY)}`);
    assert.deepEqual([stood.traits.some((t) => t.name === 'city'), stood.counters.events, stood.segments.length], [false, 1, 0]);
    assert.deepEqual((await server.get(`/v1/people/${ana}?at=${ago(9 * DAY)}`)).segments.map((s) => s.key).sort(), ['lookers', 'osloers']);
    await server.get(`/v1/people/${ana}?at=${ago(40 * DAY)}`, { status: 404 });
    await server.get(`/v1/people/${ana}?at=${ago(-DAY)}`, { status: 400 });

    const diff = await server.get(`/v1/segments/lookers/diff?from=${ago(9 * DAY)}&to=${ago(0)}&identity=now`);
    assert.deepEqual([diff.before, diff.after, diff.entered, diff.left, diff.stayed], [1, 2, 2, 1, 0]);
    const left = diff.people.find((p) => p.moved === 'left');
    assert.equal(left.person_id, ana);
    assert.deepEqual([left.why[0].was, left.why[0].is], ['3', '0']);
    assert.match(left.why[0].rule, /count\(product_viewed, last 7 days\) >= 3/);
    assert.equal(diff.left_because[0].people, 1);
    const first = await server.get(`/v1/segments/lookers/diff?from=${ago(9 * DAY)}&identity=now&limit=1`);
    const rest = await server.get(`/v1/segments/lookers/diff?from=${ago(9 * DAY)}&identity=now&after=${first.next}`);
    assert.deepEqual([...first.people, ...rest.people].map((p) => p.person_id), diff.people.map((p) => p.person_id));

    const { points } = await server.get('/v1/segments/lookers/trend?days=14');
    assert.equal(points.length, 15);
    assert.deepEqual([points[0].count, points[5].count, points.at(-1).count], [0, 1, 2]);
    const sum = (name) => points.slice(1).reduce((n, p) => n + p[name], 0);
    assert.deepEqual([sum('entered'), sum('left')], [3, 1]);
    for (const [i, p] of points.slice(1).entries()) assert.equal(p.count, points[i].count + p.entered - p.left);

    const members = async (query) => (await (await server.request('GET', `/v1/segments/lookers/members?${query}`, { key: server.secret })).text())
        .split('\n').filter(Boolean).map((line) => JSON.parse(line).person_id);
    const bo = await lookup({ user_id: 'bo' });
    assert.equal((await members('')).length, 2);
    assert.deepEqual(await members('q=BO'), [bo]);                          // a part of an identifier, as it is typed
    assert.deepEqual(await members(`q=${bo}&limit=1`), [bo]);
    assert.deepEqual(await members('q=nobody-at-all'), []);
});

test('identity as of then: people joined since are counted apart', async () => {
    await send([viewed('one', 'jeans-1'), viewed('two', 'jeans-1')]);
    await segment('both', 'did(product_viewed, last 1 days)');
    const [a, b] = [await lookup({ user_id: 'one' }), await lookup({ user_id: 'two' })];
    const before = (await counts()).both, instant = new Date().toISOString();
    await new Promise((done) => setTimeout(done, 20));
    await server.post(`/v1/people/${a}/merge`, { with: b });
    assert.equal((await counts()).both, before - 1);
    const then = await server.get(`/v1/segments/both?at=${instant}`);
    assert.deepEqual([then.segments[0].count, then.joined_since], [before, 1]);
    assert.equal((await server.get(`/v1/segments/both?at=${instant}&identity=now`)).segments[0].count, before - 1);
    assert.equal((await server.get(`/v1/people/${a}?at=${instant}`)).people_then, 2);
    await server.post('/v1/definitions/segment/both/archive');
});

test('R26: from the jeans segment two children are made in one action; counts are exact, disjoint and sum to the parent less unknown', async () => {
    const who = ['female', 'female', 'Female', 'male', 'male', 'robot', null, null].map((gender) => [id('split'), gender]);
    await send(who.flatMap(([userId, gender]) => [...(gender ? [identify(userId, { gender })] : []), viewed(userId, 'jeans-0'), viewed(userId, 'jeans-2')]));
    await segment('jeans', 'count(product_viewed where product = "jeans-2") >= 1', { title: 'Jeans' });
    const split = await server.post('/v1/segments/jeans/split', { by: 'gender' });
    assert.deepEqual(split.children.map((c) => [c.key, c.count]),
        [['jeans_women', 3], ['jeans_men', 2], ['jeans_robot', 1], ['jeans_other', 0], ['jeans_unknown', 2]]);
    assert.deepEqual([split.count, split.sum, split.unknown], [8, 6, 2]);
    assert.equal((await server.get('/v1/segments/overlap?keys=jeans_women,jeans_men')).all, 0);
    await send([viewed('late', 'jeans-2'), identify('late', { gender: 'elf' })]);        // a value that came later
    const now = await counts();
    assert.equal(now.jeans, ['women', 'men', 'robot', 'other', 'unknown'].reduce((sum, k) => sum + now[`jeans_${k}`], 0));
    assert.equal(now.jeans_other, 1);
    assert.equal((await server.post('/v1/segments/jeans/split', { by: 'gender' })).count, 9);       // again: new revisions
    await segment('jeans_oslo', 'true');
    await server.post('/v1/segments/jeans/split', { by: 'shoe' }, { status: 422 });
    await send([identify('late', { city: 'Oslo' })]);
    await server.post('/v1/segments/jeans/split', { by: 'city' }, { status: 409 });
    await server.post('/v1/definitions/segment/jeans_oslo/archive');

    const csv = await (await server.request('GET', '/v1/segments/jeans_men/members?format=csv', { key: server.secret })).text();
    assert.equal(csv.split('\r\n')[0], 'person_id,display,entered_at,last_at');
    assert.equal(csv.trim().split('\r\n').length, 3);
});

test('R29: an overlap matrix with exact shared counts for any chosen segments, and the winner rule for shared members', async () => {
    const people = Array.from({ length: 7 }, () => id('lap'));
    await send(people.map((userId, i) => identify(userId, { lap_a: i < 5, lap_b: i >= 2 })));       // shared: 2, 3, 4
    await segment('lap_a', 'lap_a = true');
    await segment('lap_b', 'lap_b = true');
    const to = (key) => [{ key: 'x', target: `in segment "${key}"`, variations: [{ key: 'a', content: { headline: key } }] }];
    await server.publish(campaign('for_a', { priority: 20, experiences: to('lap_a') }));
    await server.publish(campaign('for_b', { priority: 10, experiences: to('lap_b') }));
    const got = await server.get('/v1/segments/overlap?keys=lap_a,lap_b,jeans');
    assert.deepEqual(got.segments.map((s) => s.count).slice(0, 2), [5, 5]);
    assert.deepEqual(got.pairs.map((p) => p.count), [3, 0, 0]);
    const { winners, winners_of } = await server.get('/v1/segments/overlap?keys=lap_a,lap_b');
    assert.equal(winners_of, 3);
    const home = winners.find((w) => w.placement === 'home');
    const won = home.won_by[0];
    assert.deepEqual([won.people, won.over !== undefined, home.nobody], [3, true, 0]);
    const said = await server.post('/v1/decide', { person: { user_id: people[3] }, placements: ['home'] });
    assert.equal(said.decisions.home.content.headline, won.campaign === 'for_a' ? 'lap_a' : 'lap_b');
    assert.match(won.why, /priority \d+ goes before \d+/);
    for (const key of ['for_a', 'for_b']) await server.post(`/v1/definitions/campaign/${key}/archive`);
});

test('R30: a global cap across channels holds under concurrent sends; capped attempts are recorded with reason', async () => {
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR', contacts: { times: 3, per: '7 days' } });
    await server.publish(campaign('on_site'));
    await server.publish(campaign('by_mail', { placement: 'mail', cap: { times: 50, per: '7 days' } }));
    await send([identify('capped', { gender: 'female' })]);
    const ask = (placement) => server.post('/v1/decide', { person: { user_id: 'capped' }, placements: [placement] }).then((a) => a.decisions[placement]);
    const said = await Promise.all(Array.from({ length: 24 }, (_, i) => ask(i % 2 ? 'mail' : 'home')));
    const given = said.filter((d) => d.reason === 'target');
    assert.equal(given.length, 3);
    assert.ok(said.every((d) => d.reason === 'target' || d.reason === 'capped'));
    await send(given.map((d) => track('capped', 'Decision Viewed', { ticket: d.ticket })));
    const refused = await ask('mail');
    assert.equal(refused.reason, 'capped');
    const kept = await eventually('the decision is folded', () => server.get(`/v1/decisions/${refused.decision_key}`));
    assert.match(JSON.stringify(kept.trace), /contact_cap/);
    const report = await server.get('/v1/contacts?days=7');
    assert.deepEqual([report.limit.times, report.limit.people_at_it, report.contacts, report.people_by_contacts[3]], [3, 1, 3, 1]);
    assert.equal(report.most_contacted[0].contacts, 3);
    assert.equal(report.refused.reduce((sum, r) => sum + r.contact_cap, 0), 22);
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR', contacts: { times: 3, per: '7 days', channels: ['email'] } });
    assert.equal((await ask('home')).reason, 'target');         // what is shown on the site is no contact now
    await server.put('/v1/definitions/settings/shop', { kind: 'settings', key: 'shop', title: 'Shop', contacts: { times: 0 } });
    await server.post('/v1/definitions/settings/shop/publish', undefined, { status: 422 });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    for (const key of ['on_site', 'by_mail']) await server.post(`/v1/definitions/campaign/${key}/archive`);
});

test('R31, R22: the top decile by value with what sets it apart, and the persona of a segment', async () => {
    const people = Array.from({ length: 100 }, (_, i) => ({ userId: id('val'), rich: i < 10, i }));
    await send(people.flatMap(({ userId, rich, i }) => [
        identify(userId, { city: rich ? 'Bergen' : i % 2 ? 'Moss' : 'Hamar', club: rich || i % 10 === 0 }),
        viewed(userId, rich ? 'kettle-1' : 'jeans-3'), ordered(userId, rich ? 1000 + i : 20, {}, rich ? 'kettle-1' : 'jeans-3')]));
    const top = await server.get('/v1/people/valuable?share=0.1');
    assert.deepEqual([top.buyers, top.count, top.from.minor, top.revenue.minor], [100, 10, 100_000, 1_004_500]);
    assert.ok(Math.abs(top.revenue_share - 10045 / (10045 + 90 * 20)) < 1e-9);
    assert.equal(top.people.length, 10);
    assert.equal(top.people[0].value.minor, 100_900);
    const club = top.attributes.find((a) => a.name === 'club' && a.value === 'true');
    assert.deepEqual([club.people, club.others, club.share], [10, 9, 1]);
    assert.ok(Math.abs(club.lift - 9) < 1e-9 && club.low > 0 && club.high > club.lift && club.sure);
    const bergen = top.attributes.find((a) => a.value === 'Bergen');        // nobody else is from there: counts, and no lift
    assert.deepEqual([bergen.people, bergen.others, bergen.lift], [10, 0, null]);
    assert.ok(!top.attributes.some((a) => a.value === 'Moss'));

    await segment('bergen', 'city = "Bergen"');
    const persona = await server.get('/v1/segments/bergen/persona');
    assert.deepEqual([persona.size, persona.value.orders, persona.value.revenue.minor, persona.value.a_person.minor], [10, 10, 1_004_500, 100_450]);
    const liked = persona.preferences.find((a) => a.kind === 'bought' && a.value === 'Kettles');
    assert.deepEqual([liked.people, liked.share, liked.others], [10, 1, 0]);
    await server.get('/v1/people/valuable?share=2', { status: 400 });
});

test('R32: personalised-decision rate and uplift by group, under-served groups flagged', async (t) => {
    const shared = server;
    server = await startServer();                       // a shop of its own: its programme has a holdout
    t.after(() => { const own = server; server = shared; return own.stop({ remove: true }); });
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '50%', currency: 'EUR' });
    await server.publish({ kind: 'placement', key: 'home', title: 'home', channel: 'web', default: { headline: 'Welcome' } });
    await server.publish(campaign('for_women', { experiences: [{ key: 'w', target: 'gender = "female"', variations: [{ key: 'a', content: { headline: 'w' } }] }] }));
    const people = Array.from({ length: 240 }, (_, i) => ({ userId: id('cov'), gender: i % 2 ? 'male' : 'female', age: i % 3 ? 30 : 70, i }));
    await send(people.map(({ userId, gender, age }) => identify(userId, { gender, age })));
    for (const one of people) {
        const { home } = (await server.post('/v1/decide', { person: { user_id: one.userId }, placements: ['home'] })).decisions;
        Object.assign(one, { held: home.reason === 'holdout', ticket: home.ticket, chosen: home.reason === 'target' });
    }
    await send(people.map((one) => track(one.userId, 'Decision Viewed', { ticket: one.ticket })));
    // Three of four treated women buy; of men and of the other women one in four.
    const seen = {};
    for (const one of people) {
        const n = (seen[`${one.gender}${one.held}`] = (seen[`${one.gender}${one.held}`] ?? 0) + 1);
        one.buys = (n % 4 === 0) !== (one.gender === 'female' && !one.held);
    }
    await send(people.filter((one) => one.buys).map((one) => ordered(one.userId, 10)));
    const of = (report, by, value) => report.groups.find((g) => g.by === by && g.value === value);
    const count = (which) => people.filter(which).length;
    const report = await eventually('all decisions and orders are folded', async () => {
        const got = await server.get('/v1/people/coverage?days=1');
        const { uplift } = got.all;
        return uplift.treated + uplift.held_out === 240 && uplift.treated_buyers + uplift.held_out_buyers === count((p) => p.buys) && got;
    });
    const women = of(report, 'gender', 'female'), men = of(report, 'gender', 'male');
    for (const [group, mine] of [[women, (p) => p.gender === 'female'], [men, (p) => p.gender === 'male'], [report.all, () => true],
        [of(report, 'age', '65 and over'), (p) => p.age === 70], [of(report, 'age', '25 to 34'), (p) => p.age === 30]]) {
        const [treated, bought] = [count((p) => mine(p) && !p.held), count((p) => mine(p) && !p.held && p.buys)];
        const [held, otherwise] = [count((p) => mine(p) && p.held), count((p) => mine(p) && p.held && p.buys)];
        assert.deepEqual([group.uplift.treated, group.uplift.treated_buyers, group.uplift.held_out, group.uplift.held_out_buyers],
            [treated, bought, held, otherwise], group.value);
        assert.ok(Math.abs(group.uplift.lift - (bought / treated / (otherwise / held) - 1)) < 1e-9, `${group.value}: ${group.uplift.lift}`);
        assert.ok(group.uplift.low < group.uplift.lift && group.uplift.lift < group.uplift.high);
        assert.deepEqual([group.decisions, group.personalised], [treated, count((p) => mine(p) && p.chosen)], group.value);
    }
    assert.ok(women.uplift.low > 0 && men.uplift.low < 0 && men.uplift.high > 0, 'hers is an effect, his is not');
    assert.deepEqual([women.rate, women.under_served, men.rate, men.under_served], [1, false, 0, true]);
    assert.equal(of(report, 'age', '65 and over').under_served, false);
});

test('R33: stale, empty, overlapping, demographic and non-discriminating segments, each with its reason', async (t) => {
    const shared = server;
    server = await startServer();                       // a shop of its own: everybody in it is in the comparison
    t.after(() => { const own = server; server = shared; return own.stop({ remove: true }); });
    await stock();
    const people = Array.from({ length: 80 }, (_, i) => ({ userId: id('rev'), i }));
    const at = (days) => ({ timestamp: ago(days * DAY) });
    await send(people.flatMap(({ userId, i }) => [
        identify(userId, { coin: i % 2 ? 'heads' : 'tails', hair: i < 40 ? 'red' : 'grey' }, at(60)),
        viewed(userId, 'jeans-1', at(50)), viewed(userId, i < 40 ? 'kettle-2' : 'jeans-2', at(3))]));
    await segment('rev_none', 'coin = "edge"');
    await segment('rev_coin', 'coin = "heads"');                                       // says nothing of what they do
    await segment('rev_red', 'hair = "red"');
    await segment('rev_kettle', 'hair is known and did(product_viewed where product = "kettle-2", last 30 days)');  // the same people
    const { findings } = await server.get('/v1/segments/review?days=30');
    const of = (key) => findings.filter((f) => f.key === key).map((f) => f.finding).sort();
    assert.deepEqual(of('rev_none'), ['empty']);
    assert.deepEqual(of('rev_coin'), ['demographics', 'indistinct', 'stale']);
    assert.ok(of('rev_red').includes('demographics') && !of('rev_red').includes('indistinct'));
    const twins = findings.find((f) => f.finding === 'overlapping' && f.key === 'rev_red');
    assert.deepEqual([twins.other, twins.shared, twins.likeness], ['rev_kettle', 40, 1]);
    assert.deepEqual(of('rev_kettle'), []);
    const { suggestion } = findings.find((f) => f.key === 'rev_coin' && f.finding === 'demographics');
    const preview = await server.post('/v1/segments/preview', { rule: suggestion.rule });
    assert.equal(preview.count, suggestion.people);
    assert.equal(suggestion.people + suggestion.others, 40);
});

test('R37: what a rule change would have done to counts, contacts and decisions, with an interval, before it is published', async () => {
    const people = Array.from({ length: 40 }, (_, i) => ({ userId: id('sce'), i }));
    await send(people.flatMap(({ userId, i }) => [identify(userId, { sce: i }), ...Array.from({ length: 1 + i % 4 }, () => viewed(userId, 'kettle-3'))]));
    await segment('sce', 'sce is known and count(product_viewed where product = "kettle-3", last 30 days) >= 3');     // 20 of them
    await server.publish(campaign('for_sce', { placement: 'mail', experiences: [{ key: 'x', target: 'in segment "sce"', variations: [{ key: 'a', content: { headline: 'x' } }] }] }));
    const before = (await server.get('/v1/overview')).decisions.total;
    for (const { userId } of people) {
        const { decisions } = await server.post('/v1/decide', { person: { user_id: userId }, placements: ['mail'] });
        await send([track(userId, 'Decision Viewed', { ticket: decisions.mail.ticket })]);
    }
    await eventually('all are folded', async () => (await server.get('/v1/overview')).decisions.total >= before + 40);
    const rule = 'sce is known and count(product_viewed where product = "kettle-3", last 30 days) >= 2';               // 30 of them
    const tried = await server.post('/v1/segments/sce/scenario', { rule, days: 7 });
    assert.deepEqual([tried.now.was, tried.now.would, tried.now.come, tried.now.go], [20, 30, 10, 0]);
    assert.deepEqual([tried.points.length, tried.points[0].would, tried.points.at(-1).would], [8, 0, 30]);
    const of = tried.campaigns.find((c) => c.campaign === 'for_sce');
    assert.deepEqual([of.was, of.would, of.change], [20, 30, 10]);
    assert.ok(of.low > 0 && of.low < 10 && of.high > 10 && of.high < 20);
    assert.ok(tried.contacts.change > 0 && tried.contacts.low < tried.contacts.change && tried.contacts.high > tried.contacts.change);
    assert.equal((await counts()).sce, 20);             // nothing was published
    await server.post('/v1/segments/sce/scenario', { rule: 'count(product_viewd) > 1' }, { status: 422 });
    await server.post('/v1/segments/none/scenario', { rule }, { status: 404 });
    await server.post('/v1/definitions/campaign/for_sce/archive');
});
