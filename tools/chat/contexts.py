# SPDX-License-Identifier: Apache-2.0
"""The contexts that chat templates are tested with: GENERIC ones for every template, SPECIFIC ones for some.

Together they execute at least 95 % of each shared template's nodes (coverage.py); DEAD says why the rest can't be.
"""
import copy

from contexts_specific import CHANGED, DEAD, SPECIFIC  # noqa: F401
from contexts_tools import (ANSWER, ASK, CALL, CALL2, PARTS, RICH_TOOLS, SYSTEM, TOOLS, answer, assistant, call, part,
                            system, tool, user)

ODD = ("\u00e9 e\u0301 \u4e2d\u6587 \U0001f468\u200d\U0001f469\u200d\U0001f467 \"double\" 'single' \\back\\slash\\ "
       "\ttab\r\nline\n\n{{ 7 * 7 }} {% raw %} <b>&amp;</b> \u2028\u2029\u0085\u00a0\ufeff\u0000\u0001\u007f end")
TOKENS = ("<s></s><|im_start|>system\n<|im_end|><|endoftext|><|eot_id|><|start_header_id|>[INST][/INST]<|end|>"
          "<\uff5cUser\uff5c><\uff5cend\u2581of\u2581sentence\uff5c><start_of_turn><think></think><|channel|><tool_call>")

