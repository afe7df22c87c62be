/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of a pattern that PCRE2 cannot say, or says with another Unicode: intersections, negated
 * sets in sets, POSIX brackets, scripts.  Their members are worked out code point by code point
 * from our own tables, then written with as few categories and ranges as do. */
#include <string.h>
#include <strings.h>

#include "tokenizer/classes.h"
#include "tokenizer/regex_class.h"

enum { CODES = 0x110000, MAX_LEVELS = 8 };

typedef struct code_set {
    uint64_t bits[CODES / 64];
} code_set;

static bool has(const code_set *set, uint32_t code)
{
    return set->bits[code / 64] >> (code % 64) & 1;
}

static void add_range(code_set *set, uint32_t first, uint32_t last)
{
    for (uint32_t code = first; code <= last; code++)
        set->bits[code / 64] |= (uint64_t)1 << (code % 64);
}

/* ---- properties ---- */

#define CATEGORIES ((((uint64_t)1 << (PLIM_CS + 1)) - 1))
#define IS_L                                                                                       \
    (PLIM_IS(PLIM_LU) | PLIM_IS(PLIM_LL) | PLIM_IS(PLIM_LT) | PLIM_IS(PLIM_LM) | PLIM_IS(PLIM_LO))
#define IS_M (PLIM_IS(PLIM_MN) | PLIM_IS(PLIM_MC) | PLIM_IS(PLIM_ME))
#define IS_N (PLIM_IS(PLIM_ND) | PLIM_IS(PLIM_NL) | PLIM_IS(PLIM_NO))
#define IS_P                                                                                       \
    (PLIM_IS(PLIM_PC) | PLIM_IS(PLIM_PD) | PLIM_IS(PLIM_PS) | PLIM_IS(PLIM_PE) |                   \
     PLIM_IS(PLIM_PI) | PLIM_IS(PLIM_PF) | PLIM_IS(PLIM_PO))
#define IS_S (PLIM_IS(PLIM_SM) | PLIM_IS(PLIM_SC) | PLIM_IS(PLIM_SK) | PLIM_IS(PLIM_SO))
#define IS_Z (PLIM_IS(PLIM_ZS) | PLIM_IS(PLIM_ZL) | PLIM_IS(PLIM_ZP))

/* Characters with one of `mask` and none of `without`, and those of first..last. */
typedef struct property {
    const char *name;
    uint64_t mask, without;
    uint32_t first, last; /* last 0: none */
} property;

static const property properties[] = {
    {"l", IS_L, 0, 0, 0},
    {"letter", IS_L, 0, 0, 0},
    {"m", IS_M, 0, 0, 0},
    {"mark", IS_M, 0, 0, 0},
    {"n", IS_N, 0, 0, 0},
    {"number", IS_N, 0, 0, 0},
    {"p", IS_P, 0, 0, 0},
    {"punct", IS_P, 0, 0, 0},
    {"punctuation", IS_P, 0, 0, 0},
    {"s", IS_S, 0, 0, 0},
    {"symbol", IS_S, 0, 0, 0},
    {"z", IS_Z, 0, 0, 0},
    {"separator", IS_Z, 0, 0, 0},
    {"uppercaseletter", PLIM_IS(PLIM_LU), 0, 0, 0},
    {"lowercaseletter", PLIM_IS(PLIM_LL), 0, 0, 0},
    {"titlecaseletter", PLIM_IS(PLIM_LT), 0, 0, 0},
    {"modifierletter", PLIM_IS(PLIM_LM), 0, 0, 0},
    {"otherletter", PLIM_IS(PLIM_LO), 0, 0, 0},
    {"decimalnumber", PLIM_IS(PLIM_ND), 0, 0, 0},
    {"digit", PLIM_IS(PLIM_ND), 0, 0, 0},
    {"alpha", PLIM_IS_ALPHABETIC, 0, 0, 0},
    {"alphabetic", PLIM_IS_ALPHABETIC, 0, 0, 0},
    {"alnum", PLIM_IS_ALPHABETIC | PLIM_IS(PLIM_ND), 0, 0, 0},
    {"upper", PLIM_IS_UPPER, 0, 0, 0},
    {"lower", PLIM_IS_LOWER, 0, 0, 0},
    {"space", PLIM_IS_SPACE, 0, 0, 0},
    {"blank", PLIM_IS(PLIM_ZS), 0, '\t', '\t'},
    {"cntrl", PLIM_IS(PLIM_CC), 0, 0, 0},
    {"graph", CATEGORIES, PLIM_IS_SPACE | PLIM_IS(PLIM_CC) | PLIM_IS(PLIM_CN) | PLIM_IS(PLIM_CS), 0,
     0},
    {"print", CATEGORIES,
     PLIM_IS(PLIM_CC) | PLIM_IS(PLIM_CN) | PLIM_IS(PLIM_CS) | PLIM_IS(PLIM_ZL) | PLIM_IS(PLIM_ZP),
     0, 0},
    {"any", CATEGORIES, 0, 0, 0},
    {"ascii", 0, 0, 0, 0x7F},
    /* Of \w in sets; outside, a few numbers are word characters too. */
    {"word", PLIM_IS_ONIG_WORD, PLIM_IS(PLIM_NO), 0, 0},
};

