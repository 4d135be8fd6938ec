/* SPDX-License-Identifier: Apache-2.0
 *
 * campaigns.tsx - who sees what, where: the list and the editor. A campaign fills one placement
 * with ordered experiences; each has a target and variations with their shares.
 */
import { useState } from "preact/hooks";
import { Definition, Doc, part, post } from "./api";
import {
    Actions,
    Editing,
    JsonTab,
    Refused,
    Revisions,
    Text,
    archive,
    first,
    inForce,
    useEditing,
} from "./definition";
import {
    Asking,
    Badge,
    Card,
    Empty,
    Field,
    Listing,
    Page,
    Row,
    RuleBox,
    Standing,
    Tabs,
    attempt,
    go,
    say,
    useGet,
    useMayEdit,
} from "./ui";
import { Bandit, Judged } from "./learning";
import { RangeBar } from "./ranges";
import { plural, sentence } from "./words";

export function Campaigns() {
    const asked = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=campaign");
    const may = useMayEdit();
    return (
        <Page
            title="Campaigns"
            about="What people are shown, and which of it works."
            actions={
                may && (
                    <a class="button primary" href="#/campaigns/new">
                        New campaign
                    </a>
                )
            }
        >
            <Card>
                <Listing
                    of={asked}
                    rows={({ definitions }) => definitions}
                    n={6}
                    head={["Campaign", "Placement", "Experiences", "State", "Changed", ""]}
                    row={(d) => (
                        <Row key={d.key} to={`/campaigns/${part(d.key)}`}>
                            <td>
                                <a href={`#/campaigns/${part(d.key)}`}>{d.title || d.key}</a>
                                <div class="soft small">{d.document?.goal || d.key}</div>
                            </td>
                            <td>{d.document?.placement}</td>
                            <td class="small">
                                {(d.document?.experiences ?? []).map((x: Doc) => (
                                    <div>
                                        {x.key} <span class="soft">{plural((x.variations ?? []).length, "variation")}</span>
                                    </div>
                                ))}
                            </td>
                            <Standing of={d} />
                            <td class="right">
                                <a class="button small" href={`#/campaigns/${part(d.key)}/results`}>
                                    Results
                                </a>
                            </td>
                        </Row>
                    )}
                    empty={
                        <Empty title="No campaigns yet">
                            A campaign fills a placement on your shop for the people you choose.
                            <br />
                            {may && (
                                <a class="button primary" href="#/campaigns/new">
                                    Make the first one
                                </a>
                            )}
                        </Empty>
                    }
                />
            </Card>
        </Page>
    );
}

/* ---- shares ------------------------------------------------------------------------------------ */
const share = (v: Doc) => parseFloat(String(v.share ?? "").replace("%", "")) || 0;
const total = (x: Doc) =>
    Math.round((x.variations ?? []).reduce((sum: number, v: Doc) => sum + share(v), 0) * 100) / 100;

function evened(variations: Doc[]): Doc[] {
    const each = Math.floor(10000 / variations.length) / 100;
    return variations.map((v, i) => ({
        ...v,
        share: `${i ? each : Math.round((100 - each * (variations.length - 1)) * 100) / 100}%`,
    }));
}

/* ---- one variation ------------------------------------------------------------------------------ */
function Variation({
    v,
    schema,
    strategies,
    may,
    set,
    remove,
}: {
    v: Doc;
    schema: Record<string, string>;
    strategies: Definition[];
    may: boolean;
    set: (v: Doc) => void;
    remove?: () => void;
}) {
    const render = v.render ?? "content";
    const fields = Object.keys(schema).length
        ? schema
        : Object.fromEntries(Object.keys(v.content ?? {}).map((k) => [k, "text"]));
    return (
        <div class="variation">
            <div class="fields">
                <Field name="Variation">
                    <input
                        class="mono"
                        value={v.key ?? ""}
                        disabled={!may}
                        onInput={(e) => set({ ...v, key: e.currentTarget.value })}
                    />
                </Field>
                <Field name="Share">
                    <input
                        value={v.share ?? ""}
                        disabled={!may}
                        inputMode="decimal"
                        placeholder="50%"
                        onInput={(e) => set({ ...v, share: e.currentTarget.value })}
                    />
                </Field>
                <Field name="Shows">
                    <select
                        value={render}
                        disabled={!may}
                        onChange={(e) => {
                            const { render: _was, ...rest } = v;
                            set(
                                e.currentTarget.value === "content"
                                    ? rest
                                    : { ...rest, render: e.currentTarget.value },
                            );
                        }}
                    >
                        <option value="content">Content</option>
                        <option value="passthrough">What the shop shows now</option>
                        <option value="default">The placement's default</option>
                    </select>
                </Field>
            </div>
            {render === "content" && (
                <div class="fields">
                    {Object.entries(fields).map(([name, type]) => (
                        <Text
                            key={name}
                            name={name}
                            type={type}
                            may={may}
                            value={v.content?.[name]}
                            onInput={(value) => set({ ...v, content: { ...v.content, [name]: value } })}
                        />
                    ))}
                    {(strategies.length > 0 || v.strategy) && (
                        <Field name="Products">
                            <select
                                value={v.strategy ?? ""}
                                disabled={!may}
                                onChange={(e) =>
                                    set({ ...v, strategy: e.currentTarget.value || undefined })
                                }
                            >
                                <option value="">None</option>
                                {[
                                    ...new Set(
                                        [...strategies.map((s) => s.key), v.strategy].filter(Boolean),
                                    ),
                                ].map((k) => (
                                    <option value={k}>{k}</option>
                                ))}
                            </select>
                        </Field>
                    )}
                </div>
            )}
            {render === "passthrough" && (
                <p class="hint">
                    The page stays as it is; views and orders are still counted, so the others can be
                    compared with it.
                </p>
            )}
            {remove && may && (
                <div>
                    <button type="button" class="link small" onClick={remove}>
                        Remove this variation
                    </button>
                </div>
            )}
        </div>
    );
}

