/* SPDX-License-Identifier: Apache-2.0
 *
 * main.tsx - the frame: who is signed in, where we are, and which page that is.
 */
import { ComponentChild, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import "./style.css";
import { Problem, Session, get, post, setCsrf, whenSignedOut } from "./api";
import { Accounts, KeysPage } from "./access";
import { Campaign, Campaigns } from "./campaigns";
import { ConnectorPage, Connectors } from "./connectors";
import { Coverage } from "./coverage";
import { Audit } from "./data";
import { Enough } from "./enough";
import { FlagPage, Flags, LintPage } from "./flags";
import { DeadLetters } from "./letters";
import { SourcePage, Sources } from "./sources";
import { MetricPage, Metrics } from "./metrics";
import { Overview } from "./overview";
import { People } from "./people";
import { Person } from "./person";
import { Placement, Placements } from "./placements";
import { Predictions } from "./predictions";
import { PlanPage } from "./plan";
import { Privacy } from "./privacy";
import { QuizPage, Quizzes } from "./quizzes";
import { Programme, ResultsOf } from "./results";
import { Search } from "./search";
import { SegmentReview } from "./segment_tools";
import { SegmentPage, Segments } from "./segments";
import { Strategies, Strategy } from "./strategies";
import { Empty, Field, Page, Route, SessionContext, Toasts, attempt, useRoute } from "./ui";

/* ---- the theme: the system's, until the person chooses --------------------------------------- */
type Theme = "system" | "light" | "dark";
const themes: Theme[] = ["system", "light", "dark"];
const kept = (): Theme => (localStorage.getItem("opmaat.theme") as Theme) || "system";

function paint(theme: Theme): void {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    dispatchEvent(new Event("opmaat:theme"));
}
paint(kept());

function ThemeButton() {
    const [theme, set] = useState(kept);
    const next = themes[(themes.indexOf(theme) + 1) % themes.length];
    return (
        <button
            class="link"
            onClick={() => {
                localStorage.setItem("opmaat.theme", next);
                set(next);
                paint(next);
            }}
            aria-label={`Theme: ${theme}. Change to ${next}`}
        >
            Theme: {theme}
        </button>
    );
}

/* ---- where to go ----------------------------------------------------------------------------- */
const icons: Record<string, string> = {
    overview: "M3 12h4l3-8 4 16 3-8h4",
    people: "M16 20v-1.5A3.5 3.5 0 0 0 12.5 15h-6A3.5 3.5 0 0 0 3 18.5V20M9.5 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M21 20v-1.5a3.5 3.5 0 0 0-2.600-3.400M15.5 4.200a3.5 3.5 0 0 1 0 6.600",
    predictions: "M4 19l5-6 4 3 7-9M15 7h5v5",
    segments: "M12 3a9 9 0 1 0 9 9h-9zM15 3.5A9 9 0 0 1 20.5 9H15z",
    campaigns: "M4 10v4h3l7 4V6l-7 4zM18 9a4 4 0 0 1 0 6",
    flags: "M5 21V4M5 4h12l-2 4 2 4H5",
    coverage: "M4 12l5 5L20 6M4 20h16",
    placements: "M4 4h16v6H4zM4 14h7v6H4zM15 14h5v6h-5z",
    strategies: "M4 6h16M4 12h16M4 18h16M8 4v4M15 10v4M11 16v4",
    search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13M20 20l-4.500-4.500",
    results: "M5 20V11M12 20V4M19 20v-6",
    sources: "M12 3v12M7 10l5 5 5-5M4 20h16",
    "dead-letters": "M4 6h16v12H4zM4 7l8 6 8-6",
    plan: "M4 20V10M10 20V4M16 20v-7M3 20h18M20 6l-3 3-2-2",
    quizzes: "M9 9a3 3 0 1 1 4.500 2.600c-1 .600-1.500 1.200-1.500 2.400M12 17.500h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
    connectors: "M4 12h11M11 7l5 5-5 5M20 5v14",
    privacy: "M12 3l8 3v6c0 4.500-3.400 7.800-8 9-4.600-1.200-8-4.500-8-9V6zM9 12l2 2 4-4",
    metrics: "M4 18a8 8 0 1 1 16 0M12 18l4-6M4 18h2M18 18h2",
    keys: "M8 19a4 4 0 1 0 0-8 4 4 0 0 0 0 8M11 12l9-9M16 7l3 3",
    accounts: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M5 20a7 7 0 0 1 14 0",
    audit: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
};
const Icon = ({ name }: { name: string }) => (
    <svg
        width="18"
        height="18"
        viewBox="0 0 24 24"
        fill="none"
        stroke="currentColor"
        stroke-width="1.8"
        stroke-linecap="round"
        stroke-linejoin="round"
        aria-hidden="true"
    >
        <path d={icons[name]} />
    </svg>
);

/* The line the data takes: what comes in, whom it tells of, what they are shown, what is tried, what came of it. */
const places: [string, [string, string][]][] = [
    ["", [["overview", "Overview"]]],
    [
        "Collect",
        [
            ["sources", "Sources"],
            ["dead-letters", "Dead letters"],
            ["connectors", "Connectors"],
        ],
    ],
    [
        "People",
        [
            ["people", "People"],
            ["segments", "Segments"],
            ["predictions", "Predictions"],
        ],
    ],
    [
        "Decide",
        [
            ["campaigns", "Campaigns"],
            ["flags", "Flags"],
            ["placements", "Placements"],
            ["quizzes", "Quizzes"],
            ["strategies", "Recommend"],
            ["search", "Search"],
        ],
    ],
    [
        "Test",
        [
            ["metrics", "Metrics"],
            ["plan", "Plan a test"],
            ["coverage", "Test coverage"],
        ],
    ],
    ["Learn", [["results", "Results"]]],
    [
        "Run",
        [
            ["privacy", "Privacy"],
            ["keys", "Keys"],
            ["accounts", "Accounts"],
            ["audit", "Audit"],
        ],
    ],
];

function Side({ at, session, onLeave }: { at: string; session: Session; onLeave: () => void }) {
    /* the page one is on is seen in the menu, however long that is or narrow the screen */
    const menu = useRef<HTMLElement>(null);
    useEffect(() => {
        const nav = menu.current!;
        const here = nav.querySelector<HTMLElement>("[aria-current]");
        if (!here) return;
        const box = nav.getBoundingClientRect();
        const one = here.getBoundingClientRect();
        nav.scrollBy((one.left + one.right - box.left - box.right) / 2, (one.top + one.bottom - box.top - box.bottom) / 2);
    }, [at]);
    return (
        <div class="side">
            <a class="brand" href="#/overview">
                <img src="/assets/icon.svg" alt="" />
                Opmaat
            </a>
            <nav aria-label="Console" ref={menu}>
                {places.map(([group, all]) => (
                    <>
                        {group && <h3>{group}</h3>}
                        {all.map(([key, name]) => (
                            <a
                                key={key}
                                class="nav"
                                href={`#/${key}`}
                                aria-current={key === at ? "page" : undefined}
                            >
                                <Icon name={key} />
                                {name}
                            </a>
                        ))}
                    </>
                ))}
            </nav>
            <div class="end">
                <ThemeButton />
                <div>
                    <div class="wrap who">{session.email}</div>
                    <span class="who">{session.role} · </span>
                    <button class="link" onClick={onLeave}>
                        Sign out
                    </button>
                </div>
            </div>
        </div>
    );
}

function page({ path, query }: Route): ComponentChild {
    const [room = "overview", key, sub] = path;
    switch (room) {
        case "overview":
            return <Overview />;
        case "people":
            return key ? <Person key={key} id={key} query={query} /> : <People query={query} />;
        case "segments":
            if (key === "review" && !sub) return <SegmentReview />;
            return key ? <SegmentPage key={key} id={key} query={query} /> : <Segments />;
        case "campaigns":
            if (sub === "results") return <ResultsOf key={key} campaign={key} />;
            return key ? <Campaign key={key} id={key} tab={sub} query={query} /> : <Campaigns />;
        case "flags":
            if (key === "lint") return <LintPage />;
            if (sub === "results") return <ResultsOf key={key} campaign={key} room="flags" rooms="Flags" />;
            return key ? <FlagPage key={key} id={key} /> : <Flags />;
        case "coverage":
            return <Coverage />;
        case "placements":
            if (key === "enough") return <Enough />;
            return key ? <Placement key={key} id={key} /> : <Placements />;
        case "quizzes":
            return key ? <QuizPage key={key} id={key} /> : <Quizzes />;
        case "strategies":
            return key ? <Strategy key={key} id={key} /> : <Strategies />;
        case "search":
            return <Search query={query} />;
        case "predictions":
            return <Predictions />;
        case "plan":
            return <PlanPage query={query} />;
        case "results":
            return <Programme />;
        case "sources":
            return key ? <SourcePage key={key} id={key} /> : <Sources />;
        case "connectors":
            return key ? <ConnectorPage key={key} id={key} /> : <Connectors />;
        case "dead-letters":
            return <DeadLetters query={query} />;
        case "privacy":
            return <Privacy key={key} id={key} />;
        case "metrics":
            return key ? <MetricPage key={key} id={key} /> : <Metrics />;
        case "keys":
            return <KeysPage />;
        case "accounts":
            return <Accounts />;
        case "audit":
            return <Audit />;
        default:
            return (
                <Page title="Not a page">
                    <div class="card">
                        <Empty title="There is no such page">
                            <a href="#/overview">To the overview</a>
                        </Empty>
                    </div>
                </Page>
            );
    }
}

/* ---- signing in ------------------------------------------------------------------------------ */
function Login({ onDone }: { onDone: (session: Session) => void }) {
    const [wrong, setWrong] = useState("");
    const [busy, setBusy] = useState(false);
    useEffect(() => {
        document.title = "Sign in · Opmaat";
    }, []);
    async function submit(e: Event) {
        e.preventDefault();
        const form = new FormData(e.target as HTMLFormElement);
        setBusy(true);
        try {
            onDone(
                await post<Session>("/v1/login", {
                    email: form.get("email"),
                    password: form.get("password"),
                }),
            );
        } catch (error) {
            const { status, message } = error as Problem;
            setWrong(
                status === 401 || status === 403
                    ? "That e-mail address and password do not belong together."
                    : message,
            );
            setBusy(false);
        }
    }
    return (
        <main class="login">
            <form class="card" onSubmit={submit}>
                <div class="brand">
                    <img src="/assets/icon.svg" alt="" />
                    Opmaat
                </div>
                <h1 class="hidden">Sign in</h1>
                <p class="soft">
                    See who comes to your shop, decide what they see, and prove what it was worth.
                </p>
                <Field name="E-mail address">
                    <input name="email" type="email" autocomplete="username" required autofocus />
                </Field>
                <Field name="Password">
                    <input name="password" type="password" autocomplete="current-password" required />
                </Field>
                <div class="small wrong" role="alert" style={{ minHeight: "20px" }}>
                    {wrong}
                </div>
                <button class="button primary" disabled={busy}>
                    {busy ? "Signing in…" : "Sign in"}
                </button>
            </form>
        </main>
    );
}

function App() {
    const [session, set] = useState<Session | null | undefined>();
    const route = useRoute();
    const begin = (s: Session | null) => {
        setCsrf(s?.csrf ?? "");
        set(s);
    };
    useEffect(() => {
        whenSignedOut(() => begin(null));
        get<Session>("/v1/session").then(begin, () => begin(null));
    }, []);
    const address = route.path.join("/");
    useEffect(() => {
        scrollTo(0, 0);
    }, [address]);
    if (session === undefined)
        return (
            <div class="frame" aria-busy="true">
                <div class="side" />
            </div>
        );
    if (session === null)
        return (
            <>
                <Login onDone={begin} />
                <Toasts />
            </>
        );
    return (
        <SessionContext.Provider value={session}>
            <a
                class="skip"
                href="#main"
                onClick={(e) => {
                    e.preventDefault();
                    document.getElementById("main")?.focus();
                }}
            >
                To the content
            </a>
            <div class="frame">
                <Side
                    at={route.path[0] ?? "overview"}
                    session={session}
                    onLeave={() =>
                        attempt(async () => {
                            await post("/v1/logout");
                            begin(null);
                        })
                    }
                />
                <main class="main" id="main" tabIndex={-1}>
                    {page(route)}
                </main>
            </div>
            <Toasts />
        </SessionContext.Provider>
    );
}

render(<App />, document.getElementById("app")!);
