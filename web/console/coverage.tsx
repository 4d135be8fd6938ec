/* SPDX-License-Identifier: Apache-2.0
 *
 * coverage.tsx - how much of what is live has somebody to be compared with.
 */
import { part } from "./api";
import { Badge, Card, Empty, Listing, Page, useGet } from "./ui";
import { percent, plural, sentence } from "./words";

interface Tested {
    kind: "campaign" | "flag";
    key: string;
    rule: string;
    tested: boolean;
    by?: string;
}
interface Found {
    rules: Tested[];
    live: number;
    with_control: number;
    share: number;
}

const ways: Record<string, string> = { share: "A share gets it" };

export function Coverage() {
    const asked = useGet<Found>("/v1/tests/coverage");
    const found = asked.data;
    const untested = found ? found.live - found.with_control : 0;
    return (
        <Page title="Test coverage" crumb={<a href="#/results">Results</a>} about="Which live rules can show what they are worth, because chance keeps some people out of them.">
            {found && found.live > 0 && (
                <Card pad>
                    <div class="stack">
                        <div class="line spread">
                            <strong>
                                {percent(found.share, 0)} of {plural(found.live, "live rule")} have a control
                            </strong>
                            {untested > 0 ? <Badge tone="warn">{untested} untested</Badge> : <Badge tone="good">All tested</Badge>}
                        </div>
                        <div class="bar" role="img" aria-label={`${percent(found.share, 0)} have a control`}>
                            <i style={{ width: `${found.share * 100}%` }} />
                        </div>
                    </div>
                </Card>
            )}
            <Card>
                <Listing
                    of={asked}
                    rows={({ rules }) => [...rules].sort((a, b) => Number(a.tested) - Number(b.tested))}
                    wordy
                    head={["Rule", "Of", "Compared by"]}
                    row={(r) => (
                        <tr key={`${r.kind}/${r.key}/${r.rule}`}>
                            <td>
                                <a href={`#/${r.kind}s/${part(r.key)}`}>{r.rule}</a>
                            </td>
                            <td>
                                {r.key} <span class="soft small">{r.kind}</span>
                            </td>
                            <td>{r.tested ? (ways[r.by ?? ""] ?? sentence(r.by ?? "")) : <Badge tone="warn">Nobody: it cannot be judged</Badge>}</td>
                        </tr>
                    )}
                    empty={<Empty title="Nothing is live">Publish a campaign or a flag; its rules are listed here.</Empty>}
                />
            </Card>
            <p class="soft small">
                An experiment of two variations or more, a share below all, or a holdout of its own. The programme's holdout measures all together and no rule by itself.
            </p>
        </Page>
    );
}
