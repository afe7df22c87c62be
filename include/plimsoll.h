/* SPDX-License-Identifier: Apache-2.0
 *
 * Over 600 lines because it is the one installed header, and its comments are the manual.
 *
 * plimsoll.h: load Hugging Face checkpoints without peak RAM, below a line that the user draws, and
 * generate text from them.  In this order: simple calls, then planning, then the low-level ones
 * (checkpoints, sessions, synthetic checkpoints).
 *
 * Rules that hold for every call:
 *  1. Handles are opaque counted references.  `open` makes one, `close` drops it, accepts a pointer
 *     to NULL and clears it.  A handle keeps alive what it was made from, so handles may be closed
 *     in any order.
 *  2. Errors are values: a call returns PLIM_OK (0) or a negative code, and fills the plim_error of
 *     the caller when one is given (NULL is allowed).  Outputs are NULL or untouched on failure;
 *     one exception: a generation that a failing disk ends keeps what was generated until then
 *     (plim_session_generate, plim_generate_text).
 *  3. The library never prints, exits, reads the environment, installs a signal handler or depends
 * on the locale.  It talks through the log callback of its context only.
 *  4. Options structs are filled by their `_init` macro, then changed.  NULL means all defaults;
 * one that was never filled is PLIM_E_USAGE.
 *  5. Sizes are bytes, times are seconds, token ids are int32_t, text is UTF-8 with a length.
 *  6. Thread safety: a context, a checkpoint, a plan, a model and a tokenizer may be used from
 * several threads at once; a session or a decoder from one thread at a time (plim_session_cancel
 * excepted; a second call to a busy session is PLIM_E_USAGE).
 *  7. Callbacks may call the library, but not close what calls them; a log callback may do nothing
 * that logs; and a logits callback runs inside a pass, in which no other pass of a model that
 * streams can begin (PLIM_E_USAGE).
 */
#ifndef PLIMSOLL_H
#define PLIMSOLL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(PLIM_BUILD)
#define PLIM_API __attribute__((visibility("default")))
#else
#define PLIM_API
#endif

#define PLIM_VERSION "0.1.0"

/* ---- status and errors ------------------------------------------------------------------------
 */

/* Never renumbered.  plim_status_name gives the short name that the program prints ("TRUNC"). */
typedef enum plim_status {
    PLIM_OK = 0,
    PLIM_E_TRUNC = -1,    /* a file ends before what it announces */
    PLIM_E_FORMAT = -2,   /* a file breaks a rule of its format */
    PLIM_E_LIMIT = -3,    /* a number in a file passes a stated cap */
    PLIM_E_UNSUP = -4,    /* valid, but not supported (yet) */
    PLIM_E_UNSAFE = -5,   /* refused: would leave the folder, run code, open a device */
    PLIM_E_MISMATCH = -6, /* two things that must agree don't (config and tensor, index and file) */
    PLIM_E_NOMEM = -7,    /* the system gave no memory */
    PLIM_E_BUDGET = -8,   /* would cross the memory line; refused before it is allocated */
    PLIM_E_IO = -9, /* the system failed a read, a write or an open; or there is no such file */
    PLIM_E_CHANGED = -10,   /* a file changed while it was in use */
    PLIM_E_INTEGRITY = -11, /* a checksum does not match */
    PLIM_E_NET = -12,
    PLIM_E_AUTH = -13,
    PLIM_E_USAGE = -14,    /* a call or an option that cannot be meant */
    PLIM_E_CANCELLED = -15 /* by the caller's own wish */
} plim_status;

/* Caller-owned.  Empty strings and offset -1 where they do not apply.  Long names are cut. */
typedef struct plim_error {
    plim_status code;
    int64_t offset; /* byte position in `file` */
    char message[1024];
    char file[512];
    char tensor[256];
} plim_error;

/* Short name of a code, "OK", "TRUNC", ...; "?" for a number that is no code.  Static storage. */
PLIM_API const char *plim_status_name(plim_status code);

/* "0.1.0"; static storage. */
PLIM_API const char *plim_version(void);

/* ---- types of elements ------------------------------------------------------------------------
 */

/* The 22 of safetensors, in its order, and two of our own; AUTO where an option says "as it is". */
typedef enum plim_dtype {
    PLIM_AUTO = 0,
    PLIM_BOOL,
    PLIM_F4,
    PLIM_F6_E2M3,
    PLIM_F6_E3M2,
    PLIM_U8,
    PLIM_I8,
    PLIM_F8_E5M2,
    PLIM_F8_E4M3,
    PLIM_F8_E8M0,
    PLIM_F8_E4M3FNUZ,
    PLIM_F8_E5M2FNUZ,
    PLIM_I16,
    PLIM_U16,
    PLIM_F16,
    PLIM_BF16,
    PLIM_I32,
    PLIM_U32,
    PLIM_F32,
    PLIM_C64,
    PLIM_F64,
    PLIM_I64,
    PLIM_U64,
    /* Not stored as such: groups of 32 weights that share an f16 scale, 8.5 and 4.5 bits each. */
    PLIM_Q8, /* torch_dtype "int8" */
    PLIM_Q4, /* "int4" */
    PLIM_DTYPE_COUNT
} plim_dtype;

/* Name as safetensors writes it ("BF16"), "auto" for PLIM_AUTO, "?" out of range.  Static storage.
 */
PLIM_API const char *plim_dtype_name(plim_dtype dtype);

/* Name as PyTorch says it ("bfloat16"), or plim_dtype_name where PyTorch has none.  Static storage.
 */
PLIM_API const char *plim_dtype_torch_name(plim_dtype dtype);

