/* SPDX-License-Identifier: Apache-2.0
 *
 * search.tsx - the search test bench (everybody's order beside a person's, with reasons), what found nothing, and what the
 * shop itself says of search: synonyms, redirects, pins, by way of the definition search/shop.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, post } from "./api";
import { Actions, JsonTab, Refused, Revisions, useEditing } from "./definition";
import { Asking, Badge, Card, Empty, Field, Page, RuleBox, Table, Tabs, When, Wrong, go, useGet, useMayEdit } from "./ui";
import { Dial, Moved, PersonField, personOf } from "./who";
import { count, fixed, percent, sentence } from "./words";

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
    image?: string;
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
    queries: { query: string; searches: number; zero_results: number; results?: number }[];
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

const partNames: [keyof Parts, string, string][] = [
    ["text", "words", "how well the words fit, the rarer the more"],
    ["coverage", "coverage", "how many of the words are in it"],
    ["head", "what it is", "a word names the thing itself"],
    ["phrase", "side by side", "the words stand together"],
    ["popularity", "popular", "how much people deal with it"],
    ["boost", "boosts", "what the shop wishes"],
    ["personal", "personal", "what this person likes, by the dial"],
];

/* The score is their product: each factor, and what it stands for. */
function Rank({ of, score }: { of: Parts; score: number }) {
    return (
        <table class="rank small">
            <tbody>
                {partNames.map(([name, word, what], i) => (
                    <tr>
                        <td>{word}</td>
                        <td class="soft">{what}</td>
                        <td class="num">
                            {i > 0 && "× "}
                            {+of[name].toPrecision(4)}
                        </td>
                    </tr>
                ))}
                <tr>
                    <td colSpan={2}>
                        <strong>score</strong>
                    </td>
                    <td class="num">
                        <strong>{+score.toPrecision(4)}</strong>
                    </td>
                </tr>
            </tbody>
        </table>
    );
}

function Reasons({ of }: { of: Parts }) {
    return (
        <span class="soft small num">
            {partNames
                .filter(([name]) => name === "text" || Math.abs(of[name] - 1) > 0.0005)
                .map(([name, word]) => `${word} ${fixed(of[name], 2)}`)
                .join(" × ")}
        </span>
    );
}

function HitLine({ hit, i, was }: { hit: Hit; i: number; was: number }) {
    const [open, set] = useState(false);
    return (
        <li>
            <span class="place num soft">{i + 1}</span>
            {hit.image ? <img src={hit.image} alt="" width="36" height="48" loading="lazy" /> : <span class="picture" />}
            <div class="grow">
                <div class="line">
                    <strong>{hit.title || hit.product_key}</strong>
                    {hit.pinned && <Badge tone="good">pinned</Badge>}
                    {hit.partial && <Badge plain>not every word</Badge>}
                    <Moved was={was} is={i} against="everybody's order" />
                </div>
                {hit.because && <div class="soft small">{hit.because.text}</div>}
                {hit.explain && (open ? <Rank of={hit.explain} score={hit.score} /> : <Reasons of={hit.explain} />)}
            </div>
            {hit.explain && (
                <button class="link small" aria-expanded={open} aria-label={`Why ${hit.title || hit.product_key} stands at ${i + 1}`} onClick={() => set(!open)}>
                    Why?
                </button>
            )}
        </li>
    );
}

function Hits({ of, before }: { of: Answer; before?: Answer }) {
    if (!of.items.length) return <Empty title="Nothing was found">Shoppers see the fallback here. A synonym or a redirect may help.</Empty>;
    return (
        <ol class="plain goods">
            {of.items.map((hit, i) => (
                <HitLine key={hit.product_key} hit={hit} i={i} was={before ? before.items.findIndex((b) => b.product_key === hit.product_key) : i} />
            ))}
        </ol>
    );
}

const SORTS: [string, string][] = [
    ["", "best first"],
    ["price_asc", "cheapest first"],
    ["price_desc", "dearest first"],
    ["newest", "newest first"],
];

