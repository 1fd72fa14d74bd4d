"""Reading JSON that senders cut, glue together or write against the rules."""

import json
import math
import re
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii
from typing import Any, List, Optional, Union

from .errors import SeveralDocuments, malformed
from .problems import excerpt

# The depth up to which values stay structured. A deeper value becomes the text of its JSON.
DEPTH_MAX = 64
# The most values of one payload: more than the host takes incidents.
VALUES_MAX = 2000
# The most values that cannot be read.
FAULTS_MAX = 50

_AS_SQUARE = str.maketrans("{}", "[]")
_NEITHER_BRACKET_NOR_QUOTE = re.compile(r'[^\[\]{}"]+')
_HALF_PAIR_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
# Between two JSON values. RFC 7464 begins each with 0x1E.
_GAP = re.compile("[\\s,\0\x1e\ufeff]*")
_SPACE = re.compile(r"\s*")
_PLAIN_TEXT = re.compile(r'[^"\\]*')
_WORD = re.compile(r"[\w+.-]*", re.ASCII)
_BARE = re.compile(r'[^,}\]{\[":\n]*')
_NESTING_OR_TEXT = re.compile(r'["{}\[\]]')
_LINE = re.compile(r"\n[\[{]")
_BRACKET_OR_END = re.compile(r"[\[{\]]")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}
_WORDS = {
    "null": None, "None": None, "NaN": None, "nan": None, "undefined": None, "true": True, "True": True, "false": False,
    "False": False,
}
_CUT_OFF = "is cut off at the end"


def read_json(body: Union[bytes, str], expected: str) -> Any:
    """Parses the body, or a text inside it, as JSON. `expected` names the expected payload in the error text.

    A fault costs only its part: half a surrogate pair and a byte that is not UTF-8 become U+FFFD, of members with the
    same name the last is kept, a value nested deeper than 64 becomes a text, integers of more than 64 bits become texts,
    and a byte order mark is passed over.

    If the body contains several JSON values, one after the other, the mapper is called again for each of them: do not
    catch the exception that this function raises.

    Raises an error from `malformed` if the body is not JSON."""
    document = body if isinstance(body, str) else body.decode("utf-8", "replace")
    document = document.removeprefix("\ufeff")
    strict = _parsed(document)
    if strict is not _FAULTY:
        return strict
    found = _documents(document)
    if not found.values:
        reason = found.problems[0] if found.problems else "the body is empty"
        raise malformed(f"not JSON: {reason}; expected {expected}")
    if len(found.values) + len(found.problems) > 1:
        raise SeveralDocuments([to_json(value) for value in found.values], found.problems)
    return found.values[0]


def unfold(value: Any) -> Any:
    """Returns the JSON value in a text that contains an object or an array. Other values are returned unchanged."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    strict = _parsed(value)
    if strict is not _FAULTY:
        return strict
    found = _documents(value)
    return found.values[0] if len(found.values) == 1 and not found.problems else value


def elements_of(body: bytes) -> List[str]:
    """Returns the elements of a body that is a list with objects, or the values in a text that contains JSON."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    if text.lstrip()[:1] not in ("[", '"'):
        return []
    value = _parsed(text)
    if value is _FAULTY:
        value = next(iter(_documents(text).values), None)
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        return [to_json(inner) for inner in _documents(value).values]
    is_list = isinstance(value, list) and any(isinstance(element, dict) for element in value)
    return [to_json(element) for element in value] if is_list else []


def to_json(value: Any) -> str:
    """Returns a value as JSON. Values that JSON does not have become texts."""
    return encode_basestring_ascii(value) if isinstance(value, str) else _ENCODER.encode(value)


def well_formed(text: str) -> str:
    """Returns a text without halves of surrogate pairs, which the host could not read."""
    return text if text.isascii() else _HALF_PAIR.sub("\ufffd", text)


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=str)
_FAULTY = object()


def _parsed(document: str) -> Any:
    """Returns the value of a text without faults, by Python's own parser."""
    if ("\\u" in document and _HALF_PAIR_ESCAPE.search(document)) or _is_deep(document):
        return _FAULTY
    try:
        return _DECODER.decode(document)
    except ValueError:
        return _FAULTY


