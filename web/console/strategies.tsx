/* SPDX-License-Identifier: Apache-2.0
 *
 * strategies.tsx - how rows of products come about: the strategies, a bench on which one is tried as anybody before it is
 * published (what is in force beside what is being edited, with reasons), pins by drag, and the card of the model behind them.
 */
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { Definition, Doc, Problem, part, post } from "./api";
import { DefinitionPage, Editing, Named } from "./definition";
import { Badge, Bones, Card, Empty, Field, Listing, Page, Row, RuleBox, SessionContext, Standing, Tabs, When, Wrong, useGet } from "./ui";
import { Models, WeightsFrom } from "./models";
import { RECOMMENDERS, mixOf, told } from "./recommenders";
import { Dial, Moved, PersonField, personOf } from "./who";
import { fixed, plural, sentence } from "./words";

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
/* ---- the list --------------------------------------------------------------------------------------- */

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
            {tab === "models" ? (
                <Models />
            ) : (
                <Card>
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
                                            <Badge plain>{told(name)[1]}</Badge>
                                        ))}
                                    </span>
                                </td>
                                <td class="soft small">{wishes(d.document)}</td>
                                <Standing of={d} />
                            </Row>
                        )}
                    />
                </Card>
            )}
        </Page>
    );
}

function wishes(doc: Doc): string {
    const of = (name: string, word: string) => (doc?.[name]?.length ? [plural(doc[name].length, word)] : []);
    return [...of("pins", "pin"), ...of("boosts", "boost"), ...(doc?.buries?.length ? [`${doc.buries.length} buried`] : []), ...of("notes", "note")].join(", ") || "none";
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
    /* weights that were said apart are now in the mix */
    const weights = typeof of.doc.weights === "string" ? of.doc.weights : undefined;
    const set = (name: string, weight: number) => of.set({ ...of.doc, weights, mix: { ...Object.fromEntries(mix), [name]: weight } });
    const drop = (name: string) => of.set({ ...of.doc, weights, mix: Object.fromEntries(mix.filter(([known]) => known !== name)) });
    const like = (name: string, weight: number) => {
        const likes = { ...of.doc.likes, [name]: weight };
        if (!weight) delete likes[name];
        of.set({ ...of.doc, likes: Object.keys(likes).length ? likes : undefined });
    };
    const rest = RECOMMENDERS.filter(([name]) => name !== "crosssell" && !mix.some(([known]) => known === name));
    const variety = 1 - (of.doc.diversity?.lambda ?? 1);
    return (
        <Card title="How much each counts" pad>
            <div class="stack">
                {mix.map(([name, weight]) => {
                    const [, title, hint] = told(name);
                    return (
                        <div class="line" style={{ flexWrap: "nowrap" }} key={name}>
                            <div class="grow">
                                <Dial name={title} hint={[name, hint].filter(Boolean).join(", ")} value={weight} shown={fixed(weight, 2)} max={3} step={0.05} disabled={!may} onInput={(w) => set(name, w)} />
                            </div>
                            {may && (
                                <button class="button small quiet" aria-label={`Take ${name} out of the mix`} onClick={() => drop(name)}>
                                    ✕
                                </button>
                            )}
                        </div>
                    );
                })}
                {!mix.length && <p class="soft">No recommender: only the fallback fills the row.</p>}
                {may && (
                    <Field name="Add a recommender">
                        <select value="" onChange={(e) => e.currentTarget.value && set(e.currentTarget.value, 0.5)}>
                            <option value="">…</option>
                            {rest.map(([name, title, hint]) => (
                                <option value={name}>{[title, hint].filter(Boolean).join(", ")}</option>
                            ))}
                        </select>
                    </Field>
                )}
                <h3>What the person likes</h3>
                {LIKES.map((name) => {
                    const value = of.doc.likes?.[name] ?? 0;
                    return <Dial key={name} name={sentence(name)} hint={value ? "" : "does not count"} value={value} shown={fixed(value, 2)} max={5} step={0.25} disabled={!may} onInput={(w) => like(name, w)} />;
                })}
                <h3>Variety</h3>
                <Dial name="How unlike each other" hint="0: by score alone" value={variety} shown={fixed(variety, 2)} max={1} step={0.05} disabled={!may}
                    onInput={(v) => of.set({ ...of.doc, diversity: { ...of.doc.diversity, lambda: +(1 - v).toFixed(2) } })} />
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
            {parts.length > 0 && ` · ${parts.map(([name, weight]) => `${told(name)[1].toLowerCase()} ${fixed(weight, 2)}`).join(" + ")}`}
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

/* A row as it would show. With `onPin` things are taken by the grip and dropped on a place, or moved by the keyboard:
 * each move pins. The focus stays with what was moved. */
function Items({ of, before, pins, onPin, onUnpin, onBury }: {
    of: Answer;
    before?: Answer;
    pins?: { item: string; position: number }[];
    onPin?: (key: string, position: number) => void;
    onUnpin?: (key: string) => void;
    onBury?: (key: string) => void;
}) {
    /* the events of a drag come faster than the page is drawn: what is held is known at once */
    const held = useRef<string | null>(null);
    const [over, setOver] = useState(-1);
    if (!of.items.length) return <Empty title="Nothing may be shown">The filter lets nothing through, or the catalogue is empty.</Empty>;
    const n = of.items.length;
    return (
        <ol class="plain goods">
            {of.items.map((one, i) => {
                const key = keyOf(one);
                const name = one.title || key;
                const was = before ? before.items.findIndex((b) => keyOf(b) === key) : i;
                const pinned = pins?.find((p) => p.item === key);
                return (
                    <li
                        key={key}
                        class={over < 0 ? "" : held.current === key ? "held" : over === i ? "over" : ""}
                        draggable={!!onPin}
                        onDragStart={(e) => {
                            e.dataTransfer?.setData("text/plain", name);
                            held.current = key;
                        }}
                        onDragEnd={() => {
                            held.current = null;
                            setOver(-1);
                        }}
                        onDragOver={(e) => {
                            if (!held.current) return;
                            e.preventDefault();
                            setOver(i);
                        }}
                        onDrop={(e) => {
                            e.preventDefault();
                            if (held.current && held.current !== key) onPin?.(held.current, i + 1);
                            held.current = null;
                            setOver(-1);
                        }}
                    >
                        <span class="place num soft">{i + 1}</span>
                        {one.image ? <img src={one.image} alt="" width="36" height="48" loading="lazy" /> : <span class="picture" />}
                        <div class="grow">
                            <div class="line">
                                <strong>{name}</strong>
                                {before && <Moved was={was} is={i} against="what is in force" />}
                            </div>
                            <Why of={one} />
                        </div>
                        {onPin && (
                            <span
                                class="tools"
                                role="group"
                                aria-label={name}
                                onKeyDown={(e) => {
                                    const to = e.key === "ArrowUp" ? i : e.key === "ArrowDown" ? i + 2 : 0;
                                    if (to < 1 || to > n) return;
                                    e.preventDefault();
                                    onPin(key, to);
                                }}
                            >
                                {pinned ? (
                                    <button class="button small quiet" aria-label={`Unpin ${name}`} aria-pressed="true" onClick={() => onUnpin?.(key)}>
                                        <svg width="14" height="14" viewBox="0 0 16 16" fill="var(--accent)" aria-hidden="true">
                                            <path d="M5 1h6v1.500l-1 .500v4l2.500 2v1.500H9V15H7v-4.500H3.500V9L6 7V3l-1-.500z" />
                                        </svg>
                                    </button>
                                ) : (
                                    <button class="button small quiet" aria-label={`Pin ${name} to place ${i + 1}`} aria-pressed="false" title="Pin it here; the arrow keys move it" onClick={() => onPin(key, i + 1)}>
                                        <span class="grip" aria-hidden="true">⠿</span>
                                    </button>
                                )}
                                <button class="button small quiet" aria-label={`Bury ${name}`} title="Never show it here" onClick={() => onBury?.(key)}>
                                    ✕
                                </button>
                            </span>
                        )}
                    </li>
                );
            })}
        </ol>
    );
}

function Bench({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const session = useContext(SessionContext);
    const { doc } = of;
    const published = of.held.data?.published_revision ? of.held.data.document : null;
    const placements = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=placement");
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
                post<Answer>("/v1/recommend", { strategy, placement: placement || undefined, person: personOf(who), context, limit: 10, explain: true, record: false });
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
    const [said, tell] = useState("");
    /* one thing a place: what was pinned there before steps aside */
    const pin = (item: string, position: number) => {
        const old = (doc.pins ?? []).find((p: any) => p.item === item);
        of.set({ ...doc, pins: [...(doc.pins ?? []).filter((p: any) => p.item !== item && p.position !== position), { ...old, item, position }].sort((a, b) => a.position - b.position) });
        tell(`Pinned to place ${position}.`);
    };
    const unpin = (item: string) => {
        of.set({ ...doc, pins: (doc.pins ?? []).filter((p: any) => p.item !== item) });
        tell("No longer pinned.");
    };
    const bury = (item: string) => of.set({ ...doc, pins: (doc.pins ?? []).filter((p: any) => p.item !== item), buries: [...(doc.buries ?? []), { rule: `item.product = ${JSON.stringify(item)}` }] });
    const drop = (name: string, i: number) => of.set({ ...doc, [name]: doc[name].filter((_: unknown, k: number) => k !== i) });
    const using = (placements.data?.definitions ?? []).filter((p) => p.document?.strategy === doc.key);
    return (
        <>
            <Card title="Try it as" pad>
                <div class="fields">
                    <PersonField value={who} onInput={setWho} />
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
                <Card title="As edited here" side={may && <span class="soft small">drag to pin, or ⠿ and the arrow keys</span>} pad>
                    {answers ? <Items of={answers[1]} before={answers[0] ?? undefined} pins={doc.pins} onPin={may ? pin : undefined} onUnpin={unpin} onBury={may ? bury : undefined} /> : <Bones n={4} />}
                    <div class="hidden" role="status">{said}</div>
                </Card>
            </div>
            <div class="two even">
                <Weights of={of} may={may} />
                <div class="stack wide">
                    <WeightsFrom of={of} may={may} />
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
