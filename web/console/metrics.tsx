/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.tsx - what is counted: the metrics there are, one written, and what it comes to before a campaign is measured by it.
 */
import { useEffect, useState } from "preact/hooks";
import { Doc, Problem, part, post } from "./api";
import { Chart } from "./chart";
import { DefinitionPage, Editing, Named } from "./definition";
import { Card, Empty, Field, Listing, Page, Row, RuleBox, Wrong, useGet, useMayEdit } from "./ui";
import { count, money, percent, people, sentence, short } from "./words";

const DAYS = 28;

interface Metric {
    metric: string;
    title: string;
    definition: string;
    type: string;
    direction: string;
    money: boolean;
    currency?: string;
    core: boolean;
}
interface Tried extends Metric {
    people: number;
    value: number | null;
    unconverted: number;
    days: { at: string; people: number; value: number | null }[];
}

const types: Record<string, string> = {
    proportion: "Share of the people",
    mean: "Mean a person",
    ratio: "Ratio of two sums",
    quantile: "Quantile of the people",
};
const ofs: Record<string, string> = { any: "Whether they did", count: "How often", value: "For how much money", quantity: "How many pieces", clicked: "Whether they clicked" };

export const shown = (m: Pick<Metric, "type" | "money" | "currency">, v: number | null) =>
    v === null ? "–" : m.money ? money({ minor: Math.round(v), currency: m.currency! }) : m.type === "proportion" ? percent(v, 2) : short(v);

export function Metrics() {
    const asked = useGet<{ metrics: Metric[] }>("/v1/metrics");
    const may = useMayEdit();
    return (
        <Page
            title="Metrics"
            about="What tests and campaigns are judged by. Each number on any page comes from one of these."
            actions={
                may && (
                    <a class="button primary" href="#/metrics/new">
                        New metric
                    </a>
                )
            }
        >
            <Card>
                <Listing
                    of={asked}
                    n={7}
                    rows={({ metrics }) => metrics}
                    wordy
                    head={["Metric", "Counts", "Better is"]}
                    row={(m) => (
                        <MetricRow key={m.metric} of={m} />
                    )}
                    empty={<Empty title="No metrics" />}
                />
            </Card>
        </Page>
    );
}

function MetricRow({ of: m }: { of: Metric }) {
    const cells = (
        <>
            <td>
                {m.core ? <strong>{m.title}</strong> : <a href={`#/metrics/${part(m.metric)}`}>{m.title}</a>}
                <div class="soft small">
                    {m.metric}
                    {m.core && ", built in"}
                </div>
            </td>
            <td class="wrap">
                {sentence(m.type)}
                <div class="soft small">{m.definition}</div>
            </td>
            <td>{m.direction === "down" ? "less" : "more"}</td>
        </>
    );
    return m.core ? <tr>{cells}</tr> : <Row to={`/metrics/${part(m.metric)}`}>{cells}</Row>;
}

/* ---- one --------------------------------------------------------------------------------------- */

/** What the metric comes to, as it is written now: asked a moment after the last change. */
function Preview({ doc }: { doc: Doc }) {
    const [tried, setTried] = useState<Tried | null>(null);
    const [wrong, setWrong] = useState<Problem | null>(null);
    const text = JSON.stringify(doc);
    useEffect(() => {
        let current = true;
        const later = setTimeout(() => {
            post<Tried>("/v1/metrics/preview", { document: doc, days: DAYS }).then(
                (answer) => {
                    if (!current) return;
                    setTried(answer);
                    setWrong(null);
                },
                (error: Problem) => current && setWrong(error),
            );
        }, 300);
        return () => {
            current = false;
            clearTimeout(later);
        };
    }, [text]);
    return (
        <Card title={`The last ${DAYS} days`} side={<span class="soft small">as it is written here</span>}>
            {wrong ? (
                <Wrong error={wrong} />
            ) : !tried ? (
                <Empty title="Working it out" />
            ) : (
                <>
                    <dl class="stat">
                        <dt>{tried.title || "The metric"}</dt>
                        <dd>{shown(tried, tried.value)}</dd>
                        <dd class="told">
                            Of {people(tried.people)} who did anything in these days, whatever they were shown. A campaign's number is of the people it was
                            shown to, from then on.
                            {tried.unconverted > 0 && ` ${count(tried.unconverted)} amounts in a currency without a rate are left out.`}
                        </dd>
                    </dl>
                    <Chart
                        label={`${tried.title || "The metric"} by day`}
                        at={tried.days.map((d) => Date.parse(d.at) / 1000)}
                        lines={[{ name: "a day", values: tried.days.map((d) => d.value) }]}
                        format={(v) => shown(tried, v)}
                        fill
                    />
                </>
            )}
        </Card>
    );
}

