# SPDX-License-Identifier: Apache-2.0
"""What Transformers makes of a chat template and a context: its own apply_chat_template, with a clock that stands.

A context is one JSON object: `messages` is the conversation, all else goes to apply_chat_template by name.  Needs
transformers and jinja2.
"""
import datetime
import glob
import os
import warnings

import tokenizers
import transformers
from transformers.utils import chat_template_utils

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
TEMPLATES = os.path.normpath(os.path.join(ROOT, "..", "shared", "data", "chat_templates"))

# chat_now of tests/chat/support.c.
NOW = datetime.datetime(2024, 7, 26, 13, 5, 9)

# Parameters of apply_chat_template that are no variables of a template.
NOT_VARIABLES = {"self", "conversation", "chat_template", "tokenize", "sanitize_control_tokens", "padding", "truncation",
                 "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs",
                 "conversations"}


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = FixedClock
warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
TOKENIZER = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()))


class Refused(Exception):
    """What this tool keeps out of Transformers: contexts that are no single conversation."""


def read_template(path):
    # As Transformers reads chat_template.jinja: text mode, so \r\n becomes \n.
    with open(path, encoding="utf-8") as f:
        return f.read()


def template_paths(names=None):
    """{name: path} of the shared templates, sorted; `names` keeps those that contain one of the words."""
    paths = {os.path.basename(p)[:-len(".jinja")]: p for p in sorted(glob.glob(os.path.join(TEMPLATES, "*.jinja")))}
    return {n: p for n, p in paths.items() if not names or any(word in n for word in names)}


def render(source, context):
    """The text; raises whatever Transformers raises."""
    variables = dict(context)
    if "messages" not in variables:
        raise Refused("no messages")
    messages = variables.pop("messages")
    if isinstance(messages, list) and messages and not isinstance(messages[0], dict):
        raise Refused("several conversations, or none")
    if NOT_VARIABLES & variables.keys():
        raise Refused("not a variable of templates: " + ", ".join(NOT_VARIABLES & variables.keys()))
    return TOKENIZER.apply_chat_template(messages, tokenize=False, chat_template=source, **variables)


def outcome(source, context):
    """{"text": ...} or {"error": "TYPE: message"}, never an exception."""
    try:
        text = render(source, context)
        text.encode("utf-8")
        return {"text": text}
    except RecursionError:
        return {"error": "RecursionError: "}
    except Exception as e:  # pylint: disable=broad-except
        return {"error": type(e).__name__ + ": " + str(e)}
