// SPDX-License-Identifier: Apache-2.0
//
// import.test.mjs - real files through the command line: a year of a real shop's order lines, reconciled to
// the penny; feeds of each kind; what is refused, and how it is said. Then a server on what was imported.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { eventually, newFolder, opmaat, root, shared, startServer } from './lib/server.mjs';

const file = join(shared, 'data/online-retail/online_retail.csv.gz');
const map = join(root, 'maps/online-retail.json');
const fixture = (name) => join(root, 'test/fixtures', name);
const folder = newFolder();                 // of scratch files
const data = join(folder, 'shop');
const lines = gunzipSync(readFileSync(file)).toString().trimEnd().split('\n');

const json = ({ stdout }) => JSON.parse(stdout);
const importing = (path, to, ...more) => opmaat(['import', 'orders', path, '--map', map, '--data', to,
    '--json', '--refusals', join(folder, 'refused.txt'), ...more]);
const refusals = () => readFileSync(join(folder, 'refused.txt'), 'utf8').trimEnd().split('\n');

/** The parts of the state, by name, as `opmaat verify` prints them; it fails when a replay differs. */
async function digests(of) {
    const { stdout } = await opmaat(['verify', '--data', of]);
    return Object.fromEntries(stdout.split('\n').map((line) => line.split(/\s+/)).filter((row) => row.length === 2));
}

/** What sqlite3 says of the raw file: an opinion that shares no code with ours. */
function sql(query) {
    const csv = join(folder, 'raw.csv');
    if (!existsSync(csv)) writeFileSync(csv, `${lines.join('\n')}\n`);
    return execFileSync('sqlite3', [':memory:', '-cmd', '.mode csv', '-cmd', `.import ${csv} l`, query]).toString().trim();
}
const store = (query, path = join(data, 'opmaat.db')) => execFileSync('sqlite3', [path, query]).toString().trim();

