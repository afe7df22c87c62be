/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder of tokenizer.json. */
#include "base/utf8.h"
#include "tokenizer/chain.h"

/* A string member, copied. */
static plim_status read_text(plim_chain *chain, const plim_part *part, const char *key,
                             plim_link_text *out, plim_error *err)
{
    const char *text;
    size_t bytes;
    plim_status status = plim_part_text(part, key, true, &text, &bytes, err);
    if (status)
        return status;
    out->data = plim_arena_text(&chain->arena, text, bytes, err);
    out->bytes = bytes;
    return out->data ? PLIM_OK : plim_tok_nomem(err);
}

/* One character. */
static plim_status read_character(plim_chain *chain, const plim_part *part, const char *key,
                                  plim_link_text *out, plim_error *err)
{
    uint32_t code;
    size_t bad;
    bool incomplete;
    plim_status status = read_text(chain, part, key, out, err);
    if (!status && (!out->bytes || plim_utf8_decode(out->data, out->bytes, &code, &bad,
                                                    &incomplete) != out->bytes))
        status = plim_part_fail(part, part->node, err, PLIM_E_FORMAT,
                                "%s: %s must be one character", part->what, key);
    return status;
}

static plim_status read_replace(plim_chain *chain, const plim_part *part, plim_link *link,
                                plim_error *err)
{
    const char *text;
    size_t bytes;
    bool literal;
    const plim_node *node;
    plim_status status = plim_part_pattern(part, "pattern", &text, &bytes, &literal, &node, err);
    if (status || (status = read_text(chain, part, "content", &link->content, err)))
        return status;
    if (!bytes)
        return plim_part_fail(part, node, err, PLIM_E_FORMAT, "%s: Replace with an empty pattern",
                              part->what);
    if (literal) {
        link->find.data = plim_arena_text(&chain->arena, text, bytes, err);
        link->find.bytes = bytes;
        return link->find.data ? PLIM_OK : plim_tok_nomem(err);
    }
    chain->matches = true;
    return plim_regex_open(&link->regex, chain->arena.alloc, text, bytes, false,
                           (plim_where){part->path, NULL, node->offset}, err);
}

static plim_status read_metaspace(plim_chain *chain, const plim_part *part, plim_link *link,
                                  plim_error *err)
{
    static const char *const schemes[] = {"always", "first", "never"};
    size_t scheme = 0;
    bool add_prefix = true;
    plim_status status = read_character(chain, part, "replacement", &link->find, err);
    if (!status)
        status = plim_part_choice(part, "prepend_scheme", false, schemes, 3, &scheme, err);
    if (!status)
        status = plim_part_bool(part, "add_prefix_space", false, &add_prefix, err);
    if (!status && !add_prefix && scheme != 2)
        status = plim_part_fail(part, part->node, err, PLIM_E_FORMAT,
                                "%s: add_prefix_space does not go with prepend_scheme", part->what);
    link->prefix = scheme != 2;
    return status;
}

static plim_status read_link(plim_chain *chain, const plim_part *part, plim_link *link,
                             plim_error *err)
{
    static const char *const names[] = {
        [PLIM_LINK_BYTE_LEVEL] = "ByteLevel",
        [PLIM_LINK_BYTE_FALLBACK] = "ByteFallback",
        [PLIM_LINK_METASPACE] = "Metaspace",
        [PLIM_LINK_REPLACE] = "Replace",
        [PLIM_LINK_FUSE] = "Fuse",
        [PLIM_LINK_STRIP] = "Strip",
        [PLIM_LINK_WORDPIECE] = "WordPiece",
        [PLIM_LINK_BPE] = "BPEDecoder",
        [PLIM_LINK_CTC] = "CTC",
    };
    size_t kind = 0;
    plim_status status =
        plim_part_choice(part, "type", true, names, sizeof names / sizeof *names, &kind, err);
    if (status)
        return status;
    link->kind = (plim_link_kind)kind;
    switch (link->kind) {
    case PLIM_LINK_METASPACE:
        return read_metaspace(chain, part, link, err);
    case PLIM_LINK_REPLACE:
        return read_replace(chain, part, link, err);
    case PLIM_LINK_STRIP:
        if (!(status = read_character(chain, part, "content", &link->find, err)) &&
            !(status = plim_part_u64(part, "start", true, UINT64_MAX, &link->start, err)))
            status = plim_part_u64(part, "stop", true, UINT64_MAX, &link->stop, err);
        return status;
    case PLIM_LINK_WORDPIECE:
        status = read_text(chain, part, "prefix", &link->find, err);
        return status ? status : plim_part_bool(part, "cleanup", true, &link->cleanup, err);
    case PLIM_LINK_BPE:
        return read_text(chain, part, "suffix", &link->find, err);
    case PLIM_LINK_CTC:
        if (!(status = read_text(chain, part, "pad_token", &link->find, err)) &&
            !(status = read_text(chain, part, "word_delimiter_token", &link->content, err)))
            status = plim_part_bool(part, "cleanup", true, &link->cleanup, err);
        return status;
    default:
        return PLIM_OK;
    }
}