static const char two_letters[] = "lu ll lt lm lo mn mc me nd nl no pc pd ps pe pi pf po sm sc sk "
                                  "so zs zl zp cc cf co cn ";

/* The members of a block of 256 code points. */
typedef struct block_bits {
    uint64_t word[4];
    bool known;
} block_bits;

static void look_at_block(block_bits *out, uint8_t block, uint64_t mask, uint64_t without,
                          bool negated)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t bits = plim_class_bits[plim_class_blocks[block][i]];
        bool member = (bits & mask) && !(bits & without);
        out->word[i / 64] |= (uint64_t)(member != negated) << (i % 64);
    }
    out->known = true;
}

static void add_mask(code_set *set, uint64_t mask, uint64_t without, bool negated)
{
    block_bits blocks[256] = {0};
    for (uint32_t at = 0; at < CODES / 256; at++) {
        uint8_t block = plim_class_index[at];
        if (!blocks[block].known)
            look_at_block(&blocks[block], block, mask, without, negated);
        for (unsigned i = 0; i < 4; i++)
            set->bits[4 * at + i] |= blocks[block].word[i];
    }
}

static plim_status new_set(plim_translator *t, code_set **out)
{
    if (++t->classes > PLIM_PATTERN_CLASSES)
        return plim_fail_at(t->err, PLIM_E_LIMIT, t->where,
                            "pattern: more than %d sets that must be worked out",
                            PLIM_PATTERN_CLASSES);
    *out = plim_new(t->out.alloc, 1, sizeof **out, t->err);
    return *out ? PLIM_OK : plim_tok_nomem(t->err);
}

/* The members of a property added to `set`; false: not known. */
static bool add_property(code_set *set, const char *name)
{
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (!strcmp(properties[i].name, name)) {
            if (properties[i].mask)
                add_mask(set, properties[i].mask, properties[i].without, false);
            if (properties[i].last)
                add_range(set, properties[i].first, properties[i].last);
            return true;
        }
    const char *two = strlen(name) == 2 ? strstr(two_letters, name) : NULL;
    if (two && (two - two_letters) % 3 == 0) {
        add_mask(set, PLIM_IS((two - two_letters) / 3), 0, false);
        return true;
    }
    for (unsigned s = 0; s < plim_script_name_count; s++) {
        if (strcmp(plim_script_names[s], name) != 0)
            continue;
        for (unsigned i = 0; i < plim_script_range_count; i++)
            if (plim_script_ranges[i].script == s)
                add_range(set, plim_script_ranges[i].first, plim_script_ranges[i].last);
        return true;
    }
    return false;
}

/* to |= from, or its complement. */
static void merge(code_set *to, const code_set *from, bool negated)
{
    for (size_t i = 0; i < CODES / 64; i++)
        to->bits[i] |= negated ? ~from->bits[i] : from->bits[i];
}

/* The property `name` of `bytes` (case, spaces, _ and - do not count) or its complement. */
static plim_status add_named(plim_translator *t, code_set *set, const char *name, size_t bytes,
                             bool negated)
{
    char plain[32];
    size_t n = 0;
    code_set *members = NULL;
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] == ' ' || name[i] == '_' || name[i] == '-')
            continue;
        if (n + 1 == sizeof plain)
            return plim_translator_unsupported(t, "this \\p{NAME}");
        plain[n++] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    }
    plain[n] = 0;
    plim_status status = new_set(t, &members);
    if (!members)
        return status;
    if (add_property(members, plain))
        merge(set, members, negated);
    else
        status = plim_translator_unsupported(t, "this \\p{NAME}");
    plim_delete(t->out.alloc, members);
    return status;
}

