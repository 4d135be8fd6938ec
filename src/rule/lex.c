/* SPDX-License-Identifier: Apache-2.0
 *
 * lex.c - text -> tokens.
 *
 *   name    letter or _, then letters, digits, _        words are names; the parser knows which are words
 *   number  digits [ . digits ]                          at most 15 digits, 9 of them after the point
 *   date    dddd-dd-dd                                   a day that exists
 *   text    "…" or '…'                                   \" \' \\ \n \t \u0041
 *   sign    = != < <= > >= ( ) [ ] , . % -               == and <> are taken for = and !=
 *
 * Whatever else there is becomes one TOKEN_BAD and one error, with the thing probably meant as the
 * hint, so that a rule pasted from another tool is told what to write here. */
#include "rule/inside.h"

void rule_error_add(struct rule_errors *errors, isize at, isize len, str message, str hint)
{
    for (isize i = 0; i < errors->n; i++)               /* one mistake is told once */
        if (errors->at[i].column == at + 1) return;
    if (errors->n == RULE_ERRORS_MAX) return;
    errors->at[errors->n++] = (struct rule_error){ at + 1, len, message, hint };
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool rule_is_name(str name)
{
    if (name.len == 0 || !is_letter(name.ptr[0])) return false;
    for (isize i = 1; i < name.len; i++)
        if (!is_letter(name.ptr[i]) && !is_digit(name.ptr[i])) return false;
    return true;
}

bool rule_is_dotted(str name)
{
    struct str_cut part = { .tail = name, .found = true };
    while (part.found) {
        part = str_cut(part.tail, '.');
        if (!rule_is_name(part.head)) return false;
    }
    return true;
}

bool rule_is_reserved(str name)
{
    static const char *const words[] = {
        "and", "or", "not", "in", "between", "contains", "starts", "ends", "matches", "under", "is",
        "exists", "where", "then", "unless", "within", "for", "true", "false",
    };
    for (isize i = 0; i < countof(words); i++)
        if (str_eq_nocase(name, str_of(words[i]))) return true;
    return false;
}

struct lexer { arena *arena; str text; isize at; struct rule_errors *errors; };

static isize hex(str s)
{
    isize v = 0;
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        char l = (char)(c | 32);
        isize digit = is_digit(c) ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
        if (digit < 0) return -1;
        v = v * 16 + digit;
    }
    return v;
}

static void add_letter(struct buf *out, isize letter)
{
    if (letter < 0x80) {
        buf_byte(out, (char)letter);
    } else if (letter < 0x800) {
        buf_byte(out, (char)(0xc0 | letter >> 6));
        buf_byte(out, (char)(0x80 | (letter & 63)));
    } else {
        buf_byte(out, (char)(0xe0 | letter >> 12));
        buf_byte(out, (char)(0x80 | (letter >> 6 & 63)));
        buf_byte(out, (char)(0x80 | (letter & 63)));
    }
}

/* After a backslash. Its bytes taken, 0 when it is none of ours. */
static isize escape(str rest, struct buf *out)
{
    if (rest.len == 0) return 0;
    switch (rest.ptr[0]) {
    case '"': case '\'': case '\\': buf_byte(out, rest.ptr[0]); return 1;
    case 'n': buf_byte(out, '\n'); return 1;
    case 't': buf_byte(out, '\t'); return 1;
    case 'u': {
        if (rest.len < 5) return 0;
        isize letter = hex(str_slice(rest, 1, 5));
        if (letter <= 0 || (letter >= 0xd800 && letter <= 0xdfff)) return 0;
        add_letter(out, letter);
        return 5;
    }
    }
    return 0;
}

static struct token bad(struct lexer *x, isize at, isize len, str message, str hint)
{
    rule_error_add(x->errors, at, len, message, hint);
    x->at = at + len;
    str text = str_slice(x->text, at, at + len);
    return (struct token){ .kind = TOKEN_BAD, .at = at, .len = len, .text = text };
}

static struct token text_token(struct lexer *x)
{
    isize at = x->at;
    char quote = x->text.ptr[at];
    struct buf out = { .arena = x->arena };
    isize i = at + 1;
    while (i < x->text.len && x->text.ptr[i] != quote) {
        if (x->text.ptr[i] != '\\') { buf_byte(&out, x->text.ptr[i++]); continue; }
        isize took = escape(str_from(x->text, i + 1), &out);
        if (took == 0) {
            rule_error_add(x->errors, i, min_isize(2, x->text.len - i),
                           S("after a backslash comes one of \" ' \\ n t u0000"), S("\\\\"));
            took = min_isize(1, x->text.len - i - 1);
        }
        i += 1 + took;
    }
    if (i == x->text.len) return bad(x, at, i - at, S("the text that starts here is not closed"), S("\""));
    x->at = i + 1;
    return (struct token){ .kind = TOKEN_TEXT, .at = at, .len = x->at - at, .text = buf_str(&out) };
}

static bool is_date(str s)
{
    if (s.len < 10) return false;
    for (isize i = 0; i < 10; i++)
        if (i == 4 || i == 7 ? s.ptr[i] != '-' : !is_digit(s.ptr[i])) return false;
    return s.len == 10 || !is_digit(s.ptr[10]);
}

static struct token date_token(struct lexer *x)
{
    isize at = x->at;
    str text = str_slice(x->text, at, at + 10);
    i64 ms;
    bool ok = time_parse(text, &ms);
    struct civil c = ok ? time_civil(ms, 0) : (struct civil){ 0 };
    i64 month, day;
    ok = ok && str_to_i64(str_slice(text, 5, 7), &month) && str_to_i64(str_slice(text, 8, 10), &day)
      && c.month == month && c.day == day;              /* the 31st of June is no day */
    if (!ok) return bad(x, at, 10, S("there is no such day"), S("2026-01-31"));
    x->at = at + 10;
    return (struct token){ .kind = TOKEN_DATE, .at = at, .len = 10, .text = text, .day_ms = ms };
}

