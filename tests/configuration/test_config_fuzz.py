"""Damaged configs and arbitrary values: each is accepted or refused by one `UserError`, within a short time."""

import inspect
import io
import random
import time
import tokenize

import pytest

from tfdgm import UserError, experiment
from tfdgm.configuration.config_files import DEFAULT_CONFIG, config_root
from tfdgm.configuration.gin_parser import read_statements
from tfdgm.configuration.keras_objects import usable
from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.registry import find, load

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(config_root().rglob("*.gin"))]
FRAGMENTS = [
    "(", ")", "[", "]", "{", "}", "'", '"', "'''", "\\", "\\\n", "\n", "\t", "\r", "\r\n", "\f", "\v", "#", "@", "%",
    "=", ":", ",", ".", "/", "-", "--", "+", "$", "?", "!", "~", "`", ";", "\0", "\x1b[31m", "\x7f", "\u2028", "\ufeff",
    "é", "変", "\U0001f600", "0x", "1e999", "nan", "-inf", "None", "true", "1j", "b'x'", "f'{x}'", "...", "lambda: 0",
    "9" * 30, "9" * 5_000, "x" * 1_000, "'" + "x" * 5_000 + "'", " " * 30_000, "%steps", "@experiment()",
    "@prior.gaussian",
    "@prior.gaussian()", "{%steps: 1}", "{[1]: 2}", "steps = %steps", "include 'digits/vae.gin'\n", "include ''\n",
    "include '/'\n", "import os\n", "experiment:\n  steps = 3\n", "experiment.steps = ",
    "a/b/network.mlp.hidden = (1,)\n",
    "[" * 40, "(" * 3_000, "[" * 3_000 + "]" * 3_000, "'a' " * 2_000, "1, " * 5_000, "x = 1\n" * 200,
]  # fmt: skip


