/* SPDX-License-Identifier: Apache-2.0
 *
 * learning.tsx - the parts of a campaign's form that say how it learns: a bandit's settings, and what its results are judged by.
 */
import { useState } from "preact/hooks";
import { Definition, Doc, Segment } from "./api";
import { LooksForm } from "./looks";
import { Card, Field, useGet } from "./ui";
import { sentence } from "./words";

const cut = (text: string) =>
    text
        .split(",")
        .map((s) => s.trim())
        .filter(Boolean);

/** "bandit" of an experience whose variation is chosen by what people do. */
export function Bandit({ x, may, set }: { x: Doc; may: boolean; set: (x: Doc) => void }) {
    const bandit: Doc = x.bandit ?? {};
    const put = (more: Doc) => set({ ...x, bandit: { ...bandit, ...more } });
    const [facts, setFacts] = useState<string>((bandit.context ?? []).join(", "));
    const contextual = x.choose === "contextual_bandit";
    const share = (name: string) => ({
        value: bandit[name] ?? "",
        disabled: !may,
        inputMode: "decimal" as const,
        onInput: (e: any) => put({ [name]: e.currentTarget.value || undefined }),
    });
    return (
        <div class="fields">
            <Field name="It looks for">
                <select value={bandit.goal ?? "reward"} disabled={!may} onChange={(e) => put({ goal: e.currentTarget.value })}>
                    <option value="reward">The most of the metric, while it runs</option>
                    <option value="learning">The answer, as soon as can be</option>
                </select>
            </Field>
            <Field name="Least share" hint="What each variation keeps, so that a change of mind is possible">
                <input {...share("floor")} placeholder="2%" />
            </Field>
            <Field name="Share of the control" hint="It keeps at least this">
                <input {...share("control_share")} placeholder="0%" />
            </Field>
            {contextual && (
                <>
                    <Field name="It may tell people apart by" hint="Names with commas between: device, hour, trait.gender">
                        <input
                            value={facts}
                            disabled={!may}
                            placeholder="device, hour"
                            onInput={(e) => {
                                setFacts(e.currentTarget.value);
                                put({ context: cut(e.currentTarget.value) });
                            }}
                        />
                    </Field>
                    <Field name="Policy">
                        <select value={bandit.policy ?? "tree"} disabled={!may} onChange={(e) => put({ policy: e.currentTarget.value })}>
                            <option value="tree">Tree: groups that can be read</option>
                            <option value="linear_thompson">Linear, Thompson sampling</option>
                            <option value="linear_ucb">Linear, upper bound</option>
                        </select>
                    </Field>
                </>
            )}
        </div>
    );
}

const own = ["order_rate", "click_rate", "revenue_per_person", "average_order_value", "cart_rate", "cart_abandonment"];

/** What a campaign's results are judged by, beside its own metric. */
export function Judged({ doc, may, set }: { doc: Doc; may: boolean; set: (doc: Doc) => void }) {
    const metrics = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=metric");
    const segments = useGet<{ segments: Segment[] }>("/v1/segments");
    const tests = doc.uplift || (doc.experiences ?? []).some((x: Doc) => x.choose === "experiment");
    const uplift: Doc | undefined = doc.uplift === true ? {} : doc.uplift || undefined;
    const named = [...new Set([...own, ...(metrics.data?.definitions ?? []).map((m) => m.key), ...(doc.guardrails ?? []), ...(doc.metrics ?? [])])];
    const pick = (field: string, legend: string, choices: [string, string][]) => {
        const chosen: string[] = doc[field] ?? [];
        return (
            <fieldset class="bare">
                <legend class="label">{legend}</legend>
                <span class="line">
                    {choices.map(([key, name]) => (
                        <label class="check" key={key}>
                            <input
                                type="checkbox"
                                disabled={!may}
                                checked={chosen.includes(key)}
                                onChange={(e) => {
                                    const rest = chosen.filter((k) => k !== key);
                                    const now = e.currentTarget.checked ? [...rest, key] : rest;
                                    set({ ...doc, [field]: now.length ? now : undefined });
                                }}
                            />
                            {name}
                        </label>
                    ))}
                    {!choices.length && <span class="soft">There are none yet.</span>}
                </span>
            </fieldset>
        );
    };
    const rest = named.filter((k) => k !== (doc.metric ?? "order_rate")).map((k): [string, string] => [k, sentence(k)]);
    return (
        <Card title="What it is judged by" pad>
            <div class="stack">
                <div class="fields">
                    <Field name="Lift worth seeing" hint="Of the metric; the results say how long until it would be seen">
                        <input
                            value={doc.mde ?? ""}
                            placeholder="10%"
                            disabled={!may}
                            inputMode="decimal"
                            onInput={(e) => set({ ...doc, mde: e.currentTarget.value || undefined })}
                        />
                    </Field>
                    <LooksForm doc={doc} may={may} set={set} />
                </div>
                {tests && (
                    <div class="fields">
                        <Field name="Whom it changes" hint="Learnt for each person; stands in rules as predicted(…)">
                            <select
                                value={uplift ? (uplift.outcome ?? "order") : ""}
                                disabled={!may}
                                onChange={(e) => set({ ...doc, uplift: e.currentTarget.value ? { days: 14, ...uplift, outcome: e.currentTarget.value } : undefined })}
                            >
                                <option value="">is not learnt</option>
                                <option value="order">is learnt from orders</option>
                                <option value="click">is learnt from clicks</option>
                            </select>
                        </Field>
                        {uplift && (
                            <Field name="Days until it is judged" hint="1 to 90, from when a person first sees it">
                                <input type="number" min="1" max="90" disabled={!may} value={uplift.days ?? 14}
                                    onInput={(e) => set({ ...doc, uplift: { ...uplift, days: Number(e.currentTarget.value) || undefined } })} />
                            </Field>
                        )}
                    </div>
                )}
                {pick("guardrails", "Must not get worse", rest)}
                {pick("metrics", "Looked at too", rest)}
                {pick("segments", "Also within these segments", (segments.data?.segments ?? []).map((s): [string, string] => [s.key, s.title || s.key]))}
            </div>
        </Card>
    );
}
