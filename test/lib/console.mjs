// SPDX-License-Identifier: Apache-2.0
// console.mjs - the console in a browser, as an editor sees it, or an admin.

import { PATIENCE_MS } from './server.mjs';

const EDITOR = { email: 'kari@shop.test', role: 'editor', password: 'long enough for this' };
export const ADMIN = { email: 'liv@shop.test', role: 'admin', password: 'long enough for that' };

/** Makes the account that openConsole logs in with; and the one for what only an admin may. */
export const addEditor = (server) => server.post('/v1/accounts', EDITOR);
export const addAdmin = (server) => server.post('/v1/accounts', ADMIN);

/** A page of the console, logged in; it closes with the test. What went wrong on it gathers in page.wrong. */
export async function openConsole(t, browser, server, hash, { height, as = EDITOR }) {
    const context = await browser.newContext({ viewport: { width: 1300, height } });
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.wrong = [];
    page.on('pageerror', (e) => page.wrong.push(e.message));
    await page.goto(`${server.url}/#/${hash}`);
    await page.fill('[name=email]', as.email);
    await page.fill('[name=password]', as.password);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.side nav');
    return page;
}
