/* SPDX-License-Identifier: Apache-2.0
 *
 * strategies.tsx - how rows of products come about: the strategies, a bench on which one is tried as anybody before it is
 * published (what is in force beside what is being edited, with reasons), pins by drag, and the card of the model behind them.
 */
import { useContext, useEffect, useState } from "preact/hooks";
import { Definition, Doc, Problem, part, post } from "./api";
import { DefinitionPage, Editing, Named } from "./definition";
import { Badge, Bones, Card, Empty, Field, Listing, Page, Row, RuleBox, SessionContext, State, Tabs, When, Wrong, useGet } from "./ui";
import { bytes, count, moment, plural } from "./words";

const RECOMMENDERS: [string, string][] = [
    ["session", "what sessions like this one held next"],
    ["cooc", "looked at and bought together"],
    ["rules", "what comes after it"],
    ["ease", "the same, less what a third item explains"],
    ["slist", "beside and after it in a visit"],
    ["spectral", "the broad strokes of taste"],
    ["als", "the person's whole taste"],
    ["content", "alike by category, brand, colour"],
    ["complements", "goes with the cart or the product in view"],
    ["upsell", "a step up in price"],
    ["bundles", "bought together"],
    ["outfit", "the rest of the outfit"],
    ["replenish", "due again"],
    ["quiz", "as the quiz was answered"],
    ["trending", "rising"],
    ["bestsellers", "selling"],
    ["popular", "dealt with most"],
    ["recently_viewed", "looked at lately"],
];
const LIKES = ["category", "brand", "colour", "gender"];

interface Effect {
    what: "pin" | "boost" | "bury";
    rule?: string;
    by?: number;
    position?: number;
    note?: string;
}
interface Shown {
    product_key?: string;
    content_key?: string;
    title?: string;
    image?: string;
    score: number;
    because: { text: string; source: string; products: string[]; weights: Record<string, number> };
    algorithm_position?: number | null;
    effects?: Effect[];
}
interface Answer {
    strategy: string;
    items: Shown[];
    algorithm: { product_key: string; title: string }[];
}
interface Model {
    key: string;
    from: string;
    to: string;
    interactions: number;
    sessions: number;
    items: number;
    ease_items: number;
    factor_people: number;
    bytes: number;
    seconds: number;
    held_out?: { protocol: string; questions: number } & Record<string, number | string>;
}

/* ---- the list, and the model --------------------------------------------------------------------- */

function ModelCards() {
    const asked = useGet<{ models: Model[] }>("/v1/models");
    return (
        <Listing
            of={asked}
            rows={({ models }) => models}
            n={2}
            empty={<Empty title="No model yet">One is made as soon as people have looked at products.</Empty>}
            head={["Learnt from", "#Interactions", "#Sessions", "#Items", "#HR@20", "#MRR@20", "#NDCG@20", "#Memory", "#Seconds"]}
            row={(m) => (
                <tr key={m.key}>
                    <td>
                        {moment(m.from)} – {moment(m.to)}
                        <div class="soft small">
                            dense part: {plural(m.ease_items, "item")}, tastes of {plural(m.factor_people, "person").replace("persons", "people")}
                        </div>
                        {m.held_out && (
                            <div class="soft small">
                                {m.held_out.protocol} {plural(m.held_out.questions, "question")}.
                            </div>
                        )}
                    </td>
                    <td class="num">{count(m.interactions)}</td>
                    <td class="num">{count(m.sessions)}</td>
                    <td class="num">{count(m.items)}</td>
                    {["hr@20", "mrr@20", "ndcg@20"].map((name) => (
                        <td class="num">{m.held_out ? Number(m.held_out[name]).toFixed(3) : "–"}</td>
                    ))}
                    <td class="num">{bytes(m.bytes)}</td>
                    <td class="num">{m.seconds.toFixed(2)}</td>
                </tr>
            )}
        />
    );
}