/* Either spelling, "torch." allowed, exact case; -> *out, or PLIM_E_USAGE. */
PLIM_API plim_status plim_dtype_parse(plim_dtype *out, const char *name, plim_error *err);

/* Bits of one element, 4..64; 0 for PLIM_AUTO, out of range, and groups (PLIM_Q8, PLIM_Q4). */
PLIM_API unsigned plim_dtype_bits(plim_dtype dtype);

#define PLIM_MAX_DIMS 8

/* ---- callbacks --------------------------------------------------------------------------------
 */

typedef enum plim_log_level { PLIM_LOG_DEBUG, PLIM_LOG_INFO, PLIM_LOG_WARN } plim_log_level;

/* One line without a newline, valid during the call.  May come from any thread, one at a time. */
typedef void (*plim_log_fn)(void *user, plim_log_level level, const char *line);

/* What a load (or a synth) reports, about ten times a second and once at the end. */
typedef struct plim_progress {
    uint64_t done_bytes;
    uint64_t total_bytes;
    double seconds;     /* since the start */
    double eta_seconds; /* -1 while unknown */
} plim_progress;

/* May come from any of the context's threads, one at a time.  Return non-zero to cancel: the call
 * in progress then fails with PLIM_E_CANCELLED. */
typedef int (*plim_progress_fn)(void *user, const plim_progress *progress);

/* The caller's own memory for everything but weights, KV and activations (those are anonymous
 * maps). alloc: `bytes` aligned to 16, or NULL.  Both must be thread-safe. */
typedef struct plim_allocator {
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *ptr, size_t bytes);
    void *user;
} plim_allocator;

/* ---- memory -----------------------------------------------------------------------------------
 */

typedef enum plim_memory_category {
    PLIM_MEM_WEIGHTS,
    PLIM_MEM_STAGING,
    PLIM_MEM_KV,
    PLIM_MEM_ACTIVATIONS,
    PLIM_MEM_TOKENIZER,
    PLIM_MEM_METADATA,
    PLIM_MEM_OTHER,
    PLIM_MEM_COUNT
} plim_memory_category;

/* "weights", "staging", ...; static storage. */
PLIM_API const char *plim_memory_category_name(plim_memory_category category);

typedef struct plim_memory_use {
    uint64_t now;
    uint64_t peak;
} plim_memory_use;

/* The ledger: every byte the library holds. */
typedef struct plim_memory {
    uint64_t limit;    /* the line; 0: none */
    uint64_t baseline; /* what the process held when the context opened; counted against the line */
    plim_memory_use total;
    plim_memory_use anonymous;
    plim_memory_use mapped; /* pages of files, at full length */
    plim_memory_use category[PLIM_MEM_COUNT];
} plim_memory;

/* The process as the kernel sees it (/proc/self/status). */
typedef struct plim_process_memory {
    uint64_t rss;       /* VmRSS */
    uint64_t peak;      /* VmHWM */
    uint64_t anonymous; /* RssAnon */
    uint64_t file;      /* RssFile */
} plim_process_memory;

PLIM_API plim_status plim_process_memory_read(plim_process_memory *out, plim_error *err);

/* Sets VmHWM back to what is resident now (writes 5 to clear_refs); PLIM_E_IO where refused. */
PLIM_API plim_status plim_process_peak_reset(plim_error *err);

typedef struct plim_machine_memory {
    uint64_t total;     /* MemTotal */
    uint64_t available; /* MemAvailable */
    uint64_t swap_total;
    uint64_t cgroup_limit; /* the smallest of the control groups above us, v1 and v2; 0: none */
    uint64_t cgroup_left;  /* the least that any of them leaves, reclaimable cache counted as free;
                              only if limited */
    uint64_t line; /* what `--memory auto` means here: the bytes this process may hold in all */
} plim_machine_memory;

PLIM_API plim_status plim_machine_memory_read(plim_machine_memory *out, plim_error *err);

/* ---- context ----------------------------------------------------------------------------------
 */

typedef struct plim_context plim_context;

typedef struct plim_context_options {
    size_t size;
    uint64_t memory_limit; /* the line, baseline included; 0: none */
    uint64_t baseline;     /* bytes held already; 0: measured now (VmRSS) */
    unsigned threads;      /* 0: the physical cores that this process may use */
    unsigned cpu_mask;     /* PLIM_CPU_*: instruction sets that may be used; default all */
    plim_log_fn log;       /* NULL: silent */
    void *log_user;
    const plim_allocator *allocator; /* NULL: malloc; copied */
} plim_context_options;

PLIM_API void plim_context_options_init_sized(plim_context_options *options, size_t size);
#define plim_context_options_init(o) plim_context_options_init_sized((o), sizeof *(o))

#define PLIM_CPU_AVX2        0x1u  /* AVX2, FMA and F16C */
#define PLIM_CPU_AVX512      0x2u  /* F, BW, DQ, VL */
#define PLIM_CPU_AVX512_VNNI 0x4u  /* dot products of bytes, with PLIM_CPU_AVX512 */
#define PLIM_CPU_AVX_VNNI    0x8u  /* the same for 256 bits, with PLIM_CPU_AVX2 */
#define PLIM_CPU_NEON        0x10u /* aarch64 */
#define PLIM_CPU_ALL         0xffffffffu

/* The root: ledger, threads, log.  Models opened in one context share its line. */
PLIM_API plim_status plim_context_open(plim_context **out, const plim_context_options *options,
                                       plim_error *err);
PLIM_API void plim_context_close(plim_context **context);
PLIM_API void plim_context_memory(const plim_context *context, plim_memory *out);
PLIM_API unsigned plim_context_threads(const plim_context *context);