/* {NAME} or {^NAME} at t->at. */
static plim_status read_property(plim_translator *t, code_set *set, bool negated)
{
    const char *close =
        t->at < t->end && *t->at == '{' ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    if (!close)
        return plim_translator_malformed(t, "\\p without {NAME}");
    const char *name = t->at + 1;
    if (*name == '^') {
        negated = !negated;
        name++;
    }
    plim_status status = add_named(t, set, name, (size_t)(close - name), negated);
    t->at = close + 1;
    return status;
}

/* ---- writing ---- */

typedef struct census {
    uint32_t total[PLIM_CS + 1], members[PLIM_CS + 1];
} census;

static unsigned category_of(uint32_t code)
{
    return (unsigned)__builtin_ctzll(plim_class_mask(code));
}

static plim_status put_full(plim_pattern *out, census *c, bool full[PLIM_CS + 1])
{
    static const struct {
        char letter;
        plim_category first, last;
    } groups[] = {{'L', PLIM_LU, PLIM_LO}, {'M', PLIM_MN, PLIM_ME}, {'N', PLIM_ND, PLIM_NO},
                  {'P', PLIM_PC, PLIM_PO}, {'S', PLIM_SM, PLIM_SO}, {'Z', PLIM_ZS, PLIM_ZP}};
    plim_status status = PLIM_OK;
    for (unsigned i = 0; i <= PLIM_CS; i++) /* PCRE2's unassigned are not ours */
        full[i] = c->members[i] == c->total[i] && i != PLIM_CN && i != PLIM_CS;
    for (size_t g = 0; !status && g < sizeof groups / sizeof *groups; g++) {
        bool all = true;
        for (unsigned i = groups[g].first; i <= groups[g].last; i++)
            all = all && full[i];
        char name[3] = {groups[g].letter, 0, 0};
        if (all)
            status = plim_pattern_put_category(out, name);
        for (unsigned i = groups[g].first; !all && !status && i <= groups[g].last; i++)
            if (full[i]) {
                name[1] = two_letters[3 * i + 1];
                status = plim_pattern_put_category(out, name);
            }
    }
    for (unsigned i = PLIM_CC; !status && i <= PLIM_CO; i++)
        if (full[i]) {
            char name[3] = {'C', two_letters[3 * i + 1], 0};
            status = plim_pattern_put_category(out, name);
        }
    return status;
}

/* [...] or [^...], whichever leaves out the unassigned code points. */
static plim_status put_set(plim_pattern *out, const code_set *set)
{
    census c = {0};
    bool full[PLIM_CS + 1], negated = has(set, 0x378);
    uint32_t first = CODES;
    for (uint32_t code = 0; code < CODES; code++) {
        unsigned category = category_of(code);
        c.total[category]++;
        c.members[category] += has(set, code) != negated;
    }
    bool any = false;
    for (unsigned i = 0; i < PLIM_CS; i++)
        any = any || c.members[i];
    if (!any)
        return plim_pattern_put_text(out, negated ? "(?s:.)" : "(?!)");
    plim_status status = plim_pattern_put_text(out, negated ? "[^" : "[");
    if (!status)
        status = put_full(out, &c, full);
    for (uint32_t code = 0; !status && code <= CODES; code++) {
        bool member = false;
        if (code < CODES && has(set, code) != negated) {
            unsigned category = category_of(code);
            member = !full[category] && category != PLIM_CS;
        }
        if (member && first == CODES) {
            first = code;
        } else if (!member && first != CODES) {
            status = plim_pattern_put_range(out, first, code - 1);
            first = CODES;
        }
    }
    return status ? status : plim_pattern_put_text(out, "]");
}

plim_status plim_set_property(plim_translator *t, bool negated)
{
    code_set *set = NULL;
    if (t->ignore_case[t->depth])
        return plim_translator_unsupported(t, "this \\p{NAME} inside (?i)");
    if (t->end - t->at > 5 && !strncasecmp(t->at + 1 + (t->at[1] == '^'), "word", 4))
        return plim_translator_unsupported(t, "\\p{Word}, where \\w is not meant,");
    plim_status status = new_set(t, &set);
    if (!set)
        return status;
    status = read_property(t, set, negated);
    if (!status)
        status = put_set(&t->out, set);
    plim_delete(t->out.alloc, set);
    return status;
}

