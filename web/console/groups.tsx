/* SPDX-License-Identifier: Apache-2.0
 *
 * groups.tsx - what is told of everybody together: the most valuable and what sets them apart, who is served and who is passed
 * over, and how often people hear from the shop.
 */
import { useState } from "preact/hooks";
import { Money, part } from "./api";
import { Interval } from "./chart";
import { Lifted, Lifts } from "./segment_tools";
import { Asking, Badge, Card, Empty, Listing, Row, Table, useGet, useKept } from "./ui";
import { count, fixed, money, people, percent, sentence, signed } from "./words";

/* ---- the most valuable ------------------------------------------------------------------------------ */
interface Most {
    share: number;
    buyers: number;
    count: number;
    from?: Money | null;
    revenue?: Money | null;
    revenue_share?: number | null;
    without_rate?: number;
    attributes: Lifted[];
    people?: { person_id: string; display: string; value?: Money; orders?: number }[];
}

function Best({ of }: { of: NonNullable<Most["people"]> }) {
    return (
        <Card title="They are">
            <table>
                <tbody>
                    {of.map((p) => (
                        <Row key={p.person_id} to={`/people/${part(p.person_id)}`}>
                            <td>
                                <a href={`#/people/${part(p.person_id)}`}>{p.display}</a>
                            </td>
                            <td class="num">{p.value && money(p.value)}</td>
                        </Row>
                    ))}
                </tbody>
            </table>
        </Card>
    );
}

export function Valuable() {
    const [share, setShare] = useState(10);
    const asked = useKept(useGet<Most>(`/v1/people/valuable?share=${share / 100}`));
    return (
        <div class="two">
        <Card
            title="The most valuable buyers"
            side={
                <select aria-label="Which of the buyers" value={share} onChange={(e) => setShare(+e.currentTarget.value)}>
                    {[1, 5, 10, 20].map((s) => (
                        <option value={s}>the top {s} %</option>
                    ))}
                </select>
            }
        >
            <Asking of={asked} n={6}>
                {(m) =>
                    m.count ? (
                        <>
                            <p class="pad">
                                <strong>{people(m.count)}</strong> of {count(m.buyers)} buyers
                                {m.from && <>, from {money(m.from)} each</>}
                                {m.revenue && <>, together {money(m.revenue)}</>}
                                {m.revenue_share != null && <>: {percent(m.revenue_share, 0)} of all revenue</>}.
                                {!!m.without_rate && <span class="soft"> {people(m.without_rate)} paid in a currency without a rate and are left out.</span>}
                            </p>
                            {m.attributes.length ? (
                                <Lifts list={m.attributes} others="Other buyers" n={16} />
                            ) : (
                                <Empty title="Nothing sets them apart">They are and do as the other buyers.</Empty>
                            )}
                        </>
                    ) : (
                        <Empty title="Nobody bought yet">With the first orders the best buyers stand here.</Empty>
                    )
                }
            </Asking>
        </Card>
        {asked.data?.people?.length ? <Best of={asked.data.people} /> : null}
        </div>
    );
}

/* ---- who is served ------------------------------------------------------------------------------------ */
interface Uplift {
    lift: number | null;
    low: number | null;
    high: number | null;
}
interface Group {
    by: string;
    value: string;
    people: number;
    decisions: number;
    rate: number | null;
    against_others: number | null;
    under_served: boolean;
    uplift?: Uplift | null;
}

/* A lift on one scale for the whole table. */
function Lift({ of, reach }: { of?: Uplift | null; reach: number }) {
    if (!of || of.lift === null || of.low === null || of.high === null) return <span class="soft small">too few to say</span>;
    return (
        <>
            <Interval of={{ relative: of.lift, low: of.low, high: of.high, significant: of.low > 0 || of.high < 0 }} reach={reach} />
            <div class="soft small num">
                {signed(of.lift, 0)} ({signed(of.low, 0)} to {signed(of.high, 0)})
            </div>
        </>
    );
}

/* Ages as they follow, who is unknown last. */
const place = (value: string) => (value === "unknown" ? 1000 : value.startsWith("under") ? 0 : parseInt(value) || 1);

