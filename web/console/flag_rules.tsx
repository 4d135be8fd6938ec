/* SPDX-License-Identifier: Apache-2.0
 *
 * flag_rules.tsx - the rules of a flag as they are edited: their order, whom each is for, what they get, and how many.
 */
import { useState } from "preact/hooks";
import { Definition, Doc } from "./api";
import { Refusal } from "./definition";
import { FactorForm, firstFactors, mayFactor, withFactors } from "./factors";
import { RangeBar, RolloutBar, asShare, shareOf } from "./ranges";
import { Card, Empty, Field, RuleBox } from "./ui";
import { sentence } from "./words";

export const types: Record<string, string> = { bool: "On or off", string: "Text", number: "Number", json: "JSON" };
export const kinds: Record<string, string> = { force: "One value", rollout: "Rollout", experiment: "Experiment" };

/* ---- values --------------------------------------------------------------------------------------- */

/** A value of the flag's type. What does not read as JSON stays as typed and does not reach the document. */
export function Value({ type, value, may, label, set, id }: { type: string; value: unknown; may: boolean; label?: string; set: (v: unknown) => void; id?: string }) {
    const [text, setText] = useState<string | null>(null);
    const rest = { id, "aria-label": label, disabled: !may };
    if (type === "bool")
        return (
            <select {...rest} value={String(value === true)} onChange={(e) => set(e.currentTarget.value === "true")}>
                <option value="false">Off</option>
                <option value="true">On</option>
            </select>
        );
    if (type === "number")
        return <input {...rest} type="number" step="any" value={Number(value ?? 0)} onInput={(e) => set(Number(e.currentTarget.value))} />;
    if (type === "string") return <input {...rest} value={String(value ?? "")} onInput={(e) => set(e.currentTarget.value)} />;
    return (
        <textarea
            {...rest}
            class="code"
            rows={2}
            spellcheck={false}
            aria-invalid={text !== null}
            value={text ?? JSON.stringify(value ?? null)}
            onInput={(e) => {
                const now = e.currentTarget.value;
                try {
                    set(JSON.parse(now));
                    setText(null);
                } catch {
                    setText(now);
                }
            }}
        />
    );
}

export const nothing: Record<string, unknown> = { bool: false, string: "", number: 0, json: null };
const something: Record<string, unknown> = { bool: true, string: "", number: 1, json: {} };

/* The whole document with another type: values that no longer fit begin anew. */
export function retyped(doc: Doc, type: string): Doc {
    const fit = (v: unknown, i: number) => (type === "json" ? v : (i ? something : nothing)[type]);
    return {
        ...doc,
        type,
        default: fit(doc.default, 0),
        rules: (doc.rules ?? []).map((r: Doc) => ({
            ...r,
            ...("value" in r ? { value: fit(r.value, 1) } : {}),
            ...(r.variations ? { variations: r.variations.map((v: Doc, i: number) => ({ ...v, value: fit(v.value, i) })) } : {}),
        })),
    };
}

function fresh(kind: string, type: string, key: string): Doc {
    if (kind === "experiment")
        return {
            key,
            kind,
            target: "",
            variations: [
                { key: "control", share: "50%", value: nothing[type] },
                { key: "treatment", share: "50%", value: something[type] },
            ],
        };
    return { key, kind, target: "", ...(kind === "rollout" ? { share: "10%" } : {}), value: something[type] };
}

/* ---- one rule --------------------------------------------------------------------------------------- */

interface RuleProps {
    r: Doc;
    type: string;
    flag: string;
    live?: Doc;
    version: string;
    flags: Definition[];
    may: boolean;
    set: (r: Doc) => void;
}

