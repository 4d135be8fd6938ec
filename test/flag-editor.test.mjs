// SPDX-License-Identifier: Apache-2.0
// The console's flag editor in Chromium against the real server: a boundary is dragged, the flag is published, and of a thousand
// people only those move whom the bar said would move.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { addEditor, openConsole } from './lib/console.mjs';
import { opmaat, startServer } from './lib/server.mjs';

const { chromium } = createRequire(import.meta.url)('playwright-core');
const people = Array.from({ length: 1000 }, (_, i) => (i % 3 ? `user-${i}` : `ż-${i}`));
let server, browser;

const arm = (key, share, value) => ({ key, share, value });
const checkout = { kind: 'flag', key: 'checkout', title: 'New checkout', owner: 'kari@shop.test', type: 'bool', default: false, rules: [
    { key: 'staff', kind: 'force', target: 'context.staff = true', value: true },
    { key: 'test', kind: 'experiment', target: 'context.country in ("NO", "SE")', variations: [arm('old', '50%', false), arm('new', '50%', true)] },
] };

before(async () => {
    [server, browser] = await Promise.all([
        startServer({ config: { flush_ms: 100 } }),
        chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking',
            '--disable-component-update', '--disable-sync', '--no-first-run'] }),
    ]);
    await addEditor(server);
    await server.publish(checkout);
});
after(async () => {
    await browser?.close();
    await server?.stop({ remove: true });
});

const open = (t, hash) => openConsole(t, browser, server, hash, { height: 2400 });

/** The variation of each of the people, as a shop's server asks for it. */
async function assignments(flag = 'checkout', context = { country: 'NO' }) {
    const found = {};
    for (let i = 0; i < people.length; i += 50) {
        await Promise.all(people.slice(i, i + 50).map(async (id) => {
            const answer = await server.post(`/ofrep/v1/evaluate/flags/${flag}`, { context: { targetingKey: id, ...context } });
            found[id] = answer.metadata.variationId ?? null;
        }));
    }
    return found;
}

/** Takes hold of an arm's boundary and lets go of it so many parts in a hundred of the bar further on. */
async function drag(page, arm, by) {
    const handle = page.getByRole('slider', { name: `Share of ${arm}` });
    const box = await handle.boundingBox(), bar = await page.locator('.ranges', { has: handle }).boundingBox();
    const x = box.x + box.width / 2, y = box.y + box.height / 2;
    await page.mouse.move(x, y);
    await page.mouse.down();
    for (let i = 1; i <= 5; i++) await page.mouse.move(x + (bar.width * by * i) / 500, y);
    await page.mouse.up();
}

const shareOf = (page, arm) => page.getByRole('slider', { name: `Share of ${arm}` }).getAttribute('aria-valuenow');

test('a boundary is dragged and published: only who must move is moved, as the bar said', async (t) => {
    const page = await open(t, 'flags/checkout');
    await page.waitForSelector('text=Nobody moves.');
    const before = await assignments();
    await drag(page, 'old', -20);
    assert.deepEqual([await shareOf(page, 'old'), await shareOf(page, 'new')], ['30', '70']);
    await page.waitForSelector('text=20 % go from old to new');
    assert.equal(await page.locator('.ranges .moving').count(), 1);
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForSelector('text=It is live');
    await page.waitForSelector('text=Nobody moves.');

    const after = await assignments();
    const moved = people.filter((id) => before[id] !== after[id]);
    assert.ok(moved.length > 150 && moved.length < 250, `${moved.length} of 1000 moved where 20 % must`);
    assert.ok(moved.every((id) => before[id] === 'old' && after[id] === 'new'), 'all of them from old to new');

    // The other way round: the boundary stands where it stood, and who came back is who had left.
    await drag(page, 'old', 20);
    await page.waitForSelector('text=20 % go from new to old');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForSelector('text=Nobody moves.');
    const back = await assignments();
    const again = people.filter((id) => after[id] !== back[id]);
    assert.ok(again.every((id) => after[id] === 'new' && back[id] === 'old'));
    assert.deepEqual((await server.get('/v1/definitions/flag/checkout')).document.rules[1].variations.map((v) => v.share), ['50%', '50%']);
    assert.deepEqual(page.wrong, []);
});

