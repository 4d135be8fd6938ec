/* SPDX-License-Identifier: Apache-2.0
 *
 * consent.ts - what this person allows, told by whoever asks them: one call of the shop, Google
 * Consent Mode v2 (read from the data layer) or an IAB TCF v2 banner. Unknown is no.
 *
 * The shop's own call wins over the other two. Between those two a purpose is allowed when one
 * allows it and none forbids it. Global Privacy Control forbids sharing whatever anyone says.
 */
import { run } from "./time";

export type Purposes = Record<string, boolean>;

const told: { call?: Purposes; mode?: Purposes; tcf?: Purposes } = {};
let changed: () => void = () => {};
let asked = false;
let said = false;

/** The purposes somebody has spoken about; one that is absent is unknown. */
export function purposes(): Purposes {
    const all: Purposes = { necessary: true };
    for (const from of [told.mode, told.tcf]) {
        for (const p in from) all[p] = from[p] && all[p] !== false;
    }
    Object.assign(all, told.call);
    if ((navigator as any).globalPrivacyControl) all.ads_sharing = false;
    return all;
}

export const allows = (purpose: string) => purposes()[purpose] === true;

/** May this browser hold an identifier of ours, and may requests carry one? */
export const mayIdentify = () => allows("analytics") || allows("personalisation");

/** Has anyone answered yet? A default that denies is what holds until somebody does. */
export const isKnown = () => said || allows("personalisation");

function tell(): void {
    said = true;
    changed();
}

/** The shop's own call: only names and booleans, others of its purposes stay as they were. */
export function fromCall(given: Purposes): void {
    told.call = { ...told.call };
    for (const p in given) told.call[p] = given[p] === true;
    tell();
}

export const calledWith = () => told.call;

/* Consent Mode: gtag('consent', 'default' | 'update', {...}) leaves its arguments in the data
 * layer. A default for some regions only may take away but not give: we do not know the region. */
function fromMode(entry: any): void {
    if (!entry || entry[0] !== "consent" || !entry[2]) return;
    const given = entry[2];
    const now: Purposes = { ...told.mode };
    const set = (purpose: string, signals: string[]) => {
        const values = signals.map((s) => given[s]).filter(Boolean);
        if (!values.length) return;
        const yes = values.length === signals.length && values.every((v) => v === "granted");
        if (!yes || !given.region) now[purpose] = yes;
    };
    set("analytics", ["analytics_storage"]);
    set("personalisation", ["personalization_storage"]);
    set("ads_sharing", ["ad_user_data", "ad_personalization"]);
    told.mode = now;
    if (entry[1] === "update") tell();
    else changed();
}

/* TCF: purpose 1 is storing on the device, 3 and 4 ads by profile, 5 and 6 content by profile,
 * 8 measuring content. Where the regulation does not apply the banner has nothing to say. */
function fromTcf(data: any, ok: boolean): void {
    const status = data && data.eventStatus;
    if (!ok || data.gdprApplies === false) return;
    if (status !== "tcloaded" && status !== "useractioncomplete") return;
    const given = (data.purpose && data.purpose.consents) || {};
    const all = (...ids: number[]) => ids.every((id) => given[id] === true);
    told.tcf = { analytics: all(1, 8), personalisation: all(1, 5, 6), ads_sharing: all(1, 3, 4) };
    tell();
}

/** Joins a TCF banner when there is one by now; called again as the page loads. */
export function joinTcf(): void {
    const api = (window as any).__tcfapi;
    if (asked || !api) return;
    asked = true;
    api("addEventListener", 2, (data: any, ok: boolean) => {
        run(() => fromTcf(data, ok));
    });
}

export function watchConsent(onChange: () => void, remembered?: Purposes): void {
    told.call = remembered;
    said = !!remembered;
    const layer: any[] = ((window as any).dataLayer = (window as any).dataLayer || []);
    layer.forEach(fromMode);
    const push = layer.push;
    layer.push = function (...entries: any[]) {
        entries.forEach((e) => run(() => fromMode(e)));
        return push.apply(layer, entries);
    };
    joinTcf();
    changed = onChange;
}
