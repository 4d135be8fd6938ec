/* SPDX-License-Identifier: Apache-2.0
 *
 * zone.c - local times and UTC.
 *
 * Two rules of summer time and a table of names are enough for the shops there are; a machine's own
 * zone files differ from machine to machine, and neither an import nor a segment may. European
 * Union since 1996 (directive 2000/84/EC): from the last Sunday of March, 01:00 UTC, to the last of
 * October, 01:00 UTC. United States since 2007 (Energy Policy Act of 2005): from the second Sunday
 * of March to the first of November, each at 02:00 local time. An hour that a clock shows twice is
 * its first; one that it skips is taken as if it had not been.
 */
#include "base/clock.h"
#include "base/zone.h"

enum rule { NONE, EU, US };
static const struct { str name; i32 minutes; enum rule rule;
} zones[] = {
    { S_INIT("UTC"), 0, NONE },
    { S_INIT("GMT"), 0, NONE },
    { S_INIT("Z"), 0, NONE },
    { S_INIT("Atlantic/Reykjavik"), 0, NONE },
    { S_INIT("Europe/London"), 0, EU },
    { S_INIT("Europe/Dublin"), 0, EU },
    { S_INIT("Europe/Lisbon"), 0, EU },
    { S_INIT("Europe/Oslo"), 60, EU },
    { S_INIT("Europe/Stockholm"), 60, EU },
    { S_INIT("Europe/Copenhagen"), 60, EU },
    { S_INIT("Europe/Berlin"), 60, EU },
    { S_INIT("Europe/Paris"), 60, EU },
    { S_INIT("Europe/Amsterdam"), 60, EU },
    { S_INIT("Europe/Brussels"), 60, EU },
    { S_INIT("Europe/Madrid"), 60, EU },
    { S_INIT("Europe/Rome"), 60, EU },
    { S_INIT("Europe/Vienna"), 60, EU },
    { S_INIT("Europe/Zurich"), 60, EU },
    { S_INIT("Europe/Warsaw"), 60, EU },
    { S_INIT("Europe/Prague"), 60, EU },
    { S_INIT("Europe/Budapest"), 60, EU },
    { S_INIT("Europe/Luxembourg"), 60, EU },
    { S_INIT("Europe/Helsinki"), 120, EU },
    { S_INIT("Europe/Tallinn"), 120, EU },
    { S_INIT("Europe/Riga"), 120, EU },
    { S_INIT("Europe/Vilnius"), 120, EU },
    { S_INIT("Europe/Athens"), 120, EU },
    { S_INIT("Europe/Sofia"), 120, EU },
    { S_INIT("Europe/Bucharest"), 120, EU },
    { S_INIT("America/New_York"), -300, US },
    { S_INIT("America/Chicago"), -360, US },
    { S_INIT("America/Denver"), -420, US },
    { S_INIT("America/Los_Angeles"), -480, US },
};

/* "+01:00", "-0330". */
static bool fixed_offset(str s, i32 *minutes)
{
    bool behind = s.len > 0 && s.ptr[0] == '-';
    if (s.len < 3 || (!behind && s.ptr[0] != '+')) return false;
    s = str_from(s, 1);
    i64 hours, rest = 0;
    if (!str_to_i64(str_slice(s, 0, 2), &hours)) return false;
    s = str_from(s, 2);
    if (s.len && s.ptr[0] == ':') s = str_from(s, 1);
    if (s.len && (s.len != 2 || !str_to_i64(s, &rest))) return false;
    *minutes = (i32)(hours * 60 + rest) * (behind ? -1 : 1);
    return hours >= 0 && hours <= 14 && rest >= 0 && rest < 60;
}

static bool zone_find(str zone, i32 *minutes, enum rule *rule)
{
    *rule = NONE;
    if (fixed_offset(zone, minutes)) return true;
    for (isize i = 0; i < countof(zones); i++) {
        if (!str_eq_nocase(zone, zones[i].name)) continue;
        *minutes = zones[i].minutes;
        *rule = zones[i].rule;
        return true;
    }
    return false;
}

/* Midnight, UTC, of a month's n-th Sunday; n 0: its last. */
static i64 sunday(i32 year, i32 month, i32 n)
{
    struct civil c = { .year = year, .month = month, .day = n ? 1 : 31 };
    i64 at_ms = time_from_civil(c);
    i32 weekday = time_civil(at_ms, 0).weekday % 7;     /* Sunday 0; March and October have 31 days */
    return n ? at_ms + ((7 - weekday) % 7 + 7 * (n - 1)) * DAY_MS : at_ms - weekday * DAY_MS;
}

static bool is_summer(enum rule rule, i32 minutes, i64 utc_ms)
{
    i32 year = time_civil(utc_ms, 0).year;
    if (rule == EU) return utc_ms >= sunday(year, 3, 0) + HOUR_MS && utc_ms < sunday(year, 10, 0) + HOUR_MS;
    i64 base = (i64)minutes * MINUTE_MS;
    return utc_ms >= sunday(year, 3, 2) + 2 * HOUR_MS - base && utc_ms < sunday(year, 11, 1) + HOUR_MS - base;
}

bool zone_of(str name, struct zone *out)
{
    enum rule rule;
    *out = (struct zone){ 0 };
    if (!zone_find(name, &out->minutes, &rule)) return false;
    out->summer = (u8)rule;
    return true;
}

i32 zone_minutes(struct zone zone, i64 utc_ms)
{
    return zone.minutes
           + (zone.summer != NONE && is_summer((enum rule)zone.summer, zone.minutes, utc_ms) ? 60
                                                                                             : 0);
}

i64 zone_instant(struct zone zone, i64 local_ms)
{
    i64 standard = local_ms - (i64)zone.minutes * MINUTE_MS, summer = standard - HOUR_MS;
    return zone.summer != NONE && is_summer((enum rule)zone.summer, zone.minutes, summer) ? summer : standard;
}

bool zone_known(str zone)
{
    i32 minutes;
    enum rule rule;
    return zone_find(zone, &minutes, &rule);
}

i64 zone_to_utc(str name, i64 local_ms)
{
    struct zone zone;
    return zone_of(name, &zone) ? zone_instant(zone, local_ms) : local_ms;
}
