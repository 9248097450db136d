"""python -m gradcheck: our three networks, or whatever you wrote."""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small arrays: threads only get in the way

from typing import Annotated, Any

import numpy as np
import typer

from datasets import console
from gradcheck.core import CannotCheck
from gradcheck.report import Report, verdict

NETS = ("functional", "net", "cnn")


def own(target: str, inputs: list[str], args: str | None, accumulates: bool, seconds: float,
        float64: bool, **options: Any) -> list[Report]:  # fmt: skip
    """A layer, a pair of functions or a loss out of somebody's file."""
    from gradcheck import bring, load
    from gradcheck.judge import judge_widely

    module, things, names = load.load(target, float64)
    rng = np.random.default_rng(options["seed"])
    if not inputs:
        raise CannotCheck(
            f"say the shape of what {names[0]} takes: --input 5,3 (one --input for each argument)"
        )
    arrays = [load.make_input(text, rng, 2.5) for text in inputs]
    settings = bring.Options(**options, generators=load.generators(module))
    if len(things) > 2:
        raise CannotCheck(f"expected one class, or forward,backward; got {len(things)} names")
    first = load.construct(module, things[0], names[0], args)
    with load.quiet():
        if len(things) == 2 or isinstance(things[0], load.FUNCTION):
            case = bring.function_case(
                things[0], things[1] if len(things) == 2 else None, arrays, settings
            )
        else:
            case = bring.layer_case(first, arrays, settings, names[0])
        return [judge_widely(case, options["seed"], accumulates, seconds)]


app = typer.Typer(**console.SETTINGS)


def option(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, show_default=False, **more)


def words(text: str | None) -> list[str] | None:
    return text.split(",") if text else None


@app.command()
def main(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[functional|net|cnn|FILE.py:NAME|FILE.py:FORWARD,BACKWARD]",
            help="One of our nets, or yours.  [default: all of ours]",
            show_default=False,
        ),
    ] = None,
    shapes: Annotated[
        list[str] | None,
        option(
            "--input",
            metavar="SHAPE",
            help="Shape of an input, 5,3, once per argument; 5,3:int7 for indices below 7; or a value.",
        ),
    ] = None,
    args: Annotated[
        str | None,
        option(
            "--args",
            metavar="ARGS",
            help="Arguments of the constructor, as in a call: --args '3, 4, bias=True'.",
        ),
    ] = None,
    params: Annotated[
        str | None, option("--params", help="Names of the parameters, W,b, if not found.")
    ] = None,
    grads: Annotated[
        str | None, option("--grads", help="Names of their gradients, dW,db, in that order.")
    ] = None,
    forward: Annotated[str | None, option("--forward", help="Name of the forward method.")] = None,
    backward: Annotated[
        str | None, option("--backward", help="Name of the backward method.")
    ] = None,
    setup: Annotated[
        str | None,
        option(
            "--setup",
            metavar="CODE",
            help="Run first, with the object as `layer`: --setup 'layer.build(3)'.",
        ),
    ] = None,
    columns: Annotated[bool, option("--columns", help="Samples are columns.")] = False,
    label_input: Annotated[
        bool, option("--label_input", help="The last argument of forward is labels.")
    ] = False,
    accumulates: Annotated[
        bool, option("--accumulates", help="Gradients may add up from call to call.")
    ] = False,
    mean: Annotated[
        bool, option("--mean", help="Parameters' gradients are divided by the batch on purpose.")
    ] = False,
    keep: Annotated[
        bool, option("--keep", help="Keep the parameters' values; they are drawn anew otherwise.")
    ] = False,
    float64: Annotated[
        bool, option("--float64", help="Read float64 where the file says float32.")
    ] = False,
    every: Annotated[bool, option("--all", help="Every entry, however long it takes.")] = False,
    seed: Annotated[int, option("--seed", min=0, help="Of the numbers that are drawn.")] = 0,
) -> None:
    """Compare gradients with differences: exit 0 right, 1 wrong, 2 could not be checked."""
    if target is not None and target not in NETS:
        reports = own(target, shapes or [], args, accumulates, np.inf if every else 10.0, float64,
                      params=words(params), grads=words(grads), columns=columns, label_input=label_input,
                      forward=forward, backward=backward, keep=keep, mean=mean, setup=setup, seed=seed)  # fmt: skip
        for report in reports:
            print(report)
        finish(reports)


def finish(reports: list[Report]) -> None:
    print(verdict(reports))
    raise typer.Exit(0 if all(reports) else 1)


if __name__ == "__main__":
    sys.argv[0] = "gradcheck"  # the name in front of a one-line error
    console.run(app)