def tokens(text):
    """The tokens of a text with the space before each, so that joining gives the text back."""
    lines, parts, end = text.splitlines(keepends=True), [], (1, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        skipped = "".join(lines[end[0] - 1 : token.start[0]])[end[1] :] if token.start > end else ""
        gap = skipped[: len(skipped) - max(len(lines[token.start[0] - 1]) - token.start[1], 0)] if skipped else ""
        parts.append(gap + token.string)
        end = token.end
    return [part for part in parts if part]


def cut(text, draw):
    start, end = sorted(draw.randrange(len(text) + 1) for _ in range(2))
    return draw.choice([text[:end], text[start:], text[:start] + text[end:], text[start:end]])


def doubled(text, draw):
    start, end = sorted(draw.randrange(len(text) + 1) for _ in range(2))
    return text[:end] + text[start:end] * draw.choice([1, 1, 2, 10]) + text[end:]


def swapped(text, draw):
    parts = tokens(text)
    for _ in range(draw.choice([1, 1, 2, 5])):
        first, second = draw.randrange(len(parts)), draw.randrange(len(parts))
        parts[first], parts[second] = parts[second], parts[first]
    return "".join(parts)


def deleted(text, draw):
    for _ in range(draw.choice([1, 1, 3, 10])):
        place = draw.randrange(len(text) + 1)
        text = text[:place] + text[place + 1 :]
    return text


def inserted(text, draw):
    for _ in range(draw.choice([1, 1, 3])):
        place = draw.randrange(len(text) + 1)
        text = text[:place] + draw.choice(FRAGMENTS) + text[place:]
    return text


def revalued(text, draw):
    """Another value right of one `=`."""
    lines = text.split("\n")
    bindings = [number for number, line in enumerate(lines) if "=" in line]
    for number in draw.choices(bindings, k=1) if bindings else []:
        lines[number] = lines[number].partition("=")[0] + "= " + draw.choice(FRAGMENTS)
    return "\n".join(lines)


def encoded(text, draw):
    """The bytes of a text, most often in UTF-8."""
    if draw.random() < 0.8:
        return text.encode("utf-8", "surrogatepass")
    coding = draw.choice(["utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32", "cp037"])
    content = bytearray(text.encode(coding, "replace"))
    for _ in range(draw.choice([0, 0, 1, 20])):
        content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


def damaged(draw):
    text = draw.choice(TEXTS)
    for _ in range(draw.choice([1, 1, 2, 4])):
        text = draw.choice([cut, doubled, deleted, inserted, revalued])(text, draw) or "\n"
    return text


def accepted(file):
    """Return whether a file is accepted; if not, check its message."""
    try:
        text = read_statements([str(file)]).text()
    except UserError as error:
        message = str(error)
        assert message.strip() and "Traceback" not in message
        assert (len(message) < 3_000 and message.isprintable() is False) or "\n" not in message
        message.encode("utf-8")
        return False
    assert read_statements([], base=text).text() == text
    return True


def fuzz(folder, seed, cases, seconds):
    """Reads damaged configs; at least some are accepted and most are refused.

    Args:
      folder: for the file.
      seed: of the damage.
      cases: how many.
      seconds: bound on the processor's time.
    """
    began, file, kept = time.process_time(), folder / "damaged.gin", 0
    for case in range(cases):
        draw = random.Random(f"{seed}-{case}")
        text = damaged(draw) if case % 4 else swapped(draw.choice(TEXTS), draw)
        file.write_bytes(encoded(text, draw))
        try:
            kept += accepted(file)
        except Exception as error:
            raise AssertionError(f"case {seed}-{case}: {text!r:.2000}") from error
    assert 0 < kept < cases / 2
    assert time.process_time() - began < seconds


def test_tokens_join_to_the_text():
    for text in TEXTS:
        assert "".join(tokens(text)) == text


def test_damaged_configs_are_accepted_or_refused_by_one_message(tmp_path):
    fuzz(tmp_path, seed=0, cases=400, seconds=30)


@pytest.mark.slow
def test_thousands_of_damaged_configs_are_accepted_or_refused_by_one_message(tmp_path):
    fuzz(tmp_path, seed=1, cases=8_000, seconds=200)


# ---- values of the wrong type or range

#: Numbers stay small enough that data of such a size fit in memory.
VALUES = [
    "None", "True", "0", "1", "-1", "3", "7", "1.5", "-0.5", "0.0", "1e-300", "1e300", "-1e300", "10_000",
    "-9223372036854775808", "''", "'relu'", "'/dev/null'", "'no/such/file'", r"'\x00'", r"'\ud800'",
    "'" + "x" * 300 + "'", "()", "[]", "{}", "(1,)", "(0,)", "(-1,)", "(1.5,)", "('a',)", "(1, 2)", "[None]", "[[1]]",
    "{'a': 1}", "{1: 2}", "@prior.gaussian()", "@data.ring()", "@network.mlp()", "[@network.mlp()]",
    "@keras.optimizers.Adam()", "@keras.optimizers.schedules.CosineDecay()", "[@objective.elbo(), 3]",
    "%steps", "[%steps, [%steps]]",
]  # fmt: skip
#: Sizes that no machine has, for all but data, whose sizes are arrays.
HUGE = ["9223372036854775807", "2147483648", "1_000_000_000_000", "(10_000_000_000,)"]

#: The binding with which the default config comes to a plugin of a kind.
USES = {
    "prior": "experiment.prior = @{}()",
    "posterior": "experiment.posterior = @{}()",
    "likelihood": "experiment.likelihood = @{}()",
    "data": "experiment.data = @{}()",
    "network": "experiment.encoder = @{}()",
    "objective": "experiment.objectives = [@{}()]",
    "score": "experiment.scores = [@{}()]",
    "callback": "experiment.callbacks = [@{}()]",
}


def parameters(configurable):
    signature = inspect.signature(configurable)
    return [p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def keras_use(selector, made):
    """The bindings that make an object of Keras, with a value for every parameter that needs one."""
    schedule = "keras.optimizers.Adam.learning_rate" if ".schedules." in selector else "experiment.optimizer"
    values = {"boundaries": "[10]", "values": "[1.0, 2.0]"}
    needed = [p.name for p in parameters(made) if p.default is p.empty]
    return "\n".join([f"{schedule} = @{selector}()", *(f"{selector}.{p} = {values.get(p, '10')}" for p in needed)])


def every_parameter():
    """(bindings, key) of every parameter that can be set; with the bindings the default config reads the key."""
    found = [("", f"experiment.{p.name}") for p in parameters(experiment)]
    for plugin in find():
        if plugin.package == "tfdgm":
            use = USES[plugin.kind].format(plugin.gin_name)
            found += [(use, f"{plugin.gin_name}.{p.name}") for p in parameters(load(plugin))]
    for selector, made in usable().items():
        found += [(keras_use(selector, made), f"{selector}.{p.name}") for p in parameters(made)]
    return found


def settings(seed, cases):
    draw = random.Random(seed)
    keys = every_parameter()
    assert len(keys) > 300
    for _ in range(cases):
        use, key = draw.choice(keys)
        yield f"{use}\n{key} = {draw.choice(VALUES if key.startswith('data.') else VALUES + HUGE)}"


def refuse_or_make(cases):
    """Make an experiment of each setting, and check the messages of refusals; return the number made."""
    made = 0
    for binding in cases:
        try:
            read_config([DEFAULT_CONFIG], [binding]).experiment()
            made += 1
        except UserError as error:
            message = str(error)
            assert message.strip() and "Traceback" not in message and "In call to" not in message
            assert len(message) < 3_000, binding
        except Exception as error:
            raise AssertionError(binding) from error
    return made


def test_senseless_values_are_refused_by_one_message():
    assert 0 < refuse_or_make(settings(seed=0, cases=60)) < 30


@pytest.mark.slow
def test_thousands_of_senseless_values_are_refused_by_one_message():
    assert 0 < refuse_or_make(settings(seed=1, cases=3_000)) < 1_500