test('arms of 10 % grow where they stand, by the keyboard too, and nobody leaves one', async (t) => {
    await server.publish({ ...checkout, key: 'small', rules: [{ key: 'x', kind: 'experiment', variations: [arm('a', '10%', false), arm('b', '10%', true)] }] });
    const before = await assignments('small');
    const page = await open(t, 'flags/small');
    await page.waitForSelector('text=Nobody moves.');
    await drag(page, 'a', 15);
    const handle = page.getByRole('slider', { name: 'Share of b' });
    await handle.focus();
    for (let i = 0; i < 5; i++) await handle.press('ArrowRight');
    await page.waitForSelector('text=15 % come into a, 5 % come into b');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForSelector('text=Nobody moves.');
    const after = await assignments('small');
    assert.deepEqual((await server.get('/v1/definitions/flag/small')).document.rules[0].variations.map((v) => v.share), ['25%', '15%']);
    assert.ok(people.every((id) => before[id] === null || before[id] === after[id]), 'who was in an arm is in it');
    assert.ok(people.some((id) => before[id] === null && after[id] === 'a'));
});

test('what would move is asked without changing anything, and bad questions are told why', async () => {
    const ask = (more, options) => server.post('/v1/ranges', { kind: 'flag', key: 'checkout', rule: 'test', variations: [arm('old', '40%'), arm('new', '60%')], ...more }, options);
    const said = await ask();
    assert.deepEqual([said.live, said.anew, said.moved], [true, false, '10%']);
    assert.ok(said.moves.every((m) => m.from === 'old' && m.to === 'new'));
    assert.equal(said.moves.reduce((n, m) => n + m.end - m.start, 0), 1000);
    for (const r of said.now.filter((one) => one.end > one.start)) assert.ok(said.then.some((one) => one.start === r.start && one.variation === r.variation), 'starts stay');
    assert.equal((await ask({ variations: [arm('new', '50%'), arm('old', '50%')] })).anew, true);
    assert.equal((await ask({ rule: 'not_there_yet' })).live, false);
    await ask({ kind: 'segment' }, { status: 400 });
    await ask({ variations: [arm('a', '70%'), arm('b', '70%')] }, { status: 400 });
    await ask({ variations: [arm('a', 'half')] }, { status: 400 });
    assert.equal((await server.get('/v1/definitions/flag/checkout')).document.rules[1].variations[0].share, '50%');
});

test('a flag is made: rules in another order, a target that is wrong said where it is, a link that forces a variation', async (t) => {
    const page = await open(t, 'flags/new');
    await page.getByLabel('Title').fill('Banner');
    await page.getByLabel('Key', { exact: true }).first().fill('banner');
    await page.getByLabel('Owner').fill('kari@shop.test');
    await page.getByLabel('Type').selectOption('string');
    await page.getByRole('button', { name: 'Add: experiment' }).click();
    await page.getByLabel('Value').nth(0).fill('none');
    await page.getByLabel('Value').nth(1).fill('17 May');
    await page.getByRole('button', { name: 'Add: rollout' }).click();
    await page.getByLabel('Target of rule_2').fill('context.country ~~ "NO"');
    await page.waitForSelector('text=/Column \\d+/');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForSelector('text=It was not published');
    await page.getByLabel('Target of rule_2').fill('context.country = "NO"');
    await page.dragAndDrop('.grip >> nth=1', '.grip >> nth=0');
    await page.waitForSelector('text=1. rule_2');
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForFunction(() => location.hash === '#/flags/banner');
    assert.deepEqual((await server.get('/v1/definitions/flag/banner')).document.rules.map((r) => [r.key, r.kind]), [['rule_2', 'rollout'], ['rule_1', 'experiment']]);

    await page.getByRole('tab', { name: 'QA links' }).click();
    await page.getByLabel('Variation').selectOption({ label: 'rule_1 / treatment' });
    await page.getByRole('button', { name: 'Make the link' }).click();
    const link = new URL(await page.locator('code.rule-text').first().textContent());
    const looked = await Promise.all(people.slice(0, 20).map((id) => server.post('/ofrep/v1/evaluate/flags/banner',
        { context: { targetingKey: id, opmaat_preview: link.searchParams.get('opmaat_preview') } })));
    assert.ok(looked.every((answer) => answer.value === '17 May' && answer.metadata.why === 'preview'));

    await page.getByRole('button', { name: 'Pause' }).click();
    await page.waitForSelector('.head >> text=Paused');
    assert.equal((await server.post('/ofrep/v1/evaluate/flags/banner', { context: { targetingKey: 'ana' } })).reason, 'DISABLED');
    assert.deepEqual(page.wrong, []);
});

