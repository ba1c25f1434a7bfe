"""What every command has in common: version, help, exit codes."""
import re


def test_version(octavo):
    assert re.fullmatch(r"octavo \d+\.\d+\.\d+\n", octavo("--version").stdout)


def test_usage_errors_exit_2(octavo):
    for arguments in ([], ["no-such-command"], ["--no-such-flag"]):
        done = octavo(*arguments, check=False)
        assert done.returncode == 2, arguments
        assert done.stderr, arguments


def test_help_is_a_manual(octavo):
    """Of the program and of every command: what it does, its options, examples, exit codes, 80 columns."""
    overview = octavo("--help").stdout
    commands = re.findall(r"^  (\w+)  ", overview.split("Subcommands:")[1].split("\n\n")[0], re.M)
    assert {"import", "embed", "inspect", "verify"} <= set(commands)
    for command in ([], *([c] for c in commands)):
        text = octavo(*command, "--help").stdout
        assert "Exit codes: 0" in text and "Usage: octavo" in text, command
        assert not command or "Examples:\n  octavo " + command[0] in text, command
        assert max(map(len, text.splitlines())) <= 80, max(text.splitlines(), key=len)
        assert text[0].isupper() and "\n\n\n" not in text, command