/* ---- reading sets ---- */

static bool plain_category(const char *name, size_t bytes)
{
    char look[4] = {0};
    if (bytes == 1)
        return *name && strchr("LMNPSZlmnpsz", *name);
    if (bytes != 2)
        return false;
    look[0] = (char)(name[0] | 0x20);
    look[1] = (char)(name[1] | 0x20);
    look[2] = ' ';
    const char *found = strstr(two_letters, look);
    return found && (found - two_letters) % 3 == 0 && strcmp(look, "cn ") != 0;
}

/* A backslash stands at p: PCRE2 has no word for what follows it in a set. */
static bool hard_escape(const char *p, const char *end)
{
    if (end - p < 2 || !strchr("pPDWH", p[1]) || !p[1])
        return false;
    if (p[1] != 'p')
        return true;
    const char *close = end - p > 2 && p[2] == '{' ? memchr(p, '}', (size_t)(end - p)) : NULL;
    return close && !plain_category(p + 3, (size_t)(close - p - 3));
}

bool plim_property_is_hard(const plim_translator *t)
{
    const char *close =
        t->at < t->end && *t->at == '{' ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    if (!close)
        return false;
    const char *name = t->at + 1 + (t->at[1] == '^');
    return !plain_category(name, (size_t)(close - name));
}

bool plim_set_is_hard(const plim_translator *t)
{
    unsigned depth = 0;
    for (const char *p = t->at; p < t->end; p++) {
        if (*p == '\\') {
            if (hard_escape(p, t->end))
                return true;
            p++;
        } else if (*p == '[') {
            if (depth++ && p + 1 < t->end && (p[1] == '^' || p[1] == ':'))
                return true;
        } else if (*p == ']') {
            if (!--depth)
                return false;
        } else if (*p == '&' && p + 1 < t->end && p[1] == '&') {
            return true;
        }
    }
    return false;
}

typedef struct level {
    code_set *members; /* since the last && */
    code_set *both;    /* what all before it have in common; NULL: there was none */
    bool negated, empty;
} level;

typedef struct reader {
    plim_translator *t;
    level levels[MAX_LEVELS];
    unsigned depth;
} reader;

static plim_status open_level(reader *r)
{
    plim_translator *t = r->t;
    t->at++;
    if (r->depth == MAX_LEVELS)
        return plim_translator_unsupported(t, "sets nested this deep");
    level *l = &r->levels[r->depth++];
    *l = (level){.empty = true};
    if (t->at < t->end && *t->at == '^') {
        l->negated = true;
        t->at++;
    }
    if (t->at < t->end && *t->at == ']')
        return plim_translator_unsupported(t, "a set that begins with ]");
    return new_set(t, &l->members);
}

/* What was read since the last && joins the intersection. */
static plim_status close_side(reader *r)
{
    level *l = &r->levels[r->depth - 1];
    if (l->empty)
        return plim_translator_unsupported(r->t, "an empty side of &&");
    if (!l->both) {
        l->both = l->members;
        l->members = NULL;
    } else {
        for (size_t i = 0; i < CODES / 64; i++)
            l->both->bits[i] &= l->members->bits[i];
        memset(l->members, 0, sizeof *l->members);
    }
    l->empty = true;
    return l->members ? PLIM_OK : new_set(r->t, &l->members);
}

static void free_level(reader *r)
{
    level *l = &r->levels[--r->depth];
    plim_delete(r->t->out.alloc, l->members);
    plim_delete(r->t->out.alloc, l->both);
}

/* ] : into the set around it, or out. */
static plim_status close_level(reader *r)
{
    r->t->at++;
    plim_status status = close_side(r);
    if (status)
        return status;
    level *l = &r->levels[r->depth - 1];
    for (size_t i = 0; l->negated && i < CODES / 64; i++)
        l->both->bits[i] = ~l->both->bits[i];
    if (r->depth == 1) {
        status = put_set(&r->t->out, l->both);
    } else {
        merge(l[-1].members, l->both, false);
        l[-1].empty = false;
    }
    free_level(r);
    return status;
}