test("a campaign's experiment has the same bar", async (t) => {
    await server.publish({ kind: 'placement', key: 'hero', title: 'Hero', channel: 'web', schema: { headline: 'text' }, default: { headline: 'Welcome' } });
    await server.publish({ kind: 'campaign', key: 'spring', title: 'Spring', placement: 'hero', goal: 'find spring clothes', metric: 'order_rate', experiences: [
        { key: 'all', choose: 'experiment', variations: [{ key: 'a', share: '50%', content: { headline: 'A' } }, { key: 'b', share: '50%', content: { headline: 'B' } }] }] });
    const shown = async () => Object.fromEntries(await Promise.all(people.slice(0, 300).map(async (id) => {
        const { decisions } = await server.post('/v1/decide', { person: { user_id: id }, placements: ['hero'] });
        return [id, (Array.isArray(decisions) ? decisions[0] : decisions.hero).variation];
    })));
    const before = await shown();
    const page = await open(t, 'campaigns/spring');
    await page.waitForSelector('text=Nobody moves.');
    await drag(page, 'a', -10);
    await page.waitForSelector('text=10 % go from a to b');
    await page.getByLabel('Lift worth seeing').fill('5%');
    await page.getByRole('group', { name: 'Must not get worse' }).getByLabel('Cart abandonment').check();
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForSelector('text=Nobody moves.');
    const after = await shown(), moved = Object.keys(before).filter((id) => before[id] !== after[id]);
    assert.ok(moved.length > 10 && moved.length < 60, `${moved.length} of 300`);
    assert.ok(moved.every((id) => before[id] === 'a' && after[id] === 'b'));
    const { document } = await server.get('/v1/definitions/campaign/spring');
    assert.deepEqual([document.mde, document.guardrails], ['5%', ['cart_abandonment']]);
    assert.deepEqual(page.wrong, []);
});

test('R87: the dashboard has the share of live rules with a control, and marks those without', async (t) => {
    const page = await open(t, 'coverage'), found = await server.get('/v1/tests/coverage');
    await page.waitForSelector(`text=${(found.share * 100).toFixed(0)} % of ${found.live} live rules have a control`);
    const row = page.locator('tr', { hasText: 'staff' });
    await row.getByText('Nobody: it cannot be judged').waitFor();
    assert.equal(await page.getByText('Nobody: it cannot be judged').count(), found.live - found.with_control);
});

test('what a protocol cannot say, on the screen and on the command line', async (t) => {
    const page = await open(t, 'flags/lint');
    await page.locator('tr', { hasText: 'small' }).getByText('Left out').first().waitFor();
    await page.waitForSelector('text=It asks the server, so it says all that a flag can.');
    const found = await server.get('/v1/flags/lint');
    await server.stop();
    const { stdout } = await opmaat(['flag', 'lint', '--data', server.data, '--json']);
    assert.deepEqual(JSON.parse(stdout), found);
    const growthbook = await opmaat(['flag', 'lint', '--data', server.data, '--for', 'growthbook', '--flag', 'small'], { ok: false });
    assert.equal(growthbook.code, 1);
    assert.match(growthbook.stdout, /^growthbook: small\/x: left out: /m);
    assert.equal((await opmaat(['flag', 'lint', '--data', server.data, '--for', 'morse'], { ok: false })).code, 2);
});