static plim_usual find_usual(const plim_chain *chain)
{
    const plim_link *link = chain->links, *end = chain->links + chain->count;
    plim_usual usual = {.bytes = true};
    bool metaspace = link < end && link->kind == PLIM_LINK_METASPACE,
         replace = link < end && link->kind == PLIM_LINK_REPLACE && !link->regex &&
                   link->content.bytes == 1 && link->content.data[0] == ' ';
    if ((!metaspace && !replace) || link->find.bytes != 3 ||
        memcmp(link->find.data, "\xE2\x96\x81", 3) != 0)
        return usual;
    usual.drops_first = metaspace && link->prefix;
    link++;
    if (metaspace) {
        usual.bytes = false;
        usual.on = link == end;
        return usual;
    }
    if (end - link < 2 || link[0].kind != PLIM_LINK_BYTE_FALLBACK || link[1].kind != PLIM_LINK_FUSE)
        return usual;
    link += 2;
    if (link < end && link->kind == PLIM_LINK_STRIP && !link->stop)
        usual.strip = link++;
    usual.on = link == end;
    return usual;
}

static plim_status new_chain(plim_chain **out, const plim_alloc *alloc, plim_error *err)
{
    *out = plim_new(alloc, 1, sizeof **out, err);
    if (!*out)
        return plim_tok_nomem(err);
    plim_arena_init(&(*out)->arena, alloc);
    return PLIM_OK;
}

plim_status plim_chain_load(plim_chain **out, const plim_alloc *alloc, const plim_part *part,
                            plim_error *err)
{
    plim_error local = {0};
    err = err ? err : &local;
    const plim_node *nodes[PLIM_TOK_MAX_STEPS];
    size_t count;
    *out = NULL;
    plim_status status =
        plim_part_flatten(part, "decoders", nodes, PLIM_TOK_MAX_STEPS, &count, err);
    plim_chain *chain;
    if (status || (status = new_chain(&chain, alloc, err)))
        return status;
    for (size_t i = 0; !status && i < count; i++) {
        plim_part here = {part->path, part->what, nodes[i]};
        chain->count = i + 1;
        status = read_link(chain, &here, &chain->links[i], err);
    }
    if (status)
        plim_chain_close(&chain, alloc);
    else
        chain->usual = find_usual(chain);
    *out = chain;
    return status;
}

plim_status plim_chain_byte_level(plim_chain **out, const plim_alloc *alloc, plim_error *err)
{
    plim_status status = new_chain(out, alloc, err);
    if (!status)
        (*out)->links[(*out)->count++].kind = PLIM_LINK_BYTE_LEVEL;
    return status;
}

void plim_chain_close(plim_chain **chain, const plim_alloc *alloc)
{
    if (!*chain)
        return;
    for (size_t i = 0; i < (*chain)->count; i++)
        plim_regex_close(&(*chain)->links[i].regex);
    plim_arena_free(&(*chain)->arena);
    plim_delete(alloc, *chain);
    *chain = NULL;
}

bool plim_chain_is_byte_level(const plim_chain *chain)
{
    return chain && chain->count == 1 && chain->links[0].kind == PLIM_LINK_BYTE_LEVEL;
}

/* <0x41>, as Rust's from_str_radix reads it (a sign may stand before one digit): the byte, or -1.
 */
int plim_byte_token(const char *text, size_t bytes)
{
    int value = 0;
    if (bytes != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    for (int i = text[3] == '+' ? 4 : 3; i < 5; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}
