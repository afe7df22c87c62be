# SPDX-License-Identifier: Apache-2.0
"""SentencePiece's precompiled_charsmap, made of a mapping: a length (u32), a double array of that many bytes (Darts,
one u32 a unit), the replacements, each ended by a NUL."""
import struct


def charsmap(mapping):
    """bytes of the map {text: replacement}"""
    strings, where = b"", {}
    for value in sorted(set(mapping.values())):
        where[value] = len(strings)
        strings += value.encode() + b"\0"
    root = {}
    for key, value in mapping.items():
        node = root
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = where[value]
    units, used, first_free, waiting = [0] * 256, {0}, 1, [(root, 0)]
    while waiting:
        node, at = waiting.pop()
        offset = first_free
        while any((offset ^ byte) in used for byte in node):
            offset += 1
        used.update(offset ^ byte for byte in node)
        while first_free in used:
            first_free += 1
        units.extend([0] * (((max(used) >> 8) + 1) * 256 - len(units)))
        assert at ^ offset < 1 << 21
        units[at] |= (at ^ offset) << 10
        for byte, child in node.items():
            if byte:
                units[offset ^ byte] |= byte
                waiting.append((child, offset ^ byte))
            else:
                units[at] |= 1 << 8
                units[offset] = child | 1 << 31
    return struct.pack("<I", 4 * len(units)) + struct.pack("<%dI" % len(units), *units) + strings
