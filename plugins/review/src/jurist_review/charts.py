"""Charts as plotly figures: plain dicts that plotly.js draws in the page.

Colours of texts and grid lines are left to the page's style sheet, so that charts follow its theme; the
colours of the data have enough contrast on both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jurist_review.calibration import Reliability
from jurist_review.confusion import Pair, square
from jurist_review.curves import Curve
from jurist_review.display import number, visible
from jurist_review.trajectories import Trajectories

_COLOURS = ("#1f83c9", "#d55e00", "#009e73", "#a65fa0", "#7a7a7a", "#a0622d")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
_LONGEST_LABEL = 24
"""Characters of a name beside a chart: on a phone that leaves half of the width."""


@dataclass(frozen=True)
class Chart:
    """A figure, its title, and what it shows in a sentence for those who cannot see it.

    ``left_out`` lines are in the table beside it alone: more of them could not be told apart.
    """

    title: str
    description: str
    figure: dict[str, Any]
    left_out: int = 0


def interval_chart(title: str, estimates: Mapping[str, Mapping[str, float]]) -> Chart:
    """One row per name: its mean with its 95% interval."""
    names = list(estimates)
    means = [estimates[name]["mean"] for name in names]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [_finite(mean) for mean in means],
        "y": [_escaped(name) for name in names],
        "marker": {"color": _COLOURS[0], "size": 9},
        "cliponaxis": False,
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_reach(estimates[name]["high"], mean) for name, mean in zip(names, means, strict=True)],
            "arrayminus": [
                _reach(mean, estimates[name]["low"]) for name, mean in zip(names, means, strict=True)
            ],
            "color": _COLOURS[0],
            "thickness": 2,
        },
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }
    layout = _layout(height=50 + 32 * len(names))
    layout["yaxis"] |= {"range": [len(names) - 0.5, -0.5], "automargin": True, **_categories(names)}
    layout["xaxis"]["rangemode"] = "tozero"
    spoken = "; ".join(f"{name} {number(estimates[name]['mean'])}" for name in names)
    return Chart(title, visible(f"{title}, mean with 95% interval: {spoken}"), _figure([trace], layout))


def rounds_chart(trajectories: Trajectories) -> Chart:
    """Share of trajectories whose text violates a principle, per round."""
    rounds = [counted for counted in trajectories.rounds if counted.known]
    shares = {"any principle": [counted.violating / counted.known for counted in rounds]}
    for name in trajectories.principles[: len(_COLOURS) - 1]:
        shares[name] = [counted.principles[name] / counted.known for counted in rounds]
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(name),
            "x": [counted.number for counted in rounds],
            "y": values,
            "line": {"color": _COLOURS[place], "dash": _DASHES[place], "width": 2.5 if place == 0 else 1.5},
            "marker": {"symbol": _SYMBOLS[place], "size": 8},
            "hovertemplate": "round %{x}: %{y:.1%}<extra>%{fullData.name}</extra>",
        }
        for place, (name, values) in enumerate(shares.items())
    ]
    layout = _layout(height=340, legend=True)
    layout["xaxis"] |= {"title": {"text": "round"}, "dtick": 1}
    layout["yaxis"] |= {"tickformat": ".0%", "rangemode": "tozero", "automargin": True}
    spoken = ", ".join(f"{value:.1%}" for value in shares["any principle"])
    return Chart(
        "Violations by round",
        f"Share of texts that violate a principle, by round: {spoken}",
        _figure(traces, layout),
        left_out=1 + len(trajectories.principles) - len(traces),
    )


def curve_chart(name: str, runs: Mapping[str, Curve]) -> Chart:
    """One training metric over the steps, of one run or of several."""
    traces, ends = [], []
    for place, (run, curve) in enumerate(runs.items()):
        line, style = curve.line, place % len(_COLOURS)
        trace = {
            "type": "scatter",
            "mode": "lines" if len(line) > 1 else "markers",
            "name": label(run),
            "x": [step for step, _ in line],
            "y": [value for _, value in line],
            "line": {"color": _COLOURS[style], "dash": _DASHES[style], "width": 1.5},
            "marker": {"symbol": _SYMBOLS[style]},
            "hovertemplate": "step %{x}: %{y:.4g}<extra></extra>",
        }
        traces.append(trace)
        if line:
            which = f"{run}: " if len(runs) > 1 else ""
            ends.append(f"{which}from {number(line[0][1])} to {number(line[-1][1])}")
    layout = _layout(height=200, legend=len(runs) > 1)
    if len(runs) > 1:
        layout["height"] += 20 * len(runs)
        layout["margin"]["t"] += 20 * len(runs)
        layout["legend"] = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    layout["xaxis"]["title"] = {"text": "step"}
    layout["yaxis"] |= {"automargin": True, "exponentformat": "e"}
    spoken = f"{name} over the steps, {'; '.join(ends)}"
    return Chart(visible(name), visible(spoken), _figure(traces, layout))


def reliability_chart(reliabilities: Sequence[Reliability]) -> Chart:
    """How often labels are right by how probable they were said to be; on the diagonal both are the same."""
    diagonal = {
        "type": "scatter",
        "mode": "lines",
        "name": "as claimed",
        "x": [0.5, 1],
        "y": [0.5, 1],
        "line": {"color": _COLOURS[4], "dash": "dot", "width": 1},
        "hoverinfo": "skip",
    }
    traces: list[dict[str, Any]] = [diagonal]
    for place, each in enumerate(reliabilities[: len(_COLOURS)]):
        trace = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(each.name),
            "x": [bin.claimed for bin in each.bins],
            "y": [bin.right.mean for bin in each.bins],
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [_reach(bin.right.high, bin.right.mean) for bin in each.bins],
                "arrayminus": [_reach(bin.right.mean, bin.right.low) for bin in each.bins],
                "thickness": 1,
            },
            "line": {"color": _COLOURS[place], "dash": _DASHES[place], "width": 1.5},
            "marker": {"symbol": _SYMBOLS[place], "size": 8},
            "hovertemplate": "claimed %{x:.1%}, right %{y:.1%}<extra>%{fullData.name}</extra>",
        }
        traces.append(trace)
    layout = _layout(height=380, legend=True)
    layout["xaxis"] |= {"title": {"text": "claimed probability"}, "tickformat": ".0%"}
    layout["yaxis"] |= {"title": {"text": "right"}, "tickformat": ".0%", "automargin": True}
    errors = "; ".join(f"{each.name} {each.ece:.3f}" for each in reliabilities)
    spoken = f"Share of right labels by claimed probability; expected calibration error: {errors}"
    left_out = 1 + len(reliabilities) - len(traces)
    return Chart("Calibration", visible(spoken), _figure(traces, layout), left_out)


def confusion_chart(pairs: Sequence[Pair]) -> Chart:
    """How often every two judges said the same, as a square of colours."""
    names, found = square(pairs)
    agreements = [
        [found[one, other].agreement.mean if (one, other) in found else None for other in names]
        for one in names
    ]
    trace = {
        "type": "heatmap",
        "x": [_escaped(name) for name in names],
        "y": [_escaped(name) for name in names],
        "z": agreements,
        "zmin": 0,
        "zmax": 1,
        "colorscale": "Cividis",
        "texttemplate": "%{z:.0%}",
        "showscale": False,
        "hovertemplate": "%{y} and %{x}: %{z:.1%}<extra></extra>",
        "hoverongaps": False,
    }
    layout = _layout(height=130 + 44 * len(names))
    layout["yaxis"] |= {"automargin": True, "autorange": "reversed", **_categories(names)}
    layout["xaxis"] |= _categories(names)
    spoken = "; ".join(f"{' and '.join(pair.judges)} {pair.agreement.mean:.0%}" for pair in pairs)
    return Chart(
        "Judges who say the same", visible(f"Agreement of judges: {spoken}"), _figure([trace], layout)
    )


def label(name: str) -> str:
    """``name`` as text in a chart; of a long one the middle is left out: models often begin alike."""
    text, half = visible(name), _LONGEST_LABEL // 2
    return _escaped(text if len(text) <= _LONGEST_LABEL else f"{text[:half]}…{text[1 - half :]}")


def _escaped(name: str) -> str:
    """``name`` without tags: plotly reads some of HTML's."""
    return visible(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _categories(names: Sequence[str]) -> dict[str, Any]:
    """An axis with a place for each name, also where two are cut to the same label."""
    return {
        "type": "category",
        "tickvals": [_escaped(name) for name in names],
        "ticktext": [label(name) for name in names],
        "ticklabelstandoff": 6,
    }


def _figure(traces: Sequence[dict[str, Any]], layout: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(traces), "layout": layout}


def _layout(*, height: int, legend: bool = False) -> dict[str, Any]:
    return {
        "height": height,
        "autosize": True,
        "margin": {"l": 12, "r": 16, "t": 8, "b": 42},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "showlegend": legend,
        "legend": {"orientation": "h", "y": -0.22, "yanchor": "top"},
        "xaxis": {"fixedrange": True, "zeroline": False, "automargin": True},
        "yaxis": {"fixedrange": True, "zeroline": False},
        "dragmode": False,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _reach(end: float, start: float) -> float:
    """The length of one half of an interval; one value has none that could be drawn."""
    return end - start if math.isfinite(end - start) else 0.0
