import doctest
import importlib.util
import re
from pathlib import Path

import mypy.api

TREE = Path(__file__).resolve().parents[1]
README = (TREE / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def test_the_programs_of_the_readme_run_and_print_what_it_says() -> None:
    blocks = [block for block in BLOCK.findall(README) if ">>>" in block]
    assert len(blocks) == 3
    for number, block in enumerate(blocks, 1):
        test = doctest.DocTestParser().get_doctest(block, {}, f"README block {number}", "README.md", 0)
        runner = doctest.DocTestRunner()
        said: list[str] = []
        result = runner.run(test, out=said.append)
        assert result.attempted > 1
        assert not result.failed, "".join(said)


def test_the_first_exchange_of_the_readme_passes_strict_type_checks(tmp_path: Path) -> None:
    first = next(block for block in BLOCK.findall(README) if "saslsspi.Client(" in block)
    lines = [line[4:] for line in first.splitlines() if line.startswith((">>> ", "... "))]
    program = tmp_path / "first.py"
    program.write_text("\n".join(lines) + "\n", encoding="utf-8")
    # Without the project's settings, as a user has it; what is imported is not reported on.
    said, complaints, status = mypy.api.run(
        ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={tmp_path}", str(program)]
    )
    assert status == 0, said + complaints


def test_the_other_python_of_the_readme_compiles_and_names_what_exists() -> None:
    for block in BLOCK.findall(README):
        if ">>>" in block:
            continue
        compile(block, "README.md", "exec")
        for module in re.findall(r"^(?:from|import) (saslsspi[\w.]*)", block, re.MULTILINE):
            assert importlib.util.find_spec(module) is not None, module


def test_the_readme_opens_with_the_two_commands_and_links_to_files_that_exist() -> None:
    first = README.index("```sh")
    assert README.index("make demo", first) < README.index("make test", first) < README.index("## ")
    for link in LINK.findall(README):
        assert link.startswith("https://") or (TREE / link).exists(), link
