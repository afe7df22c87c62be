/* SPDX-License-Identifier: Apache-2.0
 *
 * PCRE2 behind two calls.  Its memory comes from our allocator through its general context; the
 * machine code of the JIT can't, so a block of the same size (a few KiB) stands for it in the
 * ledger.  Where the system refuses executable memory, or the machine stack is too small, the
 * interpreter does the same. A match may backtrack 16 times per byte and a million times more:
 * enough for every pattern in use on runs of megabytes, and a fraction of a second for one that
 * explodes. */
#include "tokenizer/internal.h"

struct plim_regex {
    plim_regex_memory memory;
    pcre2_code *code;
    void *jit_place;
    bool jit;
};

enum {
    MATCH_STEPS = 1000000,
    MATCH_STEPS_PER_BYTE = 16,
    HEAP_KIB = 64 * 1024,
    MAX_PARENTHESES = 200
};

static void *hook_alloc(size_t bytes, void *user)
{
    plim_regex_memory *memory = user;
    plim_error why = {.code = PLIM_E_NOMEM};
    void *ptr = memory->alloc->alloc(memory->alloc, bytes, &why);
    if (!ptr)
        memory->refused = why.code;
    // cppcheck-suppress returnDanglingLifetime ; why is only filled
    return ptr;
}

static void hook_free(void *ptr, void *user)
{
    const plim_regex_memory *memory = user;
    memory->alloc->free(memory->alloc, ptr);
}

/* PCRE2 says that it got no memory; the ledger knows why. */
static plim_status memory_failed(plim_status refused, plim_where where, const char *what,
                                 plim_error *err)
{
    if (refused == PLIM_E_BUDGET)
        return plim_fail_at(err, refused, where, "%s would cross the memory line; raise --memory",
                            what);
    return plim_fail_at(err, PLIM_E_NOMEM, where, "the system gave no memory: %s", what);
}

static plim_status compile_failed(int code, size_t offset, plim_status refused, plim_where where,
                                  plim_error *err)
{
    PCRE2_UCHAR text[128];
    if (pcre2_get_error_message(code, text, sizeof text) < 0)
        text[0] = 0;
    if (code == PCRE2_ERROR_HEAP_FAILED)
        return memory_failed(refused, where, "compiling a pattern", err);
    bool large = code == PCRE2_ERROR_PATTERN_TOO_LARGE || code == PCRE2_ERROR_QUANTIFIER_TOO_BIG ||
                 code == PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP ||
                 code == PCRE2_ERROR_PARENTHESES_STACK_CHECK ||
                 code == PCRE2_ERROR_PATTERN_STRING_TOO_LONG ||
                 code == PCRE2_ERROR_PATTERN_TOO_COMPLICATED;
    return plim_fail_at(err, large ? PLIM_E_LIMIT : PLIM_E_UNSUP, where,
                        "pattern does not compile: %s (character %zu of its translation)",
                        (char *)text, offset);
}

