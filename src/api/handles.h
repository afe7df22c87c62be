/* SPDX-License-Identifier: Apache-2.0
 *
 * What the opaque handles are.  Each holds a count of references, and a reference to what it was
 * made from. */
#ifndef PLIM_API_HANDLES_H
#define PLIM_API_HANDLES_H

#include <pthread.h>
#include <stdatomic.h>

#include "chat/chat.h"
#include "generate/sequence.h"
#include "memory/facts.h"

struct plim_context {
    atomic_uint refs;
    plim_ledger *ledger;
    plim_pool *pool;
    uint64_t pool_bytes; /* of stacks, reserved */
    plim_kernels kernels;
    plim_log log;
    pthread_mutex_t log_lock;
    uint64_t memory_limit, baseline;
    plim_allocator allocator;
    plim_log_fn user_log;
    void *user_log_data;
};

struct plim_plan {
    atomic_uint refs;
    plim_context *context;
    plim_stored_set *stored;
    plim_skeleton *skeleton;
    plim_load_plan *plan;
    plim_arena arena; /* what options and facts point to */
    plim_progress_fn progress;
    void *progress_user;
    bool lock;          /* weights and KV in memory (mlock) */
    atomic_bool cancel; /* of the load in progress, or else of the next one */
    double open_seconds;
    char config[4096]; /* path of config.json, "" without one */
};

struct plim_model {
    atomic_uint refs;
    plim_plan *plan;
    plim_weights *weights;
    plim_engine engine;
    plim_generation_defaults defaults;
    plim_load_report report;
    char *device_map;     /* JSON: where each module is */
    pthread_mutex_t lock; /* of the idle sequences */
    plim_sequence **idle; /* paid for at open, not in use */
    uint32_t idle_count, paid;
};

struct plim_session {
    plim_model *model;
    plim_sequence *sequence;
    bool paid;        /* goes back to the model's idle ones */
    atomic_bool busy; /* a call is in progress: another one would break its rows */
};

struct plim_tokenizer {
    atomic_uint refs;
    plim_context *context;
    plim_tok *tok;
    pthread_mutex_t lock;   /* of idle */
    plim_tok_scratch *idle; /* of the last call, for the next one; NULL: none, or in use */
};

struct plim_chat {
    plim_context *context;
    plim_templates *templates;
};

struct plim_decoder {
    plim_tokenizer *tokenizer;
    plim_tok_decoder decoder;
};

struct plim_checkpoint {
    atomic_uint refs;
    plim_context *context;
    plim_stored_set *stored;
};

plim_context *plim_context_ref(plim_context *context);
plim_plan *plim_plan_ref(plim_plan *plan);
plim_model *plim_model_ref(plim_model *model);
plim_tokenizer *plim_tokenizer_ref(plim_tokenizer *tokenizer);

/* Memory of handles and of metadata. */
static inline const plim_alloc *plim_context_alloc(plim_context *context)
{
    return plim_ledger_alloc(context->ledger, PLIM_MEM_METADATA);
}

/* Options as the caller gave them (any size), or the defaults where there are none.  USAGE for a
 * struct that was never initialised. */
plim_status plim_context_options_take(plim_context_options *out,
                                      const plim_context_options *options, plim_error *err);
plim_status plim_model_options_take(plim_model_options *out, const plim_model_options *options,
                                    plim_error *err);
plim_status plim_generate_options_take(plim_generate_options *out,
                                       const plim_generate_options *options, plim_error *err);
plim_status plim_synth_options_take(plim_synth_options *out, const plim_synth_options *options,
                                    plim_error *err);

plim_status plim_convert_options_take(plim_convert_options *out,
                                      const plim_convert_options *options, plim_error *err);

plim_status plim_encode_options_take(plim_encode_options *out, const plim_encode_options *options,
                                     plim_error *err);

plim_status plim_chat_options_take(plim_chat_options *out, const plim_chat_options *options,
                                   plim_error *err);

/* The folder of the small files (tokenizer, generation_config) that a path means: itself, a file's
 * parent, with a subfolder where one is given. */
plim_status plim_find_folder(char *folder, size_t cap, const char *path, const char *subfolder,
                             plim_error *err);

/* A tensor of a checkpoint as the public struct has it. */
void plim_describe_stored(const plim_stored_set *set, const plim_stored *t, plim_tensor_info *out);

/* The path of its config.json ("" without one) into config[cap], and its skeleton, matched with
 * what is stored. */
plim_status plim_skeleton_read(plim_skeleton **out, plim_context *context, char *config, size_t cap,
                               const plim_stored_set *stored, plim_error *err);

/* The places of a plan's modules as JSON, in Hugging Face's form: {"": "cpu"}, or one entry per
 * module at the level at which accelerate places them.  From plim_context_alloc. */
plim_status plim_device_map_write(char **out, const plim_plan *plan, plim_error *err);

/* Lock a sequence's KV where the plan asks for it; a refusal is a warning. */
void plim_model_lock_kv(const plim_model *model, const plim_sequence *sequence);

/* Shared by model and session. */
plim_status plim_sampling_merge(const plim_model *model, const plim_generate_options *options,
                                plim_generate_request *request, size_t prompt_count,
                                plim_error *err);

#endif
