/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.tsx - before a test: how many people it takes, and how many days.
 */
import { useEffect, useState } from "preact/hooks";
import { Plan, Problem, post } from "./api";
import { Legend } from "./chart";
import { Card, Empty, Field, Page, Table, Wrong } from "./ui";
import { count, percent, plural } from "./words";

const first = { base: 3, lift: 10, arms: 2, people_per_day: 2000, power: 80, alpha: 5, looks: 5 };

/* The least lift that can be seen after so many days, for both ways of looking. */
function Curve({ of, lift }: { of: Plan; lift: number }) {
    const most = Math.max(3 * lift, of.by_day[of.by_day.length - 1].sequential * 1.5);
    const x = (d: number) => (d / of.by_day.length) * 1000;
    const y = (v: number) => 100 - 96 * Math.min(1, v / most);
    const line = { "vector-effect": "non-scaling-stroke", fill: "none", "stroke-width": "2" } as const;
    const points = (key: "fixed" | "sequential") =>
        of.by_day.map((d) => `${x(d.day).toFixed(1)},${y(d[key]).toFixed(2)}`).join(" ");
    return (
        <figure class="pad stack">
            <Legend names={["Watched every day", "Looked at once"]} />
            <svg
                viewBox="0 0 1000 100"
                preserveAspectRatio="none"
                style={{ width: "100%", height: "220px", display: "block" }}
                role="img"
                aria-label={`The least lift that is seen, by day: after 14 days ${percent(of.by_day[13].sequential, 1)}`}
            >
                <line x1="0" x2="1000" y1={y(lift)} y2={y(lift)} stroke="var(--line-strong)" stroke-dasharray="4 4" {...line} />
                <polyline points={points("sequential")} stroke="var(--chart-1)" {...line} />
                <polyline points={points("fixed")} stroke="var(--chart-2)" {...line} />
            </svg>
            <div class="line spread soft small">
                <span>day 1</span>
                <span>the least lift that is seen; dashed: {percent(lift, 1)}</span>
                <span>day {of.by_day.length}</span>
            </div>
        </figure>
    );
}

function Answer({ of, lift }: { of: Plan; lift: number }) {
    const rows = [
        { name: "Watched every day", how: "always valid: stop whenever it is clear", ...of.sequential },
        {
            name: `Judged at ${plural(of.group_sequential.looks, "look")} by plan`,
            how: `group sequential: ${count(of.group_sequential.people_expected)} people on the average when that lift is there`,
            ...of.group_sequential,
        },
        { name: "Looked at once", how: "at the size planned, not before and not again", ...of.fixed },
    ];
    return (
        <>
            <Table>
                <thead>
                    <tr>
                        <th>Way of looking</th>
                        <th class="num">People a variation</th>
                        <th class="num">People in all</th>
                        <th class="num">Days</th>
                    </tr>
                </thead>
                <tbody>
                    {rows.map((r) => (
                        <tr>
                            <td>
                                <strong>{r.name}</strong>
                                <div class="soft small">{r.how}</div>
                            </td>
                            <td class="num">{count(r.people_per_arm)}</td>
                            <td class="num">{count(r.people)}</td>
                            <td class="num">{r.days == null ? "–" : plural(Math.ceil(r.days), "day")}</td>
                        </tr>
                    ))}
                </tbody>
            </Table>
            {of.by_day.length > 0 && <Curve of={of} lift={lift} />}
        </>
    );
}

export function PlanPage({ query }: { query: URLSearchParams }) {
    const [form, setForm] = useState({ ...first, arms: Number(query.get("arms")) || first.arms });
    const [plan, setPlan] = useState<Plan | null>(null);
    const [wrong, setWrong] = useState<Problem | null>(null);
    useEffect(() => {
        const later = setTimeout(() => {
            post<Plan>("/v1/plan", {
                base: form.base / 100,
                lift: form.lift / 100,
                arms: form.arms,
                people_per_day: form.people_per_day,
                power: form.power / 100,
                alpha: form.alpha / 100,
                looks: form.looks,
            }).then(
                (p) => {
                    setPlan(p);
                    setWrong(null);
                },
                (e: Problem) => setWrong(e),
            );
        }, 150);
        return () => clearTimeout(later);
    }, [form]);
    const number = (key: keyof typeof first, name: string, hint: string, step = 1) => (
        <Field name={name} hint={hint}>
            <input
                type="number"
                min="0"
                step={step}
                value={form[key]}
                onInput={(e) => setForm({ ...form, [key]: Number((e.target as HTMLInputElement).value) })}
            />
        </Field>
    );
    return (
        <Page
            title="Plan a test"
            crumb={<a href="#/results">Results</a>}
            about="How many people it takes to see what matters to you, and how long that is."
        >
            <Card title="The test">
                <div class="pad fields">
                    {number("base", "Rate of the control, %", "how many in a hundred order (or click) today", 0.1)}
                    {number("lift", "Lift worth seeing, %", "of that rate: 10 is from 3 % to 3.3 %", 0.5)}
                    {number("arms", "Variations", "the control among them")}
                    {number("people_per_day", "People a day", "who would see the placement for the first time")}
                    {number("power", "Power, %", "the chance to see that lift if it is there")}
                    {number("looks", "Looks by plan", "how often a group sequential test is judged")}
                    {number("alpha", "Level, %", "the chance to see one that is not there")}
                </div>
            </Card>
            <Card title="What it takes">
                {wrong ? <Wrong error={wrong} /> : plan ? <Answer of={plan} lift={form.lift / 100} /> : <Empty title="Working it out" />}
            </Card>
        </Page>
    );
}