/* A pattern in PCRE2's own syntax. */
static plim_status open_pcre2(plim_regex **out, const plim_alloc *alloc, const char *pattern,
                              size_t bytes, uint32_t options, plim_where where, plim_error *err)
{
    *out = NULL;
    plim_regex *regex = plim_new(alloc, 1, sizeof *regex, err);
    if (!regex)
        return plim_tok_nomem(err);
    regex->memory.alloc = alloc;
    pcre2_general_context *general =
        pcre2_general_context_create(hook_alloc, hook_free, &regex->memory);
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
    int code = PCRE2_ERROR_HEAP_FAILED;
    PCRE2_SIZE offset = 0;
    if (context) {
        pcre2_set_newline(context, PCRE2_NEWLINE_LF);
        pcre2_set_parens_nest_limit(context, MAX_PARENTHESES);
        regex->code =
            pcre2_compile((PCRE2_SPTR)pattern, bytes, options | PCRE2_UTF, &code, &offset, context);
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    if (!regex->code) {
        plim_status refused = regex->memory.refused;
        plim_regex_close(&regex);
        return compile_failed(code, offset, refused, where, err);
    }
    size_t jit_bytes = 0;
    if (pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0 &&
        pcre2_pattern_info(regex->code, PCRE2_INFO_JITSIZE, &jit_bytes) == 0 && jit_bytes > 0) {
        regex->jit = true;
        regex->jit_place = plim_new(alloc, 1, jit_bytes, err);
        if (!regex->jit_place) {
            plim_regex_close(&regex);
            return plim_tok_nomem(err);
        }
    }
    *out = regex;
    return PLIM_OK;
}

plim_status plim_regex_open(plim_regex **out, const plim_alloc *alloc, const char *pattern,
                            size_t bytes, bool literal, plim_where where, plim_error *err)
{
    *out = NULL;
    if (bytes > PLIM_TOK_MAX_PATTERN_BYTES)
        return plim_fail_at(err, PLIM_E_LIMIT, where, "pattern of %zu bytes, the limit is %d",
                            bytes, PLIM_TOK_MAX_PATTERN_BYTES);
    if (literal && bytes)
        return open_pcre2(out, alloc, pattern, bytes, PCRE2_LITERAL, where, err);
    char *translated;
    size_t length;
    plim_status status =
        plim_regex_translate(&translated, &length, alloc, pattern, bytes, where, err);
    if (status)
        return status;
    status = open_pcre2(out, alloc, translated, length, PCRE2_UCP, where, err);
    plim_delete(alloc, translated);
    return status;
}

void plim_regex_close(plim_regex **regex)
{
    if (!*regex)
        return;
    const plim_alloc *alloc = (*regex)->memory.alloc;
    pcre2_code_free((*regex)->code);
    plim_delete(alloc, (*regex)->jit_place);
    plim_delete(alloc, *regex);
    *regex = NULL;
}

plim_status plim_matcher_open(plim_matcher *matcher, const plim_alloc *alloc, plim_error *err)
{
    *matcher = (plim_matcher){.memory = {.alloc = alloc}};
    matcher->general = pcre2_general_context_create(hook_alloc, hook_free, &matcher->memory);
    if (matcher->general) {
        matcher->context = pcre2_match_context_create(matcher->general);
        matcher->data = pcre2_match_data_create(1, matcher->general);
    }
    if (!matcher->context || !matcher->data) {
        plim_status refused = matcher->memory.refused;
        plim_matcher_close(matcher);
        return memory_failed(refused, PLIM_NOWHERE, "matching patterns", err);
    }
    pcre2_set_heap_limit(matcher->context, HEAP_KIB);
    return PLIM_OK;
}

void plim_matcher_close(plim_matcher *matcher)
{
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    pcre2_general_context_free(matcher->general);
    *matcher = (plim_matcher){0};
}

static plim_status match_failed(int code, plim_status refused, size_t bytes, plim_error *err)
{
    if (code == PCRE2_ERROR_NOMEMORY)
        return memory_failed(refused, PLIM_NOWHERE, "matching a pattern", err);
    return plim_fail(
        err, PLIM_E_LIMIT,
        "a pattern of the tokenizer backtracks without bound on %zu bytes of text (PCRE2 error %d)",
        bytes, code);
}

plim_status plim_regex_search(const plim_regex *regex, plim_matcher *matcher, const char *text,
                              size_t bytes, size_t from, size_t *begin, size_t *end,
                              plim_error *err)
{
    size_t steps = MATCH_STEPS + bytes * MATCH_STEPS_PER_BYTE;
    pcre2_set_match_limit(matcher->context, steps > UINT32_MAX ? UINT32_MAX : (uint32_t)steps);
    int code = PCRE2_ERROR_JIT_STACKLIMIT;
    if (regex->jit)
        code = pcre2_jit_match(regex->code, (PCRE2_SPTR)text, bytes, from, 0, matcher->data,
                               matcher->context);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT)
        code = pcre2_match(regex->code, (PCRE2_SPTR)text, bytes, from,
                           PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matcher->data, matcher->context);
    if (code >= 0) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(matcher->data);
        *begin = at[0];
        *end = at[1];
        return PLIM_OK;
    }
    *begin = *end = SIZE_MAX;
    return code == PCRE2_ERROR_NOMATCH ? PLIM_OK
                                       : match_failed(code, matcher->memory.refused, bytes, err);
}
