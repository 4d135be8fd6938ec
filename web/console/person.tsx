/* SPDX-License-Identifier: Apache-2.0
 *
 * person.tsx - one person: who they are, what they did, what they were shown and why; now, or as they stood at any instant.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { DecisionRow, ExplainNode, HistoryEvent, Person as Facts, Problem, Standing, get, part, post } from "./api";
import { Differences, TimeSlider } from "./past";
import { Scores } from "./predictions";
import { Trace, Why } from "./trace";
import { Asked, Asking, Badge, Bones, Card, Empty, Page, Table, Tabs, When, Wrong, attempt, useGet, useIsAdmin, useKept, useMayEdit } from "./ui";
import { clock, day, fixed, moment, money, plural, sentence, short } from "./words";

/* ---- what they did ------------------------------------------------------------------------------ */
function look(type: string): [string, string] {
    if (/order|paid|purchase/.test(type)) return ["order", "€"];
    if (/cart|added|checkout/.test(type)) return ["cart", "+"];
    if (/decision/.test(type)) return ["", "◧"];
    if (/view|page|screen|search/.test(type)) return ["view", "◦"];
    if (/segment/.test(type)) return ["", "◔"];
    return ["", "·"];
}

/* The same thing in the same minute is one line. */
function together(events: HistoryEvent[]): (HistoryEvent & { times: number })[] {
    const lines: (HistoryEvent & { times: number })[] = [];
    const same = (e: HistoryEvent) => [e.type, e.item, e.order, e.segment, e.campaign, e.channel, e.at.slice(0, 16)].join();
    for (const e of events) {
        const last = lines[lines.length - 1];
        if (last && !e.value && same(last) === same(e)) last.times++;
        else lines.push({ ...e, times: 1 });
    }
    return lines;
}

function Line({ e }: { e: HistoryEvent & { times: number } }) {
    const [tone, sign] = look(e.type);
    const about = [e.channel !== "unknown" && e.channel, e.campaign && `campaign ${e.campaign}`, e.order && `order ${e.order}`, e.source];
    return (
        <li>
            <time dateTime={e.at} title={moment(e.at)}>
                {clock(e.at)}
            </time>
            <span class={`dot ${tone}`} aria-hidden="true">
                {sign}
            </span>
            <div class="wrap">
                {sentence(e.type)}
                {e.segment && (
                    <>
                        {" "}
                        · <a href={`#/segments/${part(e.segment)}`}>{e.segment}</a>
                    </>
                )}
                {e.title || e.item ? <> · {e.title ?? e.item}</> : null}
                {e.quantity && e.quantity > 1 ? <span class="soft"> × {e.quantity}</span> : null}
                {e.times > 1 ? <span class="soft"> × {e.times}</span> : null}
                <div class="soft small">{about.filter(Boolean).join(" · ")}</div>
            </div>
            <span class="num">{e.value ? money(e.value) : ""}</span>
        </li>
    );
}

/* Newest first, from `at` (or now) back; more comes as one scrolls. */
function Timeline({ id, at }: { id: string; at: number | null }) {
    const [events, set] = useState<HistoryEvent[]>([]);
    const [next, setNext] = useState<string | null | undefined>(at ? `${at}.0` : "");
    const [error, setError] = useState<Problem>();
    const busy = useRef(false);
    const end = useRef<HTMLDivElement>(null);
    async function more() {
        if (busy.current || next == null) return;
        busy.current = true;
        try {
            const page = await get<{ events: HistoryEvent[]; next?: string | null }>(
                `/v1/people/${part(id)}/history?limit=40${next ? `&before=${part(next)}` : ""}`,
            );
            set((was) => [...was, ...page.events]);
            setNext(page.next ?? null);
        } catch (e) {
            setError(e as Problem);
        }
        busy.current = false;
    }
    useEffect(() => {
        if (!end.current || next == null || error) return;
        const watch = new IntersectionObserver(
            (seen) => {
                if (seen.some((s) => s.isIntersecting)) void more();
            },
            { rootMargin: "400px" },
        );
        watch.observe(end.current);
        return () => watch.disconnect();
    }, [next, error]);
    let last = "";
    return (
        <>
            <ol class="timeline">
                {together(events).map((e, i) => {
                    const today = day(e.at);
                    const head = today !== last && (
                        <li class="day" key={today}>
                            {today}
                        </li>
                    );
                    last = today;
                    return (
                        <>
                            {head}
                            <Line key={i} e={e} />
                        </>
                    );
                })}
            </ol>
            {error ? (
                <Wrong error={error} retry={() => setError(undefined)} />
            ) : next == null ? (
                !events.length && <Empty title="Nothing happened yet" />
            ) : (
                <div ref={end} class="more">
                    <Bones n={events.length ? 2 : 8} />
                </div>
            )}
        </>
    );
}

