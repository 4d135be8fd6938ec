/* SPDX-License-Identifier: Apache-2.0
 *
 * quizzes.tsx - what shoppers are asked: written, looked at as they will see it, and where its answers are used.
 */
import { useState } from "preact/hooks";
import { Definition, Doc, call, part, post } from "./api";
import { DefinitionPage, Editing, Named, Text, first } from "./definition";
import { Card, Empty, Listing, Page, Row, Standing, attempt, go, useGet, useMayEdit } from "./ui";
import { plural } from "./words";

interface Saying {
    key: string;
    text: unknown;
}
interface Question extends Saying {
    answers: Saying[];
}

export function Quizzes() {
    const asked = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=quiz");
    const may = useMayEdit();
    return (
        <Page
            title="Quizzes"
            about="What shoppers tell you themselves: each answer is a declared fact, before anything inferred."
            actions={
                may && (
                    <a class="button primary" href="#/quizzes/new">
                        New quiz
                    </a>
                )
            }
        >
            <Card>
                <Listing
                    of={asked}
                    n={4}
                    rows={(data) => data.definitions}
                    head={["Quiz", "Asks", "State", "Changed"]}
                    row={(d) => (
                        <Row key={d.key} to={`/quizzes/${part(d.key)}`}>
                            <td>
                                <a href={`#/quizzes/${part(d.key)}`}>{first(d.document?.title) || d.key}</a>
                                <div class="soft small">{d.key}</div>
                            </td>
                            <td>{plural(d.document?.questions?.length ?? 0, "question")}</td>
                            <Standing of={d} />
                        </Row>
                    )}
                    empty={
                        <Empty title="No quizzes yet">
                            Three questions about taste tell more than a month of clicks, and shoppers know you know.
                        </Empty>
                    }
                />
            </Card>
        </Page>
    );
}

/* ---- one ---------------------------------------------------------------------------------------- */

const slug = (text: string) =>
    text
        .toLowerCase()
        .normalize("NFD")
        .replace(/[\u0300-\u036f]/g, "")
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-|-$/g, "")
        .slice(0, 40);

/* A key follows its text until the quiz was live: from then on rules may ask for it. */
const retold = <T extends Saying>(row: T, text: unknown, free: boolean): T => ({
    ...row,
    text,
    key: free && row.key === slug(first(row.text)) ? slug(first(text)) : row.key,
});
const swapped = <T,>(list: T[], i: number, by: T) => list.map((one, k) => (k === i ? by : one));
const without = <T,>(list: T[], i: number) => list.filter((_, k) => k !== i);

function Asked({ q, may, free, onChange, onRemove }: {
    q: Question;
    may: boolean;
    free: boolean;
    onChange: (q: Question) => void;
    onRemove: () => void;
}) {
    return (
        <Card
            title={first(q.text) || "A question"}
            side={
                may && (
                    <button class="button small quiet" onClick={onRemove}>
                        Remove the question
                    </button>
                )
            }
            pad
        >
            <div class="stack">
                <Text name="question" type="text" may={may} value={q.text} onInput={(text) => onChange(retold(q, text, free))} />
                <div>
                    <span class="label">Asked for in rules as</span>
                    <input
                        class="mono"
                        aria-label="Key of the question"
                        value={q.key}
                        disabled={!may || !free}
                        onInput={(e) => onChange({ ...q, key: e.currentTarget.value })}
                    />
                </div>
                {q.answers.map((a, i) => (
                    <div class="answer" key={i}>
                        <Text
                            name={`answer ${i + 1}`}
                            type="text"
                            may={may}
                            value={a.text}
                            onInput={(text) => onChange({ ...q, answers: swapped(q.answers, i, retold(a, text, free)) })}
                        />
                        <div class="line spread">
                            <code class="soft small">{`quiz("${q.key}") = "${a.key}"`}</code>
                            {may && q.answers.length > 1 && (
                                <button
                                    class="link small"
                                    onClick={() => onChange({ ...q, answers: without(q.answers, i) })}
                                    aria-label={`Remove answer ${i + 1}`}
                                >
                                    Remove
                                </button>
                            )}
                        </div>
                    </div>
                ))}
                {may && (
                    <div>
                        <button
                            class="button small"
                            onClick={() => onChange({ ...q, answers: [...q.answers, { key: "", text: "" }] })}
                        >
                            Add an answer
                        </button>
                    </div>
                )}
            </div>
        </Card>
    );
}