/** The same lines in another order, the same each time. */
function shuffled(of, seed) {
    const out = [...of];
    let state = seed;
    for (let i = out.length - 1; i > 0; i--) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        const j = Math.floor(state / 2 ** 32 * (i + 1));
        [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
}

let totals;
let first;          // digests after the first import

test('a dry run says what would be taken, and writes nothing', async () => {
    const would = json(await importing(file, data, '--dry-run'));
    assert.deepEqual([would.lines, would.accepted + would.refused, would.people], [541_909, 541_909, 4372]);
    assert.equal(existsSync(data), false, 'no folder is made');
});

test('each of 541,909 lines is accepted or refused with a reason, and the sum reconciles', async () => {
    totals = json(await importing(file, data));
    assert.equal(totals.lines, 541_909);
    assert.equal(totals.accepted + totals.refused, totals.lines);
    assert.equal(totals.sum, '9747747.93');
    assert.equal((Number(totals.accepted_sum) + Number(totals.refused_sum)).toFixed(2), totals.sum);
    assert.equal(totals.people, 4372);
    assert.equal(totals.repeated, 5268);
    assert.equal(totals.no_consent, 0);
    const rows = refusals();
    assert.equal(rows.length, totals.refused);
    for (const row of rows) assert.match(row, /^line \d+: .{10,}/);
    assert.equal(new Set(rows.map((row) => row.split(':')[0])).size, rows.length, 'each line once');
    assert.deepEqual([...new Set(rows.map((row) => row.replace(/^line \d+: (.*?)( \(-?[\d.]+\))?$/, '$1')))].sort(), [
        'a note of the stock room: nobody bought it and nothing was paid', 'an adjustment of the books, not an order',
    ]);
    // The line that is named is the line that is meant.
    const adjusted = rows.filter((row) => row.includes('adjustment')).map((row) => Number(row.match(/\d+/)[0]));
    for (const at of adjusted) assert.match(lines[at - 1], /^A/);
    first = await digests(data);
});

test('refunds are their own orders, guests stay anonymous, people are those of the file', () => {
    const [refunds, people] = sql(`select count(distinct case when InvoiceNo like 'C%' then InvoiceNo end),
        count(distinct case when CustomerID <> '' then CustomerID end) from l`).split(',').map(Number);
    assert.deepEqual([totals.refunds, totals.people], [refunds, people]);
    assert.equal(Number(store('select count(*) from person')), 4372, 'a guest makes no person');
    assert.equal(Number(store('select count(*) from shop_order where node = 0')), totals.guests);
    assert.equal(Number(store('select count(*) from shop_order')), totals.orders + totals.refunds);
    assert.equal(store("select count(*) from identity_link where identifier like '%.0'"), '0', 'ids are 17850, not 17850.0');
});

test('cancellations net off: what each person spent is what the file says', async () => {
    const at = ['--at', '2011-12-10', '--data', data];
    const spent = async (person) => (await opmaat(['rule', 'explain', 'sum(order_completed.revenue) > 0 GBP',
        '--person', person, ...at])).stdout.match(/= (-?[\d.]+) GBP/)[1];
    // 80,995 pieces, cancelled the same day; and 74,215 pieces, all sent back.
    assert.deepEqual([await spent('16446'), Number(await spent('12346')), await spent('14646')], ['2.90', 0, '279489.02']);
    for (const least of [1000, 5000]) {
        const counted = json(await opmaat(['segment', 'count', `sum(order_completed.revenue) > ${least} GBP`, '--json', ...at]));
        assert.equal(counted.count, Number(sql(`select count(*) from (select sum(Quantity * UnitPrice) s from l
            where CustomerID <> '' group by CustomerID having s > ${least})`)));
    }
});

test('a count at a past instant is what sqlite3 counts in the file', async () => {
    const counted = await opmaat(['segment', 'count', '--at', '2011-12-10', 'count(order_completed, last 90 days) >= 3',
        '--data', data, '--json']);
    // The file's times are London's, where that instant was 01:00 of summer time.
    const said = Number(sql(`select count(*) from (select count(distinct InvoiceNo) n from l where CustomerID <> ''
        and InvoiceNo not like 'C%' and InvoiceNo not like 'A%' and InvoiceDate > '2011-09-11 01:00:00' group by CustomerID having n >= 3)`));
    assert.equal(json(counted).count, said);
    assert.equal(said, 751);
    const members = await opmaat(['segment', 'members', '--at', '2011-12-10', 'count(order_completed, last 90 days) >= 3', '--data', data]);
    const list = members.stdout.trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(list.length, 751);
    assert.match(list[0].identifiers.user_id, /^\d{5}$/);
});

test('the same lines in another order change nothing', async () => {
    const again = join(folder, 'shuffled.csv');
    writeFileSync(again, `${[lines[0], ...shuffled(lines.slice(1), 7)].join('\n')}\n`);
    const same = json(await importing(again, data));
    for (const name of ['lines', 'accepted', 'refused', 'sum', 'repeated', 'orders', 'refunds', 'people', 'guests'])
        assert.equal(same[name], totals[name], name);
    const now = await digests(data);
    // Counters of what came twice move; who there is, what they did and what can be bought does not.
    for (const part of ['identity', 'people', 'catalog', 'orders', 'definitions', 'cells', 'denials'])
        assert.equal(now[part], first[part], part);
});

test('one line more changes the order it belongs to, and no other', async () => {
    const before = join(folder, 'before.db');
    store('pragma wal_checkpoint(truncate)');
    copyFileSync(join(data, 'opmaat.db'), before);
    const more = join(folder, 'more.csv');
    const line = '536365,22423,REGENCY CAKESTAND 3 TIER,2,2010-12-01 08:26:00,12.75,17850.0,United Kingdom';
    writeFileSync(more, `${[...lines, line].join('\n')}\n`);
    const now = json(await importing(more, data));
    assert.deepEqual([now.lines, now.orders, now.people, now.sum], [541_910, totals.orders, 4372, '9747773.43']);
    const differing = (table) => store(`attach '${before}' as b; select a.id from ${table} a left join b.${table} o using (id)
        where o.id is null or a.bytes <> o.bytes;`).split('\n').filter(Boolean);
    const orders = differing('shop_order');
    assert.equal(orders.length, 1);
    assert.match(store(`select key from shop_order where id = ${orders[0]}`), /:536365$/);
    assert.equal(differing('person').length, 1);
    assert.equal(store('select count(*) from shop_order'), store('select count(*) from shop_order', before));
});

// ---- a server on what was imported ---------------------------------------------------------------------------

test('a shop that has only orders gets recommendations that say why, without what was just bought', async () => {
    await opmaat(['apply', join(root, 'docs/examples/gift-shop'), '--data', data]);
    const server = await startServer({ data, source: 'web', config: { flush_ms: 200, train_ms: 100 } });
    try {
        const bought = new Set(lines.filter((line) => line.includes(',17850.0,') && line < '536600').map((line) => line.split(',')[1].toUpperCase()));
        assert.ok(bought.size >= 20);
        const ask = (now, more = {}) => server.post('/v1/decide', {
            person: { user_id: '17850' }, placements: ['home_recs'], context: { now }, limit: 20, ...more,
        });
        const { decisions: { home_recs: row }, person_id, segments } = await eventually('the recommenders are built', async () => {
            const answer = await ask('2010-12-01T09:26:00Z');
            return answer.decisions.home_recs.items.some((item) => item.because.source === 'cooc') && answer;
        });
        assert.equal(row.items.length, 20);
        assert.match(person_id, /^p_\d+$/);
        assert.ok(segments.includes('regulars'));
        for (const item of row.items) {
            assert.ok(!bought.has(item.product_key), `${item.product_key} was bought an hour before`);
            assert.ok(item.because.text.length > 5 && item.because.source, JSON.stringify(item.because));
            assert.ok(item.title && item.price.price.currency === 'GBP');
            assert.ok(!['POST', 'DOT', 'M', 'D', 'BANK CHARGES'].includes(item.product_key), 'postage is not goods');
        }
        const personal = row.items.filter((item) => item.because.products.length);
        assert.ok(personal.length >= 10, 'most rest on something this person did');
        for (const item of personal) assert.ok(item.because.products.every((key) => bought.has(key)), 'and on nothing they did later');
        // Nobody knows this one: what is popular, and it says so.
        const { decisions } = await ask('2010-12-01T09:26:00Z', { person: { anonymous_id: 'never-seen' } });
        assert.ok(decisions.home_recs.items.every((item) => ['trending', 'bestsellers'].includes(item.because.source)));
        // When the interval has gone by, what was bought may come back.
        const later = (await ask('2012-06-01T00:00:00Z')).decisions.home_recs;
        assert.ok(later.items.length > 0);
    } finally {
        await server.stop();
    }
});

// ---- feeds, customers, events ----------------------------------------------------------------------------------

const feeds = join(folder, 'feeds');
const load = (kind, path, ...more) => opmaat(['import', kind, path, '--data', feeds, '--json', ...more], { ok: false });

test('products come as NDJSON, CSV, a Google TSV and a Google XML', async () => {
    const ndjson = await load('products', fixture('products.ndjson'));
    assert.deepEqual([ndjson.code, json(ndjson).accepted, json(ndjson).refused, json(ndjson).items], [0, 2, 2, 2]);
    assert.match(ndjson.stderr, /line 4: product_key/);
    assert.match(ndjson.stderr, /line 5: this is not JSON/);
    const csv = json(await load('products', fixture('products.csv')));
    assert.deepEqual([csv.accepted, csv.refused, csv.items], [3, 0, 3]);
    const tsv = json(await load('products', fixture('google.tsv')));
    assert.deepEqual([tsv.lines, tsv.accepted, tsv.items], [3, 3, 2], 'two sizes are one product');
    const xml = await load('products', fixture('google.xml'));
    assert.deepEqual([json(xml).accepted, json(xml).refused], [1, 1]);
    assert.match(xml.stderr, /line \d+: price/);
});

test('customers come as CSV, events as NDJSON, and again changes nothing', async () => {
    const people = await load('customers', fixture('customers.csv'));
    assert.deepEqual([json(people).accepted, json(people).refused, json(people).people], [2, 1, 2]);
    assert.match(people.stderr, /line 4: the line has no identifier/);
    const events = await load('events', fixture('events.ndjson'));
    assert.deepEqual([json(events).accepted, json(events).refused], [3, 2]);
    assert.match(events.stderr, /line 4: .*anonymousId/);
    const before = await digests(feeds);
    await load('events', fixture('events.ndjson'));
    await load('products', fixture('products.csv'));
    const now = await digests(feeds);
    for (const part of ['identity', 'people', 'catalog', 'orders']) assert.equal(now[part], before[part], part);
});

test('what was loaded is there: variants, stock, sale prices, languages, traits', async () => {
    const server = await startServer({ data: feeds, source: 'web', config: { flush_ms: 100 } });
    try {
        const item = (key) => server.get(`/v1/catalog/items/${key}`);
        const text = JSON.stringify(await item('boot-1'));
        assert.match(text, /9900/);
        assert.match(text, /12900/);
        assert.match(JSON.stringify(await item('boot-1-39')), /"product_key":"boot-1"/);
        assert.match(JSON.stringify(await item('scarf-1')), /Scarf, \\"wide\\"/);
        assert.match(JSON.stringify(await item('lamp-1')), /Lamp & shade/);
        const exported = await (await server.request('GET', '/v1/export/products', { key: server.secret })).text();
        const jeans = exported.trim().split('\n').map((line) => JSON.parse(line)).find((one) => one.product_key === 'jeans-1');
        assert.deepEqual(jeans.variants.map((one) => one.stock), [{ web: 4 }, { web: 0, 'oslo-1': 2 }]);
        const { person_id } = await server.post('/v1/people/lookup', { email: 'ana@shop.example' });
        assert.equal((await server.post('/v1/people/lookup', { phone: '+47 90000001' })).person_id, person_id);
        const ana = await server.get(`/v1/people/${person_id}`);
        assert.match(JSON.stringify(ana), /"first_name"/);
        const { events } = await server.get(`/v1/people/${person_id}/history`);
        assert.equal(events.filter((one) => one.type === 'product_viewed').length, 2, 'f-2 came twice and counts once');
    } finally {
        await server.stop();
    }
});

test('a file that cannot be read says so, and exits 1; nothing is half written', async () => {
    const broken = {
        'empty.csv': ['orders', '', /empty\.csv: the file is empty/],
        'columns.csv': ['orders', 'a,b\n1,2\n', /no column for order_key/],
        'feed.xml': ['products', '<rss><item>', /the XML is broken/],
        'cut.gz': ['orders', Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]), /gzip/],
        'nokeys.csv': ['products', 'a,b\n1,2\n', /every line was refused/],
    };
    for (const [name, [kind, bytes, says]] of Object.entries(broken)) {
        const path = join(folder, name);
        writeFileSync(path, bytes);
        const { code, stderr } = await load(kind, path);
        assert.equal(code, 1, name);
        assert.match(stderr, says);
    }
    const missing = await load('orders', join(folder, 'not-there.csv'));
    assert.deepEqual([missing.code, /not-there\.csv cannot be read/.test(missing.stderr)], [1, true]);
    writeFileSync(join(folder, 'map.json'), '{"columns": ');
    const badMap = await load('orders', file, '--map', join(folder, 'map.json'));
    assert.deepEqual([badMap.code, /map\.json: this is not JSON/.test(badMap.stderr)], [1, true]);
});