/* ---- one: what they were shown ---------------------------------------------------------------- */
const reasons: Record<string, string> = {
    target: "the campaign's target",
    experiment: "drawn in an experiment",
    bandit: "chosen by a bandit",
    strategy: "recommended",
    holdout: "in the holdout: shown nothing personal",
    no_consent: "no consent: nothing personal",
    capped: "seen often enough",
    guarded: "held back by a guard",
    fallback: "a fallback",
    default: "nothing else applied",
    paused: "paused",
    error: "something failed",
    unknown_placement: "the placement is not known",
};

function DecisionLine({ d }: { d: DecisionRow }) {
    const [open, set] = useState(false);
    const asked = useGet<any>(open ? `/v1/decisions/${part(d.decision_key)}` : null);
    return (
        <>
            <tr>
                <td>
                    <When at={d.at} />
                </td>
                <td>{d.placement}</td>
                <td>
                    {d.campaign ? (
                        <a href={`#/campaigns/${part(d.campaign)}`}>{d.campaign}</a>
                    ) : (
                        <span class="soft">–</span>
                    )}
                    {d.variation && (
                        <span class="soft">
                            {" "}
                            · {[d.experience, d.variation].filter(Boolean).join(" / ")}
                        </span>
                    )}
                </td>
                <td>
                    <span class="line">
                        {d.clicked ? (
                            <Badge tone="good">Clicked</Badge>
                        ) : d.viewed ? (
                            <Badge tone="accent">Seen</Badge>
                        ) : (
                            <Badge>Not seen</Badge>
                        )}
                    </span>
                </td>
                <td class="right">
                    <button class="button small" aria-expanded={open} onClick={() => set(!open)}>
                        Why?
                    </button>
                </td>
            </tr>
            {open && (
                <tr>
                    <td colSpan={5} style={{ background: "var(--raised)" }}>
                        <p class="small" style={{ marginBottom: "8px" }}>
                            They saw this because: <strong>{reasons[d.reason] ?? d.reason}</strong>.
                        </p>
                        <Asking of={asked} n={3}>
                            {(data) =>
                                data.trace ? (
                                    <Trace trace={data.trace} />
                                ) : (
                                    <p class="small soft">No trace is kept for this decision.</p>
                                )
                            }
                        </Asking>
                    </td>
                </tr>
            )}
        </>
    );
}

function Decisions({ id }: { id: string }) {
    const asked = useGet<{ decisions: DecisionRow[] }>(`/v1/people/${part(id)}/decisions?limit=100`);
    return (
        <Asking of={asked} n={6}>
            {({ decisions }) =>
                decisions.length ? (
                    <Table>
                        <thead>
                            <tr>
                                <th>When</th>
                                <th>Placement</th>
                                <th>What</th>
                                <th>Seen</th>
                                <th>
                                    <span class="hidden">Why</span>
                                </th>
                            </tr>
                        </thead>
                        <tbody>
                            {decisions.map((d) => (
                                <DecisionLine key={d.decision_key} d={d} />
                            ))}
                        </tbody>
                    </Table>
                ) : (
                    <Empty title="Nothing was decided for this person yet" />
                )
            }
        </Asking>
    );
}

/* ---- one: segments ---------------------------------------------------------------------------- */
function Membership({ id, s, at }: { id: string; s: Facts["segments"][number]; at: number | null }) {
    const [open, set] = useState(false);
    const asked = useGet<{ member: boolean; tree: ExplainNode }>(
        open ? `/v1/people/${part(id)}/explain?segment=${part(s.key)}${at ? `&at=${new Date(at).toISOString()}` : ""}` : null,
    );
    return (
        <li class="stack" style={{ gap: "4px" }}>
            <div class="line spread">
                <a href={`#/segments/${part(s.key)}`}>{s.title || s.key}</a>
                <button class="link small" aria-expanded={open} onClick={() => set(!open)}>
                    Why?
                </button>
            </div>
            <div class="soft small">
                {s.entered_at && (
                    <>
                        since <When at={s.entered_at} />{" "}
                    </>
                )}
                {s.may_leave_at && (
                    <>
                        {s.entered_at && "· "}may leave <When at={s.may_leave_at} />
                    </>
                )}
            </div>
            {open && (
                <Asking of={asked} n={2}>
                    {(x) => (
                        <ul class="tree small">
                            <Why node={x.tree} />
                        </ul>
                    )}
                </Asking>
            )}
        </li>
    );
}

