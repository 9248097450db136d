"""python -m gradcheck: our three networks, or whatever you wrote."""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small arrays: threads only get in the way

import importlib
import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gradcheck import console
from gradcheck.console import say
from gradcheck.core import CannotCheck
from gradcheck.report import Report, as_json, table, verdict

NETS = ("functional", "net", "cnn")
HERE = Path(__file__).resolve().parent
app = typer.Typer(**console.SETTINGS)


def option(*names: str, help: str, **settings: Any) -> Any:
    return typer.Option(*names, help=help, show_default=False, **settings)


Json = Annotated[bool, option("--json", help="Print the report as JSON.")]
Seed = Annotated[int, option("--seed", metavar="N", min=0, help="Same seed, same random numbers.")]
Target = Annotated[str | None, typer.Argument(
    metavar="NET", help="functional, net or cnn.  [default: all]", show_default=False)]  # fmt: skip


@app.callback()
def about() -> None:
    """Compare gradients with differences: exit 0 right, 1 wrong, 2 no verdict.

    \b
    gradcheck [functional|net|cnn]             our networks: gradcheck ours -h
    gradcheck FILE.py:Layer --input 5,3        your own: gradcheck own -h
    gradcheck FILE.py:f,f_backward --input 5,3 --input 3,4
    """


# --- yours --------------------------------------------------------------------


@app.command("own")
def own(
    target: Annotated[str, typer.Argument(metavar="FILE.py:NAME",
        help="A class or function, or FORWARD,BACKWARD.", show_default=False)],
    shapes: Annotated[list[str] | None, option("--input", metavar="SHAPE",
        help="5,3; one per argument. 5:int4 labels, =2 a value.")] = None,
    args: Annotated[str | None, option("--args", metavar="ARGS",
        help="Of the constructor: --args '3, 4, bias=True'.")] = None,
    setup: Annotated[str | None, option("--setup", metavar="CODE",
        help="Run first: --setup 'layer.build(3)'.")] = None,
    forward: Annotated[str | None, option("--forward", metavar="CODE",
        help="Method, or code: 'layer.forward(X, y).mean()'.")] = None,
    backward: Annotated[str | None, option("--backward", metavar="CODE",
        help="Method, or code: 'layer.backward(dY, y)'.")] = None,
    columns: Annotated[bool, option("--columns", help="Samples are columns.")] = False,
    mean: Annotated[bool, option("--mean",
        help="Parameters' gradients are means on purpose.")] = False,
    seconds: Annotated[float, option("--seconds", metavar="S", min=0.1,
        help="Give up after so long.  [default: 60]")] = 60,
    as_json: Json = False,
    seed: Seed = 0,
    accumulates: Annotated[bool, option("--accumulates", help="Gradients add up.")] = False,
) -> None:  # fmt: skip
    """Check a layer, a loss or a pair of functions."""
    from gradcheck.yours import Options

    options = Options(forward, backward, setup, columns, mean, seed)
    try:
        with console.time_limit(seconds):
            report = check_file(target, shapes or [], args, options, accumulates)
    except CannotCheck as error:
        if as_json:
            say(json.dumps({"verdict": "none", "reason": str(error)}))
        raise
    finish([report], as_json, [str(report)])


def check_file(
    target: str, texts: list[str], args: str | None, options: Any, accumulates: bool
) -> Report:
    """What FILE.py:NAME is, with inputs as the command line says them."""
    from gradcheck import yours
    from gradcheck.judge import judge_own

    with yours.quiet(), yours.undisturbed():
        things, names, notes = yours.load(target)
        if not texts:
            raise CannotCheck(
                f"say the shape of what {names[0]} takes: --input 5,3 (one --input for each "
                "argument; labels are --input 5:int4)"
            )
        rng = np.random.default_rng(options.seed)
        inputs = [yours.make_input(text, rng, 2.5) for text in texts]
        functions = types.FunctionType, types.BuiltinFunctionType, np.ufunc
        if len(things) == 2 or isinstance(things[0], functions):
            forward, backward = [*things, None][:2]
            own = yours.own_functions(forward, backward, inputs, options, names)
        else:
            thing = yours.construct(things[0], names[0], args)
            own = yours.own_layer(thing, inputs, options, names[0])
        own.notes += notes
        return judge_own(own, options.seed, accumulates)


