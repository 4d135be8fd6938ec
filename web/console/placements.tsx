/* SPDX-License-Identifier: Apache-2.0
 *
 * placements.tsx - the places a shop lets us fill: what they hold, and what shows when nothing applies.
 */
import { Definition, part } from "./api";
import { DefinitionPage, Editing, Named, Text } from "./definition";
import { Badge, Card, Empty, Field, Listing, Page, Row, Standing, When, useGet, useMayEdit } from "./ui";
import { fixed, plural } from "./words";

export function Placements() {
    const asked = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=placement");
    const may = useMayEdit();
    return (
        <Page
            title="Placements"
            about="The places on your shop that campaigns and recommendations may fill."
            actions={
                <>
                    <a class="button" href="#/placements/enough">
                        Enough to show?
                    </a>
                    {may && (
                        <a class="button primary" href="#/placements/new">
                            New placement
                        </a>
                    )}
                </>
            }
        >
            <Card>
                <Listing
                    of={asked}
                    rows={({ definitions }) => definitions}
                    n={5}
                    head={["Placement", "Channel", "Holds", "State", "Changed"]}
                    row={(d) => (
                        <Row key={d.key} to={`/placements/${part(d.key)}`}>
                            <td>
                                <a href={`#/placements/${part(d.key)}`}>{d.title || d.key}</a>
                                <div class="soft small">{d.key}</div>
                            </td>
                            <td>{d.document?.channel}</td>
                            <td>
                                <span class="line">
                                    {Object.keys(d.document?.schema ?? {}).map((k) => (
                                        <Badge plain>{k}</Badge>
                                    ))}
                                    {(d.document?.strategy || d.document?.min_items > 0) && (
                                        <Badge plain tone="accent">
                                            products{d.document.strategy ? `: ${d.document.strategy}` : ""}
                                        </Badge>
                                    )}
                                </span>
                            </td>
                            <Standing of={d} />
                        </Row>
                    )}
                    empty={
                        <Empty title="No placements yet">
                            A placement is a box on a page, such as the banner at the top of the home page.
                        </Empty>
                    }
                />
            </Card>
        </Page>
    );
}

const types = ["text", "text?", "url", "url?"];

export function Placement({ id }: { id: string }) {
    return (
        <DefinitionPage
            kind="placement"
            id={id}
            room="placements"
            rooms="Placements"
            blank={{
                kind: "placement",
                key: "",
                title: "",
                owner: "",
                channel: "web",
                state: "live",
                schema: { headline: "text", text: "text?", image: "url?", link: "url?" },
                default: {},
                min_items: 0,
            }}
            more={[["evaluation", "Evaluation", () => <Evaluated id={id} />]]}
            about={(doc) =>
                doc.key ? (
                    <>
                        A place on the {doc.channel} channel, <code>{doc.key}</code>
                    </>
                ) : (
                    "A box on a page that campaigns and recommendations may fill."
                )
            }
        >
            {(of, may, isNew) => <PlacementForm of={of} may={may} isNew={isNew} />}
        </DefinitionPage>
    );
}

interface Evaluation {
    protocol: string;
    strategy: string;
    cut: string;
    train_interactions: number;
    test_visits: number;
    questions: number;
    metrics: Record<string, Record<string, { value: number; low: number; high: number }>>;
}
const rowNames: Record<string, string> = { strategy: "This strategy", usual_mix: "The usual mix", popular: "What is popular" };

/* On the shop's own log: what would have been guessed of what people did next. */
function Evaluated({ id }: { id: string }) {
    const asked = useGet<Evaluation>(`/v1/placements/${part(id)}/evaluation`);
    const e = asked.data;
    return (
        <Card title="On the shop's own log">
            <Listing
                of={asked}
                rows={(e) => Object.entries(e.metrics).map(([row, m]) => ({ row, m, strategy: e.strategy }))}
                n={3}
                empty={<Empty title="Nothing to ask yet">It takes visits in which people dealt with two products or more.</Empty>}
                head={["", "#HR@10", "#95 %", "#MRR@10", "#95 %"]}
                row={({ row, m, strategy }) => (
                    <tr key={row}>
                        <td>{row === "strategy" ? `${rowNames[row]}, ${strategy}` : (rowNames[row] ?? row)}</td>
                        {["hr@10", "mrr@10"].map((name) => (
                            <>
                                <td class="num">{fixed(m[name].value, 4)}</td>
                                <td class="num soft small">{fixed(m[name].low, 4)} – {fixed(m[name].high, 4)}</td>
                            </>
                        ))}
                    </tr>
                )}
            />
            {e && (
                <p class="soft small pad">
                    {e.protocol} Cut at <When at={e.cut} />: {plural(e.train_interactions, "interaction")} before it, {plural(e.questions, "question")} of{" "}
                    {plural(e.test_visits, "visit")} after it.
                </p>
            )}
        </Card>
    );
}

