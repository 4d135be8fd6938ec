/* SPDX-License-Identifier: Apache-2.0
 *
 * predictions.tsx - what is predicted, from what, and how honest it is: a card a score, with its calibration chart.
 */
import { Estimate, Honesty, Money, PersonScore, PredictionCard } from "./api";
import { Asking, Badge, Card, Empty, Page, useGet } from "./ui";
import { READER, count, fixed, moment, money, percent, plural, points, sentence } from "./words";

const names: Record<string, string> = {
    churn: "Chance of leaving",
    alive: "Chance of coming back",
    orders_365: "Orders in a year",
    clv_365: "Spending in a year",
    next_order_days: "Days to the next order",
    recency: "Recency, of 5",
    frequency: "Frequency, of 5",
    monetary: "Order worth, of 5",
    intent: "Chance of an order in this visit",
};
const isUplift = (score: string) => score.startsWith("uplift.");
/* of an uplift the title is the campaign's */
export const scoreName = (score: string, title?: string) =>
    isUplift(score) ? `What “${title || score.slice(7)}” changes` : (names[score] ?? sentence(score));

const three = new Intl.NumberFormat(READER, { maximumSignificantDigits: 3 });
const short = (x: number) => (Math.abs(x) >= 100 ? count(Math.round(x)) : three.format(x));

/* What was said against what came of it, a dot a tenth of the people, with its interval. On the line is honest. */
function Calibration({ card }: { card: PredictionCard }) {
    const bins = card.calibration ?? [];
    /* chances as per cent, money in its currency */
    const said = (v: number) => (card.currency ? money({ minor: Math.round(v), currency: card.currency }, true) : card.chart_of?.startsWith("the chance") ? percent(v, 0) : short(v));
    const most = Math.max(1e-9, ...bins.map((b) => Math.max(b.predicted, b.high)));
    const wide = 260;
    const x = (v: number) => 34 + (Math.max(0, v) / most) * (wide - 44);
    const y = (v: number) => wide - 26 - (Math.max(0, v) / most) * (wide - 40);
    return (
        <figure style={{ margin: 0 }}>
            <svg viewBox={`0 0 ${wide} ${wide}`} width="100%" style={{ maxWidth: "320px" }} role="img"
                aria-label={`Calibration of ${card.score}: ${bins.map((b) => `said ${said(b.predicted)}, came ${said(b.observed)} of ${b.n}`).join("; ")}`}>
                <path d={`M${x(0)} ${y(0)}H${x(most)}M${x(0)} ${y(0)}V${y(most)}`} stroke="var(--line-strong)" fill="none" />
                <path d={`M${x(0)} ${y(0)}L${x(most)} ${y(most)}`} stroke="var(--line-strong)" stroke-dasharray="4 4" />
                {bins.map((b) => (
                    <g>
                        <path d={`M${x(b.predicted)} ${y(b.low)}V${y(b.high)}`} stroke="var(--accent)" stroke-width="1.5" opacity=".5" />
                        <circle cx={x(b.predicted)} cy={y(b.observed)} r="4" fill="var(--accent)">
                            <title>{`said ${said(b.predicted)}, came ${said(b.observed)}, ${plural(b.n, "case")}`}</title>
                        </circle>
                    </g>
                ))}
                <g class="small" fill="currentColor" font-size="10">
                    <text x={x(most)} y={wide - 10} text-anchor="end">{`said ${said(most)}`}</text>
                    <text x={x(0)} y={wide - 10}>0</text>
                    <text x={4} y={12}>{`came ${said(most)}`}</text>
                </g>
            </svg>
            <figcaption class="soft small">{card.chart_of && sentence(card.chart_of.replace(", in minor units", ""))}.</figcaption>
        </figure>
    );
}

/* More outcomes than without the campaign, when so large a share of people is shown it, those first it is said to change most;
 * beside it, by chance. */
function Qini({ curve }: { curve: { share: number; extra: number; random: number }[] }) {
    const wide = 260;
    const high = 160;
    const low = Math.min(0, ...curve.map((p) => Math.min(p.extra, p.random)));
    const most = Math.max(1e-9, ...curve.map((p) => Math.max(p.extra, p.random)));
    const x = (share: number) => 10 + share * (wide - 20);
    const y = (v: number) => high - 24 - ((v - low) / (most - low)) * (high - 44);
    const path = (of: "extra" | "random") => curve.map((p, i) => `${i ? "L" : "M"}${x(p.share).toFixed(1)} ${y(p[of]).toFixed(1)}`).join("");
    const last = curve[curve.length - 1];
    return (
        <figure style={{ margin: 0 }}>
            <svg viewBox={`0 0 ${wide} ${high}`} width="100%" style={{ maxWidth: "320px" }} role="img"
                aria-label={`Qini curve: ${curve.map((p) => `${percent(p.share, 0)} of people, ${short(p.extra)} more, ${short(p.random)} by chance`).join("; ")}`}>
                <path d={`M${x(0)} ${y(0)}H${x(1)}`} stroke="var(--line-strong)" fill="none" />
                <path d={path("random")} stroke="var(--line-strong)" stroke-dasharray="4 4" fill="none" />
                <path d={path("extra")} stroke="var(--accent)" stroke-width="2" fill="none" />
                <g fill="currentColor" font-size="10">
                    <text x={4} y={12}>{`more of them: ${short(most)}`}</text>
                    <text x={x(1)} y={high - 8} text-anchor="end">everybody shown it</text>
                    <text x={x(0)} y={high - 8}>nobody</text>
                </g>
            </svg>
            <figcaption class="soft small">
                Those it changes most are shown it first; dashed: in any order. Everybody: {short(last.extra)} more.
            </figcaption>
        </figure>
    );
}

