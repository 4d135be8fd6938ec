/* SPDX-License-Identifier: Apache-2.0
 *
 * results.tsx - what it was worth: each variation against the first, everything against the holdout.
 * Intervals are valid at any time, so looking every day costs nothing.
 */
import { Comparison, Definition, Incremental, MetricValues, Money, Results, part } from "./api";
import { Band, Chart, Interval, Legend, Relative } from "./chart";
import { FactorResults } from "./factors";
import { Looks } from "./looks";
import { Asked, Asking, Badge, Card, Empty, Page, Table, Wrong, useGet } from "./ui";
import { count, day, difference, fixed, moment, money, percent, plural, points, sentence, signed } from "./words";

/* What a metric's differences are said in. Those that have no row of their own are the three that every page has. */
type Unit = "share" | "number" | { money: string };
function unitOf(metric: string, metrics: MetricValues[] = [], currency = "EUR"): Unit {
    const of = metrics.find((m) => m.key === metric);
    if (of ? of.money : metric === "revenue_per_person") return { money: of?.currency ?? currency };
    return (of ? of.type === "proportion" : metric.endsWith("_rate")) ? "share" : "number";
}

/* People compare in per cent of the control. Until that can be told from nothing there is no such interval: then the difference
 * stands in the metric's own unit. */
interface Compared extends Relative {
    says: (x: number) => string;
    percent: boolean;
}
function compared(c: Comparison, unit: Unit): Compared | null {
    if (c.relative != null && c.relative_low != null && c.relative_high != null)
        return { relative: c.relative, low: c.relative_low, high: c.relative_high, significant: c.significant, says: signed, percent: true };
    if (c.estimate == null || c.low == null || c.high == null) return null;
    const says = (x: number) =>
        unit === "share" ? points(x) : unit === "number" ? difference(x, (size) => fixed(size, 2)) : difference(x, (size) => value(size, unit.money));
    return { relative: c.estimate, low: c.low, high: c.high, significant: c.significant, says, percent: false };
}
const largest = (of: Compared) => Math.max(Math.abs(of.low), Math.abs(of.high));

function Verdict({ of }: { of: Comparison }) {
    if (!of.significant) return <Badge>Too early to say</Badge>;
    if (of.verdict === "fault") return <Badge tone="bad">A fault: nothing differs here</Badge>;
    const better = of.verdict ? of.verdict === "better" : of.estimate > 0;
    return <Badge tone={better ? "good" : "bad"}>{better ? "Better" : "Worse"}</Badge>;
}

function Comparisons({
    rows,
    empty,
    alpha = 0.05,
    of,
}: {
    rows: Comparison[];
    empty: string;
    alpha?: number;
    of?: Results;
}) {
    if (!rows.length) return <Empty title={empty}>{NOTHING_YET}</Empty>;
    const currency = of?.arms.find((a) => a.revenue)?.revenue?.currency;
    const all = rows.map((row) => ({ ...row, of: compared(row, unitOf(row.metric, of?.metrics, currency)) }));
    /* per cents share one scale, so that they can be held against each other; what has another unit has its own */
    const widest = Math.min(2, Math.max(0.02, ...all.map((c) => (c.of?.percent ? largest(c.of) : 0))));
    const title = (key: string) => of?.metrics?.find((m) => m.key === key)?.title || sentence(key);
    return (
        <Table>
            <thead>
                <tr>
                    <th>Metric</th>
                    <th>Variation</th>
                    <th class="num">Difference</th>
                    <th class="mid" style={{ width: "38%" }}>
                        {Math.round((1 - alpha) * 100)} % interval{" "}
                        <span class="hidden">around no difference</span>
                    </th>
                    <th class="num">Between</th>
                    <th>Verdict</th>
                </tr>
            </thead>
            <tbody>
                {all.map((c) => (
                    <tr>
                        <td>{title(c.metric)}</td>
                        <td>
                            {c.variation}
                            <div class="soft small">against {c.against}</div>
                        </td>
                        <td class="num">
                            <strong>{c.of ? c.of.says(c.of.relative) : "–"}</strong>
                        </td>
                        <td>
                            {c.of && <Interval of={c.of} reach={c.of.percent ? widest : largest(c.of)} says={c.of.says} />}
                        </td>
                        <td class="num soft small">
                            {c.of && (
                                <>
                                    {c.of.says(c.of.low)}
                                    <br />
                                    {c.of.says(c.of.high)}
                                </>
                            )}
                        </td>
                        <td>
                            <Verdict of={c} />
                            <div class="soft small num">
                                p {c.p < 0.001 ? "< 0.001" : fixed(c.p, 3)}
                                {c.p_adjusted != null && c.p_adjusted > c.p && (
                                    <>, of many {fixed(c.p_adjusted, 3)}</>
                                )}
                            </div>
                        </td>
                    </tr>
                ))}
            </tbody>
        </Table>
    );
}

