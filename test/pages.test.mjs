// SPDX-License-Identifier: Apache-2.0
//
// pages.test.mjs - every page of the console, as a demo shop fills it, in Chromium against the real server: no error is thrown or
// logged, nothing is wider than a phone, every control has a name, text stands out from its ground, and the keyboard gets there.
// Beside it the two forms of a test: several things at once, and looks by plan.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { PATIENCE_MS, startServer } from './lib/server.mjs';

const { chromium } = createRequire(import.meta.url)('playwright-core');
let server, browser, person;

/* Every page there is, and each tab that has an address. */
const PAGES = [
    'overview', 'sources', 'sources/shop', 'dead-letters', 'connectors', 'connectors/new', 'connectors/warehouse', 'people', 'people/PERSON', 'segments', 'segments/new', 'segments/review', 'segments/loyal',
    'predictions', 'campaigns', 'campaigns/new', 'campaigns/jeans', 'campaigns/jeans/preview', 'campaigns/jeans/json', 'campaigns/jeans/revisions', 'campaigns/jeans/results',
    'flags', 'flags/new', 'flags/lint', 'flags/front', 'flags/front/results', 'flags/way_out/results', 'flags/delivery_line', 'placements', 'placements/new', 'placements/enough', 'placements/home_recs', 'quizzes', 'quizzes/new',
    'quizzes/style', 'strategies', 'strategies/new', 'strategies/for_you', 'search', 'metrics', 'metrics/new', 'plan', 'coverage', 'results', 'keys', 'accounts', 'privacy', 'privacy/PERSON', 'audit', 'nowhere',
];

/* In the page: what a person who cannot see it, or sees little, or has a phone would stumble over. */
function faults() {
    const found = [];
    const shown = (node) => node.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true });
    const say = (what, node) => found.push(`${what}: ${node.outerHTML.slice(0, 120)}`);
    const scrolled = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (scrolled > 0) found.push(`${scrolled} px wider than the window`);
    /* A menu that stands on top is as high as its lines are, however short the page. */
    const side = document.querySelector('.side'), menu = side?.querySelector('nav');
    if (side && side.offsetWidth === innerWidth && side.offsetHeight > menu.offsetHeight + 100) found.push(`the menu takes ${side.offsetHeight} px`);
    for (const node of document.querySelectorAll('input, select, textarea, button, a[href], [role="slider"], [role="tab"]')) {
        const labelled = (node.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
        const name = node.getAttribute('aria-label') || labelled.trim() || [...(node.labels ?? [])].map((l) => l.textContent).join('') || node.textContent || node.title;
        if (shown(node) && !name.trim()) say('has no name', node);
        if (shown(node) && node.tabIndex < 0 && !node.disabled && !['tab', 'option'].includes(node.getAttribute('role')) && node.tagName !== 'H1') say('the keyboard does not get there', node);
    }
    for (const node of document.querySelectorAll('img:not([alt]), svg:not([aria-hidden]):not([aria-label]):not([role])')) say('says nothing', node);
    const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
    for (const id of new Set(ids.filter((one, i) => ids.indexOf(one) !== i))) found.push(`two things are called ${id}`);
    if (document.querySelectorAll('h1').length !== 1) found.push(`${document.querySelectorAll('h1').length} headings of the first order`);
    for (const node of document.querySelectorAll('[aria-describedby], label[for]'))
        for (const id of (node.getAttribute('aria-describedby') ?? node.htmlFor).split(' ')) if (!document.getElementById(id)) say(`points at ${id}, which is not there`, node);
    /* WCAG 2: contrast of 4.5, of large text 3. Colours are read back from a canvas, so any way of writing one will do. */
    const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const painted = (colours) => {
        pen.clearRect(0, 0, 1, 1);
        for (const one of colours) {
            pen.fillStyle = one;
            pen.fillRect(0, 0, 1, 1);
        }
        return pen.getImageData(0, 0, 1, 1).data;
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const said = new Set();
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !shown(node) || node.closest('[disabled], svg, canvas, .hidden, .skip, .copy, .mock, .ranges, option, script, style')) continue;
        const grounds = [];
        for (let up = node; up; up = up.parentElement) grounds.unshift(getComputedStyle(up).backgroundColor);
        const style = getComputedStyle(node), ink = light(painted([...grounds, style.color])), ground = light(painted(grounds));
        const contrast = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
        const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && +style.fontWeight >= 700);
        const key = `${style.color} ${node.className}`;
        if (contrast < (large ? 3 : 4.5) - 0.01 && !said.has(key)) say(`contrast ${contrast.toFixed(2)}`, node);
        said.add(key);
    }
    return found;
}