/* "scalar", "avx2", "avx512", "neon", ...: the best kernels in use.  Static storage. */
PLIM_API const char *plim_context_kernels(const plim_context *context);

/* ---- the processor ----------------------------------------------------------------------------
 */

typedef struct plim_cpu_info {
    char processor[128]; /* its name, "" where the system does not tell */
    unsigned features;   /* PLIM_CPU_*: it has them, and the system saves their registers */
    unsigned logical;    /* processors that are online, hyperthreads among them */
    unsigned physical;   /* the cores that they belong to */
    unsigned allowed_logical, allowed_physical; /* of those in this process's affinity mask */
    unsigned quota;   /* cores' worth of time its control groups allow, rounded up; 0: no limit */
    unsigned threads; /* of a context by default: min(allowed_physical, quota), at most 256 */
} plim_cpu_info;

PLIM_API void plim_cpu_read(plim_cpu_info *out);

/* A set of kernels that was compiled for this architecture.  A better one overwrites parts of those
 * before it. */
typedef struct plim_cpu_level {
    const char *name;         /* "scalar", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "neon" */
    const char *instructions; /* for people: what it adds to the others */
    unsigned needs;           /* PLIM_CPU_*, all of them; as a cpu_mask it forces this level */
} plim_cpu_level;

/* The i-th level into *out, or PLIM_E_USAGE past the last.  Static storage. */
PLIM_API plim_status plim_cpu_level_read(plim_cpu_level *out, size_t i);

typedef enum plim_kernel_kind {
    PLIM_KERNELS_FLOAT_PRODUCTS,
    PLIM_KERNELS_INT8_PRODUCTS,
    PLIM_KERNELS_INT4_PRODUCTS,
    PLIM_KERNELS_ATTENTION,
    PLIM_KERNELS_NORMS, /* and activations, rope, the largest score */
    PLIM_KERNELS_CASTS,
    PLIM_KERNELS_QUANTISING,
    PLIM_KERNELS_COUNT
} plim_kernel_kind;

/* "float products", ...; "?" out of range.  Static storage. */
PLIM_API const char *plim_kernel_kind_name(plim_kernel_kind kind);

/* The name of the level that does such work in a context with this cpu_mask, on this processor. */
PLIM_API const char *plim_cpu_kernels(plim_kernel_kind kind, unsigned cpu_mask);

/* ---- models -----------------------------------------------------------------------------------
 */

typedef struct plim_model plim_model;
typedef struct plim_tokenizer plim_tokenizer;

typedef enum plim_reader {
    PLIM_READER_AUTO,
    PLIM_READER_MAP,      /* the file's own pages where nothing is cast, populated while loading */
    PLIM_READER_BUFFERED, /* read through the page cache into memory of our own */
    PLIM_READER_DIRECT    /* past the page cache into memory of our own; buffered where the file
                             system refuses */
} plim_reader;

/* The names are those of Transformers' from_pretrained. */
typedef struct plim_model_options {
    size_t size;
    plim_dtype torch_dtype; /* AUTO: config.json's, else the first float type stored; I8 and Q4
                               (what plim_dtype_parse makes of "int8" and "int4"): matrices are
                               quantised while they are loaded; F32, BF16, F16 of a checkpoint that
                               is quantised: what is stored so stays so and is multiplied as f32
                               (F32: as Transformers does), slower than with AUTO */
    const char *device_map; /* NULL or "auto": what fits stays, the rest streams; "cpu": all must
                               fit; "disk": all streams; JSON: {"model.layers.0": "cpu", ...}, the
                               longest match wins; "cuda" is PLIM_E_UNSUP for now */
    const char *max_memory; /* JSON, as accelerate takes it: {"cpu": "4GiB"} caps the weights that
                               stay */
    const char *offload_folder; /* accepted; nothing is ever written there */
    int low_cpu_mem_usage; /* default 1; 0: whole state dict first, then a copy, for comparison */
    plim_reader reader;
    uint32_t context;    /* KV positions per session; 0: min(what the model was made for, 4096) */
    plim_dtype kv_dtype; /* F32, F16, BF16; AUTO: F32 when the run type is F32, else F16 */
    uint32_t prefill_chunk; /* rows per pass; 0: the plan's choice, 256 */
    uint32_t sessions;    /* how many sessions are paid for at open; default 1; 0: weights alone */
    const char *revision; /* for names: branch, tag or commit; NULL: main */
    const char *subfolder;
    const char *variant; /* model.VARIANT.safetensors */
    const char
        *cache_dir; /* the Hugging Face cache ("~/.cache/huggingface/hub"); NULL: paths only */
    plim_progress_fn progress;
    void *progress_user;
    int mlock; /* 1: weights and KV are locked in memory; a warning where the system refuses */
    const struct plim_speeds
        *speeds; /* of this machine, for seconds in plans; NULL: none; copied */
} plim_model_options;

PLIM_API void plim_model_options_init_sized(plim_model_options *options, size_t size);
#define plim_model_options_init(o) plim_model_options_init_sized((o), sizeof *(o))

/* Load a model: `name` is a folder, a .safetensors file with config.json beside it, or a Hub name
 * that the cache holds.  When this returns, every byte that should be in memory is there.
 * PLIM_E_BUDGET: the plan does not fit below the line (nothing was allocated). */
PLIM_API plim_status plim_model_open(plim_model **out, plim_context *context, const char *name,
                                     const plim_model_options *options, plim_error *err);
PLIM_API void plim_model_close(plim_model **model);