const NOTHING_YET = "People count from the first time they see it; numbers appear within seconds of that.";
const value = (n: number, currency: string) => money({ minor: Math.round(n), currency } as Money);

function Arms({ of }: { of: Results }) {
    return (
        <Table>
            <thead>
                <tr>
                    <th>Variation</th>
                    <th class="num">People</th>
                    <th class="num">Clicks</th>
                    <th class="num">Click rate</th>
                    <th class="num">Orders</th>
                    <th class="num">Order rate</th>
                    <th class="num">Revenue</th>
                    <th class="num">A person</th>
                </tr>
            </thead>
            <tbody>
                {of.arms.map((a) => (
                    <tr>
                        <td>
                            <strong>{a.variation}</strong>{" "}
                            {a.is_control && <Badge plain>control</Badge>}
                            <div class="soft small">{a.experience}</div>
                        </td>
                        <td class="num">{count(a.exposed)}</td>
                        <td class="num">{count(a.clicks)}</td>
                        <td class="num">{percent(a.click_rate)}</td>
                        <td class="num">{count(a.orders)}</td>
                        <td class="num">{percent(a.order_rate)}</td>
                        <td class="num">{money(a.revenue)}</td>
                        <td class="num">
                            {value(a.revenue_per_person, a.revenue?.currency ?? "EUR")}
                        </td>
                    </tr>
                ))}
            </tbody>
        </Table>
    );
}

/* Order rate so far, day by day: the running total, as it settles. */
function Series({ of }: { of: Results }) {
    const names = [...new Set(of.series.flatMap((s) => Object.keys(s.arms)))];
    if (of.series.length < 2) return <Empty title="The chart begins on the second day" />;
    const lines = names.map((name) => {
        let exposed = 0;
        let orders = 0;
        return {
            name,
            values: of.series.map((s) => {
                exposed += s.arms[name]?.exposed ?? 0;
                orders += s.arms[name]?.orders ?? 0;
                return exposed ? orders / exposed : null;
            }),
        };
    });
    return (
        <div class="pad stack">
            <Legend names={names} />
            <Chart
                label={`Order rate so far, by day, for ${names.join(", ")}`}
                height={260}
                at={of.series.map((s) => Date.parse(s.at) / 1000)}
                lines={lines}
                format={(v) => percent(v, 1)}
            />
        </div>
    );
}

/* The primary metric's lift as somebody who looked every evening saw it. */
function Watched({ of }: { of: Results }) {
    const sound = (of.intervals ?? []).filter((d) => d.relative != null && d.low != null && d.high != null);
    const names = [...new Set(sound.map((d) => d.variation))];
    if (!names.length) return <Empty title="There is nothing to compare yet">The band is drawn once there are people enough for a bound: about a hundred a variation.</Empty>;
    const reach = Math.min(2, Math.max(0.05, ...sound.slice(-names.length).flatMap((d) => [2 * Math.abs(d.low!), 2 * Math.abs(d.high!)])));
    return (
        <div class="pad stack">
            {names.map((name) => {
                const days = sound.filter((d) => d.variation === name) as { at: string; relative: number; low: number; high: number }[];
                const last = days[days.length - 1];
                return (
                    <figure>
                        <div class="line spread small">
                            <strong>{name}</strong>
                            <span class="soft num">
                                {signed(last.relative)}, between {signed(last.low)} and {signed(last.high)}
                            </span>
                        </div>
                        <Band days={days} reach={reach} label={`Lift of ${name} by day; now ${signed(last.relative)}`} />
                        <div class="line spread soft small">
                            <span>{day(days[0].at)}</span>
                            <span>±{percent(reach, 0)}</span>
                            <span>{day(last.at)}</span>
                        </div>
                    </figure>
                );
            })}
        </div>
    );
}

