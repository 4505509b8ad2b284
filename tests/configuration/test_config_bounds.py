"""Configs that are cyclic or too large, or contain values that cannot be written back."""

import time

import pytest

from tfdgm import UserError
from tfdgm.configuration.call_graph import MOST_INSTANCES, MOST_VALUES
from tfdgm.configuration.config_files import DEFAULT_CONFIG
from tfdgm.configuration.gin_grammar import DEEPEST, LONGEST_NAME, LONGEST_NUMBER, LONGEST_STRING
from tfdgm.configuration.gin_parser import read_statements
from tfdgm.configuration.resolve import read_config


def read(binding):
    return read_statements([DEFAULT_CONFIG], [binding])


def refused(binding):
    """The message, which comes at once."""
    began = time.process_time()
    with pytest.raises(UserError) as raised:
        read(binding)
    assert time.process_time() - began < 5
    assert len(str(raised.value)) < 1_000
    return str(raised.value)


def tower(levels, copies):
    """Macros m0, m1, ..., each a list of copies of the one before."""
    lines = [f"m{level} = [{', '.join([f'%m{level - 1}'] * copies)}]" for level in range(1, levels + 1)]
    return "\n".join(["m0 = 1", *lines, f"network.mlp.hidden = %m{levels}"])


# ---- cycles


@pytest.mark.parametrize(
    "binding, chain",
    [
        ("steps = %steps", "%steps -> %steps"),
        ("steps = %a\na = (1, {'x': [%b]})\nb = %steps", "%steps -> %a -> %b -> %steps"),
        ("a = %b\nb = %a\nexperiment.seed = %a", "%a -> %b -> %a"),
        (
            "experiment.prior = @prior.maf()\nprior.maf.num_bijectors = @prior.maf()",
            "@prior.maf() -> @prior.maf()",
        ),
        (
            "experiment.prior = @a/prior.maf()\na/prior.maf.hidden = [%b]\nb = @posterior.vq()\n"
            "posterior.vq.num_codes = @a/prior.maf()",
            "@a/prior.maf() -> %b -> @posterior.vq() -> @a/prior.maf()",
        ),
        (
            "experiment.prior = @a/prior.maf()\nprior.maf.hidden = @b/prior.maf()",
            "@b/prior.maf() -> @b/prior.maf()",
        ),
        (
            "keras.optimizers.Adam.learning_rate = @keras.optimizers.Adam()",
            "@keras.optimizers.Adam() -> @keras.optimizers.Adam()",
        ),
    ],
)
def test_a_cycle_is_refused_with_its_chain(binding, chain):
    where, message = refused(binding).split("\n  ")
    assert message.endswith(f" refers to itself: {chain}")
    assert where.startswith("--gin_bindings:") and chain.rpartition(" -> ")[2] in where


def test_the_same_name_in_another_scope_does_not_lead_back():
    binding = "experiment.prior = @a/prior.maf()\nprior.maf.hidden = @b/prior.maf()\nb/prior.maf.hidden = (3,)"
    assert "prior.maf" in read(binding).reachable()


def test_a_macro_opens_the_scope_of_its_name_as_in_gin():
    binding = "small = @network.mlp()\nsmall/network.mlp.hidden = (3,)\nexperiment.encoder = %small"
    assert read_config([DEFAULT_CONFIG], [binding]).experiment().encoder.hidden == (3,)
    looping = "small = @network.mlp()\nsmall/network.mlp.hidden = %small\nexperiment.encoder = %small"
    assert "%small -> @network.mlp() -> %small" in refused(looping)


@pytest.mark.parametrize("name", ["experiment", "a/experiment"])
def test_nothing_refers_to_the_experiment(name):
    assert "a value cannot be a reference to experiment" in refused(f"experiment.prior = @{name}()")


def test_the_experiment_has_no_scope():
    assert "write experiment.steps" in refused("a/experiment.steps = 3")


# ---- sizes


def test_macros_that_expand_to_too_much_are_refused_at_once():
    assert f"%m5 expands to more than {MOST_VALUES:,} values" in refused(tower(8, 10))
    assert f"expands to more than {MOST_VALUES:,} values" in refused(tower(13, 200))
    assert len(read(tower(4, 10)).text().splitlines()) > 4