export function Strategies() {
    const asked = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=strategy");
    const [tab, setTab] = useState("strategies");
    const may = useContext(SessionContext).role !== "viewer";
    return (
        <Page
            title="Recommendations"
            about="How rows of products come about. Open a strategy to try it as anybody, beside what is in force."
            actions={
                may && (
                    <a class="button primary" href="#/strategies/new">
                        New strategy
                    </a>
                )
            }
        >
            <Tabs at={tab} onPick={setTab} tabs={[["strategies", "Strategies"], ["models", "Models"]]} />
            <Card>
                {tab === "models" ? (
                    <ModelCards />
                ) : (
                    <Listing
                        of={asked}
                        rows={({ definitions }) => definitions}
                        n={4}
                        empty={<Empty title="No strategies yet">Without one, rows show what similar sessions held, then what is popular.</Empty>}
                        head={["Strategy", "Mix", "People's wishes", "State", "Changed"]}
                        row={(d) => (
                            <Row key={d.key} to={`/strategies/${part(d.key)}`}>
                                <td>
                                    <a href={`#/strategies/${part(d.key)}`}>{d.title || d.key}</a>
                                    <div class="soft small">{d.key}</div>
                                </td>
                                <td>
                                    <span class="line">
                                        {mixOf(d.document).map(([name]) => (
                                            <Badge plain>{name}</Badge>
                                        ))}
                                    </span>
                                </td>
                                <td class="soft small">{wishes(d.document)}</td>
                                <td>
                                    <State of={d} />
                                </td>
                                <td>
                                    <When at={d.updated_at} />
                                    <div class="soft small">{d.owner}</div>
                                </td>
                            </Row>
                        )}
                    />
                )}
            </Card>
        </Page>
    );
}

function wishes(doc: Doc): string {
    const of = (name: string, word: string) => (doc?.[name]?.length ? [plural(doc[name].length, word)] : []);
    return [...of("pins", "pin"), ...of("boosts", "boost"), ...(doc?.buries?.length ? [`${doc.buries.length} buried`] : []), ...of("notes", "note")].join(", ") || "none";
}

/* Weights as the engine reads a list: each next counts 0.7 of the one before, what is everybody's 0.3. */
function mixOf(doc: Doc): [string, number][] {
    const mix = doc?.mix ?? {};
    if (!Array.isArray(mix)) return Object.entries(mix);
    return mix.map((name: string, i: number) => [name, +((["trending", "bestsellers", "popular"].includes(name) ? 0.3 : 1) * 0.7 ** i).toFixed(3)]);
}

/* ---- one strategy ---------------------------------------------------------------------------------- */

export function Strategy({ id }: { id: string }) {
    return (
        <DefinitionPage
            kind="strategy"
            id={id}
            room="strategies"
            rooms="Recommendations"
            blank={{ kind: "strategy", key: "", title: "", owner: "", mix: { session: 1, cooc: 0.5 }, fallback: ["trending", "bestsellers"], filter: "item.in_stock" }}
            about={(doc) => (doc.key ? <>A strategy, <code>{doc.key}</code></> : "Recommenders, how much each counts, and what you wish on top of it.")}
        >
            {(of, may, isNew) => <Bench of={of} may={may} isNew={isNew} />}
        </DefinitionPage>
    );
}

