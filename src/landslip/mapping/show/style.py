"""How a map looks: one set of colours for QGIS, the picture and the page."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from landslip.mapping.landslides.unmapped import OTHER, REASONS

CONFIDENCE_COLOURS = {"high": "#b10026", "medium": "#f03b20", "low": "#feb24c"}
"""Dark to light: from the sequential scale YlOrRd of ColorBrewer, readable on vegetation and bare ground."""

UNMAPPED_COLOUR = "#6b7280"

PROBABILITY_RAMP = ((0.0, "#000004"), (0.25, "#51127c"), (0.5, "#b73779"), (0.75, "#fc8961"), (1.0, "#fcfdbf"))
"""Magma of matplotlib (CC0), at quarters."""

QGIS_VERSION = "3.34.0"
"""Version of QGIS whose form of style is written; later ones read it."""


@dataclass(frozen=True)
class Fill:
    """A filled outline: colours with opacity, brush of QGIS."""

    label: str
    value: str
    fill: tuple[int, int, int, int]
    line: tuple[int, int, int, int]
    brush: str = "solid"


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green, blue from ``#rrggbb``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def landslide_style() -> str:
    """QML that colours landslides by their confidence class."""
    fills = [
        Fill(f"{name} confidence", name, (*rgb(colour), 90), (*rgb(colour), 255))
        for name, colour in CONFIDENCE_COLOURS.items()
    ]
    return _categories("confidence", fills, display="id")


def unmapped_style() -> str:
    """QML that hatches where nothing was mapped."""
    colour = (*rgb(UNMAPPED_COLOUR), 200)
    fills = [Fill(reason, reason, colour, colour, "b_diagonal") for reason in (*REASONS.values(), OTHER)]
    return _categories("reason", fills, display="reason")


def comparison_style() -> str:
    """QML for hits, false alarms and misses."""
    fills = [
        Fill("hit", "TP", (27, 120, 55, 110), (27, 120, 55, 255)),
        Fill("false alarm", "FP", (214, 96, 77, 110), (178, 24, 43, 255)),
        Fill("miss", "FN", (67, 147, 195, 110), (33, 102, 172, 255)),
    ]
    return _categories("class", fills, display="class")


def probability_style() -> str:
    """QML that colours the probability raster; put beside it under the same name, QGIS takes it."""
    items = "\n".join(
        f'          <item alpha="{0 if value == 0 else 255}" value="{value}" label="{value:.2f}" color="{colour}"/>'
        for value, colour in PROBABILITY_RAMP
    )
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="{QGIS_VERSION}" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="0.8" alphaBand="-1" nodataColor="" \
classificationMin="0" classificationMax="1">
      <rasterTransparency/>
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0" minimumValue="0" \
maximumValue="1" labelPrecision="2">
{items}
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
"""


def _categories(attribute: str, fills: list[Fill], *, display: str) -> str:
    categories = "\n".join(
        f'      <category value={quoteattr(fill.value)} type="string" symbol="{number}" '
        f'label={quoteattr(fill.label)} render="true"/>'
        for number, fill in enumerate(fills)
    )
    symbols = "\n".join(_symbol(number, fill) for number, fill in enumerate(fills))
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="{QGIS_VERSION}" styleCategories="Symbology|MapTips">
  <renderer-v2 type="categorizedSymbol" attr={quoteattr(attribute)} symbollevels="0" enableorderby="0" \
forceraster="0" referencescale="-1">
    <categories>
{categories}
    </categories>
    <symbols>
{symbols}
    </symbols>
    <rotation/>
    <sizescale/>
  </renderer-v2>
  <previewExpression>{escape(f'"{display}"')}</previewExpression>
  <blendMode>0</blendMode>
  <featureBlendMode>0</featureBlendMode>
  <layerGeometryType>2</layerGeometryType>
</qgis>
"""


def _symbol(number: int, fill: Fill) -> str:
    options = {
        "border_width_map_unit_scale": "3x:0,0,0,0,0,0",
        "color": ",".join(str(part) for part in fill.fill),
        "joinstyle": "bevel",
        "offset": "0,0",
        "offset_map_unit_scale": "3x:0,0,0,0,0,0",
        "offset_unit": "MM",
        "outline_color": ",".join(str(part) for part in fill.line),
        "outline_style": "solid",
        "outline_width": "0.3",
        "outline_width_unit": "MM",
        "style": fill.brush,
    }
    lines = "\n".join(
        f'            <Option name="{name}" type="QString" value={quoteattr(value)}/>'
        for name, value in options.items()
    )
    return f"""      <symbol type="fill" name="{number}" alpha="1" clip_to_extent="1" force_rhr="0" is_animated="0" \
frame_rate="10">
        <layer class="SimpleFill" enabled="1" locked="0" pass="0">
          <Option type="Map">
{lines}
          </Option>
        </layer>
      </symbol>"""