const pace = (days: number) => (days > 730 ? "at this pace that is years; test something larger, or where more people come" : `${plural(Math.ceil(days), "day")} more at this pace`);

/* What would change our mind: what can be seen by now, and how long until the lift that matters can be. */
function Power({ of }: { of: Results }) {
    const rows = of.comparisons.filter((c) => c.tier === "primary" && c.least_lift != null);
    if (!rows.length) return null;
    return (
        <ul class="pad stack">
            {rows.map((c) => (
                <li>
                    <strong>{c.variation}</strong>: a lift of {percent(c.least_lift!, 1)} would be seen by now.{" "}
                    {c.days_left === 0
                        ? `There are people enough for one of ${percent(of.mde ?? 0.05, 0)}.`
                        : c.days_left != null
                          ? `For ${percent(of.mde ?? 0.05, 0)} it takes ${count(Math.ceil(c.people_per_arm ?? 0))} people a variation: ${pace(c.days_left)}.`
                          : `For ${percent(of.mde ?? 0.05, 0)} it takes ${count(Math.ceil(c.people_per_arm ?? 0))} people a variation; nobody has come lately.`}
                </li>
            ))}
        </ul>
    );
}

function Brought({ of }: { of: Incremental }) {
    return (
        <div class="pad stack">
            <p>
                <strong class="big">{money(of.revenue)}</strong> more than without it, between {money(of.low)} and {money(of.high)}, from{" "}
                {count(of.people)} people treated.
            </p>
            {of.return != null && (
                <p>
                    {fixed(of.return, 1)} for each 1 spent (between {fixed(of.return_low!, 1)} and {fixed(of.return_high!, 1)}); cost so far{" "}
                    {money(of.cost)}.
                </p>
            )}
        </div>
    );
}

function Body({ asked }: { asked: Asked<Results> }) {
    const r = asked.data;
    if (asked.error)
        return (
            <Card>
                <Wrong error={asked.error} retry={asked.reload} />
            </Card>
        );
    return (
        <>
            {r?.srm?.alarm && (
                <div class="note bad" role="alert">
                    <div>
                        <strong>The split is not what it should be</strong>
                        People are spread over the variations in a way chance does not explain (p ={" "}
                        {r.srm.p.toPrecision(2)}). Something drops people from one of them, so the
                        numbers below can not be trusted until that is found.
                    </div>
                </div>
            )}
            <Card title="Order rate so far">
                {r ? <Series of={r} /> : <div style={{ height: "320px" }} />}
            </Card>
            <Card title="By variation">
                <Asking of={asked} n={3}>
                    {(x) =>
                        x.arms.length ? <Arms of={x} /> : <Empty title="Nobody has seen it yet">{NOTHING_YET}</Empty>
                    }
                </Asking>
            </Card>
            {r?.group_sequential && (
                <Looks
                    plan={r.group_sequential}
                    people={(experience) => r.arms.filter((a) => a.experience === experience).reduce((sum, a) => sum + a.exposed, 0)}
                    metric={sentence(r.metrics?.[0]?.key ?? "order_rate")}
                />
            )}
            {r?.intervals && !r.group_sequential && (
                <Card
                    title={`${sentence(r.metrics?.[0]?.key ?? "order_rate")}: lift so far`}
                    side={<span class="soft small">what a look each evening would have shown</span>}
                >
                    <Watched of={r} />
                    <Power of={r} />
                </Card>
            )}
            {!(r?.versus_holdout?.length && !r.comparisons.length) && (
                <Card title="Compared">
                    <Asking of={asked} n={3}>
                        {(x) => (
                            <Comparisons
                                rows={x.comparisons.filter((c) => c.tier !== "secondary")}
                                alpha={x.alpha}
                                of={x}
                                empty="There is nothing to compare yet"
                            />
                        )}
                    </Asking>
                </Card>
            )}
            {r?.comparisons.some((c) => c.tier === "secondary") && (
                <Card title="Other metrics" side={<span class="soft small">corrected for how many they are</span>}>
                    <Comparisons rows={r.comparisons.filter((c) => c.tier === "secondary")} alpha={r.alpha} of={r} empty="" />
                </Card>
            )}
            {r?.segments?.map((s) => (
                <Card
                    title={`In segment ${s.segment}`}
                    side={<span class="soft small">as people stood when they first saw it; corrected over all segments</span>}
                >
                    <Comparisons rows={s.comparisons} alpha={r.alpha} of={r} empty="Nobody of it has seen it yet" />
                </Card>
            ))}
            {r?.incremental && (
                <Card title="What the programme brought">
                    <Brought of={r.incremental} />
                </Card>
            )}
            <Card
                title="Versus holdout"
                side={
                    <span class="soft small">
                        everyone treated, against those who see nothing personal
                    </span>
                }
            >
                <Asking of={asked} n={2}>
                    {(x) => (
                        <Comparisons
                            rows={x.versus_holdout ?? []}
                            alpha={x.alpha}
                            of={{ ...x, metrics: undefined }}
                            empty="No holdout has been seen yet"
                        />
                    )}
                </Asking>
            </Card>
            {r && (
                <p class="soft small">
                    Since {moment(r.since)}. Method: {r.group_sequential ? `${plural(r.group_sequential.times, "look")} by plan for the first metric; for the others ` : ""}
                    {r.method}, α {r.alpha}. The intervals hold however often you look.
                    {!!r.epochs?.length
                        && r.epochs.length > 1
                        && ` Shares changed ${plural(r.epochs.length - 1, "time")}; each time of constant shares is compared with itself.`}
                    {!!r.money_without_rate
                        && ` ${plural(r.money_without_rate, "amount")} in currencies without a rate in the settings count as nothing.`}
                    {r.srm
                        && !r.srm.alarm
                        && ` The split is as it should be (p = ${fixed(r.srm.p, 2)}).`}
                </p>
            )}
        </>
    );
}

