#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what Jinja2, set up as Transformers sets it up, makes of snippets.py: one JSON object a line,
{"template": ..., "expected" or "error": ..., "context": {...}}; the error is the class that Plimsoll must give.

The clock stands at Friday, 26 July 2024, 13:05:09.  usage: record_snippets.py > tests/chat/snippets.jsonl
"""
import datetime
import json
import sys

import jinja2.exceptions
import transformers.utils.chat_template_utils as utils

import snippets
import snippets_filters as more
import snippets_templates as whole


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 13, 5, 9)


def error_class(error):
    if isinstance(error, jinja2.exceptions.SecurityError):
        return "UNSAFE"
    if isinstance(error, (OverflowError, RecursionError)) and "infinity" not in str(error):
        return "LIMIT"
    return "FORMAT"


def render(template, context):
    """(text, None) or (None, class)"""
    variables = {"tools": None, "documents": None, "add_generation_prompt": False}
    variables.update(json.loads(json.dumps(context)))
    try:
        text = utils._compile_jinja_template(template).render(**variables)
        text.encode("utf-8")
        return text, None
    except Exception as error:  # whatever Python raises is an error to Plimsoll
        return None, error_class(error)


def used(template):
    """The part of the context that a snippet names."""
    return {k: v for k, v in snippets.CONTEXT.items() if k in template}


def blocks(text):
    return [line for line in text.strip("\n").split("\n") if line]


# 64 bits are what there is.
TOO_BIG = {"9223372036854775807 + 1", "9223372036854775807 * 2", "2 ** 64", '"99999999999999999999"|int'}


def templates():
    for part in (snippets.OPERATORS, snippets.ITEMS, snippets.METHODS, more.FILTERS, more.REPRS, more.TESTS, more.LAYOUT):
        for line in blocks(part):
            yield "{{ " + line + " }}", "LIMIT" if line in TOO_BIG else None
    for line in blocks(whole.TEMPLATES):
        yield line, None
    for text in whole.SEVERAL:
        yield text, None
    for line in blocks(whole.UNSUPPORTED):
        yield line, "UNSUP"


def main():
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    utils.datetime = Clock
    for template, wanted in templates():
        context = used(template)
        text, error = (None, wanted) if wanted else render(template, context)
        loads = any(f"{{% {word}" in template for word in ("include", "import", "extends", "from"))
        if loads and error or text and " at 0x" in text:
            error = "UNSUP"
        row = {"template": template}
        row.update({"error": error} if error else {"expected": text})
        row["context"] = context
        print(json.dumps(row, ensure_ascii=False))


main()
