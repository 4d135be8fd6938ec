/* SPDX-License-Identifier: Apache-2.0
 *
 * search.tsx - the search test bench (everybody's order beside a person's, with reasons), what found nothing, and what the
 * shop itself says of search: synonyms, redirects, pins, by way of the definition search/shop.
 */
import { useState } from "preact/hooks";
import { post } from "./api";
import { Actions, JsonTab, Refused, Revisions, useEditing } from "./definition";
import { Asking, Badge, Bones, Card, Empty, Field, Page, Tabs, When, Wrong, useGet, useMayEdit } from "./ui";
import { count, percent } from "./words";

interface Parts {
    text: number;
    coverage: number;
    head: number;
    phrase: number;
    popularity: number;
    boost: number;
    personal: number;
}
interface Hit {
    product_key: string;
    title?: string;
    score: number;
    pinned?: boolean;
    partial?: boolean;
    because?: { text: string };
    explain?: Parts;
}
interface Answer {
    total: number;
    items: Hit[];
    facets: Record<string, { value?: string; from?: number; to?: number; count: number }[]>;
    corrected?: string;
    redirect?: string;
    personalised: boolean;
    took_us: number;
}
interface Report {
    searches: number;
    zero_results: number;
    zero_rate: number;
    nothing_found: { query: string; searches: number; zero_results: number; last_at: string }[];
    queries: { query: string; searches: number; zero_results: number; results: number }[];
    time_to_product: {
        treated: Arm;
        holdout: Arm;
        difference_of_mean_steps?: { value: number; low: number; high: number };
    };
}
interface Arm {
    visits: number;
    reached_product: number;
    median_steps?: number;
    mean_steps?: number;
    median_seconds?: number;
}

/* ---- the bench --------------------------------------------------------------------------------- */

const partNames: [keyof Parts, string][] = [
    ["text", "words"],
    ["coverage", "coverage"],
    ["head", "what it is"],
    ["phrase", "side by side"],
    ["popularity", "popular"],
    ["boost", "boosts"],
    ["personal", "personal"],
];

function Reasons({ of }: { of: Parts }) {
    return (
        <span class="soft small num">
            {partNames
                .filter(([name]) => name === "text" || Math.abs(of[name] - 1) > 0.0005)
                .map(([name, word]) => `${word} ${of[name].toFixed(2)}`)
                .join(" × ")}
        </span>
    );
}

function Hits({ of, before }: { of: Answer; before?: Answer }) {
    if (!of.items.length) return <Empty title="Nothing was found" />;
    return (
        <ol class="plain stack">
            {of.items.map((hit, i) => {
                const was = before?.items.findIndex((b) => b.product_key === hit.product_key) ?? i;
                return (
                    <li key={hit.product_key}>
                        <div class="line">
                            <span class="num soft">{i + 1}</span>
                            <span class="grow">
                                <strong>{hit.title || hit.product_key}</strong>{" "}
                                {hit.pinned && <Badge tone="good">pinned</Badge>}{" "}
                                {hit.partial && <Badge>not every word</Badge>}
                            </span>
                            {before && was !== i && (
                                <span class="small" title="Places moved against everybody's order">
                                    {was < 0 ? "new here" : was > i ? `↑ ${was - i}` : `↓ ${i - was}`}
                                </span>
                            )}
                        </div>
                        {hit.explain && <Reasons of={hit.explain} />}
                        {hit.because && <div class="soft small">{hit.because.text}</div>}
                    </li>
                );
            })}
        </ol>
    );
}

