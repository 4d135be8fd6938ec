/* SPDX-License-Identifier: Apache-2.0
 *
 * json_face.h - what the C++ reader calls to build our nodes; between json.c and json_read.cc. */
#ifndef BASE_JSON_FACE_H
#define BASE_JSON_FACE_H

#include <stddef.h>
#include <stdint.h>

struct json_face {
    void *ctx;
    ptrdiff_t node_bytes;
    void *(*list)(void *ctx, void *at, int is_object, ptrdiff_t n);     /* the children's memory */
    void (*key)(void *ctx, void *of, void *at, const char *ptr, ptrdiff_t len);      /* of: the object */
    void (*text)(void *ctx, void *at, const char *ptr, ptrdiff_t len);
    void (*integer)(void *at, int64_t v);
    void (*number)(void *at, double v);
    void (*boolean)(void *at, int v);
    void (*null)(void *at);
};

/* Null, or why the text is no JSON (a sentence that lives for ever). */
const char *json_face_parse(const struct json_face *face, const char *text, ptrdiff_t len,
                            int depth_max, void *root);

#endif