function Weights({ of, may }: { of: Editing; may: boolean }) {
    const mix = mixOf(of.doc);
    const set = (name: string, weight: number) => {
        const next = Object.fromEntries(mix);
        if (weight > 0) next[name] = weight;
        else delete next[name];
        of.set({ ...of.doc, mix: next });
    };
    const rest = RECOMMENDERS.filter(([name]) => !mix.some(([known]) => known === name));
    return (
        <Card title="How much each counts" pad>
            <div class="stack">
                {mix.map(([name, weight]) => (
                    <Field key={name} name={`${name}: ${weight}`} hint={RECOMMENDERS.find(([known]) => known === name)?.[1]}>
                        <input type="range" min="0" max="3" step="0.05" value={weight} disabled={!may} onInput={(e) => set(name, Number(e.currentTarget.value))} />
                    </Field>
                ))}
                {may && (
                    <Field name="Add a recommender">
                        <select value="" onChange={(e) => e.currentTarget.value && set(e.currentTarget.value, 0.5)}>
                            <option value="">…</option>
                            {rest.map(([name, what]) => (
                                <option value={name}>{`${name}: ${what}`}</option>
                            ))}
                        </select>
                    </Field>
                )}
                {LIKES.map((name) => (
                    <Field key={name} name={`Liking of ${name}: ${of.doc.likes?.[name] ?? 0}`}>
                        <input type="range" min="0" max="5" step="0.25" value={of.doc.likes?.[name] ?? 0} disabled={!may}
                            onInput={(e) => {
                                const likes = { ...of.doc.likes, [name]: Number(e.currentTarget.value) };
                                if (!likes[name]) delete likes[name];
                                of.set({ ...of.doc, likes: Object.keys(likes).length ? likes : undefined });
                            }} />
                    </Field>
                ))}
                <Field name={`Variety: ${(1 - (of.doc.diversity?.lambda ?? 1)).toFixed(2)}`} hint="0: by score alone; 1: as unlike each other as can be">
                    <input type="range" min="0" max="1" step="0.05" value={1 - (of.doc.diversity?.lambda ?? 1)} disabled={!may}
                        onInput={(e) => of.set({ ...of.doc, diversity: { ...of.doc.diversity, lambda: +(1 - Number(e.currentTarget.value)).toFixed(2) } })} />
                </Field>
            </div>
        </Card>
    );
}

const keyOf = (one: Shown) => one.product_key ?? one.content_key ?? "";

function Why({ of }: { of: Shown }) {
    const parts = Object.entries(of.because.weights);
    return (
        <div class="soft small">
            {of.because.text}
            {parts.length > 0 && ` · ${parts.map(([name, weight]) => `${name} ${weight.toFixed(2)}`).join(" + ")}`}
            {(of.effects ?? []).map((e) => (
                <div>
                    <Badge tone={e.what === "bury" ? "warn" : "good"}>
                        {e.what === "pin" ? `pinned to ${e.position}` : e.what === "boost" ? `boost × ${e.by}` : "buried"}
                    </Badge>{" "}
                    {e.rule && <code>{e.rule}</code>} {e.note}
                </div>
            ))}
        </div>
    );
}

function Items({ of, before, onPin, onBury }: { of: Answer; before?: Answer; onPin?: (key: string, position: number) => void; onBury?: (key: string) => void }) {
    const [over, setOver] = useState(-1);
    if (!of.items.length) return <Empty title="Nothing may be shown">The filter lets nothing through, or the catalogue is empty.</Empty>;
    return (
        <ol class="plain stack">
            {of.items.map((one, i) => {
                const key = keyOf(one);
                const was = before ? before.items.findIndex((b) => keyOf(b) === key) : i;
                return (
                    <li
                        key={key}
                        draggable={!!onPin}
                        style={{ cursor: onPin ? "grab" : undefined, borderTop: over === i ? "2px solid var(--accent)" : "2px solid transparent" }}
                        onDragStart={(e) => e.dataTransfer?.setData("text/plain", key)}
                        onDragOver={(e) => onPin && (e.preventDefault(), setOver(i))}
                        onDragLeave={() => setOver(-1)}
                        onDrop={(e) => {
                            e.preventDefault();
                            setOver(-1);
                            const moved = e.dataTransfer?.getData("text/plain");
                            if (moved) onPin?.(moved, i + 1);
                        }}
                    >
                        <div class="line" style={{ flexWrap: "nowrap" }}>
                            <span class="num soft">{i + 1}</span>
                            {one.image && <img src={one.image} alt="" width="30" height="40" loading="lazy" style={{ objectFit: "cover", borderRadius: "3px" }} />}
                            <strong class="grow">{one.title || key}</strong>
                            {before && was !== i && (
                                <span class="small" title="Places moved against what is in force">
                                    {was < 0 ? "new here" : was > i ? `↑ ${was - i}` : `↓ ${i - was}`}
                                </span>
                            )}
                            {onPin && i > 0 && <button class="button small quiet" aria-label={`Pin ${one.title || key} to place ${i}`} onClick={() => onPin(key, i)}>↑</button>}
                            {onBury && <button class="button small quiet" aria-label={`Bury ${one.title || key}`} onClick={() => onBury(key)}>✕</button>}
                        </div>
                        <Why of={one} />
                    </li>
                );
            })}
        </ol>
    );
}

