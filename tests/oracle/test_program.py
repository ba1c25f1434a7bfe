"""What every command has in common: version, help, exit codes."""
import re


def test_version(octavo):
    assert re.fullmatch(r"octavo \d+\.\d+\.\d+\n", octavo("--version").stdout)


def test_usage_errors_exit_2(octavo):
    for arguments in ([], ["no-such-command"], ["--no-such-flag"]):
        done = octavo(*arguments, check=False)
        assert done.returncode == 2, arguments
        assert done.stderr, arguments


def test_help_names_the_exit_codes(octavo):
    assert "Exit codes" in octavo("--help").stdout
