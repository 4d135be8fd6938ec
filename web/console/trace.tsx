/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.tsx - why: a rule leaf by leaf, and a decision's trace. A trace may hold anything; what
 * looks like a rule's node is drawn as one, the rest as names and values.
 */
import type { ExplainNode } from "./api";
import { When } from "./ui";
import { moment, sentence } from "./words";

const signs: Record<string, string> = { true: "✓", false: "✕", unknown: "?" };
const words: Record<string, string> = { true: "true", false: "not true", unknown: "not known" };

export function Why({ node }: { node: ExplainNode }) {
    const result = String(node.result ?? "");
    return (
        <li>
            <div class="leaf">
                <span class={`sign ${result}`} role="img" aria-label={words[result] ?? result}>
                    {signs[result] ?? "·"}
                </span>
                <code class="wrap">{node.text}</code>
                {node.value != null && <span class="soft small">is {String(node.value)}</span>}
                {node.next_change_at && (
                    <span class="soft small" title={moment(node.next_change_at)}>
                        can change <When at={node.next_change_at} />
                    </span>
                )}
            </div>
            {node.events && node.events.length > 0 && (
                <details class="small" style={{ marginLeft: "26px" }}>
                    <summary>
                        {node.events.length === 1 ? "the event" : `the ${node.events.length} events`}{" "}
                        behind it
                    </summary>
                    <ul>
                        {node.events.map((e) => (
                            <li>
                                {sentence(e.type)}
                                {e.item ? ` · ${e.item}` : ""} · <When at={e.at} />
                            </li>
                        ))}
                    </ul>
                </details>
            )}
            {node.children && node.children.length > 0 && (
                <ul>
                    {node.children.map((c) => (
                        <Why node={c} />
                    ))}
                </ul>
            )}
        </li>
    );
}

const isNode = (v: any): v is ExplainNode =>
    v && typeof v === "object" && typeof v.text === "string" && "result" in v;
const isTime = (v: unknown): v is string => typeof v === "string" && /^\d{4}-\d\d-\d\dT/.test(v);

function Anything({ name, value }: { name?: string; value: any }) {
    if (
        value === null
        || value === undefined
        || value === ""
        || (Array.isArray(value) && !value.length)
    )
        return null;
    const title = name && <span class="soft">{sentence(name)}</span>;
    if (isNode(value))
        return (
            <>
                {title && <li>{title}</li>}
                <Why node={value} />
            </>
        );
    if (Array.isArray(value)) {
        const flat = value.every((v) => typeof v !== "object");
        if (flat)
            return (
                <li>
                    {title} {value.join(", ")}
                </li>
            );
        return (
            <li>
                {title}
                <ul>
                    {value.map((v) => (
                        <Anything value={v} />
                    ))}
                </ul>
            </li>
        );
    }
    if (typeof value === "object") {
        const head = [
            "key",
            "campaign",
            "experience",
            "variation",
            "guard",
            "product_key",
            "title",
        ].find((k) => typeof value[k] === "string");
        const verdict = ["outcome", "verdict", "status", "why", "reason"].find(
            (k) => typeof value[k] === "string",
        );
        const rest = Object.entries(value).filter(([k]) => k !== head && k !== verdict);
        return (
            <li>
                {title} {head && <strong>{value[head]}</strong>}
                {verdict && <span> — {sentence(value[verdict])}</span>}
                {rest.length > 0 && (
                    <ul>
                        {rest.map(([k, v]) => (
                            <Anything key={k} name={k} value={v} />
                        ))}
                    </ul>
                )}
            </li>
        );
    }
    return (
        <li>
            {title} {isTime(value) ? <When at={value} /> : <span class="num">{String(value)}</span>}
        </li>
    );
}

export const Trace = ({ trace }: { trace: unknown }) => (
    <ul class="tree small">
        {trace && typeof trace === "object" && !Array.isArray(trace) && !isNode(trace) ? (
            Object.entries(trace).map(([k, v]) => <Anything key={k} name={k} value={v} />)
        ) : (
            <Anything value={trace} />
        )}
    </ul>
);
