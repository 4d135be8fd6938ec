/* SPDX-License-Identifier: Apache-2.0
 *
 * connectors.tsx - what leaves for other systems: how each fares, what it is told, what it would not take.
 */
import { useState } from "preact/hooks";
import { Definition, Doc, Segment, part, post } from "./api";
import { DefinitionPage, Editing, Named } from "./definition";
import {
    Asked,
    Badge,
    Card,
    Empty,
    Field,
    Listing,
    Page,
    Row,
    State,
    When,
    attempt,
    useGet,
    useMayEdit,
} from "./ui";
import { count, sentence } from "./words";

interface Connector {
    key: string;
    title: string;
    owner: string;
    type: "webhook" | "poll" | "ads";
    url: string;
    purpose: string;
    basis: string;
    segments: string[];
    state: "green" | "yellow" | "red" | "paused";
    delivered: number;
    withheld: number;
    waiting: number;
    dead: number;
    waiting_since?: string | null;
    attempts: number;
    next_at?: string | null;
    last_at?: string | null;
    status: number;
    problem: string;
}
interface Undelivered {
    id: number;
    sequence: number;
    kind: string;
    at: string;
    given_up_at: string;
    person_id?: string;
    reason: string;
    again: boolean;
}

const standing: Record<string, [string, string]> = {
    green: ["good", "Delivers"],
    yellow: ["warn", "Some given up"],
    red: ["bad", "Does not answer"],
    paused: ["warn", "Paused"],
};
const Standing = ({ of }: { of: Connector }) => (
    <Badge tone={standing[of.state]?.[0]}>{standing[of.state]?.[1] ?? of.state}</Badge>
);
const types: Record<string, string> = { webhook: "Webhook", poll: "Fetched by its reader", ads: "Advertising platform" };

/* ---- all of them ------------------------------------------------------------------------------- */

/* Drafts have no standing yet: they are listed from their definitions. */
function useConnectors(): Asked<{ live: Connector[]; drafts: Definition[] }> {
    const live = useGet<{ connectors: Connector[] }>("/v1/connectors");
    const all = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=connector");
    const both = live.data && all.data;
    return {
        data: both && {
            live: live.data!.connectors,
            drafts: all.data!.definitions.filter((d) => d.state === "draft"),
        },
        error: live.error ?? all.error,
        reload: async () => void (await Promise.all([live.reload(), all.reload()])),
        set: () => {},
    };
}

function LiveRow({ of: c }: { of: Connector }) {
    const to = `/connectors/${part(c.key)}`;
    return (
        <Row to={to}>
            <td>
                <a href={`#${to}`}>{c.title || c.key}</a>
                <div class="soft small wrap">{c.url || types[c.type]}</div>
            </td>
            <td>
                <Standing of={c} />
                {c.problem && <div class="soft small wrap">{c.problem}</div>}
            </td>
            <td class="num">{count(c.delivered)}</td>
            <td class="num">{count(c.withheld)}</td>
            <td class="num">
                {count(c.waiting)}
                {c.waiting > 0 && c.waiting_since && (
                    <div class="soft small">
                        since <When at={c.waiting_since} />
                    </div>
                )}
            </td>
            <td class="num">{c.dead ? <strong class="bad">{count(c.dead)}</strong> : 0}</td>
            <td>
                <Badge plain>
                    {sentence(c.purpose)}: {sentence(c.basis).toLowerCase()}
                </Badge>
            </td>
            <td>
                <When at={c.last_at} />
            </td>
        </Row>
    );
}

const DraftRow = ({ of: d }: { of: Definition }) => (
    <Row to={`/connectors/${part(d.key)}`}>
        <td>
            <a href={`#/connectors/${part(d.key)}`}>{d.title || d.key}</a>
            <div class="soft small">{types[d.document?.type] ?? d.key}</div>
        </td>
        <td>
            <State of={d} />
        </td>
        <td colSpan={6} class="soft">
            Nothing leaves before it is published.
        </td>
    </Row>
);

