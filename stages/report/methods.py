"""A paragraph for the methods section of a paper, about what was really run, and its references."""

from __future__ import annotations

from stages.report.gather import Evidence

_BLAZEPOSE = (
    "Bazarevsky, V., Grishchenko, I., Raveendran, K., Zhu, T., Zhang, F., Grundmann, M. (2020). "
    "BlazePose: On-device real-time body pose tracking. arXiv:2006.10204."
)
_GHUM = (
    "Grishchenko, I., Bazarevsky, V., Zanfir, A., Bazavan, E. G., Zanfir, M., Yee, R., Raveendran, K., Zhdanovich, M., "
    "Grundmann, M., Sminchisescu, C. (2022). BlazePose GHUM Holistic: Real-time 3D human landmarks and pose "
    "estimation. arXiv:2206.11678."
)
_MOVENET = "Google (2021). Model card: MoveNet.MultiPose. TensorFlow Hub."
_PADFIELD = (
    "Padfield, D. (2012). Masked object registration in the Fourier domain. "
    "IEEE Transactions on Image Processing 21(5), 2706–2718."
)
_GEMAN = (
    "Geman, S., McClure, D. E. (1987). Statistical methods for tomographic image reconstruction. "
    "Bulletin of the International Statistical Institute 52(4), 5–21."
)


def methods(evidence: Evidence) -> str:
    """The paragraph; says nothing about stages that have no current result."""
    backends = _backends(evidence)
    sentences = []
    if backends.get("segment") == "embedded":
        sentences.append(
            "People were detected on key frames with MoveNet MultiPose and the BlazePose detector, followed between "
            "them with BlazePose, and masked with BlazePose's segmentation (heavy model)."
        )
    if backends.get("body") == "embedded":
        sentences.append(
            "Body keypoints are BlazePose's metric world landmarks (GHUM), placed in camera axes by a least-squares "
            "solve against the 2D landmarks."
        )
    for stage, backend in backends.items():
        if backend == "fake":
            sentences.append(f"The {stage} stage ran its fake backend: its output is made up, for tests.")
        elif backend != "embedded":
            sentences.append(f"The {stage} stage ran the backend {backend}.")
    if evidence.synchronization is not None:
        sentences.append(
            "Start times and cross-camera identities were estimated together, from the recordings alone: "
            f"{evidence.synchronization.method}."
        )
        if _correlated(evidence):
            sentences.append(
                "The correlation is Padfield's, the consensus minimises the Geman-McClure loss, and intervals are 95 %."
            )
    if sentences:
        sentences.insert(0, "Recordings were processed with ghost on their presentation time stamps.")
    return " ".join(sentences)


def references(evidence: Evidence) -> list[str]:
    """What the paragraph cites."""
    backends = _backends(evidence)
    cited = []
    if backends.get("segment") == "embedded":
        cited += [_BLAZEPOSE, _MOVENET]
    if backends.get("body") == "embedded":
        cited += [_BLAZEPOSE, _GHUM]
    if _correlated(evidence):
        cited += [_PADFIELD, _GEMAN]
    return list(dict.fromkeys(cited))


def _correlated(evidence: Evidence) -> bool:
    """Whether start times were found by ghost's own method."""
    return evidence.synchronization is not None and evidence.synchronization.options.get("method") != "dtw"


def _backends(evidence: Evidence) -> dict[str, str]:
    return {m.stage: str(m.options["backend"]) for m in evidence.history.current if "backend" in m.options}
