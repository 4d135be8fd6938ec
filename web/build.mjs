// SPDX-License-Identifier: Apache-2.0
//
// build.mjs - bundles the web tag and the console: node build.mjs [--out DIR] [--depfile FILE --stamp FILE]
//
// Fetches what it needs by npm on the first run. Leaves in DIR (default: dist) tag.js, index.html
// and assets/. Fails when the tag, gzipped, is over its budget. With --depfile it writes what was
// read as a make rule, for meson.
import { spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const TAG_BYTES_MAX = 6 * 1024;

const here = dirname(fileURLToPath(import.meta.url));
const argument = (name) => {
    const at = process.argv.indexOf(name);
    return at < 0 ? undefined : process.argv[at + 1];
};
const out = resolve(argument("--out") ?? join(here, "dist"));
const depfile = argument("--depfile");
const stamp = argument("--stamp");
const version = JSON.parse(readFileSync(join(here, "package.json"), "utf8")).version;

/* What the lock file fixes is fetched on the first build, and again when the lock file changes. */
const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);
if (
    modified(join(here, "package-lock.json")) > modified(join(here, "node_modules/.package-lock.json"))
) {
    const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
        cwd: here,
        stdio: "inherit",
    });
    if (status !== 0) process.exit(1);
}
const { build } = await import("esbuild");

const common = {
    absWorkingDir: here,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    legalComments: "none",
    charset: "utf8",
    logLevel: "warning",
};
const read = new Set(["build.mjs", "package.json", "package-lock.json"]);
const note = (result) => {
    for (const input of Object.keys(result.metafile.inputs)) read.add(input);
    return result;
};

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "assets"), { recursive: true });

const tag = note(
    await build({
        ...common,
        entryPoints: ["tag/main.ts"],
        format: "iife",
        target: "es2020",
        define: { VERSION: JSON.stringify(version) },
    }),
);
const code = tag.outputFiles[0].contents;
const bytes = gzipSync(code, { level: 9 }).length;
writeFileSync(join(out, "tag.js"), code);
console.log(`tag.js ${code.length} bytes, ${bytes} gzipped (budget ${TAG_BYTES_MAX})`);
if (bytes > TAG_BYTES_MAX) {
    console.error(`tag.js is ${bytes - TAG_BYTES_MAX} bytes over its budget`);
    process.exit(1);
}

/* The words of rules, from the tables the server itself reads them by. */
function wordsOf(path, pattern) {
    read.add(path);
    const found = [...readFileSync(join(here, path), "utf8").matchAll(pattern)].map((m) => m[1]);
    if (!found.length) throw new Error(`${path}: no words like ${pattern}`);
    return JSON.stringify([...new Set(found)]);
}

if (existsSync(join(here, "console/main.tsx"))) {
    const console_ = note(
        await build({
            ...common,
            entryPoints: { console: "console/main.tsx" },
            outdir: join(out, "assets"),
            format: "iife",
            target: "es2021",
            jsx: "automatic",
            jsxImportSource: "preact",
            loader: { ".svg": "text" },
            define: {
                VERSION: JSON.stringify(version),
                TAG_BYTES: String(bytes),
                TAG_BYTES_MAX: String(TAG_BYTES_MAX),
                EVENT_NAMES: wordsOf("../src/event/event.def", /^TYPE\(\w+,\s*"(\w+)"/gm),
                RULE_CALLS: wordsOf("../src/rule/parse.c", /^ {4}\{ "(\w+)", NODE_\w+, \w+ \},$/gm),
            },
        }),
    );
    for (const file of console_.outputFiles) {
        writeFileSync(file.path, file.contents);
        console.log(
            `${file.path.slice(out.length + 1)} ${file.contents.length} bytes, `
                + `${gzipSync(file.contents, { level: 9 }).length} gzipped`,
        );
    }
    for (const [from, to] of [
        ["index.html", "index.html"],
        ["icon.svg", "assets/icon.svg"],
    ]) {
        cpSync(join(here, "console", from), join(out, to));
        read.add(`console/${from}`);
    }
}

if (depfile) {
    const escape = (path) => path.replace(/[ #$]/g, "\\$&");
    writeFileSync(
        depfile,
        `${escape(stamp)}: ${[...read].map((f) => escape(join(here, f))).join(" ")}\n`,
    );
}
if (stamp) writeFileSync(stamp, "");
