/* SPDX-License-Identifier: Apache-2.0
 *
 * privacy.tsx - for whoever answers for privacy: what is held of somebody, a copy of it, their erasure, and the receipts of those
 * before. The address holds a person's number or a receipt's (#/privacy/p_12, #/privacy/e_7), never what somebody is called.
 */
import { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Person, Problem, part, post } from "./api";
import { Asked, Asking, Badge, Bones, Card, Empty, Field, Listing, Page, When, Wrong, attempt, go, say, useGet, useIsAdmin } from "./ui";
import { Lookup } from "./who";
import { count, moment, percent, plural, sentence } from "./words";

type Counts = Record<string, number>;

/* What fold_erase() did for one person. */
interface Receipt {
    id: string;
    regulation: string;
    state: "running" | "done";
    because: string;
    by: string;
    whom: string;
    asked_at: string;
    done_at?: string;
    progress?: number;
    counts: Counts;
}
/* What a shop system passed on and somebody has to see to. */
interface Request {
    id: string;
    regulation: string;
    state: "waiting" | "done";
    source: string;
    user_id?: string;
    asked_at: string;
    due_at: string;
}
type Regulation = Receipt | Request;

/* ---- words ------------------------------------------------------------------------------------ */

/* of one, of several, and what becomes of them */
const kinds: Record<string, [string, string, string?]> = {
    people: ["profile", "profiles", "facts, consents, scores and likes"],
    identifiers: ["identifier", "identifiers", "addresses, numbers and browsers they are known by"],
    segments: ["segment", "segments", "they leave; each counts one less"],
    orders: ["order", "orders", "what the shop took in stays in its totals"],
    history: ["event in their history", "events in their history"],
    events: ["event in the log", "events in the log", "stubs without a name, a product or an address stand in their places"],
    decisions: ["decision", "decisions", "what they were shown, and why"],
    predictions: ["prediction", "predictions"],
    letters: ["dead letter", "dead letters", "which hold one of their identifiers"],
    others: ["record of others", "records of others", "stay, without the identifiers of theirs that they named"],
};
const held = (counts: Counts) => Object.keys(kinds).filter((kind) => counts[kind] > 0);
const word = (kind: string, n: number) => kinds[kind][n === 1 ? 0 : 1];

/** "1 profile, 3 identifiers and 2 orders". What only loses a name is not lost, and the history is of the same events as the log. */
function lost(counts: Counts): string {
    const all = held(counts)
        .filter((kind) => kind !== "others" && kind !== "history")
        .map((kind) => `${count(counts[kind])} ${word(kind, counts[kind])}`);
    return [all.slice(0, -1).join(", "), all[all.length - 1]].filter(Boolean).join(" and ");
}

/** By whose order, and which way it came. */
function ordered({ by, because }: Receipt): [string, string] {
    const [who, rest] = by.split(/ (.*)/s);
    if (who === "key") return [`Key ${rest}`, "through the API"];
    if (who === "webhook") return [`Source ${rest}`, /^shopify/i.test(because) ? "Shopify passed it on" : "by webhook"];
    if (who === "opmaat") return ["Command line", "on the server's own machine"];
    return [by, "here, or through the API"];
}

const regulations: Record<string, string> = {
    export: "A copy of what is held of them",
    erase_shop: "Everything of the whole shop, erased",
};

function Line({ name, children }: { name: string; children: ComponentChildren }) {
    return (
        <>
            <dt>{name}</dt>
            <dd>{children}</dd>
        </>
    );
}

function Held({ counts }: { counts: Counts }) {
    return (
        <dl class="facts tally">
            {held(counts).map((kind) => (
                <>
                    <dt class="num">{count(counts[kind])}</dt>
                    <dd>
                        {word(kind, counts[kind])}
                        {kinds[kind][2] && <small>{kinds[kind][2]}</small>}
                    </dd>
                </>
            ))}
        </dl>
    );
}

/* ---- somebody --------------------------------------------------------------------------------- */

