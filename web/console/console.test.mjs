// SPDX-License-Identifier: Apache-2.0
//
// console.test.mjs - the console as built, in Chromium, against the made-up server of mock/ under
// the policy the real one sends.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { mock } from "../mock/server.mjs";

let browser, server, url;

before(async () => {
    server = mock();
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    url = `http://127.0.0.1:${server.address().port}/`;
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        args: [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
        ],
    });
});

after(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
});

async function open(t, hash = "", options = {}) {
    const context = await browser.newContext({ viewport: { width: 1300, height: 900 }, ...options });
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(60e3);
    page.wrong = [];
    page.on("pageerror", (e) => page.wrong.push(e.message));
    page.on("console", (m) => {
        if (m.type() === "error" && !/401/.test(m.text())) page.wrong.push(m.text());
    });
    await page.addInitScript(() => {
        window.shift = 0;
        new PerformanceObserver((list) => {
            for (const e of list.getEntries()) {
                if (e.hadRecentInput) continue;
                window.shift += e.value;
                window.moved =
                    (window.moved ?? "")
                    + e.sources.map((s) => s.node?.outerHTML?.slice(0, 90)).join("\n");
            }
        }).observe({ type: "layout-shift", buffered: true });
    });
    await page.goto(url + hash);
    await page.waitForSelector("form [type=password], .side nav");
    if (await page.locator("[type=password]").count()) {
        await page.fill("[name=email]", "kari@demo.shop");
        await page.fill("[name=password]", "right");
        await page.keyboard.press("Enter");
        await page.waitForSelector(".side nav");
    }
    return page;
}

test("a wrong password is said, a right one opens the page asked for", async (t) => {
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(60e3);
    await page.goto(`${url}#/segments`);
    await page.fill("[name=email]", "kari@demo.shop");
    await page.fill("[name=password]", "wrong");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=do not belong together");
    await page.fill("[name=password]", "right");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=jeans_women");
});

const places = [
    "overview",
    "people",
    "people/u_1001",
    "segments",
    "segments/vip",
    "segments/new",
    "campaigns",
    "campaigns/spring",
    "campaigns/spring/json",
    "campaigns/spring/preview",
    "campaigns/spring/revisions",
    "campaigns/spring/results",
    "campaigns/new",
    "flags",
    "flags/checkout",
    "flags/banner",
    "flags/new",
    "flags/lint",
    "flags/checkout/results",
    "coverage",
    "plan",
    "people?tab=valuable",
    "people?tab=served",
    "people?tab=contacts",
    "placements",
    "placements/home_hero",
    "placements/new",
    "placements/enough",
    "predictions",
    "strategies",
    "strategies/for_you",
    "plan",
    "results",
    "sources",
    "dead-letters",
    "quizzes",
    "quizzes/skin",
    "quizzes/new",
    "connectors",
    "connectors/crm",
    "connectors/retarget",
    "connectors/new",
    "privacy",
    "privacy/u_1001",
    "privacy/e_412",
    "audit",
    "nowhere",
];

test("every page shows, under the policy, without an error, in light and dark", async (t) => {
    for (const colorScheme of ["light", "dark"]) {
        const page = await open(t, "", { colorScheme });
        for (const place of places) {
            await page.evaluate((to) => {
                location.hash = `#/${to}`;
            }, place);
            await page.waitForSelector("main h1");
            await page.waitForFunction(() => !document.querySelector("main [aria-busy]:not(.more *)"));
            assert.equal(await page.locator("h1").count(), 1, place);
            assert.doesNotMatch(await page.title(), /object Object|undefined/, place);
            assert.equal(await page.locator("main [role=alert].bad").count(), 0, place);
            const outside = await page.evaluate(
                () => document.documentElement.scrollWidth - innerWidth,
            );
            assert.ok(outside <= 0, `${place} is ${outside} px too wide`);
        }
        assert.deepEqual(page.wrong, []);
    }
});

test("on a telephone no page is wider than the screen", async (t) => {
    const page = await open(t, "", { viewport: { width: 390, height: 800 } });
    for (const place of places) {
        await page.evaluate((to) => {
            location.hash = `#/${to}`;
        }, place);
        await page.waitForSelector("main h1");
        await page.waitForFunction(() => !document.querySelector("main [aria-busy]:not(.more *)"));
        const outside = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(outside <= 0, `${place} is ${outside} px too wide`);
    }
});

