/* SPDX-License-Identifier: Apache-2.0
 *
 * rows.h - runs of bytes by number: 1, 2, 3 …, for what is many, short and seldom changed.
 *
 * Sixteen rows lie in one block behind their ends, so a row costs its bytes and some four more. One
 * writer, which makes a block anew for each change; readers on other threads inside
 * rcu_read_begin/end. What rows_get gave stays until the bracket closes; for the writer, until it
 * settles (rcu.h).
 */
#ifndef BASE_ROWS_H
#define BASE_ROWS_H

#include "base/base.h"

struct rows;
struct rows *rows_new(void);
void rows_free(struct rows *r);
u32 rows_n(const struct rows *r);
u32 rows_add(struct rows *r, str bytes);                /* its number; writer only */
void rows_set(struct rows *r, u32 number, str bytes);   /* of one that is there; writer only */
str rows_get(const struct rows *r, u32 number);         /* 1 <= number <= rows_n */
i64 rows_bytes(const struct rows *r);                   /* what all of them take; goes through them */

#endif
