"""The command `videre`: finds a subcommand by name, and turns what went wrong into one line and an exit code."""

import os
import signal
import sys
import traceback
from difflib import get_close_matches
from errno import EACCES, EDQUOT, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOSPC, ENOTDIR, EPERM, EROFS
from importlib import import_module
from types import FrameType

import click

from videre import __version__, errors
from videre.apps.catalog import COMMANDS

EPILOG = """\b
Exit codes: 0 done, 1 a bug, 2 usage, 3 no input could be read, 4 finished but some items failed,
5 model or server not available, 6 out of disk or memory (resumable), 7 refused by policy,
130/143 interrupted (resumable)."""

_PLACES = (EACCES, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM)


class _Commands(click.Group):
    """Loads a subcommand only when it is called, so that help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            near = get_close_matches(cmd_name, COMMANDS, 1)
            ctx.fail(f"No such command {cmd_name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        return getattr(import_module(module), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="videre")
def cli() -> None:
    """Ask questions about videos and see the evidence: which frames, when, where, by which steps."""


def main() -> None:
    """Runs the command line and exits with the documented code."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of one command; data went to stdout, everything else to stderr."""
    try:
        with cli.make_context("videre", arguments) as context:  # not `cli.main`, which answers a closed pipe with 1
            return cli.invoke(context) or errors.OK
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return _say("interrupted", errors.INTERRUPTED)
    except KeyboardInterrupt:
        return _say("interrupted", errors.INTERRUPTED)
    except BrokenPipeError:
        return _close_stdout()
    except errors.VidereError as error:
        return _say(f"error: {error}", error.exit_code)
    except OSError as error:
        return _unusable(error)
    except Terminated:
        return _say("terminated", errors.TERMINATED)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else errors.BUG
    except Exception:  # what is left is a bug of ours
        return _bug()


def _say(line: str, code: int) -> int:
    click.echo(f"videre: {line}", err=True)
    return code


def _bug() -> int:
    traceback.print_exc()
    return _say("this is a bug in videre: please report it with the lines above", errors.BUG)


def _unusable(error: OSError) -> int:
    """A place that was named and cannot be read or written, or a full disk; anything else is a bug."""
    place = f"{error.filename}: " if error.filename is not None else ""
    if error.errno in (ENOSPC, EDQUOT, EROFS):
        return _say(f"error: {place}{error.strerror}; make room and run the same again", errors.OUT_OF_SPACE)
    if not place or error.errno not in _PLACES:
        return _bug()
    return _say(f"error: {place}{error.strerror}; name another place", errors.USAGE)


def _close_stdout() -> int:
    """Someone downstream has read enough (`| head`): no message, and none from Python's own flush at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return errors.OK


class Terminated(SystemExit):
    """SIGTERM, where nothing else was listening for it."""


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated(errors.TERMINATED)