def test_instances_that_multiply_are_refused():
    assert f"expands to more than {MOST_INSTANCES:,} instances" in refused(
        "experiment.encoder = @a/network.mlp()\n"
        + "\n".join(f"{a}/network.mlp.hidden = [{f'@{b}/network.mlp(), ' * 11}]" for a, b in ("ab", "bc", "cd"))
    )
    objectives = "@objective.elbo(), " * (MOST_INSTANCES + 1)
    assert refused(f"experiment.objectives = [{objectives}]").startswith("--gin_bindings:1: experiment.objectives = ")


@pytest.mark.parametrize("left, right", [("(", ",)"), ("[", "]"), ("{1:", "}")])
def test_brackets_are_nested_so_deep_and_no_deeper(left, right):
    def nested(depth):
        return f"experiment.steps = {left * depth}1{right * depth}"

    text = read(nested(DEEPEST - 1)).text()
    assert read_statements([], base=text).text() == text
    for depth in (DEEPEST, DEEPEST + 1, 3_000):
        assert f"more than {DEEPEST}" in refused(nested(depth))


def test_macros_lead_so_deep_and_no_deeper_also_through_brackets():
    def chain(length, left="", right=""):
        lines = [f"m{number} = {left}%m{number - 1}{right}" for number in range(1, length)]
        return "\n".join(["m0 = 7", *lines, f"experiment.steps = %m{length - 1}"])

    assert read_config([DEFAULT_CONFIG], [chain(DEEPEST - 1)]).experiment().steps == 7
    for binding in (chain(DEEPEST), chain(2_000), chain(20, "[" * 20, "]" * 20), chain(29, "{1: {2: ", "}}")):
        assert f"more than {DEEPEST} levels deep" in refused(binding)


def test_a_deep_macro_is_refused_also_where_it_has_been_followed_before():
    lines = [f"m{number} = %m{number - 1}" for number in range(1, DEEPEST - 2)]
    deep = "[" * 10 + f"%m{DEEPEST - 3}" + "]" * 10
    binding = "\n".join(["m0 = 7", *lines, f"experiment.steps = %m{DEEPEST - 3}", f"experiment.seed = {deep}"])
    assert f"more than {DEEPEST} levels deep" in refused(binding)


@pytest.mark.parametrize("length", [70, 88, 89, 90, 91, 92, LONGEST_NAME - 23])
def test_a_key_may_be_longer_than_a_line(length):
    scope = "s" * length
    text = read(f"{scope}/network.mlp.hidden = (1, 2, 3)\n{scope}/network.mlp.activation = 'tan h'").text()
    assert f"{scope}/network.mlp.hidden = (1, 2, 3)" in text
    assert read_statements([], base=text).text() == text


@pytest.mark.parametrize(
    "binding, message",
    [
        ("s" * LONGEST_NAME + "/network.mlp.hidden = 1", f"a name has at most {LONGEST_NAME} characters"),
        ("experiment.prior = @" + "s" * LONGEST_NAME + "/prior.maf()", f"a name has at most {LONGEST_NAME}"),
        (f"network.mlp.activation = '{'x' * (LONGEST_STRING + 1)}'", "a string has at most 4,096 characters"),
        ("network.mlp.activation = (" + "'xxxxxxxx'\n" * 600 + ")", "a string has at most 4,096 characters"),
        ("experiment.steps = " + "9" * (LONGEST_NUMBER + 1), f"a number has at most {LONGEST_NUMBER} characters"),
        ("experiment.steps = " + "9" * 5_000, f"a number has at most {LONGEST_NUMBER} characters"),
        ("experiment.steps = 0x" + "f" * 5_000, f"a number has at most {LONGEST_NUMBER} characters"),
        ("experiment.steps = " + "3," * 30_000, "a line has at most 50,000 characters, but this one has 60,019"),
        ("# x\n" * 50_000, "a config has at most 100,000 characters, but this one has 200,000"),
    ],
)
def test_texts_that_are_too_long_are_refused(binding, message):
    assert message in refused(binding)


def test_a_config_that_would_be_too_long_to_read_back_is_refused():
    escaped = "network.mlp.activation = '" + "\U000e0001" * LONGEST_STRING + "'"
    text = read(escaped).text()
    assert max(len(line) for line in text.splitlines()) > 40_000
    assert read_statements([], base=text).text() == text
    several = "\n".join(f"{scope}/{escaped}" for scope in "abc")
    assert "the configuration has" in refused(several)


def test_a_string_of_many_parts_is_one_string():
    text = read("network.mlp.activation = (" + "'a' # one\n" * 4_000 + ")").text()
    assert f"network.mlp.activation = '{'a' * 4_000}'" in text


# ---- values that cannot be written back