/* ---- where they are ------------------------------------------------------------------------------- */
const LADDERS = ["stage", "intent", "retention"] as const;

/* The word, what helps them there, and on asking the events that led to it. */
function Where({ name, of }: { name: string; of: Standing }) {
    const [open, set] = useState(false);
    return (
        <li class="stack" style={{ gap: "4px" }}>
            <div class="line spread">
                <span>
                    <span class="soft small">{sentence(name)}</span> <strong>{sentence(of.is)}</strong>
                </span>
                <button class="link small" aria-expanded={open} aria-label={`Why ${name} ${of.is}?`} onClick={() => set(!open)}>
                    Why?
                </button>
            </div>
            <div class="soft small">{of.help}</div>
            {open && (
                <ul class="tree small">
                    <Why node={of.why} />
                </ul>
            )}
        </li>
    );
}

function Worth({ of }: { of: NonNullable<Facts["worth"]> }) {
    if (!of.orders) return <p class="soft">No order yet.</p>;
    const facts: [string, string][] = [
        ...of.in.flatMap((w): [string, string][] => {
            const of_it = of.in.length > 1 ? `, ${w.currency}` : "";
            return [[`Lifetime value${of_it}`, money(w.lifetime_value)], [`Average order${of_it}`, money(w.average_order_value)]];
        }),
        ["Orders a year", short(of.orders_a_year)],
    ];
    if (of.days_between_orders) facts.push(["Days between orders", short(of.days_between_orders)]);
    return (
        <dl class="facts">
            {facts.map(([name, value]) => (
                <>
                    <dt>{name}</dt>
                    <dd class="num right">{value}</dd>
                </>
            ))}
            <dt>Last order</dt>
            <dd class="right">
                <When at={of.last_order_at} />
            </dd>
        </dl>
    );
}

/* ---- one ------------------------------------------------------------------------------------------- */
/* What several browsers of one person said alike is said once, as it was said last. */
function newest<T extends { at: string }>(all: T[], same: (one: T) => string): T[] {
    const kept = new Map<string, T>();
    for (const one of all) {
        const held = kept.get(same(one));
        if (!held || held.at < one.at) kept.set(same(one), one);
    }
    return [...kept.values()];
}

const name = (p: Facts) => {
    const trait = (key: string) => p.traits.find((t) => t.name === key)?.value;
    return (
        p.display
        ?? ([trait("first_name"), trait("last_name")].filter(Boolean).join(" ")
            || String(trait("name") ?? p.identifiers.find((i) => i.kind === "email")?.value ?? `Person ${p.person_id}`))
    );
};

const consentTone = (state: string) => (/grant|yes|true/.test(state) ? "good" : /den|no|false|withdr/.test(state) ? "bad" : "");

/* Who was joined with whom, why, and a way back. */
function Merges({ id, of, undone }: { id: string; of: Facts; undone: () => void }) {
    const may = useMayEdit();
    const { merges, refused_merges: refused = [] } = of;
    if (!merges.length && !refused.length) return null;
    const undo = (merge_id: string) => attempt(() => post(`/v1/people/${part(id)}/split`, { merge_id }), "They are two people again.");
    return (
        <Card title="Joined from" pad>
            <ul class="stack">
                {merges.map((m) => (
                    <li class="line spread" style={{ flexWrap: "nowrap" }}>
                        <span class="small">
                            <span class="mono">{m.from}</span> joined <span class="mono">{m.into}</span> <When at={m.at} />
                            <span class="soft" style={{ display: "block" }}>{sentence(m.why)}</span>
                        </span>
                        {m.undone ? (
                            <Badge plain>undone</Badge>
                        ) : (
                            may && (
                                <button class="button small" aria-label="Undo this merge" onClick={async () => (await undo(m.merge_id)) && undone()}>
                                    Undo
                                </button>
                            )
                        )}
                    </li>
                ))}
            </ul>
            {refused.length > 0 && (
                <details class="small" style={{ marginTop: "12px" }}>
                    <summary>{plural(refused.length, "refused link")}</summary>
                    <ul class="stack">
                        {refused.map((m) => (
                            <li>
                                {m.why} <When at={m.at} />
                            </li>
                        ))}
                    </ul>
                </details>
            )}
        </Card>
    );
}