export function Connectors() {
    const asked = useConnectors();
    const may = useMayEdit();
    const fresh = (
        <a class="button primary" href="#/connectors/new">
            New connector
        </a>
    );
    return (
        <Page
            title="Connectors"
            about="What leaves for other systems. Each has its own queue: one that is dead slows nobody."
            actions={may && fresh}
        >
            <Card>
                <Listing
                    of={asked}
                    rows={({ live, drafts }): (Connector | Definition)[] => [...live, ...drafts]}
                    head={["Connector", "State", "#Delivered", "#Withheld", "#Waiting", "#Given up", "Purpose", "Last"]}
                    row={(one) =>
                        "delivered" in one ? <LiveRow key={one.key} of={one} /> : <DraftRow key={one.key} of={one} />
                    }
                    empty={
                        <Empty title="Nothing leaves yet">
                            A connector tells another system what happens: a CRM, a warehouse, an advertising platform.
                        </Empty>
                    }
                />
            </Card>
        </Page>
    );
}

/* ---- one ---------------------------------------------------------------------------------------- */

function Fares({ of: c }: { of: Connector }) {
    const facts: [string, string][] = [
        ["Delivered", count(c.delivered)],
        ["Withheld for want of consent", count(c.withheld)],
        ["Waiting", count(c.waiting)],
        ["Given up", count(c.dead)],
    ];
    return (
        <>
            {c.problem && (
                <div class="note bad" role="alert">
                    <div>
                        <strong>{c.status ? `It answered ${c.status}` : "It does not answer"}</strong>
                        {c.problem}
                        {c.next_at && (
                            <>
                                {" "}
                                Attempt {c.attempts + 1} comes <When at={c.next_at} />.
                            </>
                        )}
                    </div>
                </div>
            )}
            <Card title="How it goes" side={<Standing of={c} />} pad>
                <dl class="grid">
                    {facts.map(([name, value]) => (
                        <div>
                            <dt class="soft small">{name}</dt>
                            <dd class="num">
                                <strong>{value}</strong>
                            </dd>
                        </div>
                    ))}
                </dl>
            </Card>
        </>
    );
}

const list = (text: string) =>
    text
        .split(",")
        .map((s) => s.trim())
        .filter(Boolean);

/* A list typed with commas: what is typed stays as typed, the document gets the list. */
function Listed({ of, name, may, like, id }: { of: Editing; name: string; may: boolean; like: string; id?: string }) {
    const held: string[] = of.doc[name] ?? [];
    const [text, set] = useState(held.join(", "));
    const shown = list(text).join() === held.join() ? text : held.join(", ");
    return (
        <input
            id={id}
            value={shown}
            disabled={!may}
            placeholder={like}
            onInput={(e) => {
                const now = e.currentTarget.value;
                set(now);
                of.set({ ...of.doc, [name]: list(now).length ? list(now) : undefined });
            }}
        />
    );
}

const purposes = ["marketing_email", "analytics", "personalisation", "ads_sharing"];
const bases = ["consent", "contract", "legitimate_interest"];

