/* SPDX-License-Identifier: Apache-2.0
 *
 * main.ts - the web tag. A shop puts it on every page:
 *
 *     <script async src="https://host/tag.js" data-key="WRITE_KEY"></script>
 *
 * It collects what the person looks at (when they allow it), asks the server what to show in the
 * placements it finds, and shows that. It never hides or waits for anything: what is not decided
 * within the time limit stays as the shop made it.
 *
 * On the script element:  data-key (required)    data-timeout  ms a decision may take (400)
 *                         data-market            data-wait     ms to wait for a consent banner (300)
 *                         data-collect="none"    when another SDK already sends views and clicks
 *                         data-store, -country   where the visitor shops
 * In the page:            data-opmaat-placement="KEY"   a box we may fill
 *                         data-opmaat-product="ID"      what this page shows (on a link: what it leads to);
 *                                                       -name -price -currency -category beside it
 *                         data-opmaat-content="ID"      the article this page is
 *                         data-opmaat-track="Event"     a click here is that event, of the product around it
 *                         data-opmaat-cart="ID,ID"      what the cart holds
 *                         data-opmaat-quiz="KEY"        a box that becomes this quiz
 * Commands:               opmaat.push(["consent", {analytics: true, personalisation: true}]), ["track", name,
 *                         properties], ["identify", userId, userHash, traits], ["page", properties],
 *                         ["decide", [placements], callback], ["reset"]
 */
import * as consent from "./consent";
import * as person from "./person";
import { Quiz, ask } from "./quiz";
import * as sender from "./send";
import { Decision, Item, draw } from "./show";
import { later, listen, run } from "./time";

const script = document.currentScript as HTMLScriptElement;
const options = script.dataset;
const collects = options.collect !== "none";
const timeout = +options.timeout! || 400;
const product = "data-opmaat-product";
const article = "[data-opmaat-content]";

const done = new WeakSet<Element>(); /* placements asked for, products seen */
let identified = false; /* an identifier is held */
let ready = false; /* the page is parsed and was looked at */
let unasked: string | undefined; /* the address a decision still waits for consent on */
let path = "";

/* ---- collect ------------------------------------------------------------------------------ */

const track = (event: string, properties: object = {}) => sender.add("track", { event, properties });

function productOf(e: Element): Record<string, unknown> {
    const found: Record<string, unknown> = { product_id: e.getAttribute(product) };
    for (const name of ["name", "price", "currency", "category"]) {
        const value = e.getAttribute("data-opmaat-" + name);
        if (value) found[name] = name === "price" ? +value : value;
    }
    return found;
}

function viewProducts(): void {
    document.querySelectorAll(`[${product}]:not(a)`).forEach((e) => {
        if (done.has(e) || e.hasAttribute("data-opmaat-track")) return;
        done.add(e);
        track("Product Viewed", productOf(e));
    });
    document.querySelectorAll<HTMLElement>(article).forEach((e) => {
        if (done.has(e)) return;
        done.add(e);
        track("Content Viewed", { content_id: e.dataset.opmaatContent });
    });
}

function onClick(e: MouseEvent): void {
    const at = e.target as Element;
    const marked = at.closest("[data-opmaat-track]");
    const of = (marked || at).closest(marked ? `[${product}]` : `a[${product}]`);
    if (marked) track(marked.getAttribute("data-opmaat-track")!, of ? productOf(of) : {});
    else if (of) track("Product Clicked", productOf(of));
}

/* A new address is a new page, also when the shop's own script changed it. */
function onAddress(): void {
    if (path === location.pathname || !ready) return;
    path = location.pathname;
    if (collects) {
        sender.add("page", { properties: { url: location.href, path, title: document.title } });
        viewProducts();
    }
    showQuizzes();
    unasked = path;
    askWhenKnown(consent.isKnown() ? 0 : +options.wait! || 300);
}

/* ---- decide ------------------------------------------------------------------------------- */

let waiting: any;

/* A banner may take a moment to say what the person chose before; then we ask without them. */
function askWhenKnown(ms: number): void {
    clearTimeout(waiting);
    if (ms) waiting = later(() => askWhenKnown(0), ms);
    else if (unasked) {
        unasked = undefined;
        decide();
    }
}

function boxes(names?: string[]): HTMLElement[] {
    return [...document.querySelectorAll<HTMLElement>("[data-opmaat-placement]")].filter((e) =>
        names ? !names.length || names.includes(e.dataset.opmaatPlacement!) : !done.has(e),
    );
}

function context(): object {
    const { href, origin, pathname } = location;
    const at = document.querySelector<HTMLElement>(
        `[${product}]:not(a):not([data-opmaat-track]),${article}`,
    );
    const cart = document.querySelector("[data-opmaat-cart]");
    const preview = new URLSearchParams(location.search).get("opmaat_preview");
    return {
        url: consent.mayIdentify() ? href : origin + pathname,
        locale: document.documentElement.lang || navigator.language,
        channel: "web",
        device: innerWidth < 768 ? "mobile" : "desktop",
        market: options.market,
        store: options.store || undefined,
        country: options.country || undefined,
        product: at ? at.getAttribute(product) || at.dataset.opmaatContent : undefined,
        cart: cart ? cart.getAttribute("data-opmaat-cart")!.split(",").filter(Boolean) : undefined,
        preview: preview || undefined,
        consent: { categoryPreferences: consent.purposes() },
    };
}

