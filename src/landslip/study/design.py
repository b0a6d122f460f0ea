"""Which rows a study compares: the paper's, a factorial grid, or one data lever at a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from landslip.data.augment import expansion
from landslip.errors import ConfigError
from landslip.layers.catalogue import bands_needed, require_bands
from landslip.study.config import RowConfig, StudyConfig

IMAGE = ("blue", "green", "red", "nir")

LAYER_SET_LABELS = {
    "base": "bands + slope",
    "index": "+ index",
    "objects": "+ index + object means",
    "pre": "+ index + object means + pre-event",
}

_SHORT = {"unet": "U-Net", "resunet34": "ResNet-34 U-Net", "attention-resunet34": "ResNet-34 U-Net + attention"}


def base_layers(config: StudyConfig, bands: Sequence[str]) -> tuple[str, ...]:
    """Layers of the plain rows: those asked for, else the image bands that are there and slope.

    Raises
    ------
    LayerError
        A layer asked for is unknown or cannot be made from the bands.
    ConfigError
        There is no image band at all.
    """
    if config.layers:
        require_bands(config.layers, bands, where=config.data.words)
        return config.layers
    found = tuple(name for name in (*IMAGE, "slope") if name in bands)
    if not set(found) & set(IMAGE):
        message = f"no image band (blue, green, red, nir) in the data; there are: {', '.join(bands)}; give layers"
        raise ConfigError(message)
    return found


def layer_sets(base: Sequence[str], bands: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Layer sets that the bands allow, each with all of the one before.

    ``base``; ``index`` (NDVI, or the visible index where there is no near-infrared); ``objects`` (object means
    of all of these); ``pre`` (differences after − before of bands and index, where there is a pre-event image).
    """
    sets = {"base": tuple(base)}
    index = "ndvi" if {"nir", "red"} <= set(bands) else "ngrdi" if {"green", "red"} <= set(bands) else None
    with_index = tuple(dict.fromkeys((*base, index))) if index else tuple(base)
    if index:
        sets["index"] = with_index
    plain = [name for name in with_index if not name.startswith(("pre_", "d_")) and not name.endswith("_obj")]
    sets["objects"] = (*with_index, *(f"{name}_obj" for name in plain))
    changes = [f"d_{name}" for name in plain if _possible(f"d_{name}", bands)]
    if changes:
        sets["pre"] = (*sets["objects"], *changes)
    return sets


def plan_rows(config: StudyConfig, bands: Sequence[str]) -> tuple[RowConfig, ...]:
    """Rows of the study, each with its layers spelled out.

    Raises
    ------
    ConfigError
        Two rows of one name; ``only`` or ``matched_to`` names a row that is not there.
    LayerError
        A row's layer cannot be made from the bands.
    """
    base = base_layers(config, bands)
    sets = layer_sets(base, bands)
    if config.design == "paper":
        rows = _paper(sets)
    elif config.design == "factorial":
        rows = _factorial(config, sets)
    elif config.design == "data":
        rows = _data(sets)
    else:
        rows = []
    rows += [row if row.layers else row.model_copy(update={"layers": base}) for row in config.rows]
    if config.forest and not any(row.model == "forest" for row in rows):
        rows.append(_forest(sets))
    return _checked(config, rows, bands)


def level_words(rows: Sequence[RowConfig]) -> dict[str, dict[str, str]]:
    """Say what the levels of factors are called, by factor; levels without an entry are called as they are.

    A lever is called by the label of its row.
    """
    by_lever: dict[str, list[str]] = {}
    for row in rows:
        if "lever" in row.factors:
            by_lever.setdefault(row.factors["lever"], []).append(row.label)
    alone = {lever: labels[0] for lever, labels in by_lever.items() if len(labels) == 1}
    return {"network": dict(_SHORT), "layers": dict(LAYER_SET_LABELS), "lever": alone}


def bands_of_study(config: StudyConfig, bands: Sequence[str]) -> tuple[str, ...]:
    """Name those of the bands that some row of the design, kept or not, or the segmentation is made from."""
    rows = plan_rows(config.model_copy(update={"only": ()}), bands)
    layers = {name for row in rows for name in row.layers}
    inputs = tuple(config.objects.inputs or (name for name in IMAGE if name in bands))
    return bands_needed((*base_layers(config, bands), *sorted(layers), *inputs))


def _checked(config: StudyConfig, rows: list[RowConfig], bands: Sequence[str]) -> tuple[RowConfig, ...]:
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            message = f"two rows are named {name!r}; rename yours (the design has one of that name)"
            raise ConfigError(message)
    wanted = config.only or tuple(names)
    for name in (*wanted, *(row.matched_to for row in rows if row.matched_to)):
        if name not in names:
            message = f"there is no row {name!r}; rows are: {', '.join(names)}"
            raise ConfigError(message)
    for row in rows:
        require_bands(row.layers, bands, where=config.data.words)
    _check_matches(rows)
    kept = [row for row in rows if row.name in wanted]
    return tuple(row if row.label else row.model_copy(update={"label": row.name}) for row in kept)


