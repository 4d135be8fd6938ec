/* SPDX-License-Identifier: Apache-2.0
 *
 * ui.tsx - what pages are made of: the address, asking the server, and the small shapes.
 */
import { ComponentChildren, VNode, cloneElement, createContext } from "preact";
import { useCallback, useContext, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Definition, Problem, Session, get } from "./api";
import { ago, moment } from "./words";

/* ---- the address: #/people/p-1?tab=x -------------------------------------------------------- */
export interface Route {
    path: string[];
    query: URLSearchParams;
}

function read(): Route {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    return {
        path: path.split("/").filter(Boolean).map(decodeURIComponent),
        query: new URLSearchParams(query),
    };
}

export function useRoute(): Route {
    const [route, set] = useState(read);
    useEffect(() => {
        const on = () => set(read());
        addEventListener("hashchange", on);
        return () => removeEventListener("hashchange", on);
    }, []);
    return route;
}
export const go = (to: string) => {
    location.hash = to;
};

/* ---- asking --------------------------------------------------------------------------------- */
export interface Asked<T> {
    data?: T;
    error?: Problem;
    reload: () => Promise<void>;
    set: (data: T) => void;
}

/** What `path` answers; what was there stays while it is asked again. Null asks nothing. */
export function useGet<T>(path: string | null): Asked<T> {
    const [state, setState] = useState<{ path: string | null; data?: T; error?: Problem }>({
        path: null,
    });
    const current = useRef(path);
    current.current = path;
    const reload = useCallback(async () => {
        if (!path) return;
        try {
            const data = await get<T>(path);
            if (current.current === path) setState({ path, data });
        } catch (error) {
            if (current.current === path) setState({ path, error: error as Problem });
        }
    }, [path]);
    useEffect(() => {
        void reload();
    }, [reload]);
    const fresh = state.path === path;
    return {
        data: fresh ? state.data : undefined,
        error: fresh ? state.error : undefined,
        reload,
        set: (data) => setState({ path, data }),
    };
}

/** The same, but while another path is asked the answer before it stays, so that nothing jumps. */
export function useKept<T>(asked: Asked<T>): Asked<T> {
    const kept = useRef<T | undefined>(undefined);
    if (asked.data !== undefined) kept.current = asked.data;
    return { ...asked, data: asked.error ? undefined : (asked.data ?? kept.current) };
}

export const SessionContext = createContext<Session>({ email: "", role: "viewer", csrf: "" });
export const useMayEdit = () => useContext(SessionContext).role !== "viewer";
export const useIsAdmin = () => useContext(SessionContext).role === "admin";

/* ---- saying what happened ------------------------------------------------------------------- */
interface Said {
    id: number;
    text: string;
    bad?: boolean;
}
let sayTo: (said: Said) => void = () => {};
let said = 0;
export const say = (text: string, bad = false) => sayTo({ id: ++said, text, bad });

/** Runs an action; what went wrong is said. True when it went well. */
export async function attempt(work: () => Promise<unknown>, done?: string): Promise<boolean> {
    try {
        await work();
        if (done) say(done);
        return true;
    } catch (error) {
        say((error as Error).message, true);
        return false;
    }
}

export function Toasts() {
    const [all, set] = useState<Said[]>([]);
    sayTo = (one) => {
        set((now) => [...now.slice(-2), one]);
        setTimeout(() => set((now) => now.filter((s) => s.id !== one.id)), one.bad ? 9000 : 4000);
    };
    return (
        <div class="toasts" role="status" aria-live="polite">
            {all.map((s) => (
                <div key={s.id} class={`toast ${s.bad ? "bad" : ""}`}>
                    {s.text}
                </div>
            ))}
        </div>
    );
}

/* ---- small shapes ---------------------------------------------------------------------------- */
type Kids = { children?: ComponentChildren };

/* The heading takes the focus when one goes from page to page, not when one arrives. */
let arrived = false;

