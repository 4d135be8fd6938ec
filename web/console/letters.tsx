/* SPDX-License-Identifier: Apache-2.0
 *
 * letters.tsx - what was refused, with the reason: searched, mended in place, sent in again one by one or all of
 * one reason.
 */
import { useState } from "preact/hooks";
import { part, post } from "./api";
import { Asking, Card, Empty, Json, Page, Table, When, attempt, go, say, useGet, useMayEdit } from "./ui";
import { count, plural } from "./words";

interface DeadLetter {
    id: string;
    at: string;
    source: string;
    reason: string;
    event: unknown;
}
interface Found {
    dead_letters: DeadLetter[];
    total: number;
    groups?: { source: string; reason: string; count: number }[];
    next?: string | null;
}

function Mending({ letter, onDone }: { letter: DeadLetter; onDone: () => void }) {
    const [text, set] = useState(JSON.stringify(letter.event, null, 2));
    const again = (body: unknown) => async () => {
        if (await attempt(() => post(`/v1/dead-letters/${part(letter.id)}/replay`, body), "Sent in again.")) onDone();
    };
    const mended = () => {
        try {
            return { event: JSON.parse(text) };
        } catch {
            say("This is not JSON.", true);
            return null;
        }
    };
    return (
        <div class="stack">
            <textarea
                aria-label="The event, to mend"
                class="mono"
                rows={Math.min(24, text.split("\n").length + 1)}
                value={text}
                onInput={(e) => set(e.currentTarget.value)}
            />
            <span class="line">
                <button
                    class="button small primary"
                    onClick={() => {
                        const body = mended();
                        if (body) void again(body)();
                    }}
                >
                    Replay as mended
                </button>
                <button class="button small" onClick={again({ accept: true })}>
                    Take it as it is
                </button>
                <span class="soft small">As it is passes over the checks of its source.</span>
            </span>
        </div>
    );
}

function Letter({ letter, onDone }: { letter: DeadLetter; onDone: () => void }) {
    const [open, set] = useState(false);
    const may = useMayEdit();
    const kept = typeof letter.event !== "string";
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
                        <button class="button small quiet" aria-expanded={open} onClick={() => set(!open)}>
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
                        {kept ? <Json value={letter.event} /> : <pre class="json">{String(letter.event)}</pre>}
                        {kept && may && <Mending letter={letter} onDone={onDone} />}
                    </td>
                </tr>
            )}
        </>
    );
}

export function DeadLetters({ query }: { query: URLSearchParams }) {
    const may = useMayEdit();
    const asks = ["source", "reason", "q", "since", "before"]
        .filter((name) => query.get(name))
        .map((name) => `&${name}=${part(query.get(name)!)}`)
        .join("");
    const asked = useGet<Found>(`/v1/dead-letters?limit=100${asks}`);
    const [words, setWords] = useState(query.get("q") ?? "");
    const source = query.get("source");
    return (
        <Page
            title="Dead letters"
            about="What could not be taken, kept whole, with the reason. Mend it here or mend the cause, then replay."
            actions={
                asks && (
                    <a class="button" href="#/dead-letters">
                        All letters
                    </a>
                )
            }
        >
            <form
                class="line"
                onSubmit={(e) => {
                    e.preventDefault();
                    go(`dead-letters?${source ? `source=${part(source)}&` : ""}q=${part(words)}`);
                }}
            >
                <input
                    type="search"
                    aria-label="Words in a letter"
                    placeholder="Order number, address, words of the reason…"
                    value={words}
                    onInput={(e) => setWords(e.currentTarget.value)}
                />
                <button class="button">Search</button>
            </form>
            <Card
                title={asked.data ? `${plural(asked.data.total, "letter")}${source ? ` from ${source}` : ""}` : "…"}
            >
                <Asking of={asked} n={6}>
                    {({ dead_letters, groups, next }) =>
                        dead_letters.length ? (
                            <>
                                {groups && groups.length > 0 && (
                                    <div class="line" style={{ padding: "12px 16px" }}>
                                        {groups.slice(0, 12).map((g) => (
                                            <span class="line">
                                                <a
                                                    class="small wrap"
                                                    href={`#/dead-letters?source=${part(g.source)}&reason=${part(g.reason)}`}
                                                >
                                                    {g.source}: {g.reason} · {count(g.count)}
                                                </a>
                                                {may && (
                                                    <button
                                                        class="button small quiet"
                                                        aria-label={`Replay all ${g.count} of ${g.source}: ${g.reason}`}
                                                        onClick={() =>
                                                            attempt(async () => {
                                                                const done = await post<{ replayed: number; refused: number }>(
                                                                    "/v1/dead-letters/replay",
                                                                    { source: g.source, reason: g.reason },
                                                                );
                                                                say(`${done.replayed} taken, ${done.refused} refused again.`, done.replayed === 0);
                                                                asked.reload();
                                                            })
                                                        }
                                                    >
                                                        Replay all
                                                    </button>
                                                )}
                                            </span>
                                        ))}
                                    </div>
                                )}
                                <Table>
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
                                </Table>
                                {next && (
                                    <p style={{ padding: "12px 16px" }}>
                                        <a href={`#/dead-letters?before=${part(next)}${asks.replace(/&before=[^&]*/, "")}`}>Older ones</a>
                                    </p>
                                )}
                            </>
                        ) : (
                            <Empty title="Nothing was refused">That is how it should be.</Empty>
                        )
                    }
                </Asking>
            </Card>
        </Page>
    );
}