/* ---- one experience ------------------------------------------------------------------------------ */
function Experience({
    x,
    n,
    of,
    schema,
    strategies,
    campaign,
    version,
    may,
    set,
    remove,
}: {
    x: Doc;
    campaign: string;
    version: string;
    n: number;
    of: number;
    schema: Record<string, string>;
    strategies: Definition[];
    may: boolean;
    set: (x: Doc) => void;
    remove: () => void;
}) {
    const variations: Doc[] = x.variations ?? [];
    const sum = total(x);
    const fixed = x.choose === "fixed";
    const letter = () =>
        "abcdefghijklmnopqrstuvwxyz".split("").find((l) => !variations.some((v) => v.key === l))
        ?? `v${variations.length + 1}`;
    return (
        <Card
            title={
                <>
                    {x.key || `Experience ${n + 1}`}{" "}
                    <span class="soft small">
                        {of > 1
                            ? n === 0
                                ? "asked first"
                                : `asked when the ${n === 1 ? "one" : n} before did not fit`
                            : ""}
                    </span>
                </>
            }
            side={
                may
                && of > 1 && (
                    <button type="button" class="button small quiet" onClick={remove}>
                        Remove
                    </button>
                )
            }
            pad
        >
            <div class="stack">
                <div class="fields">
                    <Field name="Key">
                        <input
                            class="mono"
                            value={x.key ?? ""}
                            disabled={!may}
                            onInput={(e) => set({ ...x, key: e.currentTarget.value })}
                        />
                    </Field>
                    <Field name="Variation is chosen">
                        <select
                            value={x.choose ?? "fixed"}
                            disabled={!may}
                            onChange={(e) => set({ ...x, choose: e.currentTarget.value })}
                        >
                            <option value="fixed">Always the first</option>
                            <option value="experiment">By experiment (A/B)</option>
                            <option value="bandit">By what people do (bandit)</option>
                            <option value="contextual_bandit">By what people like them do (contextual bandit)</option>
                        </select>
                    </Field>
                    <Field name="Held out" hint="Of these people, see nothing of it, for comparison">
                        <input
                            value={x.holdout ?? ""}
                            placeholder="5%"
                            disabled={!may}
                            onInput={(e) => set({ ...x, holdout: e.currentTarget.value || undefined })}
                        />
                    </Field>
                </div>
                {(x.choose === "bandit" || x.choose === "contextual_bandit") && <Bandit x={x} may={may} set={set} />}
                <div>
                    <span class="label">Who sees it</span>
                    <RuleBox
                        label={`Target of ${x.key || "the experience"}`}
                        kind="target"
                        preview
                        value={x.target ?? ""}
                        disabled={!may}
                        empty="Empty means everyone."
                        onInput={(target) => set({ ...x, target })}
                    />
                </div>
                {!fixed && x.choose !== "experiment" && variations.length > 0 && (
                    <div>
                        <div class="line spread small" style={{ marginBottom: "6px" }}>
                            <span class="soft">
                                {variations.map((v, i) => (
                                    <span style={{ marginRight: "14px" }}>
                                        <i
                                            style={{
                                                display: "inline-block",
                                                width: "9px",
                                                height: "9px",
                                                borderRadius: "3px",
                                                marginRight: "5px",
                                                background: `var(--chart-${(i % 5) + 1})`,
                                            }}
                                        />
                                        {v.key} {share(v)} %
                                    </span>
                                ))}
                            </span>
                            <span class={sum === 100 ? "soft" : "wrong"} role="status">
                                {sum === 100
                                    ? "100 % in all"
                                    : `The shares add up to ${sum} %, not 100 %`}
                            </span>
                        </div>
                        <div class="shares" aria-hidden="true">
                            {variations.map((v, i) => (
                                <i
                                    style={{
                                        width: `${share(v)}%`,
                                        background: `var(--chart-${(i % 5) + 1})`,
                                    }}
                                />
                            ))}
                        </div>
                    </div>
                )}
                {x.choose === "experiment" && variations.length > 0 && (
                    <RangeBar
                        kind="campaign"
                        id={campaign}
                        rule={x.key ?? ""}
                        version={version}
                        variations={variations}
                        may={may}
                        set={(now) => set({ ...x, variations: now })}
                    />
                )}
                {variations.map((v, i) => (
                    <Variation
                        key={i}
                        v={v}
                        schema={schema}
                        strategies={strategies}
                        may={may}
                        set={(now) =>
                            set({ ...x, variations: variations.map((old, j) => (i === j ? now : old)) })
                        }
                        remove={
                            variations.length > 1
                                ? () =>
                                      set({
                                          ...x,
                                          variations: evened(variations.filter((_, j) => j !== i)),
                                      })
                                : undefined
                        }
                    />
                ))}
                {may && (
                    <div class="line">
                        <button
                            type="button"
                            class="button small"
                            onClick={() =>
                                set({
                                    ...x,
                                    choose: variations.length && (x.choose ?? "fixed") === "fixed" ? "experiment" : x.choose,
                                    variations: evened([...variations, { key: letter(), content: {} }]),
                                })
                            }
                        >
                            Add a variation
                        </button>
                        {!variations.some((v) => v.render === "passthrough") && (
                            <button
                                type="button"
                                class="button small"
                                onClick={() =>
                                    set({
                                        ...x,
                                        choose: (x.choose ?? "fixed") === "fixed" ? "experiment" : x.choose,
                                        variations: evened([
                                            { key: "incumbent", render: "passthrough" },
                                            ...variations,
                                        ]),
                                    })
                                }
                            >
                                Compare with what is there now
                            </button>
                        )}
                    </div>
                )}
            </div>
        </Card>
    );
}