/* Asked anew a moment after each change; what was found stays until the next is there. */
function Bench() {
    const [q, setQ] = useState("");
    const [who, setWho] = useState("");
    const [dial, setDial] = useState(50);
    const [filter, setFilter] = useState("");
    const [sort, setSort] = useState("");
    const [answers, set] = useState<[Answer, Answer] | null>(null);
    const [error, setError] = useState<Problem | null>(null);
    const person = personOf(who);
    useEffect(() => {
        if (!q.trim()) return (set(null), setError(null));
        let stale = false;
        const timer = setTimeout(async () => {
            const body = {
                q,
                limit: 15,
                explain: true,
                record: false,
                facets: ["category", "brand", "colour"],
                person,
                filter: filter.trim() || undefined,
                sort: sort || undefined,
                context: { consent: { categoryPreferences: { personalisation: true, analytics: true } } },
            };
            try {
                const both = await Promise.all([false, dial].map((personalise) => post<Answer>("/v1/search", { ...body, personalise })));
                if (!stale) (set(both as [Answer, Answer]), setError(null));
            } catch (e) {
                if (!stale) setError(e as Problem);
            }
        }, 180);
        return () => {
            stale = true;
            clearTimeout(timer);
        };
    }, [q, who, dial, filter, sort]);
    const facets = Object.entries(answers?.[0].facets ?? {}).filter(([, values]) => values.length);
    return (
        <>
            <Card title="Ask as a shopper would" pad>
                <div class="stack" role="search">
                    <div class="fields">
                        <Field name="Words">
                            <input type="search" value={q} autofocus placeholder="slim jeans" onInput={(e) => setQ(e.currentTarget.value)} />
                        </Field>
                        <PersonField value={who} onInput={setWho} />
                        <Field name="Order">
                            <select value={sort} onChange={(e) => setSort(e.currentTarget.value)}>
                                {SORTS.map(([key, name]) => (
                                    <option value={key}>{name}</option>
                                ))}
                            </select>
                        </Field>
                        <div>
                            <Dial name="Dial" hint="0: the same for everybody" value={dial} max={100} step={1} onInput={setDial} />
                            <button class="link small" disabled={!dial} onClick={() => setDial(0)}>
                                Everybody's order
                            </button>
                        </div>
                    </div>
                    <details open={!!filter}>
                        <summary class="small">Filter</summary>
                        <RuleBox label="Filter" kind="filter" value={filter} empty="item.price < 95 EUR and item.in_stock, say." onInput={setFilter} />
                    </details>
                    <div class="small soft" role="status" style={{ minHeight: "20px" }}>
                        {answers && (
                            <>
                                {count(answers[0].total)} found in {count(answers[0].took_us)} µs
                                {answers[0].corrected && <> · looked for “{answers[0].corrected}”</>}
                                {answers[0].redirect && <> · sends on to <code>{answers[0].redirect}</code></>}
                                {who && !answers[1].personalised && <> · this person gets everybody's order</>}
                            </>
                        )}
                    </div>
                    {facets.map(([name, values]) => (
                        <div class="line small" key={name}>
                            <span class="soft" style={{ width: "70px" }}>{sentence(name)}</span>
                            {values.slice(0, 7).map((v) => (
                                <Badge plain>
                                    {v.value} <span class="soft num">{count(v.count)}</span>
                                </Badge>
                            ))}
                        </div>
                    ))}
                </div>
            </Card>
            {error && <Wrong error={error} />}
            {answers ? (
                <div class="two even">
                    <Card title="Everybody" pad>
                        <Hits of={answers[0]} />
                    </Card>
                    <Card title={who ? `${who}, dial ${dial}` : "A stranger"} pad>
                        <Hits of={answers[1]} before={answers[0]} />
                    </Card>
                </div>
            ) : (
                !error && (
                    <Card>
                        <Empty title="Type what a shopper would">Everybody's order stands beside this person's, each rank with its reasons.</Empty>
                    </Card>
                )
            )}
        </>
    );
}

/* ---- what found nothing --------------------------------------------------------------------------- */

const steps = (n: number) => fixed(n, 2).replace("-", "−");

function ReportTab() {
    const asked = useGet<Report>("/v1/search/report");
    const may = useMayEdit();
    return (
        <Asking of={asked} n={6}>
            {(r) => (
                <>
                    <Card title="Found nothing" side={<span class="soft small">{percent(r.zero_rate, 1)} of {count(r.searches)} searches in 30 days</span>}>
                        {r.nothing_found.length ? (
                            <Table>
                                <thead>
                                    <tr><th>Words</th><th class="num">Times</th><th>Last</th><th><span class="hidden">Actions</span></th></tr>
                                </thead>
                                <tbody>
                                    {r.nothing_found.map((row) => (
                                        <tr key={row.query}>
                                            <td><strong>{row.query}</strong></td>
                                            <td class="num">{count(row.zero_results)}</td>
                                            <td><When at={row.last_at} /></td>
                                            <td class="right">
                                                {may && (
                                                    <button class="button small" onClick={() => go(`/search?tab=rules&synonym=${encodeURIComponent(row.query)}`)}>
                                                        Add a synonym
                                                    </button>
                                                )}
                                            </td>
                                        </tr>
                                    ))}
                                </tbody>
                            </Table>
                        ) : (
                            <Empty title="Every search found something" />
                        )}
                    </Card>
                    <Card title="Most asked">
                        <Table>
                            <thead>
                                <tr><th>Words</th><th class="num">Times</th><th class="num">Items found, on average</th></tr>
                            </thead>
                            <tbody>
                                {r.queries.slice(0, 20).map((row) => (
                                    <tr key={row.query}>
                                        <td>{row.query}</td>
                                        <td class="num">{count(row.searches)}</td>
                                        <td class="num">{row.results == null ? "–" : fixed(row.results, 1)}</td>
                                    </tr>
                                ))}
                            </tbody>
                        </Table>
                    </Card>
                    <Card title="From entry to a product">
                        <Table>
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
                                            <td class="num">{arm.mean_steps == null ? "–" : fixed(arm.mean_steps, 2)}</td>
                                            <td class="num">{arm.median_seconds == null ? "–" : fixed(arm.median_seconds, 1)}</td>
                                        </tr>
                                    );
                                })}
                            </tbody>
                        </Table>
                        {r.time_to_product.difference_of_mean_steps && (
                            <p class="pad soft small">
                                Mean steps of all others less those of the holdout: {steps(r.time_to_product.difference_of_mean_steps.value)}, 95 % interval{" "}
                                {steps(r.time_to_product.difference_of_mean_steps.low)} to {steps(r.time_to_product.difference_of_mean_steps.high)}.
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
function Lines<T>({ name, hint, value, show, read, onChange, may, begin }: {
    name: string;
    hint: string;
    value: T[] | undefined;
    show: (one: T) => string;
    read: (line: string) => T | null;
    onChange: (value: T[]) => void;
    may: boolean;
    /* a line that was begun elsewhere: it stands last, with the caret at its end */
    begin?: string;
}) {
    const [text, set] = useState<string | null>(null);
    const box = useRef<HTMLTextAreaElement>(null);
    const shown = text ?? [...(value ?? []).map(show), ...(begin ? [begin] : [])].join("\n");
    useEffect(() => {
        if (!begin || !box.current || !value) return;
        box.current.focus();
        box.current.setSelectionRange(shown.length, shown.length);
    }, [begin, !value]);
    const wrong = shown.split("\n").filter((line) => line.trim() && !read(line));
    return (
        <Field name={name} hint={wrong.length && !(begin && wrong[0] === begin) ? `Not understood: ${wrong[0]}` : hint}>
            <textarea
                ref={box}
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

function Rules({ synonym }: { synonym: string | null }) {
    const may = useMayEdit();
    const list = useGet<{ definitions: { key: string }[] }>("/v1/definitions?kind=search");
    return <Asking of={list} n={4}>{({ definitions }) => <Editor may={may} synonym={synonym} id={definitions.some((d) => d.key === "shop") ? "shop" : "new"} />}</Asking>;
}

function Editor({ may, id, synonym }: { may: boolean; id: string; synonym: string | null }) {
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
                            <Lines<string[]> name="Synonyms" begin={synonym ? `${synonym}, ` : undefined} hint="A group a line: laptop, notebook" value={doc.synonyms} may={may} onChange={change("synonyms")}
                                show={(one) => one.join(", ")}
                                read={(line) => { const words = line.split(",").map((w) => w.trim()).filter(Boolean); return words.length > 1 ? words : null; }} />
                            <Lines<any> name="Redirects" hint="Words -> address: returns -> /help/returns" value={doc.redirects} may={may} onChange={change("redirects")}
                                show={(one) => `${one.query} -> ${one.url}`}
                                read={(line) => { const m = /^(.+?)\s*->\s*(\S+)$/.exec(line.trim()); return m ? { query: m[1], url: m[2] } : null; }} />
                            <Lines<any> name="Pins" hint="Words, or category: X > Y; then item and place: jeans -> p-4 @ 1" value={doc.pins} may={may} onChange={change("pins")}
                                show={(one) => `${one.category ? `category: ${one.category}` : one.query} -> ${one.item} @ ${one.position ?? 1}`}
                                read={(line) => {
                                    const m = /^(category:\s*)?(.+?)\s*->\s*(\S+)\s*@\s*(\d+)$/.exec(line.trim());
                                    return m ? { [m[1] ? "category" : "query"]: m[2], item: m[3], position: Number(m[4]) } : null;
                                }} />
                            <Dial name="Dial" hint="how far what a person likes moves the order, where a search does not say" value={doc.dial ?? 50} max={100} step={1} disabled={!may} onInput={change("dial")} />
                        </div>
                    </Card>
                    <Suggestions may={may} take={(words) => { change("synonyms")([...(doc.synonyms ?? []), words]); again(version + 1); }} />
                </>
            )}
        </>
    );
}

export function Search({ query }: { query: URLSearchParams }) {
    const tab = query.get("tab") ?? "bench";
    return (
        <Page title="Search" about="Try it as anyone, see what finds nothing, and say what words mean.">
            <Tabs at={tab} onPick={(to) => go(`/search?tab=${to}`)} tabs={[["bench", "Test bench"], ["report", "Report"], ["rules", "Synonyms, pins, redirects"]]} />
            {tab === "bench" && <Bench />}
            {tab === "report" && <ReportTab />}
            {tab === "rules" && <Rules synonym={query.get("synonym")} />}
        </Page>
    );
}
