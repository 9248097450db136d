"""The command line of a program, built from the table of options."""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import typer

from datasets.run import console
from datasets.run.options import Options
from datasets.run.run import Run
from datasets.threads import limited

__all__ = ["command"]

OWN = {"hidden_neurons", "data", "dataset", "image_size", "val_split", "skip_bad"}


def command(main: Callable[[Run], None], **defaults: Any) -> Callable[[], None]:
    """The command line of main: it takes the options that defaults names, and all but those in OWN.

    The result, called without arguments, reads sys.argv and runs main(run).
    """

    def train(ctx: typer.Context, **values: Any) -> None:
        given = {name for name in values if _written(ctx, name)}
        with limited(values["threads"]), Run(Options(**values), given, ctx.args, ctx.obj) as run:
            main(run)

    table = inspect.signature(Options).parameters.values()
    hints = get_type_hints(Options, include_extras=True)
    options = [
        option.replace(
            kind=option.KEYWORD_ONLY,
            default=defaults.get(option.name, option.default),
            annotation=hints[option.name],
        )
        for option in table
        if option.name in defaults or option.name not in OWN
    ]
    ctx = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_ONLY, annotation=typer.Context)
    train.__signature__ = inspect.Signature([ctx, *options])  # type: ignore[attr-defined]
    train.__annotations__ = {option.name: option.annotation for option in (ctx, *options)}
    train.__doc__ = main.__doc__
    app = typer.Typer(**console.SETTINGS)
    # --predict a.png b.png: the further pictures come as arguments.
    app.command(context_settings=console.CONTEXT | {"allow_extra_args": True})(train)
    return lambda: console.run(app)


def _written(ctx: typer.Context, name: str) -> bool:
    # Did the user write this option?
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