export function Page({
    title,
    crumb,
    about,
    actions,
    children,
}: Kids & {
    title: string;
    crumb?: ComponentChildren;
    about?: ComponentChildren;
    actions?: ComponentChildren;
}) {
    const h1 = useRef<HTMLHeadingElement>(null);
    useEffect(() => {
        document.title = `${title} · Opmaat`;
    }, [title]);
    useEffect(() => {
        if (arrived) h1.current?.focus({ preventScroll: true });
        arrived = true;
    }, []);
    return (
        <>
            <div class="head">
                <div>
                    {crumb && <div class="crumb">{crumb}</div>}
                    <h1 tabIndex={-1} ref={h1} class="wrap">
                        {title}
                    </h1>
                    {about && <p>{about}</p>}
                </div>
                {actions && <div class="line">{actions}</div>}
            </div>
            {children}
        </>
    );
}

export function Card({
    title,
    side,
    children,
    pad,
}: Kids & { title?: ComponentChildren; side?: ComponentChildren; pad?: boolean }) {
    return (
        <section class="card">
            {title && (
                <header>
                    <h2>{title}</h2>
                    {side}
                </header>
            )}
            {pad ? <div class="pad">{children}</div> : children}
        </section>
    );
}

export const Badge = ({ tone = "", plain, children }: Kids & { tone?: string; plain?: boolean }) => (
    <span class={`badge ${tone} ${plain ? "plain" : ""}`}>{children}</span>
);

export function State({
    of,
}: {
    of: { state: string; paused?: boolean; revision?: number; published_revision?: number };
}) {
    if (of.paused) return <Badge tone="warn">Paused</Badge>;
    const ahead = of.published_revision && of.revision && of.revision > of.published_revision;
    const names: Record<string, [string, string]> = {
        published: ["good", "Live"],
        draft: ["", "Draft"],
        archived: ["", "Archived"],
        in_review: ["accent", "In review"],
    };
    const [tone, name] = names[of.state] ?? ["", of.state];
    return (
        <span class="line">
            <Badge tone={tone}>{name}</Badge>
            {ahead ? <Badge plain>changes not live</Badge> : null}
        </span>
    );
}

/** The last cells of a definition in a list: how it stands, when it changed and whose it is. */
export function Standing({ of }: { of: Definition }) {
    return (
        <>
            <td>
                <State of={of} />
            </td>
            <td>
                <When at={of.updated_at} />
                <div class="soft small">{of.owner}</div>
            </td>
        </>
    );
}

export const When = ({ at }: { at?: string | null }) =>
    at ? (
        <time dateTime={at} title={moment(at)}>
            {ago(at)}
        </time>
    ) : (
        <span class="soft">never</span>
    );

export const Bone = ({ w = "100%", h = 16 }: { w?: string | number; h?: number }) => (
    <span class="bone" style={{ width: w, height: `${h}px` }} />
);

export const Bones = ({ n = 6, h = 46 }: { n?: number; h?: number }) => (
    <div class="pad stack" aria-busy="true" aria-label="Loading">
        {Array.from({ length: n }, (_, i) => (
            <div key={i} style={{ height: `${h - 14}px` }}>
                <Bone h={18} w={`${90 - ((i * 37) % 45)}%`} />
            </div>
        ))}
    </div>
);

export const Empty = ({ title, children }: Kids & { title: string }) => (
    <div class="empty">
        <strong>{title}</strong>
        {children}
    </div>
);

export function Wrong({ error, retry }: { error: Problem; retry?: () => void }) {
    return (
        <div class="pad">
            <div class="note bad" role="alert">
                <div class="grow">
                    <strong>
                        {error.status === 404 ? "There is nothing here" : "This could not be fetched"}
                    </strong>
                    {error.message}
                </div>
                {retry && (
                    <button class="button small" onClick={retry}>
                        Try again
                    </button>
                )}
            </div>
        </div>
    );
}

/** The usual three: not there yet, could not be had, here it is. */
export function Asking<T>({
    of,
    n,
    children,
}: {
    of: Asked<T>;
    n?: number;
    children: (data: T) => ComponentChildren;
}) {
    if (of.error) return <Wrong error={of.error} retry={of.reload} />;
    if (of.data === undefined) return <Bones n={n} />;
    return <>{children(of.data)}</>;
}

