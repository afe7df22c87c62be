# SPDX-License-Identifier: Apache-2.0
"""Contexts for single templates: the variables and shapes that only they look at."""

from contexts_tools import (ANSWER, ASK, CALL, CALL2, PARTS, SYSTEM, TOOLS, answer, assistant, call, function, message,
                            part, system, tool, user)


def one_tool(properties, required=None, **more):
    return [function("f", "Does.", properties, required, **more)]


def prompt(*messages, **more):
    return {"messages": list(messages), "add_generation_prompt": True, **more}


def chat(*messages, **more):
    return {"messages": list(messages), **more}


def thinking_modes(variable, *values):
    return {f"{variable}_{v}": prompt(SYSTEM, ASK, **{variable: v}) for v in values}


# For templates that raise without tools.
ODD = "\u00e9 \u4e2d \"double\" 'single' \\back\n\n<b>&amp; \u0000 <|eot_id|><|im_end|></tool_call> \u2028"
TURNS_WITH_TOOLS = {
    "turns": prompt(SYSTEM, ASK, ANSWER, user(" And\n? "), tools=TOOLS),
    "turns_end": chat(ASK, ANSWER, user(""), assistant(""), tools=TOOLS[1:]),
    "odd": prompt(system(ODD), user(ODD), assistant(ODD, tool_calls=[call(ODD, {ODD: [ODD, 1e22, -0.0]}, ODD)]), tool(ODD, "c"),
                  tools=one_tool({ODD: {"type": "string", "description": ODD}}, [ODD])),
    "calls": prompt(ASK, assistant("Two.", tool_calls=[CALL, CALL2]), tool("a ", "c"), tool(" b", "d"), assistant("c"),
                    user("d"), tools=TOOLS),
    "spaces": prompt(system(" \u00a0s\t"), user("\n u \u3000"), assistant(" \u2003a\u000b"), tools=TOOLS[:1]),
    "continue": chat(ASK, assistant("Well, "), tools=TOOLS[:1], continue_final_message=True),
    "empty_tools": prompt(ASK, tools=[]),
}

LLAMA = {
    "custom_tools": prompt(SYSTEM, ASK, custom_tools=TOOLS, tools_in_user_message=False, date_string="7 Mar 2026"),
    "builtin": prompt(ASK, assistant("", tool_calls=[call("brave_search", {"query": "line", "n": "3"}, "c")]),
                      message("ipython", {"hits": [1, "a"]}), assistant("", tool_calls=[CALL]), answer(7, "c"),
                      builtin_tools=["brave_search", "code_interpreter", "wolfram_alpha"]),
    "only_system": chat(SYSTEM, tools=TOOLS),
    "custom_null": prompt(ASK, custom_tools=None, builtin_tools=[]),
}

