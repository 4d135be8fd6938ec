// SPDX-License-Identifier: Apache-2.0
//
// console.test.mjs - the console in Chromium against the real server: a person at any instant, a segment and what a change of it
// would have done, a row of products merchandised by hand and tried as somebody, the search bench, and somebody forgotten.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { ADMIN, addAdmin, addEditor, openConsole } from './lib/console.mjs';
import { eventually, startServer } from './lib/server.mjs';

const { chromium } = createRequire(import.meta.url)('playwright-core');
const DAY = 86400e3;
const began = Date.now();
const ago = (days) => new Date(began - days * DAY).toISOString();
let server, browser;

const did = (userId, event, properties, days) => ({ type: 'track', event, messageId: randomUUID(), userId, properties, timestamp: ago(days) });
const viewed = (userId, product_id, days = 1) => did(userId, 'Product Viewed', { product_id }, days);
const lookup = async (who) => (await server.post('/v1/people/lookup', who)).person_id;

before(async () => {
    [server, browser] = await Promise.all([
        startServer({ config: { flush_ms: 100, train_ms: 200 }, basis: 'analytics=contract,personalisation=contract,model_training=contract' }),
        chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking',
            '--disable-component-update', '--disable-sync', '--no-first-run'] }),
    ]);
    await Promise.all([addEditor(server), addAdmin(server)]);
    await server.publish({ kind: 'settings', key: 'shop', title: 'Shop', holdout: '0%', currency: 'EUR' });
    const products = Array.from({ length: 8 }, (_, i) => ({ product_key: `shirt-${i}`, title: `Shirt ${i}`, brand: i % 2 ? 'Fjell' : 'Nordlys', category: 'Clothes > Shirts',
        colour: ['green', 'blue'][i % 2], price: '20', currency: 'EUR', stock: { web: 9 }, url: `https://shop.test/p/shirt-${i}` }));
    const { job } = await server.post('/v1/import/products', products.map((one) => JSON.stringify(one)).join('\n'), { status: 202 });
    await eventually('the products are in', async () => (await server.get(`/v1/jobs/${job}`)).state === 'done');
    await server.publish({ kind: 'strategy', key: 'shirts', title: 'Shirts', mix: { popular: 1 }, owner: 'kari@shop.test' });
    await server.publish({ kind: 'strategy', key: 'taste', title: 'Taste', mix: { popular: 1 }, owner: 'kari@shop.test' });
    await server.publish({ kind: 'placement', key: 'home', title: 'Home', channel: 'web', strategy: 'taste', schema: { headline: 'text?' } });
    await server.publish({ kind: 'segment', key: 'lookers', title: 'Lookers', rule: 'count(product_viewed, last 7 days) >= 3', owner: 'kari@shop.test' });
    await server.publish({ kind: 'segment', key: 'anybody', title: 'Anybody', rule: 'did(product_viewed, last 60 days)', owner: 'kari@shop.test' });
    const batch = [
        ...[12, 11, 10].map((d) => viewed('ana', 'shirt-1', d)),                // in from ten days ago to five days ago
        { type: 'identify', messageId: randomUUID(), userId: 'ana', traits: { first_name: 'Ana', city: 'Oslo' }, timestamp: ago(3) },
        ...[3, 2, 1].map((d) => viewed('bo', 'shirt-3', d)),
        { type: 'identify', messageId: randomUUID(), userId: 'bo', traits: { first_name: 'Bo' }, timestamp: ago(2) },
        did('ana', 'Products Searched', { query: 'jumper', results: 0 }, 1),
    ];
    // The lower the number, the more people look at it.
    for (let i = 0; i < 8; i++) for (let k = 0; k < 8 - i; k++) batch.push(viewed(`crowd-${k}`, `shirt-${i}`, 1));
    await server.post('/v1/batch', { batch });
    await eventually('the model knows the crowd', async () => (await server.get('/v1/models')).models[0]?.interactions >= 36);
});
after(async () => {
    await browser?.close();
    await server?.stop({ remove: true });
});

const open = (t, hash, as) => openConsole(t, browser, server, hash, { height: 1600, as });

const titles = (page, nth) => page.locator('.goods').nth(nth).locator('strong').allTextContents();