/** What would go; the whole log is read for it. */
function useTry(id: string): Asked<Counts> {
    const [state, set] = useState<{ data?: Counts; error?: Problem }>({});
    const reload = async () => {
        set({});
        try {
            set({ data: (await post<{ counts: Counts }>("/v1/regulations", { regulation: "erase", person_id: id, dry_run: true })).counts });
        } catch (error) {
            set({ error: error as Problem });
        }
    };
    useEffect(() => {
        void reload();
    }, [id]);
    return { ...state, reload, set: (data) => set({ data }) };
}

/* What is typed to confirm: as they are called in the letter that asks for it, where that is known. */
const called = (p: Person) =>
    ["email", "user_id"].map((kind) => p.identifiers.find((i) => i.kind === kind)?.value).find(Boolean) ?? p.person_id;

function Confirm({ of: p, counts, onKeep }: { of: Person; counts: Counts; onKeep: () => void }) {
    const [typed, set] = useState("");
    const [busy, setBusy] = useState(false);
    const form = useRef<HTMLFormElement>(null);
    useLayoutEffect(() => form.current?.querySelector("input")?.focus(), []); /* before it is seen, so that no key goes elsewhere */
    const name = called(p);
    const sure = typed.trim() === name;
    async function erase(e: Event) {
        e.preventDefault();
        if (!sure || busy) return;
        setBusy(true);
        const gone = await attempt(async () => {
            const { id } = await post<{ id: string }>("/v1/regulations", { regulation: "erase", person_id: p.person_id });
            go(`/privacy/${part(id)}`);
        }, "They are out of everything that is live.");
        if (!gone) setBusy(false);
    }
    return (
        <form class="stack" ref={form} aria-label="Erase for good" onSubmit={erase} onKeyDown={(e) => e.key === "Escape" && !busy && onKeep()}>
            <div class="note bad" role="alert">
                <div class="wrap">
                    <strong>This cannot be undone.</strong>
                    Gone for good: {lost(counts)}. What comes under their identifiers later is refused until it brings a consent.
                </div>
            </div>
            <Field name={`Type ${name} to confirm`}>
                <input autocomplete="off" autocapitalize="off" spellcheck={false} value={typed} onInput={(e) => set(e.currentTarget.value)} />
            </Field>
            <span class="line">
                <button class="button bad" disabled={!sure || busy}>
                    {busy ? "Erasing…" : "Erase for good"}
                </button>
                <button class="button" type="button" disabled={busy} onClick={onKeep}>
                    Keep them
                </button>
            </span>
        </form>
    );
}

function WouldGo({ of: p }: { of: Person }) {
    const [sure, set] = useState(false);
    const asked = useTry(p.person_id);
    const again = useRef<HTMLButtonElement>(null);
    const keep = () => {
        set(false);
        requestAnimationFrame(() => again.current?.focus());
    };
    return (
        <Card title="What would go" pad>
            <p class="soft small" role="status" style={{ marginBottom: "14px" }}>
                {asked.data ? "Nothing has happened yet." : !asked.error && "The whole log is read to count it."}
            </p>
            <Asking of={asked} n={5}>
                {(counts) => (
                    <div class="stack">
                        <Held counts={counts} />
                        {counts.people > 1 && (
                            <div class="note warn">
                                <span>
                                    {plural(counts.people, "profile")} and not one: who merely claimed one of their identifiers goes as well.
                                </span>
                            </div>
                        )}
                        {sure ? (
                            <Confirm of={p} counts={counts} onKeep={keep} />
                        ) : (
                            <span>
                                <button class="button" ref={again} onClick={() => set(true)}>
                                    Erase…
                                </button>
                            </span>
                        )}
                    </div>
                )}
            </Asking>
        </Card>
    );
}

/** Hands the browser a file made here. */
function save(name: string, text: string): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
}

function Copy({ id }: { id: string }) {
    const [busy, setBusy] = useState(false);
    async function download() {
        setBusy(true);
        await attempt(async () => {
            const all = await post<unknown>("/v1/regulations", { regulation: "export", person_id: id });
            save(`person-${id}.json`, JSON.stringify(all, null, 2));
        }, "The copy is in your downloads.");
        setBusy(false);
    }
    return (
        <Card title="A copy of their data" pad>
            <div class="stack">
                <p class="soft small">
                    Everything held of them, as JSON, to give to them: profile and consents, their whole history, orders, and what they were shown. It
                    names them: pass it on by a safe way, then delete it.
                </p>
                <span>
                    <button class="button" disabled={busy} onClick={download}>
                        {busy ? "Gathering…" : "Download it"}
                    </button>
                </span>
            </div>
        </Card>
    );
}

