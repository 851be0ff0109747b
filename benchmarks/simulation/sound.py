"""What cameras in one room hear: people who talk, clap and walk, music and a fan, made up, so that the truth is known.

Every source has its place (people walk about), every camera its distance: sound arrives late by distance / 343 m/s and
weaker with it, with the room's reverberation behind. A camera adds noise, mains hum, a band limit, clipping, a clock
of its own, the lag of its microphone against its pictures, and may be muted for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter1d
from scipy.signal import butter, oaconvolve, sosfilt

from common.artifacts.sound import Sound

Floats = NDArray[np.float64]

RATE = 16_000  # Hz
SPEED = 343.0  # m/s at 20 degrees
ROOM = 8.0  # m, side of the square in which everything stands
MOVE = 3.0  # s
_CRITICAL = 1.5  # m at which the direct sound is as strong as the reverberation; a living room's (Kuttruff 2009: 1-2 m)


@dataclass(frozen=True, eq=False)
class Source:
    """One thing that sounds.

    Attributes:
        signal: (n,) at RATE, on the scene's clock, rms about 1 while it sounds, as heard at one metre.
        places: (m, 2) metres, where it stands for an m-th of the time each; it needs MOVE to get from one to the next.
    """

    signal: Floats
    places: Floats


@dataclass(frozen=True)
class Camera:
    """A camera with a microphone.

    Attributes:
        place: metres.
        start: scene time of its PTS 0, seconds.
        rate: seconds of the scene's clock per second of its own.
        length: seconds that it records, on its own clock.
        noise: rms of its own noise, where the sources' is 1 at one metre.
        reverberation: seconds until the room's answer has fallen by 60 dB; 0: none.
        lag: seconds by which its sound is late against its pictures.
        first: PTS of the first sample.
        band: Hz, what its microphone and codec let through.
        hum: rms of 50 Hz and three harmonics.
        gain: of its samples; above 1 it clips.
        muted: (begin, end) in seconds of its own clock without sound.
    """

    place: tuple[float, float]
    start: float
    rate: float = 1.0
    length: float = 60.0
    noise: float = 0.02
    reverberation: float = 0.4
    lag: float = 0.0
    first: float = 0.0
    band: tuple[float, float] = (80.0, 7000.0)
    hum: float = 0.0
    gain: float = 0.3
    muted: tuple[tuple[float, float], ...] = ()


def true_offset(a: Camera, b: Camera, moment: float) -> float:
    """start_time[b] - start_time[a] in seconds as it holds at PTS `moment` of a: t - (the PTS of b at that instant)."""
    return moment - (a.start + a.rate * moment - b.start) / b.rate


def record(sources: Sequence[Source], camera: Camera, generator: np.random.Generator) -> Sound:
    """What a camera makes of what sounds around it."""
    count = round(camera.length * RATE)
    pts = camera.first + np.arange(count) / RATE
    moments = camera.start + camera.rate * (pts - camera.lag)
    heard = np.zeros(count)
    for source in sources:
        distance = np.maximum(_distance(source, camera.place, moments), 0.3)
        emitted = np.array([(moments - distance / SPEED) * RATE])
        direct = map_coordinates(spline_filter1d(source.signal), emitted, prefilter=False, mode="constant")
        heard += direct / distance
        if camera.reverberation:
            heard += oaconvolve(direct, _room(camera.reverberation, generator))[:count] / _CRITICAL
    heard = sosfilt(butter(2, camera.band, "bandpass", fs=RATE, output="sos"), heard)
    heard += camera.noise * generator.standard_normal(count)
    phase = generator.uniform(0, 2 * np.pi, 4)
    for harmonic in range(4):
        heard += camera.hum / 2 * np.sin(2 * np.pi * 50 * (harmonic + 1) * moments + phase[harmonic]) / (harmonic + 1)
    samples = np.clip(np.round(heard * camera.gain * 8192), -32768, 32767).astype(np.int16)
    for begin, end in camera.muted:
        samples[(pts >= begin) & (pts < end)] = 0
    return Sound(samples, RATE, camera.first, np.zeros((0, 2), np.int64))


def walker(kind: str, seconds: float, generator: np.random.Generator, *, moving: bool = True) -> Source:
    """A source of a kind (see KINDS) somewhere in the room; it goes elsewhere every 15 seconds or so."""
    signal = KINDS[kind](round(seconds * RATE), generator)
    places = generator.uniform(0, ROOM, (max(2, round(seconds / 15)) if moving else 1, 2))
    return Source(signal, places)


def speech(count: int, generator: np.random.Generator) -> Floats:
    """Sentences of syllables, each a pulse train or noise through two formants, and pauses between them."""
    signal, at = np.zeros(count), 0
    while at < count:
        pitch = generator.uniform(90, 220)
        for _ in range(generator.integers(4, 16)):
            length = round(generator.uniform(0.08, 0.3) * RATE)
            time = np.arange(length) / RATE
            glide = pitch * (1 + generator.uniform(-0.2, 0.2) * time)
            voiced = np.diff(np.floor(np.cumsum(glide) / RATE), prepend=0.0) * 12
            excitation = voiced + generator.standard_normal(length) * generator.choice([0.05, 1.0], p=[0.7, 0.3])
            sound = np.zeros(length)
            for low, high in ((250, 900), (900, 3000), (3000, 6000)):
                centre = generator.uniform(low, high)
                band = butter(1, (centre * 0.85, min(centre * 1.15, 7500)), "bandpass", fs=RATE, output="sos")
                sound += sosfilt(band, excitation)
            end = min(count, at + length)
            signal[at:end] += (sound * np.hanning(length) * generator.uniform(0.4, 1.6))[: end - at]
            at += round(length * generator.uniform(0.8, 1.1))
            if at >= count:
                break
        at += round(generator.uniform(0.3, 2.5) * RATE)
    return _unit(signal)


def claps(count: int, generator: np.random.Generator) -> Floats:
    """A clap every few seconds."""
    return _unit(_hits(count, generator, lambda: generator.uniform(0.3, 5.0), (500, 7000), 0.01))


def steps(count: int, generator: np.random.Generator) -> Floats:
    """Steps of somebody who walks with pauses."""
    stride = generator.uniform(0.45, 0.65)
    return _unit(
        _hits(
            count,
            generator,
            lambda: stride * generator.normal(1, 0.03) + (generator.random() < 0.08) * 3,
            (100, 2500),
            0.03,
        )
    )


def music(count: int, generator: np.random.Generator) -> Floats:
    """A machine's bar of two seconds, the same over and over."""
    bar = np.zeros(2 * RATE)
    for beat in range(8):
        at, length = beat * RATE // 4, RATE // 4
        decay = np.exp(-np.arange(length) / RATE / 0.05)
        bar[at : at + length] += decay * generator.standard_normal(length) * generator.uniform(0.2, 1)
        tone = np.sin(2 * np.pi * generator.uniform(200, 1500) * np.arange(length) / RATE)
        bar[at : at + length] += decay**0.3 * tone
    return _unit(np.resize(bar, count))