static struct token number_token(struct lexer *x)
{
    isize at = x->at, i = at, after = 0;
    while (i < x->text.len && is_digit(x->text.ptr[i])) i++;
    if (i + 1 < x->text.len && x->text.ptr[i] == '.' && is_digit(x->text.ptr[i + 1])) {
        isize point = i++;
        while (i < x->text.len && is_digit(x->text.ptr[i])) i++;
        after = i - point - 1;
    }
    str text = str_slice(x->text, at, i);
    f64 number = 0;
    if (text.len > 16 || after > 9 || !str_to_f64(text, &number) || number >= 1e15)
        return bad(x, at, i - at, S("a number has at most 15 digits, 9 of them after the point"), S(""));
    if (i < x->text.len && is_letter(x->text.ptr[i])) {
        isize end = i;
        while (end < x->text.len && (is_letter(x->text.ptr[end]) || is_digit(x->text.ptr[end]))) end++;
        return bad(x, at, end - at, S("a number ends here without a space"),
                   arena_printf(x->arena, "%.*s %.*s", STR_FMT(text), STR_FMT(str_slice(x->text, i, end))));
    }
    x->at = i;
    return (struct token){ .kind = TOKEN_NUMBER, .at = at, .len = i - at, .text = text, .number = number };
}

static struct token name_token(struct lexer *x)
{
    isize at = x->at, i = at;
    while (i < x->text.len && (is_letter(x->text.ptr[i]) || is_digit(x->text.ptr[i]))) i++;
    x->at = i;
    return (struct token){ .kind = TOKEN_NAME, .at = at, .len = i - at, .text = str_slice(x->text, at, i) };
}

static struct token strange_token(struct lexer *x)
{
    static const struct { str sign, hint; } meant[] = {
        { S_INIT("&&"), S_INIT("and") },
        { S_INIT("||"), S_INIT("or") },
        { S_INIT("&"), S_INIT("and") },
        { S_INIT("|"), S_INIT("or") },
        { S_INIT("!"), S_INIT("not") },
        { S_INIT("{"), S_INIT("(") },
        { S_INIT("}"), S_INIT(")") },
        { S_INIT("\xe2\x80\x9c"), S_INIT("\"") },
        { S_INIT("\xe2\x80\x9d"), S_INIT("\"") },
        { S_INIT("\xe2\x89\xa5"), S_INIT(">=") },
        { S_INIT("\xe2\x89\xa4"), S_INIT("<=") },
        { S_INIT("\xe2\x89\xa0"), S_INIT("!=") },
        { S_INIT("\xe2\x82\xac"), S_INIT("EUR") },
        { S_INIT("$"), S_INIT("USD") },
    };
    str rest = str_from(x->text, x->at);
    for (isize i = 0; i < countof(meant); i++)
        if (str_starts(rest, meant[i].sign))
            return bad(x, x->at, meant[i].sign.len, S("this sign means nothing here"), meant[i].hint);
    isize len = 1;
    while (len < rest.len && (u8)rest.ptr[len] >= 0x80 && (u8)rest.ptr[len] < 0xc0) len++;
    if ((u8)rest.ptr[0] < 0x80) len = 1;
    return bad(x, x->at, len, S("this sign means nothing here"), S(""));
}

static struct token sign_token(struct lexer *x)
{
    static const struct { str written, means; } signs[] = {
        { S_INIT("=="), S_INIT("=") }, { S_INIT("<>"), S_INIT("!=") }, { S_INIT("!="), S_INIT("!=") },
        { S_INIT("<="), S_INIT("<=") }, { S_INIT(">="), S_INIT(">=") }, { S_INIT("="), S_INIT("=") },
        { S_INIT("<"), S_INIT("<") }, { S_INIT(">"), S_INIT(">") }, { S_INIT("("), S_INIT("(") },
        { S_INIT(")"), S_INIT(")") }, { S_INIT("["), S_INIT("[") }, { S_INIT("]"), S_INIT("]") },
        { S_INIT(","), S_INIT(",") }, { S_INIT("."), S_INIT(".") }, { S_INIT("%"), S_INIT("%") },
        { S_INIT("-"), S_INIT("-") },
    };
    isize at = x->at;
    for (isize i = 0; i < countof(signs); i++)
        if (str_starts(str_from(x->text, at), signs[i].written)) {
            isize len = signs[i].written.len;
            x->at += len;
            return (struct token){ .kind = TOKEN_SIGN, .at = at, .len = len, .text = signs[i].means };
        }
    return strange_token(x);
}

static struct token next_token(struct lexer *x)
{
    str s = x->text;
    while (x->at < s.len && (s.ptr[x->at] == ' ' || (s.ptr[x->at] >= '\t' && s.ptr[x->at] <= '\r'))) x->at++;
    if (x->at == s.len) return (struct token){ .kind = TOKEN_END, .at = x->at };
    char c = s.ptr[x->at];
    if (c == '"' || c == '\'') return text_token(x);
    if (is_date(str_from(s, x->at))) return date_token(x);
    if (is_digit(c)) return number_token(x);
    if (is_letter(c)) return name_token(x);
    return sign_token(x);
}

void rule_lex(arena *a, arena *scratch, str text, struct tokens *out, struct rule_errors *errors)
{
    struct lexer x = { a, text, 0, errors };
    /* each but the last takes a byte */
    struct token *at = arena_new(scratch, struct token, text.len + 1);
    isize n = 0;
    do at[n] = next_token(&x);
    while (at[n++].kind != TOKEN_END);
    *out = (struct tokens){ at, n };
}