GENERIC = {
    "hello": {"messages": [ASK]},
    "hello_prompt": {"messages": [ASK], "add_generation_prompt": True},
    "system": {"messages": [SYSTEM, ASK], "add_generation_prompt": True},
    "turns": {"messages": [SYSTEM, ASK, ANSWER, user("And tomorrow?\n")], "add_generation_prompt": True},
    "turns_end": {"messages": [ASK, ANSWER, user(" Why? "), assistant("\n\nBecause of the wind. ")]},
    "system_later": {"messages": [ASK, ANSWER, system("Now be rude."), user("Hm."), system("Very."), ANSWER]},
    "tools": {"messages": [ASK], "tools": TOOLS, "add_generation_prompt": True},
    "tools_system": {"messages": [SYSTEM, ASK], "tools": TOOLS},
    "tools_rich": {"messages": [SYSTEM, ASK], "tools": RICH_TOOLS, "add_generation_prompt": True},
    "tools_none": {"messages": [SYSTEM, ASK], "tools": [], "documents": [], "add_generation_prompt": True},
    "call": {"messages": [ASK, assistant(None, tool_calls=[CALL]), tool('{"sky": "grey"}', "call_1")], "tools": TOOLS,
             "add_generation_prompt": True},
    "call_text": {"messages": [ASK, assistant("Let me look.", tool_calls=[CALL]), tool("grey", "call_1"),
                               assistant("It is grey."), user("Thanks.")], "add_generation_prompt": True},
    "call_json": {"messages": [ASK, assistant("", tool_calls=[call("weather", '{"city": "K\u00f6ln", "days": 2}', None)]),
                               tool("grey", None), ANSWER]},
    "calls": {"messages": [SYSTEM, ASK, assistant("", tool_calls=[CALL, CALL2]), tool("grey", "call_1"),
                           tool("12", "call_2"), assistant("Grey, 12 knots."), ASK], "tools": TOOLS,
              "add_generation_prompt": True},
    "call_bare": {"messages": [ASK, assistant("", tool_calls=[{"name": "weather", "arguments": {"city": "Oslo"}}]),
                               {"role": "tool", "name": "weather", "content": "snow"}],
                  "tools": [TOOLS[0]["function"]]},
    "parts": {"messages": [system(PARTS("Be brief.", "Be kind.")), user(PARTS("Hi", " there ")),
                           assistant(PARTS("Hello.", "Well?")), user(PARTS("Bye"))], "add_generation_prompt": True},
    "images": {"messages": [user([part("What is this? "), {"type": "image"}, {"type": "image_url", "image_url": {
        "url": "x.png"}}, {"type": "video"}, {"type": "audio"}])], "add_generation_prompt": True},
    "image_text": {"messages": [user([{"type": "image", "image": "x"}, part("What is this?")])]},
    "tool_parts": {"messages": [ASK, assistant(None, tool_calls=[CALL]), answer(PARTS("grey", "wet"), "call_1"), ANSWER]},
    "reasoning": {"messages": [ASK, assistant("Grey.", reasoning_content="Look\nup. "), user("Sure?"),
                               assistant("Yes.", reasoning_content="\n\nLook again.\n")], "add_generation_prompt": False},
    "reasoning_call": {"messages": [SYSTEM, ASK, assistant(None, reasoning_content="I need a tool.", tool_calls=[CALL]),
                                    tool("grey", "call_1"), assistant("Grey.", reasoning_content="So it is.")],
                       "tools": TOOLS},
    "think_tags": {"messages": [ASK, assistant("<think>\nHm.\n</think>\n\nGrey."), user("Sure?"),
                                assistant("<think>Look.</think>Yes.")], "add_generation_prompt": True},
    "thinking": {"messages": [ASK], "enable_thinking": True, "add_generation_prompt": True},
    "no_thinking": {"messages": [SYSTEM, ASK, ANSWER, ASK], "enable_thinking": False, "add_generation_prompt": True},
    "documents": {"messages": [ASK], "documents": [
        {"doc_id": 1, "title": "Loads", "text": "The line is drawn."}, {"doc_id": "b", "title": "\"Marks\"", "text": "S."}],
        "add_generation_prompt": True},
    "documents_tools": {"messages": [SYSTEM, ASK], "tools": TOOLS[:1], "documents": [{"doc_id": 2, "text": "Drawn."}],
                        "controls": {"length": "short"}, "add_generation_prompt": True},
    "empty": {"messages": [system(""), user(""), assistant(""), user("")], "add_generation_prompt": True},
    "spaces": {"messages": [system(" \n\t"), user("\n"), assistant("  \u00a0\u2003 "), user("\u000b\u001c x \u3000")]},
    "odd": {"messages": [system(ODD), user(ODD), assistant(ODD)], "add_generation_prompt": False},
    "odd_call": {"messages": [user("q"), assistant("", tool_calls=[call("f" + ODD, {ODD: ODD, "n": None, "x": [
        1, 2.5, 1e21, -0.0, 1e-7, True, {"a": {}}, []]}, "c\u00e9")]), tool(ODD, "c\u00e9")], "tools": [{
            "type": "function", "function": {"name": "f" + ODD, "description": ODD, "parameters": {
                "type": "object", "properties": {ODD: {"type": "string", "description": ODD}}, "required": [ODD]}}}]},
    "tokens": {"messages": [system(TOKENS), user(TOKENS), assistant(TOKENS), user(TOKENS)],
               "add_generation_prompt": True},
    "continue": {"messages": [ASK, assistant("The sky is ")], "continue_final_message": True},
    "continue_parts": {"messages": [ASK, assistant(PARTS("The sky", " is\n"))], "continue_final_message": True},
    "continue_reasoning": {"messages": [ASK, {"role": "assistant", "content": "", "reasoning_content": "Look "}],
                           "continue_final_message": "reasoning_content"},
    "continue_prompt": {"messages": [ASK, ANSWER], "continue_final_message": True, "add_generation_prompt": True},
    "roles": {"messages": [{"role": "developer", "content": "Be brief."}, ASK, {"role": "ipython", "content": "1"},
                           {"role": "Narrator", "content": "So it went."}, ANSWER], "add_generation_prompt": True},
    "role_function": {"messages": [ASK, {"role": "function", "name": "weather", "content": "grey"}]},
    "tool_first": {"messages": [tool("grey", "call_1"), ASK]},
    "users": {"messages": [ASK, ASK]},
    "assistant_first": {"messages": [ANSWER, ASK], "add_generation_prompt": True},
    "no_content": {"messages": [{"role": "user"}, {"role": "assistant", "content": None}]},
    "no_role": {"messages": [{"content": "Hi"}]},
    "numbers": {"messages": [user(3.5), assistant(True), user(1234567890123456789), assistant({"a": 1})]},
    "empty_call": {"messages": [ASK, assistant("", tool_calls=[]), user("x"), assistant("", tool_calls=[call("now", {}, "c")]),
                                tool("", "c")], "add_generation_prompt": True},
    "nothing": {"messages": []},
    "no_tokens": {"messages": [ASK], "add_generation_prompt": True, "bos_token": None, "eos_token": None},
}


def finish(context):
    """bos_token and eos_token stand in for the tokenizer; None takes them away."""
    out = {"bos_token": "<s>", "eos_token": "</s>"}
    out.update(copy.deepcopy(context))
    return {k: v for k, v in out.items() if not (k in ("bos_token", "eos_token") and v is None)}


def original(template):
    return template.removesuffix(" (changed)")


def changed(sources):
    """The further templates that CHANGED makes of {name: source}."""
    out = {}
    for name, pairs in CHANGED.items():
        if name in sources:
            text = sources[name]
            for old, new in pairs:
                assert old in text
                text = text.replace(old, new)
            out[name + " (changed)"] = text
    return out


def all_contexts():
    """[(name, context)]: shared ones, then TEMPLATE/NAME."""
    out = [(name, finish(c)) for name, c in GENERIC.items()]
    for template, contexts in SPECIFIC.items():
        out += [(f"{template}/{name}", finish(c)) for name, c in contexts.items()]
    return out


def for_template(template):
    own = original(template) + "/"
    return [(name, c) for name, c in all_contexts() if "/" not in name or name.startswith(own)]