PLIM_API uint64_t plim_model_num_parameters(const plim_model *model);   /* tied ones once */
PLIM_API uint64_t plim_model_memory_footprint(const plim_model *model); /* bytes of its weights */
PLIM_API const char *plim_model_type(const plim_model *model); /* "gpt2"; lives with the model */

/* JSON, as hf_device_map: {"": "cpu"} where everything stays, else an entry per module
 * ("model.embed_tokens", "model.layers.0", ...), "disk" where anything of it streams.  Lives with
 * the model. */
PLIM_API const char *plim_model_device_map(const plim_model *model);

PLIM_API uint32_t plim_model_vocab_size(const plim_model *model);
PLIM_API uint32_t plim_model_context(const plim_model *model); /* KV positions per session */
PLIM_API plim_dtype plim_model_dtype(const plim_model *model);

typedef struct plim_stream_info {
    uint64_t passes;
    uint64_t used_bytes; /* of weights that passes took from the disk */
    uint64_t read_bytes; /* the same with what was read ahead */
    double wait_seconds; /* that passes waited for the disk */
} plim_stream_info;

/* What streamed since the model was opened; all zero where everything stays in memory. */
PLIM_API void plim_model_stream_info(const plim_model *model, plim_stream_info *out);

typedef struct plim_load_report {
    uint64_t stored_bytes; /* of the tensors the model needs, as they lie on disk */
    uint64_t read_bytes;   /* read into our memory */
    uint64_t mapped_bytes; /* brought in as pages of the file */
    double open_seconds;   /* headers, config, plan */
    double load_seconds;
    plim_reader reader;         /* what AUTO became */
    uint64_t predicted_peak;    /* VmHWM as the plan saw it */
    plim_process_memory before; /* at the start of the load */
    plim_process_memory after;  /* at its end */
} plim_load_report;

PLIM_API void plim_model_load_report(const plim_model *model, plim_load_report *out);

/* What Transformers' loading report says, already said to the log: missing tensors are an error of
 * plim_model_open; unexpected ones are listed here, indices collapsed.  NULL past the end. */
PLIM_API const char *plim_model_unexpected(const plim_model *model, size_t i);

/* ---- tokenizers -------------------------------------------------------------------------------
 */

/* `name` as in plim_model_open; only tokenizer files are needed.  `options` gives revision,
 * subfolder and cache_dir; the rest is ignored. */
PLIM_API plim_status plim_tokenizer_open(plim_tokenizer **out, plim_context *context,
                                         const char *name, const plim_model_options *options,
                                         plim_error *err);
PLIM_API void plim_tokenizer_close(plim_tokenizer **tokenizer);

/* Text -> ids.  *ids is allocated (release with plim_free), NULL when *count is 0. */
PLIM_API plim_status plim_tokenizer_encode(plim_tokenizer *tokenizer, const char *text,
                                           size_t bytes, int add_special_tokens, int32_t **ids,
                                           size_t *count, plim_error *err);

/* Ids -> text.  *text is allocated (release with plim_free) and ends in a NUL beyond *bytes. */
PLIM_API plim_status plim_tokenizer_decode(plim_tokenizer *tokenizer, const int32_t *ids,
                                           size_t count, int skip_special_tokens, char **text,
                                           size_t *bytes, plim_error *err);

/* A range of bytes of a text. */
typedef struct plim_span {
    size_t begin, end;
} plim_span;

typedef struct plim_encode_options {
    size_t size; /* set by plim_encode_options_init */
    int add_special_tokens;
    int offsets; /* spans are wanted */
    /* Ranges of the text, ascending and disjoint, of which no byte may become a part of a special
     * token: text of users.  What the vocabulary lacks still becomes its unknown token. */
    const plim_span *literal;
    size_t literal_count;
} plim_encode_options;
#define plim_encode_options_init(o)                                                                \
    (*(o) = (plim_encode_options){.size = sizeof(plim_encode_options), .add_special_tokens = 1})

/* ids[count]; spans[count] where asked for: the bytes of the text behind each id, {0, 0} for those
 * that are added around it.  Release with plim_encoding_free. */
typedef struct plim_encoding {
    int32_t *ids;
    plim_span *spans;
    size_t count;
} plim_encoding;

PLIM_API plim_status plim_tokenizer_encode_with(plim_tokenizer *tokenizer, const char *text,
                                                size_t bytes, const plim_encode_options *options,
                                                plim_encoding *out, plim_error *err);
PLIM_API void plim_encoding_free(plim_encoding *encoding);

/* One past the largest id. */
PLIM_API uint32_t plim_tokenizer_size(const plim_tokenizer *tokenizer);

/* The token as its file spells it (in the byte-level alphabet, where it has one): its bytes, of
 * which at most cap are written to out (no NUL; NULL where cap is 0); SIZE_MAX for an id that has
 * none. */
PLIM_API size_t plim_tokenizer_token(const plim_tokenizer *tokenizer, int32_t id, char *out,
                                     size_t cap);

/* Memory that the library handed out.  NULL is allowed. */
PLIM_API void plim_free(void *ptr);

/* ---- generation -------------------------------------------------------------------------------
 */

typedef enum plim_finish {
    PLIM_FINISH_LENGTH,
    PLIM_FINISH_EOS,
    PLIM_FINISH_STOP,        /* a stop string */
    PLIM_FINISH_INTERRUPTED, /* by the callback or plim_session_cancel */
    PLIM_FINISH_ERROR        /* a file or the disk failed: the call says how */
} plim_finish;

/* A new token.  `text` holds what became complete UTF-8 with it (maybe nothing), special tokens
 * skipped. */
typedef struct plim_token_event {
    int32_t token;
    size_t index; /* 0 for the first new one */
    const char *text;
    size_t text_bytes;
} plim_token_event;