function PlacementForm({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const { doc, set } = of;
    const schema: Record<string, string> = doc.schema ?? {};
    return (
        <>
            <Card title="Where it is" pad>
                <div class="fields">
                    <Named of={of} may={may} isNew={isNew} like={["Home page banner", "home_hero"]} />
                    <Field name="Channel">
                        <select
                            value={doc.channel ?? "web"}
                            disabled={!may}
                            onChange={(e) =>
                                set({ ...doc, channel: e.currentTarget.value })
                            }
                        >
                            {[...new Set(["web", "app", "email", "store", doc.channel].filter(Boolean))].map((c) => (
                                <option>{c}</option>
                            ))}
                        </select>
                    </Field>
                    <Field name="Products: strategy" hint="Empty: no products">
                        <input
                            class="mono"
                            value={doc.strategy ?? ""}
                        disabled={!may}
                        onInput={(e) => set({ ...doc, strategy: e.currentTarget.value || undefined })}
                            placeholder="for_you"
                        />
                    </Field>
                    <Field name="Least products" hint="With fewer the default shows">
                        <input
                            type="number"
                            min={0}
                            value={doc.min_items ?? 0}
                            disabled={!may}
                            onInput={(e) =>
                                set({ ...doc, min_items: +e.currentTarget.value })
                            }
                        />
                    </Field>
                </div>
            </Card>
            <div class="two">
                <Card title="What shows when nothing applies" pad>
                    <div class="stack">
                        {Object.entries(schema).map(([name, type]) => (
                            <Text
                                key={name}
                                name={name}
                                type={type}
                                may={may}
                                value={doc.default?.[name]}
                                onInput={(value) =>
                                    set({
                                        ...doc,
                                        default: { ...doc.default, [name]: value },
                                    })
                                }
                            />
                        ))}
                        {!Object.keys(schema).length && (
                            <p class="soft">It holds no fields.</p>
                        )}
                    </div>
                </Card>
                <Card title="What it holds" pad>
                    <div class="stack">
                        {Object.entries(schema).map(([name, type]) => (
                            <div class="line" style={{ flexWrap: "nowrap" }} key={name}>
                                <code class="grow">{name}</code>
                                <select
                                    style={{ width: "110px" }}
                                    aria-label={`Type of ${name}`}
                                    value={type}
                                    disabled={!may}
                                    onChange={(e) =>
                                        set({
                                            ...doc,
                                            schema: {
                                                ...schema,
                                                [name]: e.currentTarget.value,
                                            },
                                        })
                                    }
                                >
                                    {[...new Set([...types, type])].map((t) => (
                                        <option>{t}</option>
                                    ))}
                                </select>
                                {may && (
                                    <button
                                        class="button small quiet"
                                        aria-label={`Remove ${name}`}
                                        onClick={() => {
                                            const { [name]: _gone, ...rest } = schema;
                                            set({ ...doc, schema: rest });
                                        }}
                                    >
                                        ✕
                                    </button>
                                )}
                            </div>
                        ))}
                        {may && (
                            <form
                                class="line"
                                style={{ flexWrap: "nowrap" }}
                                onSubmit={(e) => {
                                    e.preventDefault();
                                    const input = (
                                        e.target as HTMLFormElement
                                    ).elements.namedItem("field") as HTMLInputElement;
                                    if (input.value)
                                        set({
                                            ...doc,
                                            schema: {
                                                ...schema,
                                                [input.value]: "text?",
                                            },
                                        });
                                    input.value = "";
                                }}
                            >
                                <input
                                    name="field"
                                    class="mono"
                                    aria-label="New field"
                                    placeholder="new_field"
                                    pattern="[a-z][a-z0-9_]*"
                                />
                                <button class="button">Add</button>
                            </form>
                        )}
                        <p class="hint">
                            A question mark says the field may be left out.
                        </p>
                    </div>
                </Card>
            </div>
            <Card title="Put it on a page" pad>
                <code class="rule-text">{`<div data-opmaat-placement="${doc.key || "key"}" style="min-height: 300px"></div>`}</code>
                <p class="hint" style={{ marginTop: "8px" }}>
                    The height is reserved, so that nothing moves when it is filled.
                </p>
            </Card>
        </>
    );
}
