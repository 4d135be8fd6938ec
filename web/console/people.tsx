/* SPDX-License-Identifier: Apache-2.0
 *
 * people.tsx - everybody, and one person: who they are, what they did, what they were shown and why.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import {
    DecisionRow,
    ExplainNode,
    HistoryEvent,
    Person as Facts,
    PersonRow,
    Problem,
    get,
    part,
    post,
} from "./api";
import { Scores } from "./predictions";
import {
    Asking,
    Badge,
    Bones,
    Card,
    Empty,
    Page,
    Row,
    Tabs,
    When,
    Wrong,
    attempt,
    go,
    useGet,
    useMayEdit,
} from "./ui";
import { Trace, Why } from "./trace";
import { clock, count, day, money, moment, plural, sentence } from "./words";

/* ---- all -------------------------------------------------------------------------------------- */
type PeoplePage = { people: PersonRow[]; next?: string | null };

function Lookup() {
    const [text, set] = useState("");
    const [missing, setMissing] = useState("");
    async function find(e: Event) {
        e.preventDefault();
        const q = text.trim();
        const kinds = q.includes("@") ? ["email"] : ["user_id", "anonymous_id", "person_id"];
        setMissing("");
        await attempt(async () => {
            for (const kind of kinds) {
                try {
                    const { person_id } = await post<{ person_id: string }>("/v1/people/lookup", {
                        [kind]: q,
                    });
                    return go(`/people/${part(person_id)}`);
                } catch (error) {
                    if (![400, 404, 422].includes((error as Problem).status)) throw error;
                }
            }
            return setMissing("Nobody has that identifier.");
        });
    }
    return (
        <form class="line" role="search" onSubmit={find}>
            <input
                style={{ width: "290px" }}
                type="search"
                aria-label="Find a person"
                placeholder="E-mail, user id or anonymous id"
                required
                value={text}
                onInput={(e) => set(e.currentTarget.value)}
            />
            <button class="button">Find</button>
            <span class={missing ? "small wrong" : "hidden"} role="status">
                {missing}
            </span>
        </form>
    );
}

export function People() {
    const first = useGet<PeoplePage>("/v1/people?limit=50");
    const [more, setMore] = useState<PeoplePage[]>([]);
    const all = [first.data, ...more].flatMap((p) => p?.people ?? []);
    const next = (more.length ? more[more.length - 1] : first.data)?.next;
    return (
        <Page
            title="People"
            about="Everyone who came by and allowed it, the latest first."
            actions={<Lookup />}
        >
            <Card>
                <Asking of={first} n={10}>
                    {() =>
                        all.length ? (
                            <div class="scroll">
                                <table>
                                    <thead>
                                        <tr>
                                            <th>Person</th>
                                            <th>Segments</th>
                                            <th class="num">Orders</th>
                                            <th>Last seen</th>
                                        </tr>
                                    </thead>
                                    <tbody>
                                        {all.map((p) => (
                                            <Row key={p.person_id} to={`/people/${part(p.person_id)}`}>
                                                <td>
                                                    <a href={`#/people/${part(p.person_id)}`}>
                                                        {p.display}
                                                    </a>
                                                </td>
                                                <td>
                                                    <span class="line">
                                                        {p.segments.slice(0, 3).map((s) => (
                                                            <Badge plain>{s}</Badge>
                                                        ))}
                                                        {p.segments.length > 3 && (
                                                            <span class="soft small">
                                                                and {p.segments.length - 3} more
                                                            </span>
                                                        )}
                                                    </span>
                                                </td>
                                                <td class="num">{count(p.orders)}</td>
                                                <td>
                                                    <When at={p.last_at} />
                                                </td>
                                            </Row>
                                        ))}
                                    </tbody>
                                </table>
                                {next && (
                                    <div class="pad">
                                        <button
                                            class="button"
                                            onClick={() =>
                                                attempt(async () => {
                                                    const page = await get<PeoplePage>(
                                                        `/v1/people?limit=50&after=${part(next)}`,
                                                    );
                                                    setMore([...more, page]);
                                                })
                                            }
                                        >
                                            Show more
                                        </button>
                                    </div>
                                )}
                            </div>
                        ) : (
                            <Empty title="Nobody yet">
                                People appear as soon as their first event arrives.
                            </Empty>
                        )
                    }
                </Asking>
            </Card>
        </Page>
    );
}

/* ---- one: timeline ---------------------------------------------------------------------------- */
function look(type: string): [string, string] {
    if (/order|paid|purchase/.test(type)) return ["order", "€"];
    if (/cart|added|checkout/.test(type)) return ["cart", "+"];
    if (/view|page|screen/.test(type)) return ["view", "◦"];
    if (/decision/.test(type)) return ["", "◧"];
    return ["", "·"];
}

