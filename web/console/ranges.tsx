/* SPDX-License-Identifier: Apache-2.0
 *
 * ranges.tsx - who is in which variation, as a bar of 10,000 parts whose boundaries can be dragged. Where a range starts never
 * moves, so a share that is changed moves only those who must move; the server says who that is, and the bar shows it.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { Doc, Problem, post } from "./api";
import { Badge } from "./ui";

const PARTS = 10000;

export interface Range {
    start: number;
    end: number;
    variation: string;
}
export interface Move {
    start: number;
    end: number;
    from: string | null;
    to: string | null;
}
interface Tried {
    live: boolean;
    anew: boolean;
    now: Range[];
    then: Range[];
    moves: Move[];
    moved: string;
}

export const shareOf = (v: Doc): number => parseFloat(String(v.share ?? "").replace("%", "")) || 0;
const tidy = (n: number) => Math.round(n * 100) / 100;
export const asShare = (n: number) => `${tidy(n)}%`;
const colour = (i: number) => (i < 0 ? "var(--ink-faint)" : `var(--chart-${(i % 5) + 1})`);
const part = (buckets: number) => `${buckets / 100}%`;

/* The range an arm gives up first and grows behind: its last. */
function endOf(key: string, ranges: Range[]): Range | undefined {
    const own = ranges.filter((r) => r.variation === key);
    return own.filter((r) => r.end > r.start).pop() ?? own[0];
}

interface Held {
    key: string;
    other?: string;
    x: number;
    width: number;
    at: number;
    /* as they were when it was taken hold of */
    shares: Record<string, number>;
}

/** The bar itself. A boundary between two arms moves people between them; one before a gap, into and out of the gap. */
export function Bar({
    keys,
    shares,
    ranges,
    moves,
    may,
    onShares,
}: {
    keys: string[];
    shares: Record<string, number>;
    ranges: Range[];
    moves: Move[];
    may: boolean;
    onShares: (shares: Record<string, number>) => void;
}) {
    const box = useRef<HTMLDivElement>(null);
    const [held, hold] = useState<Held | null>(null);
    const neighbour = (key: string) => {
        const end = endOf(key, ranges)?.end;
        return ranges.find((r) => r.start === end && r.end > r.start && r.variation !== key)?.variation;
    };
    const shift = (from: Record<string, number>, key: string, other: string | undefined, by: number) => {
        const all = keys.reduce((sum, k) => sum + from[k], 0);
        const room = other ? from[other] : 100 - all;
        const step = Math.max(-from[key], Math.min(room, by));
        onShares({
            ...from,
            [key]: tidy(from[key] + step),
            ...(other ? { [other]: tidy(from[other] - step) } : {}),
        });
    };
    const grab = (e: PointerEvent, key: string, at: number) => {
        (e.currentTarget as Element).setPointerCapture(e.pointerId);
        hold({ key, other: neighbour(key), x: e.clientX, width: box.current!.clientWidth, at, shares: { ...shares } });
        e.preventDefault();
        (e.currentTarget as HTMLElement).focus();
    };
    const drag = (e: PointerEvent) => {
        if (!held) return;
        const by = ((e.clientX - held.x) / held.width) * 100;
        shift(held.shares, held.key, held.other, e.shiftKey ? tidy(by) : Math.round(by));
        const at = ((e.clientX - box.current!.getBoundingClientRect().left) / held.width) * PARTS;
        hold({ ...held, at: Math.max(0, Math.min(PARTS, at)) });
    };
    const press = (e: KeyboardEvent, key: string) => {
        const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key];
        if (!by) return;
        e.preventDefault();
        shift(shares, key, neighbour(key), e.shiftKey ? by / 10 : by);
    };
    return (
        <div class="ranges" ref={box}>
            {ranges.map((r) => (
                <i
                    class="range"
                    title={`${r.variation}: ${part(r.start)} to ${part(r.end)}`}
                    style={{ left: part(r.start), width: part(r.end - r.start), background: colour(keys.indexOf(r.variation)) }}
                >
                    {r.end - r.start >= 700 ? r.variation : ""}
                </i>
            ))}
            {moves.map((m) => (
                <i
                    class="moving"
                    title={`from ${m.from ?? "none"} to ${m.to ?? "none"}`}
                    style={{ left: part(m.start), width: part(m.end - m.start) }}
                />
            ))}
            {may
                && keys.map((key) => {
                    const range = endOf(key, ranges);
                    const at = held?.key === key ? held.at : range?.end;
                    return (
                        at !== undefined && (
                            <span
                                key={key}
                                class="handle"
                                role="slider"
                                tabIndex={0}
                                aria-label={`Share of ${key}`}
                                aria-valuemin={0}
                                aria-valuemax={100}
                                aria-valuenow={shares[key]}
                                aria-valuetext={`${shares[key]} %`}
                                style={{ left: part(at) }}
                                onPointerDown={(e) => grab(e, key, at)}
                                onPointerMove={drag}
                                onPointerUp={() => hold(null)}
                                onPointerCancel={() => hold(null)}
                                onKeyDown={(e) => press(e, key)}
                            />
                        )
                    );
                })}
        </div>
    );
}

/* The same bar as it stands, small and fixed. */
const Standing = ({ keys, ranges }: { keys: string[]; ranges: Range[] }) => (
    <div class="ranges thin" aria-hidden="true">
        {ranges.map((r) => (
            <i
                class="range"
                style={{ left: part(r.start), width: part(r.end - r.start), background: colour(keys.indexOf(r.variation)) }}
            />
        ))}
    </div>
);