/* ---- the form ------------------------------------------------------------------------------------ */
const local = (at?: string) => {
    if (!at || Number.isNaN(Date.parse(at))) return "";
    const d = new Date(at);
    return new Date(d.getTime() - d.getTimezoneOffset() * 6e4).toISOString().slice(0, 16);
};

function Design({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const { doc, set } = of;
    const placements = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=placement");
    const strategies = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=strategy");
    const all = placements.data?.definitions ?? [];
    const schema = all.find((p) => p.key === doc.placement)?.document?.schema ?? {};
    const text = (name: string) => ({
        value: doc[name] ?? "",
        disabled: !may,
        onInput: (e: any) => set({ ...doc, [name]: e.currentTarget.value }),
    });
    const time = (name: string) => ({
        type: "datetime-local" as const,
        value: local(doc[name]),
        disabled: !may,
        onInput: (e: any) =>
            set({
                ...doc,
                [name]: e.currentTarget.value
                    ? new Date(e.currentTarget.value).toISOString()
                    : undefined,
            }),
    });
    const experiences: Doc[] = doc.experiences ?? [];
    return (
        <div class="stack wide">
            <Card title="What it is for" pad>
                <div class="fields">
                    <Field name="Title">
                        <input {...text("title")} placeholder="Spring" />
                    </Field>
                    <Field
                        name="Key"
                        hint={isNew ? "Letters, digits and _; it can not change later" : ""}
                    >
                        <input
                            class="mono"
                            {...text("key")}
                            disabled={!may || !isNew}
                            placeholder="spring"
                        />
                    </Field>
                    <Field name="Owner">
                        <input {...text("owner")} />
                    </Field>
                    <Field name="Goal, from the shopper's side" all>
                        <input {...text("goal")} placeholder="find spring clothes quickly" />
                    </Field>
                    <Field name="Placement">
                        <select
                            value={doc.placement ?? ""}
                            disabled={!may}
                            onChange={(e) => set({ ...doc, placement: e.currentTarget.value })}
                        >
                            <option value="">Choose…</option>
                            {[
                                ...new Set([...all.map((p) => p.key), doc.placement].filter(Boolean)),
                            ].map((k) => (
                                <option value={k}>{all.find((p) => p.key === k)?.title || k}</option>
                            ))}
                        </select>
                    </Field>
                    <Field name="Measured by">
                        <select
                            value={doc.metric ?? "order_rate"}
                            disabled={!may}
                            onChange={(e) => set({ ...doc, metric: e.currentTarget.value })}
                        >
                            {[
                                ...new Set(
                                    [
                                        "order_rate",
                                        "click_rate",
                                        "revenue_per_person",
                                        doc.metric,
                                    ].filter(Boolean),
                                ),
                            ].map((m) => (
                                <option value={m}>{sentence(m)}</option>
                            ))}
                        </select>
                    </Field>
                    <Field name="Priority" hint="The higher wins a placement">
                        <input
                            type="number"
                            value={doc.priority ?? ""}
                            disabled={!may}
                            onInput={(e) =>
                                set({
                                    ...doc,
                                    priority:
                                        e.currentTarget.value === ""
                                            ? undefined
                                            : +e.currentTarget.value,
                                })
                            }
                        />
                    </Field>
                    <Field name="Starts">
                        <input {...time("starts_at")} />
                    </Field>
                    <Field name="Ends">
                        <input {...time("ends_at")} />
                    </Field>
                    <Field name="Market" hint="Empty: all">
                        <input
                            value={doc.market ?? ""}
                            disabled={!may}
                            onInput={(e) => set({ ...doc, market: e.currentTarget.value || undefined })}
                        />
                    </Field>
                </div>
            </Card>
            <Judged doc={doc} may={may} set={set} />
            {experiences.map((x, i) => (
                <Experience
                    key={i}
                    x={x}
                    n={i}
                    campaign={doc.key ?? ""}
                    version={inForce(of)}
                    of={experiences.length}
                    schema={schema}
                    may={may}
                    strategies={strategies.data?.definitions ?? []}
                    set={(now) =>
                        set({ ...doc, experiences: experiences.map((old, j) => (i === j ? now : old)) })
                    }
                    remove={() => set({ ...doc, experiences: experiences.filter((_, j) => j !== i) })}
                />
            ))}
            {may && (
                <div>
                    <button
                        type="button"
                        class="button"
                        onClick={() =>
                            set({
                                ...doc,
                                experiences: [
                                    ...experiences,
                                    {
                                        key: "",
                                        target: "",
                                        choose: "fixed",
                                        variations: [{ key: "a", share: "100%", content: {} }],
                                    },
                                ],
                            })
                        }
                    >
                        Add an experience
                    </button>
                </div>
            )}
        </div>
    );
}

/* ---- preview ------------------------------------------------------------------------------------- */
function Preview({ of, id }: { of: Editing; id: string }) {
    const options = (of.doc.experiences ?? []).flatMap((x: Doc) =>
        (x.variations ?? []).map((v: Doc) => ({ x: x.key, v })),
    );
    const [at, setAt] = useState(() =>
        Math.max(
            0,
            options.findIndex((o: any) => !o.v.render),
        ),
    );
    const [page, setPage] = useState(
        () => localStorage.getItem("opmaat.page") || `${location.origin}/shop/`,
    );
    const [link, setLink] = useState("");
    const picked = options[at];
    if (!picked) return <Empty title="There is no variation to look at yet" />;
    const { x, v } = picked;
    const image = first(v.content?.image);
    return (
        <div class="two">
            <Card title="How it reads" pad>
                <div class="stack">
                    <Field name="Variation">
                        <select
                            value={at}
                            onChange={(e) => {
                                setAt(+e.currentTarget.value);
                                setLink("");
                            }}
                        >
                            {options.map((o: any, i: number) => (
                                <option value={i}>
                                    {o.x} / {o.v.key}
                                </option>
                            ))}
                        </select>
                    </Field>
                    {v.render === "passthrough" || v.render === "default" ? (
                        <div class="note">
                            {v.render === "default"
                                ? "The placement's default shows."
                                : "The page shows what it shows now."}
                        </div>
                    ) : (
                        <div class={`mock ${image ? "pictured" : ""}`}>
                            {image && <img src={image} alt="" />}
                            <div>
                                <strong>{first(v.content?.headline) || "No headline"}</strong>
                                {first(v.content?.text)}
                            </div>
                        </div>
                    )}
                </div>
            </Card>
            <Card title="On the page itself" pad>
                <div class="stack">
                    <p class="soft">
                        A link that shows this variation to whoever opens it, on the real page. Nothing
                        they do is counted.
                    </p>
                    <Field name="Page">
                        <input
                            type="url"
                            value={page}
                            onInput={(e) => {
                                setPage(e.currentTarget.value);
                                setLink("");
                            }}
                        />
                    </Field>
                    <div class="line">
                        <button
                            class="button primary"
                            onClick={() =>
                                attempt(async () => {
                                    localStorage.setItem("opmaat.page", page);
                                    const { query } = await post<{ query: string }>(
                                        "/v1/preview-link",
                                        {
                                            campaign: id,
                                            experience: x,
                                            variation: v.key,
                                            placement: of.doc.placement,
                                        },
                                    );
                                    const url = new URL(page, location.origin);
                                    url.search += (url.search ? "&" : "?") + query;
                                    setLink(url.href);
                                })
                            }
                        >
                            Make the link
                        </button>
                        {link && (
                            <>
                                <a class="button" href={link} target="_blank" rel="noreferrer">
                                    Open
                                </a>
                                <button
                                    class="button"
                                    onClick={() =>
                                        navigator.clipboard.writeText(link).then(
                                            () => say("Copied."),
                                            () => say("The browser did not allow copying.", true),
                                        )
                                    }
                                >
                                    Copy
                                </button>
                            </>
                        )}
                    </div>
                    {link && <code class="rule-text">{link}</code>}
                    {of.changed && (
                        <p class="hint">Save the draft first: the link shows what is kept.</p>
                    )}
                </div>
            </Card>
        </div>
    );
}

export function Campaign({ id, tab, query }: { id: string; tab?: string; query: URLSearchParams }) {
    const isNew = id === "new";
    const may = useMayEdit();
    const of = useEditing("campaign", id, {
        kind: "campaign",
        key: "",
        title: "",
        owner: "",
        goal: "",
        placement: query.get("placement") ?? "",
        metric: "order_rate",
        priority: 10,
        experiences: [
            {
                key: "everyone",
                target: "",
                choose: "fixed",
                variations: [{ key: "a", share: "100%", content: {} }],
            },
        ],
    });
    const at = tab ?? "design";
    const tabs: [string, string][] = [
        ["design", "Design"],
        ["json", "JSON"],
        ["preview", "Preview"],
        ["revisions", "Revisions"],
    ];
    const save: Editing = isNew
        ? {
              ...of,
              save: async () => (await of.save()) && (go(`/campaigns/${part(of.doc.key)}`), true),
              publish: async () => (await of.publish()) && (go(`/campaigns/${part(of.doc.key)}`), true),
          }
        : of;
    return (
        <Page
            title={isNew ? "New campaign" : of.doc.title || id}
            crumb={<a href="#/campaigns">Campaigns</a>}
            about={of.doc.goal ? `So that people ${of.doc.goal}` : <>&nbsp;</>}
            actions={<Actions of={save} may={may} isNew={isNew} />}
        >
            {of.held.error ? (
                <Card>
                    <Asking of={of.held}>{() => null}</Asking>
                </Card>
            ) : (
                <>
                    <div class="line spread" style={{ flexWrap: "nowrap" }}>
                        <div class="grow">
                            <Tabs
                                at={at}
                                tabs={isNew ? tabs.slice(0, 2) : tabs}
                                onPick={(key) =>
                                    go(`/campaigns/${part(id)}${key === "design" ? "" : `/${key}`}`)
                                }
                            />
                        </div>
                        {!isNew && (
                            <a class="button small" href={`#/campaigns/${part(id)}/results`}>
                                Results
                            </a>
                        )}
                    </div>
                    <Refused errors={of.refused} />
                    {!isNew && !of.held.data ? (
                        <Card>
                            <Asking of={of.held} n={8}>
                                {() => null}
                            </Asking>
                        </Card>
                    ) : at === "json" ? (
                        <JsonTab of={of} may={may} />
                    ) : at === "preview" ? (
                        <Preview of={of} id={id} />
                    ) : at === "revisions" ? (
                        <Card>
                            <Revisions of={of} kind="campaign" id={id} may={may} />
                        </Card>
                    ) : (
                        <Design of={of} may={may} isNew={isNew} />
                    )}
                    {may
                        && !isNew
                        && at === "design"
                        && of.held.data
                        && of.held.data.state !== "archived" && (
                            <div class="right">
                                <button class="link small" onClick={() => archive(of)}>
                                    Archive this campaign
                                </button>
                            </div>
                        )}
                </>
            )}
            {of.changed && !isNew && (
                <div class="line">
                    <Badge tone="warn">Not saved yet</Badge>
                </div>
            )}
        </Page>
    );
}