test("the console shows the tag's size and main-thread time with their budgets", async (t) => {
    const page = await open(t);
    const line = page.locator("dt:has-text('Web tag') + dd");
    await page.waitForFunction(() => document.body.textContent.includes("main thread, budget 50 ms"));
    assert.match(
        await line.textContent(),
        /^\d\.\d KB of 6 KB gzipped[\d.]+ ms of a page's main thread, budget 50 ms$/,
    );
});

test("the overview lives, and moves nothing as it comes in", async (t) => {
    const page = await open(t);
    await page.waitForSelector("text=Live");
    const before = await page.textContent("dl:has-text('Events') dd");
    await page.waitForFunction(
        (was) => document.querySelector(".feed li") && document.body.textContent !== was,
        before,
    );
    await page.waitForTimeout(2500);
    const shift = await page.evaluate(() => window.shift);
    assert.ok(shift < 0.02, `layout shift ${shift}: ${await page.evaluate(() => window.moved)}`);
});

test("a rule is checked as it is typed: underlined at its column, with a hint, then counted", async (t) => {
    const page = await open(t, "#/segments/new");
    await page.waitForSelector("textarea");
    await page.fill("textarea", "count(product_viewd, last 30 days) >= 3");
    await page.waitForSelector(".rule mark");
    assert.equal(await page.textContent(".rule mark"), "product_viewd");
    assert.match(await page.textContent(".rule-foot"), /Column 7: .*did you mean "product_viewed"/);
    const offset = await page.evaluate(() => {
        const area = document.querySelector(".rule textarea").getBoundingClientRect();
        const mark = document.querySelector(".rule mark").getBoundingClientRect();
        return { x: mark.left - area.left, y: mark.top - area.top };
    });
    assert.ok(offset.x > 50 && offset.x < 80 && offset.y < 20, JSON.stringify(offset));
    await page.fill("textarea", "count(product_viewed, last 30 days) >= 3");
    await page.waitForSelector("text=This rule stands: 8,412 people now");
});

test("why they saw this: the trace opens, leaf by leaf", async (t) => {
    const page = await open(t, "#/people/u_1001");
    await page.click("role=tab[name='What they were shown']");
    await page.click("td >> role=button[name='Why?'] >> nth=0");
    await page.waitForSelector("text=drawn in an experiment");
    await page.waitForSelector(".tree .sign.true");
    await page.waitForSelector(".tree .sign.unknown");
});

test("a timeline goes on as one scrolls", async (t) => {
    const page = await open(t, "#/people/u_1001");
    await page.waitForSelector(".timeline time");
    const first = await page.locator(".timeline time").count();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await page.waitForFunction((n) => document.querySelectorAll(".timeline time").length > n, first);
});

test("a campaign is written, previewed, refused, mended, published, paused and rolled back", async (t) => {
    const page = await open(t, "#/campaigns/new");
    await page.getByLabel("Title").fill("Autumn");
    await page.getByLabel("Key").first().fill("autumn");
    await page.getByLabel("Placement", { exact: true }).selectOption("home_hero");
    await page.click("text=Compare with what is there now");
    await page.waitForSelector("text=100 % in all");
    await page.getByLabel("Headline", { exact: true }).fill("Warm again");
    await page.getByLabel("Target of everyone").fill("count(product_viewd, last 7 days) > 1");
    await page.click("role=button[name='Save draft']");
    await page.waitForFunction(() => location.hash === "#/campaigns/autumn");
    await page.click("role=button[name='Publish']");
    await page.waitForSelector("text=It was not published");
    await page.getByLabel("Target of everyone").fill("count(product_viewed, last 7 days) > 1");
    await page.click("role=button[name='Publish']");
    await page.waitForSelector(".head >> text=Live");
    await page.click("role=tab[name='Preview']");
    await page.waitForSelector(".mock >> text=Warm again");
    await page.click("role=button[name='Make the link']");
    await page.waitForSelector("text=opmaat_preview=pv_1");
    await page.click("role=button[name='Pause']");
    await page.waitForSelector(".head >> text=Paused");
    await page.click("role=button[name='Resume']");
    await page.click("role=tab[name='Revisions']");
    await page.click("text=Roll back to this >> nth=0");
    await page.waitForSelector("text=is live again");
    assert.deepEqual(
        page.wrong.filter((w) => !/422/.test(w)),
        [],
    );
});

