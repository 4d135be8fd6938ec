/* SPDX-License-Identifier: Apache-2.0
 *
 * send.ts - events on their way: held in memory until there is consent, then sent in batches.
 *
 * Before anyone has answered an event is a thing in memory without any identifier; at most
 * EVENTS_MAX are kept, the newest go. After a no they are dropped, also those still to come. What could not be delivered waits in local storage and is sent again, on
 * this page or the next; a message id makes a second delivery harmless. The body says text/plain,
 * so the browser asks no preflight.
 */
import { isKnown, mayIdentify, purposes } from "./consent";
import { QUEUE, anonymousId, costBefore, load, save, userHash, userId, uuid } from "./person";
import { later, mainThreadMs, run } from "./time";

const EVENTS_MAX = 100;
const BATCH_MAX = 40;
const KEEPALIVE_BYTES_MAX = 6e4; /* a browser refuses more than 64 KiB for a page that is leaving */

export type Event = Record<string, any>;

let waiting: Event[] = [];
let flying = 0;
let failures = 0;
let leaving = false;
let timer: any;
let base = "";
let key = "";

export function openSender(url: string, writeKey: string): void {
    base = url;
    key = writeKey;
}

export function post(path: string, body: object, options: RequestInit = {}): Promise<Response> {
    return fetch(base + path, {
        method: "POST",
        credentials: "omit",
        body: JSON.stringify({ write_key: key, ...body }),
        ...options,
    });
}

export const fetched = (path: string): Promise<any> =>
    fetch(base + path, { credentials: "omit" }).then((r) => (r.ok ? r.json() : Promise.reject()));

export function add(type: string, fields: object): void {
    if (isKnown() && !mayIdentify()) return;
    const { href, pathname, search } = location;
    waiting.push({
        type,
        ...fields,
        messageId: uuid(),
        timestamp: new Date().toISOString(),
        channel: "web",
        context: {
            page: {
                url: href,
                path: pathname,
                search,
                title: document.title,
                referrer: document.referrer,
            },
            locale: navigator.language,
            library: { name: "opmaat-tag", version: VERSION },
        },
    });
    waiting.splice(EVENTS_MAX);
    if (mayIdentify()) schedule(500);
}

/** Takes what an earlier page could not deliver. */
export function resume(): void {
    const left = load(QUEUE);
    if (Array.isArray(left) && left.length) {
        localStorage.removeItem(QUEUE);
        waiting = left.concat(waiting).slice(0, EVENTS_MAX);
    }
    schedule(500);
}

/** Drops everything, here and in storage. */
export function dropAll(): void {
    waiting = [];
    clearTimeout(timer);
    timer = 0;
}

/* Who and what they allow is written on an event when it first leaves, not when it happens. */
function stamp(e: Event): Event {
    if (!e.anonymousId) {
        e.anonymousId = anonymousId();
        e.userId = e.userId || userId() || null;
        if (e.userId && userHash()) e.context.user_hash = userHash();
    }
    e.context.consent = { categoryPreferences: purposes() };
    if (e.type === "page") e.properties.opmaat_main_ms = costBefore() || mainThreadMs();
    return e;
}

/** Writes on what waits whose it is, before that changes. */
export const seal = () => {
    if (mayIdentify()) waiting.forEach(stamp);
};

/** The next events to deliver. They are ours until `settle` says how it went. */
export function take(): Event[] {
    const batch = mayIdentify() ? waiting.splice(0, BATCH_MAX).map(stamp) : [];
    if (batch.length) flying++;
    return batch;
}

/* Refused for good (4xx but 408 and 429) is dropped: the server has counted it. */
export function settle(batch: Event[], status: number): void {
    if (!batch.length) return;
    flying--;
    const again = status < 200 || status >= 500 || status === 408 || status === 429;
    if (!mayIdentify()) return;
    failures = again ? failures + 1 : 0;
    if (again) {
        waiting = batch.concat(waiting).slice(0, EVENTS_MAX);
        save(QUEUE, waiting);
    } else if (load(QUEUE)) {
        localStorage.removeItem(QUEUE);
    }
    if (waiting.length)
        schedule(again ? Math.min(6e4, 1e3 * 2 ** failures) * (0.5 + Math.random() / 2) : 0);
}

function schedule(ms: number): void {
    if (!timer && waiting.length)
        timer = later(() => {
            timer = 0;
            flush();
        }, ms);
}

/* A page that leaves breaks off waiting for the answer, not the delivery: that is no failure. */
function deliver(batch: Event[]): void {
    post("v1/batch", { batch, sentAt: new Date().toISOString() }, { keepalive: true })
        .then(
            (r) => r.status,
            () => (leaving ? 200 : 0),
        )
        .then((status) => run(() => settle(batch, status)));
}

export function flush(): void {
    if (flying || !waiting.length) return;
    const batch = take();
    if (batch.length) deliver(batch);
}

/** The page is leaving: what fits goes now; after a failure it waits in storage instead. */
export function leave(): void {
    if (!mayIdentify() || !waiting.length) return;
    if (failures || !navigator.onLine) return save(QUEUE, waiting);
    const batch = take();
    if (new Blob([JSON.stringify(batch)]).size > KEEPALIVE_BYTES_MAX) return settle(batch, 0);
    deliver(batch);
    if (waiting.length) save(QUEUE, waiting);
}

export const setLeaving = (is: boolean) => {
    leaving = is;
};

/** Consent was withdrawn: the last thing said, so that the server stops too. */
export function sayWithdrawn(anonymousId: string): void {
    const batch = [
        {
            type: "track",
            event: "Segment Consent Preference Updated",
            anonymousId,
            messageId: uuid(),
            timestamp: new Date().toISOString(),
            context: { consent: { categoryPreferences: purposes() } },
        },
    ];
    post("v1/batch", { batch }, { keepalive: true }).catch(() => {});
}