/* Who gave one answer, as a segment: written and opened. */
async function segmentOf(q: Question, a: Saying): Promise<void> {
    const key = `${slug(q.key)}_${slug(a.key)}`.replace(/-/g, "_");
    await attempt(async () => {
        await call("PUT", `/v1/definitions/segment/${part(key)}`, {
            kind: "segment",
            key,
            title: `${first(q.text)} ${first(a.text)}`,
            rule: `quiz("${q.key}") = "${a.key}"`,
        });
        await post(`/v1/definitions/segment/${part(key)}/publish`);
        go(`/segments/${part(key)}`);
    }, "The segment is live.");
}

function Seen({ doc, live, may }: { doc: Doc; live: boolean; may: boolean }) {
    const [at, set] = useState<Record<string, string>>({});
    const questions: Question[] = doc.questions ?? [];
    return (
        <Card title="As shoppers see it" pad>
            <div class="stack">
                <h3>{first(doc.title)}</h3>
                {questions.map((q) => {
                    const chosen = q.answers.find((a) => a.key === at[q.key]);
                    return (
                        <fieldset class="bare stack" key={q.key}>
                            <legend class="label">{first(q.text) || "The question"}</legend>
                            {q.answers.map((a, i) => (
                                <label class="check" key={a.key}>
                                    <input
                                        type="radio"
                                        name={q.key}
                                        checked={at[q.key] === a.key}
                                        onChange={() => set({ ...at, [q.key]: a.key })}
                                    />
                                    {first(a.text) || <span class="soft">Answer {i + 1}</span>}
                                </label>
                            ))}
                            {chosen && live && may && (
                                <div>
                                    <button class="button small" onClick={() => segmentOf(q, chosen)}>
                                        A segment of who says so
                                    </button>
                                </div>
                            )}
                        </fieldset>
                    );
                })}
            </div>
        </Card>
    );
}

function Form({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const { doc, set } = of;
    const questions: Question[] = doc.questions ?? [];
    const put = (list: Question[]) => set({ ...doc, questions: list });
    const free = !of.held.data?.published_revision;
    return (
        <div class="two">
            <div class="stack wide">
                <Card title="The quiz" pad>
                    <div class="fields">
                        <Named of={of} may={may} isNew={isNew} like={["Find your skin type", "skin"]} told />
                        <div class="all">
                            <Text
                                name="thanks"
                                type="text"
                                may={may}
                                value={doc.thanks}
                                onInput={(thanks) => set({ ...doc, thanks: thanks || undefined })}
                            />
                        </div>
                    </div>
                </Card>
                {questions.map((q, i) => (
                    <Asked
                        key={i}
                        q={q}
                        may={may}
                        free={free}
                        onChange={(now) => put(swapped(questions, i, now))}
                        onRemove={() => put(without(questions, i))}
                    />
                ))}
                {may && (
                    <div>
                        <button
                            class="button"
                            onClick={() => put([...questions, { key: "", text: "", answers: [{ key: "", text: "" }, { key: "", text: "" }] }])}
                        >
                            Add a question
                        </button>
                    </div>
                )}
                <Card title="Put it on a page" pad>
                    <code class="rule-text">{`<div data-opmaat-quiz="${doc.key || "key"}"></div>`}</code>
                    <p class="hint" style={{ marginTop: "8px" }}>
                        The tag asks it there. Answers leave the page only with consent.
                    </p>
                </Card>
            </div>
            <Seen doc={doc} live={of.held.data?.state === "published"} may={may} />
        </div>
    );
}

export function QuizPage({ id }: { id: string }) {
    return (
        <DefinitionPage
            kind="quiz"
            id={id}
            room="quizzes"
            rooms="Quizzes"
            blank={{
                kind: "quiz",
                key: "",
                title: "",
                questions: [{ key: "", text: "", answers: [{ key: "", text: "" }, { key: "", text: "" }] }],
            }}
            about={(doc) => plural(doc.questions?.length ?? 0, "question")}
        >
            {(of, may, isNew) => <Form of={of} may={may} isNew={isNew} />}
        </DefinitionPage>
    );
}
