/* SPDX-License-Identifier: Apache-2.0
 *
 * models.tsx - what recommends now: the card of each model, how far the next one is, and where the weights of a mix come from:
 * learnt from clicks, the usual ones, or by hand.
 */
import { useEffect } from "preact/hooks";
import { Editing } from "./definition";
import { Way, mixOf, told, wayOf } from "./recommenders";
import { Asking, Badge, Card, Empty, Field, When, useGet } from "./ui";
import { bytes, count, fixed, moment, percent, plural, sentence } from "./words";

interface Model {
    key: string;
    from: string;
    to: string;
    interactions: number;
    sessions: number;
    items: number;
    ease_items: number;
    recommenders: Record<string, "built" | "not built yet" | "not asked for">;
    factor_people: number;
    bytes: number;
    memory_limit_bytes?: number;
    seconds: number;
    held_out?: { protocol: string; questions: number } & Record<string, number | string>;
}
interface Learning {
    placement: string;
    strategy: string;
    weights: "learnt" | "by_hand" | "defaults" | "lead_alone";
    held_out?: { questions: number; questions_needed: number; "ndcg@20": number; lead: string; "lead_ndcg@20": number; lead_alone: boolean };
    learns: boolean;
    in_force: Record<string, number>;
    defaults: Record<string, number>;
    learnt?: { version: number; at: string; from: string; to: string; impressions: number; clicks: number; standard_errors: number };
    latest?: { verdict: string; at: string; impressions: number; impressions_needed: number; clicks: number; clicks_needed: number };
}
interface Answer {
    training: { running: boolean; stage: string; done?: number; since?: string };
    models: Model[];
    weights: Learning[];
}

const Fact = ({ name, value }: { name: string; value: string }) => (
    <>
        <dt>{name}</dt>
        <dd class="num">{value}</dd>
    </>
);

function Bar({ name, value, of, shown }: { name: string; value: number; of: number; shown: string }) {
    return (
        <div>
            <div class="line spread small">
                <span>{name}</span>
                <span class="num">{shown}</span>
            </div>
            <div class="bar" role="img" aria-label={`${name}: ${shown}`}>
                <i style={{ width: `${Math.min(100, (value / of) * 100)}%` }} />
            </div>
        </div>
    );
}

/* ---- the models ------------------------------------------------------------------------------------ */

const stages: Record<string, string> = {
    reading_histories: "Reading what people did",
    quick_model: "Making a quick model",
    whole_model: "Making the whole model",
    measuring: "Measuring it on what it has not seen",
};
const measures: [string, string][] = [
    ["hr@20", "The next item is among 20 (HR@20)"],
    ["mrr@20", "How high it stands (MRR@20)"],
    ["ndcg@20", "The same, more gently (NDCG@20)"],
];

function Training({ of }: { of: Answer["training"] }) {
    return (
        <Card title="Training" side={<Badge tone={of.running ? "accent" : ""}>{of.running ? "Under way" : "Idle"}</Badge>} pad>
            {of.running ? (
                <div class="stack">
                    {of.done !== undefined && of.done > 0 ? (
                        <Bar name={stages[of.stage] ?? sentence(of.stage)} value={of.done} of={1} shown={percent(of.done, 0)} />
                    ) : (
                        <p>{stages[of.stage] ?? sentence(of.stage)}</p>
                    )}
                    {of.since && (
                        <p class="soft small">
                            Begun <When at={of.since} />. What is shown meanwhile comes from the model before.
                        </p>
                    )}
                </div>
            ) : (
                <p class="soft">The next model is made as more people look at products.</p>
            )}
        </Card>
    );
}

const named = (m: Model, state: string) =>
    Object.entries(m.recommenders)
        .filter(([, is]) => is === state)
        .map(([name]) => told(name)[1])
        .join(", ");

function ModelCard({ of: m }: { of: Model }) {
    return (
        <Card title={sentence(m.key)} side={<span class="soft small">made in {fixed(m.seconds, 2)} s</span>} pad>
            <div class="stack">
                {m.held_out ? (
                    <>
                        {measures.map(([name, text]) => (
                            <Bar key={name} name={text} value={Number(m.held_out![name])} of={1} shown={fixed(Number(m.held_out![name]), 3)} />
                        ))}
                        <p class="soft small">
                            {m.held_out.protocol} {plural(m.held_out.questions, "question")}.
                        </p>
                    </>
                ) : (
                    <p class="soft">Too few visits yet to hold any back and measure it.</p>
                )}
                <dl class="facts">
                    <Fact name="Learnt from" value={`${moment(m.from)} – ${moment(m.to)} (${plural(Math.max(1, Math.round((Date.parse(m.to) - Date.parse(m.from)) / 86_400_000)), "day")})`} />
                    <Fact name="Interactions" value={count(m.interactions)} />
                    <Fact name="Sessions" value={count(m.sessions)} />
                    <Fact name="Items" value={`${count(m.items)}, of which ${count(m.ease_items)} in the dense part`} />
                    <Fact name="People's tastes" value={count(m.factor_people)} />
                    {["not built yet", "not asked for"].map((state) => (
                        <Fact key={state} name={sentence(state)} value={named(m, state) || "none"} />
                    ))}
                </dl>
                {m.memory_limit_bytes ? (
                    <Bar name="Memory" value={m.bytes} of={m.memory_limit_bytes} shown={`${bytes(m.bytes)} of at most ${bytes(m.memory_limit_bytes)}`} />
                ) : (
                    <p class="soft small">{bytes(m.bytes)} of memory</p>
                )}
            </div>
        </Card>
    );
}

