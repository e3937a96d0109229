"""The command `inspector`: one subcommand an action, built from the action's signature."""

from __future__ import annotations

import errno
import inspect
import json
import sys
import time
from importlib.metadata import version as installed
from typing import Annotated, Any, Literal

import typer
import typer.core
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from inspector import model as models
from inspector import server
from inspector.actions.parameters import parse_shapes
from inspector.actions.registry import Action, Parameter, actions, find_action
from inspector.errors import InspectorError
from inspector.interruption import is_heard
from inspector.progress import Step, listening

__all__ = ["main"]

_PIPED_WIDTH = 140
_QUIET_SECONDS = 1.0
"""Work shorter than this shows no progress bar."""

_OPENING = "Opening the file"

_OPEN = "Show everything about one or two models in a page of the browser."


class _Commands(typer.core.TyperGroup):
    """Subcommands that are built only when asked for, so that `--help` imports no lens."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted([*actions(), "open"])

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name == "open":
            return typer.core.TyperCommand(
                "open", help=_OPEN, short_help=_OPEN, rich_help_panel="Look inside"
            )
        found = actions().get(cmd_name)
        if found is None:
            return None
        help_text = found.summary
        stub = typer.core.TyperCommand(
            cmd_name, help=help_text, short_help=help_text, rich_help_panel=found.group
        )
        return stub

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        command = _open_command() if args[0] == "open" else _command(find_action(args[0]))
        return args[0], command, args[1:]


def main() -> None:
    """Run the command line and exit: 0, 1 (internal error), 2 (the user can mend it) or 130 (stopped)."""
    console = Console(stderr=True, soft_wrap=True)
    try:
        code = _group()(standalone_mode=False)
        if code == 130:  # typer has caught the interruption
            console.print("Stopped.")
    except InspectorError as fault:
        console.print(f"[bold red]Error:[/] {escape(str(fault))}", highlight=False)
        code = fault.exit_code
    except KeyboardInterrupt:
        console.print("Stopped.")
        code = 130
    except BrokenPipeError:
        code = 0
    except typer.Abort:
        console.print("Stopped.")
        code = 130
    except OSError as fault:
        code = _refused(fault, console)
    except MemoryError as fault:
        text = (
            f"memory ran out ({fault}). Use a smaller batch or input, or a budget where the command has one."
        )
        console.print(f"[bold red]Error:[/] {escape(text)}", highlight=False)
        code = 2
    except Exception as fault:  # noqa: BLE001  # the one place where anything is caught
        code = _report(fault, console)
    sys.exit(code if isinstance(code, int) else 0)


_HINTS = {
    errno.ENOSPC: "Free some space, or name another place.",
    errno.EDQUOT: "Free some space, or name another place.",
    errno.EACCES: "Name a place that you may read and write.",
    errno.EPERM: "Name a place that you may read and write.",
    errno.EROFS: "Name a place that can be written.",
    errno.ENOENT: "Look at the path.",
    errno.ENOTDIR: "A part of the path is a file.",
    errno.EEXIST: "A part of the path is a file.",
    errno.EISDIR: "It is a folder, and a file was expected.",
    errno.ENAMETOOLONG: "Name a shorter path.",
}
"""What a user can do about what the system refused."""


def _refused(fault: OSError, console: Console) -> int:
    """Say what the system did not let us do, where a user can do something about it."""
    if fault.errno not in _HINTS or "--debug" in sys.argv:
        return _report(fault, console)
    where = f"{fault.filename}: " if fault.filename is not None else ""
    text = f"{where}{fault.strerror}. {_HINTS[fault.errno]}"
    console.print(f"[bold red]Error:[/] {escape(text)}", highlight=False)
    return 1


def _report(fault: Exception, console: Console) -> int:
    """Say what went wrong when it was not foreseen: Ctrl-C, a wrong option, or a fault of ours."""
    if is_heard():
        console.print("Stopped.")
        return 130
    show = getattr(fault, "show", None)
    if show is not None:  # a usage error of the CLI library
        show()
        return int(getattr(fault, "exit_code", 2))
    if "--debug" in sys.argv:
        console.print_exception()
    console.print(
        f"[bold red]Internal error:[/] {type(fault).__name__}: {escape(str(fault))}\n"
        "This is a fault of the inspector. Run again with --debug and report it with the model's summary."
    )
    return 1


def _group() -> Any:
    app = typer.Typer(
        cls=_Commands,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=True,
    )

    @app.callback(
        help="Open any neural-network file and see what is in it.\n\nExample: inspector summarize net.onnx"
    )
    def entry(  # pyright: ignore[reportUnusedFunction]  # registered by the decorator
        version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
        debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of internal errors.")] = False,
    ) -> None:
        if version:
            sys.stdout.write(installed("onnx-inspector") + "\n")
            raise typer.Exit

    return typer.main.get_command(app)


def _command(found: Action) -> Any:
    """The command of one action, its parameters read from the action's signature."""

    def run(**given: Any) -> None:
        opening = {"trust", "factory", "input_shape"} - own  # convert has them as parameters of its own
        options = {key: given.pop(key) for key in opening if key in given}
        as_json = given.pop("json", False) if "json" not in own else False
        given.pop("debug", None)
        result = _run(found, given, options)
        _show(result, as_json)
        exit_code = getattr(result, "exit_code", 0)
        if exit_code:
            raise typer.Exit(exit_code)

    parameters = [_cli_parameter(p) for p in found.parameters]
    own = {p.name for p in found.parameters}
    if any(p.type == "model" for p in found.parameters):
        parameters += [p for p in _opening_parameters() if p.name not in own]
    if "json" not in own:  # compare writes its JSON to a file
        parameters.append(_option("json", bool, False, ("--json",), "Print the result as JSON."))
    parameters.append(_option("debug", bool, False, ("--debug",), "Show tracebacks of internal errors."))
    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]  # read by typer
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    examples = "\n\n".join(f"Example: {line}" for line in found.examples)
    text = found.description.split("\nArgs:", 1)[0].split("\nRaises:", 1)[0].split("\nReturns:", 1)[0].strip()
    app = typer.Typer(rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False)
    app.command(name=found.name, help=f"{escape(text)}\n\n{escape(examples)}".strip())(run)
    return typer.main.get_command(app)


