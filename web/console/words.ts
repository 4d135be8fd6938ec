/* SPDX-License-Identifier: Apache-2.0
 *
 * words.ts - numbers, money and times as people read them: the words are English, the rest is the reader's own.
 */
import type { Money } from "./api";

/** What Intl takes for "as this browser is set". */
export const READER = undefined;
const whole = new Intl.NumberFormat(READER);
const compact = new Intl.NumberFormat(READER, { notation: "compact", maximumFractionDigits: 1 });
const brief = new Intl.NumberFormat(READER, { maximumFractionDigits: 1 });
const fixes: Intl.NumberFormat[] = [];
const moneys: Record<string, Intl.NumberFormat> = {};

export const count = (n: number) => (n >= 1e6 ? compact : whole).format(n);

export function money(m?: Money | null, brief = false): string {
    if (!m) return "–";
    const key = m.currency + brief;
    const format = (moneys[key] ||= new Intl.NumberFormat(READER, {
        style: "currency",
        currency: m.currency,
        ...(brief ? { notation: "compact" as const, maximumFractionDigits: 1 } : {}),
    }));
    const digits = new Intl.NumberFormat(READER, {
        style: "currency",
        currency: m.currency,
    }).resolvedOptions().maximumFractionDigits!;
    return format.format(m.minor / 10 ** digits);
}

/** At most one decimal. */
export const short = (x: number) => brief.format(x);
/** With so many decimals, no fewer and no more. */
export const fixed = (x: number, digits: number) =>
    (fixes[digits] ||= new Intl.NumberFormat(READER, { minimumFractionDigits: digits, maximumFractionDigits: digits })).format(x);
const sign = (x: number) => (x > 0 ? "+" : x < 0 ? "−" : "");
export const percent = (x: number, digits = 2) => `${fixed(x * 100, digits)} %`;
export const signed = (x: number, digits = 1) => `${sign(x)}${percent(Math.abs(x), digits)}`;
/** A difference of two shares. */
export const points = (x: number, digits = 1) => `${sign(x)}${fixed(Math.abs(x) * 100, digits)} points`;
/** A difference of anything, as `shown` says its size. */
export const difference = (x: number, shown: (size: number) => string) => sign(x) + shown(Math.abs(x));

export function bytes(n: number): string {
    const unit = n < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(n) / 10));
    return `${fixed(n / 1024 ** unit, unit ? 1 : 0)} ${["B", "KB", "MB", "GB", "TB"][unit]}`;
}

export function ago(at?: string | null, now = Date.now()): string {
    if (!at) return "never";
    const s = Math.round((now - Date.parse(at)) / 1000);
    const [n, unit] =
        Math.abs(s) < 60
            ? [s, "s"]
            : Math.abs(s) < 3600
              ? [s / 60, "min"]
              : Math.abs(s) < 86400
                ? [s / 3600, "h"]
                : [s / 86400, "d"];
    if (Math.abs(s) < 2) return "now";
    return s > 0 ? `${Math.floor(n)} ${unit} ago` : `in ${Math.floor(-n)} ${unit}`;
}

export const clock = (at: string, seconds = false) =>
    new Date(at).toLocaleTimeString(READER, { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" as const } : {}) });
export const day = (at: string) =>
    new Date(at).toLocaleDateString(READER, {
        weekday: "long",
        day: "numeric",
        month: "long",
        year: "numeric",
    });
export const moment = (at: string) =>
    new Date(at).toLocaleString(READER, {
        day: "numeric",
        month: "short",
        year: "numeric",
        hour: "2-digit",
        minute: "2-digit",
    });

/** product_viewed -> Product viewed */
export const sentence = (name: string) =>
    name.charAt(0).toUpperCase() + name.slice(1).replace(/_/g, " ");
export const people = (n: number) => `${count(n)} ${n === 1 ? "person" : "people"}`;
export const plural = (n: number, word: string) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

/* 90,000 ms: "90 s"; whole units only, the biggest that fits. */
export function span(ms: number): string {
    const units: [number, string][] = [
        [86400e3, "d"],
        [3600e3, "h"],
        [60e3, "min"],
    ];
    for (const [size, name] of units) if (ms >= size && ms % size === 0) return `${ms / size} ${name}`;
    return `${Math.round(ms / 1000)} s`;
}
