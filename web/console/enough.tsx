/* SPDX-License-Identifier: Apache-2.0
 *
 * enough.tsx - is there enough to show, to everybody, everywhere: the placements and segments that have too little.
 */
import { useState } from "preact/hooks";
import { part } from "./api";
import { Badge, Card, Empty, Field, Listing, Page, Row, useGet, useKept } from "./ui";
import { count, percent, plural } from "./words";

interface Gap {
    placement: string;
    segment?: string;
    items: number;
    people?: number;
}
interface Found {
    least: number;
    gaps: Gap[];
    placements: number;
    placements_covered: number;
    segments_in_placements: number;
    segments_covered: number;
}

function Covered({ name, share, of }: { name: string; share: number; of: string }) {
    return (
        <Card pad>
            <div class="stack" style={{ gap: "8px" }}>
                <div class="line spread">
                    <strong>
                        {percent(share, 0)} of {of}
                    </strong>
                    {share < 1 ? <Badge tone="warn">{name}: gaps</Badge> : <Badge tone="good">{name}: enough</Badge>}
                </div>
                <div class="bar" role="img" aria-label={`${percent(share, 0)} of ${of} have enough`}>
                    <i style={{ width: `${share * 100}%` }} />
                </div>
            </div>
        </Card>
    );
}

export function Enough() {
    const [least, setLeast] = useState("4");
    const asked = useKept(useGet<Found>(`/v1/catalog/coverage?least=${Math.min(1000, Math.max(1, parseInt(least) || 4))}`));
    const found = asked.data;
    return (
        <Page title="Enough to show" crumb={<a href="#/placements">Placements</a>} about="Where a placement has too little to show, to everybody or to the people of a segment.">
            <Card pad>
                <div class="fields">
                    <Field name="At least" hint="Things to choose among: items in stock that pass the strategy's filter, or contents and variations of a banner">
                        <input type="number" min="1" max="1000" value={least} onInput={(e) => setLeast(e.currentTarget.value)} />
                    </Field>
                </div>
            </Card>
            {found && (
                <div class="two even">
                    <Covered name="Everybody" share={found.placements_covered} of={plural(found.placements, "placement")} />
                    <Covered name="Segments" share={found.segments_covered} of={`${plural(found.segments_in_placements, "segment")} in a placement`} />
                </div>
            )}
            <Card title="Where there is too little">
                <Listing
                    of={asked}
                    rows={({ gaps }) => gaps}
                    head={["Placement", "Segment", "#People", "#To show"]}
                    row={(g) => (
                        <Row key={`${g.placement}/${g.segment ?? ""}`} to={`/placements/${part(g.placement)}`}>
                            <td>
                                <a href={`#/placements/${part(g.placement)}`}>{g.placement}</a>
                            </td>
                            <td>{g.segment ? <a href={`#/segments/${part(g.segment)}`}>{g.segment}</a> : <span class="soft">everybody</span>}</td>
                            <td class="num">{g.people === undefined ? "" : count(g.people)}</td>
                            <td class="num">{count(g.items)}</td>
                        </Row>
                    )}
                    empty={<Empty title="No gaps">Every placement has enough to show, to everybody and in each segment.</Empty>}
                />
            </Card>
            <p class="soft small">A segment is asked by its first few members; the one with least counts.</p>
        </Page>
    );
}
