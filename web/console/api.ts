/* SPDX-License-Identifier: Apache-2.0
 *
 * api.ts - the server's shapes, and the one way to ask it. A 401 ends the session everywhere.
 */
export interface Money {
    minor: number;
    currency: string;
}
export interface Session {
    email: string;
    role: "viewer" | "editor" | "admin";
    csrf: string;
}
export interface Overview {
    now: string;
    events: { total: number; last_minute: number; per_second: number[] };
    people: { known: number; anonymous: number };
    orders: number;
    revenue: Money[];
    decisions: { total: number; last_minute: number };
    refused: { no_consent: number; dead_letters: number; duplicates: number };
    log: { records: number; bytes: number };
    segments: number;
    campaigns: number;
    started_at: string;
    version: string;
    latest: {
        at: string;
        type: string;
        person_id: string;
        item?: string;
        title?: string;
        channel?: string;
    }[];
    tag?: { main_ms?: number };
}
export interface PersonRow {
    person_id: string;
    display: string;
    known: boolean;
    last_at: string;
    orders: number;
    segments: string[];
}
export interface Person {
    person_id: string;
    display?: string;
    identifiers: { kind: string; value: string; trust: string; at: string; source: string }[];
    traits: { name: string; value: unknown; source: string; origin?: string; at: string }[];
    consent: { purpose: string; state: string; source: string; at: string; basis?: string }[];
    counters: { orders: number; revenue: Money[]; events: number; first_at: string; last_at: string };
    predictions?: PersonScore[];
    worth?: {
        orders: number;
        in: { currency: string; orders: number; lifetime_value: Money; average_order_value: Money }[];
        orders_a_year: number;
        days_between_orders?: number | null;
        last_order_at?: string | null;
    };
    stage?: Standing | null;
    intent?: Standing | null;
    retention?: Standing | null;
    wishlist?: { item: string; title?: string; added_at: string }[];
    affinities: { dimension: string; value: string; score: number; declared?: boolean }[];
    segments: { key: string; title: string; entered_at?: string; may_leave_at?: string | null }[];
    /* of a past instant: how many people they were then, and how much of their history is no longer at hand */
    people_then?: number;
    older?: number;
    merges: { merge_id: string; at: string; into: string; from: string; why: string; undone?: boolean }[];
    refused_merges?: { merge_id: string; at: string; into: string; from: string | null; why: string }[];
}
/* On which rung of a ladder they stand, what helps them there, and the events that led to it. */
export interface Standing {
    is: string;
    help: string;
    may_change_at?: string | null;
    why: ExplainNode;
}
export interface PersonScore {
    score: string;
    title: string;
    value: number | Money;
    at: string;
    version: number;
    reasons: { code: string; text: string; number: number }[];
}
export interface Estimate {
    value: number;
    low: number;
    high: number;
}
export interface Honesty {
    auc: number;
    brier: number;
    brier_base: number;
}
export interface PredictionCard {
    score: string;
    title: string;
    enough: boolean;
    why?: string;
    model?: string;
    version?: number;
    made_at?: string;
    learnt_from?: Record<string, number | string>;
    fallback?: string;
    edge?: string;
    currency?: string;
    note?: string;
    sure?: boolean;
    measures?: Honesty | Record<string, Estimate>;
    qini?: { share: number; extra: number; random: number }[];
    chart_of?: string;
    calibration?: { predicted: number; observed: number; low: number; high: number; n: number }[];
}
export interface HistoryEvent {
    at: string;
    type: string;
    item?: string;
    title?: string;
    quantity?: number;
    value?: Money;
    channel?: string;
    order?: string;
    source?: string;
    segment?: string;
    campaign?: string;
}
export interface DecisionRow {
    decision_key: string;
    at: string;
    placement: string;
    campaign?: string;
    experience?: string;
    variation?: string;
    reason: string;
    viewed: boolean;
    clicked: boolean;
}
export interface ExplainNode {
    text?: string;
    result?: string;
    value?: unknown;
    next_change_at?: string | null;
    events?: { at: string; type: string; item?: string }[];
    children?: ExplainNode[];
}
export interface Segment {
    key: string;
    title: string;
    rule: string;
    count: number;
    state: string;
    revision: number;
    owner: string;
}
export interface RuleError {
    column: number;
    length: number;
    message: string;
    hint?: string;
}
export interface RuleCheck {
    ok: boolean;
    errors?: RuleError[];
}
export interface Definition {
    kind: string;
    key: string;
    title: string;
    state: string;
    paused: boolean;
    revision: number;
    published_revision?: number;
    owner: string;
    updated_at: string;
    document: Doc;
    draft?: Doc;
}
export type Doc = Record<string, any>;
export interface Comparison {
    metric: string;
    variation: string;
    against: string;
    estimate: number;
    low: number;
    high: number;
    /* of the control's own value; null while that is not told from nothing */
    relative: number | null;
    relative_low: number | null;
    relative_high: number | null;
    p: number;
    significant: boolean;
    experience?: string;
    tier?: "primary" | "guardrail" | "secondary" | "segment";
    verdict?: "better" | "worse" | "open" | "fault";
    p_adjusted?: number | null;
    relative_low_adjusted?: number | null;
    relative_high_adjusted?: number | null;
    chance_to_win?: number | null;
    least_lift?: number | null;
    people_per_arm?: number | null;
    days_left?: number | null;
}
export interface Day {
    at: string;
    experience: string;
    variation: string;
    relative: number | null;
    low: number | null;
    high: number | null;
}
export interface MetricValues {
    key: string;
    title: string;
    definition: string;
    tier: string;
    direction: "up" | "down";
    money: boolean;
    currency?: string;
    type: string;
    arms: { experience: string; variation: string; people: number; value: number }[];
}
export interface Incremental {
    people: number;
    revenue: Money | null;
    low: Money | null;
    high: Money | null;
    cost?: Money;
    return?: number;
    return_low?: number;
    return_high?: number;
}
export interface Plan {
    fixed: { people_per_arm: number; people: number; days: number | null };
    sequential: { people_per_arm: number; people: number; days: number | null };
    group_sequential: { people_per_arm: number; people: number; days: number | null; looks: number; people_expected: number };
    by_day: { day: number; fixed: number; sequential: number }[];
}
export interface Arm {
    experience: string;
    variation: string;
    is_control: boolean;
    exposed: number;
    clicks: number;
    orders: number;
    revenue: Money;
    order_rate: number;
    click_rate: number;
    revenue_per_person: number;
}
/* a test judged at looks by plan */
export interface Planned {
    spending: string;
    people: number;
    times: number;
    alpha: number;
    comparisons: {
        metric: string;
        experience: string;
        variation: string;
        against: string;
        over: boolean;
        held: {
            look: number;
            at: string;
            people: number;
            information: number;
            z: number;
            bound: number;
            alpha_spent: number;
            relative: number | null;
            low: number | null;
            high: number | null;
            stops: boolean;
        }[];
        ahead: { look: number; people: number; bound: number }[];
    }[];
}
export interface Results {
    campaign?: string;
    since: string;
    state?: string;
    srm: { p: number; alarm: boolean } | null;
    arms: Arm[];
    comparisons: Comparison[];
    versus_holdout: Comparison[];
    method: string;
    alpha: number;
    series: { at: string; arms: Record<string, { exposed: number; orders: number }> }[];
    /* of a campaign */
    metrics?: MetricValues[];
    segments?: { segment: string; comparisons: Comparison[] }[];
    epochs?: { at: string; experience: number; shares: number[] }[];
    intervals?: Day[];
    mde?: number;
    self_check?: boolean;
    money_without_rate?: number;
    group_sequential?: Planned | null;
    incremental?: Incremental | null;
}
export interface Source {
    key: string;
    title: string;
    owner: string;
    last_at: string | null;
    lag_ms: number;
    accepted: number;
    refused: number;
    duplicates: number;
    no_consent: number;
    warnings?: number;
    purpose?: string;
    expected_ms?: number;
    state: "green" | "red" | "idle";
    basis: Record<string, string>;
}
export interface SourceWhole extends Source {
    plan: {
        outside?: string;
        events: Record<
            string,
            { owner: string; purpose: string; properties?: Record<string, string | { type: string }> }
        >;
    } | null;
    found: { what: string; count: number; first_at: string; last_at: string }[];
}

