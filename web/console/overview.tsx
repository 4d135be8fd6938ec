/* SPDX-License-Identifier: Apache-2.0
 *
 * overview.tsx - the shop as it happens: one object a second from the server.
 */
import { useEffect, useState } from "preact/hooks";
import { Overview as Now, get } from "./api";
import { Chart } from "./chart";
import { Badge, Bone, Card, Page } from "./ui";
import { ago, bytes, clock, count, fixed, money, plural, sentence } from "./words";

/** The overview, live while the page is open; `live` is false while the server does not answer. */
function useOverview(): { now?: Now; live: boolean } {
    const [state, set] = useState<{ now?: Now; live: boolean }>({ live: false });
    useEffect(() => {
        get<Now>("/v1/overview").then(
            (now) => set((s) => (s.now ? s : { now, live: s.live })),
            () => {},
        );
        let stream: EventSource;
        let again: ReturnType<typeof setTimeout>;
        const join = () => {
            stream = new EventSource("/v1/stream");
            stream.onmessage = (e) => set({ now: JSON.parse(e.data), live: true });
            stream.onerror = () => {
                set((s) => ({ ...s, live: false }));
                if (stream.readyState !== EventSource.CLOSED) return; /* the browser tries again itself */
                get("/v1/overview").catch(() => {}); /* signs out when that is why */
                again = setTimeout(join, 3000);
            };
        };
        join();
        return () => {
            clearTimeout(again);
            stream.close();
        };
    }, []);
    return state;
}

function Stat({ name, value, more }: { name: string; value?: string; more?: string }) {
    return (
        <dl class="card stat">
            <dt>{name}</dt>
            <dd class="num">
                <span>{value ?? <Bone w={110} h={26} />}</span>
                <small>{value === undefined ? <Bone w={70} h={14} /> : more}</small>
            </dd>
        </dl>
    );
}

export function Overview() {
    const { now, live } = useOverview();
    const last = now ? Math.floor(Date.parse(now.now) / 1000) : 0;
    const rates = now?.events.per_second ?? [];
    const peak = Math.max(0, ...rates);
    return (
        <Page
            title="Overview"
            about="What is happening in the shop, as it happens."
            actions={<Badge tone={live ? "good" : "warn"}>{live ? "Live" : "Connecting"}</Badge>}
        >
            <div class="grid">
                <Stat
                    name="Known people"
                    value={now && count(now.people.known)}
                    more={now && `${count(now.people.anonymous)} anonymous`}
                />
                <Stat
                    name="Events"
                    value={now && count(now.events.total)}
                    more={now && `${count(now.events.last_minute)} in the last minute`}
                />
                <Stat
                    name="Decisions"
                    value={now && count(now.decisions.total)}
                    more={now && `${count(now.decisions.last_minute)} in the last minute`}
                />
                <Stat
                    name="Orders"
                    value={now && count(now.orders)}
                    more={
                        now && (now.revenue.map((m) => money(m, true)).join(" · ") || "no revenue yet")
                    }
                />
            </div>
            <div class="two">
                <div class="stack wide">
                    <Card
                        title="Events a second"
                        side={<span class="soft small num">last minute · peak {peak}</span>}
                    >
                        <div class="pad" style={{ minHeight: "256px" }}>
                            {now ? (
                                <Chart
                                    fill
                                    height={220}
                                    label={`Events a second over the last minute, at most ${peak}`}
                                    at={rates.map((_, i) => last - rates.length + 1 + i)}
                                    lines={[{ name: "events", values: rates }]}
                                />
                            ) : (
                                <Bone h={220} />
                            )}
                        </div>
                    </Card>
                    <Card title="Housekeeping">
                        <div class="pad">
                            <dl class="facts">
                                <dt>Segments</dt>
                                <dd>
                                    {now ? (
                                        <a href="#/segments">{plural(now.segments, "segment")}</a>
                                    ) : (
                                        <Bone w={90} />
                                    )}
                                </dd>
                                <dt>Campaigns</dt>
                                <dd>
                                    {now ? (
                                        <a href="#/campaigns">{plural(now.campaigns, "campaign")}</a>
                                    ) : (
                                        <Bone w={90} />
                                    )}
                                </dd>
                                <dt>Not kept</dt>
                                <dd>
                                    {now ? (
                                        <>
                                            {count(now.refused.no_consent)} without consent ·{" "}
                                            {count(now.refused.duplicates)} repeated ·{" "}
                                            <a href="#/dead-letters">
                                                {plural(now.refused.dead_letters, "dead letter")}
                                            </a>
                                        </>
                                    ) : (
                                        <Bone w={180} />
                                    )}
                                </dd>
                                <dt>Log</dt>
                                <dd class="num">
                                    {now ? (
                                        `${plural(now.log.records, "record")}, ${bytes(now.log.bytes)}`
                                    ) : (
                                        <Bone w={140} />
                                    )}
                                </dd>
                                <dt>Web tag</dt>
                                <dd class="num">
                                    {fixed(TAG_BYTES / 1024, 1)} KB of {TAG_BYTES_MAX / 1024} KB
                                    gzipped
                                    <span
                                        class="bar"
                                        style={{ display: "block", margin: "5px 0", maxWidth: "220px" }}
                                    >
                                        <i style={{ width: `${(TAG_BYTES / TAG_BYTES_MAX) * 100}%` }} />
                                    </span>
                                    <small>
                                        {now?.tag?.main_ms != null
                                            ? `${now.tag.main_ms} ms of a page's main thread, budget 50 ms`
                                            : "main-thread time: no page views measured yet"}
                                    </small>
                                </dd>
                                <dt>Server</dt>
                                <dd>
                                    {now ? (
                                        `Opmaat ${now.version}, started ${ago(now.started_at)}`
                                    ) : (
                                        <Bone w={160} />
                                    )}
                                </dd>
                            </dl>
                        </div>
                    </Card>
                </div>
                <Card title="Latest">
                    {now ? (
                        <ul class="feed">
                            {now.latest.slice(0, 15).map((e, i) => (
                                <li key={`${e.at}${e.person_id}${e.type}${i}`}>
                                    <span class="soft small num">
                                        {clock(e.at, true)}
                                    </span>
                                    <span>
                                        {sentence(e.type)}
                                        {e.title || e.item ? (
                                            <span class="soft"> · {e.title ?? e.item}</span>
                                        ) : null}
                                    </span>
                                    <a class="small" href={`#/people/${e.person_id}`}>
                                        person
                                    </a>
                                </li>
                            ))}
                            {!now.latest.length && (
                                <li>
                                    <span />
                                    <span class="soft">
                                        Nothing yet. Put the tag on a page, or send an event.
                                    </span>
                                    <span />
                                </li>
                            )}
                        </ul>
                    ) : (
                        <div class="feed pad stack">
                            {Array.from({ length: 14 }, () => (
                                <Bone h={22} />
                            ))}
                        </div>
                    )}
                </Card>
            </div>
        </Page>
    );
}
