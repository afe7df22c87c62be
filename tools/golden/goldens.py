# SPDX-License-Identifier: Apache-2.0
"""All goldens."""

from goldens_gpt2 import gpt2_goldens
from goldens_llama import llama_goldens
from goldens_others import mistral_goldens, qwen2_goldens, qwen3_goldens
from goldens_reports import report_goldens


def all_goldens():
    goldens = [
        *gpt2_goldens(),
        *llama_goldens(),
        *mistral_goldens(),
        *qwen2_goldens(),
        *qwen3_goldens(),
        *report_goldens(),
    ]
    assert len({g.name for g in goldens}) == len(goldens)
    return goldens