function Bench() {
    const [q, setQ] = useState("");
    const [who, setWho] = useState("");
    const [dial, setDial] = useState(50);
    const [answers, set] = useState<[Answer, Answer] | null>(null);
    const [error, setError] = useState<any>(null);
    const [busy, setBusy] = useState(false);
    async function run() {
        const [kind, value] = who.includes(":") ? who.split(/:(.*)/s) : ["user_id", who];
        const body = {
            q,
            limit: 15,
            explain: true,
            record: false,
            facets: ["category", "brand"],
            person: value ? { [kind.trim()]: value.trim() } : {},
            context: { consent: { categoryPreferences: { personalisation: true, analytics: true } } },
        };
        setBusy(true);
        setError(null);
        try {
            set(
                (await Promise.all([
                    post<Answer>("/v1/search", { ...body, personalise: false }),
                    post<Answer>("/v1/search", { ...body, personalise: dial }),
                ])) as [Answer, Answer],
            );
        } catch (e) {
            setError(e);
        }
        setBusy(false);
    }
    const facets = answers?.[0].facets ?? {};
    return (
        <>
            <Card title="Ask as a shopper would" pad>
                <form
                    class="stack"
                    onSubmit={(e) => {
                        e.preventDefault();
                        void run();
                    }}
                >
                    <div class="fields">
                        <Field name="Words">
                            <input value={q} placeholder="slim jeans" onInput={(e) => setQ(e.currentTarget.value)} />
                        </Field>
                        <Field name="Person" hint="user_id:ana-77, anonymous_id:…, email:…">
                            <input value={who} class="mono" placeholder="user_id:ana-77" onInput={(e) => setWho(e.currentTarget.value)} />
                        </Field>
                        <Field name={`Dial: ${dial}`} hint="0: the same for everybody">
                            <input type="range" min="0" max="100" value={dial} onInput={(e) => setDial(Number(e.currentTarget.value))} />
                        </Field>
                    </div>
                    <div class="line">
                        <button class="button primary" disabled={busy}>
                            Search
                        </button>
                        {answers && (
                            <span class="soft small">
                                {count(answers[0].total)} found in {count(answers[0].took_us)} µs
                                {answers[0].corrected && <> · looked for “{answers[0].corrected}”</>}
                                {answers[0].redirect && <> · sends on to {answers[0].redirect}</>}
                                {who && !answers[1].personalised && <> · this person gets everybody's order</>}
                            </span>
                        )}
                    </div>
                    {Object.keys(facets).length > 0 && (
                        <p class="soft small">
                            {Object.entries(facets)
                                .filter(([, values]) => values.length)
                                .map(([name, values]) => `${name}: ${values.slice(0, 5).map((v) => `${v.value} (${v.count})`).join(", ")}`)
                                .join(" · ")}
                        </p>
                    )}
                </form>
            </Card>
            {error && <Wrong error={error} />}
            {busy && !answers && <Bones />}
            {answers && (
                <div class="two even">
                    <Card title="Everybody" pad>
                        <Hits of={answers[0]} />
                    </Card>
                    <Card title={who ? `${who}, dial ${dial}` : "A stranger"} pad>
                        <Hits of={answers[1]} before={answers[0]} />
                    </Card>
                </div>
            )}
        </>
    );
}

/* ---- what found nothing --------------------------------------------------------------------------- */

function ReportTab() {
    const asked = useGet<Report>("/v1/search/report");
    return (
        <Asking of={asked} n={6}>
            {(r) => (
                <>
                    <Card title="Found nothing" side={<span class="soft small">{percent(r.zero_rate, 1)} of {count(r.searches)} searches in 30 days</span>}>
                        {r.nothing_found.length ? (
                            <div class="scroll">
                                <table>
                                    <thead>
                                        <tr><th>Words</th><th class="num">Times</th><th>Last</th></tr>
                                    </thead>
                                    <tbody>
                                        {r.nothing_found.map((row) => (
                                            <tr key={row.query}>
                                                <td><strong>{row.query}</strong></td>
                                                <td class="num">{count(row.zero_results)}</td>
                                                <td><When at={row.last_at} /></td>
                                            </tr>
                                        ))}
                                    </tbody>
                                </table>
                            </div>
                        ) : (
                            <Empty title="Every search found something" />
                        )}
                    </Card>
                    <Card title="Most asked">
                        <div class="scroll">
                            <table>
                                <thead>
                                    <tr><th>Words</th><th class="num">Times</th><th class="num">Items found, on average</th></tr>
                                </thead>
                                <tbody>
                                    {r.queries.map((row) => (
                                        <tr key={row.query}>
                                            <td>{row.query}</td>
                                            <td class="num">{count(row.searches)}</td>
                                            <td class="num">{row.results.toFixed(1)}</td>
                                        </tr>
                                    ))}
                                </tbody>
                            </table>
                        </div>
                    </Card>
                    <Card title="From entry to a product">
                        <div class="scroll">
                            <table>
                                <thead>
                                    <tr><th></th><th class="num">Visits</th><th class="num">Reached a product</th><th class="num">Median steps</th><th class="num">Mean steps</th><th class="num">Median seconds</th></tr>
                                </thead>
                                <tbody>
                                    {(["treated", "holdout"] as const).map((name) => {
                                        const arm = r.time_to_product[name];
                                        return (
                                            <tr key={name}>
                                                <td>{name === "treated" ? "All others" : "Holdout"}</td>
                                                <td class="num">{count(arm.visits)}</td>
                                                <td class="num">{arm.visits ? percent(arm.reached_product / arm.visits, 1) : "–"}</td>
                                                <td class="num">{arm.median_steps ?? "–"}</td>
                                                <td class="num">{arm.mean_steps?.toFixed(2) ?? "–"}</td>
                                                <td class="num">{arm.median_seconds?.toFixed(1) ?? "–"}</td>
                                            </tr>
                                        );
                                    })}
                                </tbody>
                            </table>
                        </div>
                        {r.time_to_product.difference_of_mean_steps && (
                            <p class="pad soft small">
                                Difference of mean steps {r.time_to_product.difference_of_mean_steps.value.toFixed(2)}, 95 % interval{" "}
                                {r.time_to_product.difference_of_mean_steps.low.toFixed(2)} to {r.time_to_product.difference_of_mean_steps.high.toFixed(2)}
                            </p>
                        )}
                    </Card>
                </>
            )}
        </Asking>
    );
}

/* ---- what the shop says ------------------------------------------------------------------------------ */

/* A list as lines of text, the way it is thought of; `read` is null for a line that makes no sense. */
function Lines<T>({ name, hint, value, show, read, onChange, may }: {
    name: string;
    hint: string;
    value: T[] | undefined;
    show: (one: T) => string;
    read: (line: string) => T | null;
    onChange: (value: T[]) => void;
    may: boolean;
}) {
    const [text, set] = useState<string | null>(null);
    const shown = text ?? (value ?? []).map(show).join("\n");
    const wrong = shown.split("\n").filter((line) => line.trim() && !read(line));
    return (
        <Field name={name} hint={wrong.length ? `Not understood: ${wrong[0]}` : hint}>
            <textarea
                rows={Math.min(16, shown.split("\n").length + 2)}
                value={shown}
                disabled={!may}
                spellcheck={false}
                onInput={(e) => {
                    const now = e.currentTarget.value;
                    set(now);
                    onChange(now.split("\n").filter((line) => line.trim()).map(read).filter((one): one is NonNullable<typeof one> => one !== null) as T[]);
                }}
            />
        </Field>
    );
}

function Suggestions({ take, may }: { take: (words: string[]) => void; may: boolean }) {
    const asked = useGet<{ suggestions: { words: string[]; items: number }[] }>("/v1/search/synonyms");
    return (
        <Card title="The catalogue suggests" pad>
            <Asking of={asked} n={3}>
                {({ suggestions }) =>
                    suggestions.length ? (
                        <div class="stack">
                            {suggestions.slice(0, 20).map((s) => (
                                <div class="line" key={s.words.join()}>
                                    <span class="grow">{s.words.join(" = ")}</span>
                                    <span class="soft small num">{count(s.items)} items</span>
                                    {may && <button class="button small" onClick={() => take(s.words)}>Take</button>}
                                </div>
                            ))}
                        </div>
                    ) : (
                        <Empty title="No words written side by side" />
                    )
                }
            </Asking>
        </Card>
    );
}

function Rules() {
    const may = useMayEdit();
    const list = useGet<{ definitions: { key: string }[] }>("/v1/definitions?kind=search");
    return <Asking of={list} n={4}>{({ definitions }) => <Editor may={may} id={definitions.some((d) => d.key === "shop") ? "shop" : "new"} />}</Asking>;
}

function Editor({ may, id }: { may: boolean; id: string }) {
    const of = useEditing("search", id, { kind: "search", key: "shop", title: "Search", synonyms: [], redirects: [], pins: [], dial: 50 });
    const [tab, setTab] = useState("form");
    const [version, again] = useState(0);
    const doc: any = of.doc;
    const change = (name: string) => (value: unknown) => of.set({ ...of.doc, [name]: value });
    return (
        <>
            <div class="line">
                <span class="grow">
                    <Tabs at={tab} onPick={setTab} tabs={[["form", "Words"], ["json", "JSON"], ...(id === "new" ? [] : [["revisions", "Revisions"] as [string, string]])]} />
                </span>
                <Actions of={of} may={may} isNew={id === "new"} />
            </div>
            <Refused errors={of.refused} />
            {tab === "json" && <Card pad><JsonTab of={of} may={may} /></Card>}
            {tab === "revisions" && <Revisions of={of} kind="search" id={id} may={may} />}
            {tab === "form" && (
                <>
                    <Card pad>
                        <div class="stack" key={`${version}-${of.held.data?.published_revision ?? 0}`}>
                            <Lines<string[]> name="Synonyms" hint="a group a line: laptop, notebook" value={doc.synonyms} may={may} onChange={change("synonyms")}
                                show={(one) => one.join(", ")}
                                read={(line) => { const words = line.split(",").map((w) => w.trim()).filter(Boolean); return words.length > 1 ? words : null; }} />
                            <Lines<any> name="Redirects" hint="words -> address: returns -> /help/returns" value={doc.redirects} may={may} onChange={change("redirects")}
                                show={(one) => `${one.query} -> ${one.url}`}
                                read={(line) => { const m = /^(.+?)\s*->\s*(\S+)$/.exec(line.trim()); return m ? { query: m[1], url: m[2] } : null; }} />
                            <Lines<any> name="Pins" hint="words or category: X > Y, then item and place: jeans -> p-4 @ 1" value={doc.pins} may={may} onChange={change("pins")}
                                show={(one) => `${one.category ? `category: ${one.category}` : one.query} -> ${one.item} @ ${one.position ?? 1}`}
                                read={(line) => {
                                    const m = /^(category:\s*)?(.+?)\s*->\s*(\S+)\s*@\s*(\d+)$/.exec(line.trim());
                                    return m ? { [m[1] ? "category" : "query"]: m[2], item: m[3], position: Number(m[4]) } : null;
                                }} />
                            <Field name={`Dial: ${doc.dial ?? 50}`} hint="how far what a person likes moves the order">
                                <input type="range" min="0" max="100" value={doc.dial ?? 50} disabled={!may} onInput={(e) => change("dial")(Number(e.currentTarget.value))} />
                            </Field>
                        </div>
                    </Card>
                    <Suggestions may={may} take={(words) => { change("synonyms")([...(doc.synonyms ?? []), words]); again(version + 1); }} />
                </>
            )}
        </>
    );
}

export function Search({ query }: { query: URLSearchParams }) {
    const [tab, set] = useState(query.get("tab") ?? "bench");
    return (
        <Page title="Search" about="Try it as anyone, see what finds nothing, and say what words mean.">
            <Tabs at={tab} onPick={set} tabs={[["bench", "Test bench"], ["report", "Report"], ["rules", "Synonyms, pins, redirects"]]} />
            {tab === "bench" && <Bench />}
            {tab === "report" && <ReportTab />}
            {tab === "rules" && <Rules />}
        </Page>
    );
}
