"""Four errors of our own, named by what a person can do next, and the exit code of each.

Arguments that are wrong raise the built-in errors. These four are for the world outside: a file, a data row,
a model, a configuration. Each message is one line that names the thing and the next step.
"""

OK = 0
BUG = 1
USAGE = 2
NO_INPUT = 3
SOME_FAILED = 4
NO_MODEL = 5
OUT_OF_SPACE = 6
REFUSED = 7
INTERRUPTED = 130
TERMINATED = 143

STOP_CODES = frozenset(
    {"unauthorized", "forbidden", "not_found", "redirect", "quota", "unreachable", "wait_too_long", "circuit_open"}
)
"""Codes of a `ModelError` after which the next item would fare no better: a run ends at the first of these."""


class VidereError(Exception):
    """An error with a one-line reason, a machine-readable code and the exit code of the command line.

    Args:
        message: one line: what is wrong with which thing, and what to do next.
        code: a short stable word for records (`error.code`), such as "empty_file".
        exit_code: the exit status when this ends the command; None takes the default of the class.
    """

    exit_code: int = BUG
    code: str = "error"

    def __init__(self, message: str, *, code: str | None = None, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.exit_code = self.exit_code if exit_code is None else exit_code

    def __reduce__(self) -> tuple:
        """Survives pickling with its codes, for workers in other processes."""
        return (_rebuild, (type(self), str(self), self.code, self.exit_code))


class VideoError(VidereError):
    """A video cannot be read, or may not be: another file, a re-mux or a changed limit is needed."""

    exit_code = NO_INPUT
    code = "video"


class DataError(VidereError):
    """A data file or a row of it is wrong: the message names file and line."""

    exit_code = USAGE
    code = "data"


class ModelError(VidereError):
    """A model or a server cannot be used: missing, refused, or given up on after retries."""

    exit_code = NO_MODEL
    code = "model"


class ConfigError(VidereError):
    """A setting is unknown or out of range: the message names the nearest right one."""

    exit_code = USAGE
    code = "config"


def _rebuild(kind: type[VidereError], message: str, code: str, exit_code: int) -> VidereError:
    return kind(message, code=code, exit_code=exit_code)
