/* SPDX-License-Identifier: Apache-2.0
 *
 * Building the tree of pieces: the strings are sorted by their first 8 bytes (radix), equals among
 * them by comparison; then the nodes come breadth first, each a range of sorted strings. */
#include "tokenizer/pieces.h"

/* A string while the tree is built. */
typedef struct entry {
    uint64_t key; /* its first 8 bytes, big-endian, zeroes behind its end */
    uint32_t id, bytes;
} entry;

/* The strings below a node while the tree is built. */
typedef struct range {
    uint32_t begin, end;
    uint32_t depth; /* bytes that they share: the node is at that depth */
} range;

static const char *entry_text(const plim_vocab *vocab, const entry *e)
{
    size_t bytes;
    return plim_vocab_text(vocab, e->id, &bytes);
}

static int compare(const plim_vocab *vocab, const entry *a, const entry *b)
{
    uint32_t shorter = a->bytes < b->bytes ? a->bytes : b->bytes;
    int order = memcmp(entry_text(vocab, a), entry_text(vocab, b), shorter);
    return order ? order : a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

static void sift(const plim_vocab *vocab, entry *list, size_t at, size_t count)
{
    entry e = list[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare(vocab, &list[child], &list[child + 1]) < 0)
            child++;
        if (compare(vocab, &e, &list[child]) >= 0)
            break;
        list[at] = list[child];
    }
    list[at] = e;
}

/* Heapsort: it bounds what a hostile vocabulary costs. */
static void sort_equals(const plim_vocab *vocab, entry *list, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(vocab, list, i, count);
    for (size_t i = count; i-- > 1;) {
        entry last = list[i];
        list[i] = list[0];
        list[0] = last;
        sift(vocab, list, 0, i);
    }
}

/* By key, one byte at a time; the result is in *list. */
static void sort_keys(entry **list, entry **other, size_t count)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t begin[256] = {0}, sum = 0;
        for (size_t i = 0; i < count; i++)
            begin[(*list)[i].key >> shift & 255]++;
        for (unsigned byte = 0; byte < 256; byte++) {
            size_t had = begin[byte];
            begin[byte] = sum;
            sum += had;
        }
        for (size_t i = 0; i < count; i++)
            (*other)[begin[(*list)[i].key >> shift & 255]++] = (*list)[i];
        entry *swap = *list;
        *list = *other;
        *other = swap;
    }
}

static void sort_entries(const plim_vocab *vocab, entry **list, entry **other, size_t count)
{
    sort_keys(list, other, count);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && (*list)[end].key == (*list)[i].key;)
            end++;
        if (end - i > 1)
            sort_equals(vocab, *list + i, end - i);
    }
}

static size_t take_strings(const plim_vocab *vocab, entry *list)
{
    size_t count = 0;
    for (uint32_t id = 0; id < vocab->size; id++) {
        size_t bytes;
        const char *text = plim_vocab_text(vocab, id, &bytes);
        if (!text || !bytes)
            continue;
        entry e = {.id = id, .bytes = (uint32_t)bytes};
        for (unsigned k = 0; k < 8; k++)
            e.key = e.key << 8 | (k < bytes ? (unsigned char)text[k] : 0);
        list[count++] = e;
    }
    return count;
}

static unsigned char byte_at(const plim_vocab *vocab, const entry *e, uint32_t depth)
{
    return depth < 8 ? (unsigned char)(e->key >> (56 - 8 * depth))
                     : (unsigned char)entry_text(vocab, e)[depth];
}

/* How far two strings are equal, at least `depth`; no more than 255 beyond it. */
static uint32_t shared(const plim_vocab *vocab, const entry *a, const entry *b, uint32_t depth)
{
    uint32_t end = a->bytes < b->bytes ? a->bytes : b->bytes;
    if (end - depth > 255)
        end = depth + 255;
    const char *left = entry_text(vocab, a), *right = entry_text(vocab, b);
    while (depth < end && left[depth] == right[depth])
        depth++;
    return depth;
}

typedef struct builder {
    plim_pieces *pieces;
    const plim_alloc *alloc;
    const entry *list;
    range *ranges; /* by node */
    size_t range_cap, child_cap, id_cap, first_cap, length_cap;
} builder;

