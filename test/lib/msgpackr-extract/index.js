// SPDX-License-Identifier: Apache-2.0
// msgpackr tries to load its native half and goes on without it when that throws.
throw new Error('left out');