function Variations({ r, type, flag, version, may, set }: RuleProps) {
    const variations: Doc[] = r.variations ?? [];
    const put = (now: Doc[]) => set({ ...r, variations: now });
    const change = (i: number, more: Doc) => put(variations.map((v, k) => (k === i ? { ...v, ...more } : v)));
    const left = 100 - variations.reduce((sum, v) => sum + shareOf(v), 0);
    return (
        <div class="stack">
            {r.factors && <FactorForm rule={r} type={type} may={may} set={set} />}
            <RangeBar kind="flag" id={flag} rule={r.key} version={version} variations={variations} may={may} pinned={r.ranges} set={put} />
            {variations.map((v, i) => (
                <div class="fields" key={i}>
                    <Field name={i ? "Variation" : "Control"}>
                        <input class="mono" value={v.key ?? ""} disabled={!may} onInput={(e) => change(i, { key: e.currentTarget.value })} />
                    </Field>
                    <Field name="Share">
                        <input value={v.share ?? ""} disabled={!may || !!r.ranges} inputMode="decimal" onInput={(e) => change(i, { share: e.currentTarget.value })} />
                    </Field>
                    <Field name="Value">
                        <Value type={type} value={v.value} may={may} set={(value) => change(i, { value })} />
                    </Field>
                    {v.levels && (
                        <p class="hint">{Object.entries(v.levels).map(([factor, level]) => `${factor}: ${level}`).join(", ")}</p>
                    )}
                </div>
            ))}
            {may && !r.factors && (
                <div class="line">
                    <button
                        type="button"
                        class="button small"
                        onClick={() => put([...variations, { key: `v${variations.length + 1}`, share: asShare(Math.max(0, left)), value: something[type] }])}
                    >
                        Add a variation
                    </button>
                    {variations.length > 1 && (
                        <button type="button" class="button small quiet" onClick={() => put(variations.slice(0, -1))}>
                            Remove the last
                        </button>
                    )}
                    {mayFactor(type) && !r.ranges && (
                        <button type="button" class="button small quiet" onClick={() => set(withFactors(r, firstFactors, type))}>
                            Test several things at once
                        </button>
                    )}
                    <span class="hint">New ones come last, and go by 0 %: so nobody else moves.</span>
                </div>
            )}
        </div>
    );
}

/* {"ana-77": "b"}: who always gets what. */
function Forced({ r, may, set }: RuleProps) {
    const all = Object.entries((r.forced ?? {}) as Record<string, string>);
    const put = (pairs: [string, string][]) => set({ ...r, forced: pairs.length ? Object.fromEntries(pairs) : undefined });
    const [id, setId] = useState("");
    const keys: string[] = (r.variations ?? []).map((v: Doc) => v.key);
    return (
        <div>
            <span class="label">Always the same for these ids</span>
            <div class="stack" style={{ gap: "6px" }}>
                {all.map(([who, which], i) => (
                    <div class="line" key={who}>
                        <code class="grow wrap">{who}</code>
                        <select
                            style={{ width: "auto" }}
                            aria-label={`Variation of ${who}`}
                            value={which}
                            disabled={!may}
                            onChange={(e) => put(all.map((p, k) => (k === i ? [who, e.currentTarget.value] : p)))}
                        >
                            {keys.map((k) => (
                                <option>{k}</option>
                            ))}
                        </select>
                        {may && (
                            <button type="button" class="button small quiet" aria-label={`Remove ${who}`} onClick={() => put(all.filter((_, k) => k !== i))}>
                                Remove
                            </button>
                        )}
                    </div>
                ))}
                {may && (
                    <form
                        class="line"
                        onSubmit={(e) => {
                            e.preventDefault();
                            if (id.trim()) put([...all.filter(([who]) => who !== id.trim()), [id.trim(), keys[keys.length - 1]]]);
                            setId("");
                        }}
                    >
                        <input class="grow" aria-label="An id to add" placeholder="user id" value={id} onInput={(e) => setId(e.currentTarget.value)} />
                        <button class="button small">Add</button>
                    </form>
                )}
            </div>
        </div>
    );
}