export function Models() {
    const asked = useGet<Answer>("/v1/models");
    const running = asked.data?.training.running;
    useEffect(() => {
        const timer = setInterval(() => void asked.reload(), running ? 1000 : 10_000);
        return () => clearInterval(timer);
    }, [asked.reload, running]);
    return (
        <Asking of={asked} n={4}>
            {({ models, training }) => (
                <div class="two even">
                    {models.map((m) => (
                        <ModelCard key={m.key} of={m} />
                    ))}
                    {!models.length && (
                        <Card>
                            <Empty title="No model yet">One is made as soon as people have looked at products.</Empty>
                        </Card>
                    )}
                    <Training of={training} />
                </div>
            )}
        </Asking>
    );
}

/* ---- where a strategy's weights come from ------------------------------------------------------------ */

const ways: [Way, string][] = [
    ["learnt", "Learnt from clicks, placement by placement"],
    ["defaults", "As the mix has them"],
    ["hand", "By hand"],
];

function why(l: Learning): string {
    if (l.learnt) return `Learnt from ${plural(l.learnt.impressions, "impression")} and ${plural(l.learnt.clicks, "click")} since ${moment(l.learnt.from)}, better than the usual by ${fixed(l.learnt.standard_errors, 1)} standard errors.`;
    if (!l.learns) return l.weights === "by_hand" ? "By hand: nothing is learnt." : "Nothing is learnt.";
    if (!l.latest) return "Nothing weighed yet; until then as the mix has them.";
    const { impressions, impressions_needed, clicks, clicks_needed } = l.latest;
    if (impressions < impressions_needed || clicks < clicks_needed)
        return `Not enough data: ${count(impressions)} of ${count(impressions_needed)} impressions, ${count(clicks)} of ${count(clicks_needed)} clicks.`;
    return `Weighed on ${plural(impressions, "impression")} and ${plural(clicks, "click")}: no other weights guess clicks better, so they are as the mix has them.`;
}

function paying(h: NonNullable<Learning["held_out"]>): string {
    const lead = told(h.lead)[1];
    const figures = `${h["ndcg@20"].toFixed(4)} against ${h["lead_ndcg@20"].toFixed(4)} (NDCG@20, ${plural(h.questions, "question")} held out)`;
    if (h.questions < h.questions_needed) return `The mix beside ${lead} alone: ${figures}. It takes ${count(h.questions_needed)} questions to judge by.`;
    return h.lead_alone ? `The mix does not pay over ${lead} alone: ${figures}. ${lead} serves, the others fill what it leaves empty.` : `The mix pays over ${lead} alone: ${figures}.`;
}

export function WeightsFrom({ of, may }: { of: Editing; may: boolean }) {
    const asked = useGet<Answer>("/v1/models");
    const { doc } = of;
    const rows = (asked.data?.weights ?? []).filter((w) => w.strategy === doc.key);
    const learnt = rows.find((w) => w.learnt);
    const take = (way: Way) => {
        if (way !== "hand") return of.set({ ...doc, weights: way });
        /* one goes on from what was learnt */
        of.set({ ...doc, weights: undefined, mix: learnt ? learnt.in_force : Object.fromEntries(mixOf(doc)) });
    };
    return (
        <Card title="Where the weights come from" pad>
            <div class="stack">
                <Field name="Weights" hint={learnt && wayOf(doc) !== "hand" ? "By hand begins from what was learnt" : undefined}>
                    <select value={wayOf(doc)} disabled={!may} onChange={(e) => take(e.currentTarget.value as Way)}>
                        {ways.map(([way, name]) => (
                            <option value={way}>{name}</option>
                        ))}
                    </select>
                </Field>
                {rows.map((w) => (
                    <div class="stack" style={{ gap: "6px" }} key={w.placement}>
                        <div class="line">
                            <a href={`#/placements/${encodeURIComponent(w.placement)}`}>{w.placement}</a>
                            <Badge tone={w.weights === "learnt" ? "good" : ""}>{{ learnt: "Learnt", by_hand: "By hand", defaults: "As in the mix", lead_alone: "Its lead alone" }[w.weights]}</Badge>
                        </div>
                        {w.learnt &&
                            Object.entries(w.in_force).map(([name, now]) => (
                                <Bar key={name} name={told(name)[1]} value={now} of={1} shown={`${percent(now, 0)}, was ${percent(w.defaults[name] ?? 0, 0)}`} />
                            ))}
                        <p class="soft small">{why(w)}</p>
                        {w.held_out && <p class="soft small">{paying(w.held_out)}</p>}
                    </div>
                ))}
                {asked.data && !rows.length && <p class="soft small">No live placement is filled by it; what is published is learnt from.</p>}
            </div>
        </Card>
    );
}
