/* SPDX-License-Identifier: Apache-2.0
 *
 * past.tsx - a person at any instant: the slider over their days, and what is different now, with what made it so.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ExplainNode, HistoryEvent, Money, Person as Facts, get, part } from "./api";
import { scoreName } from "./predictions";
import { Badge, Bone, Card, Empty, Table, When, useGet } from "./ui";
import { READER, count, day, fixed, money, sentence } from "./words";

const HOUR = 3600e3;
const DAY = 24 * HOUR;
const BUCKETS = 120;

/* ---- the slider ---------------------------------------------------------------------------------- */

/* How much they did, over the same width as the slider; a dot where they ordered. */
function Strip({ events, from, to }: { events: HistoryEvent[]; from: number; to: number }) {
    const [bars, orders] = useMemo(() => {
        const n = new Array<number>(BUCKETS).fill(0);
        const bought = new Set<number>();
        for (const e of events) {
            const i = Math.min(BUCKETS - 1, Math.max(0, Math.floor(((Date.parse(e.at) - from) / (to - from)) * BUCKETS)));
            n[i]++;
            if (e.type === "order_completed") bought.add(i);
        }
        return [n, bought];
    }, [events, from, to]);
    const top = Math.max(1, ...bars);
    return (
        <svg class="strip" viewBox={`0 0 ${BUCKETS * 8} 40`} preserveAspectRatio="none" aria-hidden="true">
            {bars.map((n, i) => n > 0 && <rect x={i * 8 + 1} width="6" y={40 - 6 - (26 * n) / top} height={6 + (26 * n) / top} rx="1" />)}
            {[...orders].map((i) => (
                <rect class="order" x={i * 8 + 1} width="6" y="0" height="5" rx="2" />
            ))}
        </svg>
    );
}

/* What an input of type datetime-local holds, in the reader's own time. */
const local = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60e3).toISOString().slice(0, 19);

/** Any instant of this person's past. `at` null is now; while it is dragged the answer follows, a little behind. */
export function TimeSlider({
    id,
    first,
    at,
    onAt,
}: {
    id: string;
    first: number | null;
    at: number | null;
    onAt: (at: number | null) => void;
}) {
    const [now] = useState(() => Math.ceil(Date.now() / 60e3) * 60e3);
    const [shown, setShown] = useState<number | null>(at);
    const timer = useRef(0);
    const asked = useGet<{ events: HistoryEvent[] }>(`/v1/people/${part(id)}/history?limit=1000`);
    const events = asked.data?.events ?? [];
    const from = first ?? now - DAY;
    useEffect(() => setShown(at), [at]);
    useEffect(() => () => clearTimeout(timer.current), []);
    const move = (to: number, wait = 0) => {
        const next = to >= now ? null : Math.max(from, Math.round(to));
        setShown(next);
        clearTimeout(timer.current);
        timer.current = window.setTimeout(() => onAt(next), wait);
    };
    const value = shown ?? now;
    /* arrows go by the hour, pages by the day; Home and End are the slider's own */
    const onKey = (e: KeyboardEvent) => {
        const step = { ArrowLeft: -HOUR, ArrowDown: -HOUR, ArrowRight: HOUR, ArrowUp: HOUR, PageDown: -DAY, PageUp: DAY }[e.key];
        if (!step) return;
        e.preventDefault();
        move(value + step, 200);
    };
    const before = events.find((e) => Date.parse(e.at) < value);
    const after = [...events].reverse().find((e) => Date.parse(e.at) > value);
    return (
        <Card pad>
            <div class="line instant">
                <strong class="grow">
                    {shown ? `As of ${day(new Date(shown).toISOString())}` : "As of now"}
                </strong>
                <input
                    type="datetime-local"
                    aria-label="At this instant"
                    step="1"
                    min={local(from)}
                    max={local(now)}
                    value={local(value)}
                    disabled={!first}
                    onChange={(e) => {
                        const to = Date.parse(e.currentTarget.value);
                        if (!Number.isNaN(to)) move(to);
                    }}
                />
                <button class="button" aria-label="To the event before" disabled={!before} onClick={() => move(Date.parse(before!.at))}>
                    ‹
                </button>
                <button class="button" aria-label="To the event after" disabled={!shown || !after} onClick={() => move(Date.parse(after!.at))}>
                    ›
                </button>
                <button class="button" disabled={!shown} onClick={() => move(now)}>
                    Now
                </button>
            </div>
            <Strip events={events} from={from} to={now} />
            <input
                type="range"
                aria-label="Any instant"
                aria-valuetext={shown ? new Date(shown).toLocaleString(READER) : "now"}
                min={from}
                max={now}
                step="1000"
                value={value}
                disabled={!first}
                onKeyDown={onKey}
                onInput={(e) => move(+e.currentTarget.value, 150)}
            />
            <div class="line spread soft small">
                <span>{first ? day(new Date(first).toISOString()) : "…"}</span>
                <span>now</span>
            </div>
        </Card>
    );
}

