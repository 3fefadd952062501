"""What the benchmark found, for people: tables of ratios and a plot. Measures nothing."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from _benchmark_naive import CAPTUM, GRAD_CAM
from _benchmark_runtimes import ANSWER, HEATMAPS
from PIL import Image

from derm_core.experiments.figure import expression, rows_of
from derm_core.experiments.figure_theme import PAPER, theme
from derm_core.files import replace_file

_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
_PIXELS_PER_POINT, _COLOURS = 2, 64
_NAMES = {
    "eager": "PyTorch, one pass",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "openvino-bf16": "OpenVINO, bf16",
    "openvino-int8": "OpenVINO, int8",
}
_OURS, _THEIRS = "Dermatrace: answer and heatmap", "others: answer and heatmap"
_ABSENT = "not measured"


def tables(report: Mapping[str, Any], *, plot: str | None, command: str) -> str:
    """Returns Markdown: where it was measured, a table of one picture, one of many, and one of a folder.

    Args:
        report: what `measure_answers` and `measure_folder` gave, and the machine.
        plot: the name of the picture beside the page; None for none.
        command: that makes it again.
    """
    machine = report["machine"]
    lines = [
        "# Benchmark",
        "",
        f"Made by `{command}`, in one run on {machine['processor']}, {machine['cores']} cores, PyTorch "
        f"{machine['torch']}, ONNX Runtime {machine['onnxruntime']}, OpenVINO {machine['openvino']}, Captum "
        f"{machine['captum']}, pytorch-grad-cam {machine['grad-cam']}. Every figure is a ratio of times, rates or "
        "sizes of that run; other machines give others.",
        "",
        *(
            [f"![Time of an answer with its heatmap, by that of a plain forward pass]({plot})", ""]
            if plot
            else []
        ),
        "## One picture",
        "",
        "From pixels at the network's size to probabilities and heatmap; one picture at a time on all cores. *Plain* "
        "is the forward pass of eager PyTorch in float32, with no heatmap. Medians over "
        f"{report['rounds']} rounds in which all took turns{_fewer_rounds(report)}.",
        "",
        "| network | runtime | answer, by plain | answer and heatmap, by plain | times as fast as PyTorch with "
        "Captum | with pytorch-grad-cam |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for network in report["networks"]:
        lines += [_one_picture(network["network"], row) for row in network["runtimes"]]
        lines += [
            f"| {network['network']} | {_NAMES[name]} | cannot answer | | | |" for name in network["left_out"]
        ]
    lines += [
        "",
        *_reasons(report),
        "## Many pictures, start and memory",
        "",
        "Throughput is that of passes side by side, one a core, each with its heatmap, by that of PyTorch's forward "
        "pass in batches of 16 on all cores, without. The peak is that of a matrix product or a convolution of the "
        "same precision by PyTorch, whichever was faster, measured in the same run; of int8 none was measured. Start "
        "is from the start of the process to the first answer with its heatmap on the disk (`scripts/predict.py`, "
        "compiled before), memory the most that the process held; both by a plain script with PyTorch and Captum, or "
        "pytorch-grad-cam for vision transformers, whose tokens Captum takes for channels.",
        "",
        "| network | runtime | computes in | throughput, by plain | share of the peak | start | memory |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for network in report["networks"]:
        whole = _ABSENT if network["plain_start_seconds"] is None else "1"
        lines.append(
            f"| {network['network']} | plain | f32 | 1 | {network['plain_share_of_peak']:.0%} | {whole} | {whole} |"
        )
        lines += [_many(network["network"], row) for row in network["runtimes"]]
    sizes = ", ".join(
        f"{network['network']} {network['weights_in_megabytes']:.1f} MB" for network in report["networks"]
    )
    lines += ["", f"Weights in the bundle: {sizes}.", ""]
    if report.get("folder"):
        lines += _folder(report["folder"])
    if report["not_installed"]:
        lines += [f"Not installed: {', '.join(report['not_installed'])}.", ""]
    return "\n".join(lines)


def save_plot(report: Mapping[str, Any], path: Path) -> None:
    """Draws the time of an answer with its heatmap, by that of a plain forward pass, as PNG or SVG."""
    rows = []
    for network in report["networks"]:
        for row in network["runtimes"]:
            rows.append(_bar(network, _NAMES[row["runtime"]], _OURS, row["by_plain"][HEATMAPS]["median"]))
        for name, ratio in network["peers_by_plain"].items():
            rows.append(_bar(network, f"PyTorch with {name}", _THEIRS, ratio["median"]))
    order = [f"PyTorch with {name}" for name in (GRAD_CAM, CAPTUM)] + list(_NAMES.values())
    ways = [name for name in order if any(row["way"] == name for row in rows)]
    longest = max(row["ratio"] for row in rows)
    panels = [
        _panel([row for row in rows if row["network"] == name], name, ways, longest)
        for name in (network["network"] for network in report["networks"])
    ]
    spec = alt.vconcat(*panels, spacing=28).to_dict() | {"config": theme(PAPER), "padding": 12}
    svg = vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE)
    replace_file(path, svg.encode() if path.suffix == ".svg" else _small_png(svg))


def _small_png(svg: str) -> bytes:
    """A PNG of few colours, which are enough for bars and text."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=_PIXELS_PER_POINT))) as drawn:
        drawn.convert("RGB").quantize(_COLOURS).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _panel(rows: list[dict[str, Any]], network: str, ways: list[str], longest: float) -> Any:
    base = alt.Chart(rows_of(rows)).encode(
        y=alt.Y("way:N", sort=ways, title=None, axis=alt.Axis(labelLimit=240)),
    )
    bars = base.mark_bar(height=14).encode(
        x=alt.X(
            "ratio:Q",
            title="time of an answer with its heatmap, by that of a plain forward pass of PyTorch",
            scale=alt.Scale(domain=[0, 1.12 * longest]),
        ),
        color=alt.Color(
            "whose:N",
            sort=[_OURS, _THEIRS],
            scale=alt.Scale(domain=[_OURS, _THEIRS], range=[PAPER.accent, PAPER.muted]),
            legend=alt.Legend(symbolType="square", symbolStrokeWidth=0, symbolSize=90),
        ),
    )
    # A ground behind the numbers, where the line runs through one.
    ground = base.mark_text(align="left", dx=5, stroke=PAPER.surface, strokeWidth=5).encode(
        x="ratio:Q", text="label:N"
    )
    numbers = base.mark_text(align="left", dx=5).encode(x="ratio:Q", text="label:N")
    one = (
        alt.Chart(rows_of([{"ratio": 1}]))
        .mark_rule(strokeDash=[3, 3], color=expression("muted"))
        .encode(x="ratio:Q")
    )
    return alt.layer(bars, one, ground, numbers).properties(title=network, width=440, height=26 * len(ways))


