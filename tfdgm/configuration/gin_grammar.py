"""The grammar of gin files: gin's parser, restricted to values that can be written back and to texts of bounded size.

Parsing takes a bounded time, and raises nothing but `UserError`.
"""

import ast
import math
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gin import config_parser
from tfdgm.errors import UserError

#: Largest depth of nested brackets, and length of chains of includes, macros and references; this module and gin follow
#: them by recursion.
DEEPEST = 30
#: Largest length of a text, line, string, name and number in characters. A line has room for the repr of any string, of
#: up to ten characters per character.
LONGEST_TEXT, LONGEST_LINE, LONGEST_STRING, LONGEST_NAME, LONGEST_NUMBER = 100_000, 50_000, 4_096, 400, 400

_NAMES = {"None": None, "True": True, "False": False}
#: Spellings of these in other languages.
_SPELLINGS = {"none": "None", "null": "None", "nil": "None", "true": "True", "false": "False"}
_NOT_FINITE = ("nan", "inf", "infinity")
_NOT_A_VALUE = "the value is not a literal, @reference() or %macro"
_UNTERMINATED = "the string is not terminated"
_INCOMPLETE = "the last statement is incomplete"
#: Replacements of messages of gin's parser that do not say what is expected.
_CLEARER = {"Unable to parse value.": _NOT_A_VALUE, "Unexpected token.": "expected a name"}


@dataclass(frozen=True)
class Reference:
    """`@name()` in a config."""

    name: str
    evaluate: bool

    def __repr__(self) -> str:
        return f"@{self.name}{'()' if self.evaluate else ''}"

    @property
    def selector(self) -> str:
        """The name of the configurable, without the scope."""
        return self.name.rpartition("/")[2]

    @property
    def scope(self) -> str:
        return self.name.rpartition("/")[0]


@dataclass(frozen=True)
class Macro:
    """`%name` in a config."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True)
class Include:
    """`include "file"`."""

    file: str
    where: str


@dataclass(frozen=True)
class Binding:
    """`scope/selector.parameter = value`, or the macro `scope/selector = value` if `parameter` is empty."""

    scope: str
    selector: str
    parameter: str
    value: Any
    where: str


def parse(text: str, source: str) -> Iterator[Include | Binding]:
    """Parse the statements of a text, in order.

    Args:
      text: gin statements.
      source: name of the text in messages.

    Raises:
      UserError: invalid syntax, or the text exceeds a bound; the message has source, line number and line.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    _check_characters(text, source)
    try:
        parser = _Parser(text)
        # Not by iteration, which would mistake a premature end of tokens for the end of the statements.
        while (statement := parser.parse_statement()) is not None:
            if isinstance(statement, config_parser.BlockDeclaration):
                continue  # its bindings follow
            where = f"{source}:{statement.location.line_num}: {shown(statement.location.line_content)}"
            if isinstance(statement, config_parser.ImportStatement):
                raise UserError(f"{where}\n  a config may not import; plugins are found by their entry points")
            if isinstance(statement, config_parser.IncludeStatement):
                yield Include(statement.filename, where)
            else:
                yield Binding(statement.scope, statement.selector, statement.arg_name, statement.value, where)
    except SyntaxError as error:
        raise _refused(error.args[0], error.args[1] if len(error.args) > 1 else None, source, text) from None
    except tokenize.TokenError as error:
        message = error.args[0]
        if re.match("EOF in|unexpected EOF", message):
            message = _INCOMPLETE
        elif "unterminated string" in message:
            message = _UNTERMINATED
        raise _refused(message, error.args[1] if len(error.args) > 1 else None, source, text) from None
    except StopIteration:
        raise _refused(_INCOMPLETE, (text.count("\n") + 1, 0), source, text) from None


def parse_value(text: str) -> Any:
    """Parse one value, the right-hand side of `=`.

    Raises:
      UserError: it is not a value.
    """
    statements = list(parse(f"value = {text}", "value"))
    if len(statements) != 1 or not isinstance(statements[0], Binding):
        raise UserError(f"value: {shown(text)}\n  {_NOT_A_VALUE}")
    return statements[0].value


