/* SPDX-License-Identifier: Apache-2.0
 *
 * looks.tsx - a test judged at looks by plan: how one says so in a campaign's form, and its boundary drawn in the results.
 */
import { Doc, Planned } from "./api";
import { Legend } from "./chart";
import { Badge, Card, Field, Table } from "./ui";
import { count, day, difference, fixed, percent, plural, signed } from "./words";

export const SPENDINGS: Record<string, string> = { obrien_fleming: "O'Brien and Fleming: strict at first, mild at the end", pocock: "Pocock: much the same at every look" };
const LEAST = 200;

/** "looks" of a campaign: when its metric is judged. */
export function LooksForm({ doc, may, set }: { doc: Doc; may: boolean; set: (doc: Doc) => void }) {
    const looks: Doc | undefined = doc.looks;
    const put = (more: Doc) => set({ ...doc, looks: { ...looks, ...more } });
    const each = looks && looks.people >= LEAST && looks.times >= 1 ? Math.ceil(looks.people / looks.times) : 0;
    return (
        <>
            <Field name="When it is judged" hint={looks ? "A look is held at the end of the day on which enough people have come" : "Its intervals hold however often you look"}>
                <select
                    value={looks ? "plan" : ""}
                    disabled={!may}
                    onChange={(e) => set({ ...doc, looks: e.currentTarget.value ? { people: 20000, times: 5, spending: "obrien_fleming" } : undefined })}
                >
                    <option value="">At any time: look as often as you like</option>
                    <option value="plan">At a few looks by plan (group sequential): fewer people</option>
                </select>
            </Field>
            {looks && (
                <>
                    <Field name="People at the last look" hint="Of all variations; Plan a test says how many">
                        <input type="number" min="200" step="100" value={looks.people ?? ""} disabled={!may}
                            onInput={(e) => put({ people: Number(e.currentTarget.value) || undefined })} />
                    </Field>
                    <Field name="Looks" hint={each ? `One for every ${count(each)} people` : "1 to 20"}>
                        <input type="number" min="1" max="20" value={looks.times ?? ""} disabled={!may}
                            onInput={(e) => put({ times: Number(e.currentTarget.value) || undefined })} />
                    </Field>
                    <Field name="Boundary">
                        <select value={looks.spending ?? "obrien_fleming"} disabled={!may} onChange={(e) => put({ spending: e.currentTarget.value })}>
                            {Object.entries(SPENDINGS).map(([key, name]) => (
                                <option value={key}>{name}</option>
                            ))}
                        </select>
                    </Field>
                </>
            )}
        </>
    );
}

type One = Planned["comparisons"][number];

/* People across, z up: the bounds above and below, and where the test stood at each look. */
function Boundary({ of, plan }: { of: One; plan: Planned }) {
    const most = Math.max(plan.people, ...of.held.map((l) => l.people));
    const reach = Math.min(7, 1 + Math.max(...[...of.held, ...of.ahead].map((l) => Math.min(6, l.bound)), ...of.held.map((l) => Math.abs(l.z))));
    const x = (people: number) => (people / most) * 980 + 10;
    const y = (z: number) => 100 - 94 * Math.max(-1, Math.min(1, z / reach));
    const line = { "vector-effect": "non-scaling-stroke", fill: "none" } as const;
    const points = (looks: { people: number; bound: number }[], side: number) => looks.map((l) => `${x(l.people).toFixed(1)},${y(side * l.bound).toFixed(1)}`).join(" ");
    const last = of.held[of.held.length - 1];
    const said = last ? `At look ${last.look} z is ${fixed(last.z, 2)}, the bound ${fixed(last.bound, 2)}` : "No look has been held";
    return (
        <svg viewBox="0 0 1000 200" preserveAspectRatio="none" class="boundary" role="img" aria-label={`${said}; beyond the bound the test stops`}>
            <line x1="10" x2="990" y1="100" y2="100" stroke="var(--line-strong)" {...line} />
            {[1, -1].map((side) => (
                <>
                    <polyline points={points(of.held, side)} stroke="var(--chart-2)" stroke-width="2" {...line} />
                    <polyline points={points([...of.held.slice(-1), ...of.ahead], side)} stroke="var(--chart-2)" stroke-width="2" stroke-dasharray="5 4" {...line} />
                    {[...of.held, ...of.ahead].map((l) => (
                        <path d={`M${x(l.people)} ${y(side * l.bound) - 3}v6`} stroke="var(--chart-2)" stroke-width="2" {...line} />
                    ))}
                </>
            ))}
            <polyline points={["10,100", ...of.held.map((l) => `${x(l.people).toFixed(1)},${y(l.z).toFixed(1)}`)].join(" ")} stroke="var(--chart-1)" stroke-width="2" {...line} />
            {of.held.map((l) => (
                <path d={`M${x(l.people)} ${y(l.z)}h0`} stroke={l.stops ? "var(--good)" : "var(--chart-1)"} stroke-width="10" stroke-linecap="round" {...line} />
            ))}
        </svg>
    );
}

