"""A learner's own layer, loss or pair of functions, found out by what it does.

load      import a file, build the object, make its inputs
walk      the arrays inside an object, and their names
call      how forward and backward are called; one life of the object
probe     which array is a parameter, which one a gradient
own       one reading as a case, and the same at other points
readings  all readings of an interface, and the best of them
"""

from gradcheck.yours.load import Input, construct, guarded, load, make_input, quiet, undisturbed
from gradcheck.yours.own import Options, Own
from gradcheck.yours.readings import own_functions, own_layer

__all__ = [
    "Input", "Options", "Own", "construct", "guarded", "load", "make_input", "own_functions",
    "own_layer", "quiet", "undisturbed",
]  # fmt: skip
