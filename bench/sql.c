/* SPDX-License-Identifier: Apache-2.0
 *
 * sql.c - the same crowd in SQLite and in PostgreSQL, as a shop that keeps its events in tables would have it.
 *
 * One row a deed, with two indexes of events: by type and time, holding all that the questions count, so that the table itself is not
 * read; and by person, type and time. SQLite runs in this process, on one thread, with its pages in memory. PostgreSQL is a cluster of
 * its own in the work folder, reached through psql by a socket there; it may use as many workers as it thinks good (two, as
 * delivered). Both have been analysed; PostgreSQL's tables are vacuumed, without which no index answers alone. */
#include <pwd.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "know.h"

static const char tables[] =
    "CREATE TABLE person(id integer PRIMARY KEY, gender text, town text, age integer);"
    "CREATE TABLE item(id integer PRIMARY KEY, parent text, category text, brand text, price integer);"
    "CREATE TABLE event(person integer, at bigint, type smallint, item integer, quantity integer, value integer);";

/* ---- SQLite ------------------------------------------------------------------------------------------------ */

struct sqlite_side { sqlite3 *db; };

static void run(struct sqlite_side *s, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(s->db, sql, NULL, NULL, &why)) give_up("SQLite: %s: %s", why, sql);
}

static sqlite3_stmt *prepared(struct sqlite_side *s, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL)) give_up("SQLite: %s: %s", sqlite3_errmsg(s->db), sql);
    return statement;
}

static void put(struct sqlite_side *s, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE) give_up("SQLite: %s", sqlite3_errmsg(s->db));
    (void)sqlite3_reset(statement);
}

static void load_people(struct sqlite_side *s, const struct crowd *crowd)
{
    static const char *const genders[] = { NULL, "female", "male" };
    char town[16];
    sqlite3_stmt *person = prepared(s, "INSERT INTO person VALUES(?,?,?,?)"), *item = prepared(s, "INSERT INTO item VALUES(?,?,?,?,?)");
    for (u32 id = 1; id <= crowd->people; id++) {
        const struct body *b = &crowd->body[id];
        (void)snprintf(town, sizeof town, "town%02u", b->town);
        sqlite3_bind_int64(person, 1, id);
        sqlite3_bind_text(person, 2, genders[b->gender], -1, SQLITE_STATIC);
        sqlite3_bind_text(person, 3, b->known ? town : NULL, -1, SQLITE_STATIC);
        if (b->age) sqlite3_bind_int(person, 4, b->age);
        else sqlite3_bind_null(person, 4);
        put(s, person);
    }
    for (u32 i = 0; i < crowd->items; i++) {
        char parent[8], category[8], brand[16];
        (void)snprintf(parent, sizeof parent, "c%02u", (u32)((u64)i * CROWD_CATEGORIES / crowd->items));
        (void)snprintf(category, sizeof category, "d%u", i % 10);
        (void)snprintf(brand, sizeof brand, "Brand %u", i % 37);
        sqlite3_bind_int64(item, 1, i);
        sqlite3_bind_text(item, 2, parent, -1, SQLITE_STATIC);
        sqlite3_bind_text(item, 3, category, -1, SQLITE_STATIC);
        sqlite3_bind_text(item, 4, brand, -1, SQLITE_STATIC);
        sqlite3_bind_int(item, 5, crowd_price(i));
        put(s, item);
    }
    (void)sqlite3_finalize(person);
    (void)sqlite3_finalize(item);
}

