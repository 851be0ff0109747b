"""The pods of the workflow: a leaf template for each, with image, arguments, resources, security, volumes, retries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from common.command import stage_command
from common.device_names import REQUIRE_GPU, WITHOUT_CUDA
from common.stage import Stage, option_specs
from workflows import cli
from workflows.argo_expressions import computed, option_argument, pasted, texts, value_of
from workflows.argo_parameters import argo_parameters, gpu_cpu_parameter, gpu_memory_parameter, memory_parameter
from workflows.parameters import CLI_IMAGE, RETRIED, backends, parameter_name
from workflows.pipeline import STAGES

CLAIM_VOLUME = "data"
CLAIM_FOLDER = "/data"
SCRATCH_VOLUME = "scratch"
SCRATCH_SIZE = "64Gi"  # a limit, not a reservation: recordings from S3 and attempts, while a unit is at work
SHARED_MEMORY_VOLUME = "shared-memory"
SHARED_MEMORY_SIZE = "1Gi"  # counts as memory of the pod
S3_SECRET = "ghost-s3"  # noqa: S105 - the name of a Secret, whose keys are AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and so on
HUB_SECRET = "ghost-hub"  # noqa: S105 - likewise; its key is HF_TOKEN, for models that are gated
GPU = "nvidia.com/gpu"
CONTAINER = "main"  # what Argo calls the user's container

_MOST_FAILURES = 30_000  # characters: some 30 lost videos, each of which has several failed nodes
_NAMES = frozenset(parameter.name for parameter in argo_parameters())
_WEIGHTS_MEMORY = 1024  # MiB; fetching and converting the models of `embedded` took 403 (measured)
# Many small threads on a large node only get in each other's way, and one order of additions makes equal results.
# What is fetched from S3 stays below the volume's limit: beyond it a pod is evicted, and so is its next attempt.
_THREADS = "OMP_NUM_THREADS"  # torch goes by it, too
_ENVIRONMENT = {_THREADS: "1", "OPENBLAS_NUM_THREADS": "1", "GHOST_SCRATCH_GB": "60"}


@dataclass(frozen=True)
class Pod:
    """What is particular to one leaf template.

    Attributes:
        name: of the template.
        image: last part of the image's name.
        module: what its Python runs.
        command: the click command that its arguments are made for.
        memory: expression for the MiB of its first attempt.
        first_memory: what that is unless the user says otherwise.
        words: arguments that choose a command of the module.
        stage: whose options the command takes; None for those of all.
        secrets: whose keys are its environment, if they are there.
        made_for_gpu: expression that is true if its backend is made for a GPU; "" if it has no such backends.
        on_gpu: expression that is true if it shall run on one; likewise.
        gpu_cores: expression for its cores with a backend that is made for a GPU; likewise.
    """

    name: str
    image: str
    module: str
    command: click.Command
    memory: str
    first_memory: str
    words: tuple[str, ...] = ()
    stage: Stage | None = None
    secrets: tuple[str, ...] = (S3_SECRET,)
    made_for_gpu: str = ""
    on_gpu: str = ""
    gpu_cores: str = ""


def stage_pod(stage: Stage) -> Pod:
    """The pod that runs one unit of a stage."""
    memory = memory_parameter(stage)
    amount, made_for_gpu, on_gpu, gpu_cores = f"asInt({value_of(memory.name)})", "", "", ""
    found = backends().get(stage.name)
    if found is not None and found.gpu:
        made_for_gpu = f"{value_of(found.parameter)} in {texts(found.gpu)}"
        on_gpu = f"{made_for_gpu} && {value_of(parameter_name(stage, 'device'))} not in {texts(WITHOUT_CUDA)}"
        amount = f"({made_for_gpu} ? asInt({value_of(gpu_memory_parameter(stage).name)}) : {amount})"
        gpu_cores = f"asFloat({value_of(gpu_cpu_parameter(stage).name)})"
    return Pod(
        name=stage.name,
        image=stage.name,
        module=f"stages.{stage.name}",
        command=stage_command(stage),
        memory=amount,
        first_memory=str(memory.default),
        stage=stage,
        made_for_gpu=made_for_gpu,
        on_gpu=on_gpu,
        gpu_cores=gpu_cores,
    )


def weights_pod() -> Pod:
    """The pod that sees to it that the model files are there, before any other needs them."""
    return Pod(
        name="weights",
        image=CLI_IMAGE,
        module="workflows",
        words=("weights", "for-run"),
        command=cli.weights_for_run,
        secrets=(S3_SECRET, HUB_SECRET),
        memory=str(_WEIGHTS_MEMORY),
        first_memory=str(_WEIGHTS_MEMORY),
    )


def close_pod() -> Pod:
    """The pod that judges the run when it is over in any way, and writes the report."""
    report = memory_parameter(next(stage for stage in STAGES if stage.history))
    return Pod(
        name="close",
        image=CLI_IMAGE,
        module="workflows",
        words=("close",),
        command=cli.close,
        memory=f"asInt({value_of(report.name)})",
        first_memory=str(report.default),
    )


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options of a command by their first spelling, without the dashes."""
    return {option.opts[0][2:]: option for option in command.params if isinstance(option, click.Option)}


def _failures() -> str:
    """What Argo knows about failed pods, if it fits into one argument.

    Argo moves an argument of more than 128 KiB into a file and puts the file's name in place of the whole argument. The
    expression counts characters, of up to four bytes. The value is a text in the exit handler, and there alone.
    """
    name = "workflow.failures"
    return computed(f'len({name}) <= {_MOST_FAILURES} ? {name} : "more failed pods than fit here: see argo get"')


