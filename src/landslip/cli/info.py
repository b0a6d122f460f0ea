"""``landslip info``: what is this scene, run, study, map, mosaic or search, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from landslip.cli.console import session
from landslip.cli.options import Debug, Json, Quiet
from landslip.wording import counted


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder of a scene, run, study, map, mosaic or search, or a run in one file.", show_default=False
        ),
    ],
    quicklook: Annotated[Path | None, typer.Option("--quicklook", help="Draw a scene as a PNG.")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
    as_json: Json = False,
) -> None:
    """Say what a scene, run, study, map, mosaic or search is: extent, layers, validity, dates, scores, areas."""
    with session(quiet=quiet, debug=debug, as_json=as_json) as console:
        kind = _kind(path)
        if kind == "scene":
            content, text = _scene(path, quicklook)
        else:
            _refuse_quicklook(quicklook, kind)
            content, text = _whole(path, kind)
        console.result(content, text)


_MARKS = {
    "scene.json": "scene",
    "model.json": "run",
    "study.json": "study",
    "map.json": "map",
    "mosaic.json": "mosaic",
    "search.json": "search",
}


def _kind(path: Path) -> str:
    from landslip.errors import InputError, MissingInputError
    from landslip.files.places import address_of, is_file

    if not address_of(path) and not path.exists():
        message = f"{path}: no such folder; check the path"
        raise MissingInputError(message)
    if path.is_file():
        return "run"
    kind = next((kind for name, kind in _MARKS.items() if is_file(path / name)), None)
    if kind is None:
        kinds = ", ".join(_MARKS.values())
        message = f"{path}: nothing finished that has a description ({kinds}) is in it; check the path"
        raise InputError(message)
    return kind


def _whole(path: Path, kind: str) -> tuple[dict[str, Any], str]:
    """Describe what ``.json`` says; entries of the wrong kind are damage, however they show."""
    from landslip.errors import FormatError, LandslipError

    try:
        return {"run": _run, "study": _study, "map": _map, "mosaic": _mosaic, "search": _search}[kind](path)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, LandslipError):
            raise
        mark = next(name for name, word in _MARKS.items() if word == kind)
        message = f"{path / mark}: an entry is missing or of the wrong kind; the {kind} is damaged, make it again"
        raise FormatError(message) from error


def _refuse_quicklook(quicklook: Path | None, kind: str) -> None:
    from landslip.errors import ConfigError

    if quicklook is not None:
        message = f"--quicklook draws scenes, this is a {kind}; leave it out"
        raise ConfigError(message)


def _scene(path: Path, quicklook: Path | None) -> tuple[dict[str, Any], str]:
    from landslip.scene.describe import describe_scene, in_words
    from landslip.scene.store import Scene

    scene = Scene.open(path)
    content = describe_scene(scene)
    if quicklook is not None:
        from landslip.scene.quicklook import draw_quicklook

        draw_quicklook(scene, quicklook)
        content["quicklook"] = str(quicklook)
    return content, in_words(content)


def _run(path: Path) -> tuple[dict[str, Any], str]:
    from landslip.bundle import read_description

    model = read_description(path)
    architecture, recipe = model.get("architecture", {}), model.get("recipe", {})
    content = {
        "kind": "run",
        "path": str(path),
        "version": model.get("version"),
        "model": architecture.get("name"),
        "parameters": architecture.get("parameters"),
        "weights": architecture.get("weights"),
        "layers": list(recipe.get("layers", [])),
        "matched": bool(recipe.get("matched", False)),
        "threshold": model.get("threshold"),
        "licence": model.get("licence") or None,
        "scores": model.get("scores", {}),
        "training": model.get("training", {}),
    }
    layers = ", ".join(content["layers"])
    lines = [
        f"run {path}",
        f"  model      {content['model']}, {_count(content['parameters'])} parameters, "
        f"weights: {content['weights'] or 'none'}",
        f"  layers     {layers}{'; images matched to the training pixels' if content['matched'] else ''}",
        f"  threshold  {content['threshold']:.3f} (chosen on validation)",
        *_score_lines(content["scores"]),
    ]
    if content["licence"]:
        lines.append(f"  licence    {content['licence']}")
    return content, "\n".join(lines)


def _score_lines(scores: dict[str, Any]) -> list[str]:
    """Give each part's scores at 0.5 and at the run's own threshold, as ``landslip train`` prints them."""
    lines = []
    for part in ("train", "validation", "test"):
        for name, words in (("at_half", "at 0.5"), ("at_threshold", "at the threshold")):
            found = scores.get(part, {}).get(name)
            if found:
                figures = ", ".join(f"{word} {_figure(found[key])}" for key, word in _METRICS.items())
                lines.append(f"  {part:<10} {words}: {figures}")
    return lines


_METRICS = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU"}


def _study(path: Path) -> tuple[dict[str, Any], str]:
    from landslip.files import read_complete

    study = read_complete(path, "study.json", what="study")
    rows = [
        {
            "name": row.get("name"),
            "label": row.get("label"),
            "parameters": row.get("parameters"),
            "f1": row.get("scores", {}).get("test", {}).get("f1"),
        }
        for row in study.get("rows", [])
    ]
    keys = ("version", "title", "design", "seeds", "blocks", "claims", "claims_reason", "warnings")
    content = {"kind": "study", "path": str(path), **{key: study.get(key) for key in keys}, "rows": rows}
    lines = [
        f"study {path}: {study.get('title')}",
        f"  design     {study.get('design')}, {counted(len(rows), 'row')}, "
        f"{counted(len(study.get('seeds', [])), 'seed')}, {counted(study.get('blocks') or 0, 'test block')}",
        *(f"  {row['label']:<40} test F1 {_estimate(row['f1'])}" for row in rows),
    ]
    if not study.get("claims", False) and study.get("claims_reason"):
        lines.append(f"  note       no claims: {study['claims_reason']}")
    lines += [f"  note       {warning}" for warning in study.get("warnings", [])]
    return content, "\n".join(lines)


def _map(path: Path) -> tuple[dict[str, Any], str]:
    from landslip.mapping.result import MapResult

    found = MapResult.open(path).content
    areas, counts = found["areas_m2"], found["counts"]
    content = {
        "kind": "map",
        "path": str(path),
        "version": found.get("version"),
        "scene": found["scene"]["name"],
        "models": [model["name"] for model in found["models"]],
        "threshold": found["threshold"],
        "landslides": counts["landslides"],
        "areas_m2": areas,
        "outside_training_range": found.get("outside_training_range", {}),
        "files": sorted(found["files"]),
    }
    mapped, covered = areas["mapped"], areas["landslides"]
    share = f" ({covered / mapped:.1%})" if mapped else ""
    missing = ", ".join(f"{reason} {area / 1e6:.3f} km²" for reason, area in areas["unmapped"].items())
    outside = ", ".join(f"{layer} {part:.0%}" for layer, part in content["outside_training_range"].items())
    lines = [
        f"map {path}: {content['scene']} by {', '.join(content['models'])}",
        f"  landslides {counts['landslides']:,}, {covered / 1e6:.3f} km²{share} of {mapped / 1e6:.3f} km² mapped",
        f"  threshold  {content['threshold']:.3f}",
        *([f"  not mapped {missing}"] if missing else []),
        *([f"  outside    training range (2 % would be usual): {outside}"] if outside else []),
        f"  files      {', '.join(content['files'])}",
    ]
    return content, "\n".join(lines)


def _mosaic(path: Path) -> tuple[dict[str, Any], str]:
    from landslip.files import read_complete
    from landslip.mapping.mosaic import MosaicResult

    found = MosaicResult(path, read_complete(path, "mosaic.json", what="mosaic"))
    maps = [f"  map        {one['name']}" for one in found.content["maps"]]
    return {"kind": "mosaic", "path": str(path)} | found.content, "\n".join([f"mosaic {path}: {found.summary}", *maps])


def _search(path: Path) -> tuple[dict[str, Any], str]:
    from landslip.files import read_complete
    from landslip.study.search_table import as_markdown

    found = read_complete(path, "search.json", what="search")
    table = as_markdown(found["table"], list(found["table"][0]["settings"])).rstrip()
    lines = f"search {path}: {counted(len(found['table']), 'trial')}, the best in {found['best']}"
    return {"kind": "search", "path": str(path)} | found, f"{lines}\n\n{table}"


def _estimate(estimate: dict[str, Any] | None) -> str:
    if not estimate or estimate.get("value") is None:
        return "undefined"
    if estimate.get("low") is None:
        return _figure(estimate["value"])
    return f"{_figure(estimate['value'])} ({_figure(estimate['low'])} to {_figure(estimate['high'])})"


def _count(number: int | None) -> str:
    return "unknown number of" if number is None else f"{number:,}"


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