def _bar(network: Mapping[str, Any], way: str, whose: str, ratio: float) -> dict[str, Any]:
    return {
        "network": network["network"],
        "way": way,
        "whose": whose,
        "ratio": ratio,
        "label": f"{ratio:.2f}",
    }


def _one_picture(network: str, row: Mapping[str, Any]) -> str:
    peers = [
        f"{row['times_as_fast_as'][name]['median']:.1f}" if name in row["times_as_fast_as"] else _ABSENT
        for name in (CAPTUM, GRAD_CAM)
    ]
    times = [f"{row['by_plain'][what]['median']:.2f}" for what in (ANSWER, HEATMAPS)]
    return f"| {network} | {_NAMES[row['runtime']]} | {' | '.join([*times, *peers])} |"


def _many(network: str, row: Mapping[str, Any]) -> str:
    cells = [
        *(network, _NAMES[row["runtime"]], row["precision"], f"{row['in_batches_by_plain']:.2f}"),
        _ABSENT if row["share_of_peak"] is None else f"{row['share_of_peak']:.0%}",
        *(
            _ABSENT if row[what] is None else f"{row[what]:.2f}"
            for what in ("start_by_plain", "memory_by_plain")
        ),
    ]
    return f"| {' | '.join(cells)} |"


def _fewer_rounds(report: Mapping[str, Any]) -> str:
    """Says of which networks there were fewer rounds, for they are slow."""
    slow = [network for network in report["networks"] if network["rounds"] < report["rounds"]]
    told = ", ".join(f"{network['rounds']} of {network['network']}" for network in slow)
    return f"; of slow networks over fewer ({told})" if slow else ""


def _reasons(report: Mapping[str, Any]) -> list[str]:
    """Says why runtimes cannot answer, and what lets those in fewer bits do so: a paragraph for each."""
    lines = []
    for network in report["networks"]:
        told = {row["runtime"]: f"{row['measured']}." for row in network["runtimes"] if row["measured"]}
        for name, reason in (told | network["left_out"]).items():
            lines += [f"{network['network']}, {_NAMES[name]}: {reason}", ""]
    return lines


def _folder(rows: list[Mapping[str, Any]]) -> list[str]:
    first = rows[0]
    return [
        "## A folder",
        "",
        f"`scripts/predict.py` with heatmaps over {first['pictures']:,} pictures, its start included, by a plain loop "
        f"(PIL, torchvision's transforms, eager PyTorch, Captum) over {first['plain_pictures']:,} of them, its start "
        f"left out; {first['network']}.",
        "",
        "| pictures | runtime | pictures a second, by the plain loop |",
        "|---|---|---:|",
        *(f"| {row['size']} | {_NAMES[row['runtime']]} | {row['times_as_many']:.1f} |" for row in rows),
        "",
    ]
