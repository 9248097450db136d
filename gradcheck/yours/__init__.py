"""A learner's own layer, loss or pair of functions, found out by what it does.

load       import a file; what is put around its code
inputs     the object, and its inputs, as the command line says them
walk       the arrays inside an object, and their names
signature  which argument gets what
call       how forward and backward are called; one life of the object
probe      which arrays are parameters: those that move the output
gradients  where backward leaves the gradient of which array
own        one reading of an interface as a case
questions  what has to be guessed, with its answers
readings   all combinations of answers, and the best of them
passes     the same reading at other points
"""

from gradcheck.yours.inputs import Input, Options, construct, make_input
from gradcheck.yours.load import load, quiet, undisturbed
from gradcheck.yours.own import Own
from gradcheck.yours.readings import own_functions, own_layer

__all__ = [
    "Input", "Options", "Own", "construct", "load", "make_input", "own_functions", "own_layer",
    "quiet", "undisturbed",
]  # fmt: skip
