/* SPDX-License-Identifier: Apache-2.0
 *
 * data.tsx - who changed what.
 */
import { Asking, Card, Empty, Page, Table, When, useGet } from "./ui";
import { sentence } from "./words";

export function Audit() {
    const asked = useGet<{ entries: { at: string; who: string; what: string; object: string }[] }>(
        "/v1/audit?limit=200",
    );
    return (
        <Page title="Audit" about="Who changed what, and when.">
            <Card>
                <Asking of={asked} n={10}>
                    {({ entries }) =>
                        entries.length ? (
                            <Table>
                                <thead>
                                    <tr>
                                        <th>When</th>
                                        <th>Who</th>
                                        <th>What</th>
                                        <th>Object</th>
                                    </tr>
                                </thead>
                                <tbody>
                                    {entries.map((e, i) => (
                                        <tr key={i}>
                                            <td>
                                                <When at={e.at} />
                                            </td>
                                            <td>{e.who}</td>
                                            <td>{sentence(e.what)}</td>
                                            <td class="wrap">
                                                <code>{e.object}</code>
                                            </td>
                                        </tr>
                                    ))}
                                </tbody>
                            </Table>
                        ) : (
                            <Empty title="Nothing was changed yet" />
                        )
                    }
                </Asking>
            </Card>
        </Page>
    );
}
