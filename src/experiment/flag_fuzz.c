/* SPDX-License-Identifier: Apache-2.0
 *
 * flag_fuzz.c - any text as a flag's definition: refused with a reason, or it answers. */
#include "experiment/experiment.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    const struct json *json = NULL;
    const struct flag *flag = NULL;
    enum err err = json_parse(&a, (str){ (const char *)data, (isize)size }, &json, &diag);
    if (!err) {
        err = experiment_flag_compile(&a, json, 500, &flag, &diag);
        if (err) {
            assert(diag.what.len > 0);
        } else {
            for (int i = 0; i < 20; i++) {
                str id = arena_printf(&a, "p%d", i);
                struct flag_answer answer = experiment_flag_evaluate(
                    flag, &(struct flag_asker){ .id = id, .matches = NULL, .ctx = NULL });
                assert(answer.value.len > 0);
                assert(answer.propensity > 0 && answer.propensity <= 1);
            }
        }
    }
    arena_fini(&a);
    return 0;
}
