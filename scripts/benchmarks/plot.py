"""Draws what the bench found, in the peers' environment: `plot.py DIRECTORY < outcome.json`.

Growth with the size of the answer, with the size of the graph, and with concurrency.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt  # after the choice of how to draw

SIZE_IN = (7.0, 4.2)
DPI = 150


def draw_answers(points: list[dict[str, Any]], path: Path) -> None:
    """Draw the time of a trace over the lots of its answer."""
    figure, axes = plt.subplots(figsize=SIZE_IN)
    axes.loglog([point["lots"] for point in points], [point["ms"] for point in points], "o")
    axes.set_xlabel("lots in the answer")
    axes.set_ylabel("ms, best of the rounds")
    axes.set_title(f"A trace forward costs what its answer does ({points[0]['edges']:,} edges)")
    _save(figure, axes, path)


def draw_sizes(points: list[dict[str, Any]], path: Path) -> None:
    """Draw the time of equal answers over the size of the graph."""
    figure, axes = plt.subplots(figsize=SIZE_IN)
    for direction in sorted({point["direction"] for point in points}):
        own = sorted(
            (point for point in points if point["direction"] == direction),
            key=lambda point: int(point["edges"]),
        )
        edges = [point["edges"] for point in own]
        for measure, style in (("p50_ms", "o-"), ("p99_ms", "s--")):
            values = [point[measure] for point in own]
            axes.semilogx(edges, values, style, label=f"{direction} {measure[:3]}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("edges in the graph")
    axes.set_ylabel("ms, best of the rounds")
    axes.set_title("Equal answers in graphs of different sizes")
    axes.legend()
    _save(figure, axes, path)


def draw_connections(points: list[dict[str, Any]], path: Path) -> None:
    """Draw tickets a second over the number of connections."""
    figure, axes = plt.subplots(figsize=SIZE_IN)
    connections = [point["connections"] for point in points]
    for name, style in (("floor", "s--"), ("ours", "o-")):
        axes.plot(connections, [point[name] for point in points], style, label=name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("connections")
    axes.set_ylabel("tickets a second")
    axes.set_title("Issuing, in the data layer")
    axes.legend()
    _save(figure, axes, path)


def _save(figure: Any, axes: Any, path: Path) -> None:
    axes.grid(visible=True, which="both", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
    print(path, file=sys.stderr)


def main(directory: Path, found: dict[str, Any]) -> None:
    """Draw every picture for which there are points."""
    directory.mkdir(parents=True, exist_ok=True)
    points: dict[str, list[dict[str, Any]]] = found["points"]
    sizes = [*points.get("growth back", []), *points.get("growth forward", [])]
    if sizes:
        draw_sizes(sizes, directory / "growth-with-the-graph.png")
    if answers := points.get("growth of a hub"):
        draw_answers(answers, directory / "growth-with-the-answer.png")
    if rates := points.get("issue, data layer"):
        draw_connections(rates, directory / "growth-with-concurrency.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.load(sys.stdin))