def _open_command() -> Any:
    """`open` starts the server, which lies above the actions and so is none of them."""

    def run(**given: Any) -> None:
        options = {
            "trust": given["trust"],
            "factory": given["factory"],
            "input_shape": parse_shapes(given["input_shape"]),
        }
        sources = [given[name] for name in ("model", "model_b") if given[name] is not None]
        console = Console(soft_wrap=True)
        server.open_page(
            sources,
            input=given["input"],
            port=given["port"],
            browser=given["browser"],
            options=options,
            tell=lambda text: console.print(text, highlight=False, markup=False),
        )

    empty, keyword = None, inspect.Parameter.KEYWORD_ONLY
    help_a, help_b = "The model file; without one the page waits for a dropped file.", "A second model."
    arguments = [
        inspect.Parameter(name, keyword, default=empty, annotation=Annotated[str | None, mark])
        for name, mark in (
            ("model", typer.Argument(help=help_a, metavar="MODEL", show_default=False)),
            ("model_b", typer.Argument(help=help_b, metavar="MODEL_B", show_default=False)),
        )
    ]
    parameters = [
        *arguments,
        _option("input", str | None, None, ("--input",), "A picture, .npy, .npz or .wav to run."),
        _option("port", int, 0, ("--port",), "Port on this machine; 0 takes a free one."),
        _option("browser", bool, True, ("--browser",), "Open the browser."),
        _option("debug", bool, False, ("--debug",), "Show tracebacks of internal errors."),
        *_opening_parameters(),
    ]
    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]  # read by typer
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    app = typer.Typer(rich_markup_mode="rich", add_completion=False, pretty_exceptions_enable=False)
    app.command(name="open", help=f"{_OPEN}\n\nExample: inspector open net.onnx --input cat.png")(run)
    return typer.main.get_command(app)


def _run(found: Action, given: dict[str, Any], options: dict[str, Any]) -> Any:
    with _Bar() as bar, listening(bar.step):
        for parameter in found.parameters:
            if parameter.type == "model" and given[parameter.name] is not None:
                given[parameter.name] = _open(given[parameter.name], options)
        return found.function(**given)


def _open(source: str, options: dict[str, Any]) -> Any:
    shapes = parse_shapes(options.get("input_shape") or [])
    return models.open_model(
        source, trust=bool(options.get("trust")), factory=options.get("factory"), input_shape=shapes
    )


def _show(result: Any, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(result.to_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    console = Console(soft_wrap=False, markup=False)
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH, no_color=True, highlight=False, markup=False)
    console.print(result.to_text(), highlight=False)


def _cli_parameter(parameter: Parameter) -> inspect.Parameter:
    kind: Any = str if parameter.type == "model" else parameter.type
    if parameter.choices:
        kind = Literal[parameter.choices]
    if parameter.many:
        kind = list[kind]
    if parameter.optional:
        kind = kind | None
    help_text = escape(parameter.help)
    if parameter.positional and (parameter.required or parameter.type == "model"):
        mark = typer.Argument(help=help_text, metavar=parameter.name.upper(), show_default=False)
        default = inspect.Parameter.empty if parameter.required else parameter.default
        return inspect.Parameter(
            parameter.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, mark]
        )
    flags = parameter.flags or ("--" + parameter.name.replace("_", "-"),)
    if parameter.output and not parameter.flags:
        flags = ("-o", "--output")
    return _option(parameter.name, kind, ... if parameter.required else parameter.default, flags, help_text)


def _opening_parameters() -> list[inspect.Parameter]:
    return [
        _option("trust", bool, False, ("--trust",), "Allow code from the file to run.", _OPENING),
        _option(
            "factory",
            str | None,
            None,
            ("--factory",),
            "package.module:function that builds the architecture.",
            _OPENING,
        ),
        _option(
            "input_shape",
            list[str],
            [],
            ("--input-shape",),
            "Input shape: 1,3,224,224 or name=batch,3,224,224.",
            _OPENING,
        ),
    ]


def _option(
    name: str, kind: Any, default: Any, flags: tuple[str, ...], help_text: str, panel: str | None = None
) -> inspect.Parameter:
    if kind is bool and len(flags) == 1 and default is True:
        flags = (f"{flags[0]}/--no-{flags[0].removeprefix('--')}",)
    mark = typer.Option(
        *flags, help=help_text, show_default=default not in (None, False, [], ...), rich_help_panel=panel
    )
    empty = inspect.Parameter.empty if default is ... else default
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=empty, annotation=Annotated[kind, mark]
    )


class _Bar:
    """A progress bar on a terminal's stderr, shown once work takes longer than a second."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._tasks: dict[str, Any] = {}
        self._since = time.monotonic()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def step(self, step: Step) -> None:
        if not self._console.is_terminal or time.monotonic() - self._since < _QUIET_SECONDS:
            return
        if self._progress is None:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._progress.start()
        if step.what not in self._tasks:
            self._tasks[step.what] = self._progress.add_task(step.what, total=step.total)
        self._progress.update(self._tasks[step.what], completed=step.done, total=step.total)


if __name__ == "__main__":
    main()
