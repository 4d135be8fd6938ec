/* SPDX-License-Identifier: Apache-2.0
 *
 * data.tsx - what comes in: sources and their health, what was refused, who changed what.
 */
import { useState } from "preact/hooks";
import { Source, part, post } from "./api";
import { Asking, Badge, Card, Empty, Json, Page, When, attempt, useGet, useMayEdit } from "./ui";
import { count, plural, sentence } from "./words";

const health: Record<string, [string, string]> = {
    green: ["good", "Healthy"],
    red: ["bad", "Failing"],
    idle: ["", "Idle"],
};

export function Sources() {
    const asked = useGet<{ sources: Source[] }>("/v1/sources");
    return (
        <Page title="Sources" about="Everything that sends us data, and how well it goes.">
            <Card>
                <Asking of={asked} n={6}>
                    {({ sources }) =>
                        sources.length ? (
                            <div class="scroll">
                                <table>
                                    <thead>
                                        <tr>
                                            <th>Source</th>
                                            <th>State</th>
                                            <th>Last event</th>
                                            <th class="num">Accepted</th>
                                            <th class="num">Refused</th>
                                            <th class="num">Repeated</th>
                                            <th class="num">No consent</th>
                                            <th>Legal basis</th>
                                        </tr>
                                    </thead>
                                    <tbody>
                                        {sources.map((s) => (
                                            <tr key={s.key}>
                                                <td>
                                                    <strong>{s.title || s.key}</strong>
                                                    <div class="soft small">{s.owner}</div>
                                                </td>
                                                <td>
                                                    <Badge tone={health[s.state]?.[0]}>
                                                        {health[s.state]?.[1] ?? s.state}
                                                    </Badge>
                                                </td>
                                                <td>
                                                    <When at={s.last_at} />
                                                    <div class="soft small num">
                                                        {s.last_at
                                                            ? `${count(s.lag_ms)} ms behind`
                                                            : ""}
                                                    </div>
                                                </td>
                                                <td class="num">{count(s.accepted)}</td>
                                                <td class="num">
                                                    {s.refused ? (
                                                        <a
                                                            href={`#/dead-letters?source=${part(s.key)}`}
                                                        >
                                                            {count(s.refused)}
                                                        </a>
                                                    ) : (
                                                        0
                                                    )}
                                                </td>
                                                <td class="num">{count(s.duplicates)}</td>
                                                <td class="num">{count(s.no_consent)}</td>
                                                <td>
                                                    <span class="line">
                                                        {Object.entries(s.basis ?? {}).map(([p, b]) => (
                                                            <Badge plain>
                                                                {sentence(p)}: {b}
                                                            </Badge>
                                                        ))}
                                                    </span>
                                                </td>
                                            </tr>
                                        ))}
                                    </tbody>
                                </table>
                            </div>
                        ) : (
                            <Empty title="No sources yet">
                                A source appears with its first key or import.
                            </Empty>
                        )
                    }
                </Asking>
            </Card>
            <Card title="Put the tag on your shop" pad>
                <div class="stack">
                    <p class="soft">
                        One line on every page. It waits for consent, never hides the page, and costs{" "}
                        {(TAG_BYTES / 1024).toFixed(1)} KB.
                    </p>
                    <code class="rule-text">{`<script async src="${location.origin}/tag.js" data-key="YOUR WRITE KEY"></script>`}</code>
                </div>
            </Card>
        </Page>
    );
}

interface DeadLetter {
    id: string;
    at: string;
    source: string;
    reason: string;
    event: unknown;
}

function Letter({ letter, onDone }: { letter: DeadLetter; onDone: () => void }) {
    const [open, set] = useState(false);
    const may = useMayEdit();
    return (
        <>
            <tr>
                <td>
                    <When at={letter.at} />
                </td>
                <td>{letter.source}</td>
                <td class="wrap">{letter.reason}</td>
                <td class="right">
                    <span class="line" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                        <button
                            class="button small quiet"
                            aria-expanded={open}
                            onClick={() => set(!open)}
                        >
                            Look
                        </button>
                        {may && (
                            <button
                                class="button small"
                                onClick={async () => {
                                    if (
                                        await attempt(
                                            () => post(`/v1/dead-letters/${part(letter.id)}/replay`),
                                            "Sent in again.",
                                        )
                                    )
                                        onDone();
                                }}
                            >
                                Replay
                            </button>
                        )}
                    </span>
                </td>
            </tr>
            {open && (
                <tr>
                    <td colSpan={4} style={{ background: "var(--raised)" }}>
                        {typeof letter.event === "string" ? (
                            <pre class="json">{letter.event}</pre>
                        ) : (
                            <Json value={letter.event} />
                        )}
                    </td>
                </tr>
            )}
        </>
    );
}

export function DeadLetters({ query }: { query: URLSearchParams }) {
    const source = query.get("source");
    const asked = useGet<{ dead_letters: DeadLetter[]; total: number }>(
        `/v1/dead-letters?limit=100${source ? `&source=${part(source)}` : ""}`,
    );
    return (
        <Page
            title="Dead letters"
            about="What could not be understood, kept whole, with the reason. Mend the cause, then replay."
            actions={
                source && (
                    <a class="button" href="#/dead-letters">
                        All sources
                    </a>
                )
            }
        >
            <Card
                title={
                    asked.data
                        ? `${plural(asked.data.total, "letter")}${source ? ` from ${source}` : ""}`
                        : "…"
                }
            >
                <Asking of={asked} n={6}>
                    {({ dead_letters }) =>
                        dead_letters.length ? (
                            <div class="scroll">
                                <table>
                                    <thead>
                                        <tr>
                                            <th>When</th>
                                            <th>Source</th>
                                            <th>Reason</th>
                                            <th>
                                                <span class="hidden">Actions</span>
                                            </th>
                                        </tr>
                                    </thead>
                                    <tbody>
                                        {dead_letters.map((l) => (
                                            <Letter key={l.id} letter={l} onDone={asked.reload} />
                                        ))}
                                    </tbody>
                                </table>
                            </div>
                        ) : (
                            <Empty title="Nothing was refused">That is how it should be.</Empty>
                        )
                    }
                </Asking>
            </Card>
        </Page>
    );
}

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
                            <div class="scroll">
                                <table>
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
                                </table>
                            </div>
                        ) : (
                            <Empty title="Nothing was changed yet" />
                        )
                    }
                </Asking>
            </Card>
        </Page>
    );
}