test("a split that chance does not explain is said before the numbers", async (t) => {
    const page = await open(t, "#/campaigns/second_order/results");
    await page.waitForSelector("[role=alert] >> text=The split is not what it should be");
});

test("a dead letter is read and replayed", async (t) => {
    const page = await open(t, "#/dead-letters");
    await page.click("role=button[name='Look'] >> nth=0");
    await page.waitForSelector("pre >> text=Product Added");
    await page.click("role=button[name='Replay'] >> nth=0");
    await page.waitForSelector("text=1 letter");
});

test("a source shows its plan and what was found beside it", async (t) => {
    const page = await open(t, "#/sources");
    await page.click("text=Web shop");
    await page.waitForSelector("td >> text=Lamp Rubbed is not in the plan");
    await page.waitForSelector("td >> text=recommendations");
});

test("all letters of one reason are replayed at once", async (t) => {
    const page = await open(t, "#/dead-letters");
    await page.click("text=Replay all >> nth=0");
    await page.waitForSelector("text=taken, 0 refused again");
});

test("a merge is undone where it is told", async (t) => {
    const page = await open(t, "#/people/u_1001");
    await page.click("role=button[name='Undo this merge']");
    await page.waitForSelector("text=They are two people again.");
});

test("with the keyboard alone: skip to the content, walk the tabs, open a person", async (t) => {
    const page = await open(t, "#/people");
    await page.waitForSelector("tbody a");
    await page.reload();
    await page.waitForSelector("tbody a");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "To the content");
    await page.keyboard.press("Enter");
    /* the box, its button, the tabs, the first of the list */
    for (let i = 0; i < 4; i++) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForSelector("role=tab[name='Timeline']");
    await page.focus("role=tab[name='Timeline']");
    await page.keyboard.press("ArrowRight");
    assert.equal(
        await page.getAttribute("role=tab[name='What they were shown']", "aria-selected"),
        "true",
    );
});

test("the theme can be chosen, and stays", async (t) => {
    const page = await open(t, "", { colorScheme: "light" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.click("text=Theme: system");
    await page.click("text=Theme: light");
    const dark = await ground();
    assert.notEqual(light, dark);
    await page.reload();
    await page.waitForSelector("text=Theme: dark");
    assert.equal(await ground(), dark);
});

test("a connector says what is wrong, sends its dead letters again, and everything since an instant", async (t) => {
    const page = await open(t, "#/connectors");
    await page.waitForSelector("td >> text=Does not answer");
    await page.waitForSelector("text=Nothing leaves before it is published");
    await page.click("td >> text=CRM");
    await page.click("role=tab[name='How it goes']");
    await page.waitForSelector("[role=alert] >> text=It answered 503");
    await page.click("td >> role=button[name='Send again'] >> nth=0");   /* the form below has one, too */
    await page.waitForSelector("td >> text=Waits again");
    await page.click("role=button[name='Send all again']");
    await page.fill("[type=datetime-local]", "2026-11-21T08:00");
    await page.click("form >> role=button[name='Send again']");
    await page.waitForSelector("text=Everything since then is in the queue again.");
    assert.deepEqual(page.wrong, []);
});

test("a connector is written: events and segments, then published and paused", async (t) => {
    const page = await open(t, "#/connectors/new");
    await page.getByLabel("Title").fill("Mailer");
    await page.getByLabel("Key").fill("mailer");
    await page.getByLabel("Address").fill("https://mail.example/in");
    await page.getByLabel("Events").fill("Order Completed, Coupon Entered");
    await page.getByLabel("Most valuable").check();
    await page.click("role=button[name='Publish']");
    await page.waitForFunction(() => location.hash === "#/connectors/mailer");
    await page.click("role=tab[name='JSON']");
    const held = JSON.parse(await page.inputValue("textarea.code"));
    assert.deepEqual(held.events, ["Order Completed", "Coupon Entered"]);
    assert.deepEqual(held.segments, ["vip"]);
    await page.click("role=button[name='Pause']");
    await page.waitForSelector(".head >> text=Paused");
});

test("the file for an advertising platform is a link away", async (t) => {
    const page = await open(t, "#/connectors/retarget");
    await page.click("role=tab[name='How it goes']");
    assert.match(await page.getAttribute("text=For Google", "href"), /ads-file\?segment=vip&format=google$/);
});

test("words of a rule are completed, with the keyboard alone", async (t) => {
    const page = await open(t, "#/segments/new");
    const box = page.getByLabel("Rule");
    const type = async (text) => {
        await box.pressSequentially(text);
        await page.waitForSelector(".words [role=option]");
    };
    await box.focus();
    await type("cou");
    assert.equal(await page.textContent(".words [aria-selected=true] code"), "count(");
    await page.keyboard.press("Enter");
    await type("product_v");
    await page.keyboard.press("Tab");
    assert.equal(await box.inputValue(), "count(product_viewed");
    await box.pressSequentially(') >= 3 and in segment "');
    await page.waitForSelector(".words >> text=cart_left");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.textContent(".words [aria-selected=true] code"), "cart_left");
    assert.equal(
        await page.getAttribute(".rule textarea", "aria-activedescendant"),
        await page.getAttribute(".words [aria-selected=true]", "id"),
    );
    await page.keyboard.press("Enter");
    await box.pressSequentially(' and quiz("ski');
    await page.waitForSelector(".words >> text=skin-type");
    await page.keyboard.press("Enter");
    await box.pressSequentially(') = "');
    await page.waitForSelector(".words >> text=dry");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".words:visible").count(), 0);
    await box.pressSequentially("d");
    await page.click(".words >> text=dry");
    assert.equal(
        await box.inputValue(),
        'count(product_viewed) >= 3 and in segment "cart_left" and quiz("skin-type") = "dry"',
    );
    await page.waitForSelector("text=This rule stands: 8,412 people now");
    assert.deepEqual(page.wrong, []);
});