function Aside({ id, asked, at }: { id: string; asked: Asked<Facts>; at: number | null }) {
    return (
        <div class="stack wide">
            <Card title="Where they are" pad>
                <Asking of={asked} n={3}>
                    {(p) => (
                        <ul class="stack">
                            {LADDERS.map((l) => p[l] && <Where key={l} name={l} of={p[l]!} />)}
                            {LADDERS.every((l) => !p[l]) && <li class="soft">Too little seen to say.</li>}
                        </ul>
                    )}
                </Asking>
            </Card>
            <Card title="Segments" pad>
                <Asking of={asked} n={2}>
                    {({ segments }) =>
                        segments.length ? (
                            <ul class="stack">
                                {segments.map((s) => (
                                    <Membership key={s.key} id={id} s={s} at={at} />
                                ))}
                            </ul>
                        ) : (
                            <p class="soft">In no segment {at ? "then" : "now"}.</p>
                        )
                    }
                </Asking>
            </Card>
            <Card title="Worth" pad>
                <Asking of={asked} n={3}>{({ worth }) => (worth ? <Worth of={worth} /> : <p class="soft">No order yet.</p>)}</Asking>
            </Card>
            <Card title="Predictions" pad>
                <Asking of={asked} n={2}>{({ predictions }) => <Scores scores={predictions ?? []} />}</Asking>
            </Card>
            <Card title="Likes" pad>
                <Asking of={asked} n={2}>
                    {({ affinities }) =>
                        affinities.length ? (
                            <ul class="stack" style={{ gap: "9px" }}>
                                {affinities.slice(0, 8).map((a) => (
                                    <li>
                                        <div class="line spread small">
                                            <span>
                                                {a.value} <span class="soft">{a.dimension}</span> {a.declared && <Badge plain>told us</Badge>}
                                            </span>
                                            <span class="num soft">{fixed(a.score, 2)}</span>
                                        </div>
                                        <div class="bar">
                                            <i style={{ width: `${Math.min(1, a.score) * 100}%` }} />
                                        </div>
                                    </li>
                                ))}
                            </ul>
                        ) : (
                            <p class="soft">Too little seen to say.</p>
                        )
                    }
                </Asking>
            </Card>
            {asked.data && asked.data.wishlist && asked.data.wishlist.length > 0 && (
                <Card title="Wish list" pad>
                    <ul class="stack small" style={{ gap: "6px" }}>
                        {asked.data.wishlist.map((w) => (
                            <li class="line spread">
                                {w.title ?? w.item} <When at={w.added_at} />
                            </li>
                        ))}
                    </ul>
                </Card>
            )}
            <Card title="Facts" pad>
                <Asking of={asked} n={3}>
                    {({ traits }) =>
                        traits.length ? (
                            <dl class="facts">
                                {newest(traits, (t) => `${t.name} ${t.value}`).map((t) => (
                                    <>
                                        <dt>{sentence(t.name)}</dt>
                                        <dd>
                                            {typeof t.value === "object" ? JSON.stringify(t.value) : String(t.value)}
                                            <small>
                                                {[t.source, t.origin].filter(Boolean).join(", ")} · <When at={t.at} />
                                            </small>
                                        </dd>
                                    </>
                                ))}
                            </dl>
                        ) : (
                            <p class="soft">Nothing was told.</p>
                        )
                    }
                </Asking>
            </Card>
            <Card title="Identifiers" pad>
                <Asking of={asked} n={2}>
                    {({ identifiers }) =>
                        identifiers.length ? (
                            <dl class="facts">
                                {identifiers.map((i) => (
                                    <>
                                        <dt>{sentence(i.kind)}</dt>
                                        <dd>
                                            <span class="mono">{i.value}</span> <Badge tone={i.trust === "verified" ? "good" : ""}>{i.trust}</Badge>
                                            <small>
                                                {i.source} · <When at={i.at} />
                                            </small>
                                        </dd>
                                    </>
                                ))}
                            </dl>
                        ) : (
                            <p class="soft">None was known.</p>
                        )
                    }
                </Asking>
            </Card>
            {asked.data && <Merges id={id} of={asked.data} undone={asked.reload} />}
            <Card title="Consent" pad>
                <Asking of={asked} n={3}>
                    {({ consent }) =>
                        consent.length ? (
                            <dl class="facts">
                                {newest(consent, (c) => `${c.purpose} ${c.state}`).map((c) => (
                                    <>
                                        <dt>{sentence(c.purpose)}</dt>
                                        <dd>
                                            <Badge tone={consentTone(c.state)}>{c.state}</Badge>
                                            <small>
                                                {[c.source, c.basis].filter(Boolean).join(" · ")} · <When at={c.at} />
                                            </small>
                                        </dd>
                                    </>
                                ))}
                            </dl>
                        ) : (
                            <p class="soft">Nothing was asked yet; unknown counts as no.</p>
                        )
                    }
                </Asking>
            </Card>
        </div>
    );
}