/** An event and what of it. */
function Part({ name, hint, value, may, set }: { name: string; hint: string; value?: Doc; may: boolean; set: (value: Doc) => void }) {
    const put = (more: Doc) => set({ ...value, ...more });
    const of = value?.of ?? "count";
    return (
        <>
            <Field name={name} hint={hint}>
                <select value={of} disabled={!may} onChange={(e) => put({ of: e.currentTarget.value })}>
                    {Object.entries(ofs).map(([key, text]) => (
                        <option value={key}>{text}</option>
                    ))}
                </select>
            </Field>
            {of !== "clicked" && (
                <Field name={`Event of ${name.toLowerCase()}`} hint="As order_completed or product_viewed; your own by their name.">
                    <input class="mono" value={value?.event ?? ""} disabled={!may} onInput={(e) => put({ event: e.currentTarget.value })} />
                </Field>
            )}
        </>
    );
}

function Form({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const doc = of.doc;
    const put = (more: Doc) => of.set({ ...doc, ...more });
    const byRule = doc.rule !== undefined;
    const type = doc.type ?? "mean";
    return (
        <>
            <Card pad>
                <div class="fields">
                    <Named of={of} may={may} isNew={isNew} like={["Wishes a person", "wishes"]} />
                    <Field name="What it says" hint="In words, for whoever reads a result." all>
                        <input value={doc.text ?? ""} disabled={!may} onInput={(e) => put({ text: e.currentTarget.value || undefined })} />
                    </Field>
                    <Field name="How a person counts">
                        <select
                            value={byRule ? "rule" : type}
                            disabled={!may}
                            onChange={(e) => {
                                const to = e.currentTarget.value;
                                if (to === "rule") put({ type: "proportion", rule: doc.rule ?? "", numerator: undefined, denominator: undefined });
                                else
                                    put({
                                        type: to,
                                        rule: undefined,
                                        numerator: { event: "order_completed", ...doc.numerator, of: to === "proportion" ? "any" : (doc.numerator?.of ?? "count") },
                                        denominator: to === "ratio" ? (doc.denominator ?? { event: "order_completed", of: "count" }) : undefined,
                                        quantile: to === "quantile" ? (doc.quantile ?? 0.5) : undefined,
                                    });
                            }}
                        >
                            {Object.entries(types).map(([key, text]) => (
                                <option value={key}>{text}</option>
                            ))}
                            <option value="rule">Share for whom a rule holds</option>
                        </select>
                    </Field>
                    <Field name="Better is">
                        <select value={doc.direction ?? "up"} disabled={!may} onChange={(e) => put({ direction: e.currentTarget.value })}>
                            <option value="up">More</option>
                            <option value="down">Less</option>
                        </select>
                    </Field>
                    {byRule ? null : (
                        <Part name="What is counted" hint="Of each person." may={may} value={doc.numerator} set={(numerator) => put({ numerator })} />
                    )}
                    {!byRule && type === "ratio" && (
                        <Part name="Divided by" hint="Summed over the same people." may={may} value={doc.denominator} set={(denominator) => put({ denominator })} />
                    )}
                    {type === "quantile" && (
                        <Field name="Quantile" hint="0.5 is the person in the middle.">
                            <input
                                type="number"
                                min="0.01"
                                max="0.99"
                                step="0.01"
                                value={doc.quantile ?? 0.5}
                                disabled={!may}
                                onInput={(e) => put({ quantile: Number(e.currentTarget.value) })}
                            />
                        </Field>
                    )}
                    <Field name="Window" hint="How long after the first exposure counts; empty: the shop's.">
                        <input value={doc.window ?? ""} placeholder="7 days" disabled={!may} onInput={(e) => put({ window: e.currentTarget.value || undefined })} />
                    </Field>
                    {byRule && (
                        <div class="all">
                            <RuleBox label="Rule" value={doc.rule ?? ""} disabled={!may} onInput={(rule: string) => put({ rule })} kind="target" />
                        </div>
                    )}
                </div>
            </Card>
            <Preview doc={doc} />
        </>
    );
}

export const MetricPage = ({ id }: { id: string }) => (
    <DefinitionPage
        kind="metric"
        id={id}
        room="metrics"
        rooms="Metrics"
        blank={{ kind: "metric", key: "", title: "", owner: "", type: "proportion", direction: "up", numerator: { event: "order_completed", of: "any" } }}
        about={(doc) => doc.text ?? "What it counts of each person, and whether more of it is better."}
    >
        {(of, may, isNew) => <Form of={of} may={may} isNew={isNew} />}
    </DefinitionPage>
);
