"""Name the mistake: one sentence for a wrong array, or None where no pattern fits."""

import numpy as np

from gradcheck import suspects
from gradcheck.case import Case, Checked
from gradcheck.diagnose import diagnose
from gradcheck.look import Look

__all__ = ["explain"]


def explain(case: Case, name: str, checked: Checked) -> str | None:
    """A sentence for the wrong array name: from its numbers, else from a counterfactual."""
    result = checked.results[name]
    nothing_came_back = result.backprop.ndim == 0 and np.isnan(result.backprop)
    if checked.sampled or (nothing_came_back and result.numeric.ndim):
        return None
    others = {k: v for k, v in {**case.arrays, **case.constants}.items() if k != name}
    y = case.forward()
    if y.shape == case.arrays[name].shape:
        others["the output Y"] = y
    look = Look(name, result, case.arrays[name], others, case.sizes, checked.dy)
    with np.errstate(all="ignore"):
        said = diagnose(look)
        return said or (suspects.try_suspects(case, look) if checked.dy.ndim else None)