SPECIFIC = {
    "Apriel-1.6-15b-Thinker-fixed": {
        "history": prompt(ASK, assistant("Hm. [BEGIN FINAL RESPONSE] \nGrey.\n"), ASK, assistant("", chosen=["Blue.", "x"]),
                          message("content", "Notes"), message("content", PARTS("More notes")), answer([], "c")),
        "training": chat(ASK, assistant("Grey.", tool_calls=[CALL, CALL2]), training_prompt=True),
    },
    "ByteDance-Seed-OSS": {
        **thinking_modes("thinking_budget", 0, 513, 1024, 99999),
        "json_tools": prompt(ASK, tools=TOOLS, use_json_tooldef=True),
        "no_descriptions": prompt(ASK, tools=one_tool({"a": {"type": "array"}, "b": {"type": "boolean"}, "c": {}}, ["a"],
                                                      returns={"properties": {"x": {"type": "number"}}})),
    },
    "CohereForAI-c4ai-command-r-plus-tool_use": {
        **TURNS_WITH_TOOLS,
        "old_tools": prompt(SYSTEM, ASK, ANSWER, system(" Later. "), tools=[
            {"name": "search", "description": "Searches.", "parameter_definitions": {
                "q": {"type": "str", "required": True, "description": "Query"},
                "n": {"type": "int", "required": False, "description": "How many"}}},
            {"name": "answer", "description": "Answers.", "parameter_definitions": {}}]),
        "any_type": prompt(ASK, assistant("", tool_calls=[call("f", {}, None), CALL]), tools=one_tool(
            {"a": {"type": 5, "description": "Five"}, "b": {"type": "object", "additionalProperties": {"type": "string"},
                                                            "description": "Map"}}, [])),
        "call_only": prompt(ASK, {"role": "assistant", "tool_calls": [CALL]}, answer(" x ", "c"), tools=TOOLS[:1]),
    },
    "GLM-4.6": {
        "odd_parts": prompt(user(["a", part("b")]), assistant("", tool_calls=[CALL]),
                            answer([{"output": "grey"}, "wet"], "c"), assistant("</think>Grey."), user("x /nothink"),
                            enable_thinking=False),
        "call_text_args": chat(ASK, assistant("", tool_calls=[call("f", "{}", None)])),
        "call_no_args": chat(ASK, assistant("", tool_calls=[call("f", {}, None), CALL])),
    },
    "GigaChat3-10B-A1.8B": {
        "returns": prompt(ASK, tools=one_tool({"a": {"type": "string"}}, return_parameters={
            "type": "object", "properties": {"ok": {"type": "boolean", "defalut_value": False}}})),
        "memory": prompt(SYSTEM, message("user memory", ["Likes rain"]), ASK),
    },
    "HuggingFaceTB-SmolLM3-3B": {
        "no_think": prompt(system("Be brief. /no_think"), ASK, ANSWER, ASK),
        "think": prompt(system("/think Be brief."), ASK, enable_thinking=False),
        "plain": prompt(ASK, enable_thinking=False),
    },
    "Kimi-K2-Thinking": {
        "answers_in_history": prompt(ASK, tool("grey", "c"), answer(PARTS("wet"), "d"), ANSWER, ASK),
        "names": prompt(user("Hi", name="Ann"), assistant("Ho", name="Bo", reasoning_content="r"), system("s", name="S")),
        "null": chat(user(None), ANSWER, user(None)),
        "calls_in_history": prompt(ASK, assistant("", tool_calls=[CALL, CALL2]), tool("grey", "c"), tool("12", "d"), ANSWER,
                                   ASK, assistant("x", tool_calls=[call("f", "{}", "d")]), answer("wet", "c")),
    },
    "MiniMax-M1": {
        "custom_tools": prompt(system(PARTS(" Be brief. ")), user([part(" a "), {"type": "image"}]), assistant(
            [part("b "), {"type": "image"}]), answer([{"type": "text", "text": "x"}, {"type": "y", "name": "n", "text": "z"},
                                                      {"type": "q"}], "c"), custom_tools=TOOLS),
        "custom_null": prompt(ASK, custom_tools=None),
    },
    "MiniMax-M3": {
        **thinking_modes("thinking_mode", "enabled", "disabled", "adaptive", "unheard of"),
        "root": prompt(message("root", "You are the root."), SYSTEM, ASK, model_identity="I"),
        "root_alone": prompt(message("root", ""), ASK, model_identity="I am M."),
        "odd_parts": prompt(user(["a", part("b"), 3, {"type": "video"}]), assistant(
            "<mm:think>\nHm.\n</mm:think>\nGrey.", tool_calls=[{"name": "f", "arguments": {"a": [1, {"b": None, "c": [
                True, False]}], "d": 2.50, "e": None, "f": ""}}]), answer([{"type": "image"}, {"type": "video"}, {
                    "output": "o"}, part("t"), {"type": "x"}, "s", 4], "c"), user(5), user({"a": 1})),
    },
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": {
        "keep": prompt(ASK, assistant("<think>a</think>b"), ASK, truncate_history_thinking=False, enable_thinking=False),
        "history": prompt(ASK, assistant("<think>never closed", tool_calls=[CALL]), tool("x", "c"), assistant(
            "<think>a</think>b", tool_calls=[CALL2]), tool("y", "d"), tool("z", "e"), assistant("<think>a</think>"), ASK,
                          assistant(PARTS("list"), tool_calls=[{"name": "f"}]), message("critic", "Bad.")),
        "extras": prompt(ASK, tools=[{"type": "function", "strict": True, "function": {
            "name": "f", "strict": True, "examples": [1], "parameters": {"type": "object", "properties": {"a": {
                "type": ["string", "null"], "default": None, "x": {"y": 1}}}, "additionalProperties": False,
                "$defs": {"A": {}}}}}, {"name": "g", "parameters": []}]),
    },
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": {
        **TURNS_WITH_TOOLS,
        "returns": prompt(ASK, tools=one_tool({"a": {"type": 5, "description": "Five"}, "b": {
            "type": "object", "description": "Object"}, "c": {"type": "object", "additionalProperties": {"type": "string"},
                                                              "description": "Map "}}, **{"return": {
            "type": "number", "description": "A number"}}) + [{"name": "g", "description": "G", "parameters": {
                "properties": {}}, "return": {"type": "boolean"}}]),
        "text_args": prompt(ASK, assistant("", tool_calls=[call("f", '{"a": 1}', "c"), {"name": "g"}, CALL]), tool("x", "c"),
                            tool("y", "d"), ANSWER, tools=TOOLS),
    },
    "Qwen-QwQ-32B": {
        "thinking_call": prompt(ASK, assistant("<think>a</think>\n\nb", tool_calls=[CALL]), tool("x", "c"),
                                enable_thinking=True),
    },
    "Qwen-Qwen3-0.6B": {
        "steps": prompt(ASK, assistant("<think>\na\n</think>\nb"), user("<tool_response>\nx\n</tool_response>"), assistant("c"),
                        user("<tool_response> open")),
        "steps_open": chat(user("<tool_response>a</tool_response>"), assistant("b"), assistant("c", reasoning_content="r")),
    },
    "Qwen3.5-4B": {
        "vision": prompt(SYSTEM, user([{"type": "image"}, {"type": "video"}, {"image": "x"}, {"video": "y"}, part("q")]),
                         add_vision_id=True, enable_thinking=False),
        "system_image": prompt(system([{"type": "image"}]), ASK),
        "system_video": prompt(system([{"type": "video"}]), ASK),
        "odd_part": prompt(user([{"type": "smell"}])),
        "steps": prompt(ASK, assistant("", reasoning_content="a", tool_calls=[CALL, CALL2]), user(
            " <tool_response>x</tool_response> "), assistant("<think>b</think>c"), {"role": "assistant", "tool_calls": [{
                "name": "f", "arguments": {"a": [1], "b": {}, "c": "s", "d": 1.5, "e": None}}]}, tool("x", "c")),
    },
    "Spark2.5": {
        "odd_part": prompt(user([{"type": "image"}])),
        "odd_content": prompt(user(4)),
        "text_args": chat(ASK, assistant("x", tool_calls=[call("f", "{}", "c")])),
        "system_parts": prompt(system(PARTS("a", "b")), ASK, system("c"), {"role": "user"}, tool("x", "a"), tool("y", "b")),
    },
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": {
        "calls": prompt(ASK, assistant("", tool_calls=[call("f", "{}", "a"), call("g", '{"a": 1}', "b")]), tool("1", "a")),
        "answers": prompt(system("a"), ASK, assistant("x"), tool("1", "a"), tool("2", "b"), assistant("y"), system("z"), ASK),
    },
    "deepseek-ai-DeepSeek-V3.1": {
        "prefix": prompt(ASK, assistant("Well", prefix=True), thinking=True),
        "thinking": prompt(ASK, assistant("<think>a</think>b</think>c"), ASK, enable_thinking=True),
    },
    "deepseek-ai-DeepSeek-V4-Flash-0731": {
        "high": prompt(SYSTEM, system(""), system("x"), ASK, thinking=True, reasoning_effort="high", response_format={
            "type": "object", "properties": {"a": {"type": "string"}}}),
        "max": prompt(ASK, enable_thinking=True, reasoning_effort="max", response_format="json"),
        "keep": prompt(message("developer", "d"), ASK, assistant("a", reasoning_content="r"), ASK, thinking=True,
                       drop_thinking=False),
        "drop": prompt(system(""), ASK, assistant("a", reasoning_content="r"), ASK, thinking=True),
        "last": chat(ASK, assistant("a", reasoning_content="r"), assistant("b"), thinking=True),
        "called": prompt(ASK, assistant("", reasoning_content="r", tool_calls=[CALL, call("g", {}, "d")]), tool("x", "c"),
                         tool("", "d"), tools=TOOLS + [{"type": "other"}], thinking=True),
    },
    "fireworks-ai-llama-3-firefunction-v2": {
        **{name: {**c, "functions": "[{}]", "datetime": "now"} for name, c in TURNS_WITH_TOOLS.items()},
        "hello": prompt(ASK, functions="[]", datetime="2026-03-07"),
        "system": prompt(system(" Be brief. "), ASK, functions="[{\"name\": \"f\"}]", datetime="today"),
        "call": prompt(ASK, assistant(None, tool_calls=[CALL, CALL2]), tool(" x ", "c"), message("User", "caps"),
                       functions="", datetime=""),
        "text_args": chat(SYSTEM, assistant("x", tool_calls=[call("f", '{"a": 1}', "c")]), functions="f", datetime="d"),
        "role": prompt(message("critic", "Bad."), functions="", datetime=""),
        "turns": prompt(SYSTEM, ASK, ANSWER, user(" "), system("More"), functions="f", datetime="d"),
        "odd": prompt(user("\u00c9\u0130\u1e9e \n{{ x }}\u0000<|eot_id|>"), functions="<|eot_id|>", datetime="\u0000"),
        "no_date": prompt(ASK, functions="[]"),
        "number": prompt(ASK, functions=5, datetime="d"),
        "number_content": prompt(user(5), functions="f", datetime="d"),
        "list_content": prompt(user(PARTS("a")), functions="f", datetime="d"),
        "continue": chat(ASK, assistant("Well "), functions="f", datetime="d", continue_final_message=True),
    },
    "google-gemma-4-31B-it-interleaved": {
        "responses": prompt(ASK, assistant(None, tool_calls=[CALL, call("g", {"b": False, "a": ["x", 1.0, None]}, "d"), call(
            "h", "raw", "e")], reasoning_content="r", tool_responses=[{"name": "weather", "response": {"b": "x", "A": {
                "k": [1, 2]}}}, {"name": "g", "response": "text"}, {"response": [1, "a"]}]), assistant(
                    "", tool_calls=[CALL2]), message("tool", "x")),
        "responses_prompt": prompt(ASK, assistant(None, tool_calls=[CALL], tool_responses=[{
            "name": "weather", "response": True}])),
        "strip": prompt(ASK, assistant("a<|channel>thought\nb<channel|>c"), assistant([part("<|channel>x<channel|> y "), {
            "type": "image"}, {"type": "audio"}, {"type": "video"}, {"type": "smell"}]), ASK, enable_thinking=True),
        "schemas": prompt(message("developer", "Be brief."), ASK, enable_thinking=True, tools=one_tool(
            {"plain": {"type": "string", "enum": ["a", "b"]}, "null": {"type": "string", "nullable": True},
             "both": {"type": "string", "nullable": True, "enum": [True, {"k": [1], "J": None}], "description": "d"},
             "obj": {"type": "object", "required": ["x", "y"], "x": {"type": "number"}},
             "typed": {"type": "array", "description": "d", "items": {"type": ["string", "null"], "properties": 5, "required": ["a"],
                                                  "z": {"type": "x"}}}}, ["plain"],
            response={"description": "Gives.", "type": "object"}) + [{"type": "function", "function": {
                "name": "bare", "description": "b", "parameters": None, "response": {"type": "string"}}}]),
    },
    "ibm-granite-granite-3.3-2B-Instruct": {
        "tools_documents": prompt(ASK, available_tools=TOOLS, documents=[{"doc_id": 1, "text": "t"}], controls={
            "citations": True, "hallucinations": True}),
        "thinking": prompt(ASK, thinking=True, controls={"length": "long"}),
        "controls": prompt(ASK, documents=[{"doc_id": "x", "text": "t"}], controls="citations"),
    },
    "ibm-granite-granite-4.1": {
        "available_tools": prompt(SYSTEM, ASK, available_tools=TOOLS),
        "system_documents": prompt(system([part("a"), {"type": "image"}, part("b")]), user([part("c"), part("d"), {
            "type": "image"}]), documents=[{"doc_id": 1, "text": "t"}]),
        "tools_documents": prompt(ASK, tools=TOOLS, documents=[{"text": "\u00e9<"}]),
        "no_list": prompt(system(5), user(5)),
    },
    "llama-cpp-deepseek-r1": {
        "calls": prompt(SYSTEM, ASK, assistant("", tool_calls=[CALL, CALL2]), tool("x", "c"), tool("y", "d"),
                        assistant("<think>a</think>b"), ASK),
    },
    "meetkai-functionary-medium-v3.1": {
        "interpreter": prompt(SYSTEM, ASK, assistant("x", tool_calls=[call("python", "print(1)", "c"), CALL]), tool("1", "c"),
                              tools=[{"type": "code_interpreter"}] + TOOLS),
        "only_interpreter": prompt(ASK, tools=[{"type": "code_interpreter"}]),
        "bare_tools": prompt(ASK, tools=[{"name": "f", "description": "<F>", "parameters": {}}]),
        "turns": prompt(SYSTEM, ASK, assistant("x", tool_calls=[]), message("critic", None), ASK, tools=[]),
    },
    "meta-llama-Llama-3.1-8B-Instruct": LLAMA,
    "meta-llama-Llama-3.3-70B-Instruct": LLAMA,
    "mistralai-Ministral-3-14B-Reasoning-2512": {
        "thinking": prompt(system([part("a"), {"type": "thinking", "thinking": "b"}]), user([part("t"), {
            "type": "image_url"}]), assistant([{"type": "thinking", "thinking": "c"}, part("d")], tool_calls=[
                call("f", "", "c"), call("g", '{"a": 1}', "d"), CALL]), answer({"a": [1, None, True]}, "c"), assistant("x")),
        "system_image": prompt(system([{"type": "image"}]), ASK),
        "user_audio": prompt(user([part("a"), part("b"), {"type": "audio"}])),
        "assistant_image": chat(ASK, assistant([{"type": "image"}])),
        "user_empty": chat(user([])),
    },
    "openai-gpt-oss-120b": {
        "builtin": prompt(SYSTEM, ASK, builtin_tools=["browser", "python", "other"], reasoning_effort="high",
                          model_identity="You are T."),
        "python_only": prompt(ASK, builtin_tools=["python"]),
        "channel_content": prompt(ASK, assistant("<|channel|>final<|message|>x")),
        "channel_thinking": prompt(ASK, assistant("x", thinking="<|channel|>analysis<|message|>x")),
        "both": prompt(ASK, assistant("x", thinking="y", tool_calls=[CALL])),
        "analysis": prompt(ASK, assistant("I look.", tool_calls=[{"name": "f", "arguments": {"a": 1}, "content_type": "code"}]),
                           tool({"a": "\u00e9"}, "c"), assistant(None, thinking="Hm.", tool_calls=[CALL]), tool("x", "d")),
        "training": chat(ASK, assistant("x", thinking="y")),
        "types": prompt(ASK, tools=one_tool({
            "a": {"type": "array", "items": {"type": "object"}}, "b": {"type": "array", "items": {"type": "object",
                  "properties": {"a_long_property_name": {"type": "string"}, "another_long_name": {"type": "number"}}}},
            "c": {"type": "array", "nullable": True}, "d": {"type": ["string"]}, "e": {"oneOf": [{"type": "object"}, {
                "type": "object"}]}, "f": {"type": "string", "nullable": True}, "g": {"type": "array", "items": {
                    "type": "integer"}, "nullable": True}, "h": {"type": "object", "properties": {"i": {}, "j": {
                        "type": "array", "items": {"type": "array", "items": {"type": "boolean"}}}}}, "k": {"type": [
                            "object", "object"]}, "l": {"type": "string", "enum": ["x", "y"], "default": "x"},
            "m": {"type": "array", "items": {"type": ["object", "object"]}}, "n": {"type": "array"}, "o": {
                "type": "array", "items": {}, "nullable": True}}) + [
                {"type": "function", "function": {"name": "g", "description": "G", "parameters": {"properties": {
                    "z": {"type": "string", "default": [1, "a"]}}}}}]),
    },
    "poolside-Laguna-S-2.1": {
        "reasoning_field": prompt(system(" "), ASK, assistant("x", reasoning="r", tool_calls=[CALL]), tool("y", "c"),
                                  system("later"), enable_thinking=False, preserve_thinking=True),
        "nothing_to_say": prompt(system(""), ASK, enable_thinking=False),
    },
    "poolside-Laguna-XS.2": {
        "tools_thinking": prompt(ASK, assistant("a", reasoning="r"), assistant("<think>\nb\n</think>\nc"), tools=TOOLS,
                                 enable_thinking=True),
        "raw": prompt(ASK, assistant("x"), assistant("<think>y</assistant>"), enable_thinking=True,
                      render_assistant_messages_raw=True),
        "raw_no_thinking": prompt(ASK, assistant("x"), assistant("</think>y</assistant>\n"),
                                  render_assistant_messages_raw=True),
        "both_thoughts": prompt(ASK, assistant("<think>b</think>c", reasoning_content="r", tool_calls=[CALL]), system("s")),
    },
    "unsloth-Apriel-1.5": {
        "content": prompt(message("content", PARTS("a")), message("content", "b"), assistant("", chosen=["x"]), assistant(
            "y", thought="t"), assistant([{"text": None}]), add_thoughts=True, tools=TOOLS),
        "last_call": chat(ASK, assistant("y", thought="t", tool_calls=[CALL, CALL2]), add_thoughts=True),
    },
    "upstage-Solar-Open-100B": {
        "format": prompt(SYSTEM, system("Two."), ASK, response_format='{"type": "object"}', tools=TOOLS,
                         default_system_prompt=True, reasoning_effort="low"),
        "format_alone": prompt(ASK, response_format={"a": [1, None]}, default_system_prompt=False,
                               reasoning_effort="minimal"),
        "plain": prompt(ASK, ANSWER, default_system_prompt=False),
        "all": prompt(ASK, assistant("a", reasoning="r1"), ASK, assistant("", reasoning="r2", tool_calls=[
            call("f", '{"a": 1}', "x1"), CALL]), answer("1", "x1"), answer("2", "call_1"), assistant("z", reasoning="r3"),
                      think_render_option="all"),
        "last": chat(SYSTEM, ASK, assistant("a", reasoning="r1"), ASK, assistant("b", reasoning="r2"), tools=TOOLS),
        "never": chat(ASK, assistant("a", reasoning="r1"), think_render_option="never"),
        "tools_alone": prompt(ASK, tools=TOOLS, default_system_prompt=False),
    },
}
# {template: [(first line, last line, why no context executes what is not executed there)]}
NEVER_EMPTY = "an empty conversation is refused before the template sees it"
ALWAYS = "is always defined: Transformers passes it"
NO_NULL = "Transformers drops a message's keys that are null"
NO_CHANGE = "the sandbox forbids append and pop on lists"
DEAD = {
    "Apriel-1.6-15b-Thinker-fixed": [(4, 4, NEVER_EMPTY)],
    "GLM-4.6": [(76, 76, "raise_exception comes before")],
    "GigaChat3-10B-A1.8B": [(6, 6, "the default of a parameter that each call gives")],
    "Kimi-K2-Thinking": [(35, 38, NO_CHANGE), (67, 71, NO_CHANGE), (89, 93, NO_CHANGE)],
    "MiniMax-M1": [(6, 6, "tools " + ALWAYS)],
    "MiniMax-M3": [(59, 59, NO_NULL)],
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": [
        (31, 31, "tools " + ALWAYS), (43, 44, "system_message is always set"), (99, 100, "system_message is always set"),
        (172, 172, "content without a thought gets one before")],
    "Qwen3.5-4B": [(37, 37, NO_NULL + ", and undefined is iterable"), (43, 43, NEVER_EMPTY)],
    "Spark2.5": [(2, 2, NEVER_EMPTY)],
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": [(2, 2, "add_generation_prompt " + ALWAYS), (15, 19, NO_NULL)],
    "deepseek-ai-DeepSeek-V3.1": [(2, 2, "add_generation_prompt " + ALWAYS)],
    "deepseek-ai-DeepSeek-V4-Flash-0731": [(2, 2, "add_generation_prompt " + ALWAYS),
                                           (114, 114, "Transformers has no filter from_json")],
    "fireworks-ai-llama-3-firefunction-v2": [(26, 26, NEVER_EMPTY)],
    "llama-cpp-deepseek-r1": [(2, 2, "add_generation_prompt " + ALWAYS), (12, 12, "map gives no list, which tojson refuses")],
    "meetkai-functionary-medium-v3.1": [(2, 2, "tools " + ALWAYS)],
    "meta-llama-Llama-3.1-8B-Instruct": [(12, 12, "tools " + ALWAYS)],
    "meta-llama-Llama-3.3-70B-Instruct": [(12, 12, "tools " + ALWAYS)],
    "openai-gpt-oss-120b": [(53, 54, "set inside of a loop ends with the loop")],
    "unsloth-Apriel-1.5": [(21, 23, "tool_output_format is a constant")],
    "upstage-Solar-Open-100B": [(2, 2, "add_generation_prompt " + ALWAYS), (21, 21, "nothing precedes this block")],
}

# {template: [(text, replacement)]}: the same nodes where Transformers lets a context reach them.  coverage.py and
# compare.py take these as further templates, "NAME (changed)".
CHANGED = {
    "Kimi-K2-Thinking": [("{%- set _ = tool_response_queue.ids.append(formatted_id) -%}",
                          "{%- set tool_response_queue.ids = tool_response_queue.ids + [formatted_id] -%}"),
                         ("tool_response_queue.ids.pop(0)", "tool_response_queue.ids[0]")],
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": [("message['content'] is none", "not message['content']"),
                                                 ("message['content'] is not none", "message['content']")],
}