/* Other flags that must have a value before this rule applies. */
function Requires({ r, flag, flags, may, set }: RuleProps) {
    const all: Doc[] = r.requires ?? [];
    const put = (now: Doc[]) => set({ ...r, requires: now.length ? now : undefined });
    const others = flags.filter((f) => f.key !== flag);
    const typeOf = (key: string) => flags.find((f) => f.key === key)?.document?.type ?? "json";
    return (
        <div>
            <span class="label">Only when other flags say</span>
            <div class="stack" style={{ gap: "6px" }}>
                {all.map((one, i) => (
                    <div class="line" key={i} style={{ flexWrap: "nowrap" }}>
                        <select
                            aria-label="Flag required"
                            value={one.flag}
                            disabled={!may}
                            onChange={(e) => put(all.map((o, k) => (k === i ? { flag: e.currentTarget.value, value: something[typeOf(e.currentTarget.value)] } : o)))}
                        >
                            {[...new Set([...others.map((f) => f.key), one.flag])].map((k) => (
                                <option>{k}</option>
                            ))}
                        </select>
                        <Value
                            type={typeOf(one.flag)}
                            label={`Value that ${one.flag} must have`}
                            value={one.value}
                            may={may}
                            set={(value) => put(all.map((o, k) => (k === i ? { ...o, value } : o)))}
                        />
                        {may && (
                            <button type="button" class="button small quiet" onClick={() => put(all.filter((_, k) => k !== i))}>
                                Remove
                            </button>
                        )}
                    </div>
                ))}
                {may && (
                    <div>
                        <button
                            type="button"
                            class="button small"
                            disabled={!others.length}
                            onClick={() => put([...all, { flag: others[0].key, value: something[typeOf(others[0].key)] }])}
                        >
                            {others.length ? "Add a prerequisite" : "There is no other flag to require"}
                        </button>
                    </div>
                )}
            </div>
        </div>
    );
}

/* Parts of a layer that other rules have. */
function Layer({ r, flag, flags, may, set }: RuleProps) {
    const layer: Doc = r.layer ?? {};
    const put = (more: Doc) => {
        const now: Doc = { from: "0%", to: "100%", ...layer, ...more };
        set({ ...r, layer: now.key ? now : undefined });
    };
    const taken = flags.flatMap((f) =>
        ((f.draft ?? f.document)?.rules ?? [])
            .filter((o: Doc) => o.layer?.key && o.layer.key === layer.key && !(f.key === flag && o.key === r.key))
            .map((o: Doc) => `${f.key}/${o.key} ${o.layer.from} to ${o.layer.to}`),
    );
    return (
        <>
            <Field name="Layer" hint={taken.length ? `Taken: ${taken.join(", ")}` : "Rules in one layer share nobody"}>
                <input class="mono" value={layer.key ?? ""} disabled={!may} placeholder="none" onInput={(e) => put({ key: e.currentTarget.value })} />
            </Field>
            {layer.key && (
                <>
                    <Field name="Layer from">
                        <input value={layer.from} disabled={!may} onInput={(e) => put({ from: e.currentTarget.value })} />
                    </Field>
                    <Field name="Layer to">
                        <input value={layer.to} disabled={!may} onInput={(e) => put({ to: e.currentTarget.value })} />
                    </Field>
                </>
            )}
        </>
    );
}

function Ramp({ r, may, set }: RuleProps) {
    const ramp: Doc | undefined = r.ramp;
    const put = (more: Doc) => set({ ...r, ramp: { ...ramp, ...more } });
    const [steps, setSteps] = useState<string>((ramp?.steps ?? []).join(", "));
    return (
        <div>
            <label class="check">
                <input
                    type="checkbox"
                    disabled={!may}
                    checked={!!ramp}
                    onChange={(e) => {
                        const on = e.currentTarget.checked;
                        const first = { steps: ["1%", "10%", "50%"], every: "1 day", guardrail: "order_rate" };
                        if (on) setSteps(first.steps.join(", "));
                        set({
                            ...r,
                            ramp: on ? first : undefined,
                            variations: on ? r.variations.map((v: Doc) => ({ ...v, share: "1%" })) : r.variations,
                        });
                    }}
                />
                Start small and grow by itself
            </label>
            {ramp && (
                <div class="fields">
                    <Field name="Steps" hint="Each variation's share, the smallest first">
                        <input
                            value={steps}
                            disabled={!may}
                            onInput={(e) => {
                                setSteps(e.currentTarget.value);
                                put({ steps: e.currentTarget.value.split(",").map((s) => s.trim()).filter(Boolean) });
                            }}
                        />
                    </Field>
                    <Field name="Each lasts">
                        <input value={ramp.every ?? ""} disabled={!may} placeholder="1 day" onInput={(e) => put({ every: e.currentTarget.value })} />
                    </Field>
                    <Field name="Stops when worse in">
                        <select value={ramp.guardrail ?? ""} disabled={!may} onChange={(e) => put({ guardrail: e.currentTarget.value || undefined })}>
                            <option value="">nothing: only by hand</option>
                            {["order_rate", "click_rate", "revenue_per_person"].map((m) => (
                                <option value={m}>{sentence(m)}</option>
                            ))}
                        </select>
                    </Field>
                </div>
            )}
        </div>
    );
}

