/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_fuzz.c - a plan and an event's properties, separated by a line feed: read or refused with a
 * reason, checked or passed, and printed as a call that is JSON. */
#include "base/json.h"
#include "event/event.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n)
{
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct str_cut cut = str_cut((str){ (const char *)bytes, (isize)n }, '\n');
    const struct json *doc, *properties;
    const struct plan *plan = NULL;
    if (json_parse(&a, cut.head, &doc, &diag) == ERR_OK) {
        enum err err = plan_read(&a, doc, &plan, &diag);
        assert(err ? diag.what.len > 0 && !plan : plan != NULL);
    }
    bool object = json_parse(&a, cut.tail, &properties, &diag) == ERR_OK && json_is(properties, JSON_OBJ);
    struct event e = { .type = EVENT_PRODUCT_VIEWED,
                       .name = S("Product Viewed"),
                       .at_ms = 1,
                       .properties = object ? cut.tail : S("") };
    for (int i = 0; i < 2; i++) {
        struct buf out = { .arena = &a };
        struct jsonw w = { .out = &out };
        (void)plan_check(plan, &e, &a);
        event_print_call(&e, S("k"), &a, &w);
        assert(json_parse(&a, buf_str(&out), &doc, &diag) == ERR_OK);
        e = (struct event){ .type = EVENT_CUSTOM_FIRST,
                            .name = S("Lamp Rubbed"),
                            .at_ms = 1,
                            .properties = e.properties };
    }
    arena_fini(&a);
    return 0;
}