// ---- the command line itself ---------------------------------------------------------------------------------------

test('a slip of the pen is told with the nearest name, and exits 2', async () => {
    const slips = [
        [['imprt'], /did you mean import/],
        [['import', 'ordes', 'x'], /no import kind "ordes".*orders/],
        [['import', 'orders', 'x', '--dry-rn'], /no option --dry-rn; did you mean --dry-run/],
        [['import', 'orders'], /which file/],
        [['serve', '--flash_ms=3'], /did you mean --flush_ms/],
        [['serve', '--flush_ms=soon'], /flush_ms/],
        [['segment', 'count', 'true', '--at', 'tomorrow'], /--at tomorrow is no time/],
        [['segment', 'count'], /usage: opmaat segment/],
        [['rule', 'check', 'true', '--data'], /--data needs a value/],
        [['key', 'make'], /usage: opmaat key/],
        [['evaluate', 'session'], /usage: opmaat evaluate/],
    ];
    for (const [args, says] of slips) {
        const { code, stderr } = await opmaat([...args, ...(args.includes('--data') ? [] : ['--data', feeds])], { ok: false });
        assert.deepEqual([code, says.test(stderr)], [2, true], `${args.join(' ')}: ${code} ${stderr}`);
    }
});

test('help names every command, and each explains itself with an example', async () => {
    const { stdout } = await opmaat(['help']);
    const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map((found) => found[1]);
    assert.ok(names.length >= 15 && names.includes('import'));
    for (const name of names) {
        const help = await opmaat([name, '--help']);
        assert.match(help.stdout, new RegExp(`^opmaat ${name}`));
        assert.match(help.stdout, new RegExp(`example:\\n {2}opmaat ${name}`));
        assert.equal(help.stdout, (await opmaat(['help', name])).stdout);
    }
    assert.match((await opmaat(['segment', '--help'])).stdout, /begins in UTC/);
});

