// SPDX-License-Identifier: Apache-2.0
// console.mjs - the console in a browser, as an editor sees it.

const ACCOUNT = { email: 'kari@shop.test', role: 'editor', password: 'long enough for this' };

/** Makes the account that openConsole logs in with. */
export const addEditor = (server) => server.post('/v1/accounts', ACCOUNT);

/** A page of the console, logged in; it closes with the test. What went wrong on it gathers in page.wrong. */
export async function openConsole(t, browser, server, hash, { height, timeout_ms }) {
    const context = await browser.newContext({ viewport: { width: 1300, height } });
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(timeout_ms);
    page.wrong = [];
    page.on('pageerror', (e) => page.wrong.push(e.message));
    await page.goto(`${server.url}/#/${hash}`);
    await page.fill('[name=email]', ACCOUNT.email);
    await page.fill('[name=password]', ACCOUNT.password);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.side nav');
    return page;
}