def _check_matches(rows: Sequence[RowConfig]) -> None:
    """Refuse rows whose number of updates nothing sets: matched in a circle, or to a forest, which takes none."""
    by_name = {row.name: row for row in rows}
    for row in rows:
        told, seen = row, [row.name]
        while told.matched_to is not None:
            told = by_name[told.matched_to]
            if told.model == "forest":
                message = (
                    f"row {seen[-1]!r} is matched to {told.name!r}, a forest, which has no updates; name a network"
                )
                raise ConfigError(message)
            if told.name in seen:
                circle = " -> ".join([*seen[seen.index(told.name) :], told.name])
                message = (
                    f"row {row.name!r}: matched_to goes round in a circle ({circle}); let one of them have its own"
                )
                raise ConfigError(message)
            seen.append(told.name)


def _paper(sets: dict[str, tuple[str, ...]]) -> list[RowConfig]:
    base, data = sets["base"], sets["objects"]
    rows = [
        RowConfig(name="unet", label="U-Net", role="baseline", paper="unet", layers=base),
        RowConfig(name="resunet34", label=_SHORT["resunet34"], role="model", paper="resunet34", model="resunet34",
                  layers=base),
        RowConfig(name="attention-resunet34", label=_SHORT["attention-resunet34"], role="attention",
                  paper="attention-resunet34", model="attention-resunet34", layers=base),
        RowConfig(name="data-centric", label="Data-centric U-Net", role="data", paper="data-centric", layers=data,
                  augment="paper5"),
        RowConfig(name="unet-steps", label="U-Net, steps as data-centric", role="control", layers=base,
                  matched_to="data-centric"),
        RowConfig(name="attention-steps", label=f"{_SHORT['attention-resunet34']}, steps as data-centric",
                  role="attention-control", model="attention-resunet34", layers=base, matched_to="data-centric"),
    ]  # fmt: skip
    if "pre" in sets:
        rows.append(
            RowConfig(name="data-centric-pre", label="Data-centric U-Net + pre-event", layers=sets["pre"],
                      augment="paper5", matched_to="data-centric")
        )  # fmt: skip
    return rows


def _factorial(config: StudyConfig, sets: dict[str, tuple[str, ...]]) -> list[RowConfig]:
    """List every combination, all trained for as many updates as one of them.

    That one has the plain layers, which reach furthest and leave it most tiles, and the augmentation that
    multiplies them most.
    """
    longest = max(config.augments, key=lambda augment: len(expansion(augment)))
    target = (config.models[0], "base", longest)

    def named(*levels: str) -> str:
        return ".".join(levels).replace(":", "-")

    rows = []
    for levels in itertools.product(config.models, sets, config.augments):
        model, layers, augment = levels
        plain = levels == (config.models[0], "base", config.augments[0])
        rows.append(
            RowConfig(
                name=named(*levels),
                label=f"{_SHORT.get(model, model)}, {LAYER_SET_LABELS[layers]}, {augment}",
                role="baseline" if plain else "other",
                model=model,
                layers=sets[layers],
                augment=augment,
                matched_to=None if levels == target else named(*target),
                factors={"network": model, "layers": layers, "augmentation": augment},
            )
        )
    return rows


def _data(sets: dict[str, tuple[str, ...]]) -> list[RowConfig]:
    """List the baseline with d4 augmentation and rows that change one lever each.

    All are trained for as many updates: levers add tiles, and layers that do not reach everywhere take some away.
    """

    def row(name: str, label: str, **changes: object) -> RowConfig:
        content = {"name": name, "label": label, "layers": sets["base"], "augment": "d4", "factors": {"lever": name}}
        matched = {} if name == "plain" else {"matched_to": "plain"}
        return RowConfig.model_validate(content | matched | changes)

    rows = [
        row("plain", "U-Net, d4", role="baseline"),
        row("no-augmentation", "− augmentation", augment="none"),
    ]
    rows += [
        row(name, label, levers=levers)
        for name, label, levers in (
            ("balanced", "+ balanced sampling", {"balanced": True}),
            ("hard-negatives", "+ hard negatives", {"hard_negatives": 0.5}),
            ("copy-paste", "+ copy-paste of landslides", {"copy_paste": 0.5}),
            ("boundary", "+ boundary ignored", {"ignore_boundary_px": 1}),
            ("clean-drop", "+ suspicious landslides dropped", {"clean": "drop"}),
            ("clean-shift", "+ landslides moved to fit", {"clean": "shift"}),
            ("noise", "− label noise (20 % forgotten, 2 px)", {"noise_drop": 0.2, "noise_shift_px": 2}),
        )
    ]
    if "index" in sets:
        rows.append(row("index", "+ index", layers=sets["index"]))
    rows.append(row("objects", "+ index + object means", layers=sets["objects"], role="data"))
    if "pre" in sets:
        rows.append(row("pre", "+ index + object means + pre-event", layers=sets["pre"]))
    return rows


def _forest(sets: dict[str, tuple[str, ...]]) -> RowConfig:
    return RowConfig(name="forest", label="Random forest on objects", role="forest", model="forest",
                     layers=sets["objects"])  # fmt: skip


def _possible(name: str, bands: Sequence[str]) -> bool:
    from landslip.layers.catalogue import _describe  # asks without raising

    spec = _describe(name)
    return spec is not None and set(bands_needed([name])) <= set(bands)