function Timeline({ id }: { id: string }) {
    const [events, set] = useState<HistoryEvent[]>([]);
    const [next, setNext] = useState<string | null | undefined>("");
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
                {events.map((e, i) => {
                    const [tone, sign] = look(e.type);
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
                            <li key={i}>
                                <time dateTime={e.at} title={moment(e.at)}>
                                    {clock(e.at)}
                                </time>
                                <span class={`dot ${tone}`} aria-hidden="true">
                                    {sign}
                                </span>
                                <div class="wrap">
                                    {sentence(e.type)}
                                    {e.title || e.item ? <> · {e.title ?? e.item}</> : null}
                                    {e.quantity && e.quantity > 1 ? (
                                        <span class="soft"> × {e.quantity}</span>
                                    ) : null}
                                    <div class="soft small">
                                        {[e.channel, e.order && `order ${e.order}`, e.source]
                                            .filter(Boolean)
                                            .join(" · ")}
                                    </div>
                                </div>
                                <span class="num">{e.value ? money(e.value) : ""}</span>
                            </li>
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
                    <div class="scroll">
                        <table>
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
                        </table>
                    </div>
                ) : (
                    <Empty title="Nothing was decided for this person yet" />
                )
            }
        </Asking>
    );
}

/* ---- one: segments ---------------------------------------------------------------------------- */
function Membership({ id, s }: { id: string; s: Facts["segments"][number] }) {
    const [open, set] = useState(false);
    const asked = useGet<{ member: boolean; tree: ExplainNode }>(
        open ? `/v1/people/${part(id)}/explain?segment=${part(s.key)}` : null,
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
                since <When at={s.entered_at} />
                {s.may_leave_at && (
                    <>
                        {" "}
                        · may leave <When at={s.may_leave_at} />
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

/* ---- one -------------------------------------------------------------------------------------- */
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
            || String(
                trait("name")
                    ?? p.identifiers.find((i) => i.kind === "email")?.value
                    ?? `Person ${p.person_id}`,
            ))
    );
};

export function Person({ id }: { id: string }) {
    const [back, setBack] = useState(0);
    const [at, setAt] = useState("");
    const asked = useGet<Facts>(`/v1/people/${part(id)}${at ? `?at=${at}` : ""}`);
    const live = useGet<Facts>(`/v1/people/${part(id)}`);
    const days = live.data
        ? Math.max(1, Math.ceil((Date.now() - Date.parse(live.data.counters.first_at)) / 86400000))
        : 0;
    const may = useMayEdit();
    const [tab, setTab] = useState("timeline");
    const p = asked.data;
    return (
        <Page
            title={p ? name(p) : asked.error ? "Person" : "…"}
            crumb={
                <>
                    <a href="#/people">People</a> / <span class="mono">{id}</span>
                </>
            }
            about={
                p ? (
                    <>
                        {plural(p.counters.orders, "order")}
                        {p.counters.revenue.length > 0 && (
                            <> worth {p.counters.revenue.map((m) => money(m)).join(" + ")}</>
                        )}{" "}
                        · {plural(p.counters.events, "event")} · first seen{" "}
                        <When at={p.counters.first_at} />, last <When at={p.counters.last_at} />
                    </>
                ) : (
                    <>&nbsp;</>
                )
            }
        >
            {days > 0 && (
                <Card pad>
                    <label class="line small">
                        <span class="label">As of</span>
                        <input
                            class="grow"
                            type="range"
                            min={-Math.min(days, 365)}
                            max={0}
                            value={-back}
                            aria-label="Days ago"
                            onInput={(e) => setBack(-e.currentTarget.value)}
                            onChange={(e) => {
                                const ago = -e.currentTarget.value;
                                setBack(ago);
                                setAt(ago ? new Date(Date.now() - ago * 86400000).toISOString() : "");
                            }}
                        />
                        <span class="num" style={{ minWidth: "110px" }}>
                            {back ? day(new Date(Date.now() - back * 86400000).toISOString()) : "now"}
                        </span>
                    </label>
                </Card>
            )}
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
                                    ["timeline", "Timeline"],
                                    ["decisions", "What they were shown"],
                                ]}
                            />
                        </div>
                        {tab === "timeline" ? <Timeline id={id} /> : <Decisions id={id} />}
                    </Card>
                    <div class="stack wide">
                        <Card title="Segments" pad>
                            <Asking of={asked} n={2}>
                                {({ segments }) =>
                                    segments.length ? (
                                        <ul class="stack">
                                            {segments.map((s) => (
                                                <Membership key={s.key} id={id} s={s} />
                                            ))}
                                        </ul>
                                    ) : (
                                        <p class="soft">In no segment {at ? "then" : "now"}.</p>
                                    )
                                }
                            </Asking>
                        </Card>
                        <Card title="Predictions" pad>
                            <Asking of={asked} n={2}>
                                {({ predictions }) => <Scores scores={predictions ?? []} />}
                            </Asking>
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
                                                            {a.value}{" "}
                                                            <span class="soft">{a.dimension}</span>
                                                        </span>
                                                        <span class="num soft">
                                                            {a.score.toFixed(2)}
                                                        </span>
                                                    </div>
                                                    <div class="bar">
                                                        <i
                                                            style={{
                                                                width: `${Math.min(1, a.score) * 100}%`,
                                                            }}
                                                        />
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
                        <Card title="Facts" pad>
                            <Asking of={asked} n={3}>
                                {({ traits }) =>
                                    traits.length ? (
                                        <dl class="facts">
                                            {newest(traits, (t) => `${t.name} ${t.value}`).map((t) => (
                                                <>
                                                    <dt>{sentence(t.name)}</dt>
                                                    <dd>
                                                        {typeof t.value === "object"
                                                            ? JSON.stringify(t.value)
                                                            : String(t.value)}
                                                        <small>
                                                            {t.source} · <When at={t.at} />
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
                                {({ identifiers, merges, refused_merges }) => (
                                    <>
                                        <dl class="facts">
                                            {identifiers.map((i) => (
                                                <>
                                                    <dt>{sentence(i.kind)}</dt>
                                                    <dd>
                                                        <span class="mono">{i.value}</span>{" "}
                                                        <Badge
                                                            tone={i.trust === "verified" ? "good" : ""}
                                                        >
                                                            {i.trust}
                                                        </Badge>
                                                        <small>
                                                            {i.source} · <When at={i.at} />
                                                        </small>
                                                    </dd>
                                                </>
                                            ))}
                                        </dl>
                                        {merges.length > 0 && (
                                            <details class="small" style={{ marginTop: "12px" }}>
                                                <summary>{plural(merges.length, "merge")}</summary>
                                                <ul class="stack">
                                                    {merges.map((m) => (
                                                        <li>
                                                            {m.from} joined {m.into} <When at={m.at} />
                                                            <div class="soft">{m.why}</div>
                                                            {m.undone ? (
                                                                <Badge plain>undone</Badge>
                                                            ) : (
                                                                may && (
                                                                    <button
                                                                        class="button small"
                                                                        onClick={async () => {
                                                                            const undone = await attempt(
                                                                                () =>
                                                                                    post(`/v1/people/${part(id)}/split`, {
                                                                                        merge_id: m.merge_id,
                                                                                    }),
                                                                                "They are two people again.",
                                                                            );
                                                                            if (undone) asked.reload();
                                                                        }}
                                                                    >
                                                                        Undo this merge
                                                                    </button>
                                                                )
                                                            )}
                                                        </li>
                                                    ))}
                                                </ul>
                                            </details>
                                        )}
                                        {refused_merges && refused_merges.length > 0 && (
                                            <details class="small" style={{ marginTop: "12px" }}>
                                                <summary>{plural(refused_merges.length, "refused link")}</summary>
                                                <ul class="stack">
                                                    {refused_merges.map((m) => (
                                                        <li>
                                                            {m.why} <When at={m.at} />
                                                        </li>
                                                    ))}
                                                </ul>
                                            </details>
                                        )}
                                    </>
                                )}
                            </Asking>
                        </Card>
                        <Card title="Consent" pad>
                            <Asking of={asked} n={3}>
                                {({ consent }) =>
                                    consent.length ? (
                                        <dl class="facts">
                                            {newest(consent, (c) => `${c.purpose} ${c.state}`).map((c) => (
                                                <>
                                                    <dt>{sentence(c.purpose)}</dt>
                                                    <dd>
                                                        <Badge
                                                            tone={
                                                                /grant|yes|true/.test(c.state)
                                                                    ? "good"
                                                                    : /den|no|false|withdr/.test(
                                                                            c.state,
                                                                        )
                                                                      ? "bad"
                                                                      : ""
                                                            }
                                                        >
                                                            {c.state}
                                                        </Badge>
                                                        <small>
                                                            {[c.source, c.basis]
                                                                .filter(Boolean)
                                                                .join(" · ")}{" "}
                                                            · <When at={c.at} />
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
                </div>
            )}
        </Page>
    );
}
