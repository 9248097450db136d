"""python -m gradcheck: our three networks, or whatever you wrote."""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small arrays: threads only get in the way

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import typer

from datasets.run import console
from datasets.run.console import option, say
from gradcheck.core import CannotCheck
from gradcheck.report import Report, table, verdict

NETS = ("functional", "net", "cnn")
app = typer.Typer(**console.SETTINGS)


Words = Annotated[
    str | None,
    option("--params", metavar="NAMES", help="Names of the parameters, W,b, if not found."),
]


@app.command()
def main(
    target: Annotated[str | None, typer.Argument(
        metavar="[functional|net|cnn|FILE.py:NAME|FILE.py:FORWARD,BACKWARD]",
        help="One of our nets, or yours.  [default: all of ours]", show_default=False)] = None,
    shapes: Annotated[list[str] | None, option("--input", metavar="SHAPE",
        help="Shape of an input, 5,3, one per argument; 5,3:int7 for indices; or a value.")] = None,
    args: Annotated[str | None, option("--args", metavar="ARGS",
        help="Arguments of the constructor, as in a call: --args '3, 4, bias=True'.")] = None,
    params: Words = None,
    grads: Annotated[str | None, option("--grads", metavar="NAMES",
        help="Names of their gradients, dW,db, in the same order.")] = None,
    forward: Annotated[str | None, option("--forward", metavar="NAME",
        help="Name of the forward method.")] = None,
    backward: Annotated[str | None, option("--backward", metavar="NAME",
        help="Name of the backward one.")] = None,
    setup: Annotated[str | None, option("--setup", metavar="CODE",
        help="Run first, with the object as layer: --setup 'layer.build(3)'.")] = None,
    columns: Annotated[bool, option("--columns", help="Samples are columns.")] = False,
    label_input: Annotated[bool, option("--label_input",
        help="The last argument of forward is labels.")] = False,
    accumulates: Annotated[bool, option("--accumulates",
        help="Gradients may add up from call to call.")] = False,
    mean: Annotated[bool, option("--mean",
        help="Gradients of parameters are divided by the batch on purpose.")] = False,
    no_dx: Annotated[bool, option("--no_dx",
        help="The input's gradient is not computed: a first layer.")] = False,
    keep: Annotated[bool, option("--keep",
        help="Leave the parameters as built; they get generic values otherwise.")] = False,
    float64: Annotated[bool, option("--float64",
        help="Read float64 where the file says float32.")] = False,
    every: Annotated[bool, option("--all",
        help="Every entry one by one, of the real nets too (784-100-10: 79,510).")] = False,
    taylor: Annotated[bool, option("--taylor", help="The order of the remainder.")] = False,
    sweep: Annotated[bool, option("--sweep", help="Error against step size.")] = False,
    plant: Annotated[str | None, option("--plant", metavar="NAME",
        help="Plant a mistake in a copy of our code; `list` lists them.")] = None,
    hunt: Annotated[bool, option("--hunt", help="Plant a hidden one, and guess.")] = False,
    proof: Annotated[int | None, console.number("--proof", 1,
        "All plants, and N correct layers and nets: found, named, false alarms.",
        show_default=False)] = None,
    seed: Annotated[int, console.number("--seed", 0, "Same seed, same random numbers.",
        show_default=False)] = 0,
) -> None:  # fmt: skip
    """Compare gradients with differences: exit 0 right, 1 wrong, 2 could not be checked."""
    if target is not None and target not in NETS:
        if taylor or sweep or plant or hunt or proof:
            raise typer.BadParameter("--taylor, --sweep, --plant, --hunt, --proof are for our nets")
        finish(own(target, shapes or [], args, accumulates, np.inf if every else 10.0, float64,
                   params=words(params), grads=words(grads), forward=forward, backward=backward,
                   setup=setup, columns=columns, label_input=label_input, mean=mean, keep=keep,
                   no_dx=no_dx, seed=seed))  # fmt: skip
    if shapes or args or params or grads:
        raise typer.BadParameter("--input, --args, --params, --grads expect FILE.py:NAME first")
    targets = [target] if target else list(NETS)
    if plant:
        show_plant(plant, seed)
    elif hunt:
        from gradcheck.plants.hunt import play

        play(targets, None if seed == 0 else seed)
    elif proof:
        from gradcheck.plants.proof import proof as lines

        for line in lines(proof, seed):
            say(line)
    elif taylor or sweep:
        draw(targets, taylor, sweep, seed)
    else:
        finish_ours([report for name in targets for report in ours(name, every, seed)])


