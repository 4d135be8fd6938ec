/* SPDX-License-Identifier: Apache-2.0
 *
 * access.tsx - who may come in: people with their roles, and keys for programs.
 */
import { useContext, useState } from "preact/hooks";
import { Definition, call, part, post } from "./api";
import { Asked, Badge, Card, Empty, Field, Listing, Page, SessionContext, When, attempt, useGet, useIsAdmin } from "./ui";
import { moment } from "./words";

/* what each may do beside what stands before it */
const roles: Record<string, [string, string]> = {
    viewer: ["Viewer", "Looks at everything."],
    editor: ["Editor", "Writes and publishes, too."],
    admin: ["Admin", "Sources, keys, people's data and accounts, too."],
};
const LEAST = 8;

const ForAdmins = ({ title, about }: { title: string; about: string }) => (
    <Page title={title} about={about}>
        <Card>
            <Empty title="This is for admins">Ask one of them, or have your role changed.</Empty>
        </Card>
    </Page>
);

/* ---- people ------------------------------------------------------------------------------------ */

interface Account {
    email: string;
    role: string;
    updated_at: string;
}

const RolePick = ({ value, onPick, ...rest }: { value: string; onPick: (role: string) => void; [more: string]: unknown }) => (
    <select value={value} onChange={(e) => onPick(e.currentTarget.value)} {...rest}>
        {Object.entries(roles).map(([key, [name]]) => (
            <option value={key}>{name}</option>
        ))}
    </select>
);

function PasswordForm({ of, onDone }: { of: Account; onDone: () => void }) {
    const [password, set] = useState("");
    return (
        <form
            class="line"
            onSubmit={async (e) => {
                e.preventDefault();
                if (await attempt(() => post("/v1/accounts", { email: of.email, password }), "The password is changed; they sign in anew."))
                    onDone();
            }}
        >
            <input
                type="password"
                autocomplete="new-password"
                aria-label={`New password of ${of.email}`}
                placeholder="New password"
                minLength={LEAST}
                required
                value={password}
                onInput={(e) => set(e.currentTarget.value)}
            />
            <button class="button small primary">Set it</button>
            <button type="button" class="button small quiet" onClick={onDone}>
                Cancel
            </button>
        </form>
    );
}

function AccountRow({ of: a, own, reload }: { of: Account; own: boolean; reload: () => Promise<void> }) {
    const [resets, setResets] = useState(false);
    const change = async (work: () => Promise<unknown>, done: string) => {
        await attempt(work, done);
        await reload();
    };
    return (
        <tr>
            <td class="wrap">
                <strong>{a.email}</strong>
                {own && <div class="soft small">you</div>}
            </td>
            <td>
                <RolePick
                    aria-label={`Role of ${a.email}`}
                    value={a.role}
                    disabled={own}
                    onPick={(role) => change(() => post("/v1/accounts", { email: a.email, role }), `${a.email} is now ${role}, and signs in anew.`)}
                />
            </td>
            <td>
                <When at={a.updated_at} />
            </td>
            <td class="num">
                {resets ? (
                    <PasswordForm
                        of={a}
                        onDone={() => {
                            setResets(false);
                            void reload();
                        }}
                    />
                ) : (
                    <span class="line right">
                        <button class="button small" onClick={() => setResets(true)} aria-label={`New password for ${a.email}`}>
                            New password
                        </button>
                        <button
                            class="button small quiet"
                            disabled={own}
                            aria-label={`Remove ${a.email}`}
                            onClick={() => {
                                if (confirm(`${a.email} can no longer sign in. Remove the account?`))
                                    void change(() => call("DELETE", `/v1/accounts/${part(a.email)}`), "Removed.");
                            }}
                        >
                            Remove
                        </button>
                    </span>
                )}
            </td>
        </tr>
    );
}

function AddAccount({ of }: { of: Asked<{ accounts: Account[] }> }) {
    const blank = { email: "", role: "viewer", password: "" };
    const [form, set] = useState(blank);
    return (
        <Card title="Let somebody in" pad>
            <form
                class="stack"
                onSubmit={async (e) => {
                    e.preventDefault();
                    if (await attempt(() => post("/v1/accounts", form), `${form.email} may sign in.`)) set(blank);
                    await of.reload();
                }}
            >
                <div class="fields">
                    <Field name="E-mail address">
                        <input type="email" required autocomplete="off" value={form.email} onInput={(e) => set({ ...form, email: e.currentTarget.value })} />
                    </Field>
                    <Field name="Role" hint={roles[form.role][1]}>
                        <RolePick value={form.role} onPick={(role) => set({ ...form, role })} />
                    </Field>
                    <Field name="First password" hint={`At least ${LEAST} letters; they cannot change it themselves yet.`}>
                        <input
                            type="password"
                            autocomplete="new-password"
                            minLength={LEAST}
                            required
                            value={form.password}
                            onInput={(e) => set({ ...form, password: e.currentTarget.value })}
                        />
                    </Field>
                </div>
                <span class="line">
                    <button class="button primary">Add</button>
                </span>
            </form>
        </Card>
    );
}

