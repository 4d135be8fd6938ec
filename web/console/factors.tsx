/* SPDX-License-Identifier: Apache-2.0
 *
 * factors.tsx - a test of several things at once: its factors and their levels as they are edited, the cells they make, and what
 * each factor did, alone and with another.
 */
import { useState } from "preact/hooks";
import { Doc, part } from "./api";
import { Interval } from "./chart";
import { asShare, shareOf } from "./ranges";
import { Asking, Badge, Card, Empty, Field, Table, useGet } from "./ui";
import { difference, fixed, money, percent, points, sentence } from "./words";

const FACTORS_MAX = 4;
const CELLS_MAX = 100;
type Factors = Record<string, string[]>;

const cellsOf = (factors: Factors): Record<string, string>[] =>
    Object.entries(factors).reduce<Record<string, string>[]>((cells, [name, levels]) => cells.flatMap((cell) => levels.map((level) => ({ ...cell, [name]: level }))), [{}]);
const word = (text: string) => text.trim().toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, "");
const keyOf = (cell: Record<string, string>) => Object.values(cell).map(word).join("_");

/* What a cell's value is until it is said: as text its key, as JSON its levels. */
const valueOf = (type: string, cell: Record<string, string>, n: number) => (type === "json" ? cell : type === "string" ? keyOf(cell) : n);

/** The rule with these factors: a variation for each cell, in equal shares; what a cell of the same key had stays with it. */
export function withFactors(rule: Doc, factors: Factors, type: string): Doc {
    const cells = cellsOf(factors);
    const each = Math.floor(10000 / cells.length) / 100;
    const first = Math.round((100 - each * (cells.length - 1)) * 100) / 100;
    const old: Doc[] = rule.variations ?? [];
    return {
        ...rule,
        factors,
        variations: cells.map((levels, i) => {
            const key = keyOf(levels);
            return { key, share: asShare(i ? each : first), value: old.find((v) => v.key === key && v.levels)?.value ?? valueOf(type, levels, i), levels };
        }),
    };
}

/** Whether cells can each have a value of their own. */
export const mayFactor = (type: string) => type !== "bool";
export const firstFactors: Factors = { headline: ["old", "new"], picture: ["old", "new"] };

/* A factor's levels as typed: kept apart while they are, so that a comma can be typed. */
function Levels({ levels, may, set, ...rest }: { levels: string[]; may: boolean; set: (levels: string[]) => void; id?: string }) {
    const [text, setText] = useState(levels.join(", "));
    return (
        <input
            {...rest}
            value={text}
            disabled={!may}
            placeholder="old, new"
            onInput={(e) => {
                setText(e.currentTarget.value);
                const now = [...new Set(e.currentTarget.value.split(",").map((s) => s.trim()).filter((s) => word(s)))];
                if (now.length >= 2) set(now);
            }}
        />
    );
}

/** Factors, their levels, and how many get each: whole cells and by level. */
export function FactorForm({ rule, type, may, set }: { rule: Doc; type: string; may: boolean; set: (rule: Doc) => void }) {
    const factors: Factors = rule.factors;
    const all = Object.entries(factors);
    const cells = cellsOf(factors).length;
    const put = (now: [string, string[]][]) => {
        const next = Object.fromEntries(now);
        if (Object.keys(next).length === now.length && cellsOf(next).length <= CELLS_MAX) set(withFactors(rule, next, type));
    };
    const byLevel = (name: string, level: string) =>
        (rule.variations ?? []).filter((v: Doc) => v.levels?.[name] === level).reduce((sum: number, v: Doc) => sum + shareOf(v), 0);
    return (
        <div class="stack">
            {all.map(([name, levels], i) => (
                <div class="variation" key={i}>
                    <div class="fields">
                        <Field name={`Factor ${i + 1}`} hint="What is changed">
                            <input
                                class="mono"
                                value={name}
                                disabled={!may}
                                onInput={(e) => word(e.currentTarget.value) && put(all.map((f, k) => (k === i ? [word(e.currentTarget.value), f[1]] : f)))}
                            />
                        </Field>
                        <Field name="Levels" hint="With commas between; the first is what the others are held against">
                            <Levels levels={levels} may={may} set={(now) => put(all.map((f, k) => (k === i ? [name, now] : f)))} />
                        </Field>
                    </div>
                    <div>
                        <div class="shares" aria-hidden="true">
                            {levels.map((level, k) => (
                                <i style={{ width: `${byLevel(name, level)}%`, background: `var(--chart-${(k % 5) + 1})` }} />
                            ))}
                        </div>
                        <div class="line spread small soft">
                            <span>{levels.map((level) => `${level} ${percent(byLevel(name, level) / 100, 0)}`).join(" · ")}</span>
                        </div>
                        {may && all.length > 2 && (
                            <button type="button" class="link small" onClick={() => put(all.filter((_, k) => k !== i))}>
                                Remove this factor
                            </button>
                        )}
                    </div>
                </div>
            ))}
            <div class="line">
                {may && all.length < FACTORS_MAX && cells * 2 <= CELLS_MAX && (
                    <button type="button" class="button small" onClick={() => put([...all, [`factor_${all.length + 1}`, ["old", "new"]]])}>
                        Add a factor
                    </button>
                )}
                {may && (
                    <button type="button" class="button small quiet" onClick={() => set({ ...rule, factors: undefined, variations: rule.variations.slice(0, 2).map(({ levels: _, ...v }: Doc) => ({ ...v, share: "50%" })) })}>
                        Test one thing instead
                    </button>
                )}
                <span class="hint">
                    {all.map(([, levels]) => levels.length).join(" × ")} make {cells} cells of {percent(1 / cells, 1)} each. Everybody counts for every factor, so none of them takes more people than a
                    test of its own.
                </span>
            </div>
        </div>
    );
}