def finish(reports: list[Report], as_json_too: bool, lines: list[str]) -> None:
    """Print, and exit with 0 if all is right, 1 if not."""
    if as_json_too:
        say(json.dumps(as_json(reports), indent=1))
    else:
        say("\n".join([*lines, verdict(reports)]))
    raise typer.Exit(0 if all(r.ok for r in reports) else 1)


# --- ours ---------------------------------------------------------------------


def targets(target: str | None) -> list[str]:
    if not (HERE / "ours").is_dir():
        raise CannotCheck(
            "the three networks are in the clone of the project; here it checks what is yours: "
            "gradcheck FILE.py:NAME --input 5,3"
        )
    if target is not None and target not in NETS:
        raise CannotCheck(
            f"expected functional, net, cnn or FILE.py:NAME, got {target!r}; "
            "gradcheck -h lists the commands"
        )
    return [target] if target else list(NETS)


@app.command("ours")
def ours(
    target: Target = None,
    every: Annotated[bool, option("--all",
        help="Every entry of the real nets, one by one: 784-100-10 has 79,510.")] = False,
    as_json: Json = False,
    seed: Seed = 0,
) -> None:  # fmt: skip
    """Check our networks, from layers to nets on digits."""
    reports: list[Report] = []
    for name in targets(target):
        found = list(reports_on(name, every, seed))
        reports += found
        if not as_json:
            say("\n".join([{"functional": "functional_net"}.get(name, name), *table(found)]))
    finish(reports, as_json, [])


def reports_on(target: str, every: bool, seed: int) -> Iterator[Report]:
    """Small cases with every entry; then the real net, along directions or (--all) every entry."""
    from gradcheck.judge import judge_widely
    from gradcheck.ours import real, specimens

    for case in specimens.CASES[target](np.random.default_rng(seed)):
        yield judge_widely(case, seed)
    yield real.every_entry(target, progress, seed) if every else real.judge_real(target, seed)


def progress(ticks: Iterator, total: int) -> Iterator:
    """A bar on a terminal, nothing on a pipe."""
    if not sys.stderr.isatty():
        return ticks
    from rich.console import Console
    from rich.progress import track

    return iter(track(ticks, "entries", total=total, console=Console(stderr=True)))


@app.command("taylor")
def taylor(target: Target = None, seed: Seed = 0) -> None:
    """The order of the remainder: 2 right, 1 wrong."""
    from gradcheck import taylor as pictures

    for name in targets(target):
        from gradcheck.ours import specimens

        cases = specimens.CASES[name](np.random.default_rng(seed))
        case = [c for c in cases if c.name.startswith("net")][-1]
        case.name = f"{name}, {case.name}"
        say("\n".join(pictures.taylor(case, seed)))


@app.command("sweep")
def sweep() -> None:
    """Error against step size, float64 and float32."""
    from gradcheck import taylor as pictures

    say("\n".join(pictures.sweep(pictures.tanh_layer)))


# --- plants -------------------------------------------------------------------


@app.command("proof")
def proof(
    count: Annotated[int, typer.Argument(metavar="N", min=1, show_default=False,
        help="So many correct layers and nets.  [default: 1000]")] = 1000,
    seed: Seed = 0,
) -> None:  # fmt: skip
    """All plants found? N correct nets left in peace?"""
    targets(None)
    from gradcheck.plants.proof import proof as lines

    for line in lines(count, seed):
        say(line)


# --- the door -----------------------------------------------------------------


def with_command(args: list[str], known: set[str]) -> list[str]:
    """`functional` and nothing mean ours, FILE.py:NAME means own."""
    if args and (args[0] in known or args[0] in ("-h", "--help")):
        return args
    spec = any(":" in a or a.endswith(".py") for a in args if not a.startswith("-"))
    return ["own" if spec else "ours", *args]


def main() -> None:
    """The console script `gradcheck`; in the clone the clone's own code runs."""
    clone = Path.cwd() / "gradcheck"
    if (clone / "ours").is_dir() and clone.resolve() != HERE:
        os.execv(sys.executable, [sys.executable, "-m", "gradcheck", *sys.argv[1:]])
    if (HERE / "learn" / "commands.py").is_file():
        commands = importlib.import_module("gradcheck.learn.commands").COMMANDS
        for name, function in commands.items():
            app.command(name)(function)
    known = {c.name or "" for c in app.registered_commands}
    called = "gradcheck" if Path(sys.argv[0]).stem == "gradcheck" else "python -m gradcheck"
    console.run(app, called, with_command(sys.argv[1:], known))


if __name__ == "__main__":
    main()