async function open(t, { width, dark }) {
    const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme: dark ? 'dark' : 'light' });
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.wrong = [];
    const notes = JSON.parse(readFileSync(join(server.data, 'demo.json')));
    await page.goto(server.url);
    await page.fill('[name=email]', notes.account);
    await page.fill('[name=password]', notes.password);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.side nav');
    page.on('pageerror', (e) => page.wrong.push(`thrown: ${e.message}`));
    page.on('console', (m) => { if (['error', 'warning'].includes(m.type())) page.wrong.push(`logged: ${m.text()}`); });
    return page;
}

const go = async (page, hash) => {
    await page.evaluate((to) => { location.hash = `#/${to}`; }, hash);
    await page.waitForFunction((to) => location.hash === `#/${to}` && document.querySelector('h1')?.textContent.trim().length > 1 && !document.querySelector('.main [aria-busy]'), hash);
};

before(async () => {
    [server, browser] = await Promise.all([
        startServer({ command: 'demo', keys: false, args: ['--days', '2'], wait_ms: 2 * PATIENCE_MS }),
        chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking',
            '--disable-component-update', '--disable-sync', '--no-first-run'] }),
    ]);
    server.secret = JSON.parse(readFileSync(join(server.data, 'demo.json'))).secret_key;
    person = (await server.get('/v1/people?limit=20')).people.find((p) => p.known)?.person_id ?? 'p_1';
    const cell = (headline, picture) => ({ key: `${headline}_${picture}`, share: '25%', value: { headline, picture }, levels: { headline, picture } });
    await server.publish({ kind: 'flag', key: 'front', title: 'Front page', owner: 'kari@demo.shop', type: 'json', default: {}, rules: [{ key: 'both', kind: 'experiment',
        factors: { headline: ['old', 'new'], picture: ['sea', 'wood'] }, variations: [cell('old', 'sea'), cell('old', 'wood'), cell('new', 'sea'), cell('new', 'wood')] }] });
});
after(async () => {
    await browser?.close();
    await server?.stop({ remove: true });
});

for (const [name, how] of [['on a phone', { width: 390 }], ['on a phone, dark', { width: 390, dark: true }], ['on a tablet', { width: 768 }],
    ['on a desk, dark', { width: 1440, dark: true }]])
    test(`every page ${name}: no errors, no faults`, { timeout: 300_000 }, async (t) => {
        const page = await open(t, how), all = [];
        for (const hash of PAGES) {
            page.wrong.length = 0;
            await go(page, hash.replace('PERSON', person)).catch(async (e) => page.wrong.push(`did not come: ${e.message.split('\n')[0]} (${(await page.title())})`));
            all.push(...[...page.wrong, ...await page.evaluate(faults)].map((fault) => `${hash}: ${fault}`));
        }
        assert.deepEqual(all, []);
    });

test('the keyboard alone: past the menu to the content, and through every link of the menu', async (t) => {
    const page = await open(t, { width: 1440 });
    await go(page, 'people');
    await page.evaluate(() => document.body.focus());
    const focused = () => page.evaluate(() => document.activeElement.getAttribute('href') ?? document.activeElement.id ?? '');
    await page.locator('.skip').focus();
    await page.keyboard.press('Enter');
    assert.equal(await focused(), 'main');
    await page.locator('.skip').focus();
    const links = await page.locator('.side nav a').evaluateAll((all) => all.map((a) => a.getAttribute('href')));
    const seen = [];
    for (let i = 0; i < links.length + 1; i++) {
        await page.keyboard.press('Tab');
        seen.push(await focused());
    }
    assert.deepEqual(seen.slice(1), links);
    const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(ring, 'none', 'one sees where one is');
    await page.keyboard.press('Enter');
    await page.waitForFunction((to) => location.hash === to, links.at(-1));
});