def shown(text: str, longest: int = 160) -> str:
    """Return the first line of a text for a message, shortened, with unprintable characters escaped."""
    line = text.strip().partition("\n")[0]
    clipped = line if len(line) <= longest else line[: longest - 4] + " ..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in clipped)


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        return Reference(scoped_configurable_name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


class _Parser(config_parser.ConfigParser):
    """gin's parser with its own basic values, dict keys and bounds.

    gin parses `-%steps` as `%steps` and `-@a()` as `@a()`, evaluates a string of n parts n times, accepts bytes and
    complex and infinite numbers, some of which cannot be written back, and recurses without bound.
    """

    def __init__(self, text: str) -> None:
        self._depth = 0
        super().__init__(text, _Delegate())

    def _advance_one_token(self) -> None:
        token = self._current_token = next(self._token_generator)
        # Python 3.12 has no error tokens. gin continues after one, which takes n^2 operations after n spaces.
        if token.type == tokenize.ERRORTOKEN or token.string in ("$", "?", "!", "`"):
            rest = token.line[token.start[1] :].strip()
            if rest == "\\":
                self._raise_syntax_error(_INCOMPLETE)
            self._raise_syntax_error(_UNTERMINATED if rest[:1] in ("'", '"') else f"unexpected {rest[:1]!r}")

    def parse_value(self) -> Any:
        self._depth += 1
        if self._depth > DEEPEST + 1:
            self._raise_syntax_error(f"brackets are nested more than {DEEPEST} deep")
        value = super().parse_value()
        self._depth -= 1
        return value

    def _parse_selector(self, *arguments: Any, **named: Any) -> str:
        selector = super()._parse_selector(*arguments, **named)
        if len(selector) > LONGEST_NAME:
            self._raise_syntax_error(f"a name has at most {LONGEST_NAME} characters")
        return selector

    def _parse_dict_item(self) -> tuple[Any, Any]:
        key, value = super()._parse_dict_item()
        if isinstance(key, (Reference, Macro, list, tuple, dict)):
            self._raise_syntax_error(f"a dict key must be a string, a number, a bool or None, not {key!r:.80}")
        return key, value

    def _maybe_parse_basic_type(self) -> tuple[bool, Any]:
        token = self._current_token
        if token.type == tokenize.STRING:
            return True, self._strings()
        value: Any
        if token.type == tokenize.NUMBER:
            value = self._number(token.string)
        elif token.string == "-":
            self._advance()
            if self._current_token.type != tokenize.NUMBER:
                self._raise_syntax_error("a minus sign must be followed by a number")
            value = self._number("-" + self._current_token.string)
        elif token.type == tokenize.NAME:
            value = self._name(token.string)
        else:
            return False, None
        self._advance()
        return True, value

    def _strings(self) -> str:
        """Parse adjacent strings as one."""
        parts: list[str] = []
        length = 0
        while self._current_token.type == tokenize.STRING:
            parts.append(self._literal(self._current_token.string))
            if not isinstance(parts[-1], str):
                self._raise_syntax_error(f"{shown(self._current_token.string, 40)} is not a string; remove the b")
            length += len(parts[-1])
            if length > LONGEST_STRING:
                self._raise_syntax_error(f"a string has at most {LONGEST_STRING:,} characters")
            self._advance()
        return "".join(parts)

    def _number(self, text: str) -> int | float:
        if len(text) > LONGEST_NUMBER:
            self._raise_syntax_error(f"a number has at most {LONGEST_NUMBER} characters")
        value = self._literal(text)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            self._raise_syntax_error(f"{shown(text, 40)} does not fit in 64 bits")
        if isinstance(value, complex):
            self._raise_syntax_error(f"{shown(text, 40)} is complex; numbers must be real")
        if not math.isfinite(value):
            self._raise_syntax_error(f"{shown(text, 40)} is too large for a float; numbers must be finite")
        return value

    def _name(self, name: str) -> bool | None:
        if name in _NAMES:
            return _NAMES[name]
        if name.lower() in _NOT_FINITE:
            self._raise_syntax_error(f"{name} is not a value; numbers must be finite")
        if name.lower() in _SPELLINGS:
            self._raise_syntax_error(f"{name} is not a value. Did you mean {_SPELLINGS[name.lower()]}?")
        self._raise_syntax_error(_NOT_A_VALUE)
        raise AssertionError  # for mypy: the line above raises

    def _literal(self, text: str) -> Any:
        try:
            with warnings.catch_warnings():  # Python warns of invalid escapes such as "\d", and keeps them
                warnings.simplefilter("ignore")
                return ast.literal_eval(text)
        except (ValueError, SyntaxError) as error:
            reason = "not a literal" if str(error).startswith("malformed node") else str(error.args[0])
            self._raise_syntax_error(f"{shown(text, 40)}: {reason}")


def _check_characters(text: str, source: str) -> None:
    """Refuse texts that are too long, and characters that Python's tokenizer does not accept everywhere."""
    if len(text) > LONGEST_TEXT:
        raise UserError(f"{source}: a config has at most {LONGEST_TEXT:,} characters, but this one has {len(text):,}")
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line:  # the line is not shown: it is binary
            raise UserError(f"{source}:{number}: the line contains a NUL character; a config must be UTF-8 text")
        if re.search("[\ud800-\udfff]", line):
            raise UserError(f"{source}:{number}: {shown(line)}\n  the line contains bytes that are not UTF-8")
        if len(line) > LONGEST_LINE:
            message = f"a line has at most {LONGEST_LINE:,} characters, but this one has {len(line):,}"
            raise UserError(f"{source}:{number}: {shown(line)}\n  {message}")


def _refused(message: str, location: Any, source: str, text: str) -> UserError:
    lines = text.rstrip().split("\n")
    number = min(location[1 if len(location) > 2 else 0] if location else 1, len(lines))
    line = lines[max(number, 1) - 1]
    message = _CLEARER.get(message) or shown(message, 300)
    hint = ""
    unquoted = re.fullmatch(r"\s*([\w./]+)\s*=\s*((?:(?:~|\.{0,2})/)?[^\W\d][^\"'=#]*)(#.*)?", line)
    if message == _NOT_A_VALUE and unquoted:
        hint = f'\n  Strings require quotes:  {unquoted[1]} = "{unquoted[2].strip()}"'
    return UserError(f"{source}:{number}: {shown(line)}\n  {message}{hint if len(hint) < 200 else ''}")
