/* SPDX-License-Identifier: Apache-2.0
 *
 * segment_tools.tsx - a segment beyond its rule: how it went, what a change would have done, who they are, whom it shares, its
 * children; and all of them reviewed.
 */
import { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Money, Problem, Segment, getLines, part, post } from "./api";
import { Chart, Legend } from "./chart";
import { Asking, Badge, Bones, Card, Empty, Listing, Page, Row, Table, When, Wrong, attempt, go, useGet, useKept } from "./ui";
import { count, fixed, moment, money, people, percent as share_of, plural, signed } from "./words";

const percent = (share: number) => share_of(share, share < 0.1 ? 1 : 0);

/* ---- how it went, and who came and left --------------------------------------------------------- */
interface Trend {
    points: { at: string; count: number; entered?: number; left?: number }[];
}
interface Diff {
    entered: number;
    left: number;
    entered_because: { rule: string; people: number }[];
    left_because: { rule: string; people: number }[];
    people: { person_id: string; display: string; moved: string; at: string | null; why: { rule: string; was: string; is: string }[] }[];
}

function Because({ title, list }: { title: string; list: { rule: string; people: number }[] }) {
    if (!list.length) return null;
    return (
        <div>
            <span class="label">{title}</span>
            {list.slice(0, 5).map((r) => (
                <div class="line small" style={{ flexWrap: "nowrap" }}>
                    <code class="soft wrap grow">{r.rule}</code>
                    <span class="num">{people(r.people)}</span>
                </div>
            ))}
        </div>
    );
}

/* Who came stands above the line, who left below it. */
function Movement({ points }: { points: Trend["points"] }) {
    const top = Math.max(1, ...points.map((p) => Math.max(p.entered ?? 0, p.left ?? 0)));
    const wide = 1000 / points.length;
    const tall = (n = 0) => (n * 30) / top;
    return (
        <svg
            class="movement"
            viewBox="0 0 1000 64"
            preserveAspectRatio="none"
            role="img"
            aria-label={`Came and left: ${points.reduce((n, p) => n + (p.entered ?? 0), 0)} and ${points.reduce((n, p) => n + (p.left ?? 0), 0)}`}
        >
            <path d="M0 32H1000" vector-effect="non-scaling-stroke" />
            {points.map((p, i) => (
                <g>
                    <rect class="came" x={i * wide + 2} width={wide - 4} y={31 - tall(p.entered)} height={tall(p.entered)} />
                    <rect class="went" x={i * wide + 2} width={wide - 4} y={33} height={tall(p.left)} />
                    <rect x={i * wide} width={wide} y="0" height="64" fill="transparent">
                        <title>{`${moment(p.at)}: ${p.entered ?? 0} came, ${p.left ?? 0} left`}</title>
                    </rect>
                </g>
            ))}
        </svg>
    );
}