test('a person at any instant: what was known, what is different now, and what made it so', async (t) => {
    const ana = await lookup({ user_id: 'ana' });
    const page = await open(t, `people/${ana}`);
    const slider = page.getByRole('slider', { name: 'Any instant' });
    await page.waitForSelector('text=As of now');

    // Nine days ago: typed as an instant, in the reader's own time.
    const instant = new Date(began - 9 * DAY);
    const local = new Date(+instant - instant.getTimezoneOffset() * 60e3).toISOString().slice(0, 19);
    await page.getByLabel('At this instant').fill(local);
    await page.keyboard.press('Tab');
    const row = page.locator('tr', { hasText: 'Lookers' });
    await row.waitFor();
    assert.deepEqual((await row.locator('td').allTextContents()).slice(1, 3), ['in', 'out']);
    await row.locator('code').waitFor();
    assert.match(await row.locator('code').textContent(), /count\(product_viewed, last 7 days\) >= 3: 3, now 0/);
    const city = page.locator('tr', { hasText: 'City' });
    assert.deepEqual((await city.locator('td').allTextContents()).slice(1, 3), ['–', 'Oslo']);
    assert.match(page.url(), /\?at=2/, 'the instant is part of the address');

    // By the keyboard: an hour an arrow, and Home is where it began.
    const at = async () => Number(await slider.inputValue());
    const before = await at();
    await slider.focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    assert.equal(await at(), before - 2 * 3600e3);
    await page.keyboard.press('PageUp');
    assert.equal(await at(), before - 2 * 3600e3 + DAY);
    await page.keyboard.press('Home');
    await page.getByRole('button', { name: 'To the event after' }).click();
    await eventually('the second view is the instant', async () => Math.abs((await at()) - (began - 11 * DAY)) < 1500);

    await page.getByRole('tab', { name: 'Timeline until then' }).click();
    await eventually('only what had happened by then', async () => (await page.locator('.timeline > li:not(.day)').count()) === 2);
    await page.getByRole('button', { name: 'Now', exact: true }).click();
    await page.waitForSelector('text=As of now');
    await eventually('all of it again', async () => (await page.locator('.timeline > li:not(.day)').count()) > 2);
    assert.doesNotMatch(page.url(), /at=/);
    assert.deepEqual(page.wrong, []);
});

test('a segment: members are found, two are held against each other, and a change is tried on the past', async (t) => {
    const page = await open(t, 'segments/lookers');
    await page.getByLabel('Find a member').fill('bo');
    const members = page.locator('section', { has: page.getByLabel('Find a member') });
    await eventually('Bo alone', async () => (await members.locator('tbody a').allTextContents()).join() === 'Bo');
    await page.getByRole('button', { name: /^lookers and anybody share/ }).click();
    await page.waitForSelector('svg[aria-label^="1 shared"], svg[aria-label*="shared of"]');

    await page.getByLabel('Rule', { exact: true }).fill('count(product_viewed, last 7 days) >= 300');
    await page.waitForSelector('text=What this change would have done');
    await page.getByRole('button', { name: 'Try it on the past' }).click();
    await page.waitForSelector('text=0 would come');
    const { count } = await server.get('/v1/segments/lookers');
    assert.ok(count > 0, 'nothing was published');
    assert.deepEqual(page.wrong, []);
});

