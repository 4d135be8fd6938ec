/* SPDX-License-Identifier: Apache-2.0
 *
 * definition.tsx - what every authored thing has: a draft, publishing that may be refused, pausing,
 * revisions, and its document as JSON.
 */
import { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Definition, Doc, Problem, call, part, post } from "./api";
import {
    Asked,
    Asking,
    Card,
    Empty,
    Field,
    Page,
    State,
    Table,
    Tabs,
    When,
    attempt,
    go,
    say,
    useGet,
    useMayEdit,
} from "./ui";

export interface Refusal {
    path?: string;
    message: string;
    column?: number;
}

/** Changes whenever another revision is in force, or the same one again. */
export const inForce = (of: Editing) => `${of.held.data?.published_revision}/${of.held.data?.updated_at}`;

export interface Editing {
    held: Asked<Definition>;
    doc: Doc;
    set: (doc: Doc) => void;
    changed: boolean;
    busy: boolean;
    refused: Refusal[];
    save: () => Promise<boolean>;
    publish: () => Promise<boolean>;
    act: (what: string, said: string, body?: unknown) => Promise<boolean>;
}

export function useEditing(kind: string, id: string, blank: Doc): Editing {
    const isNew = id === "new";
    const held = useGet<Definition>(isNew ? null : `/v1/definitions/${kind}/${part(id)}`);
    const [doc, setDoc] = useState<Doc>(blank);
    const [changed, setChanged] = useState(isNew);
    const [busy, setBusy] = useState(false);
    const [refused, setRefused] = useState<Refusal[]>([]);
    useEffect(() => {
        if (!held.data) return;
        setDoc(held.data.draft ?? held.data.document);
        setChanged(false);
    }, [held.data]);
    useEffect(() => {
        if (!changed || isNew) return;
        const ask = (e: BeforeUnloadEvent) => e.preventDefault();
        addEventListener("beforeunload", ask);
        return () => removeEventListener("beforeunload", ask);
    }, [changed]);
    const path = `/v1/definitions/${kind}/${part(isNew ? (doc.key ?? "") : id)}`;
    async function doing(work: () => Promise<unknown>, said: string): Promise<boolean> {
        setBusy(true);
        setRefused([]);
        let ok = false;
        try {
            await work();
            say(said);
            ok = true;
            setChanged(false);
        } catch (error) {
            const problem = error as Problem;
            setRefused(problem.body?.errors ?? []);
            say(
                problem.status === 412 || problem.status === 409
                    ? "Someone else changed this meanwhile. Load it again to see their version."
                    : problem.message,
                true,
            );
        }
        setBusy(false);
        await held.reload();
        return ok;
    }
    const put = () =>
        call("PUT", path, doc, held.data ? { "if-match": String(held.data.revision) } : {});
    return {
        held,
        doc,
        changed,
        busy,
        refused,
        set: (next) => {
            setDoc(next);
            setChanged(true);
        },
        save: () => doing(put, "The draft is kept."),
        publish: () =>
            doing(async () => {
                if (changed) await put();
                await post(`${path}/publish`);
            }, "It is live: the next request sees it."),
        act: (what, said, body) => doing(() => post(`${path}/${what}`, body), said),
    };
}