function verdict(of: One, plan: Planned) {
    const last = of.held[of.held.length - 1];
    if (last?.stops) return <Badge tone="good">Decided at look {last.look}</Badge>;
    if (of.over) return <Badge>The plan is used up: no difference was found</Badge>;
    return <Badge>{last ? `Look ${last.look} of ${plan.times} held` : "No look yet"}</Badge>;
}

function Planning({ of, plan, people }: { of: One; plan: Planned; people: number }) {
    const next = of.ahead[0];
    return (
        <figure class="pad stack">
            <div class="line spread">
                <span>
                    <strong>{of.variation}</strong> <span class="soft small">against {of.against}{of.experience ? ` in ${of.experience}` : ""}</span>
                </span>
                {verdict(of, plan)}
            </div>
            <Legend names={["Where the test stands (z)", "Beyond this it stops"]} />
            <Boundary of={of} plan={plan} />
            <div class="line spread soft small">
                <span>nobody</span>
                <span>{next ? `${plural(Math.max(0, next.people - people), "person").replace("persons", "people")} until look ${next.look}` : ""}</span>
                <span>{count(plan.people)} people</span>
            </div>
            {of.held.length > 0 && (
                <Table>
                    <thead>
                        <tr>
                            <th>Look</th>
                            <th class="num">People</th>
                            <th class="num">z</th>
                            <th class="num">Bound</th>
                            <th class="num">Level spent</th>
                            <th class="num">Lift</th>
                            <th class="num">Between</th>
                        </tr>
                    </thead>
                    <tbody>
                        {of.held.map((l) => (
                            <tr>
                                <td>
                                    <strong>{l.look}</strong> <span class="soft small">{day(l.at)}</span>
                                </td>
                                <td class="num">{count(l.people)}</td>
                                <td class="num">{difference(l.z, (size) => fixed(size, 2))}</td>
                                <td class="num">{fixed(l.bound, 2)}</td>
                                <td class="num">{percent(l.alpha_spent, 2)}</td>
                                <td class="num">{l.relative == null ? "–" : signed(l.relative)}</td>
                                <td class="num soft small">{l.low == null || l.high == null ? "no bound yet" : `${signed(l.low)} to ${signed(l.high)}`}</td>
                            </tr>
                        ))}
                    </tbody>
                </Table>
            )}
        </figure>
    );
}

/** The card of a test by plan. `people`: who have seen each experience so far, of all variations. */
export function Looks({ plan, people, metric }: { plan: Planned; people: (experience: string) => number; metric: string }) {
    return (
        <Card title={`${metric}: looks by plan`} side={<span class="soft small">{SPENDINGS[plan.spending]}; nothing is decided in between</span>}>
            {plan.comparisons.map((of) => (
                <Planning of={of} plan={plan} people={people(of.experience)} />
            ))}
            {!plan.comparisons.length && <p class="pad soft">There is no second variation to compare with yet.</p>}
        </Card>
    );
}
