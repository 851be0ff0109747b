"""From numbers to words: how far an answer can be trusted, why not further, and what would help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stages.sync.certainty import MIN_VIDEO_Z, Agreement
from stages.sync.features import Features
from stages.sync.result import Verdict
from stages.sync.tracks import VideoTracks

WIDE = 0.1  # s: an interval of more than ±3 frames of 30 fps is no synchronisation
MIN_MARGIN = 1.0  # units of noise by which an identity must beat its best rival (chosen by hand)

_CONTRADICTIONS = {
    "audio": "Check that sound and picture of these recordings belong together.",
    "calibration": "Check the calibration of these cameras, and that none was moved.",
}
_RECORD_LONGER = "Record at least 5-10 s that two cameras see at once."
_MOVE = "Make one lively movement that every camera sees: a jump, a raised arm."
_SHOW = "Keep more of the body in view."


def nothing_to_compare(
    video: VideoTracks, features: Sequence[Features], *, videos: int, usable: int, has_bodies: bool = True
) -> tuple[str, str] | None:
    """Reason and advice where a video cannot be compared with any other; None where it can.

    Args:
        video: its tracks.
        features: of every person in it.
        videos: how many the scene has.
        usable: how many of them show a moving person.
        has_bodies: False if nobody knows who is in it, because its bodies were never estimated.
    """
    if not has_bodies:
        return "it has no bodies: an earlier stage failed or was not run", "See why, then run again."
    if videos == 1:
        return "the only video of the scene: there is nothing to compare it with", "Add the other cameras' videos."
    if not video.persons:
        return "no person was found in it", "Check that people are visible and large enough."
    if not any(f.mask.any() for f in features):
        seen = max(len(track.times) for track in video.persons)
        if seen < 3:
            return f"a person was seen in {seen} frames only: no movement to compare", _RECORD_LONGER
        return "no joint that is seen moves: a still picture, or nothing but hidden joints", _SHOW
    if usable < 2:
        return "no other video shows a moving person", "Check the other videos."
    return None


def judge_start(
    fit: Agreement,
    half_width: float | None,
    *,
    placed: bool,
    mirrored: bool = False,
    contradicted: Mapping[str, float] | None = None,
) -> tuple[Verdict, tuple[str, ...], tuple[str, ...]]:
    """Verdict, reasons and advice for a video that has a start.

    Args:
        fit: how well it agrees with the others.
        half_width: half its 95 % interval, seconds.
        placed: whether it stands out of the noise.
        mirrored: whether that is so of its mirror image only.
        contradicted: kinds of evidence that say otherwise and were set aside, and by how many seconds.
    """
    reasons, advice = [], []
    if mirrored:
        reasons.append(
            "it fits the others as its mirror image only: left and right are exchanged, as in a selfie video"
        )
        advice.append("Mirror the recording, and estimate its bodies again: left and right are wrong in them.")
    for kind, off in (contradicted or {}).items():
        reasons.append(f"its {kind} says otherwise, by up to {off:.2f} s, and was set aside")
        advice.append(_CONTRADICTIONS.get(kind, "Compare the recordings by eye at that moment."))
    if not placed:
        if fit.z >= MIN_VIDEO_Z:
            reasons.append(
                f"it rests on {fit.overlap:.1f} s shared: in so short a time one movement can look like another"
            )
        elif fit.z > 0:
            reasons.append(
                f"it stands out of the noise by {fit.z:.1f} standard deviations only ({MIN_VIDEO_Z:g} are safe), "
                f"on {fit.overlap:.1f} s shared"
            )
        else:
            reasons.append(f"only {fit.overlap:.1f} s shared: not enough other lags to judge the match by")
        advice += [_RECORD_LONGER, _MOVE]
    if half_width is None:
        reasons.append("nothing that agrees connects it with the others, so there is no interval")
        advice.append(_RECORD_LONGER)
    elif half_width > WIDE:
        reasons.append(f"the 95 % interval is wide: ±{half_width:.2f} s")
        advice.append(_MOVE)
    verdict = Verdict.UNCERTAIN if reasons else Verdict.OK
    return verdict, tuple(reasons), tuple(dict.fromkeys(advice))


def explain_unknown(fit: Agreement) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reasons and advice for a video that was compared in vain."""
    if fit.overlap == 0:
        reason = "nobody in it agrees with anybody in the other videos for long enough"
    elif fit.z > 0:
        reason = (
            f"the best match stands out of the noise by {fit.z:.1f} standard deviations, {MIN_VIDEO_Z:g} are needed "
            f"(correlation {fit.r:.2f} over {fit.overlap:.1f} s)"
        )
    elif fit.highest:
        reason = (
            f"the best match is too weak for so short a recording (correlation {fit.r:.2f} over {fit.overlap:.1f} s)"
        )
    else:
        reason = "its matches with the other videos contradict each other"
    return (reason,), (_RECORD_LONGER, _MOVE, _SHOW)


def judge_identity(z: float, margin: float, start: Verdict) -> Verdict:
    """Verdict on a track that has a match (z > 0) or has none."""
    if z <= 0:
        return Verdict.UNKNOWN
    return Verdict.OK if start is Verdict.OK and margin >= MIN_MARGIN else Verdict.UNCERTAIN