export function Accounts() {
    const title = "Accounts";
    const about = "Who may sign in to this console, and what they may do.";
    const admin = useIsAdmin();
    const { email } = useContext(SessionContext);
    const asked = useGet<{ accounts: Account[] }>(admin ? "/v1/accounts" : null);
    if (!admin) return <ForAdmins title={title} about={about} />;
    return (
        <Page title={title} about={about}>
            <Card>
                <Listing
                    of={asked}
                    n={3}
                    rows={({ accounts }) => accounts}
                    head={["Who", "Role", "Changed", ""]}
                    row={(a) => <AccountRow key={a.email} of={a} own={a.email === email} reload={asked.reload} />}
                    empty={<Empty title="Nobody yet">The first account is made in a terminal: opmaat user add.</Empty>}
                />
            </Card>
            <AddAccount of={asked} />
        </Page>
    );
}

/* ---- keys -------------------------------------------------------------------------------------- */

interface Key {
    id: string;
    kind: "write" | "secret";
    source: string;
    owner: string;
    created_at: string;
    used_at: string | null;
    revoked: boolean;
}
interface Keys {
    keys: Key[];
    since: string;
}

function KeyRow({ of: k, since, reload }: { of: Key; since: string; reload: () => Promise<void> }) {
    return (
        <tr>
            <td>
                <code>{k.id}…</code>
                <div class="line small soft">
                    <Badge plain tone={k.kind === "secret" ? "warn" : ""}>
                        {k.kind === "secret" ? "Secret" : "Write"}
                    </Badge>
                    <span class="wrap">{k.owner}</span>
                    <When at={k.created_at} />
                </div>
            </td>
            <td>
                <a href={`#/sources/${part(k.source)}`}>{k.source}</a>
            </td>
            <td>{k.used_at ? <When at={k.used_at} /> : <span class="soft" title={`since ${moment(since)}`}>not since the start</span>}</td>
            <td class="num">
                {k.revoked ? (
                    <Badge plain>Revoked</Badge>
                ) : (
                    <button
                        class="button small quiet"
                        aria-label={`Revoke ${k.id}`}
                        onClick={async () => {
                            if (!confirm(`Whatever uses ${k.id}… is refused from the next call on. Revoke it?`)) return;
                            await attempt(() => call("DELETE", `/v1/keys/${part(k.id)}`), "Revoked.");
                            await reload();
                        }}
                    >
                        Revoke
                    </button>
                )}
            </td>
        </tr>
    );
}

function AddKey({ reload }: { reload: () => Promise<void> }) {
    const sources = useGet<{ definitions: Definition[] }>("/v1/definitions?kind=source");
    const [kind, setKind] = useState("write");
    const [source, setSource] = useState("");
    const [made, setMade] = useState<{ key: string } | null>(null);
    const all = (sources.data?.definitions ?? []).filter((d) => d.state === "published");
    const of = source || all[0]?.key || "";
    return (
        <Card title="Make a key" pad>
            <form
                class="stack"
                onSubmit={async (e) => {
                    e.preventDefault();
                    await attempt(async () => setMade(await post<{ key: string }>("/v1/keys", { kind, source: of })));
                    await reload();
                }}
            >
                <div class="fields">
                    <Field name="Kind" hint={kind === "secret" ? "For servers alone: it may do all." : "For pages and apps: it collects, and decides for its own visitor."}>
                        <select value={kind} onChange={(e) => setKind(e.currentTarget.value)}>
                            <option value="write">Write: may stand in a page</option>
                            <option value="secret">Secret: stays on a server</option>
                        </select>
                    </Field>
                    <Field name="Source" hint="What comes in by the key comes from it, on its legal basis.">
                        <select value={of} onChange={(e) => setSource(e.currentTarget.value)}>
                            {all.map((d) => (
                                <option value={d.key}>{d.title || d.key}</option>
                            ))}
                        </select>
                    </Field>
                </div>
                <span class="line">
                    <button class="button primary" disabled={!of}>
                        Make it
                    </button>
                </span>
                {made && (
                    <div class="stack" role="status">
                        <p>This is the key. It is shown this once: what is kept is its hash.</p>
                        <code class="rule-text wrap">{made.key}</code>
                        <span class="line">
                            <button type="button" class="button small" onClick={() => attempt(() => navigator.clipboard.writeText(made.key), "Copied.")}>
                                Copy
                            </button>
                        </span>
                    </div>
                )}
            </form>
        </Card>
    );
}

export function KeysPage() {
    const title = "Keys";
    const about = "What programs come in by: which source, and when it was last used.";
    const admin = useIsAdmin();
    const [revoked, setRevoked] = useState(false);
    const asked = useGet<Keys>(admin ? `/v1/keys${revoked ? "?revoked=true" : ""}` : null);
    if (!admin) return <ForAdmins title={title} about={about} />;
    return (
        <Page title={title} about={about}>
            <Card
                side={
                    <label class="line small">
                        <input type="checkbox" checked={revoked} onChange={(e) => setRevoked(e.currentTarget.checked)} />
                        Revoked ones, too
                    </label>
                }
                title="All keys"
            >
                <Listing
                    of={asked}
                    n={4}
                    rows={({ keys }) => keys}
                    head={["Key", "Source", "Last used", ""]}
                    row={(k) => <KeyRow key={k.id} of={k} since={asked.data!.since} reload={asked.reload} />}
                    empty={<Empty title="No keys yet">A page or a server needs one to send what happens.</Empty>}
                />
            </Card>
            <AddKey reload={asked.reload} />
        </Page>
    );
}
