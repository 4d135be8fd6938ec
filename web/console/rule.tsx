/* SPDX-License-Identifier: Apache-2.0
 *
 * rule.tsx - the box a rule is typed in, wherever one is: words are completed, mistakes underlined where they are, and
 * people counted while one types.
 *
 * The words of the language and the events come from the server's own tables when this is built (build.mjs); segments and
 * quizzes are asked of it when the box is first entered.
 */
import { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Definition, RuleCheck, RuleError, Segment, get, post } from "./api";
import { READER, fixed } from "./words";

/* ---- completion ------------------------------------------------------------------------------- */

interface Word {
    text: string;
    /* what it is, beside it */
    as: string;
}
interface Known {
    segments: Word[];
    questions: Word[];
    answers: Record<string, Word[]>;
}

const plain = (as: string, list: string) => list.split(" ").map((text) => ({ text, as }));
const joints = plain("word", "and or not between last where under contains matches days hours minutes then within true false");
const traits = plain("person", "gender age country region language device stage intent retention");
const items = plain(
    "item",
    "item.price item.list_price item.brand item.category item.colour item.gender item.in_stock item.stock item.margin item.age_days item.title",
);
const contexts = plain(
    "context",
    "context.market context.locale context.channel context.device context.store context.country context.hour context.weekday context.weather",
);
const calls = RULE_CALLS.map((text) => ({ text: `${text}(`, as: "question" }));
const events = EVENT_NAMES.map((text) => ({ text, as: "event" }));
const dimensions = plain("liking of", "category brand colour gender price");

let asked: Promise<Known> | undefined;

/* Once for the whole visit of the console; what cannot be had is not completed. */
function known(): Promise<Known> {
    asked ??= Promise.all([
        get<{ segments: Segment[] }>("/v1/segments").catch(() => ({ segments: [] })),
        get<{ definitions: Definition[] }>("/v1/definitions?kind=quiz").catch(() => ({ definitions: [] })),
    ]).then(([{ segments }, { definitions }]) => {
        const questions = definitions.flatMap((d) => d.document?.questions ?? []) as {
            key: string;
            answers: { key: string }[];
        }[];
        return {
            segments: segments.map((s) => ({ text: s.key, as: s.title })),
            questions: questions.map((q) => ({ text: q.key, as: "question" })),
            answers: Object.fromEntries(
                questions.map((q) => [q.key, q.answers.map((a) => ({ text: a.key, as: "answer" }))]),
            ),
        };
    });
    return asked;
}