test("a quiz is written, shown as shoppers see it, published, and an answer becomes a segment", async (t) => {
    const page = await open(t, "#/quizzes/new");
    await page.getByLabel("Title", { exact: true }).fill("Coffee");
    await page.getByLabel("Key", { exact: true }).fill("coffee");
    await page.getByLabel("Question", { exact: true }).fill("How do you brew?");
    await page.getByRole("textbox", { name: "Answer 1", exact: true }).fill("With a press");
    await page.getByRole("textbox", { name: "Answer 2", exact: true }).fill("Éspresso!");
    await page.waitForSelector('text=quiz("how-do-you-brew") = "espresso"');
    await page.click("role=button[name='Publish']");
    await page.waitForFunction(() => location.hash === "#/quizzes/coffee");
    await page.waitForSelector(".head >> text=Live");
    assert.ok(await page.getByLabel("Key of the question").isDisabled(), "rules may ask for it by now");
    await page.getByLabel("With a press").check();
    await page.click("text=A segment of who says so");
    await page.waitForFunction(() => location.hash === "#/segments/how_do_you_brew_with_a_press");
});

test("privacy: somebody is found, a copy of them downloaded, and their erasure confirmed by the keyboard and followed", async (t) => {
    const page = await open(t, "#/privacy");
    await page.waitForSelector("td >> text=Shopify passed it on");
    await page.fill("[aria-label='Find a person']", "ana@example.com");
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=Nothing has happened yet.");
    assert.doesNotMatch(page.url(), /ana|example/, "who it is stands in no address");
    await page.waitForSelector(".tally >> text=12");
    const copy = page.waitForEvent("download");
    await page.click("role=button[name='Download it']");
    assert.match((await copy).suggestedFilename(), /^person-u_1001\.json$/);

    await page.focus("role=button[name='Erase…']");
    await page.keyboard.press("Enter");
    const form = page.getByRole("form", { name: "Erase for good" });
    await form.getByText("Gone for good: 1 profile, 3 identifiers, 1 segment, 2 orders, 41 events in the log, 12 decisions and 1 dead letter.").waitFor();
    assert.equal(await form.getByRole("button", { name: "Erase for good" }).isDisabled(), true);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.activeElement.textContent === "Erase…");
    await page.keyboard.press("Enter");
    const [, name] = (await form.locator("label").textContent()).match(/^Type (.*) to confirm$/);
    await page.keyboard.type(name);
    await page.waitForSelector("role=button[name='Erase for good'][disabled=false]");
    /* the server is away after the first answer: that is said, and is not the end of the erasure */
    let answers = 0, shown;
    const bar = new Promise((done) => (shown = done));
    await page.route("**/v1/regulations/e_900", async (route) => (answers++ ? (await bar, route.abort()) : route.continue()));
    await page.keyboard.press("Enter");
    await page.waitForSelector("role=progressbar");
    shown();
    await page.waitForSelector("text=This could not be fetched");
    assert.equal(await page.locator("text=They are out of the log too.").count(), 0);
    await page.unroute("**/v1/regulations/e_900");
    await page.click("role=button[name='Try again']");
    await page.waitForSelector("text=They are out of the log too.");
    assert.equal(await page.evaluate(() => location.hash), "#/privacy/e_900");
    await page.waitForSelector("td >> text=kari@demo.shop");
    await page.click("role=button[name='It is done']");
    await page.waitForSelector("text=waiting for you", { state: "detached" });
    assert.deepEqual(
        page.wrong.filter((w) => !/ERR_FAILED/.test(w)),
        [],
    );
});