export function Person({ id, query }: { id: string; query: URLSearchParams }) {
    const asked_for = Date.parse(query.get("at") ?? "");
    const [at, setAt] = useState<number | null>(Number.isNaN(asked_for) ? null : asked_for);
    const [tab, setTab] = useState(at ? "then" : "timeline");
    const live = useGet<Facts>(`/v1/people/${part(id)}`);
    const past = useGet<Facts>(at ? `/v1/people/${part(id)}?at=${new Date(at).toISOString()}` : null);
    const asked = useKept(at ? past : live);
    const p = live.data;
    const admin = useIsAdmin();
    const move = (to: number | null) => {
        if (to && !at && tab === "timeline") setTab("then");
        if (!to && tab === "then") setTab("timeline");
        setAt(to);
        history.replaceState(null, "", `#/people/${part(id)}${to ? `?at=${new Date(to).toISOString()}` : ""}`);
    };
    return (
        <Page
            title={p ? name(p) : live.error ? "Person" : "…"}
            crumb={
                <>
                    <a href="#/people">People</a> / <span class="mono">{id}</span>
                </>
            }
            about={
                p ? (
                    <>
                        {plural(p.counters.orders, "order")}
                        {p.counters.revenue.length > 0 && <> worth {p.counters.revenue.map((m) => money(m)).join(" + ")}</>} ·{" "}
                        {plural(p.counters.events, "event")} · first seen <When at={p.counters.first_at} />, last{" "}
                        <When at={p.counters.last_at} />
                    </>
                ) : (
                    <>&nbsp;</>
                )
            }
            actions={
                p && admin && (
                    <a class="button" href={`#/privacy/${part(id)}`}>
                        Erase or export
                    </a>
                )
            }
        >
            {live.error ? (
                <Card>
                    <Wrong error={live.error} retry={live.reload} />
                </Card>
            ) : (
                <>
                    <TimeSlider id={id} first={p ? Date.parse(p.counters.first_at) : null} at={at} onAt={move} />
                    {asked.error?.status === 404 && at ? (
                        <Card>
                            <Empty title="Not here yet">Nothing was known of this person then.</Empty>
                        </Card>
                    ) : asked.error ? (
                        <Card>
                            <Wrong error={asked.error} retry={asked.reload} />
                        </Card>
                    ) : (
                        <div class="two">
                            <Card>
                                <div style={{ padding: "6px 12px 0" }}>
                                    <Tabs
                                        at={tab}
                                        onPick={setTab}
                                        tabs={[
                                            ["timeline", at ? "Timeline until then" : "Timeline"],
                                            ...(at ? [["then", "Then and now"] as [string, string]] : []),
                                            ["decisions", "What they were shown"],
                                        ]}
                                    />
                                </div>
                                {tab === "timeline" && <Timeline key={at ?? 0} id={id} at={at} />}
                                {tab === "then" && at && asked.data && p && <Differences id={id} at={at} then={asked.data} now={p} />}
                                {tab === "decisions" && <Decisions id={id} />}
                            </Card>
                            <Aside id={id} asked={asked} at={at} />
                        </div>
                    )}
                </>
            )}
        </Page>
    );
}
