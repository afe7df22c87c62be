# SPDX-License-Identifier: Apache-2.0
"""Contexts changed at random, from a seed: keys dropped, renamed and added, types changed, odd strings, numbers and roles."""
import copy
import random

from jinja2 import meta
from transformers.utils import chat_template_utils

import contexts
import contexts_tools

STRINGS = ["", " ", "\n", "a", "A b", "  x  ", "\u00e9", "\u4e2d\u6587", "\U0001f999", "\u0000", "\u00a0", "\u2028", "\u0130\u00df\u01c5", "\u1e9e",
           "\u03a3\u03c3\u03c2 \u039f\u03a3", "\ufb01", "'", '"', "\\", "\\n", "{{ x }}", "{% if %}", "<b>&", "</think>", "<think>", "<think>a</think>b", "</s>", "<s>",
           "<|im_end|>", "[BEGIN FINAL RESPONSE]", "true", "None", "0", "-1", "3.5", "user", "system", "assistant", "tool",
           "text", "image", "function", "string", "object", "array", "\r\n", "\t\u000b\u001c\u0085 x", "a\nb\nc", "e\u0301", "\u0661", "/no_think", "low",
           "high", "enabled", "all", "\uffff", "\U0010ffff", "\u200b", "it's", "don\u2019t \"x\"", "a" * 70, "\u007f\u0080\u00ad\ufeff"]
NUMBERS = [0, 1, -1, 2, 5, 10, 255, 512, 1024, 10**9, 2**53, 2**63 - 1, -2**63, 0.0, -0.0, 0.5, 1.5, 2.0, -3.25, 1e16, 1e22, 1e-5,
           1e-7, 123456789.125, 0.1, 1 / 3, 1e100, 5e-324, 1.7976931348623157e308]
ROLES = ["user", "system", "assistant", "tool", "developer", "ipython", "function", "root", "content", "User", "", "user memory",
         "critic"]
KEYS = ["role", "content", "tool_calls", "name", "type", "text", "function", "arguments", "id", "tool_call_id",
        "reasoning_content", "thinking", "reasoning", "image", "output", "items", "keys", "get", "properties", "parameters",
        "required", "enum", "default", "description", "nullable", "_x", "__class__", "a", "parameter_definitions"]
COMMON = ["tools", "documents", "add_generation_prompt", "enable_thinking", "thinking", "bos_token", "eos_token",
          "continue_final_message", "builtin_tools", "custom_tools", "reasoning_effort"]


def text(r):
    kind = r.randrange(4)
    if kind < 2:
        return r.choice(STRINGS)
    if kind == 2:
        return "".join(r.choice(STRINGS) for _ in range(r.randrange(1, 6)))
    return "".join(chr(r.choice([r.randrange(128), r.randrange(0x250), r.randrange(0x800, 0xD800), r.randrange(0xE000, 0x30000)]))
                   for _ in range(r.randrange(1, 12)))


def value(r, depth=0):
    kind = r.randrange(12 if depth < 4 else 8)
    if kind < 3:
        return text(r)
    if kind < 5:
        return r.choice(NUMBERS)
    if kind < 8:
        return r.choice([None, True, False])
    if kind < 10:
        return [value(r, depth + 1) for _ in range(r.randrange(4))]
    return {r.choice([r.choice(KEYS), text(r)]): value(r, depth + 1) for _ in range(r.randrange(4))}


def message(r):
    out = {"role": r.choice(ROLES), "content": r.choice([text(r), text(r), text(r), None, value(r), [
        {"type": r.choice(["text", "image", "video", "thinking"]), "text": text(r)} for _ in range(r.randrange(4))]])}
    if r.randrange(3) == 0:
        out["reasoning_content"] = r.choice([text(r), value(r)])
    if out["role"] == "assistant" and r.randrange(2):
        out["tool_calls"] = [contexts_tools.call(text(r), r.choice([{text(r): value(r)}, {}, text(r), '{"a": 1}']), text(r))
                             for _ in range(r.randrange(4))]
    if out["role"] == "tool" and r.randrange(2):
        out["tool_call_id"] = text(r)
    return out


def places(node):
    """(container, key) of everything in a JSON value."""
    out, todo = [], [node]
    while todo:
        at = todo.pop()
        for key, child in (at.items() if isinstance(at, dict) else enumerate(at)):
            out.append((at, key))
            if isinstance(child, (dict, list)):
                todo.append(child)
    return out


def change(r, context, variables):
    at, key = r.choice(places(context))
    kind = r.randrange(14)
    if kind == 0:
        del at[key]
    elif kind in (1, 2):
        at[key] = value(r)
    elif kind == 3:
        at[key] = r.choice([None, True, False, 0, "", [], {}])
    elif kind in (4, 5, 6) and isinstance(at[key], str):
        i = r.randrange(len(at[key]) + 1)
        at[key] = at[key][:i] + text(r) + at[key][i:]
    elif kind == 7 and isinstance(at, dict):
        at[r.choice(KEYS)] = at.pop(key)
    elif kind == 8 and isinstance(at, dict) and at is not context:
        at[r.choice([r.choice(KEYS), text(r)])] = value(r)
    elif kind == 9 and isinstance(at, list):
        at.insert(r.randrange(len(at) + 1), copy.deepcopy(at[key]))
    elif kind == 10 and isinstance(at, dict) and key == "role":
        at[key] = r.choice(ROLES)
    elif kind == 11:
        context[r.choice(variables)] = r.choice([value(r), text(r), True, False, contexts_tools.TOOLS])
    elif isinstance(context.get("messages"), list):
        context["messages"].insert(r.randrange(len(context["messages"]) + 1), message(r))


def mutations(template, source, count, seed):
    """[(label, context)]"""
    r = random.Random(f"{template} {seed}")
    tree = chat_template_utils._cached_compile_jinja_template(source).environment.parse(source)
    functions = {"raise_exception", "strftime_now", "namespace", "range", "dict", "messages", "joiner", "cycler", "lipsum"}
    variables = sorted(meta.find_undeclared_variables(tree) - functions) + COMMON
    seeds = [c for _, c in contexts.for_template(template)]
    out = []
    for i in range(count):
        context = copy.deepcopy(r.choice(seeds))
        if r.randrange(8) == 0:
            context = {"messages": [message(r) for _ in range(r.randrange(1, 6))], "bos_token": "<s>", "eos_token": "</s>",
                       "add_generation_prompt": r.choice([True, False])}
        for _ in range(r.choice([1, 1, 1, 2, 3, 5])):
            change(r, context, variables)
            if not context:
                break
        out.append((f"mutation {seed}.{i}", context))
    return out
