"""What explain.py --measure measures, prints and writes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _cli import progress

from _evaluation_tables import table

from derm_core.data.table import load_dataset
from derm_core.diagnoses import NOTICE, get_task
from derm_core.explanation.masks import find_masks
from derm_core.explanation.methods import get_method
from derm_core.files import replace_file
from derm_core.serving.attribution import attributor_of
from derm_core.serving.faithfulness import choose_photographs, measure_methods
from derm_core.serving.faithfulness_text import (
    explanations_markdown,
    map_stability_rows,
    method_rows,
    sanity_rows,
    stability_rows,
)
from derm_core.serving.loading import load_predictor
from derm_core.serving.stability import measure_stability

ALL = "all"


def chosen_methods(named: str | None, suitable: Sequence[str], usual: str) -> list[str]:
    """Returns the names that --method asks for; `usual` where it does not."""
    wanted = named or usual
    if wanted == ALL:
        return list(suitable)
    return [get_method(name.strip()).name for name in wanted.split(",")]


def measure(arguments: argparse.Namespace) -> None:
    """Measures the methods, and prints or writes their figures."""
    dataset = load_dataset(arguments.data)
    masks = find_masks(arguments.data, arguments.masks)
    predictor = load_predictor(arguments.model, device=arguments.device, threads=arguments.threads)
    description, attributor = predictor.description, attributor_of(predictor)
    task = get_task(description.task)
    part = dataset if arguments.split == ALL else dataset.subset(arguments.split)
    chosen = choose_photographs(part, task, masks, arguments.limit)
    draw = {"bootstrap": arguments.bootstrap, "seed": arguments.seed}
    figures = measure_methods(
        attributor,
        chosen,
        masks,
        methods=chosen_methods(arguments.method, attributor.methods, ALL),
        task=task,
        classes=predictor.classes,
        sanity_photographs=arguments.sanity,
        progress=lambda indices, total, what: progress(indices, total, what),
        **draw,
    )
    if arguments.stability:
        figures["stability"] = measure_stability(
            predictor,
            chosen,
            progress=lambda indices, total: progress(indices, total, "asking again"),
            **draw,
        )
    figures |= {
        "model": {
            "name": description.name,
            "version": description.version,
            "sha256": description.weights_sha256,
        },
        "data": {
            "name": dataset.folder.resolve().name,
            "split": arguments.split,
            "fingerprint": dataset.fingerprint(),
        },
        "threads": arguments.threads,
    }
    text = json.dumps(figures, indent=2, allow_nan=False, ensure_ascii=False)
    if arguments.json == "-":
        print(text)
        return
    print(readable(figures))
    if arguments.json:
        replace_file(Path(arguments.json), f"{text}\n".encode())
    if arguments.markdown:
        replace_file(arguments.markdown, explanations_markdown(figures).encode())


def readable(figures: Mapping[str, Any]) -> str:
    model, data = figures["model"], figures["data"]
    parts = [
        f"model {model['name']} {model['version']} (SHA-256 {model['sha256'][:12]})\n"
        f"data  {data['name']}, split {data['split']}: {figures['n']} photographs of {figures['lesions']} lesions with "
        "their outlines",
        table(*method_rows(figures)),
    ]
    if figures.get("sanity"):
        parts += [table(*sanity_rows(figures)), table(*map_stability_rows(figures))]
    if figures.get("stability"):
        parts.append(table(*stability_rows(figures["stability"])))
    return "\n\n".join([*parts, NOTICE])