def _exact_integer(digits: str) -> int:
    """Raises ValueError if other parsers may read the integer in another way."""
    if len(digits) >= 19:
        raise ValueError
    return int(digits)


def _exact_float(digits: str) -> float:
    """Raises ValueError if the number is too large."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_exact_integer, parse_float=_exact_float, parse_constant=_refuse)


def _is_deep(document: str) -> bool:
    """Returns whether a JSON text nests deeper than DEPTH_MAX. All steps are loops in C: a megabyte takes milliseconds."""
    if document.count("{") + document.count("[") <= DEPTH_MAX:
        return False
    unescaped = document.replace("\\\\", "").replace('\\"', "")
    # Keep only brackets and quotes, and quotes only around strings that contain brackets.
    brackets = _NEITHER_BRACKET_NOR_QUOTE.sub("", unescaped).translate(_AS_SQUARE).replace('""', "")
    brackets = re.sub(r'"[^"]*"', "", brackets)
    for _ in range(DEPTH_MAX):
        if not brackets or "[" * (DEPTH_MAX + 1) in brackets:
            break
        # Remove the innermost pairs.
        brackets = brackets.replace("[]", "")
    return len(brackets) > DEPTH_MAX


@dataclass
class _Documents:
    """The JSON values of one text, with the reasons why parts of it are not values."""

    values: List[Any] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)


def _documents(document: str) -> _Documents:
    """Reads the values of a text that contains one or several JSON values, one after the other, one per line or with
    commas between them.

    A value that cannot be read is a problem; reading continues after its last bracket or, if that is missing, at the next
    line that begins with a value. What is not JSON ends at the next bracket. If an element of a list cannot be read or the
    list is cut off, the elements are values in place of the list."""
    found = _Documents()
    reader = _Reader(document)
    is_in_list, lists = False, 0
    while not reader.is_at_end():
        number = len(found.values) + len(found.problems) + 1
        if len(found.values) == VALUES_MAX or len(found.problems) == FAULTS_MAX:
            found.problems.append(
                f"JSON value {number} and what follows is not read: there are too many values or faults"
            )
            return found
        start = reader.at
        if is_in_list and document[start] == "]":
            is_in_list = False
            reader.at += 1
            continue
        try:
            reader.problems = []
            found.values.append(reader.value(0))
            found.problems += reader.problems
        except _Fault as fault:
            is_new_list = not is_in_list or document[start - 1] == "\n"
            if document[start] == "[" and lists < FAULTS_MAX and is_new_list:
                is_in_list = True
                lists += 1
                reader.at = start + 1
            else:
                found.problems.append(f"JSON value {number} {fault}")
                reader.skip_value(start)
    if is_in_list and not (found.problems and found.problems[-1].endswith(_CUT_OFF)):
        found.problems.append(f"the list of JSON values {_CUT_OFF}")
    return found


class _Fault(Exception):
    pass


class _Reader:
    """A parser that repairs faults in their place. Runs only after Python's parser rejected a text."""

    def __init__(self, text: str):
        self.text = text
        self.at = 0
        # The values that are not JSON although their places are known.
        self.problems: List[str] = []

    def is_at_end(self) -> bool:
        self._match(_GAP)
        return self.at == len(self.text)

    def skip_value(self, start: int) -> None:
        """Moves to where to read on after what cannot be read: to the next bracket after a word; else after the last
        bracket of the object or list or, if that is missing, to the next line that begins with a value."""
        if self.text[start] not in "{[":
            bracket = _BRACKET_OR_END.search(self.text, start + 1)
            self.at = bracket.start() if bracket else len(self.text)
            return
        line = _LINE.search(self.text, start)
        end = line.start() + 1 if line else len(self.text)
        self.at = start
        try:
            self._nested_text(end)
        except _Fault:
            self.at = end
        self.at = min(self.at, end)

    def value(self, depth: int) -> Any:
        sign = self._peek()
        if sign in ("{", "[") and depth == DEPTH_MAX:
            return self._nested_text(len(self.text))
        if sign == "{":
            return self._object(depth)
        if sign == "[":
            return self._array(depth)
        return self._string() if sign == '"' else self._word(depth)

    def _match(self, pattern: "re.Pattern[str]") -> str:
        found = pattern.match(self.text, self.at)
        text = found[0] if found else ""
        self.at += len(text)
        return text

    def _peek(self) -> str:
        self._match(_SPACE)
        return self.text[self.at : self.at + 1]

    def _fault(self) -> _Fault:
        sign = self.text[self.at : self.at + 1]
        return _Fault(f"is not JSON: unexpected `{sign}` at character {self.at}" if sign else _CUT_OFF)

    def _object(self, depth: int) -> Any:
        members = {}
        self.at += 1
        while self._peek() != "}":
            if self._peek() != '"':
                raise self._fault()
            name = self._string()
            if self._peek() != ":":
                raise self._fault()
            self.at += 1
            members[name] = self.value(depth + 1)
            self._separator("}")
        self.at += 1
        return members

    def _array(self, depth: int) -> Any:
        elements = []
        self.at += 1
        while self._peek() != "]":
            elements.append(self.value(depth + 1))
            self._separator("]")
        self.at += 1
        return elements

    def _separator(self, close: str) -> None:
        """Passes the comma after an element. A comma before the end is ignored."""
        sign = self._peek()
        if sign == ",":
            self.at += 1
        elif sign != close:
            raise self._fault()

    def _nested_text(self, end: int) -> str:
        """Returns the value at the position as the text of its JSON, which must end before `end`. Does not recurse, however
        deep the value is."""
        start, depth = self.at, 0
        while True:
            found = _NESTING_OR_TEXT.search(self.text, self.at, end)
            if not found:
                raise _Fault(_CUT_OFF)
            self.at = found.start()
            if found[0] == '"':
                self._string()
                continue
            depth += 1 if found[0] in "{[" else -1
            self.at += 1
            if depth == 0:
                return self.text[start : self.at]

    def _string(self) -> str:
        self.at += 1
        parts = []
        while True:
            parts.append(self._match(_PLAIN_TEXT))
            sign = self.text[self.at : self.at + 1]
            if not sign:
                raise _Fault(_CUT_OFF)
            self.at += 1
            if sign == '"':
                # Two halves that stand together become one character.
                return "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            parts.append(self._escaped())

    def _escaped(self) -> str:
        """Reads the rest of an escape. Returns the backslash of an unknown escape."""
        sign = self.text[self.at : self.at + 1]
        if not sign:
            raise _Fault(_CUT_OFF)
        digits = self.text[self.at + 1 : self.at + 5]
        if sign == "u" and re.fullmatch("[0-9a-fA-F]{4}", digits):
            self.at += 5
            return chr(int(digits, 16))
        if sign in _ESCAPES:
            self.at += 1
        return _ESCAPES.get(sign, "\\")

    def _word(self, depth: int) -> Any:
        """Reads a number, `true`, `false` or `null`, also as Python and JavaScript write them."""
        start = self.at
        word = self._match(_WORD)
        if word in _WORDS:
            return _WORDS[word]
        if not word or word[0] not in "0123456789+.-":
            self.at = start
            return self._bare(depth)
        if _INTEGER.fullmatch(word):
            if len(word) <= 20 and -(2**63) <= int(word) < 2**64:
                return int(word)
        elif _DECIMAL.fullmatch(word) and math.isfinite(float(word)):
            return float(word)
        return word

    def _bare(self, depth: int) -> Optional[str]:
        """Returns a word without quotes as text, and None in place of nothing, as templates write them."""
        start = self.at
        word = self._match(_BARE).strip()
        if depth == 0 or self.text[self.at : self.at + 1] not in (",", "}", "]", "\n") or len(self.problems) == FAULTS_MAX:
            self.at = start
            raise self._fault()
        what = f"`{excerpt(word)}` at character {start} has no quotes" if word else f"the value at character {start} is missing"
        self.problems.append(what)
        return word or None
