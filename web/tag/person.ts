/* SPDX-License-Identifier: Apache-2.0
 *
 * person.ts - who this browser is, and all that the tag ever stores in it: the cookie opmaat_id
 * (one year) and two entries of local storage, opmaat (what was said about the person) and
 * opmaat_queue (events not yet delivered). Nothing here is read or written before consent, except
 * that the shop's own earlier yes is looked up.
 *
 * An anonymous id that Segment's or RudderStack's SDK already gave is adopted, so that their
 * events and ours speak of the same person.
 */
import { Purposes, calledWith, mayIdentify } from "./consent";
import { mainThreadMs } from "./time";

const ID = "opmaat_id";
const NOTES = "opmaat";
export const QUEUE = "opmaat_queue";

interface Notes {
    user?: string;
    hash?: string;
    call?: Purposes;
    ms?: number;
}
let notes: Notes = {};
let id: string | undefined;

export function load(key: string): any {
    try {
        return JSON.parse(localStorage.getItem(key)!);
    } catch {
        return null;
    }
}

export function save(key: string, value: unknown): void {
    if (!mayIdentify()) return;
    try {
        localStorage.setItem(key, JSON.stringify(value));
    } catch {
        /* full or forbidden: we do without */
    }
}

export function uuid(): string {
    if (crypto.randomUUID) return crypto.randomUUID();
    return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) =>
        (+c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (+c / 4)))).toString(16),
    );
}

function cookie(name: string): string {
    const found = document.cookie.match("(?:^|; )" + name + "=([^;]*)");
    return found ? decodeURIComponent(found[1]).replace(/^"|"$/g, "") : "";
}

/* Segment writes the id plain or quoted; RudderStack's SDK version 3 as base64 of a JSON string. */
function adopted(): string {
    const rudder = cookie("rl_anonymous_id");
    const coded = rudder.replace(/^RS_ENC_v3_/, "");
    const mine = cookie("ajs_anonymous_id") || load("ajs_anonymous_id");
    if (mine) return "" + mine;
    if (coded !== rudder) return JSON.parse(atob(coded));
    return /^RudderEncrypt/.test(rudder) ? "" : rudder;
}

function setCookie(value: string, age: number): void {
    document.cookie =
        `${ID}=${encodeURIComponent(value)};path=/;max-age=${age};samesite=lax`
        + (location.protocol === "https:" ? ";secure" : "");
}

/** The anonymous id; made and kept on first use. Only called when mayIdentify(). */
export function anonymousId(): string {
    if (!id) {
        let theirs = "";
        try {
            theirs = adopted();
        } catch {
            /* not in a form we know */
        }
        id = theirs || cookie(ID) || uuid();
        setCookie(id, 31536e3);
        save(NOTES, notes);
    }
    return id;
}

export const userId = () => notes.user;
export const userHash = () => notes.hash;

export function setUser(user?: string, hash?: string): void {
    notes.user = user;
    notes.hash = hash;
    save(NOTES, notes);
}

/** Keeps the shop's own yes for the next page; a no leaves nothing behind. */
export function rememberConsent(): void {
    notes.call = calledWith();
    save(NOTES, notes);
}

/** For the next page's page view: what this page cost. Returns what the page before cost. */
export const rememberCost = () => {
    notes.ms = mainThreadMs();
    save(NOTES, notes);
};
export const costBefore = () => notes.ms;

/** What an earlier page was allowed to keep. */
export function recall(): Purposes | undefined {
    notes = load(NOTES) || {};
    return notes.call;
}

/** The next event is a stranger's: after a log-out, or when consent is withdrawn. */
export function forget(): void {
    id = undefined;
    notes = {};
    setCookie("", 0);
    try {
        localStorage.removeItem(NOTES);
        localStorage.removeItem(QUEUE);
    } catch {
        /* forbidden: then there was nothing */
    }
}