function More(props: RuleProps) {
    const { r, may, set } = props;
    const said = [r.holdout && "holdout", r.layer && "layer", r.requires && "prerequisites", r.forced && "ids", r.sticky && "sticky", r.ramp && "ramp", r.hash && r.hash !== "opt3" && r.hash];
    const set_ = said.filter(Boolean).join(", ");
    return (
        <details open={!!set_}>
            <summary>More{set_ ? `: ${set_}` : ""}</summary>
            <div class="stack">
                {r.kind !== "force" && (
                    <div class="fields">
                        <Field name="Held out" hint="Of those it is for: they get the default">
                            <input
                                value={r.holdout ?? ""}
                                placeholder="0%"
                                disabled={!may}
                                onInput={(e) => set({ ...r, holdout: e.currentTarget.value || undefined })}
                            />
                        </Field>
                        <Field name="Hash" hint="gb2: for GrowthBook's SDKs that compute by themselves">
                            <select value={r.hash ?? "opt3"} disabled={!may} onChange={(e) => set({ ...r, hash: e.currentTarget.value === "opt3" ? undefined : e.currentTarget.value })}>
                                <option>opt3</option>
                                <option>gb2</option>
                                <option>gb1</option>
                            </select>
                        </Field>
                        <Layer {...props} />
                    </div>
                )}
                {r.kind === "experiment" && (
                    <>
                        <label class="check">
                            <input type="checkbox" disabled={!may} checked={!!r.sticky} onChange={(e) => set({ ...r, sticky: e.currentTarget.checked || undefined })} />
                            Who has seen a variation keeps it, whatever becomes of target and shares
                        </label>
                        <Ramp {...props} />
                        <Forced {...props} />
                    </>
                )}
                <Requires {...props} />
            </div>
        </details>
    );
}

/* What moves while it is dragged: the place of the rule. */
const DRAGGED = "application/x-opmaat-rule";

function RuleCard(props: RuleProps & { n: number; of: number; wrong: Refusal[]; move: (from: number, to: number) => void; remove: () => void }) {
    const { r, type, live, may, set, n, of, wrong, move, remove } = props;
    const [over, setOver] = useState(false);
    const name = r.key || `Rule ${n + 1}`;
    const change = (kind: string) => {
        const { key, title, target, requires } = r;
        set({ ...fresh(kind, type, key), ...(title ? { title } : {}), target, ...(requires ? { requires } : {}) });
    };
    return (
        <div
            class={over ? "dropping" : ""}
            onDragOver={(e) => {
                if (!e.dataTransfer?.types.includes(DRAGGED)) return;
                e.preventDefault();
                setOver(true);
            }}
            onDragLeave={() => setOver(false)}
            onDrop={(e) => {
                e.preventDefault();
                setOver(false);
                move(Number(e.dataTransfer?.getData(DRAGGED)), n);
            }}
        >
            <Card
                title={
                    <>
                        {may && of > 1 && (
                            <span
                                class="grip"
                                title={`Drag ${name} to another place`}
                                draggable
                                onDragStart={(e) => e.dataTransfer?.setData(DRAGGED, String(n))}
                            >
                                ⠿
                            </span>
                        )}
                        {n + 1}. {name}{" "}
                        <span class="soft small">{of > 1 ? (n ? "asked when those before did not apply" : "asked first") : ""}</span>
                    </>
                }
                side={
                    may && (
                        <span class="line">
                            <button type="button" class="button small quiet" disabled={n === 0} aria-label={`Move ${name} up`} onClick={() => move(n, n - 1)}>
                                ↑
                            </button>
                            <button type="button" class="button small quiet" disabled={n === of - 1} aria-label={`Move ${name} down`} onClick={() => move(n, n + 1)}>
                                ↓
                            </button>
                            <button type="button" class="button small quiet" aria-label={`Remove ${name}`} onClick={remove}>
                                Remove
                            </button>
                        </span>
                    )
                }
                pad
            >
                <div class="stack">
                    {wrong.map((e) => (
                        <div class="wrong small" role="alert">
                            {e.column ? `Column ${e.column}: ` : ""}
                            {e.message}
                        </div>
                    ))}
                    <div class="fields">
                        <Field name="Key" hint={live ? "Another key would divide people anew" : undefined}>
                            <input class="mono" value={r.key ?? ""} disabled={!may || !!live} onInput={(e) => set({ ...r, key: e.currentTarget.value })} />
                        </Field>
                        <Field name="What it does">
                            <select value={r.kind} disabled={!may} onChange={(e) => change(e.currentTarget.value)}>
                                <option value="force">Gives one value to all of them</option>
                                <option value="rollout">Gives one value to a share of them</option>
                                <option value="experiment">Divides them: an experiment</option>
                            </select>
                        </Field>
                        {r.kind !== "experiment" && (
                            <Field name="Value">
                                <Value type={type} value={r.value} may={may} set={(value) => set({ ...r, value })} />
                            </Field>
                        )}
                        {r.kind === "rollout" && (
                            <Field name="Share">
                                <input value={r.share ?? ""} disabled={!may} inputMode="decimal" onInput={(e) => set({ ...r, share: e.currentTarget.value })} />
                            </Field>
                        )}
                    </div>
                    <div>
                        <span class="label">Whom it is for</span>
                        <RuleBox
                            label={`Target of ${name}`}
                            kind="target"
                            preview={!/\bcontext\./.test(r.target ?? "")}
                            value={r.target ?? ""}
                            disabled={!may}
                            empty="Empty means everyone."
                            onInput={(target) => set({ ...r, target })}
                        />
                    </div>
                    {r.kind === "rollout" && <RolloutBar share={r.share} live={live?.kind === "rollout" ? live.share : undefined} may={may} set={(share) => set({ ...r, share })} />}
                    {r.kind === "experiment" && <Variations {...props} />}
                    <More {...props} />
                </div>
            </Card>
        </div>
    );
}