/* Return non-zero to stop: the generation then ends with PLIM_FINISH_INTERRUPTED. */
typedef int (*plim_token_fn)(void *user, const plim_token_event *event);

/* "Unset" values (-1, NaN) take generation_config.json's, then Transformers' defaults. */
typedef struct plim_generate_options {
    size_t size;
    int64_t max_length;     /* prompt included; -1 unset */
    int64_t max_new_tokens; /* wins over max_length; both unset: 20 */
    int do_sample;          /* -1 unset */
    double temperature;     /* NaN unset */
    int64_t top_k;          /* -1 unset, 0 off */
    double top_p;
    double min_p;
    double repetition_penalty;
    uint64_t seed; /* reproduces our samples, not PyTorch's */
    int ignore_eos;
    const char *const *stop; /* stop strings */
    size_t stop_count;
    plim_token_fn on_token;
    void *user;
    const int32_t *earlier; /* plim_session_generate: what the session holds before the prompt; the
                               repetition penalty counts it as a part of it */
    size_t earlier_count;
} plim_generate_options;

PLIM_API void plim_generate_options_init_sized(plim_generate_options *options, size_t size);
#define plim_generate_options_init(o) plim_generate_options_init_sized((o), sizeof *(o))

/* How many new tokens a generation may give: max_new_tokens, else max_length less the prompt, from
 * `generate`, else from the model's generation_config.json, else 20.  For choosing
 * plim_model_options.context before a load; `name` and `options` as in plim_tokenizer_open.
 * PLIM_E_USAGE when max_length leaves no room for a token. */
PLIM_API plim_status plim_generate_count(size_t *new_tokens, plim_context *context,
                                         const char *name, const plim_model_options *options,
                                         const plim_generate_options *generate, size_t prompt_count,
                                         plim_error *err);

/* Caller-owned; release with plim_generation_free. */
typedef struct plim_generation {
    int32_t *tokens; /* the new ones */
    size_t token_count;
    char *text; /* theirs, special tokens skipped, cut before a stop string is not done;
                   NUL-terminated */
    size_t text_bytes;
    plim_finish finish;
    size_t prompt_tokens;
    double prefill_seconds;
    double decode_seconds; /* of the tokens after the first */
    double first_token_seconds;
} plim_generation;

PLIM_API void plim_generation_free(plim_generation **generation);

/* "length", "eos", "stop", "interrupted", "error"; static storage. */
PLIM_API const char *plim_finish_name(plim_finish finish);

/* Encode with special tokens, generate in a session of its own, decode.  PLIM_E_IO and
 * PLIM_E_CHANGED of weights that stream: as in plim_session_generate. */
PLIM_API plim_status plim_generate_text(plim_generation **out, plim_model *model,
                                        plim_tokenizer *tokenizer, const char *prompt,
                                        const plim_generate_options *options, plim_error *err);

/* ---- planning ---------------------------------------------------------------------------------
 */

typedef struct plim_plan plim_plan;

/* Everything that plim_model_open does before the first weight byte.  A plan that does not fit is a
 * plan all the same (fits = 0).  A model_type that is not known is planned as weights alone. */
PLIM_API plim_status plim_plan_open(plim_plan **out, plim_context *context, const char *name,
                                    const plim_model_options *options, plim_error *err);
PLIM_API void plim_plan_close(plim_plan **plan);

/* Stop the load of this plan that is in progress, or else the next one, within 50 ms; from any
 * thread. The load fails with PLIM_E_CANCELLED. */
PLIM_API void plim_plan_cancel(plim_plan *plan);

/* What this machine does in a second, in bytes; 0: not measured. */
typedef struct plim_speeds {
    double disk;              /* read past the page cache */
    double buffered;          /* read through the page cache, which does not hold it yet */
    double cached;            /* out of the page cache into memory of our own */
    double commit;            /* fresh memory, brought in */
    double product_out_in[3]; /* weights through a product with one row, as float32, float16,
                                 bfloat16; [out, in] layout */
    double product_in_out[3]; /* the same for GPT-2's layout */
    double product_groups[2]; /* the same of groups: int8, int4; of any layout */
} plim_speeds;

/* Measures them with the largest file of the checkpoint that `name` means: a second or two, and
 * below 100 MiB of memory (counted like any other).  `options` gives what leads to the checkpoint,
 * and progress (of what is read), which may cancel.  PLIM_E_IO, PLIM_E_BUDGET, PLIM_E_CANCELLED;
 * *out is untouched then. */
PLIM_API plim_status plim_probe(plim_speeds *out, plim_context *context, const char *name,
                                const plim_model_options *options, plim_error *err);

/* Load exactly that plan.  A plan of weights alone gives a model that answers questions but opens
 * no session.  `progress` may be NULL. */
PLIM_API plim_status plim_model_load(plim_model **out, plim_plan *plan, plim_error *err);

typedef struct plim_plan_info {
    int fits;
    uint64_t limit; /* the line; 0: none */
    uint64_t baseline;
    uint64_t held; /* against the line: baseline and everything, thread stacks at full length */
    uint64_t predicted_peak; /* VmHWM of the process when it is the only thing in it */
    uint64_t anonymous;      /* of predicted_peak without the baseline */
    uint64_t mapped;
    uint64_t category[PLIM_MEM_COUNT]; /* at the peak */
    uint64_t weight_bytes;             /* in the run type, wherever they are */
    uint64_t stored_bytes;
    uint64_t parameters;
    size_t tensor_count;
    size_t read_count;
    size_t advice_count;
    size_t unexpected_count;
    int runnable;     /* 0: weights alone; the model_type is not known */
    plim_dtype dtype; /* the run type */
    plim_dtype kv_dtype;
    uint32_t context;
    uint32_t prefill_chunk;
    plim_reader reader;
    uint64_t kv_bytes;       /* per session */
    const char *model_type;  /* "" when config.json has none; lives with the plan */
    const char *directory;   /* where the name was found */
    uint64_t pinned_bytes;   /* of the weights: what stays in memory */
    uint64_t streamed_bytes; /* stored bytes that each token reads from disk */
    uint64_t ring_bytes;     /* memory through which they pass */
    double load_seconds;     /* 0: speeds are not known */
    double token_seconds;    /* of a new token */
} plim_plan_info;