test('a rule is completed, refused where it is wrong with the nearest name, and counted with a sample as one types', async (t) => {
    const page = await open(t, 'segments/new');
    const rule = page.getByLabel('Rule', { exact: true });
    await rule.pressSequentially('coun');
    await page.getByRole('option', { name: /^count\(/ }).waitFor();
    await page.keyboard.press('Enter');
    await page.keyboard.type('product_viewd, last 7 days) >= 3');
    await page.waitForSelector('text=/Column 7.*product_viewd/');
    await page.waitForSelector('.rule-foot >> text=product_viewed');
    await rule.fill('count(product_viewed, last 7 days) >= 3');
    await page.waitForSelector('text=/people now|person now/');
    await page.waitForSelector('.rule-foot a');
    assert.deepEqual(page.wrong, []);
});

test('a row is merchandised by drag and by the keyboard, tried before it is published, and then stands so', async (t) => {
    const page = await open(t, 'strategies/shirts');
    await eventually('both rows are there', async () => (await titles(page, 1)).length === 8);
    const order = await titles(page, 0);
    const line = (title) => page.locator('.goods').nth(1).locator('li', { hasText: title });
    await line(order[5]).dragTo(line(order[1]));
    await eventually('it stands second', async () => (await titles(page, 1))[1] === order[5]);
    assert.deepEqual(await titles(page, 0), order, 'what is in force stays as it is');
    assert.match(await line(order[5]).textContent(), /↑ 4.*pinned to 2/);

    // The same by the keyboard: pinned, then up two places; the focus goes with it.
    await line(order[7]).getByRole('button', { name: `Pin ${order[7]} to place 8` }).focus();
    await page.keyboard.press('ArrowUp');
    await eventually('one place up', async () => (await titles(page, 1))[6] === order[7]);
    await page.keyboard.press('ArrowUp');
    await eventually('two places up', async () => (await titles(page, 1))[5] === order[7]);
    const shown = async () => (await server.post('/v1/recommend', { strategy: 'shirts', limit: 8, record: false })).items.map((one) => one.title);
    assert.deepEqual(await shown(), order, 'nothing is published yet');

    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForSelector('text=It is live');
    const now = await shown();
    assert.deepEqual([now[1], now[5]], [order[5], order[7]]);
    assert.deepEqual(page.wrong, []);
});

test('the playground: a person, a placement and a weight; before and after side by side with reasons', async (t) => {
    const page = await open(t, 'strategies/taste');
    await eventually('both rows are there', async () => (await titles(page, 1)).length === 8);
    await page.getByLabel('Person').fill('user_id:bo');
    await page.getByLabel('Placement').selectOption('home');
    await page.getByRole('slider', { name: /^Brand/ }).fill('5');
    const fjell = (list) => list.slice(0, 4).filter((title) => Number(title.at(-1)) % 2).length;      // the odd ones are Fjell's, whom Bo looks at
    await eventually('what Bo looks at rises', async () => fjell(await titles(page, 1)) > fjell(await titles(page, 0)));
    await eventually('it is said how far each moved', async () => (await page.locator('.goods').nth(1).locator('.moved').count()) > 0);
    assert.match(await page.locator('.goods').nth(1).textContent(), /dealt with most 1\.00/);
    assert.deepEqual(page.wrong, []);
});

test('the search bench: found as one types, a rank explained, and what found nothing becomes a synonym', async (t) => {
    const page = await open(t, 'search');
    await page.getByRole('searchbox', { name: 'Words' }).fill('shirt');
    await eventually('two orders', async () => (await titles(page, 0)).length === 8 && (await titles(page, 1)).length === 8);
    await page.getByRole('button', { name: /^Why .* stands at 1$/ }).first().click();
    const parts = (await page.locator('.rank td.num').allTextContents()).map((text) => Number(text.replace('× ', '')));
    const product = parts.slice(0, -1).reduce((x, y) => x * y, 1);
    assert.ok(Math.abs(product - parts.at(-1)) < 0.005 * product, `the score is the product of its parts: ${parts}`);   // each is shown to four figures

    await page.getByRole('tab', { name: 'Report' }).click();
    await page.locator('tr', { hasText: 'jumper' }).getByRole('button', { name: 'Add a synonym' }).click();
    await page.getByLabel('Synonyms').pressSequentially('shirt');   // behind what stands there
    assert.equal(await page.getByLabel('Synonyms').inputValue(), 'jumper, shirt');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForSelector('text=It is live');
    await eventually('the word finds something', async () => (await server.post('/v1/search', { q: 'jumper', record: false })).total === 8);
    assert.deepEqual(page.wrong, []);
});

test('privacy: an admin finds somebody, hands out a copy, erases them, and they are gone; an editor only reads the receipts', async (t) => {
    const cy = { user_id: 'cy-forgotten', email: 'cy@example.com' };
    await server.post('/v1/batch', { batch: [
        { type: 'identify', messageId: randomUUID(), userId: cy.user_id, traits: { first_name: 'Cy', email: cy.email }, timestamp: ago(3) },
        viewed(cy.user_id, 'shirt-2', 2), did(cy.user_id, 'Order Completed', { order_id: 'o-cy', revenue: 20, currency: 'EUR' }, 1),
    ] });
    const id = await lookup({ user_id: cy.user_id });
    const page = await open(t, `people/${id}`, ADMIN);
    await page.getByRole('link', { name: 'Erase or export' }).click();
    await page.waitForSelector('text=Nothing has happened yet.');
    await page.getByRole('link', { name: 'Privacy' }).click();
    await page.waitForSelector('text=Nobody was erased yet');

    await page.getByLabel('Find a person').fill(cy.user_id);
    await page.keyboard.press('Enter');
    const tally = page.locator('.tally');
    await tally.waitFor();
    assert.equal(new URL(page.url()).hash, `#/privacy/${id}`, 'what they are called stands in no address');
    assert.match(await tally.textContent(), /1profile.*1order.*3events in the log/);
    const [copy] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download it' }).click()]);
    const held = JSON.parse(readFileSync(await copy.path()));
    assert.ok(held.person.identifiers.some((one) => one.value === cy.user_id));
    assert.ok(held.history.some((one) => one.items?.[0].product_key === 'shirt-2') && held.history.some((one) => one.value_minor === 2000), JSON.stringify(held.history));

    await page.getByRole('button', { name: 'Erase…' }).click();
    const form = page.getByRole('form', { name: 'Erase for good' });
    const [, name] = (await form.locator('label').textContent()).match(/^Type (.*) to confirm$/);
    assert.ok(Object.values(cy).includes(name), name);
    await page.keyboard.type(name.slice(1));
    assert.ok(await form.getByRole('button', { name: 'Erase for good' }).isDisabled());
    await form.getByRole('textbox').fill(name);
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash.startsWith('#/privacy/e_'));
    await page.locator('.card', { hasText: 'Receipt e_' }).getByText('Done', { exact: true }).first().waitFor();
    await server.post('/v1/people/lookup', { user_id: cy.user_id }, { status: 404 });
    await server.post('/v1/people/lookup', { email: cy.email }, { status: 404 });
    const row = page.locator('tbody tr').first();
    assert.match(await row.textContent(), /Done.*liv@shop\.test.*1 profile, 3 events, 1 order/);
    assert.doesNotMatch(await page.locator('main').textContent(), /cy@|cy-forgotten/, 'the receipt names nobody');
    await page.getByLabel('Find a person').fill(cy.user_id);
    await page.keyboard.press('Enter');
    await page.waitForSelector('text=Nobody has that identifier.');
    assert.deepEqual(page.wrong, []);

    const editor = await open(t, `privacy/${id}`);
    await editor.waitForSelector('td >> text=liv@shop.test');
    assert.equal(await editor.getByRole('button', { name: /Find|Erase|Download/ }).count(), 0);
});
