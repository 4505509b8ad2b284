"""tfdgm completion bash|zsh|fish   print a script that completes commands, flags, configs and plugins in a shell

The script asks `tfdgm completion words` for what fits, so that it knows the plugins installed at that time.
"""

from collections.abc import Sequence

from absl import flags

from tfdgm.cli.completed_words import candidates
from tfdgm.errors import UserError, did_you_mean

POSITIONAL = True
EXAMPLES = (
    'eval "$(tfdgm completion bash)"   # in ~/.bashrc',
    'eval "$(tfdgm completion zsh)"    # in ~/.zshrc, after compinit',
    "tfdgm completion fish > ~/.config/fish/completions/tfdgm.fish",
)

_BASH = """\
_tfdgm() {
    local line=${COMP_LINE:0:COMP_POINT} word
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]}-1]}
    COMPREPLY=()
    while IFS= read -r candidate; do
        [[ $word == *=* ]] && candidate=${candidate#"${word%=*}="}  # bash replaces what follows the last =
        [[ $candidate == *[=/,] ]] && compopt -o nospace
        COMPREPLY+=("$candidate")
    done < <(tfdgm completion words -- "${words[@]:1}" 2>/dev/null)
}
complete -F _tfdgm tfdgm
"""
_ZSH = """\
#compdef tfdgm
_tfdgm() {
    local -a found
    found=("${(@f)$(tfdgm completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    compadd -S '' -- ${(M)found:#*[=/,]}
    compadd -- ${found:#*[=/,]}
}
compdef _tfdgm tfdgm
"""
_FISH = """\
complete --command tfdgm --no-files \\
    --arguments '(tfdgm completion words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def define_flags(values: flags.FlagValues) -> None:
    """Define no flags: the command has none of its own."""


def complete(words: Sequence[str]) -> list[str]:
    """Return what may follow `tfdgm completion`."""
    return [] if words else list(SCRIPTS)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    action, *words = positional or [""]
    if action == "words":
        for candidate in candidates(words or [""]):
            print(candidate)
        return 0
    if words or action not in SCRIPTS:
        raise UserError(f"tfdgm completion takes the name of a shell. {did_you_mean(action, SCRIPTS)}")
    print(SCRIPTS[action], end="")
    return 0