@pytest.mark.parametrize(
    "value, message",
    [
        ("1e999", "1e999 is too large for a float; numbers must be finite"),
        ("[-1e999]", "-1e999 is too large for a float"),
        ("nan", "nan is not a value; numbers must be finite"),
        ("Infinity", "Infinity is not a value; numbers must be finite"),
        ("-inf", "a minus sign must be followed by a number"),
        ("9223372036854775808", "9223372036854775808 does not fit in 64 bits"),
        ("-9223372036854775809", "-9223372036854775809 does not fit in 64 bits"),
        ("0x10000000000000000", "does not fit in 64 bits"),
        ("010", "010\n  "),
        ("1j", "1j is complex; numbers must be real"),
        ("true", "true is not a value. Did you mean True?"),
        ("null", "null is not a value. Did you mean None?"),
        ("Ellipsis", "not a literal"),
        ("...", "not a literal"),
        ("lambda: 3", "not a literal"),
        ("3 + 4", "Expected newline"),
        ("b'x'", "b'x' is not a string; remove the b"),
        ("f'x'", "not a literal"),
        ("'x' b'y'", "b'y' is not a string"),
        ("'\\x1'", "unicodeescape"),
        ("'x", "the string is not terminated"),
        ("(1, 'x)", "the string is not terminated"),
        ("3 $", "unexpected '$'"),
        (" " * 40_000 + "?", "unexpected '?'"),
        ("'''x", "is incomplete"),
        ("(1,", "is incomplete"),
        ("\\", "is incomplete"),
        ("3 \\", "is incomplete"),
        ("{1, 2}", "Expected ':'"),
        ("{[1]: 2}", "a dict key must be a string, a number, a bool or None, not [1]"),
        ("{(1,): 2}", "a dict key must be"),
        ("{%steps: 2}", "a dict key must be a string, a number, a bool or None, not %steps"),
        ("{@prior.gaussian(): 2}", "a dict key must be"),
        ("-%steps", "a minus sign must be followed by a number"),
        ("-@prior.gaussian()", "a minus sign must be followed by a number"),
        ("-True", "a minus sign must be followed by a number"),
        ("--3", "a minus sign must be followed by a number"),
        ("%", "expected a name"),
        ("@5()", "expected a name"),
        ("'\udcff'", "the line contains bytes that are not UTF-8"),
        ("3 # \0", "the line contains a NUL character"),
    ],
)
def test_a_value_that_cannot_be_written_down_again_is_refused(value, message):
    assert message in refused(f"experiment.steps = {value}")


@pytest.mark.parametrize(
    "value, read_as",
    [
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1_000", 1_000),
        ("0xff", 255),
        ("- 3", -3),
        ("-0.0", -0.0),
        ("1e308", 1e308),
        ("5e-324", 5e-324),
        ("((3))", 3),
        ("()", ()),
        ("{None: {True: [], 'x': {}}}", {None: {True: [], "x": {}}}),
        (r"'\d\x00\ud800'", "\\d\0\ud800"),
        ("'x' 'y' # z", "xy"),
        ("'x' \\\n  'y'", "xy"),
        ('"""x\n#y"""', "x\n#y"),
        ("r'\\n'", "\\n"),
        ("(1, # one\n\t2)", (1, 2)),
    ],
)
def test_a_value_is_read_as_python_reads_it(value, read_as):
    found = read(f"experiment.steps = {value}").value("steps")
    assert repr(found) == repr(read_as)


def test_a_message_shows_no_control_characters_of_the_config():
    message = refused("experiment.\x1b[31mseed = 3\x07")
    assert "\\x1b[31mseed = 3\\x07" in message and "\x1b" not in message


def test_gin_s_own_constant_is_no_macro():
    assert "gin reserves the name 'REQUIRED'" in refused("REQUIRED = 3\nexperiment.steps = %REQUIRED")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_on_any_system(end):
    found = read(f"experiment.steps = 3{end}network.mlp.activation = '''x{end}y'''{end}experiment.seed = 4")
    assert (found.value("steps"), found.value("seed")) == (3, 4)
    assert found.bindings["", "network.mlp", "activation"][0] == "x\ny"


@pytest.mark.parametrize("before", ["", "\ufeff", "\n\t", "# one\r\r\n"])
@pytest.mark.parametrize("after", ["", "\n", " #", "\r\n\r", "\n  # two"])
def test_the_last_statement_counts_whatever_is_around_it(before, after):
    assert read(f"{before}experiment.steps = 3{after}").value("steps") == 3