export function Tabs({
    tabs,
    at,
    onPick,
}: {
    tabs: [string, ComponentChildren][];
    at: string;
    onPick: (key: string) => void;
}) {
    const move = (e: KeyboardEvent) => {
        const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
        if (!step) return;
        const i = (tabs.findIndex(([key]) => key === at) + step + tabs.length) % tabs.length;
        onPick(tabs[i][0]);
        ((e.currentTarget as HTMLElement).children[i] as HTMLElement).focus();
    };
    return (
        <div class="tabs" role="tablist" onKeyDown={move}>
            {tabs.map(([key, name]) => (
                <button
                    key={key}
                    type="button"
                    role="tab"
                    aria-selected={key === at}
                    tabIndex={key === at ? 0 : -1}
                    onClick={() => onPick(key)}
                >
                    {name}
                </button>
            ))}
        </div>
    );
}

/** A table. On a phone, where more than three columns do not fit, nor three of which one holds sentences (`wordy`), a row stands as
 * lines that begin with the head of their column. */
export function Table({ children, wordy }: Kids & { wordy?: boolean }) {
    const table = useRef<HTMLTableElement>(null);
    useLayoutEffect(() => {
        const heads = [...table.current!.querySelectorAll("thead th")].map((th) => (th.firstElementChild?.className === "hidden" ? "" : th.textContent!.trim()));
        table.current!.classList.toggle("cards", !!wordy || heads.length > 3);
        for (const row of table.current!.tBodies[0]?.rows ?? [])
            [...row.cells].forEach((cell, i) => {
                if (cell.colSpan === 1) cell.dataset.head = heads[i] ?? "";
            });
    });
    return (
        <div class="scroll">
            <table ref={table}>{children}</table>
        </div>
    );
}

/** A row that goes somewhere: the link in it is the keyboard's, the row is the mouse's. */
export const Row = ({ to, children }: Kids & { to: string }) => (
    <tr
        class="go"
        onClick={(e) => {
            if (!(e.target as Element).closest("a,button,input") && !String(getSelection())) go(to);
        }}
    >
        {children}
    </tr>
);

/** What a list page shows: a table of what was asked for, a row each, or what to say while there is nothing. A head that
 * begins with # stands over numbers; an empty one over buttons. */
export function Listing<T, R>({
    of,
    rows,
    head,
    row,
    empty,
    n,
    wordy,
}: {
    of: Asked<T>;
    rows: (data: T) => R[];
    head: string[];
    row: (one: R) => ComponentChildren;
    empty: ComponentChildren;
    n?: number;
    wordy?: boolean;
}) {
    return (
        <Asking of={of} n={n}>
            {(data) => {
                const all = rows(data);
                if (!all.length) return empty;
                return (
                    <Table wordy={wordy}>
                        <thead>
                            <tr>
                                {head.map((name) => (
                                    <th class={name.startsWith("#") ? "num" : ""}>
                                        {name ? name.replace("#", "") : <span class="hidden">Actions</span>}
                                    </th>
                                ))}
                            </tr>
                        </thead>
                        <tbody>{all.map(row)}</tbody>
                    </Table>
                );
            }}
        </Asking>
    );
}

/** One control with its name above it and, if any, a hint below. */
export function Field({
    name,
    hint,
    all,
    children,
}: {
    name: string;
    hint?: string;
    all?: boolean;
    children: VNode<any>;
}) {
    const id = useId();
    return (
        <div class={all ? "all" : ""}>
            <label for={id}>{name}</label>
            {cloneElement(children, { id, "aria-describedby": hint ? `${id}-hint` : undefined })}
            {hint && (
                <span class="hint" id={`${id}-hint`}>
                    {hint}
                </span>
            )}
        </div>
    );
}

export function Json({ value }: { value: unknown }) {
    return <pre class="json">{JSON.stringify(value, null, 2)}</pre>;
}

export { RuleBox } from "./rule";
