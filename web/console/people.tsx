/* SPDX-License-Identifier: Apache-2.0
 *
 * people.tsx - everybody, the latest first; and what is told of all of them together (groups.tsx).
 */
import { useState } from "preact/hooks";
import { PersonRow, get, part } from "./api";
import { Contacts, Served, Valuable } from "./groups";
import { Badge, Card, Empty, Listing, Page, Row, Tabs, When, attempt, go, useGet } from "./ui";
import { Lookup } from "./who";
import { count } from "./words";

/* ---- all -------------------------------------------------------------------------------------- */
type PeoplePage = { people: PersonRow[]; next?: string | null };

function Everybody() {
    const first = useGet<PeoplePage>("/v1/people?limit=50");
    const [more, setMore] = useState<PeoplePage[]>([]);
    const next = (more.length ? more[more.length - 1] : first.data)?.next;
    return (
        <Card>
            <Listing
                of={first}
                n={10}
                rows={(page) => [page, ...more].flatMap((p) => p.people)}
                head={["Person", "Segments", "#Orders", "Last seen"]}
                row={(p) => (
                    <Row key={p.person_id} to={`/people/${part(p.person_id)}`}>
                        <td>
                            <a href={`#/people/${part(p.person_id)}`}>{p.display}</a>
                        </td>
                        <td>
                            <span class="line">
                                {p.segments.slice(0, 3).map((s) => (
                                    <Badge plain>{s}</Badge>
                                ))}
                                {p.segments.length > 3 && <span class="soft small">and {p.segments.length - 3} more</span>}
                            </span>
                        </td>
                        <td class="num">{count(p.orders)}</td>
                        <td>
                            <When at={p.last_at} />
                        </td>
                    </Row>
                )}
                empty={<Empty title="Nobody yet">People appear as soon as their first event arrives.</Empty>}
            />
            {next && (
                <div class="pad">
                    <button
                        class="button"
                        onClick={() => attempt(async () => setMore([...more, await get<PeoplePage>(`/v1/people?limit=50&after=${part(next)}`)]))}
                    >
                        Show more
                    </button>
                </div>
            )}
        </Card>
    );
}

const tabs: [string, string][] = [
    ["everybody", "Everybody"],
    ["valuable", "Most valuable"],
    ["served", "Who is served"],
    ["contacts", "Contacts"],
];

export function People({ query }: { query: URLSearchParams }) {
    const tab = query.get("tab") ?? "everybody";
    return (
        <Page title="People" about="Everyone who came by and allowed it, the latest first." actions={<Lookup to="/people" />}>
            <Tabs at={tab} onPick={(to) => go(`/people${to === "everybody" ? "" : `?tab=${to}`}`)} tabs={tabs} />
            {tab === "everybody" && <Everybody />}
            {tab === "valuable" && <Valuable />}
            {tab === "served" && <Served />}
            {tab === "contacts" && <Contacts />}
        </Page>
    );
}
