/* SPDX-License-Identifier: Apache-2.0
 *
 * quiz.c - what shoppers are asked, and may answer.
 *
 * A quiz is a document and no state: an answer is an event like any other (Quiz Answered) and
 * passes the consent gate like any other. Question and answer go into facts and rules by their
 * keys, so that a text may be mended and translated without anybody's answer changing.
 */
#include "decide/decide.h"

enum { QUIZ_LANGUAGES_MAX = 64 };


/* One text, or one a language, none of them empty. */
static bool says_something(const struct json *v)
{
    if (json_is(v, JSON_STR)) return str_trim(v->s).len > 0;
    if (!json_is(v, JSON_OBJ) || json_len(v) == 0 || json_len(v) > QUIZ_LANGUAGES_MAX) return false;
    json_each(one, v)
        if (str_trim(json_str(one, S(""))).len == 0) return false;
    return true;
}

static bool repeated(const struct json *list, const struct json *row)
{
    json_each(other, list)
        if (other != row && str_eq(json_get_str(other, "key"), json_get_str(row, "key"))) return true;
    return false;
}

/* The rows of a list: a key of its own and a text each. */
static enum err read_rows(const struct json *list, const char *what, isize most, struct diag *diag)
{
    if (!json_is(list, JSON_ARR) || json_len(list) < 1 || json_len(list) > most)
        return diag_set(diag, ERR_BAD_INPUT, "there are 1 to %td %ss", most, what);
    json_each(row, list) {
        str key = json_get_str(row, "key");
        if (key.len == 0 || key.len > QUIZ_KEY_BYTES_MAX)
            return diag_set(diag, ERR_BAD_INPUT,
                            "every %s needs a key of 1 to %d bytes, by which rules ask for it",
                            what, QUIZ_KEY_BYTES_MAX);
        if (repeated(list, row))
            return diag_set(diag, ERR_BAD_INPUT, "there are two %ss \"%.*s\"", what, STR_FMT(key));
        if (!says_something(json_get(row, S("text"))))
            return diag_set(diag, ERR_BAD_INPUT, "the %s \"%.*s\" has no text", what, STR_FMT(key));
    }
    return ERR_OK;
}

enum err quiz_read(const struct json *doc, struct quiz *out, struct diag *diag)
{
    const struct json *questions = json_get(doc, S("questions")), *thanks = json_get(doc, S("thanks"));
    *out = (struct quiz){ .document = doc };
    enum err err = read_rows(questions, "question", QUIZ_QUESTIONS_MAX, diag);
    if (!err && thanks && !says_something(thanks))
        err = diag_set(diag, ERR_BAD_INPUT, "thanks is a text, or one a language");
    if (err) return err;
    json_each(question, questions) {
        err = read_rows(json_get(question, S("answers")), "answer", QUIZ_ANSWERS_MAX, diag);
        if (err) return err;
    }
    return ERR_OK;
}

static str text_in(const struct json *v, str locale)
{
    struct text texts[QUIZ_LANGUAGES_MAX];
    isize n = 0;
    if (!json_is(v, JSON_OBJ)) return json_str(v, S(""));
    json_each(one, v)
        if (n < QUIZ_LANGUAGES_MAX) texts[n++] = (struct text){ one->key, json_str(one, S("")) };
    return item_text(texts, n, locale);
}

static void print_row(const struct json *row, str locale, struct jsonw *w)
{
    jsonw_key_str(w, "key", json_get_str(row, "key"));
    jsonw_key_str(w, "text", text_in(json_get(row, S("text")), locale));
}

void quiz_print(const struct quiz *quiz, str locale, struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "key", quiz->key);
    jsonw_key_str(w, "title", text_in(json_get(quiz->document, S("title")), locale));
    jsonw_key_str(w, "thanks", text_in(json_get(quiz->document, S("thanks")), locale));
    jsonw_key_begin(w, "questions", '[');
    json_each(question, json_get(quiz->document, S("questions"))) {
        jsonw_begin(w, '{');
        print_row(question, locale, w);
        jsonw_key_begin(w, "answers", '[');
        json_each(answer, json_get(question, S("answers"))) {
            jsonw_begin(w, '{');
            print_row(answer, locale, w);
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}