// ---- rules, statistics, recommenders ----------------------------------------------------------------------------------

const seven = [
    'gender = "female" and count(product_viewed where category under "jeans", last 30 days) >= 3',
    'did(order_completed, last 14 days) and not in segment "vip"',
    'sum(order_completed.revenue, last 365 days) > 500 EUR and days_since(last order_completed) > 60',
    'sequence(product_added then not order_completed within 2 hours)',
    'context.hour between 8 and 11 and context.weather = "cold" and item.stock[context.store] > 0',
    'affinity(category, "jeans") > 0.3 or quiz("skin-type") = "dry"',
    'item.price < 50 EUR and item.brand in ("Acme", "Nordic") and not purchased(item, last 180 days)',
];
const wrong = [
    ['did(order_complete, last 30 days)', 5, /order_completed/],
    ['gender = "female" and count(product_viewed last 30 days) >= 3', 44, /window/],
    ['sum(order_completed.revenue) > 500', 32, /currency|money/i],
    ['in segment "vpi"', 12, /vip/],
];

test('every example rule compiles, and a wrong one says the column and what was meant', async () => {
    const rules = newFolder();
    writeFileSync(join(rules, 'vip.json'), '{"kind": "segment", "key": "vip", "title": "VIP", "rule": "count(order_completed) >= 10"}');
    const own = join(rules, 'data');
    await opmaat(['import', 'customers', fixture('customers.csv'), '--data', own]);
    await opmaat(['apply', rules, '--data', own]);
    for (const rule of seven) assert.match((await opmaat(['rule', 'check', rule, '--data', own])).stdout, /^ok: /);
    const nowhere = join(own, 'nowhere');
    assert.match((await opmaat(['rule', 'check', seven[0], '--data', nowhere], { ok: false })).stderr, /there is no folder/);
    assert.ok(!existsSync(nowhere), 'checking a rule makes no folder');
    for (const [rule, column, says] of wrong) {
        const { code, stderr } = await opmaat(['rule', 'check', rule, '--data', own], { ok: false });
        assert.deepEqual([code, Number(stderr.match(/column (\d+)/)?.[1])], [1, column], `${rule}: ${stderr}`);
        assert.match(stderr, says);
        const told = json(await opmaat(['rule', 'check', rule, '--data', own, '--json'], { ok: false }));
        assert.deepEqual([told.ok, told.errors[0].column], [false, column]);
    }
    assert.equal(json(await opmaat(['rule', 'check', seven[0], '--data', own, '--json'])).ok, true);
    const server = await startServer({ data: own, source: 'web' });
    try {
        for (const [i, rule] of seven.entries()) {
            const place = i === 4 || i === 6 ? 'filter' : 'segment';
            const checked = await server.post('/v1/rules/check', { rule, in: place });
            assert.equal(checked.ok, true, `${rule}: ${JSON.stringify(checked)}`);
            assert.equal((await server.post('/v1/rules/check', { rule: checked.text, in: place })).text, checked.text, 'what it prints means the same');
        }
        for (const [rule, column] of wrong) {
            const { ok, errors } = await server.post('/v1/rules/check', { rule });
            assert.deepEqual([ok, errors[0].column], [false, column], rule);
        }
        const moment = await server.post('/v1/rules/check', { rule: seven[4], in: 'segment' });
        assert.equal(moment.ok, false, 'a segment holds with nobody looking');
    } finally {
        await server.stop();
    }
});