const person = (who: string) => {
    if (!who.trim()) return {};
    if (/^p_\d+$/.test(who.trim())) return { person_id: who.trim() };
    const [kind, value] = who.includes(":") ? who.split(/:(.*)/s) : ["user_id", who];
    return { [kind.trim()]: value.trim() };
};

function Bench({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const session = useContext(SessionContext);
    const { doc } = of;
    const published = of.held.data?.published_revision ? of.held.data.document : null;
    const placements = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=placement");
    const people = useGet<{ people: { person_id: string; display: string }[] }>("/v1/people");
    const [who, setWho] = useState("");
    const [placement, setPlacement] = useState("");
    const [where, setWhere] = useState({ product: "", store: "", weather: "" });
    const [answers, set] = useState<[Answer | null, Answer] | null>(null);
    const [error, setError] = useState<Problem | null>(null);
    const [note, setNote] = useState("");
    const asked = JSON.stringify([doc, published, who, placement, where]);
    useEffect(() => {
        let stale = false;
        const timer = setTimeout(async () => {
            const context = { ...Object.fromEntries(Object.entries(where).filter(([, v]) => v)), consent: { categoryPreferences: { personalisation: true, analytics: true } } };
            const ask = (strategy: Doc) =>
                post<Answer>("/v1/recommend", { strategy, placement: placement || undefined, person: person(who), context, limit: 10, explain: true, record: false });
            try {
                const both = await Promise.all([published ? ask(published) : Promise.resolve(null), ask(doc)]);
                if (!stale) (set(both as [Answer | null, Answer]), setError(null));
            } catch (e) {
                if (!stale) setError(e as Problem);
            }
        }, 250);
        return () => {
            stale = true;
            clearTimeout(timer);
        };
    }, [asked]);
    const pin = (item: string, position: number) =>
        of.set({ ...doc, pins: [...(doc.pins ?? []).filter((p: any) => p.item !== item && p.position !== position), { item, position }].sort((a, b) => a.position - b.position) });
    const bury = (item: string) => of.set({ ...doc, pins: (doc.pins ?? []).filter((p: any) => p.item !== item), buries: [...(doc.buries ?? []), { rule: `item.product = ${JSON.stringify(item)}` }] });
    const drop = (name: string, i: number) => of.set({ ...doc, [name]: doc[name].filter((_: unknown, k: number) => k !== i) });
    const using = (placements.data?.definitions ?? []).filter((p) => p.document?.strategy === doc.key);
    return (
        <>
            <Card title="Try it as" pad>
                <div class="fields">
                    <Field name="Person" hint="p_12, user_id:ana-77, email:…; empty: a stranger">
                        <input class="mono" list="people" value={who} onInput={(e) => setWho(e.currentTarget.value)} />
                    </Field>
                    <Field name="Placement" hint={using.length ? `Fills ${using.map((p) => p.key).join(", ")}` : "No placement names it yet"}>
                        <select value={placement} onChange={(e) => setPlacement(e.currentTarget.value)}>
                            <option value="">none</option>
                            {(placements.data?.definitions ?? []).map((p) => (
                                <option value={p.key}>{p.title || p.key}</option>
                            ))}
                        </select>
                    </Field>
                    {(["product", "store", "weather"] as const).map((name) => (
                        <Field key={name} name={{ product: "Product in view", store: "Store", weather: "Weather" }[name]}>
                            <input class="mono" value={where[name]} onInput={(e) => setWhere({ ...where, [name]: e.currentTarget.value.trim() })} />
                        </Field>
                    ))}
                </div>
                <datalist id="people">
                    {(people.data?.people ?? []).map((p) => (
                        <option value={p.person_id}>{p.display}</option>
                    ))}
                </datalist>
            </Card>
            {error && <Wrong error={error} />}
            <div class="two even">
                <Card title={published ? "In force" : "The algorithm alone"} pad>
                    {!answers ? (
                        <Bones n={4} />
                    ) : answers[0] ? (
                        <Items of={answers[0]} />
                    ) : (
                        <ol class="plain stack">
                            {answers[1].algorithm.map((a, i) => (
                                <li class="line"><span class="num soft">{i + 1}</span>{a.title}</li>
                            ))}
                        </ol>
                    )}
                </Card>
                <Card title="As edited here" side={may && <span class="soft small">drag to pin</span>} pad>
                    {answers ? <Items of={answers[1]} before={answers[0] ?? undefined} onPin={may ? pin : undefined} onBury={may ? bury : undefined} /> : <Bones n={4} />}
                </Card>
            </div>
            <div class="two even">
                <Weights of={of} may={may} />
                <div class="stack wide">
                    <Card title="What people wish" pad>
                        <div class="stack">
                            {(["pins", "boosts", "buries"] as const).flatMap((name) =>
                                (doc[name] ?? []).map((row: any, i: number) => (
                                    <div class="line" style={{ flexWrap: "nowrap" }} key={`${name}-${i}`}>
                                        <Badge tone={name === "buries" ? "warn" : "good"}>{name === "pins" ? `place ${row.position}` : name === "boosts" ? `× ${row.by}` : "buried"}</Badge>
                                        <code class="grow wrap">{row.item ?? row.rule}</code>
                                        <input aria-label="Note" placeholder="why" value={row.note ?? ""} disabled={!may} style={{ maxWidth: "40%" }}
                                            onInput={(e) => of.set({ ...doc, [name]: doc[name].map((r: any, k: number) => (k === i ? { ...r, note: e.currentTarget.value || undefined } : r)) })} />
                                        {may && <button class="button small quiet" aria-label="Remove" onClick={() => drop(name, i)}>✕</button>}
                                    </div>
                                )),
                            )}
                            {!doc.pins?.length && !doc.boosts?.length && !doc.buries?.length && <p class="soft">Nothing: the algorithm decides alone.</p>}
                            <h3>Only what this holds for</h3>
                            <RuleBox label="Filter" kind="filter" value={doc.filter ?? ""} disabled={!may} empty="Everything that may be shown." onInput={(filter) => of.set({ ...doc, filter: filter || undefined })} />
                        </div>
                    </Card>
                    <Card title="Notes" pad>
                        <div class="stack">
                            {(doc.notes ?? []).map((n: any, i: number) => (
                                <div key={i}>
                                    {n.text}
                                    <div class="soft small line">
                                        {n.author}{n.at && <When at={n.at} />}
                                        {may && <button class="link" onClick={() => drop("notes", i)}>Remove</button>}
                                    </div>
                                </div>
                            ))}
                            {may && (
                                <form class="line" style={{ flexWrap: "nowrap" }}
                                    onSubmit={(e) => {
                                        e.preventDefault();
                                        if (note.trim()) of.set({ ...doc, notes: [...(doc.notes ?? []), { text: note.trim(), author: session.email, at: new Date().toISOString() }] });
                                        setNote("");
                                    }}>
                                    <input aria-label="Note" value={note} maxLength={2000} placeholder="Why it is as it is" onInput={(e) => setNote(e.currentTarget.value)} />
                                    <button class="button">Add</button>
                                </form>
                            )}
                        </div>
                    </Card>
                    <Card title="What it is called" pad>
                        <div class="fields">
                            <Named of={of} may={may} isNew={isNew} like={["For you", "for_you"]} />
                        </div>
                    </Card>
                </div>
            </div>
        </>
    );
}
