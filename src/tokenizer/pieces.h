/* SPDX-License-Identifier: Apache-2.0
 *
 * The strings of a vocabulary as a tree of their common beginnings: all pieces that a text begins
 * with, shortest first, in one walk.  About 10 bytes a node, 1.3 nodes a string; the bytes of the
 * edges are the vocabulary's own. */
#ifndef PLIM_TOKENIZER_PIECES_H
#define PLIM_TOKENIZER_PIECES_H

#include "tokenizer/internal.h"

/* Nodes in order of their depth: the children of one are neighbours, node 0 is the root. */
typedef struct plim_pieces {
    const plim_vocab *vocab;
    uint32_t count;
    uint32_t *child;       /* first child; those of node n end where those of n + 1 begin */
    uint32_t *id;          /* of a string that goes through here; PLIM_PIECE_ENDS: it ends here */
    unsigned char *first;  /* first byte of the edge to this node */
    unsigned char *length; /* bytes of that edge */
    uint32_t root[256];    /* node by the first byte of a string, 0: none */
} plim_pieces;

#define PLIM_PIECE_ENDS (1u << 31)

/* Of the strings of `vocab` that are the first of their id; it must live longer and get no more.
 * The empty string is left out. */
plim_status plim_pieces_build(plim_pieces *pieces, const plim_alloc *alloc, const plim_vocab *vocab,
                              plim_error *err);
void plim_pieces_free(plim_pieces *pieces, const plim_alloc *alloc);

/* A place in the tree: `depth` bytes from the root, at a node.  {0} is the root. */
typedef struct plim_piece_walk {
    uint32_t node;
    size_t depth;
} plim_piece_walk;

/* Go on along text[bytes] (the part that was not walked yet) to the next string that ends: true,
 * *taken bytes of text and its id; false where the tree has no more. */
static inline bool plim_pieces_next(const plim_pieces *pieces, plim_piece_walk *walk,
                                    const char *text, size_t bytes, size_t *taken, uint32_t *id)
{
    uint32_t node = walk->node;
    size_t depth = walk->depth, at = 0;
    for (;;) {
        if (at == bytes)
            return false;
        unsigned char byte = (unsigned char)text[at];
        if (!node) {
            if (!(node = pieces->root[byte]))
                return false;
        } else {
            uint32_t begin = pieces->child[node], end = pieces->child[node + 1];
            if (end - begin > 8) {
                const unsigned char *found = memchr(pieces->first + begin, byte, end - begin);
                begin = found ? (uint32_t)(found - pieces->first) : end;
            } else {
                while (begin < end && pieces->first[begin] != byte)
                    begin++;
            }
            if (begin == end)
                return false;
            node = begin;
        }
        size_t edge = pieces->length[node];
        uint32_t string = pieces->id[node];
        if (edge > 1) {
            const plim_vocab_entry *entry = &pieces->vocab->entries[string & ~PLIM_PIECE_ENDS];
            const char *have = entry->tag & PLIM_VOCAB_LONG
                                   ? pieces->vocab->text + entry->longer.offset
                                   : entry->text;
            if (bytes - at < edge || memcmp(have + depth + 1, text + at + 1, edge - 1) != 0)
                return false;
        }
        at += edge;
        depth += edge;
        if (string & PLIM_PIECE_ENDS) {
            *walk = (plim_piece_walk){node, depth};
            *taken = at;
            *id = string & ~PLIM_PIECE_ENDS;
            return true;
        }
    }
}

/* The id of the string that is text[bytes] exactly, NONE. */
uint32_t plim_pieces_find(const plim_pieces *pieces, const char *text, size_t bytes);

#endif