const Fact = ({ name, value }: { name: string; value: string }) => (
    <div class="line spread small">
        <span class="soft">{name}</span>
        <span class="num">{value}</span>
    </div>
);

const learners: Record<string, string> = {
    two_model: "a model for each arm",
    response: "the chance of the outcome",
    nbd: "purchase counts (NBD)",
    bg_nbd: "purchases until they leave (BG/NBD)",
    mbg_nbd: "purchases until they leave (MBG/NBD)",
    gamma_gamma: "order worth (gamma-gamma)",
    rfm: "places among buyers (RFM)",
    ftrl_logistic: "logistic regression (FTRL)",
};
const estimateNames: Record<string, string> = {
    effect: "Changes on average",
    qini_two_model: "Qini",
    qini_response: "Qini",
    "uplift@30_two_model": "Changes in the first 30 %",
    "uplift@30_response": "Changes in the first 30 %",
};

/* of a chance in points, of the area under a curve as it is */
const estimate = (name: string, e: Estimate) => {
    const shown = name.startsWith("qini") ? short : points;
    return `${shown(e.value)} (${shown(e.low)} to ${shown(e.high)})`;
};

function Prediction({ card }: { card: PredictionCard }) {
    const m = card.measures;
    const told = m && "auc" in m ? (m as Honesty) : undefined;
    /* an uplift's measures come with their intervals; of the learners the one that won is told */
    const estimates = Object.entries(m ?? {}).filter(
        (e): e is [string, Estimate] => typeof e[1] === "object" && (e[0] === "effect" || e[0].endsWith(`_${card.model}`)),
    );
    return (
        <Card
            title={scoreName(card.score, card.title)}
            side={!card.enough ? <Badge tone="warn">Not enough data</Badge> : card.sure === false ? <Badge tone="warn">May be chance</Badge> : undefined}
            pad
        >
            <div class="stack">
                <p>
                    {isUplift(card.score) ? "By how much the campaign raises each person's chance of the outcome" : sentence(card.title)}.{" "}
                    <code class="soft small">predicted({card.score})</code>
                </p>
                {!card.enough && <p class="soft">{sentence(card.why ?? "")}.</p>}
                {card.fallback && (
                    <p class="small">
                        <Badge tone="warn">Fallback</Badge> {sentence(card.edge ?? "")}: {card.fallback}.
                    </p>
                )}
                {card.qini && card.qini.length > 1 && <Qini curve={card.qini} />}
                {card.calibration && card.calibration.length > 0 && <Calibration card={card} />}
                {card.note && <p class="soft small">{sentence(card.note)}.</p>}
                {card.enough && (
                    <div class="stack" style={{ gap: "4px" }}>
                        <Fact name="Made" value={moment(card.made_at!)} />
                        <Fact name="Model" value={`${learners[card.model!] ?? sentence(card.model!)}${card.score === "intent" ? "" : `, version ${card.version}`}`} />
                        {Object.entries(card.learnt_from ?? {}).map(
                            ([name, n]) => typeof n === "number" && <Fact name={sentence(name.replace("_", " "))} value={count(n)} />,
                        )}
                        {told && (
                            <>
                                <Fact name="Ranks a pair right" value={percent(told.auc, 1)} />
                                <Fact name="Brier score" value={fixed(told.brier, 4)} />
                                <Fact name="… of always saying the rate" value={fixed(told.brier_base, 4)} />
                            </>
                        )}
                        {estimates.map(([name, e]) => (
                            <Fact name={estimateNames[name] ?? sentence(name)} value={estimate(name, e)} />
                        ))}
                    </div>
                )}
            </div>
        </Card>
    );
}

export function Predictions() {
    const asked = useGet<{ predictions: PredictionCard[] }>("/v1/predictions");
    return (
        <Page
            title="Predictions"
            about="What people are likely to do, and how honest that was on the latest weeks, which the models had not seen. Usable in rules as predicted(…)."
        >
            <Asking of={asked} n={4}>
                {({ predictions }) =>
                    predictions.length ? (
                        <div class="grid" style={{ gridTemplateColumns: "repeat(auto-fill, minmax(300px, 1fr))" }}>
                            {predictions.map((card) => (
                                <Prediction card={card} />
                            ))}
                        </div>
                    ) : (
                        <Empty title="No predictions yet">They are made every night from orders and visits: send some, or bring in a file on <a href="#/sources">Sources</a>.</Empty>
                    )
                }
            </Asking>
        </Page>
    );
}

const shown = (s: PersonScore) =>
    isUplift(s.score) ? points(s.value as number) : typeof s.value === "object" ? money(s.value as Money) : ["churn", "alive", "intent"].includes(s.score) ? percent(s.value, 0) : short(s.value);

/** A person's scores, on the person's page. */
export function Scores({ scores }: { scores: PersonScore[] }) {
    if (!scores.length) return <p class="soft">Nothing yet: an order, or a visit under way, is needed.</p>;
    return (
        <ul class="stack" style={{ gap: "9px" }}>
            {scores.map((s) => (
                <li>
                    <div class="line spread small">
                        <span title={sentence(s.title)}>{scoreName(s.score, s.title)}</span>
                        <strong class="num">{shown(s)}</strong>
                    </div>
                    {s.reasons.map((r) => (
                        <div class="soft small">{sentence(r.text)}</div>
                    ))}
                </li>
            ))}
            <li class="soft small">
                As of {moment(scores[0].at)}. <a href="#/predictions">How good are they?</a>
            </li>
        </ul>
    );
}