function Form({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const { doc, set } = of;
    const segments = useGet<{ segments: Segment[] }>("/v1/segments");
    const put = (more: Doc) => set({ ...doc, ...more });
    const ads = doc.type === "ads";
    const chosen: string[] = doc.segments ?? [];
    const retype = (type: string) =>
        put(
            type === "ads"
                ? { type, purpose: "ads_sharing", basis: "consent", events: undefined, profiles: undefined }
                : { type, purpose: doc.purpose ?? "marketing_email" },
        );
    const pick = (name: string, choices: string[], disabled = false) => (
        <select
            value={doc[name] ?? choices[0]}
            disabled={!may || disabled}
            onChange={(e) => put({ [name]: e.currentTarget.value })}
        >
            {choices.map((c) => (
                <option value={c}>{sentence(c)}</option>
            ))}
        </select>
    );
    const text = (name: string) => ({
        value: doc[name] ?? "",
        disabled: !may,
        onInput: (e: any) => put({ [name]: e.currentTarget.value || undefined }),
    });
    return (
        <>
            <Card title="Whither" pad>
                <div class="fields">
                    <Named of={of} may={may} isNew={isNew} like={["CRM", "crm"]} />
                    <Field name="Kind">
                        <select value={doc.type} disabled={!may} onChange={(e) => retype(e.currentTarget.value)}>
                            {Object.entries(types).map(([key, name]) => (
                                <option value={key}>{name}</option>
                            ))}
                        </select>
                    </Field>
                    {doc.type !== "poll" && (
                        <>
                            <Field
                                name="Address"
                                hint={ads ? "Empty: the file is fetched by hand, below." : undefined}
                            >
                                <input type="url" {...text("url")} placeholder="https://crm.example/opmaat" />
                            </Field>
                            <Field name="Secret" hint="Requests are signed with it, as Standard Webhooks says.">
                                <input {...text("secret")} autocomplete="off" placeholder="whsec_…" />
                            </Field>
                        </>
                    )}
                    {doc.type === "webhook" && (
                        <>
                            <Field name="Form">{pick("format", ["opmaat", "segment"])}</Field>
                            <Field name="Authorization header" hint="For receivers that want a key.">
                                <input {...text("authorization")} autocomplete="off" />
                            </Field>
                        </>
                    )}
                </div>
            </Card>
            <Card title="What leaves" pad>
                <div class="stack">
                    <div class="fields">
                        <Field name="Purpose" hint="Who has not agreed to it is left out, and counted.">
                            {pick("purpose", purposes, ads)}
                        </Field>
                        <Field name="Legal basis">{pick("basis", bases, ads)}</Field>
                        {!ads && (
                            <Field name="Events" hint="Names, with commas between; * is all of them." all>
                                <Listed of={of} name="events" may={may} like="Order Completed, Coupon Entered" />
                            </Field>
                        )}
                    </div>
                    <fieldset class="bare">
                        <legend class="label">Segments: who enters and who leaves</legend>
                        <span class="line">
                            {(segments.data?.segments ?? []).map((s) => (
                                <label class="check" key={s.key}>
                                    <input
                                        type="checkbox"
                                        disabled={!may}
                                        checked={chosen.includes(s.key)}
                                        onChange={(e) => {
                                            const rest = chosen.filter((k) => k !== s.key);
                                            const now = e.currentTarget.checked ? [...rest, s.key] : rest;
                                            put({ segments: now.length ? now : undefined });
                                        }}
                                    />
                                    {s.title || s.key}
                                </label>
                            ))}
                            {segments.data?.segments.length === 0 && <span class="soft">There are no segments yet.</span>}
                        </span>
                    </fieldset>
                    {!ads && (
                        <label class="check">
                            <input
                                type="checkbox"
                                disabled={!may}
                                checked={!!doc.profiles}
                                onChange={(e) => put({ profiles: e.currentTarget.checked || undefined })}
                            />
                            Profiles, whenever a lasting fact of somebody changes
                        </label>
                    )}
                </div>
            </Card>
        </>
    );
}

function Letters({ id }: { id: string }) {
    const asked = useGet<{ dead_letters: Undelivered[]; total: number }>(`/v1/connectors/${part(id)}/dead-letters?limit=200`);
    const may = useMayEdit();
    const again = (which: string) =>
        attempt(async () => {
            await post(`/v1/connectors/${part(id)}/dead-letters/${which}/replay`);
            await asked.reload();
        }, "It is in the queue again.");
    return (
        <Card
            title={asked.data ? `${count(asked.data.total)} given up` : "Given up"}
            side={
                may && asked.data && asked.data.total > 0 && (
                    <button class="button small" onClick={() => again("all")}>
                        Send all again
                    </button>
                )
            }
        >
            <Listing
                of={asked}
                n={3}
                rows={(data) => data.dead_letters}
                head={["When", "What", "Person", "Why", ""]}
                row={(l) => (
                    <tr key={l.id}>
                        <td>
                            <When at={l.given_up_at} />
                            <div class="soft small">
                                happened <When at={l.at} />
                            </div>
                        </td>
                        <td>{sentence(l.kind)}</td>
                        <td>{l.person_id && <a href={`#/people/${l.person_id}`}>{l.person_id}</a>}</td>
                        <td class="wrap">{l.reason}</td>
                        <td class="right">
                            {l.again ? (
                                <Badge>Waits again</Badge>
                            ) : (
                                may && (
                                    <button class="button small" onClick={() => again(String(l.id))}>
                                        Send again
                                    </button>
                                )
                            )}
                        </td>
                    </tr>
                )}
                empty={<Empty title="Nothing was given up">All that was to leave has left, or waits its turn.</Empty>}
            />
        </Card>
    );
}

function Replay({ id }: { id: string }) {
    const [since, set] = useState("");
    return (
        <Card title="Send what happened again" pad>
            <form
                class="line"
                onSubmit={(e) => {
                    e.preventDefault();
                    void attempt(
                        () => post(`/v1/connectors/${part(id)}/replay`, { since: new Date(since).toISOString() }),
                        "Everything since then is in the queue again.",
                    );
                }}
            >
                <label>
                    Since{" "}
                    <input
                        type="datetime-local"
                        style={{ width: "auto" }}
                        required
                        value={since}
                        onInput={(e) => set(e.currentTarget.value)}
                    />
                </label>
                <button class="button">Send again</button>
            </form>
            <p class="hint" style={{ marginTop: "8px" }}>
                The receiver gets rows a second time: it should take each webhook-id and sequence once.
            </p>
        </Card>
    );
}

const Files = ({ of: c }: { of: Connector }) => (
    <Card title="Files to upload" pad>
        <p class="soft">SHA-256 of e-mail address and telephone number, of those who said yes to sharing with advertisers.</p>
        <ul class="stack" style={{ marginTop: "12px" }}>
            {c.segments.map((segment) => (
                <li class="line" key={segment}>
                    <strong>{segment}</strong>
                    {["google", "meta"].map((format) => (
                        <a
                            class="button small"
                            href={`/v1/connectors/${part(c.key)}/ads-file?segment=${part(segment)}&format=${format}`}
                            download={`${segment}-${format}.csv`}
                        >
                            For {sentence(format)}
                        </a>
                    ))}
                </li>
            ))}
        </ul>
    </Card>
);

/* What a published one does besides being written. */
function Working({ id }: { id: string }) {
    const asked = useGet<{ connectors: Connector[] }>("/v1/connectors");
    const may = useMayEdit();
    const found = asked.data?.connectors.find((c) => c.key === id);
    if (!found)
        return (
            <Card>
                <Empty title="It is not published">Nothing leaves before it is.</Empty>
            </Card>
        );
    return (
        <>
            <Fares of={found} />
            {found.type === "ads" && <Files of={found} />}
            <Letters id={id} />
            {may && <Replay id={id} />}
        </>
    );
}

export function ConnectorPage({ id }: { id: string }) {
    return (
        <DefinitionPage
            kind="connector"
            id={id}
            room="connectors"
            rooms="Connectors"
            blank={{
                kind: "connector",
                key: "",
                title: "",
                type: "webhook",
                purpose: "marketing_email",
                basis: "consent",
            }}
            about={(doc) => doc.url || types[doc.type]}
            more={[["working", "How it goes", () => <Working id={id} />]]}
        >
            {(of, may, isNew) => <Form of={of} may={may} isNew={isNew} />}
        </DefinitionPage>
    );
}