export function Actions({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const d = of.held.data;
    if (!may) return d ? <State of={d} /> : null;
    const ready = !of.busy && !!of.doc.key;
    return (
        <>
            {d && <State of={d} />}
            {d?.state === "published"
                && (d.paused ? (
                    <button
                        class="button"
                        disabled={of.busy}
                        onClick={() => of.act("resume", "It shows again.")}
                    >
                        Resume
                    </button>
                ) : (
                    <button
                        class="button"
                        disabled={of.busy}
                        onClick={() =>
                            of.act("pause", "It is paused: the next request no longer shows it.")
                        }
                    >
                        Pause
                    </button>
                ))}
            <button class="button" disabled={!ready || !of.changed} onClick={of.save}>
                Save draft
            </button>
            <button
                class="button primary"
                disabled={
                    !ready
                    || (!isNew
                        && !of.changed
                        && d?.state === "published"
                        && d.revision === d.published_revision)
                }
                onClick={of.publish}
            >
                Publish
            </button>
        </>
    );
}

export function Refused({ errors }: { errors: Refusal[] }) {
    if (!errors.length) return null;
    return (
        <div class="note bad" role="alert">
            <div>
                <strong>It was not published</strong>
                <ul>
                    {errors.map((e) => (
                        <li>
                            {e.path && (
                                <>
                                    <code>{e.path}</code>
                                    {e.column ? `, column ${e.column}` : ""}:{" "}
                                </>
                            )}
                            {e.message}
                        </li>
                    ))}
                </ul>
            </div>
        </div>
    );
}

/** The document as text; it reaches the form when it reads as JSON. */
export function JsonTab({ of, may }: { of: Editing; may: boolean }) {
    const [text, set] = useState(() => JSON.stringify(of.doc, null, 2));
    const [wrong, setWrong] = useState("");
    return (
        <div class="stack">
            <textarea
                class="code"
                rows={Math.min(36, text.split("\n").length + 2)}
                aria-label="The definition as JSON"
                spellcheck={false}
                value={text}
                disabled={!may}
                onInput={(e) => {
                    const now = e.currentTarget.value;
                    set(now);
                    try {
                        of.set(JSON.parse(now));
                        setWrong("");
                    } catch (error) {
                        setWrong((error as Error).message);
                    }
                }}
            />
            <div class="small wrong" role="status" style={{ minHeight: "20px" }}>
                {wrong}
            </div>
        </div>
    );
}

interface Revision {
    revision: number;
    at?: string;
    updated_at?: string;
    by?: string;
    owner?: string;
    state?: string;
    document?: Doc;
}

export function Revisions({
    of,
    kind,
    id,
    may,
}: {
    of: Editing;
    kind: string;
    id: string;
    may: boolean;
}) {
    const asked = useGet<{ revisions: Revision[] }>(`/v1/definitions/${kind}/${part(id)}/revisions`);
    const live = of.held.data?.published_revision;
    return (
        <Asking of={asked} n={4}>
            {({ revisions }) =>
                revisions.length ? (
                    <Table>
                        <thead>
                            <tr>
                                <th>Revision</th>
                                <th>When</th>
                                <th>By</th>
                                <th>
                                    <span class="hidden">Actions</span>
                                </th>
                            </tr>
                        </thead>
                        <tbody>
                            {revisions.map((r) => (
                                <tr key={r.revision}>
                                    <td>
                                        <strong class="num">{r.revision}</strong>{" "}
                                        {r.revision === live && (
                                            <span class="badge good">Live</span>
                                        )}
                                    </td>
                                    <td>
                                        <When at={r.at ?? r.updated_at} />
                                    </td>
                                    <td>{r.by ?? r.owner}</td>
                                    <td class="right">
                                        {may && r.revision !== live && (
                                            <button
                                                class="button small"
                                                disabled={of.busy}
                                                onClick={async () => {
                                                    if (
                                                        await of.act(
                                                            "rollback",
                                                            `Revision ${r.revision} is live again.`,
                                                            { revision: r.revision },
                                                        )
                                                    )
                                                        await asked.reload();
                                                }}
                                            >
                                                Roll back to this
                                            </button>
                                        )}
                                    </td>
                                </tr>
                            ))}
                        </tbody>
                    </Table>
                ) : (
                    <Empty title="No revisions yet" />
                )
            }
        </Asking>
    );
}

const locales = [
    "en",
    "nb-NO",
    "nn-NO",
    "sv-SE",
    "da-DK",
    "fi-FI",
    "de-DE",
    "nl-NL",
    "fr-FR",
    "es-ES",
    "it-IT",
    "pl-PL",
    "pt-PT",
    "en-GB",
    "en-US",
];

/** A text that may be one text, or one a language. */
export function Text({
    name,
    type,
    value,
    onInput,
    may,
}: {
    name: string;
    type: string;
    value: unknown;
    onInput: (value: unknown) => void;
    may: boolean;
}): ComponentChildren {
    const many = value && typeof value === "object" ? (value as Record<string, string>) : null;
    const input = (text: string, set: (t: string) => void, label: string) => (
        <input
            aria-label={label}
            disabled={!may}
            value={text}
            placeholder={type.startsWith("url") ? "https://… or /path" : ""}
            onInput={(e) => set(e.currentTarget.value)}
        />
    );
    const title = name.charAt(0).toUpperCase() + name.slice(1).replace(/_/g, " ");
    return (
        <div>
            <div class="line spread">
                <span class="label">{title}</span>
                {may && type.startsWith("text") && (
                    <select
                        class="bare"
                        aria-label={`Add a language to ${title}`}
                        value=""
                        onChange={(e) => {
                            const locale = e.currentTarget.value;
                            if (locale)
                                onInput({ ...(many ?? { en: String(value ?? "") }), [locale]: "" });
                        }}
                    >
                        <option value="">Language…</option>
                        {locales
                            .filter((l) => (many ? !(l in many) : l !== "en"))
                            .map((l) => (
                                <option>{l}</option>
                            ))}
                    </select>
                )}
            </div>
            {many ? (
                <div class="stack" style={{ gap: "6px" }}>
                    {Object.entries(many).map(([locale, text]) => (
                        <div class="line" style={{ flexWrap: "nowrap" }} key={locale}>
                            <code style={{ width: "56px" }}>{locale}</code>
                            {input(
                                text,
                                (t) => onInput({ ...many, [locale]: t }),
                                `${title} in ${locale}`,
                            )}
                        </div>
                    ))}
                </div>
            ) : (
                input(String(value ?? ""), (t) => onInput(t), title)
            )}
        </div>
    );
}

export const first = (value: unknown): string =>
    value && typeof value === "object" ? String(Object.values(value)[0] ?? "") : String(value ?? "");

export async function archive(of: Editing): Promise<void> {
    if (confirm("Archive it? It stops showing and leaves the lists; its results stay."))
        await attempt(() => of.act("archive", "Archived."));
}

/** The page of one definition: its form (children), its document, its revisions, and what may be done with it. `more` are
 * tabs of its own. */
export function DefinitionPage({
    kind,
    id,
    room,
    rooms,
    blank,
    about,
    more = [],
    children,
}: {
    kind: string;
    id: string;
    /* where it lives in the console, and what that is called */
    room: string;
    rooms: string;
    blank: Doc;
    about: (doc: Doc) => ComponentChildren;
    more?: [string, string, () => ComponentChildren][];
    children: (of: Editing, may: boolean, isNew: boolean) => ComponentChildren;
}) {
    const isNew = id === "new";
    const may = useMayEdit();
    const of = useEditing(kind, id, blank);
    const [tab, setTab] = useState("design");
    const then = async (work: Promise<boolean>) => {
        const ok = await work;
        if (ok && isNew) go(`/${room}/${part(of.doc.key)}`);
        return ok;
    };
    const held = of.held.data;
    const own = more.find(([key]) => key === tab);
    return (
        <Page
            title={isNew ? `New ${kind}` : first(of.doc.title) || id}
            crumb={<a href={`#/${room}`}>{rooms}</a>}
            about={about(of.doc)}
            actions={
                <Actions
                    may={may}
                    isNew={isNew}
                    of={{ ...of, save: () => then(of.save()), publish: () => then(of.publish()) }}
                />
            }
        >
            {!isNew && !held ? (
                <Card>
                    <Asking of={of.held} n={8}>
                        {() => null}
                    </Asking>
                </Card>
            ) : (
                <>
                    <Tabs
                        at={tab}
                        onPick={setTab}
                        tabs={[
                            ["design", "Design"],
                            ...(isNew ? [] : more.map(([key, name]): [string, string] => [key, name])),
                            ["json", "JSON"],
                            ...(isNew ? [] : ([["revisions", "Revisions"]] as [string, string][])),
                        ]}
                    />
                    <Refused errors={of.refused} />
                    {own ? (
                        own[2]()
                    ) : tab === "json" ? (
                        <JsonTab of={of} may={may} />
                    ) : tab === "revisions" ? (
                        <Card>
                            <Revisions of={of} kind={kind} id={id} may={may} />
                        </Card>
                    ) : (
                        <>
                            {children(of, may, isNew)}
                            {may && !isNew && held?.state !== "archived" && (
                                <div class="right">
                                    <button class="link small" onClick={() => archive(of)}>
                                        Archive this {kind}
                                    </button>
                                </div>
                            )}
                        </>
                    )}
                </>
            )}
        </Page>
    );
}

/** Title, key and owner: what every definition has. `told`: shoppers read the title, so it may be one a language. */
export function Named({
    of,
    may,
    isNew,
    like,
    told,
}: {
    of: Editing;
    may: boolean;
    isNew: boolean;
    like: [string, string];
    told?: boolean;
}) {
    const text = (name: string) => ({
        value: of.doc[name] ?? "",
        disabled: !may,
        onInput: (e: any) => of.set({ ...of.doc, [name]: e.currentTarget.value || undefined }),
    });
    return (
        <>
            {told ? (
                <div class="all">
                    <Text
                        name="title"
                        type="text"
                        may={may}
                        value={of.doc.title}
                        onInput={(title) => of.set({ ...of.doc, title })}
                    />
                </div>
            ) : (
                <Field name="Title">
                    <input {...text("title")} placeholder={like[0]} />
                </Field>
            )}
            <Field name="Key">
                <input class="mono" {...text("key")} disabled={!may || !isNew} placeholder={like[1]} />
            </Field>
            <Field name="Owner">
                <input {...text("owner")} />
            </Field>
        </>
    );
}
