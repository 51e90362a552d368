"""Gradients against finite differences, in double precision: of parameters, inputs and values, and of each
hand-written derivative by itself.

The function that is differenced is the one whose derivative the spec means: noise is held fixed, and so is
what `stop_gradient` returns.  What an op with a `surrogate` line returns is held fixed too, and what goes
into it is checked as if it were an objective: so everything is checked but the surrogate itself.
"""

from graphspec.gradcheck.check import gradcheck, jacobian_by_differences
from graphspec.gradcheck.point import Wanted
from graphspec.gradcheck.report import GradcheckReport, Row, Verdict

__all__ = ["GradcheckReport", "Row", "Verdict", "Wanted", "gradcheck", "jacobian_by_differences"]
