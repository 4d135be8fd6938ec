/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.tsx - flags: the list, the editor, links that force a variation, and what each SDK's protocol cannot say. A flag has a
 * default and ordered rules, of which the first that applies answers.
 */
import { useState } from "preact/hooks";
import { Definition, Doc, part, post } from "./api";
import { DefinitionPage, Editing, Named, inForce } from "./definition";
import { Rules, Value, kinds, nothing, retyped, types } from "./flag_rules";
import { shareOf } from "./ranges";
import { Asking, Badge, Card, Empty, Field, Listing, Page, Row, Standing, Table, attempt, say, useGet, useMayEdit } from "./ui";
import { plural, sentence } from "./words";

/* ---- the list ----------------------------------------------------------------------------------- */

/* Of those whom the target holds for, how many get something of the rule; in per cent. */
function reach(rule: Doc): number {
    const layer = rule.layer ? shareOf({ share: rule.layer.to }) - shareOf({ share: rule.layer.from }) : 100;
    const own =
        rule.kind === "force"
            ? 100
            : rule.kind === "rollout"
              ? shareOf(rule)
              : (rule.variations ?? []).reduce((sum: number, v: Doc) => sum + shareOf(v), 0);
    return Math.round(own * (layer / 100) * (1 - shareOf({ share: rule.holdout }) / 100) * 100) / 100;
}

const Reach = ({ rules }: { rules: Doc[] }) => (
    <>
        {rules.map((r) => (
            <div key={r.key}>
                {reach(r)} % <span class="soft">{r.target?.trim() ? "of its target" : "of everyone"}</span>
            </div>
        ))}
    </>
);

export function Flags() {
    const asked = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=flag");
    const may = useMayEdit();
    const fresh = may && (
        <a class="button primary" href="#/flags/new">
            New flag
        </a>
    );
    return (
        <Page
            title="Flags"
            about="What your own code asks: is it on, and which of them is it? The first rule that applies answers."
            actions={
                <>
                    <a class="button" href="#/flags/lint">
                        In SDKs
                    </a>
                    {fresh}
                </>
            }
        >
            <Card>
                <Listing
                    of={asked}
                    rows={({ definitions }) => definitions}
                    head={["Flag", "Type", "Rules", "Reach", "State", "Changed", ""]}
                    row={(d) => (
                        <Row key={d.key} to={`/flags/${part(d.key)}`}>
                            <td>
                                <a href={`#/flags/${part(d.key)}`}>{d.title || d.key}</a>
                                <div class="soft small">
                                    <code>{d.key}</code>
                                </div>
                            </td>
                            <td>{types[d.document?.type] ?? d.document?.type}</td>
                            <td class="small">
                                {(d.document?.rules ?? []).map((r: Doc) => (
                                    <div key={r.key}>
                                        {r.key} <span class="soft">{(kinds[r.kind] ?? r.kind).toLowerCase()}</span>
                                    </div>
                                ))}
                                {!d.document?.rules?.length && <span class="soft">the default only</span>}
                            </td>
                            <td class="small num" style={{ textAlign: "left" }}>
                                <Reach rules={d.document?.rules ?? []} />
                            </td>
                            <Standing of={d} />
                            <td class="right">
                                <a class="button small" href={`#/flags/${part(d.key)}/results`}>
                                    Results
                                </a>
                            </td>
                        </Row>
                    )}
                    empty={
                        <Empty title="No flags yet">
                            A flag turns a part of your shop on for those you choose, from any SDK you already use.
                            <br />
                            {fresh}
                        </Empty>
                    }
                />
            </Card>
        </Page>
    );
}

/* ---- one flag ------------------------------------------------------------------------------------- */

function Form({ of, may, isNew }: { of: Editing; may: boolean; isNew: boolean }) {
    const { doc, set } = of;
    const flags = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=flag");
    const held = of.held.data;
    const live = held?.published_revision ? held.document : undefined;
    return (
        <>
            <Card title="What it is" pad>
                <div class="fields">
                    <Named of={of} may={may} isNew={isNew} like={["New checkout", "checkout"]} />
                    <Field name="Type">
                        <select value={doc.type} disabled={!may || !!live} onChange={(e) => set(retyped(doc, e.currentTarget.value))}>
                            {Object.entries(types).map(([key, name]) => (
                                <option value={key}>{name}</option>
                            ))}
                        </select>
                    </Field>
                    <Field name="Default" hint="For whom no rule applies, and for all while it is paused">
                        <Value type={doc.type} value={doc.default} may={may} set={(value) => set({ ...doc, default: value })} />
                    </Field>
                </div>
            </Card>
            <Rules
                doc={doc}
                live={live}
                version={inForce(of)}
                flags={flags.data?.definitions ?? []}
                refused={of.refused}
                may={may}
                set={(rules) => set({ ...doc, rules })}
            />
        </>
    );
}

/* ---- looking at one variation ----------------------------------------------------------------------- */

function Links({ id }: { id: string }) {
    const asked = useGet<Definition>(`/v1/definitions/flag/${part(id)}`);
    return (
        <Card title="To look at one variation" pad>
            <Asking of={asked} n={2}>
                {(d) => {
                    const options = ((d.published_revision && d.document?.rules) || []).flatMap((r: Doc) =>
                        (r.variations ?? []).map((v: Doc) => ({ rule: r.key as string, variation: v.key as string })),
                    );
                    return options.length ? (
                        <Link flag={id} options={options} />
                    ) : (
                        <Empty title="There is nothing to choose from">Publish an experiment: then a link shows one of its variations.</Empty>
                    );
                }}
            </Asking>
        </Card>
    );
}

