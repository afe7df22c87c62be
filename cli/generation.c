/* SPDX-License-Identifier: Apache-2.0
 *
 * What commands that generate share. */
#include "generation.h"

void generation_options(const cli_options *o, plim_generate_options *g)
{
    plim_generate_options_init(g);
    g->max_length = o->max_length;
    g->max_new_tokens = o->max_new_tokens;
    g->do_sample = (int)o->do_sample;
    g->temperature = o->temperature;
    g->top_k = o->top_k;
    g->top_p = o->top_p;
    g->min_p = o->min_p;
    g->repetition_penalty = o->repetition_penalty;
    g->seed = o->seed;
    g->ignore_eos = o->ignore_eos;
    g->stop = o->stop.text;
    g->stop_count = o->stop.count;
}

double per_second(size_t count, double seconds)
{
    return seconds > 0 ? (double)count / seconds : 0;
}

void generation_timing_json(cli_json *json, const plim_generation *g)
{
    json_put_real(json, "prefill", g->prefill_seconds);
    json_put_real(json, "decode", g->decode_seconds);
    json_put_real(json, "first_token", g->first_token_seconds);
    json_put_real(json, "prefill_tokens_per_s",
                  per_second(g->token_count > 0 ? g->prompt_tokens : 0, g->prefill_seconds));
    json_put_real(json, "decode_tokens_per_s",
                  per_second(g->token_count > 0 ? g->token_count - 1 : 0, g->decode_seconds));
}
