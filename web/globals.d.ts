/* SPDX-License-Identifier: Apache-2.0 */
/* Set by build.mjs. */
declare const VERSION: string;
declare const TAG_BYTES: number;
declare const TAG_BYTES_MAX: number;
declare const EVENT_NAMES: string[];
declare const RULE_CALLS: string[];
