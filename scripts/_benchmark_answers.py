"""What an answer with its heatmap costs in each runtime, one picture at a time and many, against the peers."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from _benchmark_naive import PLAIN, NaivePeer, peer_cases
from _benchmark_networks import Network, drawn_photograph
from _benchmark_peak import matrix_peak, pass_operations
from _benchmark_processes import starts
from _benchmark_rounds import Case, interleaved, ratio
from _benchmark_runtimes import (
    ANSWER,
    HEATMAPS,
    OpenRuntime,
    cases_of,
    most_a_second,
    one_core_each,
    open_runtime,
)

from derm_core.errors import ConfigError
from derm_core.serving.machine import cores, multiplies
from derm_core.serving.runtimes import EAGER

_BATCH = 16


@dataclass(frozen=True)
class Effort:
    """How thoroughly is measured: rounds of one picture, cores for one pass, seconds of each throughput, rounds of
    whole processes, and about how many seconds all networks' rounds of a kind may take."""

    rounds: int
    threads: int
    seconds: float
    starts: int
    most_seconds: float


def measure_answers(
    networks: Sequence[Network], runtimes: Sequence[str], image: Path | None, effort: Effort
) -> dict[str, Any]:
    """Measures each network in each runtime, and returns all figures as plain values.

    Args:
        networks, runtimes: what is measured.
        image: a picture for the whole processes; None for a drawn one.
        effort: how thoroughly.
    """
    torch.set_num_threads(effort.threads)
    peaks: dict[str, float] = {}
    _raise_peaks(peaks)
    with tempfile.TemporaryDirectory() as temporary:
        picture = Path(temporary) / "picture.jpg"
        picture.write_bytes(image.read_bytes() if image else drawn_photograph())
        share = replace(effort, most_seconds=effort.most_seconds / len(networks))
        found = [_measure(network, runtimes, picture, peaks, share) for network in networks]
    return {"rounds": effort.rounds, "matrix_peak": peaks, "networks": found}


def _measure(
    network: Network, runtimes: Sequence[str], picture: Path, peaks: dict[str, float], effort: Effort
) -> dict[str, Any]:
    opened, alone, left_out = _open_all(network, runtimes, effort.threads)
    torch.set_num_threads(effort.threads)
    peer = NaivePeer(network.bundle)
    peers = peer_cases(peer)
    cases = peers | {
        f"{name}, {what}": case
        for name, one in opened.items()
        for what, case in cases_of(one.runtime, network).items()
    }
    times = interleaved(cases, effort.rounds, network.title, most_seconds=effort.most_seconds)
    side = network.bundle.description.preprocessing.image_size
    batch = torch.randn(_BATCH, 3, side, side)
    plain_rate = _BATCH * most_a_second(lambda: peer.probabilities(batch), workers=1, seconds=effort.seconds)
    plain_start, start = starts(
        network.folder,
        list(opened),
        picture,
        effort.starts,
        plain=peer.has_maps,
        most_seconds=effort.most_seconds,
    )
    operations = pass_operations(network.bundle)
    rates = {name: _rate(one, network, effort) for name, one in alone.items()}
    _raise_peaks(peaks)
    rows = []
    for name, one in opened.items():
        rate = rates[name]
        rows.append(
            {
                "runtime": name,
                "form": one.choice.name,
                "reason": one.choice.reason,
                "precision": one.precision,
                "measured": one.measured,
                "by_plain": {
                    what: ratio(times[f"{name}, {what}"], times[PLAIN]) for what in (ANSWER, HEATMAPS)
                },
                "times_as_fast_as": {
                    peer_name: ratio(times[peer_name], times[f"{name}, {HEATMAPS}"])
                    for peer_name in peers
                    if peer_name != PLAIN
                },
                "in_batches_by_plain": rate / plain_rate,
                "share_of_peak": rate * operations / peaks[one.precision] if one.precision in peaks else None,
                "start_by_plain": start[name].seconds / plain_start.seconds if plain_start else None,
                "start_seconds": start[name].seconds,
                "memory_by_plain": start[name].memory / plain_start.memory if plain_start else None,
                "megabytes": start[name].memory / 1e6,
            }
        )
    return {
        "network": network.title,
        "architecture": network.bundle.description.architecture,
        "rounds": len(times[PLAIN]),
        "operations_a_picture": operations,
        "weights_in_megabytes": (network.folder / "model.safetensors").stat().st_size / 1e6,
        "milliseconds": {name: 1e3 * statistics.median(values) for name, values in times.items()},
        "peers_by_plain": {name: ratio(times[name], times[PLAIN]) for name in peers if name != PLAIN},
        "plain_pictures_a_second_in_batches": plain_rate,
        "plain_share_of_peak": plain_rate * operations / peaks["f32"],
        "plain_start_seconds": plain_start.seconds if plain_start else None,
        "plain_megabytes": plain_start.memory / 1e6 if plain_start else None,
        "runtimes": rows,
        "left_out": left_out,
    }


def _raise_peaks(peaks: dict[str, float]) -> None:
    """Measures the matrix peak of each precision once more, and keeps what is higher: others use the machine, too."""
    kinds = {"f32": torch.float32} | ({"bf16": torch.bfloat16} if multiplies("bf16") else {})
    for name, kind in kinds.items():
        peaks[name] = max(peaks.get(name, 0.0), matrix_peak(torch.device("cpu"), kind))


def _open_all(
    network: Network, names: Sequence[str], threads: int
) -> tuple[dict[str, OpenRuntime], dict[str, OpenRuntime], dict[str, str]]:
    """Returns runtimes with so many cores for a pass, the same with one core for each, and why others cannot answer."""
    opened, alone, left_out = {}, {}, {}
    for name in names:
        try:
            opened[name] = open_runtime(network, name, threads=threads)
            alone[name] = one_core_each(network, name, opened[name])
        except ConfigError as err:
            left_out[name] = str(err)
            opened.pop(name, None)
    return opened, alone, left_out


def _rate(one: OpenRuntime, network: Network, effort: Effort) -> float:
    """Pictures a second, each with all that its runtime gives: on every core one pass of its own."""
    case: Case = cases_of(one.runtime, network)[HEATMAPS]
    workers = cores()
    if one.choice.name == EAGER:
        torch.set_num_threads(1)
    try:
        return most_a_second(case, workers=workers, seconds=effort.seconds)
    finally:
        torch.set_num_threads(effort.threads)