test("a key is made, shown once, and revoked; last uses and revoked ones are told", async (t) => {
    const page = await open(t, "#/keys");
    await page.waitForSelector("text=om_write_ab12cd34");
    assert.equal(await page.locator("text=om_write_old11111").count(), 0);
    await page.check("text=Revoked ones, too");
    await page.waitForSelector("text=om_write_old11111");
    await page.selectOption("label:has-text('Kind') + select", "secret");
    await page.selectOption("label:has-text('Source') + select", "till");
    await page.click("text=Make it");
    await page.waitForSelector("text=It is shown this once");
    page.on("dialog", (d) => d.accept());
    await page.click("[aria-label='Revoke om_write_ab12cd34']");
    await page.waitForSelector("tr:has-text('om_write_ab12cd34') >> text=Revoked");
    assert.deepEqual(page.wrong, []);
});

test("an account is added, given another role and password, and removed; one's own is not", async (t) => {
    const page = await open(t, "#/overview");
    await page.click("nav >> text=Accounts");
    await page.waitForSelector("text=ola@demo.shop");
    assert.ok(await page.locator("[aria-label='Remove kari@demo.shop']").isDisabled());
    await page.selectOption("[aria-label='Role of ola@demo.shop']", "viewer");
    await page.waitForSelector("text=ola@demo.shop is now viewer");
    await page.click("[aria-label='New password for ola@demo.shop']");
    await page.fill("[aria-label='New password of ola@demo.shop']", "battery staple");
    await page.click("text=Set it");
    await page.waitForSelector("text=The password is changed");
    await page.fill("label:has-text('E-mail address') + input", "per@demo.shop");
    await page.fill("label:has-text('First password') + input", "correct horse");
    await page.click("button:has-text('Add')");
    await page.waitForSelector("tr:has-text('per@demo.shop')");
    page.on("dialog", (d) => d.accept());
    await page.click("[aria-label='Remove per@demo.shop']");
    await page.waitForSelector("tr:has-text('per@demo.shop')", { state: "detached" });
    assert.deepEqual(page.wrong, []);
});

test("a metric is looked at over the last days while it is written; what is wrong with it is said", async (t) => {
    const page = await open(t, "#/metrics");
    await page.click("text=Wishes");
    await page.waitForSelector("dl.stat >> text=3.41 %");
    await page.selectOption("label:has-text('How a person counts') + select", "mean");
    await page.selectOption("label:has-text('What is counted') + select", "value");
    await page.waitForSelector("dl.stat >> text=12.40");
    await page.fill("label:has-text('Event of what is counted') + input", "product_viewd");
    await page.waitForSelector('text=no event is called "product_viewd"');
    const wrong = page.wrong.filter((one) => !/422/.test(one));
    assert.deepEqual(wrong, []);
});

test("a plan has a row for looks by plan", async (t) => {
    const page = await open(t, "#/plan");
    await page.waitForSelector("text=Judged at 5 looks by plan");
    assert.deepEqual(page.wrong, []);
});
