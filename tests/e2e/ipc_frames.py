"""Internal IPC spoken from Python: layouts and numbers are read from common/ipc.h and
common/ipc_messages.def, so that they cannot drift from what the processes use."""

import ctypes
import pathlib
import re
import struct

COMMON = pathlib.Path(__file__).resolve().parent.parent.parent / "common"
HEADER = struct.Struct("=HHIII")  # version, type, cookie, body size, blob size
FRAME_MAX = 128 * 1024

_SCALARS = {
    "uint8_t": ctypes.c_uint8,
    "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32,
    "uint64_t": ctypes.c_uint64,
    "int64_t": ctypes.c_int64,
}


def _read_structs(text):
    sizes = {name: int(value) for name, value in re.findall(r"#define (IPC_\w+_SIZE) (\d+)", text)}
    structs = {}
    for name, body in re.findall(r"^struct (ipc_\w+) \{\n(.*?)^\};", text, re.M | re.S):
        fields = []
        for line in body.splitlines():
            member = re.match(r"\s*(?:struct )?(\w+) (\w+)(?:\[(\w+)\])?;", line)
            if not member:
                break  # pointers and callbacks: not a frame's struct
            kind, field, size = member.groups()
            if kind == "char":
                fields.append((field, ctypes.c_char * sizes[size]))
            else:
                fields.append((field, structs.get(kind) or _SCALARS[kind]))
        else:
            structs[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
    return structs


def _read_messages(text, structs):
    rows = re.findall(r"^IPC\((\d+),\s*(\w+),\s*(\w+),", text, re.M)
    return {name: (int(number), structs[body]) for number, name, body in rows}


STRUCTS = _read_structs((COMMON / "ipc.h").read_text())
MESSAGES = _read_messages((COMMON / "ipc_messages.def").read_text(), STRUCTS)
NAMES = {number: name for name, (number, _) in MESSAGES.items()}
KEY_NAMED, KEY_TRANSPORT, KEY_CLIENT, KEY_META, KEY_SHARED, KEY_REQUEST, KEY_HANDLE = range(1, 8)
ERA_UNKNOWN, ERA_LEGACY, ERA_MODERN = range(3)
KEYLESS_SHARED, KEYLESS_PER_REQUEST, KEYLESS_REJECT = range(3)


def fill(body, values):
    for name, value in values.items():
        if isinstance(value, dict):
            fill(getattr(body, name), value)
        else:
            setattr(body, name, value.encode() if isinstance(value, str) else value)
    return body


def pack(frame, /, cookie=0, blob=b"", **values):
    number, kind = MESSAGES[frame]
    body = bytes(fill(kind(), values))
    return HEADER.pack(1, number, cookie, len(body), len(blob)) + body + blob


class Frame:
    """A received frame: its name, cookie, blob, and the members of its struct as attributes."""

    def __init__(self, data):
        _, number, self.cookie, body_size, blob_size = HEADER.unpack_from(data)
        self.name = NAMES[number]
        self.body = MESSAGES[self.name][1].from_buffer_copy(data[HEADER.size : HEADER.size + body_size])
        self.blob = data[HEADER.size + body_size : HEADER.size + body_size + blob_size]

    def __getattr__(self, member):
        value = getattr(self.body, member)
        return value.decode() if isinstance(value, bytes) else value
