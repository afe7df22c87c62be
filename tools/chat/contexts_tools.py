# SPDX-License-Identifier: Apache-2.0
"""Pieces that contexts are made of: messages, calls, and tools with every kind of schema that templates look at."""


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def user(content, **more):
    return message("user", content, **more)


def system(content, **more):
    return message("system", content, **more)


def assistant(content, **more):
    return message("assistant", content, **more)


def answer(content, call_id, **more):
    out = message("tool", content, **more)
    if call_id is not None:
        out["tool_call_id"] = call_id
    return out


def tool(content, call_id):
    return answer(content, call_id, name="weather")


def part(text):
    return {"type": "text", "text": text}


def PARTS(*texts):
    return [part(t) for t in texts]


def call(name, arguments, call_id):
    out = {"type": "function", "function": {"name": name, "arguments": arguments}}
    if call_id is not None:
        out["id"] = call_id
    return out


def function(name, description, properties=None, required=None, **more):
    parameters = {"type": "object", "properties": properties or {}}
    if required is not None:
        parameters["required"] = required
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters, **more}}


SYSTEM = system("Be brief & kind. ")
ASK = user("How is the sky?")
ANSWER = assistant("Grey, as \"ever\".")
CALL = call("weather", {"city": "K\u00f6ln", "days": 2, "units": None, "exact": True}, "call_1")
CALL2 = call("wind", {"where": {"lat": 50.9, "lon": 7.0}, "unit": "knots", "hours": [1, 2]}, "call_2")

TOOLS = [
    function("weather", "The weather of a city. ",
             {"city": {"type": "string", "description": "Name of the city"},
              "days": {"type": "integer", "description": "How many days"}}, ["city"]),
    function("wind", "Wind.", {"unit": {"type": "string", "enum": ["knots", "m/s"], "description": "Unit"},
                               "hours": {"type": "array", "items": {"type": "integer"}, "description": "Which <hours>"}},
             ["unit", "hours"]),
]

RICH_PROPERTIES = {
    "text": {"type": "string", "description": "A text\n\nof lines", "default": "x"},
    "choice": {"type": "string", "enum": ["a", "b"], "default": "a", "nullable": True, "description": "One"},
    "when": {"type": "string", "format": "date-time", "pattern": "^2", "description": "A moment"},
    "count": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3, "description": "Count", "nullable": True},
    "level": {"type": "number", "enum": [1, 2.5], "description": "Level"},
    "flag": {"type": "boolean", "description": "Flag"},
    "strings": {"type": "array", "items": {"type": "string"}, "nullable": True, "description": "Strings"},
    "numbers": {"type": "array", "items": {"type": "number"}, "description": "Numbers"},
    "flags": {"type": "array", "items": {"type": "boolean"}, "description": "Flags"},
    "objects": {"type": "array", "description": "Objects", "items": {
        "type": "object", "properties": {"k": {"type": "string", "description": "Key"}, "v": {"type": "integer"}},
        "required": ["k", "v"], "description": "Object", "minItems": None}},
    "any_list": {"type": "array", "nullable": True, "description": "Anything"},
    "mixed": {"type": "array", "items": {"type": ["string", "null"]}, "description": "Mixed"},
    "either": {"type": ["string", "integer"], "description": "Either"},
    "place": {"type": "object", "description": "Place", "properties": {
        "lat": {"type": "number", "description": "Latitude"}, "lon": {"type": "number", "nullable": True}},
        "required": ["lat", "lon"], "additionalProperties": {"type": "string"}},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "Map"},
    "anything": {"type": "object", "additionalProperties": True, "properties": {"a": {"type": "any"}},
                 "description": "Anything"},
    "free": {"type": "object", "description": "Free"},
    "one": {"oneOf": [{"type": "string", "description": "name", "default": "n"}, {"type": "integer"}], "default": "q",
            "description": "One of"},
    "one_object": {"oneOf": [{"type": "object"}, {"type": "integer"}], "description": "One of objects"},
    "unknown": {"type": "null", "description": "Unknown"},
}

RICH_TOOLS = [
    function("rich", "Takes  everything.\n\n Twice.", RICH_PROPERTIES, ["text", "count", "place"],
             returns={"type": "object", "properties": {"ok": {"type": "boolean", "description": "Whether"},
                                                       "why": {"type": "string"}}}),
    function("now", "The time."),
]