/** What may stand at the end of `before`, and how much of it is typed already. */
export function completions(before: string, k: Known | undefined): { typed: string; words: Word[]; close: string } {
    const quoted = before.match(/"([^"]*)$/);
    const open = (before.match(/"/g) ?? []).length % 2 === 1;
    let words: Word[];
    let typed: string;
    let close = "";
    if (open && quoted) {
        const lead = before.slice(0, -quoted[0].length);
        const answer = lead.match(/quiz\("([^"]+)"\)\s*!?=\s*$/);
        typed = quoted[1];
        close = '"';
        words = /\bin segment\s*$/.test(lead)
            ? (k?.segments ?? [])
            : /quiz\($/.test(lead)
              ? (k?.questions ?? [])
              : answer
                ? (k?.answers[answer[1]] ?? [])
                : [];
    } else {
        typed = before.match(/[\w.]*$/)![0];
        const lead = before.slice(0, before.length - typed.length);
        if (/affinity\($/.test(lead)) words = dimensions;
        else if (/(count|did|distinct)\($/.test(lead)) words = events;
        else if (!typed) words = [];
        else words = [...calls, ...traits, ...joints, { text: 'in segment "', as: "word" }, ...events, ...items, ...contexts];
        if (!typed && words !== dimensions && words !== events) words = [];
    }
    const low = typed.toLowerCase();
    const found = words.filter((w) => w.text.toLowerCase().startsWith(low) && w.text !== typed);
    const inside = words.filter((w) => low.length > 1 && w.text.toLowerCase().indexOf(low) > 0);
    return { typed, words: [...found, ...inside].slice(0, 8), close };
}

/* ---- the box ---------------------------------------------------------------------------------- */
function marked(text: string, errors: RuleError[]): ComponentChildren[] {
    const parts: ComponentChildren[] = [];
    let at = 0;
    for (const e of [...errors].sort((a, b) => a.column - b.column)) {
        const from = Math.max(at, Math.min(e.column - 1, Math.max(0, text.length - 1)));
        const to = Math.min(text.length, from + Math.max(1, e.length));
        parts.push(text.slice(at, from), <mark>{text.slice(from, to)}</mark>);
        at = to;
    }
    return [...parts, text.slice(at), "\n"];
}

/** A rule, checked as it is typed; with `preview` it also says how many people it holds now. */
export function RuleBox({
    value,
    onInput,
    kind = "segment",
    label,
    disabled,
    preview,
    empty,
}: {
    value: string;
    onInput: (text: string) => void;
    kind?: string;
    label: string;
    disabled?: boolean;
    preview?: boolean;
    empty?: string;
}) {
    const [check, setCheck] = useState<RuleCheck & { of: string }>();
    const [people, setPeople] = useState<{
        count: number;
        took_us: number;
        sample: { person_id: string; display: string }[];
    }>();
    const box = useRef<HTMLTextAreaElement>(null);
    const id = useId();
    const taken = useRef<number | null>(null);
    const [vocabulary, setVocabulary] = useState<Known>();
    /* where the caret is while words are offered, and which of them is picked */
    const [offer, setOffer] = useState<{ at: number; pick: number } | null>(null);
    const offered = offer ? completions(value.slice(0, offer.at), vocabulary) : null;
    const words = offered?.words ?? [];
    const take = (word: Word) => {
        if (!offer || !offered) return;
        const end = word.text.endsWith('"') ? "" : offered.close;
        const rest = value.slice(offer.at);
        const from = offer.at - offered.typed.length;
        const close = rest.startsWith(end) ? "" : end;
        const caret = from + word.text.length + end.length;
        onInput(value.slice(0, from) + word.text + close + rest);
        /* what has an opening end goes on being completed */
        setOffer(/[("]$/.test(word.text) ? { at: caret, pick: 0 } : null);
        taken.current = caret;
    };
    /* before the next key is heard */
    useLayoutEffect(() => {
        if (taken.current !== null) box.current?.setSelectionRange(taken.current, taken.current);
        taken.current = null;
    }, [value]);
    const onKey = (e: KeyboardEvent) => {
        if (!offer || !words.length) return;
        const n = words.length;
        if (e.key === "ArrowDown") setOffer({ ...offer, pick: (offer.pick + 1) % n });
        else if (e.key === "ArrowUp") setOffer({ ...offer, pick: (offer.pick + n - 1) % n });
        else if (e.key === "Enter" || (e.key === "Tab" && !e.shiftKey)) take(words[Math.min(offer.pick, n - 1)]);
        else if (e.key === "Escape") setOffer(null);
        else return;
        e.preventDefault();
        e.stopPropagation();
    };
    useEffect(() => {
        if (!value.trim()) return (setCheck(undefined), setPeople(undefined));
        let stale = false;
        const timer = setTimeout(async () => {
            try {
                const answer = await post<RuleCheck>("/v1/rules/check", { rule: value, in: kind });
                if (stale) return;
                setCheck({ ...answer, of: value });
                if (answer.ok && preview) {
                    const found = await post<any>("/v1/segments/preview", { rule: value });
                    if (!stale) setPeople(found);
                }
            } catch {
                /* the next key press asks again */
            }
        }, 250);
        return () => {
            stale = true;
            clearTimeout(timer);
        };
    }, [value, kind, preview]);
    useEffect(() => {
        const b = box.current;
        if (!b || CSS.supports("field-sizing", "content")) return;
        b.style.height = "auto";
        b.style.height = `${b.scrollHeight}px`;
    }, [value]);
    const errors = check && !check.ok && check.of === value ? (check.errors ?? []) : [];
    return (
        <div>
            <div class={`rule ${errors.length ? "bad" : ""}`}>
                <div class="copy" aria-hidden="true">
                    {marked(value, errors)}
                </div>
                <textarea
                    ref={box}
                    aria-label={label}
                    spellcheck={false}
                    autocapitalize="off"
                    value={value}
                    disabled={disabled}
                    aria-invalid={errors.length > 0}
                    placeholder={
                        kind === "filter"
                            ? "item.in_stock and item.price < 100 EUR"
                            : 'count(product_viewed where category under "jeans", last 30 days) >= 3'
                    }
                    aria-autocomplete="list"
                    aria-controls={`${id}-words`}
                    aria-activedescendant={words.length ? `${id}-${offer!.pick}` : undefined}
                    onFocus={() => void known().then(setVocabulary)}
                    onBlur={() => setOffer(null)}
                    onClick={() => setOffer(null)}
                    onKeyDown={onKey}
                    onInput={(e) => {
                        onInput(e.currentTarget.value);
                        setOffer({ at: e.currentTarget.selectionStart, pick: 0 });
                    }}
                />
                <ul class="words" id={`${id}-words`} role="listbox" aria-label="Words" hidden={!words.length}>
                    {words.map((w, i) => (
                        <li
                            key={w.text}
                            id={`${id}-${i}`}
                            role="option"
                            aria-selected={i === offer?.pick}
                            onMouseDown={(e) => {
                                e.preventDefault();
                                take(w);
                            }}
                        >
                            <code>{w.text}</code> <span class="soft small">{w.as}</span>
                        </li>
                    ))}
                </ul>
            </div>
            <div class="rule-foot" role="status">
                {!value.trim() && empty && <span class="soft">{empty}</span>}
                {errors.map((e) => (
                    <div class="wrong">
                        Column {e.column}: {e.message}
                        {e.hint ? <span class="soft"> — {e.hint}</span> : null}
                    </div>
                ))}
                {check?.ok && check.of === value ? (
                    <div class="soft">
                        <span style={{ color: "var(--good)" }}>✓</span> This rule stands
                        {preview && people ? (
                            <>
                                : <strong>{people.count.toLocaleString(READER)}</strong> {people.count === 1 ? "person" : "people"} now{" "}
                                <span title="Time the question took">
                                    (
                                    {people.took_us < 1000
                                        ? `${people.took_us} µs`
                                        : `${fixed(people.took_us / 1000, 1)} ms`}
                                    )
                                </span>
                                {people.sample?.length ? (
                                    <>
                                        , for example{" "}
                                        {people.sample.slice(0, 3).map((p, i) => (
                                            <>
                                                {i ? ", " : ""}
                                                <a href={`#/people/${p.person_id}`}>{p.display}</a>
                                            </>
                                        ))}
                                    </>
                                ) : null}
                            </>
                        ) : null}
                    </div>
                ) : null}
            </div>
        </div>
    );
}