struct sqlite_side *sqlite_side_open(const struct crowd *crowd, const char *folder, f64 *load_s)
{
    struct sqlite_side *s = mem_new(sizeof *s);
    char path[512];
    i64 began = clock_monotonic_us();
    (void)snprintf(path, sizeof path, "%s/crowd.db", folder);
    if (sqlite3_open(path, &s->db)) give_up("SQLite: %s", path);
    run(s, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-4000000; PRAGMA temp_store=MEMORY;");
    run(s, tables);
    run(s, "BEGIN");
    load_people(s, crowd);
    sqlite3_stmt *event = prepared(s, "INSERT INTO event VALUES(?,?,?,?,?,?)");
    for (isize i = 0; i < crowd->deeds; i++) {
        const struct deed *d = &crowd->deed[i];
        sqlite3_bind_int64(event, 1, d->person);
        sqlite3_bind_int64(event, 2, d->at_ms);
        sqlite3_bind_int(event, 3, d->type);
        sqlite3_bind_int64(event, 4, d->item);
        sqlite3_bind_int(event, 5, d->quantity);
        sqlite3_bind_int(event, 6, d->value_minor);
        put(s, event);
    }
    (void)sqlite3_finalize(event);
    run(s, "COMMIT; CREATE INDEX event_type ON event(type, at, person, item, value); CREATE INDEX event_person ON event(person, type, at);"
        "CREATE INDEX person_gender ON person(gender, age); ANALYZE;");
    *load_s = (f64)(clock_monotonic_us() - began) / 1e6;
    return s;
}

struct asked sqlite_side_ask(struct sqlite_side *s, str sql)
{
    sqlite3_stmt *statement;
    i64 began = clock_monotonic_us();
    if (sqlite3_prepare_v2(s->db, sql.ptr, (int)sql.len, &statement, NULL) || sqlite3_step(statement) != SQLITE_ROW)
        give_up("SQLite: %s: %.*s", sqlite3_errmsg(s->db), STR_FMT(sql));
    struct asked asked = { .count = sqlite3_column_int64(statement, 0) };
    (void)sqlite3_finalize(statement);
    asked.ms = (f64)(clock_monotonic_us() - began) / 1e3;
    return asked;
}

void sqlite_side_close(struct sqlite_side *s)
{
    (void)sqlite3_close(s->db);
    mem_free(s);
}

/* ---- PostgreSQL ------------------------------------------------------------------------------------------- */

/* Its server does not run as root; what belongs to it is then done as its own account. */
static str run_postgres(const struct postgres *p, arena *a, bool server, const char *tool, const char *const *args)
{
    const char *argv[32];
    isize n = 0;
    if (server && p->as_other) {
        static const char *const as[] = { "/usr/sbin/runuser", "-u", "postgres", "--" };
        for (isize i = 0; i < countof(as); i++) argv[n++] = as[i];
    }
    argv[n++] = arena_printf(a, "%s/%s", p->bin, tool).ptr;
    for (isize i = 0; args[i]; i++) argv[n++] = args[i];
    argv[n] = NULL;
    return run_program(a, argv);
}

static str psql(const struct postgres *p, arena *a, const char *file)
{
    return run_postgres(p, a, false, "psql", (const char *const[]){ "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", p->folder, "-U", "postgres", "-d", "postgres",
                                                             "-f", file, NULL });
}

static const char *write_script(const struct postgres *p, arena *a, const char *name, str text)
{
    const char *path = arena_printf(a, "%s/%s", p->folder, name).ptr;
    FILE *f = fopen(path, "we");
    if (!f || fwrite(text.ptr, 1, (size_t)text.len, f) != (size_t)text.len || fclose(f)) give_up("%s cannot be written", path);
    return path;
}

bool postgres_open(struct postgres *p, const char *csv_folder, arena *a, f64 *load_s, str *why)
{
    p->bin = "/usr/lib/postgresql/15/bin";
    p->as_other = geteuid() == 0;
    const struct passwd *account = getpwnam("postgres");
    if (access(arena_printf(a, "%s/initdb", p->bin).ptr, X_OK)) {
        *why = S("PostgreSQL 15 is not here: apt-get install postgresql-15");
        return false;
    }
    if (p->as_other && !account) {
        *why = S("PostgreSQL does not run as root, and there is no account postgres");
        return false;
    }
    char *folder = arena_new(a, char, 32);
    (void)snprintf(folder, 32, "/tmp/opmaat-know-XXXXXX");
    if (!mkdtemp(folder)) give_up("no folder for PostgreSQL");
    p->folder = folder;
    if (p->as_other && chown(folder, account->pw_uid, account->pw_gid)) give_up("%s cannot be given away", folder);
    const char *data = arena_printf(a, "%s/data", folder).ptr;
    (void)run_postgres(p, a, true, "initdb", (const char *const[]){ "-D", data, "-A", "trust", "-U", "postgres", "--locale=C", "-N", NULL });
    (void)run_postgres(p, a, true, "pg_ctl", (const char *const[]){ "-D", data, "-w", "-l", arena_printf(a, "%s/log", folder).ptr, "-o",
                       arena_printf(a, "-k %s -c listen_addresses= -c shared_buffers=2GB -c work_mem=256MB -c maintenance_work_mem=1GB -c fsync=off "
                                    "-c effective_cache_size=8GB -c max_wal_size=8GB -c autovacuum=off", folder).ptr, "start", NULL });
    i64 began = clock_monotonic_us();
    struct buf load = { .arena = a };
    buf_printf(&load, "%s\n", tables);
    static const char *const names[] = { "person", "item", "event" };
    for (isize i = 0; i < countof(names); i++) buf_printf(&load, "\\copy %s FROM '%s/%s.csv' WITH (FORMAT csv, NULL '')\n", names[i], csv_folder, names[i]);
    buf_printf(&load, "CREATE INDEX event_type ON event(type, at) INCLUDE (person, item, value);\nCREATE INDEX event_person ON event(person, type, at);\n"
               "CREATE INDEX person_gender ON person(gender, age);\nVACUUM ANALYZE;\n");
    (void)psql(p, a, write_script(p, a, "load.sql", buf_str(&load)));
    *load_s = (f64)(clock_monotonic_us() - began) / 1e6;
    return true;
}

/* psql says the answer in a line, and in the next how long the server took to give it. */
void postgres_ask(const struct postgres *p, const str *sql, isize n, isize rounds, struct asked *out, arena *a)
{
    struct buf script = { .arena = a };
    buf_printf(&script, "\\timing on\n");
    for (isize i = 0; i < n * rounds; i++) buf_printf(&script, "%.*s;\n", STR_FMT(sql[i % n]));
    str said = psql(p, a, write_script(p, a, "ask.sql", buf_str(&script)));
    for (isize i = 0; i < n * rounds; i++) {
        struct str_cut count = str_cut(said, '\n'), time = str_cut(count.tail, '\n');
        if (!str_to_i64(count.head, &out[i].count) || time.head.len < 7) give_up("psql said: %.*s", STR_FMT(count.head));
        out[i].ms = strtod(time.head.ptr + 6, NULL);
        said = time.tail;
    }
}

void postgres_close(struct postgres *p, arena *a)
{
    (void)run_postgres(p, a, true, "pg_ctl", (const char *const[]){ "-D", arena_printf(a, "%s/data", p->folder).ptr, "-m", "immediate", "-w", "stop", NULL });
    (void)run_program(a, (const char *const[]){ "/bin/rm", "-rf", p->folder, NULL });
}
