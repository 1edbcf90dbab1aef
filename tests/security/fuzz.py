"""Valid samples made wrong: the mutations all fuzzing tests share, and how much of it is done.

A parser keeps its promise when nothing but the error tree (or a reject with its reason) comes out of it, whatever
goes in, and when it comes out soon. `--hypothesis-profile=long` is the profile for a long look by hand; without it a
test has a second.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from base.errors import VoronkaError

# What vendors, exports and people have really sent, and what Python reads otherwise than one thinks: digits of other
# scripts, superscripts (`"²".isdigit()`, `int("²")` fails), numbers longer than Python converts, dates at the ends.
TEXTS = (
    "", " ", "0", "-1", "1.5", "1,5", "abc", "true", "null", "None", "²", "١٢٣", "1_000", "1e5", "1e999", "-1e999",
    "NaN", "Infinity", "9" * 25, "9" * 5000, "0x10", "2026-13-45", "0000-00-00", "00.00.0000", "31.12.9999",
    "0001-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-22T10:00:00+99:99",
    "2026-11-22", "2026-11-22 10:00:00", "22.11.2026", "22.11.26", "\x00", "a\x00b", "\ufeff", "\u202egnp.exe",
    "\ud800", "+7 916 000-00-00", "8800", "+" + "9" * 300, "<script>alert(1)</script>", "=1+1",
    "'; DROP TABLE core.deals; --", "{", "}", "{0}", "%s", "${TOKEN}", "../../../etc/passwd", "\n\n", "\r", "я" * 1000,
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**18, 10**30, 10**400,
    1.5, -0.0, 1e300, -1e300, 1e-300, float("inf"), float("nan"), 253402300800, -62135596801,
)  # fmt: skip
# 3000 levels of it, once it is JSON: Python's own writer goes no deeper than its stack.
DEEP = "a-place-of-3000-levels"
SHAPES: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], [{}], {"": None}, {"0": {"0": 0}}, DEEP)

VALUES = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.sampled_from(SHAPES),
    st.text(max_size=12),
    st.integers(),
    st.floats(),
)


@dataclass(frozen=True)
class Step:
    """One change: at which of the places, of what kind, and the value that it takes."""

    place: int
    kind: str
    value: Any


STEPS = st.lists(
    st.builds(
        Step,
        place=st.integers(0, 10**6),
        kind=st.sampled_from(("replace", "replace", "replace", "delete", "copy", "wrap", "text", "rename")),
        value=VALUES,
    ),
    min_size=1,
    max_size=3,
)


def settings_for(examples: int) -> Callable[[Any], Any]:
    """Settings of a fuzzing test: so many examples in CI, forty times as many under the long profile."""
    is_long = settings.get_current_profile_name() == "long"
    return settings(
        max_examples=examples * (40 if is_long else 1),
        deadline=None,
        # CI sees the same examples every time; the long look is for new ones.
        derandomize=not is_long,
        suppress_health_check=list(HealthCheck),
        database=None,
        # The first failure is enough to mend; making it small takes minutes for a large record.
        phases=(Phase.explicit, Phase.generate),
        print_blob=False,
    )


def mutate(document: Any, steps: list[Step]) -> Any:
    """A copy of a JSON document with the changes made one after another."""
    changed: Any = [copy.deepcopy(document)]
    for step in steps:
        changed = changed or [None]
        places = list(_places(changed))
        holder, key = places[step.place % len(places)]
        _change(holder, key, step)
    return changed[0] if changed else None


def encode(document: Any) -> bytes:
    """As bytes, with what JSON does not know (`NaN`) and what Unicode does not (a lone surrogate, escaped) left in."""
    text = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return text.replace(f'"{DEEP}"'.encode(), b"[" * 3000 + b"1" + b"]" * 3000)


def _places(node: Any) -> Any:
    """Every place of a document: what holds it, and its key there."""
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys):
        yield node, key
        yield from _places(node[key])


def _change(holder: Any, key: Any, step: Step) -> None:
    value = copy.deepcopy(step.value)
    if step.kind == "delete":
        del holder[key]
    elif step.kind == "copy" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif step.kind == "wrap":
        holder[key] = [holder[key]] if isinstance(value, list | None) else {"0": holder[key]}
    elif step.kind == "text":
        holder[key] = str(holder[key]) if not isinstance(holder[key], str) else holder[key] + str(value)[:20]
    elif step.kind == "rename" and isinstance(holder, dict):
        holder[str(value)] = holder.pop(key)
    else:
        holder[key] = value


ByteStep = tuple[int, str, bytes]
BYTE_STEPS = st.lists(
    st.tuples(
        st.integers(0, 10**7),
        st.sampled_from(("cut", "drop", "put", "swap", "repeat")),
        st.one_of(
            st.sampled_from(
                (
                    b"\x00", b"\xff", b"\xd0", b"\xef\xbb\xbf", b"\xff\xfe", b'"', b";", b",", b"\n", b"\r", b"=", b"<",
                    b"&", b"\x1a", b"\x85", b"\xc2\xa0", "№".encode(), "Ж".encode("cp1251"), b"9" * 400, b"-", b".",
                )
            ),
            st.binary(max_size=6),
        ),
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip


def mutate_bytes(content: bytes, steps: list[ByteStep]) -> bytes:
    """A file or answer with bytes lost, repeated, put in or changed."""
    for place, kind, piece in steps:
        at = place % (len(content) + 1)
        until = at + 1 + place % 40
        if kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[until:]
        elif kind == "put":
            content = content[:at] + piece + content[at:]
        elif kind == "swap":
            content = content[:at] + piece + content[at + len(piece) :]
        else:
            content = content[:until] + content[at:]
    return content


def mutate_text(text: str, steps: list[Step]) -> str:
    """A text of lines and fields with some of them replaced, lost or repeated."""
    lines = text.split("\n")
    for step in steps:
        at = step.place % len(lines)
        value = "" if step.value is None else str(step.value)[:6000]
        name, sign, _ = lines[at].partition("=" if "=" in lines[at] else ";" if ";" in lines[at] else ",")
        if step.kind == "delete":
            del lines[at]
        elif step.kind == "copy":
            lines.insert(at, lines[at])
        elif step.kind == "wrap":
            lines.insert(at, value)
        elif step.kind == "rename":
            lines[at] = value
        else:
            lines[at] = f"{name}{sign}{value}"
        lines = lines or [""]
    return "\n".join(lines)


def only_the_tree(work: Callable[[], Any]) -> Any:
    """What the work gives, or the error of our tree it ends with; anything else reaches the test."""
    try:
        return work()
    except VoronkaError as error:
        # A message that can't be rendered is a crash as well, only later.
        return error.render("ru") and error.render("en")