export function TrendCard({ id }: { id: string }) {
    const [days, setDays] = useState(30);
    const asked = useKept(useGet<Trend>(`/v1/segments/${part(id)}/trend?days=${days}`));
    const since = new Date(Math.floor(Date.now() / 60000) * 60000 - days * 86400000).toISOString();
    const diff = useKept(useGet<Diff>(`/v1/segments/${part(id)}/diff?from=${since}&identity=now&limit=8`));
    return (
        <Card
            title="How it went"
            pad
            side={
                <select aria-label="Days" value={days} onInput={(e) => setDays(+e.currentTarget.value)}>
                    {[7, 30, 90].map((d) => (
                        <option value={d}>{d} days</option>
                    ))}
                </select>
            }
        >
            <div class="stack">
                <Asking of={asked} n={6}>
                    {({ points }) => (
                        <div>
                            <Chart
                                label="People in the segment"
                                height={180}
                                fill
                                at={points.map((p) => Date.parse(p.at) / 1000)}
                                lines={[{ name: "People", values: points.map((p) => p.count) }]}
                            />
                            <Movement points={points.slice(1)} />
                            <div class="line spread soft small" style={{ paddingLeft: "58px" }}>
                                <span>
                                    <i class="swatch good" /> came <i class="swatch bad" /> left, since the point before
                                </span>
                            </div>
                        </div>
                    )}
                </Asking>
                <Asking of={diff} n={2}>
                    {(d) => (
                        <div class="stack">
                            <p class="small">
                                <strong>{count(d.entered)}</strong> came and <strong>{count(d.left)}</strong> left in {days} days and stayed so, by today's rule.
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

/* ---- what another rule would have done ------------------------------------------------------------ */
interface Change {
    campaign?: string;
    was: number;
    would: number;
    change: number;
    low: number;
    high: number;
}
interface Scenario {
    days: number;
    now: { was: number; would: number; come: number; go: number };
    points: { at: string; was: number; would: number }[];
    decisions_asked_again: number;
    people: number;
    changed: number;
    decisions: Change;
    contacts: Change;
    campaigns: Change[];
}

function Changed({ name, of }: { name: ComponentChildren; of: Change }) {
    return (
        <tr>
            <td>{name}</td>
            <td class="num">{count(Math.round(of.was))}</td>
            <td class="num">{count(Math.round(of.would))}</td>
            <td class="num">
                {of.was ? signed(of.change / of.was) : count(Math.round(of.change))}
                <div class="soft small">
                    {count(Math.round(of.low))} to {count(Math.round(of.high))}
                </div>
            </td>
        </tr>
    );
}

/** The rule as it is being edited, held against the one in force over the last days. */
export function ScenarioCard({ id, rule }: { id: string; rule: string }) {
    const [days, setDays] = useState(28);
    const [found, set] = useState<{ of: string; answer: Scenario } | null>(null);
    const [error, setError] = useState<Problem | null>(null);
    const [busy, setBusy] = useState(false);
    const stale = found && found.of !== rule;
    async function run() {
        setBusy(true);
        setError(null);
        try {
            set({ of: rule, answer: await post<Scenario>(`/v1/segments/${part(id)}/scenario`, { rule, days }) });
        } catch (e) {
            setError(e as Problem);
        }
        setBusy(false);
    }
    return (
        <Card
            title="What this change would have done"
            side={
                <span class="line">
                    <select aria-label="Days of the scenario" value={days} onChange={(e) => setDays(+e.currentTarget.value)}>
                        {[7, 28, 60].map((d) => (
                            <option value={d}>last {d} days</option>
                        ))}
                    </select>
                    <button class="button small" disabled={busy} onClick={run}>
                        {busy ? "Asking everybody…" : found ? "Ask again" : "Try it on the past"}
                    </button>
                </span>
            }
        >
            {error && <Wrong error={error} />}
            {!found && !error && (
                <p class="pad soft small">
                    The rule differs from the one in force. Before publishing you can hold it against what happened: people, decisions, contacts.
                </p>
            )}
            {found && (
                <div class={stale ? "stack faded" : "stack"} style={{ paddingTop: "14px" }}>
                    <div style={{ padding: "0 18px" }}>
                        <p>
                            Now <strong>{count(found.answer.now.would)}</strong> instead of <strong>{people(found.answer.now.was)}</strong>:{" "}
                            {count(found.answer.now.come)} would come and {count(found.answer.now.go)} would go.
                            {stale && <span class="soft"> The rule changed since.</span>}
                        </p>
                        <Chart
                            label="People by either rule"
                            height={170}
                            at={found.answer.points.map((p) => Date.parse(p.at) / 1000)}
                            lines={[
                                { name: "In force", values: found.answer.points.map((p) => p.was) },
                                { name: "As edited", values: found.answer.points.map((p) => p.would) },
                            ]}
                        />
                        <Legend names={["In force", "As edited"]} />
                    </div>
                    <Table>
                        <thead>
                            <tr>
                                <th>In {found.answer.days} days</th>
                                <th class="num">Was</th>
                                <th class="num">Would have been</th>
                                <th class="num">Change, 95 %</th>
                            </tr>
                        </thead>
                        <tbody>
                            <Changed name="Decisions by campaigns" of={found.answer.decisions} />
                            <Changed name="Contacts seen" of={found.answer.contacts} />
                            {found.answer.campaigns.map((c) => (
                                <Changed name={<a href={`#/campaigns/${part(c.campaign!)}`}>{c.campaign}</a>} of={c} />
                            ))}
                        </tbody>
                    </Table>
                    <p class="pad soft small" style={{ paddingTop: 0 }}>
                        {plural(found.answer.decisions_asked_again, "decision")} of {people(found.answer.people)} asked again; {count(found.answer.changed)} would have come out otherwise.
                    </p>
                </div>
            )}
        </Card>
    );
}

/* ---- who they are --------------------------------------------------------------------------------- */
export interface Lifted {
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

/* What there is more of here than elsewhere; what is told from chance comes first. */
export function Lifts({ list, others = "Others", n = 8 }: { list: Lifted[]; others?: string; n?: number }) {
    const more = list.filter((a) => a.lift === null || a.lift > 0);
    const shown = [...more.filter((a) => a.sure), ...more.filter((a) => !a.sure)].slice(0, n);
    return (
        <Table>
            <thead>
                <tr>
                    <th>What</th>
                    <th class="num">Here</th>
                    <th class="num">{others}</th>
                    <th class="num">Lift, 95 %</th>
                </tr>
            </thead>
            <tbody>
                {shown.map((a) => (
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
                                : `${fixed(1 + a.lift, 1)} × (${fixed(1 + a.low, 1)} to ${fixed(1 + a.high, 1)})`}
                        </td>
                    </tr>
                ))}
            </tbody>
        </Table>
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
                            {people(p.size)}, {percent(p.share)} of everybody;{" "}
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
    all: number;
    winners?: {
        placement: string;
        won_by: { campaign: string; experience?: string; people: number; over?: string; why: string }[];
        nobody: number;
    }[];
}
const CHOSEN_MAX = 8;

/* Two circles whose areas and shared part are to scale. */
function Circles({ a, b, shared, names }: { a: number; b: number; shared: number; names: [string, string] }) {
    const top = Math.max(a, b, 1);
    const [ra, rb] = [46 * Math.sqrt(a / top), 46 * Math.sqrt(b / top)];
    const lens = (d: number) => {
        if (d >= ra + rb) return 0;
        if (d <= Math.abs(ra - rb)) return Math.PI * Math.min(ra, rb) ** 2;
        const x = (d * d + ra * ra - rb * rb) / (2 * d);
        const y = Math.sqrt(Math.max(0, ra * ra - x * x));
        return ra * ra * Math.acos(x / ra) + rb * rb * Math.acos((d - x) / rb) - d * y;
    };
    const area = (shared / top) * Math.PI * 46 ** 2;
    let [near, far] = [Math.abs(ra - rb), ra + rb];
    for (let i = 0; i < 40; i++) {
        const d = (near + far) / 2;
        if (lens(d) > area) near = d;
        else far = d;
    }
    const left = 110 - (ra + far + rb) / 2;
    return (
        <svg class="circles" viewBox="0 0 220 104" role="img" aria-label={`${shared} shared of ${a} in ${names[0]} and ${b} in ${names[1]}`}>
            <circle cx={left + ra} cy="52" r={ra} />
            <circle class="other" cx={left + ra + far} cy="52" r={rb} />
        </svg>
    );
}

function Winners({ of }: { of: NonNullable<Overlap["winners"]> }) {
    if (!of.length) return <p class="soft">No campaign runs in any placement.</p>;
    return (
        <>
            {of.map((w) => (
                <div>
                    <strong>{w.placement}</strong> {w.won_by.length === 0 && <span class="soft">no campaign speaks to them</span>}
                    {w.won_by.map((x) => (
                        <div>
                            <a href={`#/campaigns/${part(x.campaign)}`}>{x.campaign}</a>
                            {x.experience && `, ${x.experience},`} wins {people(x.people)}
                            {x.over && <> from {x.over}</>}: <span class="soft">{x.why}</span>
                        </div>
                    ))}
                    {w.won_by.length > 0 && w.nobody > 0 && <div class="soft">{people(w.nobody)} see no campaign there</div>}
                </div>
            ))}
        </>
    );
}

/* How many each two share; the darker, the more of the row. */
function Matrix({ of, at, onPick }: { of: Overlap; at: [string, string] | null; onPick: (pair: [string, string]) => void }) {
    const shared = new Map(of.pairs.map((p) => [p.keys.join(" "), p.count]));
    const both = (a: string, b: string) => shared.get(`${a} ${b}`) ?? shared.get(`${b} ${a}`) ?? 0;
    return (
        <div class="scroll">
            <table class="matrix">
                <thead>
                    <tr>
                        <th>
                            <span class="hidden">Segment</span>
                        </th>
                        {of.segments.map((s) => (
                            <th class="num">{s.key}</th>
                        ))}
                    </tr>
                </thead>
                <tbody>
                    {of.segments.map((row) => (
                        <tr>
                            <th scope="row">{row.key}</th>
                            {of.segments.map((col) => {
                                if (row.key === col.key) return <td class="num soft">{count(row.count)}</td>;
                                const n = both(row.key, col.key);
                                const share = row.count ? n / row.count : 0;
                                const picked = at && at.includes(row.key) && at.includes(col.key);
                                return (
                                    <td class="num" style={{ background: `color-mix(in srgb, var(--accent) ${Math.round(share * 38)}%, transparent)` }}>
                                        <button
                                            class="cell"
                                            aria-pressed={!!picked}
                                            aria-label={`${row.key} and ${col.key} share ${n}, ${percent(share)} of ${row.key}`}
                                            onClick={() => onPick([row.key, col.key])}
                                        >
                                            {count(n)}
                                            <small>{percent(share)}</small>
                                        </button>
                                    </td>
                                );
                            })}
                        </tr>
                    ))}
                </tbody>
            </table>
        </div>
    );
}

/** Any segments held against each other: the matrix, and of two of them the picture and who wins whom they share. `id`: one of them. */
export function OverlapCard({ id }: { id?: string }) {
    const all = useGet<{ segments: Segment[] }>("/v1/segments");
    const [chosen, setChosen] = useState<string[] | null>(null);
    const [pair, setPair] = useState<[string, string] | null>(null);
    const live = (all.data?.segments ?? []).filter((s) => s.state === "published");
    const first = id ?? live[0]?.key;
    const keys = chosen ?? [first, ...live.map((s) => s.key).filter((k) => k !== first)].filter(Boolean).slice(0, 6);
    const matrix = useKept(useGet<Overlap>(keys.length > 1 ? `/v1/segments/overlap?keys=${keys.map(part).join(",")}` : null));
    const picked: [string, string] | null = pair ?? (keys.length > 1 ? [keys[0], keys[1]] : null);
    const two = useKept(useGet<Overlap>(picked ? `/v1/segments/overlap?keys=${picked.map(part).join(",")}` : null));
    if (all.data && live.length < 2) return null;
    return (
        <Card title="Shared with other segments">
            <div class="line small" style={{ padding: "12px 18px" }} role="group" aria-label="Segments in the matrix">
                {live.map((s) => (
                    <label class="check" style={{ margin: 0 }}>
                        <input
                            type="checkbox"
                            checked={keys.includes(s.key)}
                            disabled={s.key === id || (!keys.includes(s.key) && keys.length >= CHOSEN_MAX)}
                            onChange={(e) => {
                                setChosen(e.currentTarget.checked ? [...keys, s.key] : keys.filter((k) => k !== s.key));
                                setPair(null);
                            }}
                        />
                        {s.key}
                    </label>
                ))}
            </div>
            {keys.length > 1 && <Asking of={matrix} n={4}>{(m) => <Matrix of={m} at={picked} onPick={setPair} />}</Asking>}
            {picked && (
                <div class="overlap-two">
                    <Asking of={two} n={2}>
                        {(o) => {
                            const [a, b] = o.segments;
                            return (
                                <>
                                    <figure>
                                        <Circles a={a.count} b={b.count} shared={o.pairs[0]?.count ?? 0} names={[a.key, b.key]} />
                                        <figcaption class="soft small">
                                            <i class="swatch a" /> {a.key} {count(a.count)} · <i class="swatch b" /> {b.key} {count(b.count)} · shared{" "}
                                            {count(o.pairs[0]?.count ?? 0)}
                                        </figcaption>
                                    </figure>
                                    <div class="stack small">
                                        <span class="label">Who wins whom they share</span>
                                        <Winners of={o.winners ?? []} />
                                    </div>
                                </>
                            );
                        }}
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

interface Member {
    person_id: string;
    display: string;
    entered_at: string | null;
    last_at: string;
    matches?: unknown;
}
const MEMBERS_SHOWN = 20;

/** Who is in: found by name, address or id, a page at a time. */
export function MembersCard({ id }: { id: string }) {
    const [q, setQ] = useState("");
    const [rows, set] = useState<Member[] | null>(null);
    const [more, setMore] = useState(false);
    const [error, setError] = useState<Problem | null>(null);
    const path = `/v1/segments/${part(id)}/members`;
    const page = (after?: string) =>
        getLines<Member>(`${path}?limit=${MEMBERS_SHOWN + 1}&q=${encodeURIComponent(q.trim())}${after ? `&after=${part(after)}` : ""}`);
    const take = (was: Member[], got: Member[]) => {
        set([...was, ...got.slice(0, MEMBERS_SHOWN)]);
        setMore(got.length > MEMBERS_SHOWN);
    };
    useEffect(() => {
        let stale = false;
        const timer = setTimeout(() => page().then((got) => !stale && (take([], got), setError(null)), (e) => !stale && setError(e)), q ? 200 : 0);
        return () => {
            stale = true;
            clearTimeout(timer);
        };
    }, [q, id]);
    return (
        <Card
            title="Members"
            side={
                <span class="line">
                    <input
                        type="search"
                        aria-label="Find a member"
                        placeholder="Name, e-mail or id"
                        style={{ width: "220px", minHeight: "32px", padding: "3px 10px" }}
                        value={q}
                        onInput={(e) => setQ(e.currentTarget.value)}
                    />
                    <a class="button small" href={`${path}?format=csv`} download={`${id}.csv`}>
                        CSV
                    </a>
                    <a class="button small" href={path} download={`${id}.ndjson`}>
                        NDJSON
                    </a>
                </span>
            }
        >
            {error ? (
                <Wrong error={error} />
            ) : !rows ? (
                <Bones n={6} />
            ) : rows.length ? (
                <div class="scroll">
                    <table>
                        <thead>
                            <tr>
                                <th>Person</th>
                                <th>In since</th>
                                <th>Last seen</th>
                            </tr>
                        </thead>
                        <tbody>
                            {rows.map((p) => (
                                <Row key={p.person_id} to={`/people/${part(p.person_id)}`}>
                                    <td>
                                        <a href={`#/people/${part(p.person_id)}`}>{p.display}</a>
                                    </td>
                                    <td>
                                        <When at={p.entered_at} />
                                    </td>
                                    <td>
                                        <When at={p.last_at} />
                                    </td>
                                </Row>
                            ))}
                        </tbody>
                    </table>
                    {more && (
                        <div class="pad">
                            <button class="button small" onClick={() => attempt(async () => take(rows, await page(rows[rows.length - 1].person_id)))}>
                                Show more
                            </button>
                        </div>
                    )}
                </div>
            ) : (
                <Empty title={q ? "No member is called so" : "Nobody is in"}>{q ? "Names, e-mail addresses and ids are looked through." : ""}</Empty>
            )}
        </Card>
    );
}

export function MoversCard({ id }: { id: string }) {
    const asked = useGet<Diff>(`/v1/segments/${part(id)}/diff?identity=now&limit=10`);
    return (
        <Card title="Came and left this week">
            <Listing
                of={asked}
                n={4}
                rows={(d) => d.people}
                head={["Person", "Moved", "#When"]}
                row={(p) => (
                    <Row key={p.person_id} to={`/people/${part(p.person_id)}`}>
                        <td>
                            <a href={`#/people/${part(p.person_id)}`}>{p.display}</a>
                        </td>
                        <td>
                            <span title={p.why?.map((w) => `${w.rule}: ${w.was}, now ${w.is}`).join("\n")}>
                                <Badge tone={p.moved === "entered" ? "good" : ""}>{p.moved === "entered" ? "came" : "left"}</Badge>
                            </span>
                        </td>
                        <td class="num">{p.at ? <When at={p.at} /> : <span class="soft">by itself</span>}</td>
                    </Row>
                )}
                empty={<Empty title="Nobody moved">No one came or left in seven days.</Empty>}
            />
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
                            <Table>
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
                            </Table>
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
