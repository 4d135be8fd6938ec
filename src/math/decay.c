/* SPDX-License-Identifier: Apache-2.0
 *
 * decay.c - exponential forgetting, to the same bit on every machine.
 *
 * Decayed counters are fold state: two nodes that replay one log must agree on the digest, and
 * exp2() of two C libraries need not. So 2^-x is made here of + - * / alone, which IEEE 754
 * rounds one way (no fused multiply-add: -ffp-contract=off; no wider registers: asserted below).
 *
 *     x = whole + step/32 + rest        0 <= rest < 1/32, every part exact
 *     2^-x = 2^-whole * 2^(-step/32) * exp(-rest ln 2)
 *
 * The middle factor is a table of correctly rounded doubles, the last a Taylor polynomial: with
 * rest ln 2 < 0.0217 its ninth term is below 1e-20. The first is made by writing the exponent.
 */
#include "math/math.h"

#include <float.h>

static_assert(FLT_EVAL_METHOD == 0, "doubles must be computed as doubles");
static_assert(DBL_MANT_DIG == 53, "doubles must be IEEE 754 binary64");

enum { STEPS = 32, WHOLE_MAX = 1000 };

/* 2^(-i/32), correctly rounded. */
static const f64 steps[STEPS] = {
    0x1.0000000000000p+0, 0x1.f50765b6e4540p-1, 0x1.ea4afa2a490dap-1, 0x1.dfc97337b9b5fp-1,
    0x1.d5818dcfba487p-1, 0x1.cb720dcef9069p-1, 0x1.c199bdd85529cp-1, 0x1.b7f76f2fb5e47p-1,
    0x1.ae89f995ad3adp-1, 0x1.a5503b23e255dp-1, 0x1.9c49182a3f090p-1, 0x1.93737b0cdc5e5p-1,
    0x1.8ace5422aa0dbp-1, 0x1.82589994cce13p-1, 0x1.7a11473eb0187p-1, 0x1.71f75e8ec5f74p-1,
    0x1.6a09e667f3bcdp-1, 0x1.6247eb03a5585p-1, 0x1.5ab07dd485429p-1, 0x1.5342b569d4f82p-1,
    0x1.4bfdad5362a27p-1, 0x1.44e086061892dp-1, 0x1.3dea64c123422p-1, 0x1.371a7373aa9cbp-1,
    0x1.306fe0a31b715p-1, 0x1.29e9df51fdee1p-1, 0x1.2387a6e756238p-1, 0x1.1d4873168b9aap-1,
    0x1.172b83c7d517bp-1, 0x1.11301d0125b51p-1, 0x1.0b5586cf9890fp-1, 0x1.059b0d3158574p-1,
};

/* (-ln 2)^k / k!, k = 1 .. 8. */
static const f64 taylor[] = {
    -0x1.62e42fefa39efp-1, 0x1.ebfbdff82c58fp-3, -0x1.c6b08d704a0c0p-5, 0x1.3b2ab6fba4e77p-7,
    -0x1.5d87fe78a6731p-10, 0x1.430912f86c787p-13, -0x1.ffcbfc588b0c7p-17, 0x1.62c0223a5c824p-20,
};

/* 2^-(whole + part), 0 <= part < 1. */
static f64 power_of(i64 whole, f64 part)
{
    if (whole >= WHOLE_MAX) return 0;
    i64 step = (i64)(part * STEPS);
    f64 rest = part - (f64)step / STEPS;
    f64 poly = taylor[countof(taylor) - 1];
    for (isize k = countof(taylor) - 2; k >= 0; k--) poly = poly * rest + taylor[k];
    f64 value = steps[step] + steps[step] * (poly * rest);      /* the large term last */
    u64 bits = (u64)(1023 - whole) << 52;
    f64 scale;
    memcpy(&scale, &bits, sizeof scale);
    return value * scale;                               /* exact: far from the smallest normal */
}

f64 half_power(f64 x)
{
    assert(x >= 0);
    if (x >= WHOLE_MAX) return 0;
    i64 whole = (i64)x;
    return power_of(whole, x - (f64)whole);
}

f64 decay(f64 value, i64 elapsed_ms, i64 half_life_ms)
{
    assert(half_life_ms > 0);
    if (elapsed_ms <= 0) return value;
    i64 whole = elapsed_ms / half_life_ms;
    /* Both fit 53 bits for any span below 285,000 years, so the quotient is rounded once. */
    f64 part = (f64)(elapsed_ms % half_life_ms) / (f64)half_life_ms;
    return value * (part < 1 ? power_of(whole, part) : power_of(whole + 1, 0));
}
