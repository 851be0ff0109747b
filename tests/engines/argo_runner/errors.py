"""What can be wrong with a workflow file, as this runner sees it."""

from __future__ import annotations


class WorkflowProblem(Exception):
    """The workflow cannot be run as it is written."""


class Unsupported(WorkflowProblem):
    """A part of Argo that this runner does not know; it may be right all the same."""


class UnknownName(WorkflowProblem):
    """A reference to something that is not there, or not yet."""