/* A refusal that names a rule, by its path or in its words. */
const about = (e: Refusal, key: string) => !!key && (e.path?.startsWith(`rules.${key}.`) || e.message.startsWith(`rule ${key}:`));

/** All of them, in the order they are asked. `live`: the document that is in force; undefined: none is. */
export function Rules({
    doc,
    live,
    version,
    flags,
    refused,
    may,
    set,
}: {
    doc: Doc;
    live?: Doc;
    version: string;
    flags: Definition[];
    refused: Refusal[];
    may: boolean;
    set: (rules: Doc[]) => void;
}) {
    const rules: Doc[] = doc.rules ?? [];
    const liveRule = (key: string) => (live?.rules ?? []).find((r: Doc) => r.key === key);
    const move = (from: number, to: number) => {
        if (!(from >= 0 && from < rules.length) || to < 0 || to >= rules.length || from === to) return;
        const rest = rules.filter((_, i) => i !== from);
        set([...rest.slice(0, to), rules[from], ...rest.slice(to)]);
    };
    const key = () => {
        for (let i = rules.length + 1; ; i++) if (!rules.some((r) => r.key === `rule_${i}`)) return `rule_${i}`;
    };
    return (
        <>
            {rules.map((r, i) => (
                <RuleCard
                    key={i}
                    n={i}
                    of={rules.length}
                    r={r}
                    type={doc.type}
                    flag={doc.key}
                    live={liveRule(r.key)}
                    version={version}
                    flags={flags}
                    may={may}
                    wrong={refused.filter((e) => about(e, r.key))}
                    set={(now) => set(rules.map((old, k) => (k === i ? now : old)))}
                    move={move}
                    remove={() => set(rules.filter((_, k) => k !== i))}
                />
            ))}
            {!rules.length && (
                <Card>
                    <Empty title="No rules yet">Everybody gets the default.</Empty>
                </Card>
            )}
            {may && (
                <div class="line">
                    {["force", "rollout", "experiment"].map((kind) => (
                        <button type="button" class="button" onClick={() => set([...rules, fresh(kind, doc.type, key())])}>
                            Add: {kinds[kind].toLowerCase()}
                        </button>
                    ))}
                </div>
            )}
        </>
    );
}
