/* SPDX-License-Identifier: Apache-2.0
 *
 * mount.c - under which paths a route is found, besides its own.
 *
 *   PREFIX/…                 all of them, when the settings name a path_prefix: for a shop that passes one
 *                            path of its own on to us, or whose visitors' blockers know ours
 *   /segment/… /rudderstack/…   the routes of these clients, also without /v1
 *   /t /p /b … /sourceConfig    the same at the root, unless the settings say root_aliases: false
 *
 * Segment's browser client puts the first letter of the call behind its apiHost, which may or may not
 * end in /v1; RudderStack's has names of its own.
 */
#include "api/inside.h"
#include "base/rcu.h"

static const struct { str at, to; } aliases[] = {
    { S_INIT("/t"), S_INIT("/v1/t") },
    { S_INIT("/p"), S_INIT("/v1/p") },
    { S_INIT("/i"), S_INIT("/v1/i") },
    { S_INIT("/b"), S_INIT("/v1/b") },
    { S_INIT("/s"), S_INIT("/v1/s") },
    { S_INIT("/g"), S_INIT("/v1/g") },
    { S_INIT("/a"), S_INIT("/v1/a") },
    { S_INIT("/m"), S_INIT("/v1/m") },
    { S_INIT("/batch"), S_INIT("/v1/batch") },
    { S_INIT("/sourceConfig"), S_INIT("/v1/sourceConfig") },
    { S_INIT("/beacon/v1/batch"), S_INIT("/v1/batch") },
    { S_INIT("/pixel/v1/track"), S_INIT("/v1/pixel/track") },
    { S_INIT("/pixel/v1/page"), S_INIT("/v1/pixel/page") },
    { S_INIT("/rsaMetrics"), S_INIT("/v1/m") },
    { S_INIT("/rsaRequest"), S_INIT("/v1/m") },
};

static str without(str path, str prefix)
{
    bool under = str_starts(path, prefix) && path.len > prefix.len && path.ptr[prefix.len] == '/';
    return under ? str_from(path, prefix.len) : S("");
}

static str without_slash(str path)
{
    return path.len > 1 && str_ends(path, S("/")) ? str_slice(path, 0, path.len - 1) : path;
}

str mounted(struct call *call, str path)
{
    static const str families[] = { S_INIT("/segment"), S_INIT("/rudderstack") };
    rcu_read_begin();
    const struct book *book = atomic_load(&call->api->live->book);
    str prefix = book->settings.path_prefix;
    bool family = !book->settings.no_root_aliases;
    if (prefix.len && without(path, prefix).len) path = without(path, prefix);
    rcu_read_end();
    if (str_starts(path, S("/v1/"))) return path;
    for (isize i = 0; i < countof(families); i++) {
        str rest = without(path, families[i]);
        if (rest.len == 0) continue;
        path = rest;
        family = true;
    }
    if (str_starts(path, S("/posthog/"))) return without_slash(path);
    str bare = without_slash(path);
    for (isize i = 0; family && i < countof(aliases); i++)
        if (str_eq(bare, aliases[i].at)) return aliases[i].to;
    return path;
}