def words(text: str | None) -> list[str] | None:
    return text.split(",") if text else None


# --- yours --------------------------------------------------------------------


def own(target: str, inputs: list[str], args: str | None, accumulates: bool, seconds: float,
        float64: bool, **options: Any) -> Report:  # fmt: skip
    """A layer, a pair of functions or a loss out of somebody's file."""
    from gradcheck import bring, load
    from gradcheck.judge import judge_widely

    module, things, names = load.load(target, float64)
    if len(things) > 2:
        raise CannotCheck(f"expected one class, or FORWARD,BACKWARD; got {len(things)} names")
    if not inputs:
        hint = "--input 5,3 (one --input for each argument)"
        raise CannotCheck(f"say the shape of what {names[0]} takes: {hint}")
    rng = np.random.default_rng(options["seed"])
    arrays = [load.make_input(text, rng, 2.5) for text in inputs]
    settings = bring.Options(**options, generators=load.generators(module))
    thing = load.construct(module, things[0], names[0], args)
    with load.quiet():
        if len(things) == 2 or isinstance(thing, load.FUNCTION):
            pair = things[0], things[1] if len(things) == 2 else None
            case = bring.function_case(*pair, arrays, settings)
        else:
            case = bring.layer_case(thing, arrays, settings, names[0])
        return judge_widely(case, options["seed"], accumulates, seconds)


def finish(report: Report) -> None:
    say(str(report))
    say(verdict([report]))
    raise typer.Exit(0 if report.ok else 1)


# --- ours ---------------------------------------------------------------------


def ours(target: str, every: bool, seed: int) -> Iterator[Report]:
    """Small cases with every entry; then the real net, along directions or (--all) every entry."""
    from gradcheck.judge import judge_widely
    from gradcheck.ours import real, specimens

    reports = []
    for case in specimens.CASES[target](np.random.default_rng(seed)):
        reports.append(judge_widely(case, seed))
    reports.append(
        real.every_entry(target, progress, seed) if every else real.judge_real(target, seed)
    )
    say("\n".join([{"functional": "functional_net"}.get(target, target), *table(reports)]))
    yield from reports


def progress(ticks: Iterator, total: int) -> Iterator:
    """A bar on a terminal, nothing on a pipe."""
    if not sys.stderr.isatty():
        return ticks
    from rich.console import Console
    from rich.progress import track

    return iter(track(ticks, "entries", total=total, console=Console(stderr=True)))


def finish_ours(reports: list[Report]) -> None:
    say(verdict(reports))
    raise typer.Exit(0 if all(reports) else 1)


def draw(targets: list[str], taylor: bool, sweep: bool, seed: int) -> None:
    from gradcheck import taylor as pictures
    from gradcheck.ours import specimens

    if taylor:
        for target in targets:
            cases = specimens.CASES[target](np.random.default_rng(seed))
            case = [c for c in cases if c.name.startswith("net")][-1]
            case.name = f"{target}, {case.name}"
            say("\n".join(pictures.taylor(case, seed)))
    if sweep:
        say("\n".join(pictures.sweep(pictures.tanh_layer)))


def show_plant(name: str, seed: int) -> None:
    from gradcheck.plants import PLANTS, diff, examine

    if name == "list":
        for p in PLANTS:
            say(f"{p.name:36} {p.file}, {p.function}")
        return
    found = [p for p in PLANTS if p.name == name]
    if not found:
        near = [p.name for p in PLANTS if name.lower() in p.name]
        raise CannotCheck(f"no plant {name!r}; {', '.join(near) or '--plant list lists them'}")
    say("\n".join(diff(found[0])) + "\n")
    harvest = examine(found[0], seed)
    say("\n".join(str(report) for report in harvest.reports))
    if harvest.trouble:
        say(f"the planted code raised {harvest.trouble}")
    say(f"\nFOUND  {name}" if harvest.found else f"\nNOT FOUND  {name}")
    raise typer.Exit(1 if harvest.found else 0)


if __name__ == "__main__":
    sys.argv[0] = "gradcheck"  # the name in front of a one-line error
    console.run(app)