def arguments(pod: Pod) -> list[str]:
    """Every option of a pod's command that stands for something the workflow knows, each as one argument."""
    known = {
        "video": "{{inputs.parameters.video}}",
        "engine-status": "{{workflow.status}}",
        "engine-failures": _failures(),
    }
    own = {} if pod.stage is None else {spec.flag[2:]: spec.name for spec in option_specs(pod.stage.options)}
    found = []
    for name, option in options_of(pod.command).items():
        parameter = name if pod.stage is None or name not in own else parameter_name(pod.stage, own[name])
        if parameter in _NAMES:
            found.append(option_argument(option, pasted(parameter), parameter))
        elif name in known:
            found.append(f"--{name}={known[name]}")
    return found


def leaf(pod: Pod) -> dict[str, Any]:
    """The template of a pod."""
    template: dict[str, Any] = {"name": pod.name}
    if "video" in options_of(pod.command):
        template["inputs"] = {"parameters": [{"name": "video"}]}
    template["activeDeadlineSeconds"] = pasted("stage-deadline")
    template["retryStrategy"] = _retries()
    if pod.on_gpu:  # the patch replaces it; it stands here so that the file says what a GPU pod is
        template["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    template["podSpecPatch"] = _resources_patch(pod)
    template["container"] = _container(pod)
    return template


def _retries() -> dict[str, Any]:
    """Another attempt for the exit codes that are worth one, and for a lost node; never after a deadline.

    `limit` is a parameter, the codes are not. There is no maxDuration: it would count from the first attempt's start,
    so that a pod that ran longer would never be tried again. The first pause is short because Argo waits before it
    looks at the exit code: a camera with bad input costs it as well.
    """
    codes = ", ".join(str(code) for code in sorted(RETRIED))
    return {
        "limit": pasted("retries"),
        "expression": f'(asInt(lastRetry.exitCode) in [{codes}] || lastRetry.status == "Error") '
        '&& !(lastRetry.message contains "deadline")',
        "backoff": {"duration": "2s", "factor": "5", "cap": "5m"},
    }


def _resources_patch(pod: Pod) -> str:
    """What Kubernetes wants as a quantity and Argo takes from a parameter only in a patch: JSON, in readable lines.

    A pod whose backend runs on the CPU keeps away from GPUs and from the nodes that are reserved for them. One that got
    a GPU and cannot use it fails, rather than be at work on the CPU until its deadline. A model that works on the CPU
    though it is made for a GPU has a thread for each core; beside a GPU the cores are for decoding and writing.
    """
    cores = f"asFloat({value_of('cpu')})"
    cpu = _quantity("cpu", f"{pod.made_for_gpu} ? {pod.gpu_cores} : {cores}" if pod.made_for_gpu else cores)
    memory = _quantity("memory", f"{pod.memory} * (asInt(retries) + 1)", unit="Mi")
    gpu = nodes = environment = ""
    if pod.on_gpu:
        gpus = f"asInt({value_of('gpus')})"
        gpu = ",\n    " + _quantity(GPU, f"{pod.on_gpu} ? {gpus} : 0")
        has_gpu = f"{pod.on_gpu} && {gpus} > 0"
        threads = f"{pod.made_for_gpu} && !({has_gpu}) && {pod.gpu_cores} >= 2 ? asInt({pod.gpu_cores}) : 1"
        variables = {REQUIRE_GPU: f"{has_gpu} ? 1 : 0", _THREADS: threads}
        entries = ",\n    ".join(
            f'{{"name": "{name}", "value": "{computed(value)}"}}' for name, value in variables.items()
        )
        environment = f',\n  "env": [{entries}]'
        nodes = "".join(
            f',\n "{field}": {computed(f"fromJSON({pod.on_gpu} ? {value_of(name)} : {otherwise})")}'
            for field, name, otherwise in (
                ("tolerations", "gpu-tolerations", "'[]'"),
                ("nodeSelector", "node-selector", "'{ }'"),
            )
        )
    return (
        f'{{"containers": [{{"name": "{CONTAINER}", "resources": {{\n'
        f'  "requests": {{{cpu},\n    {memory}}},\n'
        f'  "limits": {{{cpu},\n    {memory}{gpu}}} }}{environment} }}]{nodes}\n}}'
    )


def _quantity(name: str, expression: str, *, unit: str = "") -> str:
    return f'"{name}": "{computed(expression)}{unit}"'


def _container(pod: Pod) -> dict[str, Any]:
    mounts = {CLAIM_VOLUME: CLAIM_FOLDER, SCRATCH_VOLUME: "/tmp"}  # noqa: S108 - an empty volume of the pod
    if pod.on_gpu:
        mounts[SHARED_MEMORY_VOLUME] = "/dev/shm"  # noqa: S108 - workers of torch exchange tensors here
    cpu = next(parameter.default for parameter in argo_parameters() if parameter.name == "cpu")
    requests = {"cpu": str(cpu), "memory": f"{pod.first_memory}Mi"}
    tag = pasted("image-tag")
    if pod.made_for_gpu:
        tag = computed(f"{pod.made_for_gpu} ? {value_of('gpu-image-tag')} : {value_of('image-tag')}")
    return {
        "image": f"{pasted('image-prefix')}{pod.image}:{tag}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", pod.module],
        "args": [*pod.words, *arguments(pod)],
        "env": [{"name": name, "value": value} for name, value in _ENVIRONMENT.items()],
        "envFrom": [{"secretRef": {"name": name, "optional": True}} for name in pod.secrets],
        "resources": {"requests": requests, "limits": {**requests, GPU: "0"} if pod.on_gpu else dict(requests)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": folder} for name, folder in mounts.items()],
    }