export function Moves({ moves, whole }: { moves: Move[]; whole: string }) {
    const sums = new Map<string, number>();
    for (const m of moves) {
        const name = m.from === null ? `come into ${m.to}` : m.to === null ? `leave ${m.from}` : `go from ${m.from} to ${m.to}`;
        sums.set(name, (sums.get(name) ?? 0) + m.end - m.start);
    }
    if (!sums.size) return <>Nobody moves.</>;
    return (
        <>
            <strong>{whole} move:</strong>{" "}
            {[...sums].map(([name, n], i) => `${i ? ", " : ""}${tidy(n / 100)} % ${name}`).join("")}. Everybody else keeps what they have.
        </>
    );
}

/** The ranges of an experiment of a flag or a campaign, with the shares as they are written now. */
export function RangeBar({
    kind,
    id,
    rule,
    variations,
    version,
    may,
    pinned,
    set,
}: {
    kind: "flag" | "campaign";
    id: string;
    rule: string;
    /* of what is live: another one is asked about anew */
    version?: string;
    variations: Doc[];
    may: boolean;
    /* ranges written in the definition itself: they are what holds */
    pinned?: { start: number; end: number; variation: number }[];
    set: (variations: Doc[]) => void;
}) {
    const [tried, setTried] = useState<Tried>();
    const [wrong, setWrong] = useState("");
    const keys = variations.map((v) => String(v.key ?? ""));
    const asked = JSON.stringify({
        kind,
        key: id,
        rule,
        variations: variations.map((v) => ({ key: v.key ?? "", share: asShare(shareOf(v)) })),
    });
    useEffect(() => {
        let stale = false;
        const timer = setTimeout(
            () =>
                post<Tried>("/v1/ranges", JSON.parse(asked)).then(
                    (answer) => {
                        if (stale) return;
                        setTried(answer);
                        setWrong("");
                    },
                    (e: Problem) => {
                        if (!stale) setWrong(e.message);
                    },
                ),
            60,
        );
        return () => {
            stale = true;
            clearTimeout(timer);
        };
    }, [asked, version]);
    const sum = tidy(variations.reduce((s, v) => s + shareOf(v), 0));
    const shares = Object.fromEntries(variations.map((v) => [String(v.key ?? ""), shareOf(v)]));
    const changed = !!tried?.live && tried.moves.length > 0;
    return (
        <div class="stack" style={{ gap: "6px" }}>
            <div class="line spread small">
                <span class="legend" style={{ minHeight: 0 }}>
                    {variations.map((v, i) => (
                        <span>
                            <i style={{ background: colour(i) }} />
                            {v.key} {shareOf(v)} %
                        </span>
                    ))}
                    {sum < 100 && (
                        <span>
                            <i style={{ background: "var(--line)" }} />
                            none {tidy(100 - sum)} %
                        </span>
                    )}
                </span>
                <span class="line">
                    {changed && !pinned && <Badge plain>hatched: who moves</Badge>}
                    <span class={sum > 100 ? "wrong" : "soft"}>{sum > 100 ? `The shares add up to ${sum} %` : `${sum} % in all`}</span>
                </span>
            </div>
            {changed && !pinned && <Standing keys={keys} ranges={tried.now} />}
            <Bar
                keys={keys}
                shares={shares}
                ranges={pinned ? pinned.map((r) => ({ ...r, variation: keys[r.variation] })) : (tried?.then ?? [])}
                moves={changed && !pinned ? tried.moves : []}
                may={may && !pinned}
                onShares={(now) => set(variations.map((v) => ({ ...v, share: asShare(now[String(v.key ?? "")]) })))}
            />
            <div class="small soft" role="status" style={{ minHeight: "20px" }}>
                {pinned ? (
                    "Its ranges are written in the definition: change them under JSON."
                ) : wrong ? (
                    <span class="wrong">{wrong}</span>
                ) : !tried ? (
                    ""
                ) : !tried.live ? (
                    "Not live yet: this is how people will be divided."
                ) : tried.anew ? (
                    <span class="wrong">A variation is gone or at another place, so everybody is divided anew: {tried.moved} move. Give it 0 % instead.</span>
                ) : (
                    <Moves moves={tried.moves} whole={tried.moved.replace("%", " %")} />
                )}
            </div>
        </div>
    );
}

/** A rollout: one part of everybody, from the beginning of the bar. */
export function RolloutBar({ share, live, may, set }: { share: string; live?: string; may: boolean; set: (share: string) => void }) {
    const now = shareOf({ share });
    const was = live === undefined ? now : shareOf({ share: live });
    const [low, high] = [Math.min(now, was) * 100, Math.max(now, was) * 100];
    const moves = low === high ? [] : [{ start: low, end: high, from: now < was ? "it" : null, to: now < was ? null : "it" }];
    return (
        <div class="stack" style={{ gap: "6px" }}>
            <Bar
                keys={["it"]}
                shares={{ it: now }}
                ranges={[{ start: 0, end: now * 100, variation: "it" }]}
                moves={moves}
                may={may}
                onShares={(s) => set(asShare(s.it))}
            />
            <div class="small soft" role="status" style={{ minHeight: "20px" }}>
                {live === undefined
                    ? `${now} % get it.`
                    : !moves.length
                      ? `${now} % get it. Nobody moves.`
                      : now > was
                        ? `${tidy(now - was)} % more get it; nobody loses it.`
                        : `${tidy(was - now)} % lose it; nobody else moves.`}
            </div>
        </div>
    );
}