function Somebody({ id }: { id: string }) {
    const asked = useGet<Person>(`/v1/people/${part(id)}`);
    if (asked.error?.status === 404)
        return (
            <Card>
                <Empty title="Nobody here">Whoever had this number was erased, or it was never given to anybody.</Empty>
            </Card>
        );
    if (asked.error)
        return (
            <Card>
                <Wrong error={asked.error} retry={asked.reload} />
            </Card>
        );
    const p = asked.data;
    if (!p)
        return (
            <Card>
                <Bones n={6} />
            </Card>
        );
    return (
        <>
            <Card title="Who this is" side={<a href={`#/people/${part(id)}`}>Their page</a>} pad>
                <div class="two even">
                    <p class="wrap">
                        <strong>{p.display || id}</strong>
                        <br />
                        <span class="soft small">
                            {plural(p.counters.orders, "order")}, {plural(p.counters.events, "event")}, last seen <When at={p.counters.last_at} />
                        </span>
                    </p>
                    <dl class="facts">
                        {p.identifiers.map((i) => (
                            <Line name={sentence(i.kind)}>{i.value}</Line>
                        ))}
                    </dl>
                </div>
            </Card>
            <div class="two">
                <WouldGo of={p} />
                <Copy id={id} />
            </div>
        </>
    );
}

/* ---- receipts --------------------------------------------------------------------------------- */

const Done = ({ of }: { of: Receipt }) => (of.state === "done" ? <Badge tone="good">Done</Badge> : <Badge tone="accent">Under way</Badge>);

const POLL_MS = 700;

function ReceiptCard({ id, onDone }: { id: string; onDone: () => void }) {
    const asked = useGet<Receipt>(`/v1/regulations/${part(id)}`);
    const running = asked.data?.state === "running";
    const was = useRef(false);
    useEffect(() => {
        if (!asked.data) return; /* not answered yet, or not this time: what was under way still is */
        if (was.current && !running) {
            say("They are out of the log too.");
            onDone();
        }
        was.current = running;
        if (!running) return;
        const timer = setTimeout(asked.reload, POLL_MS);
        return () => clearTimeout(timer);
    }, [asked.data]);
    return (
        <Card title={`Receipt ${id}`} side={asked.data && <Done of={asked.data} />} pad>
            <Asking of={asked} n={4}>
                {(r) => {
                    const [who, way] = ordered(r);
                    const gone = r.progress ?? 1;
                    return (
                        <div class="stack">
                            {running && (
                                <div class="stack" style={{ gap: "6px" }}>
                                    <span class="small">
                                        Gone from all that is live. The log and the tables follow: {percent(gone, 0)}
                                    </span>
                                    <div
                                        class="bar"
                                        role="progressbar"
                                        aria-label="Gone through of the log"
                                        aria-valuemin={0}
                                        aria-valuemax={100}
                                        aria-valuenow={Math.round(gone * 100)}
                                    >
                                        <i style={{ width: `${gone * 100}%` }} />
                                    </div>
                                </div>
                            )}
                            <div class="two even">
                                <dl class="facts">
                                    <Line name="Asked">{moment(r.asked_at)}</Line>
                                    {r.done_at && <Line name="Done">{moment(r.done_at)}</Line>}
                                    <Line name="By order of">
                                        {who}
                                        <small>{way}</small>
                                    </Line>
                                    <Line name="Whom">
                                        <span class="mono small">{r.whom}</span>
                                        <small>a fingerprint, to tell the same person if they ask again; it names nobody</small>
                                    </Line>
                                </dl>
                                <Held counts={r.counts} />
                            </div>
                            {!running && (
                                <p class="soft small">
                                    Left to you: backups and copies made before hold them until they are thrown away, and systems that were sent
                                    their data must be asked too.
                                </p>
                            )}
                        </div>
                    );
                }}
            </Asking>
        </Card>
    );
}

