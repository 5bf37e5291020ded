"""How schedules look: a colour of Okabe and Ito's palette, a dash and a marker each, in the paper's order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from maskgit_lab.ablation.published import in_order

# The colours of figures beside those of the schedules.
INK, PAPER, GRID, AXIS, LEVEL = "#1c2430", "#ffffff", "#e6e9ee", "#aab2bd", "#6b7686"
# What colours become on a dark page, where black and the darker ones could hardly be seen.
DARK = {
    **{INK: "#e3e7ed", PAPER: "#14181f", GRID: "#2a313b", AXIS: "#5b6572", LEVEL: "#98a2b0"},
    **{"#000000": "#f2f4f7", "#0072B2": "#3a93dc", "#56B4E9": "#9ad4f7", "#009E73": "#1fbf90", "#D55E00": "#f0771c"},
    **{"#CC79A7": "#dd92bb", "#7A7A7A": "#a2a2a2", "#A6761D": "#c8963c", "#4D4D4D": "#cfcfcf"},
    **{"#6A3D9A": "#b48be0", "#8C1D40": "#e0648c", "#5C6B00": "#b5c334"},
}


@dataclass(frozen=True)
class Style:
    """The look of a schedule's line."""

    colour: str  # as #RRGGBB, on white
    dash: str  # its lengths of ink and gap in pixels, such as "6,3"; "": a whole line
    marker: str  # by Plotly's name
    matplotlib_marker: str  # by Matplotlib's name

    @property
    def dark(self) -> str:
        """The colour on a dark page."""
        return DARK.get(self.colour, self.colour)

    @property
    def matplotlib_dash(self) -> tuple[int, tuple[float, ...] | None]:
        """The dash as Matplotlib takes it."""
        return 0, tuple(float(part) for part in self.dash.split(",")) if self.dash else None


PAPERS = {
    "exponential": Style("#CC79A7", "2,3", "square", "s"),
    "cubic": Style("#D55E00", "8,3,2,3", "diamond", "D"),
    "square": Style("#E69F00", "7,3", "triangle-up", "^"),
    "cosine": Style("#0072B2", "", "circle", "o"),
    "linear": Style("#000000", "", "x", "x"),
    "square_root": Style("#56B4E9", "7,3", "triangle-down", "v"),
    "logarithmic": Style("#009E73", "2,3", "pentagon", "p"),
}
# For schedules that are not in the paper: grey, since the palette's last colour, yellow, is too faint on white.
OTHERS = tuple(
    Style(colour, dash, marker, matplotlib_marker)
    for colour in ("#7A7A7A", "#A6761D", "#4D4D4D")
    for dash, marker, matplotlib_marker in (("12,3", "star", "*"), ("4,4", "hexagon", "h"), ("10,3,3,3", "cross", "P"))
)
# Horizontal lines, which have no markers: what a perfect model could reach in grey, and the baselines.
FLOORS = (Style(LEVEL, "1,3", "", ""), Style(LEVEL, "6,3,1,3", "", ""))
PASTED = Style(LEVEL, "9,4", "", "")  # reconstructions in the holes of edits
BASELINES = (Style("#6A3D9A", "14,4", "", ""), Style("#8C1D40", "9,3,2,3", "", ""), Style("#5C6B00", "5,3", "", ""))
BEST = "#D55E00"  # the frame or mark of the best cell of a map


def styles(schedules: Iterable[str]) -> dict[str, Style]:
    """The look of each of these schedules, in the paper's order; a schedule of the paper always looks the same."""
    names = in_order(schedules)
    others = [name for name in names if name not in PAPERS]
    return {name: PAPERS.get(name) or OTHERS[others.index(name) % len(OTHERS)] for name in names}