PLIM_API void plim_plan_describe(const plim_plan *plan, plim_plan_info *out);

typedef enum plim_form {
    PLIM_FORM_META,    /* nowhere */
    PLIM_FORM_MAPPED,  /* pages of its file */
    PLIM_FORM_OWNED,   /* memory of our own */
    PLIM_FORM_STREAMED /* on disk, all of it or a part; passes through a ring when it is needed */
} plim_form;

/* "meta", "mapped", "owned", "streamed"; static storage. */
PLIM_API const char *plim_form_name(plim_form form);

/* A tensor that the model needs (or, of a checkpoint, that is stored).  Strings live with the
 * handle. */
typedef struct plim_tensor_info {
    const char *name; /* as stored */
    plim_dtype dtype; /* in memory */
    plim_dtype stored_dtype;
    unsigned rank;
    uint64_t shape[PLIM_MAX_DIMS];
    uint64_t bytes; /* in memory */
    uint64_t stored_bytes;
    const char *file; /* path of its file */
    uint64_t offset;  /* of its first byte in that file */
    plim_form form;
    const char *device;    /* "cpu", "disk" */
    const char *tied_to;   /* the name of the tensor whose bytes it shares, or NULL */
    uint64_t pinned_bytes; /* of `bytes`: what stays in memory */
} plim_tensor_info;

/* 0 and *out, or PLIM_E_USAGE past the end. */
PLIM_API plim_status plim_plan_tensor(const plim_plan *plan, size_t i, plim_tensor_info *out);

/* One step of the load, in the order in which it is done. */
typedef struct plim_read_info {
    const char *file;
    uint64_t offset;
    uint64_t bytes;
    plim_reader reader;
} plim_read_info;

PLIM_API plim_status plim_plan_read(const plim_plan *plan, size_t i, plim_read_info *out);

/* What would make it fit, as sentences; NULL past the end. */
PLIM_API const char *plim_plan_advice(const plim_plan *plan, size_t i);

/* Stored tensors that the model does not need, indices collapsed; NULL past the end. */
PLIM_API const char *plim_plan_unexpected(const plim_plan *plan, size_t i);

/* ---- checkpoints, low level (as safe_open) ----------------------------------------------------
 */

typedef struct plim_checkpoint plim_checkpoint;

/* `name` as in plim_model_open; no config.json is needed.  `options` gives revision, subfolder,
 * variant and cache_dir.  Headers are read and checked, no tensor data. */
PLIM_API plim_status plim_checkpoint_open(plim_checkpoint **out, plim_context *context,
                                          const char *name, const plim_model_options *options,
                                          plim_error *err);
PLIM_API void plim_checkpoint_close(plim_checkpoint **checkpoint);
PLIM_API size_t plim_checkpoint_count(const plim_checkpoint *checkpoint);

/* Sorted by name (bytes). */
PLIM_API plim_status plim_checkpoint_tensor(const plim_checkpoint *checkpoint, size_t i,
                                            plim_tensor_info *out);
PLIM_API plim_status plim_checkpoint_find(const plim_checkpoint *checkpoint, const char *name,
                                          plim_tensor_info *out, plim_error *err);
PLIM_API size_t plim_checkpoint_file_count(const plim_checkpoint *checkpoint);
PLIM_API const char *plim_checkpoint_file(const plim_checkpoint *checkpoint, size_t i,
                                          uint64_t *bytes);

/* Read a tensor, or the part of it between begin[d] (included) and end[d] (excluded) of each
 * dimension (both NULL: all of it), row-major, cast to `dtype` (AUTO: as stored) into `dst`.
 * `dst_bytes` must be what that takes exactly (PLIM_E_USAGE otherwise).  PLIM_E_UNSUP: no such
 * cast. */
PLIM_API plim_status plim_checkpoint_read(plim_checkpoint *checkpoint, const char *name,
                                          const uint64_t *begin, const uint64_t *end,
                                          plim_dtype dtype, void *dst, size_t dst_bytes,
                                          plim_error *err);

/* ---- sessions, low level ----------------------------------------------------------------------
 */

typedef struct plim_session plim_session;

/* A sequence and its KV.  The first `sessions` of the model's options are paid for; more may be
 * refused (PLIM_E_BUDGET). */
PLIM_API plim_status plim_session_open(plim_session **out, plim_model *model, plim_error *err);
PLIM_API void plim_session_close(plim_session **session);

/* One row of logits: f32 [vocab], valid during the call.  Return non-zero to cancel. */
typedef int (*plim_logits_fn)(void *user, size_t position, const float *logits, size_t vocab);

/* Append tokens to the sequence.  `on_logits`, where given, gets the row of every one of them;
 * otherwise only the last one's are computed.  PLIM_E_LIMIT beyond the context, PLIM_E_USAGE for an
 * id out of range. */
PLIM_API plim_status plim_session_eval(plim_session *session, const int32_t *tokens, size_t count,
                                       plim_logits_fn on_logits, void *user, plim_error *err);

