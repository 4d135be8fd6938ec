/* SPDX-License-Identifier: Apache-2.0
 *
 * json_read.cc - the C face over simdjson's DOM, one of the tree's three C++ files.
 *
 * The DOM and not the on-demand front end: on-demand leaves what it skips unchecked. Its tape is
 * copied into our nodes in one walk, because everything behind this face is C and arenas.
 */
#include <simdjson.h>

extern "C" {
#include "base/json_face.h"
}

namespace dom = simdjson::dom;

namespace {

void build(const struct json_face *face, dom::element from, void *at);

void build_list(const struct json_face *face, dom::array from, void *at)
{
    ptrdiff_t n = 0;
    for (dom::element child : from) { (void)child; n++; }
    char *children = static_cast<char *>(face->list(face->ctx, at, 0, n));
    ptrdiff_t i = 0;
    for (dom::element child : from) build(face, child, children + face->node_bytes * i++);
}

void build_object(const struct json_face *face, dom::object from, void *at)
{
    ptrdiff_t n = 0;
    for (auto field : from) { (void)field; n++; }
    char *children = static_cast<char *>(face->list(face->ctx, at, 1, n));
    ptrdiff_t i = 0;
    for (auto field : from) {
        void *child = children + face->node_bytes * i++;
        face->key(face->ctx, at, child, field.key.data(), static_cast<ptrdiff_t>(field.key.size()));
        build(face, field.value, child);
    }
}

void build(const struct json_face *face, dom::element from, void *at)
{
    switch (from.type()) {
    case dom::element_type::ARRAY: build_list(face, dom::array(from), at); break;
    case dom::element_type::OBJECT: build_object(face, dom::object(from), at); break;
    case dom::element_type::INT64: face->integer(at, int64_t(from)); break;
    case dom::element_type::UINT64: face->number(at, static_cast<double>(uint64_t(from))); break;
    case dom::element_type::DOUBLE: face->number(at, double(from)); break;
    case dom::element_type::STRING: {
        std::string_view s = from;
        face->text(face->ctx, at, s.data(), static_cast<ptrdiff_t>(s.size()));
        break;
    }
    case dom::element_type::BOOL: face->boolean(at, bool(from)); break;
    case dom::element_type::NULL_VALUE: face->null(at); break;
    }
}

}  // namespace

extern "C" const char *json_face_parse(const struct json_face *face, const char *text, ptrdiff_t len,
                                       int depth_max, void *root)
{
    thread_local dom::parser parser;
    size_t bytes = static_cast<size_t>(len);
    if (parser.capacity() < bytes || parser.max_depth() != static_cast<size_t>(depth_max)) {
        simdjson::error_code grown = parser.allocate(bytes < 65536 ? 65536 : bytes,
                                                     static_cast<size_t>(depth_max));
        if (grown) return simdjson::error_message(grown);
    }
    dom::element doc;
    simdjson::error_code error = parser.parse(text, bytes, true).get(doc);
    if (error) return simdjson::error_message(error);
    build(face, doc, root);
    return nullptr;
}
