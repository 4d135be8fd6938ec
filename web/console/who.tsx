/* SPDX-License-Identifier: Apache-2.0
 *
 * who.tsx - how somebody is found, the field that says as whom something is tried, and the shapes benches share.
 */
import { useId, useState } from "preact/hooks";
import { Problem, part, post } from "./api";
import { Field, attempt, go, useGet } from "./ui";

/** Somebody by an identifier, which is sent in a body and stands in no address; then to their page in the room `to`. */
export function Lookup({ to }: { to: string }) {
    const [text, set] = useState("");
    const [missing, setMissing] = useState("");
    async function find(e: Event) {
        e.preventDefault();
        const q = text.trim();
        const kinds = q.includes("@") ? ["email"] : ["user_id", "anonymous_id", "phone", "person_id"];
        setMissing("");
        await attempt(async () => {
            for (const kind of kinds) {
                try {
                    const { person_id } = await post<{ person_id: string }>("/v1/people/lookup", {
                        [kind]: q,
                    });
                    return go(`${to}/${part(person_id)}`);
                } catch (error) {
                    if (![400, 404, 422].includes((error as Problem).status)) throw error;
                }
            }
            return setMissing("Nobody has that identifier.");
        });
    }
    return (
        <form class="lookup" role="search" onSubmit={find}>
            <input
                type="search"
                aria-label="Find a person"
                placeholder="E-mail, phone or an id"
                required
                value={text}
                onInput={(e) => set(e.currentTarget.value)}
            />
            <button class="button">Find</button>
            <span class={missing ? "small wrong" : "hidden"} role="status">
                {missing}
            </span>
        </form>
    );
}

/** What was typed as the API's "person": p_12, user_id:ana-77, email:…, or a user id alone. */
export function personOf(who: string): Record<string, string> {
    const text = who.trim();
    if (!text) return {};
    if (/^p_\d+$/.test(text)) return { person_id: text };
    const [kind, value] = text.includes(":") ? text.split(/:(.*)/s) : [text.includes("@") ? "email" : "user_id", text];
    return { [kind.trim()]: value.trim() };
}

/** Anybody; those seen latest are offered by name. */
export function PersonField({ value, onInput }: { value: string; onInput: (who: string) => void }) {
    const asked = useGet<{ people: { person_id: string; display: string; segments: string[] }[] }>("/v1/people?limit=50");
    const list = useId();
    const known = asked.data?.people.find((p) => p.person_id === value.trim());
    const hint = known ? [known.display, known.segments.join(", ")].filter(Boolean).join(": ") : "p_12, an e-mail address or user_id:…";
    return (
        <div>
            <Field name="Person" hint={hint}>
                <input class="mono" list={list} autocomplete="off" placeholder="a stranger" value={value} onInput={(e) => onInput(e.currentTarget.value)} />
            </Field>
            <datalist id={list}>
                {(asked.data?.people ?? []).map((p) => (
                    <option value={p.person_id}>{p.display}</option>
                ))}
            </datalist>
        </div>
    );
}

/** How far something moved against another order of the same things: `was` and `is` count from 0, and -1 is not there. */
export function Moved({ was, is, against }: { was: number; is: number; against: string }) {
    if (was === is) return null;
    const up = was < 0 || was > is;
    return (
        <span class={`moved ${up ? "up" : "down"}`} title={`Places moved against ${against}`}>
            {was < 0 ? "new here" : up ? `↑ ${was - is}` : `↓ ${is - was}`}
        </span>
    );
}

/** A number on a slider, with its value at the end of its name. */
export function Dial({
    name,
    hint,
    value,
    shown,
    min = 0,
    max,
    step,
    disabled,
    onInput,
}: {
    name: string;
    hint?: string;
    value: number;
    shown?: string;
    min?: number;
    max: number;
    step: number;
    disabled?: boolean;
    onInput: (value: number) => void;
}) {
    const id = useId();
    return (
        <div class="dial">
            <label for={id}>
                {name} {hint && <span class="hint">{hint}</span>}
            </label>
            <output class="num" for={id}>
                {shown ?? value}
            </output>
            <input id={id} type="range" min={min} max={max} step={step} value={value} disabled={disabled} onInput={(e) => onInput(Number(e.currentTarget.value))} />
        </div>
    );
}