/* ---- what came of it --------------------------------------------------------------------------------- */

interface Effect {
    kind: "main" | "interaction";
    factor: string;
    level: string;
    against: string;
    with?: string;
    with_level?: string;
    effect: number;
    low: number;
    high: number;
    p: number;
}
interface RuleEffects {
    rule: string;
    metric: string;
    enough: boolean;
    effects: Effect[];
}

function Effects({ of, currency }: { of: RuleEffects; currency: string }) {
    if (!of.enough)
        return <Empty title="Too few people yet">Every cell needs people before a factor can be told from the others.</Empty>;
    const says = of.metric.endsWith("_rate") ? (v: number) => points(v) : (v: number) => difference(v, (size) => money({ minor: Math.round(size), currency }));
    const reach = Math.max(...of.effects.flatMap((e) => [Math.abs(e.low), Math.abs(e.high)]));
    return (
        <Table>
            <thead>
                <tr>
                    <th>Effect</th>
                    <th class="num">Difference</th>
                    <th class="mid" style={{ width: "34%" }}>
                        95 % interval
                    </th>
                    <th class="num">Between</th>
                    <th>Verdict</th>
                </tr>
            </thead>
            <tbody>
                {of.effects.map((e) => {
                    const sure = e.p <= 0.05;
                    return (
                        <tr>
                            <td>
                                <strong>
                                    {sentence(e.factor)}: {e.level}
                                </strong>
                                <div class="soft small">
                                    {e.kind === "main" ? `instead of ${e.against}, over everything else` : `more when ${sentence(e.with!).toLowerCase()} is ${e.with_level}: they work together`}
                                </div>
                            </td>
                            <td class="num">
                                <strong>{says(e.effect)}</strong>
                            </td>
                            <td>
                                <Interval of={{ relative: e.effect, low: e.low, high: e.high, significant: sure }} reach={reach} says={says} />
                            </td>
                            <td class="num soft small">
                                {says(e.low)}
                                <br />
                                {says(e.high)}
                            </td>
                            <td>
                                {sure ? <Badge tone={e.effect > 0 ? "good" : "bad"}>{e.effect > 0 ? "Raises it" : "Lowers it"}</Badge> : <Badge>Too early to say</Badge>}
                                <div class="soft small num">p {e.p < 0.001 ? "< 0.001" : fixed(e.p, 3)}, of many</div>
                            </td>
                        </tr>
                    );
                })}
            </tbody>
        </Table>
    );
}

/** A flag's factorial tests, a metric at a time; nothing where it has none. */
export function FactorResults({ flag }: { flag: string }) {
    const asked = useGet<{ currency: string; factors: RuleEffects[] }>(`/v1/flags/${part(flag)}/factors`);
    const [metric, setMetric] = useState("order_rate");
    if (asked.data && !asked.data.factors.length) return null;
    if (asked.error?.status === 404) return null;
    const metrics = [...new Set((asked.data?.factors ?? []).map((f) => f.metric))];
    return (
        <Card
            title="By factor"
            side={
                <select class="bare" aria-label="Metric" value={metric} onChange={(e) => setMetric(e.currentTarget.value)}>
                    {metrics.map((m) => (
                        <option value={m}>{sentence(m)}</option>
                    ))}
                </select>
            }
        >
            <Asking of={asked} n={3}>
                {({ factors, currency }) => factors.filter((f) => f.metric === metric).map((f) => <Effects key={f.rule} of={f} currency={currency} />)}
            </Asking>
        </Card>
    );
}