static plim_status add_node(builder *b, range r, uint32_t above, plim_error *err)
{
    plim_pieces *p = b->pieces;
    size_t need = (size_t)p->count + 2; /* one more: the end of the last one's children */
    plim_status status;
    if ((status = plim_grow(b->alloc, &b->ranges, &b->range_cap, need, sizeof r, err)) ||
        (status = plim_grow(b->alloc, &p->child, &b->child_cap, need, sizeof *p->child, err)) ||
        (status = plim_grow(b->alloc, &p->id, &b->id_cap, need, sizeof *p->id, err)) ||
        (status = plim_grow(b->alloc, &p->first, &b->first_cap, need, 1, err)) ||
        (status = plim_grow(b->alloc, &p->length, &b->length_cap, need, 1, err)))
        return status;
    const entry *e = &b->list[r.begin];
    b->ranges[p->count] = r;
    p->id[p->count] = e->id | (e->bytes == r.depth ? PLIM_PIECE_ENDS : 0);
    p->length[p->count] = (unsigned char)(r.depth - above);
    p->first[p->count] = r.depth ? byte_at(p->vocab, e, above) : 0;
    p->count++;
    return PLIM_OK;
}

static plim_status add_children(builder *b, range r, plim_error *err)
{
    const plim_vocab *vocab = b->pieces->vocab;
    uint32_t begin = r.begin;
    if (b->list[begin].bytes == r.depth)
        begin++;
    while (begin < r.end) {
        unsigned char byte = byte_at(vocab, &b->list[begin], r.depth);
        uint32_t end = begin + 1;
        while (end < r.end && byte_at(vocab, &b->list[end], r.depth) == byte)
            end++;
        uint32_t depth = shared(vocab, &b->list[begin], &b->list[end - 1], r.depth);
        plim_status status = add_node(b, (range){begin, end, depth}, r.depth, err);
        if (status)
            return status;
        begin = end;
    }
    return PLIM_OK;
}

static void *shrink(const plim_alloc *alloc, void *ptr, size_t bytes)
{
    void *smaller = alloc->resize(alloc, ptr, bytes, NULL);
    return smaller ? smaller : ptr;
}

static plim_status add_nodes(builder *b, size_t count, plim_error *err)
{
    plim_pieces *p = b->pieces;
    plim_status status = add_node(b, (range){0, (uint32_t)count, 0}, 0, err);
    for (uint32_t node = 0; !status && node < p->count; node++) {
        p->child[node] = p->count;
        status = add_children(b, b->ranges[node], err);
    }
    if (status)
        return status;
    p->child[p->count] = p->count;
    for (uint32_t i = p->child[0]; i < p->child[1]; i++)
        p->root[p->first[i]] = i;
    p->child = shrink(b->alloc, p->child, ((size_t)p->count + 1) * sizeof *p->child);
    p->id = shrink(b->alloc, p->id, p->count * sizeof *p->id);
    p->first = shrink(b->alloc, p->first, p->count);
    p->length = shrink(b->alloc, p->length, p->count);
    return PLIM_OK;
}

plim_status plim_pieces_build(plim_pieces *pieces, const plim_alloc *alloc, const plim_vocab *vocab,
                              plim_error *err)
{
    *pieces = (plim_pieces){.vocab = vocab};
    entry *list = plim_new(alloc, vocab->size, sizeof *list, err);
    entry *other = list ? plim_new(alloc, vocab->size, sizeof *other, err) : NULL;
    plim_status status = list && other ? PLIM_OK : plim_tok_nomem(err);
    if (!status) {
        size_t count = take_strings(vocab, list);
        sort_entries(vocab, &list, &other, count);
        plim_delete(alloc, other);
        other = NULL;
        builder b = {.pieces = pieces, .alloc = alloc, .list = list};
        if (count)
            status = add_nodes(&b, count, err);
        plim_delete(alloc, b.ranges);
    }
    plim_delete(alloc, list);
    plim_delete(alloc, other);
    if (status)
        plim_pieces_free(pieces, alloc);
    return status;
}

void plim_pieces_free(plim_pieces *pieces, const plim_alloc *alloc)
{
    plim_delete(alloc, pieces->child);
    plim_delete(alloc, pieces->id);
    plim_delete(alloc, pieces->first);
    plim_delete(alloc, pieces->length);
    *pieces = (plim_pieces){0};
}

uint32_t plim_pieces_find(const plim_pieces *pieces, const char *text, size_t bytes)
{
    plim_piece_walk walk = {0};
    size_t at = 0, taken;
    uint32_t id;
    while (plim_pieces_next(pieces, &walk, text + at, bytes - at, &taken, &id))
        if ((at += taken) == bytes)
            return id;
    return PLIM_TOK_NONE;
}
