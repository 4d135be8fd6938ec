/* SPDX-License-Identifier: Apache-2.0
 *
 * sources.tsx - what sends us data and how well it goes; one source with its tracking plan; a file
 * looked at before it is imported.
 */
import { useState } from "preact/hooks";
import { Source, SourceWhole, part, send } from "./api";
import { Asking, Badge, Card, Empty, Field, Listing, Page, Table, When, attempt, say, useGet, useMayEdit } from "./ui";
import { count, fixed, sentence, span } from "./words";

const health: Record<string, [string, string]> = {
    green: ["good", "Healthy"],
    red: ["bad", "Silent"],
    idle: ["", "Idle"],
};

const Health = ({ of }: { of: Source }) => (
    <Badge tone={health[of.state]?.[0]}>{health[of.state]?.[1] ?? of.state}</Badge>
);

function SourceRow({ of: s }: { of: Source }) {
    return (
        <tr>
            <td>
                <a href={`#/sources/${part(s.key)}`}>
                    <strong>{s.title || s.key}</strong>
                </a>
                <div class="soft small">{[s.owner || "nobody owns it", s.purpose].filter(Boolean).join(" · ")}</div>
            </td>
            <td>
                <Health of={s} />
            </td>
            <td>
                <When at={s.last_at} />
                <div class="soft small">{s.expected_ms ? `expected every ${span(s.expected_ms)}` : "nothing expected"}</div>
            </td>
            <td class="num">{count(s.accepted)}</td>
            <td class="num">
                {s.refused ? <a href={`#/dead-letters?source=${part(s.key)}`}>{count(s.refused)}</a> : 0}
            </td>
            <td class="num">{count(s.warnings ?? 0)}</td>
            <td class="num">{count(s.duplicates)}</td>
            <td class="num">{count(s.no_consent)}</td>
            <td>
                {Object.entries(s.basis ?? {}).map(([p, b]) => (
                    <div class="soft small" key={p}>
                        {sentence(p)}: {b}
                    </div>
                ))}
            </td>
        </tr>
    );
}

export function Sources() {
    const asked = useGet<{ sources: Source[] }>("/v1/sources");
    return (
        <Page title="Sources" about="Everything that sends us data, and how well it goes.">
            <Card>
                <Listing
                    of={asked}
                    rows={({ sources }) => sources}
                    n={6}
                    head={["Source", "State", "Last record", "#Accepted", "#Refused", "#Warnings", "#Repeated", "#No consent", "Legal basis"]}
                    row={(s) => <SourceRow key={s.key} of={s} />}
                    empty={<Empty title="No sources yet">A source appears with its first key or import.</Empty>}
                />
            </Card>
            <FileCard />
            <Card title="Put the tag on your shop" pad>
                <div class="stack">
                    <p class="soft">
                        One line on every page. It waits for consent, never hides the page, and costs{" "}
                        {fixed(TAG_BYTES / 1024, 1)} KB.
                    </p>
                    <code class="rule-text">{`<script async src="${location.origin}/tag.js" data-key="YOUR WRITE KEY"></script>`}</code>
                </div>
            </Card>
        </Page>
    );
}

/* ---- one source ------------------------------------------------------------------------------- */

export function SourcePage({ id }: { id: string }) {
    const asked = useGet<SourceWhole>(`/v1/sources/${part(id)}`);
    return (
        <Page title={asked.data?.title ?? id} about={asked.data?.purpose ?? "What it may send, and what was found beside that."}>
            <Card title="Outside the plan">
                <Asking of={asked} n={3}>
                    {({ found }) =>
                        found.length ? (
                            <Table>
                                <thead>
                                    <tr>
                                        <th>What was found</th>
                                        <th class="num">Times</th>
                                        <th>First</th>
                                        <th>Last</th>
                                    </tr>
                                </thead>
                                <tbody>
                                    {found.map((one) => (
                                        <tr key={one.what}>
                                            <td class="wrap">{one.what}</td>
                                            <td class="num">{count(one.count)}</td>
                                            <td>
                                                <When at={one.first_at} />
                                            </td>
                                            <td>
                                                <When at={one.last_at} />
                                            </td>
                                        </tr>
                                    ))}
                                </tbody>
                            </Table>
                        ) : (
                            <Empty title="Nothing was found">All it sends is as planned.</Empty>
                        )
                    }
                </Asking>
            </Card>
            <Card title="Tracking plan">
                <Asking of={asked} n={3}>
                    {({ plan }) =>
                        plan ? (
                            <Table>
                                <thead>
                                    <tr>
                                        <th>Event</th>
                                        <th>Owner</th>
                                        <th>Purpose</th>
                                        <th>Properties</th>
                                    </tr>
                                </thead>
                                <tbody>
                                    {Object.entries(plan.events).map(([name, one]) => (
                                        <tr key={name}>
                                            <td>{name}</td>
                                            <td>{one.owner}</td>
                                            <td class="wrap">{one.purpose}</td>
                                            <td class="wrap">
                                                <code>
                                                    {Object.entries(one.properties ?? {})
                                                        .map(([p, t]) => `${p}: ${typeof t === "string" ? t : t.type}`)
                                                        .join(", ")}
                                                </code>
                                            </td>
                                        </tr>
                                    ))}
                                </tbody>
                            </Table>
                        ) : (
                            <Empty title="No plan yet">It may send anything; nothing is found to be outside.</Empty>
                        )
                    }
                </Asking>
            </Card>
        </Page>
    );
}