/* ---- what is different now ------------------------------------------------------------------------- */

interface Difference {
    what: string;
    kind: string;
    was: string;
    is: string;
    why?: string;
    /* a segment's reasons are asked for */
    segment?: string;
}

function leaves(node: ExplainNode | undefined, into = new Map<string, ExplainNode>()): Map<string, ExplainNode> {
    if (!node) return into;
    if (node.children?.length) for (const child of node.children) leaves(child, into);
    else if (node.text) into.set(node.text, node);
    return into;
}

/** The parts of a rule that turned, as "count(…) >= 2: 1, now 3". */
export function turned(was: ExplainNode | undefined, is: ExplainNode | undefined): string[] {
    const then = leaves(was);
    return [...leaves(is)].flatMap(([text, node]) => {
        const old = then.get(text);
        if (old && old.result === node.result) return [];
        const values = [old?.value ?? old?.result, node.value ?? node.result].map((v) => (v == null ? "unknown" : String(v)));
        return [`${text}: ${values[0]}, now ${values[1]}`];
    });
}

function SegmentWhy({ id, at, segment }: { id: string; at: number; segment: string }) {
    const [why, set] = useState<string[]>();
    useEffect(() => {
        let stale = false;
        const path = `/v1/people/${part(id)}/explain?segment=${part(segment)}`;
        const ask = (query: string) => get<{ tree: ExplainNode }>(path + query).then((x) => x.tree, () => undefined);
        void Promise.all([ask(`&at=${new Date(at).toISOString()}`), ask("")]).then(([was, is]) => {
            if (!stale) set(turned(was, is));
        });
        return () => {
            stale = true;
        };
    }, [id, at, segment]);
    if (!why) return <Bone w={180} />;
    return (
        <>
            {why.slice(0, 3).map((one) => (
                <code class="soft wrap" style={{ display: "block" }}>{one}</code>
            ))}
            {!why.length && <span class="soft">the passing of time</span>}
        </>
    );
}

const shown = (v: unknown): string =>
    v == null ? "–" : typeof v === "object" ? ("minor" in (v as object) ? money(v as Money) : JSON.stringify(v)) : typeof v === "number" ? String(+v.toPrecision(4)) : String(v);

/* The value that counts of each fact: what was said last. */
const said = (p: Facts) => {
    const kept = new Map<string, Facts["traits"][number]>();
    for (const t of p.traits) if ((kept.get(t.name)?.at ?? "") <= t.at) kept.set(t.name, t);
    return kept;
};