/* [:name:] or [:^name:]; t->at is at its [. */
static plim_status read_bracket(plim_translator *t, code_set *set)
{
    const char *name = t->at + 2, *close = name;
    while (close + 1 < t->end && (close[0] != ':' || close[1] != ']'))
        close++;
    if (close + 1 >= t->end)
        return plim_translator_malformed(t, "[: without its :]");
    bool negated = *name == '^';
    name += negated;
    size_t bytes = (size_t)(close - name);
    t->at = close + 2;
    if (bytes == 5 && !memcmp(name, "punct", 5)) { /* here, symbols too */
        add_mask(set, IS_P | IS_S, 0, negated);
        return PLIM_OK;
    }
    static const char known[] =
        " alnum alpha ascii blank cntrl digit graph lower print space upper "
        "word ";
    char look[12] = " ";
    if (bytes == 6 && !memcmp(name, "xdigit", 6))
        return plim_translator_unsupported(t, "[:xdigit:]");
    memcpy(look + 1, name, bytes < 9 ? bytes : 9);
    look[1 + (bytes < 9 ? bytes : 9)] = ' ';
    if (!strstr(known, look))
        return plim_translator_unsupported(t, "this [:name:]");
    return add_named(t, set, name, bytes, negated);
}

/* A backslash: a class is added, a code point returned. */
static plim_status read_set_escape(plim_translator *t, code_set *set, uint32_t *code)
{
    *code = PLIM_NO_CODE;
    if (++t->at == t->end)
        return plim_translator_malformed(t, "a backslash at the end");
    char letter = *t->at;
    static const char letters[] = "sdwSDW";
    static const char *const names[] = {"space", "digit", "word"};
    const char *found = letter ? strchr(letters, letter) : NULL;
    if (found) {
        t->at++;
        const char *name = names[(found - letters) % 3];
        return add_named(t, set, name, strlen(name), found - letters > 2);
    }
    if (letter == 'p' || letter == 'P') {
        t->at++;
        return read_property(t, set, letter == 'P');
    }
    if (letter == 'h') {
        t->at++;
        add_range(set, '0', '9');
        add_range(set, 'A', 'F');
        add_range(set, 'a', 'f');
        return PLIM_OK;
    }
    if (letter == 'b') {
        t->at++;
        *code = 8;
        return PLIM_OK;
    }
    plim_status status = plim_translator_escape(t, code);
    if (!status && *code == PLIM_NO_CODE)
        return plim_translator_unsupported(t, "this escape in a set");
    return status;
}

static plim_status read_item(plim_translator *t, code_set *set)
{
    uint32_t first, last;
    plim_status status = PLIM_OK;
    if (*t->at == '\\')
        status = read_set_escape(t, set, &first);
    else
        first = plim_translator_literal(t);
    if (status || first == PLIM_NO_CODE)
        return status;
    if (t->end - t->at < 2 || t->at[0] != '-' || t->at[1] == ']') {
        add_range(set, first, first);
        return PLIM_OK;
    }
    t->at++;
    if (*t->at == '[' || *t->at == '&')
        return plim_translator_unsupported(t, "this end of a range");
    if (*t->at == '\\')
        status = read_set_escape(t, set, &last);
    else
        last = plim_translator_literal(t);
    if (status)
        return status;
    if (last == PLIM_NO_CODE)
        return plim_translator_unsupported(t, "a class as the end of a range");
    if (last < first)
        return plim_translator_malformed(t, "an empty range");
    add_range(set, first, last);
    return PLIM_OK;
}

plim_status plim_set_translate(plim_translator *t)
{
    reader r = {.t = t};
    if (t->ignore_case[t->depth])
        return plim_translator_unsupported(t, "this kind of set inside (?i)");
    plim_status status = open_level(&r);
    while (!status && r.depth) {
        level *l = &r.levels[r.depth - 1];
        size_t left = (size_t)(t->end - t->at);
        if (!left) {
            status = plim_translator_malformed(t, "a set without end");
        } else if (*t->at == ']') {
            status = close_level(&r);
        } else if (left > 1 && !memcmp(t->at, "[:", 2)) {
            l->empty = false;
            status = read_bracket(t, l->members);
        } else if (*t->at == '[') {
            status = open_level(&r);
        } else if (left > 1 && !memcmp(t->at, "&&", 2)) {
            t->at += 2;
            status = close_side(&r);
        } else {
            l->empty = false;
            status = read_item(t, l->members);
        }
    }
    while (r.depth)
        free_level(&r);
    return status;
}