export function Served() {
    const asked = useGet<{ days: number; all: Group; groups: Group[] }>("/v1/people/coverage");
    const rows = asked.data ? [asked.data.all, ...asked.data.groups] : [];
    const reach = Math.max(0.1, ...rows.map((g) => Math.min(2, Math.max(Math.abs(g.uplift?.low ?? 0), Math.abs(g.uplift?.high ?? 0)))));
    return (
        <Card title="Who is served, by gender and age" side={<span class="soft small">{asked.data ? `last ${asked.data.days} days` : ""}</span>}>
            <Listing
                of={asked}
                rows={(x) => [x.all, ...[...x.groups].sort((a, b) => a.by.localeCompare(b.by) || place(a.value) - place(b.value))]}
                head={["Group", "#People", "#Decisions", "#Personalised", "#Against the others", "Buyers against the holdout", ""]}
                row={(g) => (
                    <tr key={`${g.by}/${g.value}`}>
                        <td>
                            <strong>{sentence(g.value)}</strong>
                            {g.by !== "all" && <div class="soft small">{g.by}</div>}
                        </td>
                        <td class="num">{count(g.people)}</td>
                        <td class="num">{count(g.decisions)}</td>
                        <td class="num">{g.rate === null ? "–" : percent(g.rate, 1)}</td>
                        <td class="num">{g.against_others === null ? "–" : signed(g.against_others)}</td>
                        <td style={{ minWidth: "220px" }}>
                            <Lift of={g.uplift} reach={reach} />
                        </td>
                        <td>{g.under_served && <Badge tone="warn">Under-served</Badge>}</td>
                    </tr>
                )}
                empty={<Empty title="Nobody yet">Groups appear with the first decisions.</Empty>}
            />
            <p class="pad soft small">
                Personalised: a decision that a rule, a model or an experiment chose. Under-served: fewer of them than others get, by more than chance would do.
            </p>
        </Card>
    );
}

/* ---- how often people hear from us ----------------------------------------------------------------------- */
interface Contacted {
    days: number;
    limit: number | null;
    people: number;
    contacts: number;
    a_person: number;
    people_by_contacts: number[];
    most_contacted: { person_id: string; display: string; contacts: number }[];
    refused: { campaign: string; contact_cap: number; own_cap: number }[];
}

export function Contacts() {
    const asked = useGet<Contacted>("/v1/contacts");
    return (
        <Asking of={asked} n={8}>
            {(c) => {
                const shown = c.people_by_contacts.slice(1);
                while (shown.length > 1 && !shown[shown.length - 1]) shown.pop();
                const top = Math.max(1, ...shown);
                return (
                    <div class="two">
                        <div class="stack wide">
                            <Card title={`How often people heard from the shop in ${c.days} days`} pad>
                                <div class="stack">
                                    <p>
                                        <strong>{count(c.contacts)}</strong> contacts with {people(c.people)}, {fixed(c.a_person, 2)} each.{" "}
                                        {c.limit === null ? "There is no cap over all channels." : `The cap over all channels is ${c.limit}.`}{" "}
                                        <span class="soft">{count(c.people_by_contacts[0] ?? 0)} heard nothing.</span>
                                    </p>
                                    {shown.map((n, i) => (
                                        <div class="line" style={{ flexWrap: "nowrap" }} key={i}>
                                            <span class="num soft small right" style={{ width: "28px" }}>{i + 1}</span>
                                            <div class="bar grow">
                                                <i style={{ width: `${(n / top) * 100}%` }} />
                                            </div>
                                            <span class="num small right" style={{ width: "90px" }}>{people(n)}</span>
                                        </div>
                                    ))}
                                </div>
                            </Card>
                            <Card title="Held back by a cap">
                                {c.refused.length ? (
                                    <Table>
                                        <thead>
                                            <tr>
                                                <th>Campaign</th>
                                                <th class="num">By the cap over all channels</th>
                                                <th class="num">By its own cap</th>
                                            </tr>
                                        </thead>
                                        <tbody>
                                            {c.refused.map((r) => (
                                                <Row key={r.campaign} to={`/campaigns/${part(r.campaign)}`}>
                                                    <td>
                                                        <a href={`#/campaigns/${part(r.campaign)}`}>{r.campaign}</a>
                                                    </td>
                                                    <td class="num">{count(r.contact_cap)}</td>
                                                    <td class="num">{count(r.own_cap)}</td>
                                                </Row>
                                            ))}
                                        </tbody>
                                    </Table>
                                ) : (
                                    <Empty title="Nothing was held back" />
                                )}
                            </Card>
                        </div>
                        <Card title="Contacted most">
                            {c.most_contacted.length ? (
                                <table>
                                    <tbody>
                                        {c.most_contacted.slice(0, 12).map((p) => (
                                            <Row key={p.person_id} to={`/people/${part(p.person_id)}`}>
                                                <td>
                                                    <a href={`#/people/${part(p.person_id)}`}>{p.display}</a>
                                                </td>
                                                <td class="num">{count(p.contacts)}</td>
                                            </Row>
                                        ))}
                                    </tbody>
                                </table>
                            ) : (
                                <Empty title="Nobody was contacted" />
                            )}
                        </Card>
                    </div>
                );
            }}
        </Asking>
    );
}