test('R40: what similar sessions did next beats popularity, and matches the published figures', async () => {
    const set = (name) => join(shared, 'data/session-toy', `${name}.txt.gz`);
    const evaluated = async (...more) => json(await opmaat(['evaluate', 'session', '--train', set('train'), '--test', set('test'), '--json', ...more]));
    const { metrics } = await evaluated();
    const popular = (await evaluated('--algorithm', 'pop')).metrics;
    assert.ok(metrics['hr@20'].value >= 0.64, JSON.stringify(metrics['hr@20']));
    assert.ok(metrics['mrr@20'].value >= 0.33, JSON.stringify(metrics['mrr@20']));
    const { low, value, high } = metrics['hr@20'];
    assert.ok(low < value && value < high);
    assert.ok(low > popular['hr@20'].high, `beyond doubt: popularity hits ${popular['hr@20'].value}`);
});

test('the statistics agree with published examples, to the digits that were published', async () => {
    const arms = (rows) => ({ key: 'm', kind: 'mean', arms: rows });
    const a = { key: 'a', n: 3407, sum: 1396.87, sum_sq: 52377.9767 };
    const b = { key: 'b', n: 3461, sum: 2422.7, sum_sq: 134698.29 };
    const stats = async (input) => json(await opmaat(['stats', '--json'], { input: JSON.stringify(input) }));
    const near = (got, wanted, digits) => assert.ok(Math.abs(got - wanted) < 0.6 * 10 ** -digits, `${got} is not ${wanted}`);
    const pick = (answer, name) => answer.metrics[0].comparisons[0][name];
    const relative = await stats({ metrics: [arms([a, b])], method: 'fixed', alpha: 0.05, relative: true });
    near(pick(relative, 'effect'), 0.70732, 5);
    near(pick(relative, 'low'), -0.03526, 5);
    near(pick(relative, 'high'), 1.44989, 5);
    near(pick(relative, 'p'), 0.06191, 5);
    const absolute = await stats({ metrics: [arms([a, b])], method: 'fixed', alpha: 0.05, relative: false });
    near(pick(absolute, 'effect'), 0.29, 2);
    near(pick(absolute, 'p'), 0.02016, 5);
    const sequential = await stats({ metrics: [arms([{ ...a, n: 3000 }, b])], method: 'sequential', alpha: 0.05, relative: true, tuning_n: 1000, compat: 'gbstats' });
    near(pick(sequential, 'effect'), 0.50336, 5);
    near(pick(sequential, 'low'), -0.55844, 5);
    near(pick(sequential, 'high'), 1.56516, 5);
    const wrongInput = await opmaat(['stats'], { ok: false, input: '{"metrics": 3}' });
    assert.deepEqual([wrongInput.code, wrongInput.stderr.startsWith('opmaat: ')], [1, true]);
});

before(() => assert.ok(statSync(file).size > 7_000_000));
after(() => {});