test('R81: a test of several things at once is made in the console, and its results tell main effects and what works together', async (t) => {
    const page = await open(t, { width: 1440 });
    await go(page, 'flags/new');
    await page.getByLabel('Title').fill('Two things');
    await page.getByLabel('Key').first().fill('two_things');
    await page.getByLabel('Type').selectOption('json');
    await page.getByRole('button', { name: 'Add: experiment' }).click();
    await page.getByRole('button', { name: 'Test several things at once' }).click();
    await page.getByLabel('Factor 2').fill('button');
    await page.getByLabel('Levels').nth(1).fill('buy, add, take');
    assert.match(await page.locator('.hint', { hasText: '2 × 3 make 6 cells' }).textContent(), /16\.7 % each/);
    await page.getByRole('slider', { name: 'Share of new_take' }).waitFor();
    assert.equal(await page.getByRole('slider', { name: /Share of/ }).count(), 6, 'the allocation is seen before it is published');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForFunction(() => location.hash === '#/flags/two_things');
    const { document } = await server.get('/v1/definitions/flag/two_things'), [rule] = document.rules;
    assert.deepEqual(rule.factors, { headline: ['old', 'new'], button: ['buy', 'add', 'take'] });
    assert.equal(rule.variations.length, 6);
    assert.deepEqual(rule.variations[5], { key: 'new_take', share: '16.66%', value: { headline: 'new', button: 'take' }, levels: { headline: 'new', button: 'take' } });
    const orders = [], consent = { categoryPreferences: { analytics: true, personalisation: true } };
    const count = {};
    for (let from = 0; from < 300; from += 25)
        await Promise.all(Array.from({ length: 25 }, async (_, i) => {
            const id = `both-${from + i}`;
            await server.post('/v1/identify', { userId: id, messageId: id, traits: {}, context: { consent } });
            const { variant } = await server.post('/ofrep/v1/evaluate/flags/front', { context: { targetingKey: id } });
            count[variant] = (count[variant] ?? 0) + 1;
            if (count[variant] % (variant === 'new_wood' ? 2 : 10) === 0)
                orders.push({ type: 'track', event: 'Order Completed', userId: id, messageId: `o-${id}`, context: { consent }, properties: { order_id: `o-${id}`, revenue: 20, currency: 'EUR' } });
        }));
    await server.post('/v1/batch', { batch: orders });
    await go(page, 'flags/front/results');
    const rows = page.locator('.card', { hasText: 'By factor' }).locator('tbody tr');
    await page.waitForFunction(() => document.querySelectorAll('.card tbody tr').length >= 3);
    assert.deepEqual(await rows.locator('td:first-child strong').allTextContents(), ['Headline: new', 'Picture: wood', 'Headline: new']);
    assert.match(await rows.nth(2).textContent(), /more when picture is wood.*\+\d/);
});

test('a test by plan: the form writes it, what cannot be is refused, and the results draw its boundary', async (t) => {
    const page = await open(t, { width: 1440 });
    await go(page, 'campaigns/welcome_offer');
    await page.getByLabel('When it is judged').selectOption('plan');
    await page.getByLabel('People at the last look').fill('100');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.locator('.main li', { hasText: 'people is 200 to' }).waitFor();
    await page.getByLabel('People at the last look').fill('2000');
    await page.getByLabel('Looks', { exact: true }).fill('4');
    await page.getByLabel('Boundary').selectOption('pocock');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.getByText('changes not live').waitFor({ state: 'detached' });
    const { document } = await server.get('/v1/definitions/campaign/welcome_offer');
    assert.deepEqual(document.looks, { people: 2000, times: 4, spending: 'pocock' });
    const { group_sequential: plan, comparisons } = await server.get('/v1/results/welcome_offer');
    assert.deepEqual([plan.spending, plan.people, plan.times], ['pocock', 2000, 4]);
    for (const { held, ahead } of plan.comparisons) {
        assert.equal((held.at(-1)?.look ?? 0) + ahead.length, 4);
        for (const bound of [...held, ...ahead].map((look) => look.bound)) assert.ok(bound > 1.96 && bound < 6, `${bound}`);
    }
    const primary = comparisons.find((c) => c.tier === 'primary');
    if (primary && !plan.comparisons[0].held.length) assert.equal(primary.significant, false, 'nothing is said before the first look');
    await go(page, 'campaigns/welcome_offer/results');
    const card = page.locator('.card', { hasText: 'looks by plan' });
    await card.waitFor();
    if (plan.comparisons.length) assert.match(await card.locator('svg.boundary').getAttribute('aria-label'), /look/);
});