function Link({ flag, options }: { flag: string; options: { rule: string; variation: string }[] }) {
    const [at, setAt] = useState(options.length - 1);
    const [page, setPage] = useState(() => localStorage.getItem("opmaat.page") || `${location.origin}/shop/`);
    const [made, setMade] = useState<{ link: string; token: string }>();
    const make = () =>
        attempt(async () => {
            localStorage.setItem("opmaat.page", page);
            const { query, token } = await post<{ query: string; token: string }>("/v1/flags/preview", { flag, ...options[at] });
            const url = new URL(page, location.origin);
            url.search += (url.search ? "&" : "?") + query;
            setMade({ link: url.href, token });
        });
    const copy = (text: string) =>
        navigator.clipboard.writeText(text).then(
            () => say("Copied."),
            () => say("The browser did not allow copying.", true),
        );
    return (
        <div class="stack">
            <p class="soft">
                For a day, whoever opens the link gets this variation, whatever the rules say. Nothing of it is counted.
            </p>
            <div class="fields">
                <Field name="Variation">
                    <select
                        value={at}
                        onChange={(e) => {
                            setAt(+e.currentTarget.value);
                            setMade(undefined);
                        }}
                    >
                        {options.map((o, i) => (
                            <option value={i}>
                                {o.rule} / {o.variation}
                            </option>
                        ))}
                    </select>
                </Field>
                <Field name="Page">
                    <input
                        type="url"
                        value={page}
                        onInput={(e) => {
                            setPage(e.currentTarget.value);
                            setMade(undefined);
                        }}
                    />
                </Field>
            </div>
            <div class="line">
                <button class="button primary" onClick={make}>
                    Make the link
                </button>
                {made && (
                    <>
                        <a class="button" href={made.link} target="_blank" rel="noreferrer">
                            Open
                        </a>
                        <button class="button" onClick={() => copy(made.link)}>
                            Copy
                        </button>
                    </>
                )}
            </div>
            {made && (
                <>
                    <code class="rule-text">{made.link}</code>
                    <p class="hint">
                        In an SDK: give it as <code>opmaat_preview</code> in the evaluation context.
                    </p>
                    <code class="rule-text">{made.token}</code>
                </>
            )}
        </div>
    );
}

export function FlagPage({ id }: { id: string }) {
    return (
        <DefinitionPage
            kind="flag"
            id={id}
            room="flags"
            rooms="Flags"
            blank={{ kind: "flag", key: "", title: "", type: "bool", default: nothing.bool, rules: [] }}
            about={(doc) => (
                <span class="line">
                    {types[doc.type] ?? doc.type}, {plural((doc.rules ?? []).length, "rule")}
                    {id !== "new" && <a href={`#/flags/${part(id)}/results`}>Results</a>}
                    <a href={`#/plan?arms=${Math.max(2, ...(doc.rules ?? []).map((r: Doc) => (r.variations ?? []).length))}`}>Plan a test</a>
                </span>
            )}
            more={[
                ["links", "QA links", () => <Links id={id} />],
                ["lint", "In SDKs", () => <Lint flag={id} />],
            ]}
        >
            {(of, may, isNew) => <Form of={of} may={may} isNew={isNew} />}
        </DefinitionPage>
    );
}

/* ---- what a protocol cannot say ---------------------------------------------------------------------- */

interface Note {
    flag: string;
    rule?: string;
    kind: string;
    text: string;
}
const protocols: Record<string, string> = { ofrep: "OpenFeature (OFREP)", growthbook: "GrowthBook", optimizely: "Optimizely" };
const tones: Record<string, string> = { "left out": "bad", differs: "warn", note: "" };

/* `flag`: of that one only. */
function Lint({ flag }: { flag?: string }) {
    const asked = useGet<Record<string, Note[]>>(`/v1/flags/lint${flag ? `?flag=${part(flag)}` : ""}`);
    return (
        <Asking of={asked} n={4}>
            {(found) => (
                <>
                    {Object.entries(protocols).map(([key, name]) => (
                        <Card
                            key={key}
                            title={name}
                            side={!(found[key] ?? []).some((n) => n.kind !== "note") ? <Badge tone="good">All can be said</Badge> : undefined}
                        >
                            {(found[key] ?? []).length > 0 && (
                                <Table>
                                    <thead>
                                        <tr>
                                            <th>Flag</th>
                                            <th>Rule</th>
                                            <th>What happens</th>
                                            <th>Why</th>
                                        </tr>
                                    </thead>
                                    <tbody>
                                        {found[key].map((n) => (
                                            <tr>
                                                <td>
                                                    <a href={`#/flags/${part(n.flag)}`}>{n.flag}</a>
                                                </td>
                                                <td>{n.rule ?? ""}</td>
                                                <td>
                                                    <Badge tone={tones[n.kind]}>{sentence(n.kind)}</Badge>
                                                </td>
                                                <td class="wrap">{n.text}</td>
                                            </tr>
                                        ))}
                                    </tbody>
                                </Table>
                            )}
                            {!(found[key] ?? []).length && (
                                <p class="pad soft">
                                    {key === "ofrep" ? "It asks the server, so it says all that a flag can." : "Its clients compute what the server would say."}
                                </p>
                            )}
                        </Card>
                    ))}
                    <p class="soft small">
                        Left out: clients of that protocol are not sent it. Differs: they are, and there are people for whom they would answer otherwise.
                    </p>
                </>
            )}
        </Asking>
    );
}

export const LintPage = () => (
    <Page title="Flags in SDKs" crumb={<a href="#/flags">Flags</a>} about="What each SDK's protocol cannot say of the flags that are live.">
        <Lint />
    </Page>
);