/** Of a campaign, or of what else is measured like one: a flag. */
export function ResultsOf({ campaign, room = "campaigns", rooms = "Campaigns" }: { campaign: string; room?: string; rooms?: string }) {
    const asked = useGet<Results>(`/v1/results/${part(campaign)}`);
    const people = asked.data?.arms.reduce((sum, a) => sum + a.exposed, 0);
    return (
        <Page
            title={`Results of ${campaign}`}
            crumb={
                <>
                    <a href={`#/${room}`}>{rooms}</a> / <a href={`#/${room}/${part(campaign)}`}>{campaign}</a>
                </>
            }
            about={
                people === undefined ? (
                    <>&nbsp;</>
                ) : (
                    `${plural(people, "person").replace("persons", "people")} have seen it.`
                )
            }
            actions={
                <>
                    <a class="button" href={`#/${room}/${part(campaign)}`}>
                        Edit
                    </a>
                    <a class="button" href={`/v1/results/${part(campaign)}?format=csv`} download={`${campaign}.csv`}>
                        CSV
                    </a>
                    <button class="button" onClick={asked.reload}>
                        Refresh
                    </button>
                </>
            }
        >
            {room === "flags" && <FactorResults flag={campaign} />}
            <Body asked={asked} />
        </Page>
    );
}

export function Programme() {
    const asked = useGet<Results>("/v1/results");
    const campaigns = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=campaign");
    return (
        <Page
            title="Results"
            about="What personalisation as a whole is worth: everyone treated, against those held out."
            actions={
                <a class="button" href="#/plan">
                    Plan a test
                </a>
            }
        >
            <Body asked={asked} />
            <Card title="By campaign">
                <Asking of={campaigns} n={3}>
                    {({ definitions }) =>
                        definitions.length ? (
                            <ul class="pad stack">
                                {definitions.map((d) => (
                                    <li class="line spread">
                                        <a href={`#/campaigns/${part(d.key)}/results`}>
                                            {d.title || d.key}
                                        </a>
                                        <span class="soft small">{d.document?.placement}</span>
                                    </li>
                                ))}
                            </ul>
                        ) : (
                            <Empty title="No campaigns yet" />
                        )
                    }
                </Asking>
            </Card>
        </Page>
    );
}
