/* SPDX-License-Identifier: Apache-2.0
 *
 * zone.h - local times and UTC, the same on every machine.
 *
 * A zone is an offset and, perhaps, a rule of summer time. Nothing is read from the machine: what was
 * an hour of the shop's day when the log was written is one whenever it is folded again. */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include "base/base.h"

/* ahead of UTC in winter; enum of zone.c, 0: no summer time */
struct zone { i32 minutes; u8 summer; };

/* "UTC", "+01:00", or a European or American zone by its usual name. */
bool zone_of(str name, struct zone *out);
bool zone_known(str name);
/* Minutes ahead of UTC at an instant. */
i32 zone_minutes(struct zone zone, i64 utc_ms);
/* The instant a clock there shows this time: of an hour shown twice the first, of one that is
 * skipped as if it had not been. */
i64 zone_instant(struct zone zone, i64 local_ms);
/* the same by name; local_ms when nothing is called so */
i64 zone_to_utc(str name, i64 local_ms);

#endif