/* f32 [vocab] of the last token evaluated, valid until the next call; NULL before the first. */
PLIM_API const float *plim_session_logits(const plim_session *session);
PLIM_API size_t plim_session_length(const plim_session *session);

/* Forget all positions from `length` on. */
PLIM_API plim_status plim_session_truncate(plim_session *session, size_t length, plim_error *err);

/* Stop the call in progress within 100 ms, or else the next; from any thread. */
PLIM_API void plim_session_cancel(plim_session *session);

/* Append the prompt, then generate.  `tokenizer` may be NULL: then no text, no stop strings.
 * Where weights stream and their file or disk fails in the middle (PLIM_E_IO, PLIM_E_CHANGED), the
 * call returns that error AND *out, with what was generated until then and PLIM_FINISH_ERROR; it is
 * to be freed like any other.  After every other error *out is NULL. */
PLIM_API plim_status plim_session_generate(plim_generation **out, plim_session *session,
                                           plim_tokenizer *tokenizer, const int32_t *prompt,
                                           size_t count, const plim_generate_options *options,
                                           plim_error *err);

/* ---- streaming decode -------------------------------------------------------------------------
 */

typedef struct plim_decoder plim_decoder;

PLIM_API plim_status plim_decoder_open(plim_decoder **out, plim_tokenizer *tokenizer,
                                       int skip_special_tokens, plim_error *err);
PLIM_API void plim_decoder_close(plim_decoder **decoder);

/* The text that id completes, always whole UTF-8; valid until the next call.  The pushes and the
 * flush concatenated equal plim_tokenizer_decode. */
PLIM_API plim_status plim_decoder_push(plim_decoder *decoder, int32_t id, const char **text,
                                       size_t *bytes, plim_error *err);
PLIM_API plim_status plim_decoder_flush(plim_decoder *decoder, const char **text, size_t *bytes,
                                        plim_error *err);

/* ---- chat templates --------------------------------------------------------------------------
 */

typedef struct plim_chat plim_chat;

/* The chat templates of a model, and the special tokens that they name: `name` and `options` as in
 * plim_tokenizer_open; or a .jinja file with the special tokens that lie beside it, if any do.
 * PLIM_E_IO where there is none. */
PLIM_API plim_status plim_chat_open(plim_chat **out, plim_context *context, const char *name,
                                    const plim_model_options *options, plim_error *err);
/* The template of a file, with the special tokens of the model (bos_token, ...).  `name` NULL:
 * those beside the file.  PLIM_E_IO where the file or the model is not there. */
PLIM_API plim_status plim_chat_open_template(plim_chat **out, plim_context *context,
                                             const char *file, const char *name,
                                             const plim_model_options *options, plim_error *err);
PLIM_API void plim_chat_close(plim_chat **chat);

/* The name of the i-th template ("default", "tool_use"), NULL past the end. */
PLIM_API const char *plim_chat_template_name(const plim_chat *chat, size_t i);

typedef struct plim_chat_options {
    size_t size;               /* set by plim_chat_options_init */
    const char *template_name; /* NULL: "tool_use" for a context with tools, where there is one,
                                  else "default" */
    int64_t now;               /* seconds since 1970, UTC, for strftime_now; INT64_MIN: an error */
    int utc_offset_minutes;    /* of the caller's clock, east of UTC */
    const char *zone;          /* its name, NULL: "" */
    int trust_context;         /* plim_chat_encode: texts of the context may write special tokens */
} plim_chat_options;
#define plim_chat_options_init(o)                                                                  \
    (*(o) = (plim_chat_options){.size = sizeof(plim_chat_options), .now = INT64_MIN})

/* `context` is a JSON object with what the template may name: messages, tools, documents,
 * add_generation_prompt, continue_final_message, ..., as for apply_chat_template.  *text is
 * allocated (plim_free) and ends in a NUL beyond *text_bytes.  *spans (NULL allowed; plim_free):
 * the ranges of the text that came from the context, ascending.  PLIM_E_FORMAT where the template
 * raises an exception, with its message; PLIM_E_LIMIT where it never ends or makes too much. */
PLIM_API plim_status plim_chat_render(const plim_chat *chat, const char *context, size_t bytes,
                                      const plim_chat_options *options, char **text,
                                      size_t *text_bytes, plim_span **spans, size_t *span_count,
                                      plim_error *err);

/* Messages in, ids out: the rendered text is encoded as a whole, without the tokens that the
 * tokenizer adds by itself, and no text of the context can become a special token unless
 * trust_context.  *ids as in plim_tokenizer_encode. */
PLIM_API plim_status plim_chat_encode(const plim_chat *chat, plim_tokenizer *tokenizer,
                                      const char *context, size_t bytes,
                                      const plim_chat_options *options, int32_t **ids,
                                      size_t *count, plim_error *err);

/* ---- measuring --------------------------------------------------------------------------------
 */

/* As if `length` tokens had been evaluated: the session forgets what it held, and its KV holds
 * random values (mean 0, variance 1; the same for the same seed) up to there.  For measuring what a
 * token costs far into a context without a prefill of that length; what is computed after it means
 * nothing.  PLIM_E_LIMIT beyond the context, PLIM_E_CANCELLED. */
PLIM_API plim_status plim_session_fill(plim_session *session, size_t length, uint64_t seed,
                                       plim_error *err);

/* What one pass that appends `count` tokens to a sequence of `length`, and gives the logits of the
 * last one, must read and compute at least.  An operation is a multiplication or an addition. */
