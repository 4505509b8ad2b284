"""The grammar of gin files: gin's own parser, kept to values that can be written down again and to texts of a bounded
size, so that no text costs more than a moment or raises anything but a `UserError`.
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

#: How deep brackets may be nested, and how many includes, macros and references may lead from one to the next. All of
#: them are followed by recursion, here and in gin.
DEEPEST = 30
#: Characters of one text, of one line, of one string, of one name, and of one number. A line has room for any string
#: as Python writes it, at up to ten characters for one.
LONGEST_TEXT, LONGEST_LINE, LONGEST_STRING, LONGEST_NAME, LONGEST_NUMBER = 100_000, 50_000, 4_096, 400, 400

_NAMES = {"None": None, "True": True, "False": False}
#: What other languages call them.
_SPELLINGS = {"none": "None", "null": "None", "nil": "None", "true": "True", "false": "False"}
_NOT_FINITE = ("nan", "inf", "infinity")
_NO_LITERAL = "the value is no literal, @reference() or %macro"
_NO_END = "the string has no end"
_INCOMPLETE = "the last statement is not complete"
#: Messages of gin's parser that do not say what is expected.
_OF_GIN = {"Unable to parse value.": _NO_LITERAL, "Unexpected token.": "a name is expected here"}


@dataclass(frozen=True)
class Reference:
    """`@name()` as it stands in a config."""

    name: str
    evaluate: bool

    def __repr__(self) -> str:
        return f"@{self.name}{'()' if self.evaluate else ''}"

    @property
    def selector(self) -> str:
        """The configurable that it names, without its scope."""
        return self.name.rpartition("/")[2]

    @property
    def scope(self) -> str:
        return self.name.rpartition("/")[0]


@dataclass(frozen=True)
class Macro:
    """`%name` as it stands in a config."""

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
    """`scope/selector.parameter = value`, or with an empty parameter the macro `scope/selector = value`."""

    scope: str
    selector: str
    parameter: str
    value: Any
    where: str


def parse(text: str, source: str) -> Iterator[Include | Binding]:
    """Reads the statements of a text in order.

    Args:
      text: gin.
      source: names the text in messages.

    Raises:
      UserError: the syntax is wrong, or the text exceeds a bound; the message has source, line number and line.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    _check_characters(text, source)
    try:
        parser = _Parser(text)
        # Not by iteration, which would take tokens that end too early for the end of the statements.
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
        incomplete = re.match("EOF in|unexpected EOF", error.args[0])
        message = _INCOMPLETE if incomplete else _NO_END if "unterminated string" in error.args[0] else error.args[0]
        raise _refused(message, error.args[1] if len(error.args) > 1 else None, source, text) from None
    except StopIteration:
        raise _refused(_INCOMPLETE, (text.count("\n") + 1, 0), source, text) from None


def parse_value(text: str) -> Any:
    """Reads one value, as it stands right of `=`.

    Raises:
      UserError: it is none.
    """
    statements = list(parse(f"value = {text}", "value"))
    if len(statements) != 1 or not isinstance(statements[0], Binding):
        raise UserError(f"value: {shown(text)}\n  {_NO_LITERAL}")
    return statements[0].value


