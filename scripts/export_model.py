#!/usr/bin/env python3
"""Writes a model as files that other software runs, after checking on pictures that they answer as the model does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _cli import FAILED, CommandParser, run_command

from _lambda_folder import LAMBDA, LambdaReport, write_lambda_folder

from derm_core.diagnoses import NOTICE
from derm_core.errors import ConfigError
from derm_core.serving.export_formats import FORMATS, check_target
from derm_core.serving.many_files import find_pictures

KINDS = {**FORMATS, LAMBDA.name: LAMBDA}


def main() -> int | None:
    arguments = parse_arguments()
    check_target(KINDS[arguments.format], arguments.out, overwrite=arguments.overwrite)
    pictures = pictures_to_check(arguments.verify_on)
    # Only now, so that neither --help nor a wrong argument waits for PyTorch.
    from derm_core.serving.bundle import find_bundle, load_bundle
    from derm_core.serving.export import export_model
    from derm_core.serving.export_check import Disagreement

    bundle = load_bundle(find_bundle(arguments.model))
    print(f"exporting {bundle.description.name} {bundle.description.version} ...", file=sys.stderr)
    report: LambdaReport | None = None
    try:
        if arguments.format == LAMBDA.name:
            report = write_lambda_folder(bundle, arguments.out, pictures, overwrite=arguments.overwrite)
            agreement = report.agreement
        else:
            agreement = export_model(
                bundle, arguments.format, arguments.out, pictures=pictures, overwrite=arguments.overwrite
            )
    except Disagreement as err:
        print(f"error: {err}", file=sys.stderr)
        return FAILED
    written = {"format": arguments.format, "out": str(arguments.out), "bytes": size_of(arguments.out)}
    if arguments.json:
        print(json.dumps(written | asdict(agreement) | (timings(report) if report else {})))
        return None
    print(
        f"{arguments.out}: {written['bytes'] / 1e6:.1f} MB. It answers as the model does on {agreement.pictures} "
        f"pictures: the same diagnosis first, probabilities within {agreement.difference:.1g}, heatmaps "
        f"correlated by {agreement.correlation:.4f} or more."
    )
    if report:
        print(
            f"With its packages {(report.folder_bytes + report.packages_bytes) / 1e6:.0f} MB. Ready after "
            f"{report.seconds_to_ready:.2f} s; the first answer with heatmap took {report.seconds_first:.2f} s more, "
            f"later ones {report.seconds_next:.3f} s."
        )
    return None


def parse_arguments() -> argparse.Namespace:
    width = max(map(len, KINDS))
    parser = CommandParser(
        description=__doc__,
        epilog="formats:\n"
        + "\n".join(f"  {kind.name:<{width}}  {kind.summary}" for kind in KINDS.values())
        + f"\n\n{NOTICE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        required=True,
        help="'bundled', a registered name, or a bundle's folder",
    )
    parser.add_argument("--format", choices=list(KINDS), required=True, help="one of those below")
    parser.add_argument("--out", metavar="PATH", type=Path, required=True, help="the file or folder to write")
    parser.add_argument(
        "--verify-on",
        metavar="IMAGE|FOLDER",
        type=Path,
        nargs="+",
        default=[],
        help="pictures to check the export on, beside the drawn ones",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what stands at PATH")
    parser.add_argument("--json", action="store_true", help="print what came of it as JSON")
    return parser.parse_args()


def pictures_to_check(places: Sequence[Path]) -> list[Path]:
    """Returns the pictures; raises ConfigError where places were named and none is in them."""
    files, _ = find_pictures(places, recursive=True)
    if places and not files:
        raise ConfigError(f"There is no picture in {', '.join(map(str, places))} to check the export on.")
    return files


def size_of(path: Path) -> int:
    """Returns bytes, of a file or of all files in a folder."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def timings(report: LambdaReport) -> dict[str, Any]:
    return {name: value for name, value in asdict(report).items() if name != "agreement"}


if __name__ == "__main__":
    run_command(main)
