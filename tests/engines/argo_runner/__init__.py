"""Runs a workflow file on a real Kubernetes, the way Argo Workflows would: ghost's own, not Argo.

It exists so that `workflows/ghost.yaml` can be executed where no Argo controller is to be had. It knows the part of
Argo that ghost uses, after the documentation and the source of v4.1.2, and refuses everything else loudly:

    parameters, templateDefaults, dag (depends, failFast, when, withParam, parallelism, nested), inputs and outputs,
    outputs.result, retryStrategy, activeDeadlineSeconds, podSpecPatch, onExit with workflow.status and
    workflow.failures, simple tags {{a.b}} and expression tags {{=a.b}}

Every container template becomes one pod. What Argo puts beside the user's container (its init and wait containers),
artifacts, hooks, steps, and outputs read from files are not imitated. A run that passes here is evidence about the
file, not about Argo: the same tests run on the real controller when ARGO_PROGRAMS names its programs.
"""