def shown(text: str, longest: int = 160) -> str:
    """The first line of a text as a message quotes it: clipped, and with escapes for what does not print."""
    line = text.strip().partition("\n")[0]
    clipped = line if len(line) <= longest else line[: longest - 4] + " ..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in clipped)


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        return Reference(scoped_configurable_name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


class _Parser(config_parser.ConfigParser):
    """gin's parser with basic values, keys of dicts and bounds of its own.

    gin takes `-%steps` for `%steps` and `-@a()` for `@a()`, evaluates a string of n parts n times, accepts bytes and
    complex and infinite numbers, which do not all read back, and recurses as deep as brackets go.
    """

    def __init__(self, text: str) -> None:
        self._depth = 0
        super().__init__(text, _Delegate())

    def _advance_one_token(self) -> None:
        token = self._current_token = next(self._token_generator)
        # Python 3.12 has no error tokens. gin goes on after one, which after n spaces takes n^2 operations.
        if token.type == tokenize.ERRORTOKEN or token.string in ("$", "?", "!", "`"):
            rest = token.line[token.start[1] :].strip()
            if rest == "\\":
                self._raise_syntax_error(_INCOMPLETE)
            self._raise_syntax_error(_NO_END if rest[:1] in ("'", '"') else f"{rest[:1]!r} has no meaning here")

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
            self._raise_syntax_error(f"a name has more than {LONGEST_NAME} characters")
        return selector

    def _parse_dict_item(self) -> tuple[Any, Any]:
        key, value = super()._parse_dict_item()
        if isinstance(key, (Reference, Macro, list, tuple, dict)):
            self._raise_syntax_error(f"a key of a dict must be a string, a number, a bool or None, not {key!r:.80}")
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
                self._raise_syntax_error("only a number may follow a minus sign")
            value = self._number("-" + self._current_token.string)
        elif token.type == tokenize.NAME:
            value = self._name(token.string)
        else:
            return False, None
        self._advance()
        return True, value

    def _strings(self) -> str:
        """Strings that stand side by side, as one."""
        parts: list[str] = []
        length = 0
        while self._current_token.type == tokenize.STRING:
            parts.append(self._literal(self._current_token.string))
            if not isinstance(parts[-1], str):
                self._raise_syntax_error(f"{shown(self._current_token.string, 40)} is no text; write it without the b")
            length += len(parts[-1])
            if length > LONGEST_STRING:
                self._raise_syntax_error(f"a string has more than {LONGEST_STRING:,} characters")
            self._advance()
        return "".join(parts)

    def _number(self, text: str) -> int | float:
        if len(text) > LONGEST_NUMBER:
            self._raise_syntax_error(f"a number has more than {LONGEST_NUMBER} characters")
        value = self._literal(text)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            self._raise_syntax_error(f"{shown(text, 40)} does not fit in 64 bits")
        if isinstance(value, complex):
            self._raise_syntax_error(f"{shown(text, 40)} is complex; a number must be real")
        if not math.isfinite(value):
            self._raise_syntax_error(f"{shown(text, 40)} is too large for a float; a number must be finite")
        return value

    def _name(self, name: str) -> bool | None:
        if name in _NAMES:
            return _NAMES[name]
        if name.lower() in _NOT_FINITE:
            self._raise_syntax_error(f"{name} is no value; a number must be finite")
        if name.lower() in _SPELLINGS:
            self._raise_syntax_error(f"{name} is no value. Did you mean {_SPELLINGS[name.lower()]}?")
        self._raise_syntax_error(_NO_LITERAL)
        raise AssertionError  # for mypy: the line above raises

    def _literal(self, text: str) -> Any:
        try:
            with warnings.catch_warnings():  # of escapes such as "\d", which Python leaves as they stand
                warnings.simplefilter("ignore")
                return ast.literal_eval(text)
        except (ValueError, SyntaxError) as error:
            reason = "it is no literal" if str(error).startswith("malformed node") else str(error.args[0])
            self._raise_syntax_error(f"{shown(text, 40)}: {reason}")


def _check_characters(text: str, source: str) -> None:
    """Refuses texts that are too long, and characters that Python's tokenizer does not take everywhere."""
    if len(text) > LONGEST_TEXT:
        raise UserError(f"{source}: a config has at most {LONGEST_TEXT:,} characters, and this has {len(text):,}")
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line:  # not shown: it is no text
            raise UserError(f"{source}:{number}: the line has a NUL character; a config must be UTF-8 text")
        if re.search("[\ud800-\udfff]", line):
            raise UserError(f"{source}:{number}: {shown(line)}\n  the line has bytes that are not UTF-8")
        if len(line) > LONGEST_LINE:
            message = f"a line has at most {LONGEST_LINE:,} characters, and this has {len(line):,}"
            raise UserError(f"{source}:{number}: {shown(line)}\n  {message}")


def _refused(message: str, location: Any, source: str, text: str) -> UserError:
    lines = text.rstrip().split("\n")
    number = min(location[1 if len(location) > 2 else 0] if location else 1, len(lines))
    line = lines[max(number, 1) - 1]
    message = _OF_GIN.get(message) or shown(message, 300)
    hint = ""
    unquoted = re.fullmatch(r"\s*([\w./]+)\s*=\s*((?:(?:~|\.{0,2})/)?[^\W\d][^\"'=#]*)(#.*)?", line)
    if message == _NO_LITERAL and unquoted:
        hint = f'\n  Strings need quotes, as in {unquoted[1]} = "{unquoted[2].strip()}"'
    return UserError(f"{source}:{number}: {shown(line)}\n  {message}{hint if len(hint) < 200 else ''}")
