"""bash, zsh and fish complete the program with what is in share/, and man can show its page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from interop.require import program, require_peer
from saslsspi.__main__ import main
from saslsspi.cli.completion import SHELLS

pytestmark = pytest.mark.interop
SHARE = Path(__file__).parents[2] / "share"
QUESTIONS = {
    "ac": ["accounts"],
    "auth --mech": ["--mechanism"],
    "auth --channel-binding ": ["none", "require", "tls-server-end-point"],
    "accounts im": ["import"],
    "serve --cert shel": ["shelf/"],
}


def asked(shell: str, words: str, where: Path) -> list[str]:
    """Return what a shell offers behind some words."""
    file = {"bash": "bash-completion/completions/saslsspi", "fish": "fish/vendor_completions.d/saslsspi.fish"}[shell]
    script = {"bash": BASH, "fish": FISH}[shell].format(file=SHARE / file, words=words)
    done = subprocess.run(
        [program(shell), *(["--norc"] if shell == "bash" else ["--no-config"]), "-c", script],
        cwd=where, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return sorted(line.partition("\t")[0] for line in done.stdout.splitlines())


BASH = """
source {file}
COMP_LINE='saslsspi {words}'
read -ra COMP_WORDS <<< "$COMP_LINE"
[[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_saslsspi saslsspi "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = "source {file}; complete -C 'saslsspi {words}'"


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize("words", QUESTIONS)
def test_a_shell_completes(shell: str, words: str, tmp_path: Path) -> None:
    require_peer(shell)
    (tmp_path / "shelf").mkdir()
    assert [name.rstrip("/") for name in asked(shell, words, tmp_path)] == [
        name.rstrip("/") for name in QUESTIONS[words]
    ]


ZSH = """
zmodload zsh/zpty
zpty shell 'TERM=dumb zsh -f -i'
zpty -w shell 'fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; PS1=AND"-"GO'
zpty -r shell out '*AND-GO*'
zpty -w -n shell $'saslsspi {words}\\t'
zpty -r shell out '*{completed}*'
print -r -- found
zpty -d shell
"""


@pytest.mark.parametrize(("words", "completed"), [("ac", "counts"), ("auth --mech", "anism")])
def test_zsh_completes(words: str, completed: str) -> None:
    require_peer("zsh")
    script = ZSH.format(folder=SHARE / "zsh" / "site-functions", words=words, completed=completed)
    done = subprocess.run([program("zsh"), "-f", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "found" in done.stdout


def test_the_manual_page_is_well_formed() -> None:
    require_peer("mandoc")
    page = SHARE / "man" / "man1" / "saslsspi.1"
    done = subprocess.run(
        [program("mandoc"), "-T", "lint", "-W", "error", page], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    shown = subprocess.run([program("mandoc"), "-T", "ascii", "-c", page], capture_output=True, text=True, check=True)
    assert "saslsspi - SASL and SSPI" in shown.stdout.replace("\b", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_program_prints_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "--channel-binding" in capsys.readouterr().out or shell == "fish"
