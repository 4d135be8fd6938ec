/* SPDX-License-Identifier: Apache-2.0
 *
 * segment_tools.tsx - a segment beyond its rule: how it went, who they are, whom it shares, its children; and all of them reviewed.
 */
import { useState } from "preact/hooks";
import { Money, Segment, part, post } from "./api";
import { Chart } from "./chart";
import { Asking, Badge, Card, Empty, Page, Row, When, attempt, go, useGet } from "./ui";
import { count, money, plural } from "./words";

const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

/* ---- how it went, and who came and left --------------------------------------------------------- */
interface Trend {
    points: { at: string; count: number }[];
}
interface Diff {
    entered: number;
    left: number;
    entered_because: { rule: string; people: number }[];
    left_because: { rule: string; people: number }[];
    people: { person_id: string; display: string; moved: string; at: string | null }[];
}

function Because({ title, list }: { title: string; list: { rule: string; people: number }[] }) {
    if (!list.length) return null;
    return (
        <div>
            <span class="label">{title}</span>
            {list.slice(0, 5).map((r) => (
                <div class="line small">
                    <code class="soft wrap grow">{r.rule}</code>
                    <span class="num">{count(r.people)}</span>
                </div>
            ))}
        </div>
    );
}

export function TrendCard({ id }: { id: string }) {
    const [days, setDays] = useState(30);
    const asked = useGet<Trend>(`/v1/segments/${part(id)}/trend?days=${days}`);
    const since = new Date(Math.floor(Date.now() / 60000) * 60000 - days * 86400000).toISOString();
    const diff = useGet<Diff>(`/v1/segments/${part(id)}/diff?from=${since}&identity=now&limit=8`);
    return (
        <Card
            title="How it went"
            pad
            side={
                <select
                    aria-label="Days"
                    value={days}
                    onInput={(e) => setDays(+e.currentTarget.value)}
                >
                    {[7, 30, 90].map((d) => (
                        <option value={d}>{d} days</option>
                    ))}
                </select>
            }
        >
            <div class="stack">
                <Asking of={asked} n={6}>
                    {({ points }) => (
                        <Chart
                            label="People in the segment"
                            height={180}
                            fill
                            at={points.map((p) => Date.parse(p.at) / 1000)}
                            lines={[{ name: "People", values: points.map((p) => p.count) }]}
                        />
                    )}
                </Asking>
                <Asking of={diff} n={2}>
                    {(d) => (
                        <div class="stack">
                            <p class="small">
                                <strong>{count(d.entered)}</strong> came and{" "}
                                <strong>{count(d.left)}</strong> left in {days} days, by today's rule.
                            </p>
                            <Because title="They came because this became true" list={d.entered_because} />
                            <Because title="They left because this was true no more" list={d.left_because} />
                        </div>
                    )}
                </Asking>
            </div>
        </Card>
    );
}

/* ---- who they are --------------------------------------------------------------------------------- */
interface Lifted {
    text: string;
    people: number;
    share: number;
    others_share: number;
    lift: number | null;
    low: number | null;
    high: number | null;
    sure: boolean;
}
interface Side {
    people: number;
    buyers: number;
    a_person: Money | null;
    an_order: Money | null;
}
interface Persona {
    size: number;
    share: number;
    value: Side;
    others: Side;
    attributes: Lifted[];
    preferences: Lifted[];
}

