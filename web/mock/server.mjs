// SPDX-License-Identifier: Apache-2.0
//
// server.mjs - a made-up server for working on the console's looks and for its tests: npm run mock,
// then http://127.0.0.1:8790/ (any e-mail address; password "wrong" is refused). It keeps what is
// written in memory, and knows no rules of its own: a rule holding "viewd" is wrong at that word.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const types = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
};
const POLICY =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: http: https:; "
    + "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const eur = (minor) => ({ minor, currency: "EUR" });

export function mock() {
    let seed = 7;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const pick = (list) => list[Math.floor(random() * list.length)];
    const before = (s) => new Date(Date.now() - s * 1000).toISOString();
    const products = [
        "Slim jeans",
        "Wide jeans",
        "Linen shirt",
        "Wool sweater",
        "Rain jacket",
        "Canvas tote",
        "Running shoes",
        "Silk scarf",
    ].map((title, i) => ({ item: `p-${i + 1}`, title }));
    const names = [
        "Ana Berg",
        "Jonas Lie",
        "Ingrid Dahl",
        "Mats Holm",
        "Sofie Aas",
        "Lars Moe",
        "Nora Vik",
        "Emil Sand",
    ];
    const people = Array.from({ length: 120 }, (_, i) => {
        const known = random() > 0.4;
        const id = (i * 7919 + 4097).toString(16);
        return {
            person_id: `u_${id}`,
            display: known
                ? `${names[i % 8].split(" ")[0]} ${names[i % 8].split(" ")[1][0]}.`
                : `anonymous ${id}`,
            known,
            last_at: before(i * i * 40 + 12),
            orders: known ? Math.floor(random() * 9) : 0,
            segments: ["jeans_women", "vip", "cart_left", "new_here"].filter(() => random() > 0.62),
        };
    });
    const event = (s) => {
        const type = pick([
            "product_viewed",
            "product_viewed",
            "page_viewed",
            "product_added",
            "order_completed",
            "decision_viewed",
        ]);
        const product = /product|order/.test(type) ? pick(products) : {};
        return { at: before(s), type, ...product, channel: pick(["web", "web", "app", "store"]) };
    };
    let total = 1843207;
    const per = Array.from({ length: 60 }, (_, i) =>
        Math.round(240 + 90 * Math.sin(i / 7) + random() * 60),
    );
    let latest = Array.from({ length: 20 }, (_, i) => ({
        ...event(i),
        person_id: pick(people).person_id,
    }));
    const overview = () => {
        per.shift();
        per.push(Math.round(240 + 90 * Math.sin(Date.now() / 7000) + random() * 60));
        total += per[59];
        latest = [{ ...event(0), person_id: pick(people).person_id }, ...latest].slice(0, 20);
        return {
            now: before(0),
            events: { total, last_minute: per.reduce((a, b) => a + b), per_second: per },
            people: { known: 41208, anonymous: 318442 },
            orders: 28114,
            revenue: [eur(193482210)],
            decisions: { total: 902133, last_minute: 6120 },
            refused: { no_consent: 70313, dead_letters: 2, duplicates: 1190 },
            log: { records: 91220, bytes: 812345678 },
            segments: 4,
            campaigns: 3,
            started_at: before(86400 * 3),
            version: "0.1.0",
            latest,
            tag: { main_ms: 6.4 },
        };
    };

    const definitions = new Map();
    const put = (kind, key, document, state = "published", revision = 3) =>
        definitions.set(`${kind}/${key}`, {
            kind,
            key,
            title: document.title,
            state,
            paused: false,
            revision,
            published_revision: state === "draft" ? undefined : revision,
            owner: document.owner ?? "kari@demo.shop",
            updated_at: before(7200),
            document,
            revisions: Array.from({ length: revision }, (_, i) => ({
                revision: revision - i,
                at: before(7200 + i * 90000),
                by: "kari@demo.shop",
            })),
        });
    put("placement", "home_hero", {
        kind: "placement",
        key: "home_hero",
        title: "Home page banner",
        channel: "web",
        owner: "kari@demo.shop",
        schema: { headline: "text", text: "text?", image: "url?", link: "url?" },
        default: { headline: { en: "Welcome", "nb-NO": "Velkommen" } },
        min_items: 0,
    });
    put("placement", "home_recs", {
        kind: "placement",
        key: "home_recs",
        title: "Home page row",
        channel: "web",
        schema: { headline: "text" },
        strategy: "for_you",
        default: { headline: "For you" },
        min_items: 4,
    });
    put("strategy", "for_you", {
        kind: "strategy",
        key: "for_you",
        title: "For you",
        mix: ["session", "cooc", "trending"],
    });
    put("campaign", "spring", {
        kind: "campaign",
        key: "spring",
        title: "Spring jeans",
        goal: "find spring clothes quickly",
        owner: "kari@demo.shop",
        placement: "home_hero",
        metric: "order_rate",
        priority: 10,
        starts_at: before(86400 * 20),
        experiences: [
            {
                key: "women",
                target: 'in segment "jeans_women"',
                choose: "experiment",
                holdout: "5%",
                variations: [
                    { key: "incumbent", share: "34%", render: "passthrough" },
                    {
                        key: "a",
                        share: "33%",
                        content: {
                            headline: { en: "New season", "nb-NO": "Ny sesong" },
                            text: "Light denim for warm days",
                            link: "/shop/c/jeans",
                        },
                    },
                    {
                        key: "b",
                        share: "33%",
                        content: {
                            headline: "Jeans that fit you",
                            text: "In the sizes you buy",
                            image: "/assets/spring.svg",
                            link: "/shop/c/jeans",
                        },
                    },
                ],
            },
            {
                key: "everyone",
                target: "",
                choose: "fixed",
                variations: [{ key: "a", share: "100%", content: { headline: "Spring is here" } }],
            },
        ],
    });
    put(
        "campaign",
        "rain",
        {
            kind: "campaign",
            key: "rain",
            title: "Rainy days",
            goal: "stay dry on the way to work",
            placement: "home_hero",
            experiences: [
                {
                    key: "wet",
                    target: 'context.weather = "rain"',
                    choose: "fixed",
                    variations: [{ key: "a", share: "100%", content: { headline: "Dry all day" } }],
                },
            ],
        },
        "draft",
        1,
    );
    put("campaign", "second_order", {
        kind: "campaign",
        key: "second_order",
        title: "Second order",
        goal: "come back for what goes with it",
        placement: "home_recs",
        experiences: [
            {
                key: "once",
                target: "count(order_completed, last 365 days) = 1",
                choose: "experiment",
                variations: [
                    { key: "a", share: "50%" },
                    { key: "b", share: "50%" },
                ],
            },
        ],
    });
    definitions.get("campaign/second_order").paused = true;
    put("flag", "checkout", {
        kind: "flag",
        key: "checkout",
        title: "New checkout",
        type: "bool",
        default: false,
        rules: [
            { key: "staff", kind: "force", target: "context.staff = true", value: true },
            {
                key: "test",
                kind: "experiment",
                target: 'context.country in ("NO", "SE")',
                holdout: "5%",
                layer: { key: "buying", from: "0%", to: "50%" },
                forced: { "ana-77": "new" },
                requires: [{ flag: "banner", value: "none" }],
                ramp: { steps: ["1%", "10%", "50%"], every: "1 day", guardrail: "order_rate" },
                variations: [
                    { key: "old", share: "50%", value: false },
                    { key: "new", share: "50%", value: true },
                ],
            },
            { key: "some", kind: "rollout", share: "20%", value: true },
        ],
    });
    put("flag", "banner", { kind: "flag", key: "banner", title: "Banner", type: "string", default: "none", rules: [] }, "draft", 1);
    const segments = [
        [
            "jeans_women",
            "Women interested in jeans",
            'gender = "female" and count(product_viewed where category under "jeans", last 30 days) >= 3',
            8412,
        ],
        ["vip", "Most valuable", "sum(order_completed.revenue, last 365 days) > 500 EUR", 1204],
        [
            "cart_left",
            "Left something in the cart",
            "sequence(product_added then not order_completed within 2 hours)",
            3377,
        ],
        ["new_here", "New here", "days_since(first event) < 7", 19821],
    ];
    for (const [key, title, rule] of segments)
        put("segment", key, { kind: "segment", key, title, rule, owner: "kari@demo.shop" });
    const segment = ([key, title, rule, count]) => ({
        key,
        title,
        rule,
        count,
        state: "published",
        revision: 3,
        owner: "kari@demo.shop",
    });

    put("metric", "wish_rate", {
        kind: "metric", key: "wish_rate", title: "Wishes", owner: "kari@demo.shop", text: "people who put something on a wish list, of the people exposed",
        type: "proportion", direction: "up", numerator: { event: "product_added_to_wishlist", of: "any" },
    });
    put("source", "shop", { kind: "source", key: "shop", title: "Web shop" });
    put("source", "till", { kind: "source", key: "till", title: "Tills" });
    put("quiz", "skin", {
        kind: "quiz",
        key: "skin",
        title: { en: "Find your skin type", "nb-NO": "Finn hudtypen din" },
        questions: [
            {
                key: "skin-type",
                text: "How does your skin feel?",
                answers: [
                    { key: "dry", text: "Tight and dry" },
                    { key: "oily", text: "Oily by noon" },
                ],
            },
        ],
    });
    const connector = (key, more) => {
        const document = {
            kind: "connector",
            key,
            title: key === "crm" ? "CRM" : "Retargeting",
            type: "webhook",
            url: "https://crm.example/opmaat",
            purpose: "marketing_email",
            basis: "consent",
            segments: ["vip"],
            ...more,
        };
        put("connector", key, document);
        return {
            ...document,
            owner: "kari@demo.shop",
            state: "green",
            delivered: 41822,
            withheld: 1204,
            waiting: 0,
            dead: 0,
            waiting_since: null,
            attempts: 0,
            next_at: null,
            last_at: before(40),
            status: 200,
            problem: "",
        };
    };
    const connectors = [
        {
            ...connector("crm", { events: ["Order Completed"] }),
            state: "red",
            waiting: 310,
            waiting_since: before(3600),
            dead: 2,
            attempts: 7,
            next_at: new Date(Date.now() + 64e3).toISOString(),
            status: 503,
            problem: "the receiver answered 503",
        },
        connector("retarget", { type: "ads", url: "", purpose: "ads_sharing" }),
    ];
    const undelivered = [71, 72].map((id) => ({
        id,
        sequence: 9000 + id,
        kind: "event",
        at: before(9000),
        given_up_at: before(7000),
        person_id: people[0].person_id,
        reason: "422: no such contact",
        again: false,
    }));
    put(
        "connector",
        "warehouse",
        { kind: "connector", key: "warehouse", title: "Warehouse", type: "poll", events: ["*"], purpose: "analytics" },
        "draft",
        1,
    );

    let letters = [
        {
            id: "dl_1",
            at: before(640),
            source: "webshop",
            reason: 'properties.price is "NaN", a number was expected',
            event: {
                type: "track",
                event: "Product Added",
                properties: { product_id: "p-4", price: "NaN" },
            },
        },
        {
            id: "dl_2",
            at: before(90400),
            source: "tills",
            reason: "line 1204 has 6 columns, 8 were expected",
            event: "536401;22110;BIRD HOUSE HOT WATER BOTTLE;1;2.55;17850",
        },
    ];
    const tree = {
        text: 'gender = "female" and count(product_viewed …) >= 3',
        result: "true",
        value: null,
        children: [
            { text: 'gender = "female"', result: "true", value: "female" },
            {
                text: 'count(product_viewed where category under "jeans", last 30 days) >= 3',
                result: "true",
                value: "4",
                next_change_at: new Date(Date.now() + 86400e3 * 11).toISOString(),
                events: [
                    { at: before(400), type: "product_viewed", item: "p-1" },
                    { at: before(9000), type: "product_viewed", item: "p-2" },
                ],
            },
        ],
    };
    const person = (p, i) => ({
        person_id: p.person_id,
        display: p.display,
        identifiers: [
            ...(p.known
                ? [
                      {
                          kind: "email",
                          value: "ana.berg@example.com",
                          trust: "verified",
                          at: before(86400 * 40),
                          source: "webshop",
                      },
                  ]
                : []),
            {
                kind: "anonymous_id",
                value: "5f2b1c9e-1d2a-4b7e-9a51-66b1d1a0a7c1",
                trust: "claimed",
                at: before(86400 * 41),
                source: "tag",
            },
        ],
        traits: p.known
            ? [
                  {
                      name: "first_name",
                      value: p.display.split(" ")[0],
                      source: "webshop",
                      at: before(86400 * 40),
                  },
                  { name: "gender", value: "female", source: "loyalty", at: before(86400 * 90) },
                  { name: "size", value: "M", source: "quiz", at: before(86400 * 3) },
              ]
            : [],
        consent: [
            {
                purpose: "analytics",
                state: "granted",
                source: "tag",
                at: before(86400 * 41),
                basis: "consent",
            },
            {
                purpose: "personalisation",
                state: "granted",
                source: "tag",
                at: before(86400 * 41),
                basis: "consent",
            },
            {
                purpose: "marketing_email",
                state: "denied",
                source: "webshop",
                at: before(86400 * 12),
                basis: "consent",
            },
        ],
        counters: {
            orders: p.orders,
            revenue: p.orders ? [eur(p.orders * 7420)] : [],
            events: 214 + i,
            first_at: before(86400 * 41),
            last_at: p.last_at,
        },
        affinities: [
            ["category", "jeans", 0.82],
            ["brand", "Acme", 0.44],
            ["colour", "blue", 0.39],
            ["category", "shirts", 0.21],
        ].map(([dimension, value, score]) => ({ dimension, value, score })),
        segments: segments
            .filter(([k]) => p.segments.includes(k))
            .map(([key, title]) => ({
                key,
                title,
                entered_at: before(400),
                may_leave_at: new Date(Date.now() + 86400e3 * 11).toISOString(),
            })),
        merges: [
            {
                merge_id: "m_1",
                at: before(86400 * 40),
                into: p.person_id,
                from: "u_77aa",
                why: "logged in on the same device",
            },
        ],
    });
    const decisions = (n) =>
        Array.from({ length: n }, (_, i) => ({
            decision_key: `d_${i}`,
            at: before(300 + i * 7000),
            placement: i % 2 ? "home_recs" : "home_hero",
            campaign: i % 2 ? undefined : "spring",
            experience: i % 2 ? undefined : "women",
            variation: i % 2 ? undefined : "b",
            reason: i % 2 ? "strategy" : i % 4 ? "holdout" : "experiment",
            viewed: i % 3 !== 2,
            clicked: i % 3 === 0,
        }));
    const trace = {
        campaigns: [
            {
                campaign: "spring",
                outcome: "won",
                experience: "women",
                target: tree,
                priority: 10,
                bucket: 4211,
                propensity: 0.33,
            },
            {
                campaign: "rain",
                outcome: "lost",
                why: "its target is not known",
                target: { text: 'context.weather = "rain"', result: "unknown" },
            },
        ],
        guards: [
            { guard: "just_bought", outcome: "did not apply" },
            { guard: "frequency_cap", outcome: "2 of 5 today" },
        ],
        candidates: [],
    };
    const days = (n, rates) =>
        Array.from({ length: n }, (_, i) => ({
            at: new Date(
                Math.floor(Date.now() / 86400e3) * 86400e3 - (n - 1 - i) * 86400e3,
            ).toISOString(),
            arms: Object.fromEntries(
                Object.entries(rates).map(([k, r]) => {
                    const exposed = Math.round(900 + random() * 200);
                    return [k, { exposed, orders: Math.round(exposed * r * (0.85 + random() * 0.3)) }];
                }),
            ),
        }));
    const compared = (metric, variation, against, estimate, rel, half, p) => ({
        metric,
        variation,
        against,
        estimate,
        relative: rel,
        low: estimate - half,
        high: estimate + half,
        relative_low: (rel * (estimate - half)) / estimate,
        relative_high: (rel * (estimate + half)) / estimate,
        p,
        significant: Math.abs(estimate) > half,
    });
    const results = (campaign) => ({
        campaign,
        since: before(86400 * 20),
        state: "published",
        srm: { p: campaign === "second_order" ? 0.00002 : 0.41, alarm: campaign === "second_order" },
        arms: [
            {
                experience: "women",
                variation: "incumbent",
                is_control: true,
                exposed: 20411,
                clicks: 905,
                orders: 632,
                revenue: eur(4691100),
                order_rate: 0.03096,
                click_rate: 0.0443,
                revenue_per_person: 229.8,
            },
            {
                experience: "women",
                variation: "a",
                is_control: false,
                exposed: 19870,
                clicks: 1010,
                orders: 644,
                revenue: eur(4720200),
                order_rate: 0.03241,
                click_rate: 0.0508,
                revenue_per_person: 237.6,
            },
            {
                experience: "women",
                variation: "b",
                is_control: false,
                exposed: 19902,
                clicks: 1328,
                orders: 781,
                revenue: eur(5831000),
                order_rate: 0.03924,
                click_rate: 0.0667,
                revenue_per_person: 293,
            },
        ],
        comparisons: [
            compared("order_rate", "a", "incumbent", 0.00145, 0.0468, 0.0041, 0.31),
            compared("order_rate", "b", "incumbent", 0.00828, 0.2674, 0.0044, 0.0002),
            compared("click_rate", "a", "incumbent", 0.0065, 0.1467, 0.005, 0.01),
            compared("click_rate", "b", "incumbent", 0.0224, 0.5056, 0.0056, 0.00001),
            compared("revenue_per_person", "b", "incumbent", 63.2, 0.275, 41, 0.004),
        ],
        versus_holdout: [
            compared("order_rate", "treated", "holdout", 0.0041, 0.139, 0.0028, 0.006),
            compared("revenue_per_person", "treated", "holdout", 31, 0.142, 24, 0.012),
        ],
        method: "always-valid (asymptotic confidence sequence)",
        alpha: 0.05,
        series: days(20, { incumbent: 0.031, a: 0.0324, b: 0.0392 }),
    });

    let signedIn = false;
    const erased = { people: 1, identifiers: 3, orders: 2, segments: 1, history: 41, events: 41, decisions: 12, predictions: 0, letters: 1, others: 2 };
    let regulations = [
        { id: "shop-77aa", state: "waiting", title: "shopify customers/data_request", regulation: "export", source: "shop", user_id: "7702", asked_at: before(7200),
            due_at: before(-29 * 86400) },
        ...[["e_412", "webhook shop", "shopify customers/redact", 1900], ["e_77", "opmaat", "opmaat person erase", 864000]].map(([id, by, because, s]) => ({ id,
            regulation: "erase", state: "done", because, by, whom: "9f2c4e01b7d8a3660c51e2f49a7b3d80", asked_at: before(s), done_at: before(s - 2), counts: erased })),
    ];
    /* a receipt gets on by a half each time it is asked for */
    const receipt = (id) => {
        const one = regulations.find((r) => r.id === id);
        if (!one) return [404, { title: "There is no such receipt" }];
        const shown = { ...one };
        if (one.state === "running" && (one.progress += 0.5) >= 1) Object.assign(one, { state: "done", done_at: before(0), progress: undefined });
        return shown;
    };
    const regulate = (body) => {
        if (body.regulation === "export") return { person: person(people[0], 0), history: [], orders: [], decisions: [] };
        if (body.dry_run) return { dry_run: true, counts: erased };
        const one = { id: "e_900", regulation: "erase", state: "running", progress: 0, because: "POST /v1/regulations", by: session.email,
            whom: "03a1c9d2e4f5566778899aabbccddeef", asked_at: before(0), counts: erased };
        regulations = [...regulations, one];
        return [202, { id: one.id, state: "running" }];
    };
    const accounts = [
        { email: "kari@demo.shop", role: "admin", paused: false, updated_at: before(86400 * 40) },
        { email: "ola@demo.shop", role: "editor", paused: false, updated_at: before(86400 * 9) },
    ];
    const keys = [
        { id: "om_write_ab12cd34", kind: "write", source: "shop", owner: "kari@demo.shop", created_at: before(86400 * 40), used_at: before(2), paused: false, revoked: false },
        { id: "om_secret_ef56gh78", kind: "secret", source: "till", owner: "command line", created_at: before(86400 * 12), used_at: null, paused: false, revoked: false },
        { id: "om_write_old11111", kind: "write", source: "shop", owner: "kari@demo.shop", created_at: before(86400 * 90), used_at: null, paused: false, revoked: true },
    ];
    const session = { email: "kari@demo.shop", role: "admin", csrf: "c5rf" };
    const routes = [
        ["GET", /^\/v1\/session$/, () => (signedIn ? session : [401, { title: "Not signed in" }])],
        [
            "POST",
            /^\/v1\/login$/,
            (_, b) =>
                b.password === "wrong" ? [401, { title: "Refused" }] : ((signedIn = true), session),
        ],
        [
            "POST",
            /^\/v1\/logout$/,
            () => {
                signedIn = false;
                return {};
            },
        ],
        ["GET", /^\/v1\/overview$/, overview],
        [
            "GET",
            /^\/v1\/people$/,
            (_m, _b, q) => {
                const from = +(q.get("after") ?? 0);
                return {
                    people: people.slice(from, from + 50),
                    next: from + 50 < people.length ? String(from + 50) : null,
                };
            },
        ],
        [
            "POST",
            /^\/v1\/people\/lookup$/,
            (_, b) =>
                /nobody/.test(JSON.stringify(b))
                    ? [404, { title: "Nobody" }]
                    : { person_id: people[0].person_id },
        ],
        ["GET", /^\/v1\/people\/valuable$/, () => ({ share: 0.1, buyers: 40, count: 4, from: eur(26000), revenue: eur(120000), revenue_share: 0.33, without_rate: 2,
            people: people.slice(0, 4).map((p) => ({ ...p, value: eur(30000) })),
            attributes: [{ text: "viewed brand: Acme", people: 3, share: 0.75, others_share: 0.25, lift: 2, low: 1.1, high: 2.9, sure: true }] })],
        ["GET", /^\/v1\/people\/coverage$/, () => {
            const group = (by, value, under_served) => ({ by, value, people: 60, decisions: 900, personalised: 700, rate: 0.78, against_others: -0.04, under_served,
                uplift: { lift: 0.1, low: -0.2, high: 0.4 } });
            return { days: 30, all: group("all", "everybody", false), groups: [group("gender", "male", true), group("age", "under 25", false)] };
        }],
        ["GET", /^\/v1\/contacts$/, () => ({ days: 7, limit: 5, people: 120, contacts: 60, a_person: 0.5, people_by_contacts: [80, 25, 10, 5],
            most_contacted: [{ person_id: people[0].person_id, display: people[0].display, contacts: 3 }], refused: [{ campaign: "spring", contact_cap: 3, own_cap: 1 }] })],
        [
            "GET",
            /^\/v1\/people\/(\w+)$/,
            ([, id]) => {
                const i = people.findIndex((p) => p.person_id === id);
                return i < 0 ? [404, { title: "There is no such person" }] : person(people[i], i);
            },
        ],
        [
            "GET",
            /^\/v1\/people\/(\w+)\/history$/,
            (_m, _b, q) => {
                const from = +(q.get("before") ?? 0);
                return {
                    next: from < 160 ? String(from + 40) : null,
                    events: Array.from({ length: 40 }, (_, i) => {
                        const e = event((from + i) * 4100 + 300);
                        return {
                            ...e,
                            quantity: 1,
                            source: pick(["webshop", "tills"]),
                            ...(e.type === "order_completed"
                                ? { value: eur(7990), order: `A-${1000 + i}` }
                                : {}),
                        };
                    }),
                };
            },
        ],
        ["GET", /^\/v1\/people\/\w+\/decisions$/, () => ({ decisions: decisions(14) })],
        ["GET", /^\/v1\/people\/\w+\/explain$/, () => ({ member: true, tree })],
        ["GET", /^\/v1\/decisions\/(\w+)$/, ([, key]) => ({ decision_key: key, trace })],
        ["GET", /^\/v1\/segments$/, () => ({ segments: segments.map(segment) })],
        ["GET", /^\/v1\/segments\/review$/, () => ({ segments: segments.length, people: 120, days: 30, findings: [
            { key: "vip", title: "Best customers", finding: "stale", text: "nobody came or left in 30 days" },
        ] })],
        ["GET", /^\/v1\/segments\/overlap$/, (_m, _b, q) => {
            const keys = (q.get("keys") ?? "").split(",");
            return { segments: keys.map((key) => ({ key, count: 40 })), pairs: keys.slice(1).map((k, i) => ({ keys: [keys[0], k], count: 9 + i })),
                all: 3, winners: [], winners_of: 3 };
        }],
        ["GET", /^\/v1\/segments\/(\w+)\/trend$/, () => ({ points: Array.from({ length: 31 }, (_, i) => ({ at: before((30 - i) * 86400), count: 30 + (i % 5), entered: 2, left: 1 })) })],
        ["GET", /^\/v1\/segments\/(\w+)\/members$/, () => ({ person_id: people[0].person_id, display: people[0].display, entered_at: before(9000), last_at: before(60) })],
        ["GET", /^\/v1\/segments\/(\w+)\/diff$/, () => ({ entered: 4, left: 1, entered_because: [{ rule: "count(product_viewed, last 30 days) >= 3", people: 4 }],
            left_because: [], people: [{ person_id: people[0].person_id, display: people[0].display, moved: "entered", at: before(900) }] })],
        ["GET", /^\/v1\/segments\/(\w+)\/persona$/, () => ({ size: 40, share: 0.33, value: { people: 40, buyers: 12, a_person: eur(4100), an_order: eur(8200) },
            others: { people: 80, buyers: 9, a_person: eur(1900), an_order: eur(7000) }, preferences: [],
            attributes: [{ text: "viewed category: Jeans", people: 30, share: 0.75, others_share: 0.25, lift: 2, low: 1.1, high: 2.9, sure: true }] })],
        [
            "GET",
            /^\/v1\/segments\/(\w+)$/,
            ([, key]) =>
                segments.filter((s) => s[0] === key).map(segment)[0] ?? [
                    404,
                    { title: "There is no such segment" },
                ],
        ],
        [
            "POST",
            /^\/v1\/segments\/preview$/,
            () => ({ count: 8412, took_us: 640, sample: people.slice(0, 3) }),
        ],
        [
            "POST",
            /^\/v1\/rules\/check$/,
            (_, b) => {
                const at = b.rule.search(/\w*viewd\b/);
                return at < 0
                    ? { ok: true }
                    : {
                          ok: false,
                          errors: [
                              {
                                  column: at + 1,
                                  length: b.rule.slice(at).match(/^\w+/)[0].length,
                                  message: `there is no event "${b.rule.slice(at).match(/^\w+/)[0]}"`,
                                  hint: 'did you mean "product_viewed"?',
                              },
                          ],
                      };
            },
        ],
        [
            "GET",
            /^\/v1\/definitions$/,
            (_m, _b, q) => ({
                definitions: [...definitions.values()].filter((d) => d.kind === q.get("kind")),
            }),
        ],
        [
            "GET",
            /^\/v1\/definitions\/(\w+)\/(\w+)$/,
            ([, k, key]) =>
                definitions.get(`${k}/${key}`) ?? [404, { title: "There is no such definition" }],
        ],
        [
            "PUT",
            /^\/v1\/definitions\/(\w+)\/(\w+)$/,
            ([, k, key], b) => {
                if (!definitions.has(`${k}/${key}`)) put(k, key, b, "draft", 0);
                const d = definitions.get(`${k}/${key}`);
                Object.assign(d, { draft: b, title: b.title, revision: d.revision + 1 });
                d.revisions.unshift({ revision: d.revision, at: before(0), by: session.email });
                return d;
            },
        ],
        [
            "GET",
            /^\/v1\/definitions\/(\w+)\/(\w+)\/revisions$/,
            ([, k, key]) => ({ revisions: definitions.get(`${k}/${key}`).revisions }),
        ],
        [
            "POST",
            /^\/v1\/definitions\/(\w+)\/(\w+)\/(\w+)$/,
            ([, k, key, verb]) => {
                const d = definitions.get(`${k}/${key}`);
                if (verb === "publish" && JSON.stringify(d.draft ?? d.document).includes("viewd"))
                    return [
                        422,
                        {
                            title: "It does not compile",
                            errors: [
                                {
                                    path: "experiences[0].target",
                                    message: 'there is no event "product_viewd"',
                                    column: 7,
                                },
                            ],
                        },
                    ];
                if (verb === "publish")
                    Object.assign(d, {
                        document: d.draft ?? d.document,
                        draft: undefined,
                        state: "published",
                        published_revision: d.revision,
                    });
                if (verb === "pause" || verb === "resume") d.paused = verb === "pause";
                if (verb === "archive") d.state = "archived";
                return d;
            },
        ],
        ["GET", /^\/v1\/connectors$/, () => ({ connectors })],
        [
            "GET",
            /^\/v1\/connectors\/(\w+)\/dead-letters$/,
            ([, key]) => ({ dead_letters: key === "crm" ? undelivered : [], total: key === "crm" ? undelivered.length : 0 }),
        ],
        [
            "POST",
            /^\/v1\/connectors\/\w+\/dead-letters\/(\w+)\/replay$/,
            ([, id]) => {
                for (const u of undelivered) if (id === "all" || u.id === +id) u.again = true;
                return { state: "queued" };
            },
        ],
        ["POST", /^\/v1\/connectors\/\w+\/replay$/, () => ({ state: "queued" })],
        /* Ranges as they would be divided afresh: 50 and 50 stand. */
        [
            "POST",
            /^\/v1\/ranges$/,
            (_, b) => {
                const shares = b.variations.map((v) => Math.round(parseFloat(v.share) * 100));
                const starts = shares.map((_, i) => Math.floor((i * 10000) / shares.length));
                const then = b.variations.map((v, i) => ({ start: starts[i], end: starts[i] + shares[i], variation: v.key }));
                return { live: true, anew: false, now: then, then, moves: [], moved: "0%" };
            },
        ],
        ["GET", /^\/v1\/flags\/[^/]+\/factors$/, () => ({ currency: "NOK", factors: [] })],
        ["POST", /^\/v1\/flags\/preview$/, () => ({ token: "pv_2", query: "opmaat_preview=pv_2" })],
        [
            "GET",
            /^\/v1\/flags\/lint$/,
            () => ({
                optimizely: [{ flag: "checkout", rule: "test", kind: "differs", text: "its target asks for what the SDK is not told" }],
                growthbook: [
                    { flag: "checkout", rule: "test", kind: "left out", text: "its hash is opt3, which GrowthBook's SDKs do not have" },
                    { flag: "banner", kind: "note", text: "it is paused" },
                ],
                ofrep: [],
            }),
        ],
        [
            "GET",
            /^\/v1\/tests\/coverage$/,
            () => ({
                rules: [
                    { kind: "campaign", key: "spring", rule: "women", tested: true, by: "experiment" },
                    { kind: "flag", key: "checkout", rule: "staff", tested: false },
                    { kind: "flag", key: "checkout", rule: "test", tested: true, by: "experiment" },
                    { kind: "flag", key: "checkout", rule: "some", tested: true, by: "share" },
                ],
                live: 4,
                with_control: 3,
                share: 0.75,
            }),
        ],
        [
            "GET",
            /^\/v1\/catalog\/coverage$/,
            () => ({
                least: 4,
                gaps: [
                    { placement: "home_hero", items: 1 },
                    { placement: "home_hero", segment: "vip", items: 2, people: 117 },
                ],
                placements: 2,
                placements_covered: 0.5,
                segments_in_placements: 6,
                segments_covered: 0.8333,
            }),
        ],
        ["GET", /^\/v1\/accounts$/, () => ({ accounts })],
        [
            "POST",
            /^\/v1\/accounts$/,
            (_, b) => {
                const known = accounts.find((a) => a.email === b.email);
                if (known) Object.assign(known, { role: b.role ?? known.role, updated_at: before(0) });
                else accounts.push({ email: b.email, role: b.role, paused: false, updated_at: before(0) });
                return { email: b.email, role: b.role };
            },
        ],
        [
            "DELETE",
            /^\/v1\/accounts\/(.+)$/,
            ([, email]) => {
                accounts.splice(accounts.findIndex((a) => a.email === decodeURIComponent(email)), 1);
                return {};
            },
        ],
        ["GET", /^\/v1\/keys$/, (_, _b, q) => ({ keys: keys.filter((k) => !k.revoked || q.get("revoked") === "true"), since: before(86400) })],
        [
            "POST",
            /^\/v1\/keys$/,
            (_, b) => {
                const id = `om_${b.kind}_${String(keys.length).repeat(8).slice(0, 8)}`;
                keys.push({ id, kind: b.kind, source: b.source, owner: session.email, created_at: before(0), used_at: null, paused: false, revoked: false });
                return { id, key: `${id}_n3ver5hownagain7whatk3pt1sah4sh22`, kind: b.kind, source: b.source };
            },
        ],
        [
            "DELETE",
            /^\/v1\/keys\/(\w+)$/,
            ([, id]) => {
                keys.find((k) => k.id === id).revoked = true;
                return {};
            },
        ],
        [
            "GET",
            /^\/v1\/metrics$/,
            () => ({
                metrics: [
                    { metric: "order_rate", title: "Order rate", definition: "people who ordered inside the exposure window, of the people exposed", type: "proportion", direction: "up", money: false, core: true },
                    { metric: "revenue_per_person", title: "Revenue a person", definition: "revenue inside the exposure window, in minor units, by the people exposed", type: "mean", direction: "up", money: true, currency: "EUR", core: true },
                    { metric: "cart_abandonment", title: "Cart abandonment", definition: "people with a cart and no order, of the people with a cart", type: "ratio", direction: "down", money: false, core: true },
                    ...[...definitions.values()]
                        .filter((d) => d.kind === "metric")
                        .map((d) => ({ metric: d.key, title: d.title, definition: d.document.text ?? "", type: d.document.type, direction: d.document.direction ?? "up", money: false, core: false })),
                ],
            }),
        ],
        [
            "POST",
            /^\/v1\/metrics\/preview$/,
            (_, b) =>
                b.document.numerator?.event === "product_viewd"
                    ? [422, { title: "It was refused", detail: 'numerator: no event is called "product_viewd"' }]
                    : {
                          metric: b.document.key,
                          title: b.document.title,
                          type: b.document.type,
                          direction: b.document.direction ?? "up",
                          money: b.document.numerator?.of === "value",
                          currency: "EUR",
                          people: 18204,
                          value: b.document.numerator?.of === "value" ? 1240 : 0.0341,
                          unconverted: 0,
                          days: Array.from({ length: b.days }, (_, i) => ({ at: before((b.days - i) * 86400), people: 900 + i, value: 0.03 + 0.004 * Math.sin(i) })),
                      },
        ],
        [
            "POST",
            /^\/v1\/plan$/,
            () => ({
                fixed: { people_per_arm: 14700, people: 29400, days: 15 },
                sequential: { people_per_arm: 19800, people: 39600, days: 20 },
                group_sequential: { people_per_arm: 15100, people: 30200, days: 15.1, looks: 5, people_expected: 24100 },
                by_day: Array.from({ length: 90 }, (_, i) => i + 1).map((day) => ({ day, fixed: 0.3 / Math.sqrt(day), sequential: 0.36 / Math.sqrt(day) })),
            }),
        ],
        ["POST", /^\/v1\/recommend$/, () => ({ strategy: "for_you", items: [{ product_key: "p-1", title: "Straight jeans", score: 0.8, because: { text: "visits like this one", source: "session", products: [], weights: { session: 0.8 } }, algorithm_position: 1, effects: [] }], algorithm: [{ product_key: "p-1", title: "Straight jeans" }] })],
        [
            "GET",
            /^\/v1\/models$/,
            () => ({
                training: { running: true, stage: "whole_model", done: 0.4, since: before(1) },
                weights: [
                    {
                        placement: "home_recs",
                        strategy: "for_you",
                        weights: "learnt",
                        learns: true,
                        in_force: { session: 0.7, cooc: 0.3 },
                        defaults: { session: 0.59, cooc: 0.41 },
                        learnt: { version: 3, at: before(60), from: before(9000), to: before(60), impressions: 46713, clicks: 912, standard_errors: 4.2 },
                    },
                    {
                        placement: "thanks_recs",
                        strategy: "for_you",
                        weights: "defaults",
                        learns: true,
                        in_force: { session: 0.59, cooc: 0.41 },
                        defaults: { session: 0.59, cooc: 0.41 },
                        latest: { verdict: "too_little_data", at: before(60), impressions: 310, impressions_needed: 2000, clicks: 4, clicks_needed: 50 },
                    },
                ],
                models: [
                    {
                        key: "recommend",
                        from: before(90000),
                        to: before(60),
                        interactions: 53145,
                        sessions: 23922,
                        items: 1940,
                        ease_items: 1940,
                        recommenders: { session: "built", cooc: "built", trending: "built", ease: "built", als: "not asked for", slist: "not built yet" },
                        factor_people: 2283,
                        bytes: 8756021,
                        memory_limit_bytes: 536870912,
                        seconds: 1.4,
                        held_out: { protocol: "Every prefix predicts its next item.", questions: 1248, "hr@20": 0.459, "mrr@20": 0.158, "ndcg@20": 0.226 },
                    },
                ],
            }),
        ],
        [
            "GET",
            /^\/v1\/predictions$/,
            () => ({
                predictions: [
                    {
                        score: "uplift.spring",
                        title: "Spring",
                        enough: true,
                        model: "two_model",
                        sure: true,
                        version: 2,
                        made_at: before(60),
                        learnt_from: { treated: 900, control: 880, treated_outcomes: 260, control_outcomes: 130 },
                        measures: { effect: { value: 0.14, low: 0.1, high: 0.18 }, qini_two_model: { value: 31, low: 12, high: 49 } },
                        qini: [0, 0.25, 0.5, 0.75, 1].map((share) => ({ share, extra: 120 * (2 * share - share * share), random: 120 * share })),
                        chart_of: "the effect said of people not learnt from, and the difference of the arms among them",
                        judged: 1780,
                        calibration: [{ predicted: 0.05, observed: 0.04, low: 0.01, high: 0.08, n: 800 }],
                    },
                    { score: "uplift.summer", title: "Summer", enough: false, why: "not enough data: 12 people in the control", learnt_from: { treated: 11, control: 12 } },
                ],
                versions: 2,
            }),
        ],
        ["POST", /^\/v1\/preview-link$/, () => ({ token: "pv_1", query: "opmaat_preview=pv_1" })],
        ["GET", /^\/v1\/results$/, () => ({ ...results("programme"), campaign: undefined })],
        ["GET", /^\/v1\/results\/(\w+)$/, ([, c]) => results(c)],
        [
            "GET",
            /^\/v1\/sources$/,
            () => ({
                sources: [
                    {
                        key: "webshop",
                        title: "Web shop",
                        owner: "kari@demo.shop",
                        last_at: before(1),
                        lag_ms: 14,
                        accepted: 1702113,
                        refused: 1,
                        duplicates: 1190,
                        no_consent: 70313,
                        state: "green",
                        basis: { analytics: "consent", personalisation: "consent" },
                    },
                    {
                        key: "tills",
                        title: "Tills",
                        owner: "per@demo.shop",
                        last_at: before(8400),
                        lag_ms: 910,
                        accepted: 141094,
                        refused: 1,
                        duplicates: 0,
                        no_consent: 0,
                        state: "red",
                        basis: { analytics: "contract" },
                    },
                    {
                        key: "loyalty",
                        title: "Loyalty programme",
                        owner: "kari@demo.shop",
                        last_at: null,
                        lag_ms: 0,
                        accepted: 0,
                        refused: 0,
                        duplicates: 0,
                        no_consent: 0,
                        state: "idle",
                        basis: {},
                    },
                ],
            }),
        ],
        [
            "GET",
            /^\/v1\/sources\/(\w+)$/,
            ([, key]) => ({
                key,
                title: "Web shop",
                owner: "kari@demo.shop",
                purpose: "to know what is looked at",
                state: "green",
                plan: {
                    outside: "warn",
                    events: { "Product Viewed": { owner: "web team", purpose: "recommendations", properties: { product_id: "text" } } },
                },
                found: [{ what: "Lamp Rubbed is not in the plan", count: 3, first_at: before(900), last_at: before(40) }],
            }),
        ],
        ["GET", /^\/v1\/regulations$/, () => ({ regulations })],
        ["POST", /^\/v1\/regulations$/, (_m, body) => regulate(body)],
        ["GET", /^\/v1\/regulations\/([\w-]+)$/, ([, id]) => receipt(id)],
        ["POST", /^\/v1\/regulations\/([\w-]+)\/done$/, ([, id]) => {
            regulations = regulations.filter((r) => r.id !== id);
            return {};
        }],
        ["POST", /^\/v1\/people\/(\w+)\/split$/, ([, id]) => ({ people: [id, "u_77aa"] })],
        [
            "GET",
            /^\/v1\/dead-letters$/,
            (_m, _b, q) => {
                const found = letters.filter((l) => !q.get("source") || l.source === q.get("source"));
                const groups = found.map((l) => ({ source: l.source, reason: l.reason, count: 1 }));
                return { dead_letters: found, total: found.length, groups, next: null };
            },
        ],
        [
            "POST",
            /^\/v1\/dead-letters\/replay$/,
            (_m, body) => {
                const before = letters.length;
                letters = letters.filter((l) => l.source !== body.source);
                return { replayed: before - letters.length, refused: 0 };
            },
        ],
        [
            "POST",
            /^\/v1\/dead-letters\/(\w+)\/replay$/,
            ([, id]) => {
                letters = letters.filter((l) => l.id !== id);
                return {};
            },
        ],
        [
            "GET",
            /^\/v1\/audit$/,
            () => ({
                entries: [
                    ["publish", "campaign/spring"],
                    ["edit", "campaign/spring"],
                    ["pause", "campaign/second_order"],
                    ["sign_in", "kari@demo.shop"],
                    ["create_key", "wk_live_1"],
                ].map(([what, object], i) => ({
                    at: before(600 + i * 5000),
                    who: "kari@demo.shop",
                    what,
                    object,
                })),
            }),
        ],
    ];

    return createServer((req, res) => {
        const url = new URL(req.url, "http://x");
        const json = (status, body) =>
            res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
        if (url.pathname === "/v1/stream") {
            res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
            const tick = () => res.write(`data: ${JSON.stringify(overview())}\n\n`);
            const timer = setInterval(tick, 1000);
            tick();
            return req.on("close", () => clearInterval(timer));
        }
        if (!url.pathname.startsWith("/v1/")) {
            try {
                const file = join(dist, url.pathname === "/" ? "index.html" : url.pathname);
                const bytes = readFileSync(file);
                return res
                    .writeHead(200, {
                        "content-type": types[extname(file)],
                        "content-security-policy": POLICY,
                    })
                    .end(bytes);
            } catch {
                return res.writeHead(404).end();
            }
        }
        let text = "";
        req.on("data", (d) => {
            text += d;
        });
        return req.on("end", () => {
            if (
                req.method !== "GET"
                && url.pathname !== "/v1/login"
                && req.headers["x-csrf"] !== session.csrf
            )
                return json(403, { title: "The CSRF header is missing" });
            for (const [method, path, answer] of routes) {
                const match = req.method === method && url.pathname.match(path);
                if (!match) continue;
                const body = answer(match, text ? JSON.parse(text) : {}, url.searchParams);
                return Array.isArray(body) ? json(...body) : json(200, body);
            }
            return json(404, { title: `No ${req.method} ${url.pathname} here` });
        });
    });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
    const port = Number(process.env.PORT ?? 8790);
    mock().listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
}
