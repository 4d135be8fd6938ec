/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static i64 system_now(void *ctx)
{
    (void)ctx;
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (i64)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct clock clock_system(void) { return (struct clock){ system_now, NULL }; }

i64 clock_monotonic_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (i64)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

i64 clock_cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (i64)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Days from civil and back: Howard Hinnant, "chrono-compatible low-level date algorithms". */
static i64 days_from_civil(i64 y, i64 m, i64 d)
{
    y -= m <= 2;
    i64 era = (y >= 0 ? y : y - 399) / 400;
    i64 yoe = y - era * 400;
    i64 doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    i64 doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

i64 time_from_civil(struct civil c)
{
    return ((days_from_civil(c.year, c.month, c.day) * 24 + c.hour) * 60 + c.minute) * MINUTE_MS
         + (i64)c.second * SECOND_MS;
}

static i64 floor_div(i64 a, i64 b) { return a / b - (a % b < 0); }

struct civil time_civil(i64 at_ms, i32 offset_minutes)
{
    i64 ms = at_ms + (i64)offset_minutes * MINUTE_MS;
    i64 days = floor_div(ms, DAY_MS);
    i64 second = (ms - days * DAY_MS) / SECOND_MS;
    i64 z = days + 719468;
    i64 era = floor_div(z, 146097);
    i64 doe = z - era * 146097;
    i64 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    i64 doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    i64 mp = (5 * doy + 2) / 153;
    i64 month = mp < 10 ? mp + 3 : mp - 9;
    i64 weekday = (days + 3) % 7;                       /* 1970-01-01 was a Thursday */
    if (weekday < 0) weekday += 7;
    return (struct civil){
        .year = (i32)(yoe + era * 400 + (month <= 2)), .month = (i32)month,
        .day = (i32)(doy - (153 * mp + 2) / 5 + 1), .hour = (i32)(second / 3600),
        .minute = (i32)(second / 60 % 60), .second = (i32)(second % 60), .weekday = (i32)weekday + 1,
    };
}

static bool digits(str *s, isize n, i32 *out)
{
    if (s->len < n) return false;
    i32 v = 0;
    for (isize i = 0; i < n; i++) {
        char c = s->ptr[i];
        if (c < '0' || c > '9') return false;
        v = v * 10 + (c - '0');
    }
    *out = v;
    *s = str_from(*s, n);
    return true;
}

static bool eat(str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c) return false;
    *s = str_from(*s, 1);
    return true;
}

static bool time_of_day(str *s, struct civil *c, i64 *ms)
{
    if (!digits(s, 2, &c->hour) || !eat(s, ':') || !digits(s, 2, &c->minute)) return false;
    if (eat(s, ':') && !digits(s, 2, &c->second)) return false;
    if (!eat(s, '.')) return true;
    i64 scale = 100;
    if (s->len == 0 || s->ptr[0] < '0' || s->ptr[0] > '9') return false;
    for (; s->len > 0 && s->ptr[0] >= '0' && s->ptr[0] <= '9'; *s = str_from(*s, 1), scale /= 10)
        *ms += (s->ptr[0] - '0') * scale;
    return true;
}

static bool zone(str *s, i64 *offset_minutes)
{
    if (s->len == 0 || eat(s, 'Z') || eat(s, 'z')) return true;
    bool behind = eat(s, '-');
    if (!behind && !eat(s, '+')) return false;
    i32 h, m = 0;
    if (!digits(s, 2, &h)) return false;
    (void)eat(s, ':');
    if (s->len > 0 && !digits(s, 2, &m)) return false;
    *offset_minutes = (behind ? -1 : 1) * (h * 60 + m);
    return h <= 23 && m <= 59;
}

static i32 month_days(i32 year, i32 month)
{
    static const i8 days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Only what prints with a year of four digits is an instant to us. */
static bool instant(i64 at_ms, i64 *out_ms)
{
    if (at_ms < -62167219200000 || at_ms >= 253402300800000) return false;
    *out_ms = at_ms;
    return true;
}

bool time_parse(str s, i64 *out_ms)
{
    i64 n;
    if (str_to_i64(s, &n)) {
        bool seconds = s.len <= 10;
        return instant(seconds ? n * 1000 : n, out_ms);
    }
    struct civil c = { 0 };
    i64 ms = 0, offset_minutes = 0;
    if (!digits(&s, 4, &c.year) || !eat(&s, '-') || !digits(&s, 2, &c.month) || !eat(&s, '-')
        || !digits(&s, 2, &c.day)) return false;
    if (s.len > 0) {
        if (!eat(&s, 'T') && !eat(&s, 't') && !eat(&s, ' ')) return false;
        if (!time_of_day(&s, &c, &ms) || !zone(&s, &offset_minutes)) return false;
    }
    bool sane = c.month >= 1 && c.month <= 12 && c.day >= 1 && c.hour <= 23
             && c.minute <= 59 && c.second <= 60 && s.len == 0;
    if (!sane || c.day > month_days(c.year, c.month)) return false;
    return instant(time_from_civil(c) + ms - offset_minutes * MINUTE_MS, out_ms);
}

str time_print(arena *a, i64 at_ms)
{
    struct civil c = time_civil(at_ms, 0);
    i64 ms = at_ms - floor_div(at_ms, SECOND_MS) * SECOND_MS;
    return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day, c.hour,
                        c.minute, c.second, (int)ms);
}

static u64 splitmix(u64 *state)
{
    u64 z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct rng rng_seed(u64 seed)
{
    struct rng r;
    for (isize i = 0; i < 4; i++) r.s[i] = splitmix(&seed);
    return r;
}

static u64 rotl(u64 v, int n) { return (v << n) | (v >> (64 - n)); }

u64 rng_next(struct rng *r)
{
    u64 result = rotl(r->s[1] * 5, 7) * 9;
    u64 t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

f64 rng_unit(struct rng *r) { return (f64)(rng_next(r) >> 11) * 0x1p-53; }

u32 rng_below(struct rng *r, u32 n)
{
    assert(n > 0);
    u64 limit = (u64)UINT32_MAX + 1 - ((u64)UINT32_MAX + 1) % n;
    u64 v;
    do v = rng_next(r) >> 32; while (v >= limit);
    return (u32)(v % n);
}

void rng_system(void *bytes, isize n)
{
    for (u8 *p = bytes; n > 0;) {
        isize got = getrandom(p, (size_t)n, 0);
        if (got < 0 && errno == EINTR) continue;
        assert(got > 0);
        p += got;
        n -= got;
    }
}