function differences(then: Facts, now: Facts): Difference[] {
    const all: Difference[] = [];
    const add = (kind: string, what: string, was: unknown, is: unknown, more: Partial<Difference> = {}) => {
        if (JSON.stringify(was ?? null) !== JSON.stringify(is ?? null)) all.push({ kind, what, was: shown(was), is: shown(is), ...more });
    };
    for (const s of now.segments)
        if (!then.segments.some((t) => t.key === s.key)) add("Segment", s.title || s.key, "out", "in", { segment: s.key });
    for (const s of then.segments)
        if (!now.segments.some((t) => t.key === s.key)) add("Segment", s.title || s.key, "in", "out", { segment: s.key });
    for (const name of ["stage", "intent", "retention"] as const)
        add("Standing", sentence(name), then[name]?.is, now[name]?.is, { why: now[name]?.why.text });
    add("Worth", "Orders", then.counters.orders, now.counters.orders);
    for (const w of now.worth?.in ?? []) {
        const old = then.worth?.in.find((x) => x.currency === w.currency);
        add("Worth", `Lifetime value, ${w.currency}`, old?.lifetime_value, w.lifetime_value);
        add("Worth", `Average order, ${w.currency}`, old?.average_order_value, w.average_order_value);
    }
    const was = said(then);
    for (const [name, t] of said(now)) add("Fact", sentence(name), was.get(name)?.value, t.value, { why: `${t.source}, ${t.origin ?? "told"}` });
    for (const i of now.identifiers)
        if (!then.identifiers.some((x) => x.kind === i.kind && x.value === i.value)) add("Identifier", sentence(i.kind), null, i.value, { why: i.source });
    const likes = now.affinities.map((a) => ({ a, was: then.affinities.find((x) => x.dimension === a.dimension && x.value === a.value)?.score ?? 0 }));
    likes.sort((x, y) => Math.abs(y.a.score - y.was) - Math.abs(x.a.score - x.was));
    for (const { a, was: old } of likes.slice(0, 4))
        if (Math.abs(a.score - old) > 0.05) add("Liking", `${a.value} (${a.dimension})`, fixed(old, 2), fixed(a.score, 2));
    for (const s of now.predictions ?? []) {
        const old = then.predictions?.find((x) => x.score === s.score);
        if (old) add("Prediction", scoreName(s.score), old.value, s.value);
    }
    add("Activity", "Events", count(then.counters.events), count(now.counters.events));
    return all;
}

export function Differences({ id, at, then, now }: { id: string; at: number; then: Facts; now: Facts }) {
    const all = differences(then, now);
    return (
        <>
            {((then.people_then ?? 1) > 1 || (then.older ?? 0) > 0) && (
                <p class="pad soft small" style={{ paddingBottom: 0 }}>
                    {(then.people_then ?? 1) > 1 && `At that time these were ${then.people_then} people, joined since. `}
                    {(then.older ?? 0) > 0 && `${count(then.older!)} older events are no longer in the hot history, so counts then may be low.`}
                </p>
            )}
            {all.length ? (
                <Table>
                    <thead>
                        <tr>
                            <th>What</th>
                            <th>Then</th>
                            <th>Now</th>
                            <th>Because</th>
                        </tr>
                    </thead>
                    <tbody>
                        {all.map((d) => (
                            <tr key={`${d.kind} ${d.what}`}>
                                <td>
                                    {d.segment ? <a href={`#/segments/${part(d.segment)}`}>{d.what}</a> : d.what}
                                    <div class="soft small">{d.kind}</div>
                                </td>
                                <td class="num left">{d.segment ? <Badge tone={d.was === "in" ? "good" : ""}>{d.was}</Badge> : d.was}</td>
                                <td class="num left">{d.segment ? <Badge tone={d.is === "in" ? "good" : ""}>{d.is}</Badge> : d.is}</td>
                                <td class="small">{d.segment ? <SegmentWhy id={id} at={at} segment={d.segment} /> : <span class="soft">{d.why}</span>}</td>
                            </tr>
                        ))}
                    </tbody>
                </Table>
            ) : (
                <Empty title="Nothing is different">
                    They were <When at={new Date(at).toISOString()} /> as they are now.
                </Empty>
            )}
        </>
    );
}
