"""What people use to notice a drift: the tests that `benchmarks.drift` compares with, on the same images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .drift_data import Trial

_ASYMPTOTIC_FROM = 1_000  # images; scipy's exact distribution takes long beyond


def kolmogorov_smirnov(trial: Trial, rng: np.random.Generator) -> float:
    """Return the p-value of scipy's test of each class's probability, corrected after Bonferroni."""
    from scipy.stats import ks_2samp

    method = "auto" if len(trial.reference) < _ASYMPTOTIC_FROM else "asymp"
    columns = zip(trial.reference_probs.T, trial.current_probs.T, strict=True)
    p_values = [ks_2samp(then, now, method=method).pvalue for then, now in columns]
    return min(1.0, min(p_values) * len(p_values))


def chi_square(trial: Trial, rng: np.random.Generator) -> float:
    """Return the p-value of a chi-square test of the predicted classes."""
    from scipy.stats import chi2_contingency

    classes = trial.reference_probs.shape[1]
    sides = (trial.reference_probs, trial.current_probs)
    table = np.array([np.bincount(probs.argmax(axis=1), minlength=classes) for probs in sides])
    return float(chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)


def domain_classifier(trial: Trial, rng: np.random.Generator) -> float:
    """Return the p-value of how many of one half a logistic regression tells apart that was fitted on the other."""
    from scipy.stats import binomtest
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    vectors = np.concatenate([trial.reference, trial.current])
    labels = np.repeat([0, 1], (len(trial.reference), len(trial.current)))
    order = rng.permutation(len(vectors))
    fit, held = order[::2], order[1::2]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200)).fit(vectors[fit], labels[fit])
    right = int((model.predict(vectors[held]) == labels[held]).sum())
    return float(binomtest(right, len(held), alternative="greater").pvalue)


BASELINES: dict[str, Callable[[Trial, np.random.Generator], float]] = {
    "KS": kolmogorov_smirnov,
    "chi-square": chi_square,
    "logistic regression": domain_classifier,
}