function decide(names?: string[], callback?: (decisions: Record<string, Decision>) => void): void {
    const into = boxes(names);
    const placements = names || [...new Set(into.map((e) => e.dataset.opmaatPlacement!))];
    if (!placements.length) return;
    into.forEach((e) => done.add(e));
    const personal = consent.allows("personalisation");
    const events = personal ? sender.take() : [];
    const stop = new AbortController();
    const clock = setTimeout(() => stop.abort(), timeout);
    const body = {
        person: personal
            ? {
                  anonymous_id: person.anonymousId(),
                  user_id: person.userId(),
                  user_hash: person.userHash(),
              }
            : undefined,
        placements,
        context: context(),
        events: events.length ? events : undefined,
        sentAt: new Date().toISOString(),
        timeout_ms: timeout,
    };
    let status = 0;
    sender
        .post("v1/decide", body, { signal: stop.signal })
        .then((r) => {
            status = r.status;
            return r.ok ? r.json() : { decisions: {} };
        })
        .then(
            (answer: { decisions?: Record<string, Decision> }) =>
                run(() => {
                    const decisions = answer.decisions || {};
                    into.forEach((e) => show(e, decisions[e.dataset.opmaatPlacement!], personal));
                    if (callback) callback(decisions);
                }),
            () => {},
        )
        .then(() =>
            run(() => {
                clearTimeout(clock);
                sender.settle(events, status);
            }),
        );
}

function show(box: HTMLElement, d: Decision | undefined, personal: boolean): void {
    if (!d || (personal && !consent.allows("personalisation"))) return;
    const ticket = d.ticket;
    const counts = ticket && personal && !d.preview;
    let last: Item | undefined;
    draw(box, d, (item) => {
        last = item;
    });
    if (!counts) return;
    const seen = new IntersectionObserver(
        (entries) =>
            run(() => {
                if (
                    !entries.some(
                        (e) =>
                            e.isIntersecting
                            && (e.intersectionRatio >= 0.5
                                || e.intersectionRect.height >= innerHeight / 2),
                    )
                )
                    return;
                seen.disconnect();
                track("Decision Viewed", { ticket });
            }),
        { threshold: [0, 0.25, 0.5] },
    );
    seen.observe(box);
    box.addEventListener(
        "click",
        (e) =>
            run(() => {
                const hit = last && (e.target as Element).closest(".opmaat-card") ? last : undefined;
                if (!hit && !(e.target as Element).closest("a,button")) return;
                track("Decision Clicked", {
                    ticket: (hit && hit.ticket) || ticket,
                    product_id: hit && hit.product_key,
                });
            }),
        { passive: true },
    );
}

/* Who has answered sees at once what it changed: one request carries the answers and asks anew. */
function showQuizzes(): void {
    document.querySelectorAll<HTMLElement>("[data-opmaat-quiz]").forEach((box) => {
        if (done.has(box)) return;
        done.add(box);
        const quiz = box.dataset.opmaatQuiz!;
        sender.fetched(`v1/quizzes/${encodeURIComponent(quiz)}?locale=` + document.documentElement.lang).then(
            (asked: Quiz) =>
                run(() =>
                    ask(
                        box,
                        asked,
                        (question, answer) => track("Quiz Answered", { quiz, question, answer }),
                        () => decide(boxes([]).map((e) => e.dataset.opmaatPlacement!)),
                    ),
                ),
            () => {},
        );
    });
}

/* ---- consent and commands ------------------------------------------------------------------ */

function onConsent(): void {
    const may = consent.mayIdentify();
    if (identified && !may) {
        const was = person.anonymousId();
        person.forget();
        sender.sayWithdrawn(was);
    } else if (may && !identified) {
        person.anonymousId();
        sender.resume();
    }
    identified = may;
    if (may) person.rememberConsent();
    else if (consent.isKnown()) sender.dropAll();
    if (consent.isKnown() && ready) askWhenKnown(0);
}

const commands: Record<string, (...a: any[]) => void> = {
    consent: consent.fromCall,
    track,
    page: (properties = {}) =>
        sender.add("page", { properties: { path: location.pathname, ...properties } }),
    identify: (user, hash, traits = {}) => {
        person.setUser("" + user, hash);
        sender.add("identify", { userId: "" + user, traits });
    },
    decide: (names, callback) => decide(names, callback),
    reset: () => {
        sender.seal();
        person.forget();
        if (identified) {
            person.anonymousId();
            person.rememberConsent();
        }
    },
};

function start(): void {
    const early: any[] = (window as any).opmaat || [];
    const push = (...all: any[]) =>
        all.forEach(([name, ...given]) => run(() => commands[name] && commands[name](...given)));
    (window as any).opmaat = { push, tag: VERSION };
    sender.openSender(script.src.replace(/tag\.js.*$/, ""), options.key!);
    consent.watchConsent(onConsent, person.recall());
    push(...early);
    onConsent();

    const look = () => {
        ready = true;
        consent.joinTcf();
        onAddress();
    };
    if (document.readyState === "loading") listen(document, "DOMContentLoaded", look);
    else look();
    listen(window, "load", consent.joinTcf);
    if (collects) listen(document, "click", onClick);
    listen(window, "popstate", onAddress);
    for (const name of ["pushState", "replaceState"] as const) {
        const was = history[name];
        history[name] = function (...given) {
            was.apply(history, given);
            later(onAddress, 0);
        };
    }
    listen(window, "pagehide", () => {
        sender.setLeaving(true);
        if (identified) person.rememberCost();
        sender.leave();
    });
    listen(window, "pageshow", () => sender.setLeaving(false));
    listen(document, "visibilitychange", () => {
        if (document.hidden) sender.leave();
    });
}

/* Twice on one page is once. */
if (options.key && !(window as any).opmaat?.tag) run(start);