def fan(count: int, generator: np.random.Generator) -> Floats:
    """Noise that does not change."""
    return _unit(sosfilt(butter(1, (100, 2000), "bandpass", fs=RATE, output="sos"), generator.standard_normal(count)))


KINDS: dict[str, Callable[[int, np.random.Generator], Floats]] = {
    "speech": speech,
    "claps": claps,
    "steps": steps,
    "music": music,
    "fan": fan,
}


def _hits(
    count: int, generator: np.random.Generator, wait: Callable[[], float], band: tuple[float, float], decay: float
) -> Floats:
    signal, at = np.zeros(count), round(generator.uniform(0, 1) * RATE)
    length = round(8 * decay * RATE)
    while at < count:
        end = min(count, at + length)
        hit = generator.standard_normal(length) * np.exp(-np.arange(length) / RATE / decay)
        signal[at:end] += hit[: end - at] * generator.uniform(0.5, 1.5)
        at += max(1, round(wait() * RATE))
    return np.asarray(sosfilt(butter(2, band, "bandpass", fs=RATE, output="sos"), signal))


def _distance(source: Source, place: tuple[float, float], moments: Floats) -> Floats:
    """(n,) metres from a source to a place at moments of the scene's clock."""
    count = len(source.places)
    borders = np.arange(1, count) * len(source.signal) / RATE / count
    knots = np.concatenate([[0.0], np.column_stack([borders - MOVE / 2, borders + MOVE / 2]).ravel()])
    corners = np.repeat(source.places, 2, axis=0)[: 2 * count - 1]
    steps = (np.interp(moments, knots, corners[:, axis]) - place[axis] for axis in (0, 1))
    return np.asarray(np.hypot(*steps))


def _room(reverberation: float, generator: np.random.Generator) -> Floats:
    """The answer of a room after the direct sound: noise that decays, of energy 1 (Polack 1988)."""
    time = np.arange(round(1.2 * reverberation * RATE)) / RATE
    tail = generator.standard_normal(len(time)) * 10 ** (-3 * time / reverberation)
    tail[: round(0.003 * RATE)] = 0  # the first wall is a metre away
    return tail / float(np.sqrt(np.square(tail).sum()))


def _unit(signal: Floats) -> Floats:
    """The signal with an rms of 1 where it sounds."""
    loud = np.abs(signal) > 0.05 * np.abs(signal).max(initial=1e-9)
    return signal / float(np.sqrt(np.square(signal[loud]).mean())) if loud.any() else signal