function Lifts({ list }: { list: Lifted[] }) {
    return (
        <div class="scroll">
            <table>
                <thead>
                    <tr>
                        <th>What</th>
                        <th class="num">Here</th>
                        <th class="num">Others</th>
                        <th class="num">Lift, 95 %</th>
                    </tr>
                </thead>
                <tbody>
                    {list.slice(0, 8).map((a) => (
                        <tr>
                            <td>
                                {a.text} {!a.sure && <span class="soft small">not sure</span>}
                            </td>
                            <td class="num">
                                {percent(a.share)} <span class="soft small">({count(a.people)})</span>
                            </td>
                            <td class="num">{percent(a.others_share)}</td>
                            <td class="num">
                                {a.lift === null || a.low === null || a.high === null
                                    ? "nobody else"
                                    : `${(1 + a.lift).toFixed(1)} × (${(1 + a.low).toFixed(1)} to ${(1 + a.high).toFixed(1)})`}
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
        </div>
    );
}

export function PersonaCard({ id }: { id: string }) {
    const asked = useGet<Persona>(`/v1/segments/${part(id)}/persona`);
    return (
        <Card title="Who they are">
            <Asking of={asked} n={6}>
                {(p) => (
                    <div class="stack">
                        <p class="small" style={{ padding: "12px 16px 0" }}>
                            {plural(p.size, "person").replace("persons", "people")}, {percent(p.share)} of everybody;{" "}
                            {count(p.value.buyers)} of them bought
                            {p.value.a_person && <>, worth {money(p.value.a_person)} each</>}
                            {p.others.a_person && <> (the others {money(p.others.a_person)})</>}.
                        </p>
                        {p.attributes.length ? (
                            <Lifts list={p.attributes} />
                        ) : (
                            <Empty title="Nothing sets them apart">They are and do as everybody else.</Empty>
                        )}
                    </div>
                )}
            </Asking>
        </Card>
    );
}

/* ---- whom it shares --------------------------------------------------------------------------------- */
interface Overlap {
    segments: { key: string; count: number }[];
    pairs: { keys: [string, string]; count: number }[];
    winners?: {
        placement: string;
        won_by: { campaign: string; people: number; over?: string; why: string }[];
        nobody: number;
    }[];
}

/* Two bars on one scale: the shared part lies in both. */
function Bars({ a, b, shared }: { a: number; b: number; shared: number }) {
    const all = Math.max(1, a + b - shared);
    const bar = (from: number, to: number, opacity: number) => (
        <rect x={(from / all) * 200} width={Math.max(0, ((to - from) / all) * 200)} height="8" rx="2" opacity={opacity} />
    );
    return (
        <svg viewBox="0 0 200 20" width="200" height="20" fill="currentColor" role="img" aria-label={`${shared} shared of ${a} and ${b}`}>
            {bar(0, a, 0.45)}
            <g transform="translate(0 11)">{bar(a - shared, a - shared + b, 0.45)}</g>
            {bar(a - shared, a, 1)}
            <g transform="translate(0 11)">{bar(a - shared, a, 1)}</g>
        </svg>
    );
}

export function OverlapCard({ id }: { id: string }) {
    const all = useGet<{ segments: Segment[] }>("/v1/segments");
    const [other, setOther] = useState("");
    const others = (all.data?.segments ?? []).filter((s) => s.key !== id && s.state === "published");
    const chosen = [id, ...others.slice(0, 7).map((s) => s.key)];
    const matrix = useGet<Overlap>(others.length ? `/v1/segments/overlap?keys=${chosen.map(part).join(",")}` : null);
    const two = useGet<Overlap>(other ? `/v1/segments/overlap?keys=${part(id)},${part(other)}` : null);
    if (all.data && !others.length) return null;
    return (
        <Card title="Shared with other segments">
            <Asking of={matrix} n={4}>
                {({ segments, pairs }) => (
                    <div class="scroll">
                        <table>
                            <tbody>
                                {pairs
                                    .filter((p) => p.keys[0] === id)
                                    .sort((x, y) => y.count - x.count)
                                    .map((p) => (
                                        <tr>
                                            <td>
                                                <button class="button small" aria-pressed={other === p.keys[1]} onClick={() => setOther(p.keys[1])}>
                                                    {p.keys[1]}
                                                </button>
                                            </td>
                                            <td>
                                                <Bars a={segments[0].count} b={segments.find((s) => s.key === p.keys[1])?.count ?? 0} shared={p.count} />
                                            </td>
                                            <td class="num">{count(p.count)} shared</td>
                                        </tr>
                                    ))}
                            </tbody>
                        </table>
                    </div>
                )}
            </Asking>
            {other && (
                <div class="stack small" style={{ padding: "12px 16px" }}>
                    <Asking of={two} n={2}>
                        {({ winners }) =>
                            winners?.length ? (
                                winners.map((w) => (
                                    <div>
                                        <strong>{w.placement}</strong>{" "}
                                        {w.won_by.length === 0 && <span class="soft">no campaign speaks to them</span>}
                                        {w.won_by.map((x) => (
                                            <div>
                                                {x.campaign} wins {count(x.people)}
                                                {x.over && <> from {x.over}</>}: <span class="soft">{x.why}</span>
                                            </div>
                                        ))}
                                    </div>
                                ))
                            ) : (
                                <p class="soft">No campaign runs in any placement.</p>
                            )
                        }
                    </Asking>
                </div>
            )}
        </Card>
    );
}

/* ---- members and children ------------------------------------------------------------------------------ */
interface Children {
    children: { key: string; title: string; count: number }[];
    unknown: number;
}

export function SplitCard({ id, may }: { id: string; may: boolean }) {
    const [by, setBy] = useState("gender");
    const [made, setMade] = useState<Children>();
    return (
        <Card title="Split it" pad>
            <div class="stack">
                <p class="soft small">
                    Makes and publishes a child for each value of a trait. Children share nobody, and with those of whom it is not
                    known they sum to this segment.
                </p>
                {may && (
                    <div class="line">
                        <input class="mono" aria-label="Trait" value={by} onInput={(e) => setBy(e.currentTarget.value)} />
                        <button
                            class="button"
                            disabled={!by}
                            onClick={() =>
                                attempt(
                                    async () => setMade(await post<Children>(`/v1/segments/${part(id)}/split`, { by })),
                                    "The children are live.",
                                )
                            }
                        >
                            Split
                        </button>
                    </div>
                )}
                {made?.children.map((c) => (
                    <div class="line">
                        <a class="grow" href={`#/segments/${part(c.key)}`}>
                            {c.title}
                        </a>
                        <span class="num">{count(c.count)}</span>
                    </div>
                ))}
            </div>
        </Card>
    );
}

export function MembersCard({ id }: { id: string }) {
    const now = useGet<Diff>(`/v1/segments/${part(id)}/diff?identity=now&limit=12`);
    return (
        <Card
            title="Came and left this week"
            side={
                <a href={`/v1/segments/${part(id)}/members?format=csv`} download={`${id}.csv`}>
                    All members, CSV
                </a>
            }
        >
            <Asking of={now} n={4}>
                {({ people }) =>
                    people.length ? (
                        <div class="scroll">
                            <table>
                                <tbody>
                                    {people.map((p) => (
                                        <Row to={`/people/${part(p.person_id)}`}>
                                            <td>
                                                <a href={`#/people/${part(p.person_id)}`}>{p.display}</a>
                                            </td>
                                            <td>
                                                <Badge tone={p.moved === "entered" ? "good" : ""}>{p.moved === "entered" ? "came" : "left"}</Badge>
                                            </td>
                                            <td class="num">{p.at ? <When at={p.at} /> : <span class="soft">by itself</span>}</td>
                                        </Row>
                                    ))}
                                </tbody>
                            </table>
                        </div>
                    ) : (
                        <Empty title="Nobody moved">No one came or left in seven days.</Empty>
                    )
                }
            </Asking>
        </Card>
    );
}

/* ---- all of them, reviewed -------------------------------------------------------------------------------- */
interface Finding {
    key: string;
    title: string;
    finding: string;
    text: string;
    suggestion?: { rule: string; people: number; others: number };
}

export function SegmentReview() {
    const asked = useGet<{ segments: number; people: number; days: number; findings: Finding[] }>("/v1/segments/review");
    return (
        <Page
            title="Segments, reviewed"
            crumb={<a href="#/segments">Segments</a>}
            about="Held against what people did in the last 30 days."
        >
            <Card>
                <Asking of={asked} n={6}>
                    {({ findings, segments }) =>
                        findings.length ? (
                            <div class="scroll">
                                <table>
                                    <thead>
                                        <tr>
                                            <th>Segment</th>
                                            <th>Finding</th>
                                            <th>What to try</th>
                                        </tr>
                                    </thead>
                                    <tbody>
                                        {findings.map((f) => (
                                            <tr>
                                                <td>
                                                    <a href={`#/segments/${part(f.key)}`}>{f.title}</a>
                                                </td>
                                                <td>
                                                    <Badge tone={f.finding === "empty" ? "bad" : "warn"}>{f.finding}</Badge>
                                                    <div class="soft small">{f.text}</div>
                                                </td>
                                                <td>
                                                    {f.suggestion && (
                                                        <>
                                                            <code class="soft wrap">{f.suggestion.rule}</code>
                                                            <div class="line small">
                                                                <span class="grow">
                                                                    {count(f.suggestion.people)} and {count(f.suggestion.others)} others
                                                                </span>
                                                                <button
                                                                    class="button small"
                                                                    onClick={() => go(`/segments/new?rule=${encodeURIComponent(f.suggestion!.rule)}`)}
                                                                >
                                                                    Use
                                                                </button>
                                                            </div>
                                                        </>
                                                    )}
                                                </td>
                                            </tr>
                                        ))}
                                    </tbody>
                                </table>
                            </div>
                        ) : (
                            <Empty title="Nothing to mend">
                                {plural(segments, "segment")}: none is empty, stale, a twin, or blind to what people do.
                            </Empty>
                        )
                    }
                </Asking>
            </Card>
        </Page>
    );
}
