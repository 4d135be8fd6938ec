/* SPDX-License-Identifier: Apache-2.0
 *
 * segments.tsx - groups of people by a rule: how many, who, and the rule itself.
 */
import { useEffect, useState } from "preact/hooks";
import { Definition, Doc, Segment, call, part, post } from "./api";
import {
    Asking,
    Card,
    Empty,
    Field,
    Listing,
    Page,
    Row,
    RuleBox,
    State,
    attempt,
    go,
    useGet,
    useMayEdit,
} from "./ui";
import { MembersCard, MoversCard, OverlapCard, PersonaCard, ScenarioCard, SplitCard, TrendCard } from "./segment_tools";
import { count } from "./words";

export function Segments() {
    const asked = useGet<{ segments: Segment[] }>("/v1/segments");
    const may = useMayEdit();
    const top = Math.max(1, ...(asked.data?.segments ?? []).map((s) => s.count));
    return (
        <Page
            title="Segments"
            about="People enter and leave as things happen; the counts are exact."
            actions={
                <>
                    <a class="button" href="#/segments/review">
                        Review
                    </a>
                    {may && (
                        <a class="button primary" href="#/segments/new">
                            New segment
                        </a>
                    )}
                </>
            }
        >
            <Card>
                <Listing
                    of={asked}
                    rows={({ segments }) => segments}
                    n={8}
                    head={["Segment", "Rule", "#People", "State"]}
                    row={(s) => (
                        <Row key={s.key} to={`/segments/${part(s.key)}`}>
                            <td>
                                <a href={`#/segments/${part(s.key)}`}>{s.title || s.key}</a>
                                <div class="soft small">{s.key}</div>
                            </td>
                            <td>
                                <code class="soft wrap">{s.rule}</code>
                            </td>
                            <td class="num" style={{ minWidth: "110px" }}>
                                {count(s.count)}
                                <div class="bar" style={{ marginTop: "4px" }}>
                                    <i style={{ width: `${(s.count / top) * 100}%` }} />
                                </div>
                            </td>
                            <td>
                                <State of={s} />
                            </td>
                        </Row>
                    )}
                    empty={
                        <Empty title="No segments yet">
                            A segment is a rule, such as people who viewed three jeans this month.
                            <br />
                            {may && (
                                <a class="button primary" href="#/segments/new">
                                    Write the first one
                                </a>
                            )}
                        </Empty>
                    }
                />
            </Card>
        </Page>
    );
}

export function SegmentPage({ id, query }: { id: string; query: URLSearchParams }) {
    const isNew = id === "new";
    const may = useMayEdit();
    const asked = useGet<Segment>(isNew ? null : `/v1/segments/${part(id)}`);
    const held = useGet<Definition>(isNew ? null : `/v1/definitions/segment/${part(id)}`);
    const [doc, set] = useState<Doc>({
        kind: "segment",
        key: "",
        title: "",
        rule: query.get("rule") ?? "",
    });
    const [busy, setBusy] = useState(false);
    useEffect(() => {
        if (held.data) set(held.data.draft ?? held.data.document);
    }, [held.data]);
    const field = (name: string) => ({
        value: doc[name] ?? "",
        disabled: !may,
        onInput: (e: any) => set({ ...doc, [name]: e.currentTarget.value }),
    });
    const path = `/v1/definitions/segment/${part(doc.key || id)}`;
    async function save(publish: boolean) {
        setBusy(true);
        await attempt(
            async () => {
                await call("PUT", path, doc);
                if (publish) await post(`${path}/publish`);
                if (isNew) go(`/segments/${part(doc.key)}`);
                else await Promise.all([asked.reload(), held.reload()]);
            },
            publish ? "The segment is live." : "The draft is kept.",
        );
        setBusy(false);
    }
    const members = asked.data;
    return (
        <Page
            title={isNew ? "New segment" : doc.title || id}
            crumb={<a href="#/segments">Segments</a>}
            about={
                members ? (
                    <>
                        <strong>{count(members.count)}</strong> {members.count === 1 ? "person" : "people"} now
                    </>
                ) : (
                    <>&nbsp;</>
                )
            }
            actions={
                may && (
                    <>
                        <button
                            class="button"
                            disabled={busy || !doc.key || !doc.rule}
                            onClick={() => save(false)}
                        >
                            Save draft
                        </button>
                        <button
                            class="button primary"
                            disabled={busy || !doc.key || !doc.rule}
                            onClick={() => save(true)}
                        >
                            Publish
                        </button>
                    </>
                )
            }
        >
            {held.error && !isNew ? (
                <Asking of={held}>{() => null}</Asking>
            ) : (
                <Card title="Rule" side={held.data && <State of={held.data} />} pad>
                    <div class="stack">
                        <div class="fields">
                            <Field name="Title">
                                <input {...field("title")} placeholder="Women interested in jeans" />
                            </Field>
                            <Field
                                name="Key"
                                hint={isNew ? "Letters, digits and _; it can not change later" : ""}
                            >
                                <input
                                    {...field("key")}
                                    disabled={!isNew}
                                    pattern="[a-z0-9_]+"
                                    placeholder="jeans_women"
                                    class="mono"
                                />
                            </Field>
                            <Field name="Owner">
                                <input {...field("owner")} placeholder="kari@shop.no" />
                            </Field>
                        </div>
                        <div>
                            <span class="label">Who is in</span>
                            <RuleBox
                                label="Rule"
                                preview
                                value={doc.rule ?? ""}
                                disabled={!may}
                                onInput={(rule) => set({ ...doc, rule })}
                            />
                        </div>
                    </div>
                </Card>
            )}
            {members?.state === "published" && doc.rule && doc.rule !== members.rule && <ScenarioCard id={id} rule={doc.rule} />}
            {members?.state === "published" && (
                <>
                    <div class="two">
                        <TrendCard id={id} />
                        <MoversCard id={id} />
                    </div>
                    <div class="two">
                        <PersonaCard id={id} />
                        <SplitCard id={id} may={may} />
                    </div>
                    <OverlapCard id={id} />
                    <MembersCard id={id} />
                </>
            )}
            <details class="card pad">
                <summary>How rules are written</summary>
                <div class="stack small">
                    {[
                        'gender = "female" and count(product_viewed where category under "jeans", last 30 days) >= 3',
                        'did(order_completed, last 14 days) and not in segment "vip"',
                        "sum(order_completed.revenue, last 365 days) > 500 EUR and days_since(last order_completed) > 60",
                        "sequence(product_added then not order_completed within 2 hours)",
                        'affinity(category, "jeans") > 0.3 or quiz("skin-type") = "dry"',
                    ].map((rule) => (
                        <div class="line">
                            <code class="rule-text grow">{rule}</code>
                            {may && (
                                <button class="button small" onClick={() => set({ ...doc, rule })}>
                                    Use
                                </button>
                            )}
                        </div>
                    ))}
                </div>
            </details>
        </Page>
    );
}