const FIRST = 25;

function Receipts({ of }: { of: Asked<{ regulations: Regulation[] }> }) {
    const [shown, show] = useState(FIRST);
    const all = of.data?.regulations.filter((r): r is Receipt => "whom" in r) ?? [];
    return (
        <Card title="Erasures" side={all.length > 0 && <span class="soft small">{count(all.length)} in all</span>}>
            <Listing
                of={of}
                n={5}
                rows={() => all.slice(0, shown)}
                head={["Asked", "State", "By order of", "What went", "Receipt"]}
                row={(r) => {
                    const [who, way] = ordered(r);
                    return (
                        <tr key={r.id}>
                            <td>
                                <When at={r.asked_at} />
                            </td>
                            <td>
                                <Done of={r} />
                            </td>
                            <td class="wrap">
                                {who}
                                <div class="soft small">{way}</div>
                            </td>
                            <td class="wrap">
                                {plural(r.counts.people, "profile")}, {plural(r.counts.events, "event")}, {plural(r.counts.orders, "order")}
                            </td>
                            <td>
                                <a href={`#/privacy/${part(r.id)}`}>{r.id}</a>
                            </td>
                        </tr>
                    );
                }}
                empty={<Empty title="Nobody was erased yet">Each erasure leaves a receipt here, which names nobody.</Empty>}
            />
            {all.length > shown && (
                <div class="pad">
                    <button class="button" onClick={() => show(shown + 100)}>
                        Show more
                    </button>
                </div>
            )}
        </Card>
    );
}

/* What shops passed on and nobody has seen to. */
const waiting = ({ regulations: all }: { regulations: Regulation[] }) => all.filter((r): r is Request => r.state === "waiting");

function Waiting({ of }: { of: Asked<{ regulations: Regulation[] }> }) {
    const admin = useIsAdmin();
    const find = (user_id: string) =>
        attempt(async () => go(`/privacy/${part((await post<{ person_id: string }>("/v1/people/lookup", { user_id })).person_id)}`));
    return (
        <Card title="Passed on by shops, waiting for you">
            <Listing
                of={of}
                rows={waiting}
                head={["Asked for", "Shop", "Asked", "Due", ""]}
                row={(r) => (
                    <tr key={r.id}>
                        <td>{regulations[r.regulation] ?? sentence(r.regulation)}</td>
                        <td>{r.source}</td>
                        <td>
                            <When at={r.asked_at} />
                        </td>
                        <td>{moment(r.due_at)}</td>
                        <td class="right">
                            {admin && (
                                <span class="line" style={{ justifyContent: "flex-end" }}>
                                    {r.user_id && (
                                        <button class="button small" onClick={() => find(r.user_id!)}>
                                            Find them
                                        </button>
                                    )}
                                    <button
                                        class="button small"
                                        onClick={async () => (await attempt(() => post(`/v1/regulations/${part(r.id)}/done`), "Seen to.")) && of.reload()}
                                    >
                                        It is done
                                    </button>
                                </span>
                            )}
                        </td>
                    </tr>
                )}
                empty={null}
            />
        </Card>
    );
}

export function Privacy({ id }: { id?: string }) {
    const admin = useIsAdmin();
    const asked = useGet<{ regulations: Regulation[] }>("/v1/regulations");
    const receipt = id?.startsWith("e_");
    return (
        <Page
            title="Privacy"
            crumb={id && <a href="#/privacy">All erasures</a>}
            about="Tell somebody what is held of them, or forget them. Any of their identifiers will do."
            actions={admin && <Lookup to="/privacy" />}
        >
            {!admin && (
                <div class="note">
                    <span>Only an admin looks somebody up here, makes a copy or erases. You see what was done.</span>
                </div>
            )}
            {id && receipt && <ReceiptCard id={id} onDone={asked.reload} />}
            {id && !receipt && admin && <Somebody id={id} />}
            {asked.data && waiting(asked.data).length > 0 && <Waiting of={asked} />}
            <Receipts of={asked} />
        </Page>
    );
}