export class Problem extends Error {
    constructor(
        public status: number,
        title: string,
        public body: any,
    ) {
        super(title);
    }
}

let csrf = "";
let onSignedOut = () => {};
export const setCsrf = (value: string) => {
    csrf = value;
};
export const whenSignedOut = (work: () => void) => {
    onSignedOut = work;
};

export async function call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
): Promise<T> {
    const sent: Record<string, string> = { accept: "application/json", ...headers };
    if (method !== "GET") sent["x-csrf"] = csrf;
    const raw = body instanceof Blob;
    if (body !== undefined && !raw) sent["content-type"] = "application/json";
    let answer: Response;
    try {
        answer = await fetch(path, {
            method,
            headers: sent,
            credentials: "same-origin",
            body: body === undefined || raw ? (body as Blob | undefined) : JSON.stringify(body),
        });
    } catch {
        throw new Problem(0, "The server does not answer. Is it running?", null);
    }
    const text = await answer.text();
    let parsed: any = null;
    try {
        parsed = text ? JSON.parse(text) : null;
    } catch {
        /* not for us to read */
    }
    if (answer.ok) return parsed as T;
    if (answer.status === 401 && path !== "/v1/login" && path !== "/v1/session") onSignedOut();
    throw new Problem(
        answer.status,
        parsed?.detail || parsed?.title || `The server answered ${answer.status}`,
        parsed,
    );
}

export const get = <T>(path: string) => call<T>("GET", path);
/* What comes a line each. */
export async function getLines<T>(path: string): Promise<T[]> {
    const answer = await fetch(path, { credentials: "same-origin" });
    const text = await answer.text();
    if (!answer.ok) throw new Problem(answer.status, `The server answered ${answer.status}`, text);
    return text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line));
}
export const post = <T>(path: string, body: unknown = {}) => call<T>("POST", path, body);
/* A file as it is. */
export const send = <T>(path: string, file: Blob) => call<T>("POST", path, file);
export const part = encodeURIComponent;