typedef struct plim_pass_cost {
    uint64_t weight_bytes;   /* every weight once, in its type in memory, scales included; of the
                                tables of embeddings and positions a row per token */
    uint64_t kv_bytes;       /* keys and values of every position that is seen, once */
    double float_operations; /* products with float weights, and with keys and values; norms,
                                activations and the like are not counted */
    double int8_operations;  /* products with weights of int8 and int4 */
} plim_pass_cost;

PLIM_API void plim_model_pass_cost(const plim_model *model, size_t length, size_t count,
                                   plim_pass_cost *out);

/* What this machine can do at most, with the threads and the instruction sets of a context. */
typedef enum plim_limit {
    PLIM_LIMIT_READ, /* bytes read from memory: a bare loop over a region */
    PLIM_LIMIT_FMA,  /* f32 operations of fused multiply-adds, registers only */
    PLIM_LIMIT_INT8, /* int8 operations of products with 32-bit sums, registers only */
    PLIM_LIMIT_COUNT
} plim_limit;

typedef struct plim_limits plim_limits;

/* A region of about `bytes` (1 MiB to 4 GiB) for reads, huge pages where the system gives them, and
 * the best of several ways to read it, found in about 0.2 s.  PLIM_E_BUDGET, PLIM_E_NOMEM. */
PLIM_API plim_status plim_limits_open(plim_limits **out, plim_context *context, uint64_t bytes,
                                      plim_error *err);
PLIM_API void plim_limits_close(plim_limits **limits);

/* Measure for about `seconds`, on all threads of the context: bytes or operations per second.
 * Alternate it with what is measured, in short slices: clocks and neighbours change within seconds.
 * One thread at a time. */
PLIM_API double plim_limits_measure(plim_limits *limits, plim_limit what, double seconds);

/* A way to read that was tried. */
typedef struct plim_read_way {
    unsigned rows; /* read side by side */
    size_t ahead;  /* bytes that are asked for beforehand (prefetch); 0: none */
    double speed;  /* bytes per second, the best of its tries */
    int chosen;
} plim_read_way;

/* 0 and *out, or PLIM_E_USAGE past the end. */
PLIM_API plim_status plim_limits_read_way(const plim_limits *limits, size_t i, plim_read_way *out);

/* ---- synthetic checkpoints --------------------------------------------------------------------
 */

typedef struct plim_synth_options {
    size_t size;
    plim_dtype torch_dtype; /* AUTO: config.json's, else F32 */
    uint64_t seed;
    uint64_t max_shard_size; /* 0: one file */
    plim_progress_fn progress;
    void *progress_user;
} plim_synth_options;

PLIM_API void plim_synth_options_init_sized(plim_synth_options *options, size_t size);
#define plim_synth_options_init(o) plim_synth_options_init_sized((o), sizeof *(o))

/* A checkpoint of the exact shape of a config.json, with random weights, written into `directory`
 * (made where missing) with a copy of that config.json.  Nothing half-written under a final name.
 */
PLIM_API plim_status plim_synth(plim_context *context, const char *config_path,
                                const char *directory, const plim_synth_options *options,
                                plim_error *err);

/* ---- conversion -------------------------------------------------------------------------------
 */

typedef struct plim_convert_options {
    size_t size;
    plim_dtype torch_dtype;  /* F32, BF16, F16; I8 and Q4 ("int8", "int4"): quantised */
    uint64_t max_shard_size; /* bytes of tensors per file; 0: 5 GB */
    const char *revision;    /* these four as in plim_model_options */
    const char *subfolder;
    const char *variant;
    const char *cache_dir;
    plim_progress_fn progress; /* bytes written */
    void *progress_user;
} plim_convert_options;

PLIM_API void plim_convert_options_init_sized(plim_convert_options *options, size_t size);
#define plim_convert_options_init(o) plim_convert_options_init_sized((o), sizeof *(o))

/* The checkpoint that `name` means (as in plim_model_open), written in another type as a Hugging
 * Face folder, which must not be there yet or be empty: weights, config.json, and what lies beside
 * them (tokenizer, generation_config.json, chat templates, licence, README).  It appears whole or
 * not at all, and is on disk then.  Memory: below 4 MiB, and what is kept per tensor.
 *
 * float32, bfloat16, float16: every tensor of floats of 16 to 64 bits is cast as Transformers casts
 * it, all others stay; any model_type.
 * int8, int4: matrices of the layers become groups of 32 along their inner dimension with float16
 * scales, packed as compressed-tensors does (pack-quantized), so that Transformers reads the folder
 * too; config.json asks for float32 because in any narrower type Transformers would round the
 * weights.  An output head of its own takes 8 bits.  Embeddings, with a head that is tied to them,
 * keep their type (Transformers can't read them packed), and so do vectors and matrices whose inner
 * dimension is no multiple of 32.
 *
 * PLIM_E_UNSUP: for int8 and int4, a model_type that is not known, or GPT-2's [in, out] layout; a
 * checkpoint that is quantised already.  PLIM_E_USAGE: a folder that is not empty.  PLIM_E_IO,
 * PLIM_E_CHANGED, PLIM_E_CANCELLED (by progress). */
PLIM_API plim_status plim_convert(plim_context *context, const char *name, const char *directory,
                                  const plim_convert_options *options, plim_error *err);

/* ---- names ------------------------------------------------------------------------------------
 */

/* Where a name leads: the folder (or file) as plim_model_open would use it, into path[cap].
 * PLIM_E_IO with the command that downloads it where it is a Hub name that is not there yet. */
PLIM_API plim_status plim_resolve(char *path, size_t cap, const char *name,
                                  const plim_model_options *options, plim_error *err);

#ifdef __cplusplus
}
#endif
#endif
