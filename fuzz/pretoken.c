/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-tokenizers: the hand-written scanners must give the parts that PCRE2 gives for the same
 * pattern.  Input: one byte (which pattern), then the text. */
#include "base/utf8.h"
#include "fuzz.h"
#include "tokenizer/split_scan.h"

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define PREFIX       "[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER        "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define TAIL         "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define OTHERS       "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"

static const char *const patterns[] = {
    ("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"),
    (CONTRACTIONS "|" PREFIX "\\p{L}+|\\p{N}{1,3}" OTHERS TAIL),
    (CONTRACTIONS "|" PREFIX "\\p{L}+|\\p{N}" OTHERS TAIL),
    (CONTRACTIONS "|" PREFIX "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" TAIL),
    (CONTRACTIONS "|" PREFIX "[\\p{L}\\p{M}]+|\\p{N}" OTHERS TAIL),
    (PREFIX UPPER "*" LOWER "+" CONTRACTIONS "?|" PREFIX UPPER "+" LOWER "*" CONTRACTIONS
                  "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" TAIL),
    (PREFIX UPPER "*" LOWER "+|" PREFIX UPPER "+" LOWER
                  "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" TAIL),
    ("\\p{N}{1,3}"),
    ("[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+"),
    ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
     "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" TAIL),
    ("[0-9][0-9][0-9]"),
    (" ?[^(\\s|[.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4\xDB\x94\xD8\x8C])"
     "]+"),
};
enum { PATTERNS = sizeof patterns / sizeof *patterns };

/* Opened once: compiling takes longer than most texts. */
static plim_scan regexes[PATTERNS];
static plim_matcher matcher;

static void open_all(void)
{
    if (matcher.data)
        return;
    must(!plim_matcher_open(&matcher, plim_alloc_system(), NULL));
    for (size_t i = 0; i < PATTERNS; i++)
        must(!plim_scan_regex(&regexes[i], plim_alloc_system(), patterns[i], strlen(patterns[i]),
                              false, PLIM_NOWHERE, NULL));
}

/* What is not UTF-8 becomes U+FFFD, as the encoder has it. */
static size_t repair(const uint8_t *data, size_t size, char *out)
{
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code;
        size_t bad = 1;
        bool incomplete;
        size_t length =
            plim_utf8_decode((const char *)data + at, size - at, &code, &bad, &incomplete);
        used += plim_utf8_encode(length ? code : PLIM_UTF8_REPLACEMENT, out + used);
        at += length ? length : bad;
    }
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    open_all();
    size_t which = data[0] % PATTERNS;
    char *space = malloc(3 * size);
    size_t bytes = repair(data + 1, size - 1, space);
    char *text = malloc(bytes + !bytes); /* its end is where it ends */
    memcpy(text, space, bytes);
    free(space);
    plim_scan hand;
    must(plim_scan_known(&hand, patterns[which], strlen(patterns[which])));
    plim_cutter a = plim_cutter_of(text, bytes, &matcher), b = a;
    plim_cut cuts_a[PLIM_CUTS], cuts_b[PLIM_CUTS];
    size_t count_a = 0, count_b = 0, at_a = 0, at_b = 0, last = 0;
    for (;;) { /* batches need not be of one size */
        if (at_a == count_a) {
            must(!hand.fill(&hand, &a, cuts_a, &count_a, NULL));
            at_a = 0;
        }
        if (at_b == count_b) {
            must(!regexes[which].fill(&regexes[which], &b, cuts_b, &count_b, NULL));
            at_b = 0;
        }
        must(!count_a == !count_b);
        if (!count_a)
            break;
        must(cuts_a[at_a] == cuts_b[at_b]);
        must(cuts_a[at_a] >> 1 > last);
        last = (size_t)(cuts_a[at_a] >> 1);
        at_a++, at_b++;
    }
    must(last == bytes);
    plim_scan_close(&hand);
    free(text);
    return 0;
}