/* ---- a file ----------------------------------------------------------------------------------- */

interface Preview {
    form?: string;
    columns?: Record<string, string>;
    rows?: Record<string, string>[];
    lines?: number;
    accepted?: number;
    refused?: number;
    refusals?: { line: number; reason: string }[];
    error?: string;
}

const kinds = ["orders", "customers", "events", "products", "prices", "stock", "content"];

function Seen({ preview: p }: { preview: Preview }) {
    const names = Object.keys(p.rows?.[0] ?? {});
    return (
        <div class="stack">
            <p>
                {p.form}
                {p.lines !== undefined && `: of ${count(p.lines)} lines, ${count(p.accepted ?? 0)} can be taken and ${count(p.refused ?? 0)} not.`}
            </p>
            {p.error && <p class="bad">{p.error}</p>}
            {p.columns && <code class="rule-text">{JSON.stringify(p.columns)}</code>}
            {p.refusals?.map((r) => (
                <div class="small">
                    Line {r.line}: {r.reason}
                </div>
            ))}
            {names.length > 0 && (
                <Table>
                    <thead>
                        <tr>
                            {names.map((n) => (
                                <th>{n}</th>
                            ))}
                        </tr>
                    </thead>
                    <tbody>
                        {p.rows?.map((row) => (
                            <tr>
                                {names.map((n) => (
                                    <td>{row[n]}</td>
                                ))}
                            </tr>
                        ))}
                    </tbody>
                </Table>
            )}
        </div>
    );
}

function FileCard() {
    const [kind, setKind] = useState("orders");
    const [source, setSource] = useState("import");
    const [map, setMap] = useState("");
    const [file, setFile] = useState<File | null>(null);
    const [preview, setPreview] = useState<Preview | null>(null);
    const query = () => `source=${part(source)}${map ? `&map=${part(map)}` : ""}`;
    if (!useMayEdit()) return null;
    return (
        <Card title="Bring in a file" pad>
            <div class="stack">
                <div class="fields">
                    <Field name="What it holds">
                        <select value={kind} onChange={(e) => setKind(e.currentTarget.value)}>
                            {kinds.map((k) => (
                                <option>{k}</option>
                            ))}
                        </select>
                    </Field>
                    <Field name="Source">
                        <input value={source} onInput={(e) => setSource(e.currentTarget.value)} />
                    </Field>
                    <Field name="Saved mapping" hint="Empty: columns are named as we name them.">
                        <input value={map} onInput={(e) => setMap(e.currentTarget.value)} />
                    </Field>
                    <Field name="File">
                        <input
                            type="file"
                            onChange={(e) => {
                                setFile(e.currentTarget.files?.[0] ?? null);
                                setPreview(null);
                            }}
                        />
                    </Field>
                </div>
                <span class="line">
                    <button
                        class="button"
                        disabled={!file}
                        onClick={() =>
                            attempt(async () =>
                                setPreview(await send<Preview>(`/v1/import/${kind}?preview=true&${query()}`, file!)),
                            )
                        }
                    >
                        Look at it
                    </button>
                    <button
                        class="button primary"
                        disabled={!file || !preview}
                        onClick={() =>
                            attempt(async () => {
                                const { job } = await send<{ job: string }>(`/v1/import/${kind}?${query()}`, file!);
                                say(`It is being read, as ${job}.`);
                            })
                        }
                    >
                        Import it
                    </button>
                </span>
                {preview && <Seen preview={preview} />}
            </div>
        </Card>
    );
}
