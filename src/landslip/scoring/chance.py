"""What chance scores: the floor that a map has to stand above."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chance:
    """Expected scores of calling each pixel landslide by chance, whatever it looks like.

    Of all such guesses the one that calls everything landslide has the highest F1, 2 p / (1 + p) at a prevalence p;
    calling pixels landslide as often as they are scores p.

    Parameters
    ----------
    prevalence
        Share of landslide among the pixels that are scored, above 0.
    called
        Share of pixels that are called landslide, above 0.

    References
    ----------
    Lipton, Elkan & Naryanaswamy (2014), Optimal thresholding of classifiers to maximize F1 measure,
    doi:10.1007/978-3-662-44851-9_15. The ratios are of expected counts.
    """

    prevalence: float
    called: float = 1.0

    @property
    def precision(self) -> float:
        """Of the called pixels as many are landslide as of all."""
        return self.prevalence

    @property
    def recall(self) -> float:
        """Of the landslide pixels as many are called as of all."""
        return self.called

    @property
    def f1(self) -> float:
        """``2 p q / (p + q)`` with the prevalence p and the share q that is called."""
        return 2 * self.prevalence * self.called / (self.prevalence + self.called)

    @property
    def iou(self) -> float:
        """``p q / (p + q - p q)``."""
        both = self.prevalence * self.called
        return both / (self.prevalence + self.called - both)
