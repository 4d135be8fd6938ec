/* SPDX-License-Identifier: Apache-2.0
 *
 * time.ts - every entry into the tag goes through run(): it sums the time we take from the page's
 * main thread, and keeps our mistakes from ever reaching the page.
 */
let spent = 0;
let depth = 0;

/** Calls `work` and adds what it took to mainThreadMs(); entries inside entries count once. */
export function run<T>(work: () => T): T | undefined {
    const start = performance.now();
    depth++;
    try {
        return work();
    } catch {
        return undefined;
    } finally {
        if (!--depth) spent += performance.now() - start;
    }
}

/** Milliseconds of main thread this page has given us so far, to a tenth. */
export const mainThreadMs = () => Math.round(spent * 10) / 10;

export const later = (work: () => void, ms: number) => setTimeout(() => run(work), ms);

export const listen = (to: EventTarget, type: string, work: (e: any) => void) =>
    to.addEventListener(
        type,
        (e) => {
            run(() => work(e));
        },
        { passive: true, capture: true },
    );
