"""The canonical text of a config reads back to the same values, in the statements and in gin itself."""

import math
import random
import struct

import pytest

from gin import config as gin_config
from gin import config_parser
from tfdgm.configuration.config_files import DEFAULT_CONFIG
from tfdgm.configuration.gin_grammar import LONGEST_STRING, Macro, Reference, parse, parse_value
from tfdgm.configuration.gin_parser import Statements, read_statements
from tfdgm.configuration.resolve import own_gin, read_config

ALPHABET = "ab \t\n\r\0\x1b'\"\\{}[](),:#@%=é変\u2028\ufeff\ud800\udcff\U0001f600\x7f\xa0"


def random_string(draw):
    if draw.random() < 0.1:
        return draw.choice(["word " * 200, "x" * LONGEST_STRING, "\n" * 300, "\\" * 150, "'" * 90 + '"' * 90])
    return "".join(draw.choice(ALPHABET) for _ in range(draw.randrange(12)))


def random_float(draw):
    while True:
        (value,) = struct.unpack("d", draw.getrandbits(64).to_bytes(8, "little"))
        if math.isfinite(value):
            return value


def random_scalar(draw):
    return draw.choice(
        [
            lambda: None,
            lambda: draw.random() < 0.5,
            lambda: draw.randrange(-(2**63), 2**63) >> draw.randrange(64),
            lambda: random_float(draw),
            lambda: draw.choice([0.0, -0.0, 1e-3, 1e16, 1e22, 5e-324, -(2**63), 2**63 - 1]),
            lambda: random_string(draw),
        ]
    )()


def random_value(draw, depth=4):
    """A nested literal, with references and macros in it."""
    kind = draw.randrange(8) if depth else 0
    size = draw.choice([0, 1, 2, 3, 3, 40])
    if kind < 3:
        return random_scalar(draw)
    if kind == 3:
        scope = draw.choice(["", "a/", "a/b/", "s" * 120 + "/"])
        return draw.choice([Reference(f"{scope}network.mlp", True), Macro("m"), Macro("m" * 130)])
    if kind == 4:
        return {random_scalar(draw): random_value(draw, depth - 1) for _ in range(size)}
    items = [random_value(draw, depth - 2 if size > 3 else depth - 1) for _ in range(size)] if depth > 1 else []
    return draw.choice([list, tuple])(items)


def text_of(key, value):
    statements = Statements()
    statements.bindings[key] = (value, "")
    for name in ("m", "m" * 130):
        statements.macros[name] = (1, "")
    return statements.text()


@pytest.mark.parametrize("seed", range(300))
def test_random_values_read_back_equal_from_the_text(seed):
    draw = random.Random(seed)
    value = random_value(draw)
    scope = draw.choice(["", "a", "a/b", "s" * draw.randrange(60, 130)])
    key = (scope, "network.mlp", "hidden")
    text = text_of(key, value)
    text.encode("utf-8")
    found = {(b.scope, b.selector, b.parameter): b.value for b in parse(text, "text")}
    assert repr(found[key]) == repr(value)  # also tells 1 from 1.0 and True, -0.0 from 0.0, and the order of a dict
    assert text_of(key, found[key]) == text


@pytest.mark.parametrize("seed", range(100))
def test_gin_reads_the_same_value_from_the_text(seed):
    value = random_value(random.Random(1_000 + seed))
    text = text_of(("", "network.mlp", "hidden"), value)
    read_config([DEFAULT_CONFIG])  # registers what the references name
    with own_gin():
        *_, statement = config_parser.ConfigParser(text, gin_config.ParserDelegate())
    assert statement.arg_name == "hidden" and repr(statement.value) == repr(value)


def test_one_value_is_read_as_in_a_binding():
    assert parse_value("(1, @a/network.mlp(), %m)") == (1, Reference("a/network.mlp", True), Macro("m"))
    for text in ("<object at 0x7f>", "1\nx = 2", "", "1 2"):
        with pytest.raises(Exception, match="value"):
            parse_value(text)


def test_the_operative_config_reads_back_and_makes_the_same_experiment():
    binding = "width = 12\nencoder/network.mlp.hidden = (%width, %width)\nexperiment.steps = 7"
    config = read_config([DEFAULT_CONFIG], [binding])
    first, operative = config.experiment(), config.operative
    for line in ("width = 12", "encoder/network.mlp.hidden = (%width, %width)", "experiment.seed = 0",
                 "keras.optimizers.Adam.epsilon = 1e-07", "experiment.encoder = @encoder/network.mlp()"):  # fmt: skip
        assert line in operative.splitlines()
    assert read_statements([], base=operative).text() == operative
    again = read_config([], base=operative)
    second = again.experiment()
    assert again.operative == config.operative == operative
    assert (second.encoder.hidden, second.steps) == ((12, 12), 7)
    assert {**second.optimizer.get_config(), "name": ""} == {**first.optimizer.get_config(), "name": ""}
