import numpy as np
from lrrg.benchmark.statistics import auroc, cluster_bootstrap


def test_auroc_counts_ties_as_one_half():
    assert auroc([1, 1, 1, 1], [True, False, True, False]) == 0.5
    assert auroc([0, 1], [False, True]) == 1.0
    assert np.isnan(auroc([0, 1], [True, True]))


def test_cluster_bootstrap_is_wider_when_rows_of_a_patient_agree():
    rng = np.random.default_rng(1)
    patient_effect = rng.normal(size=40)
    clustered = np.repeat(patient_effect, 10)
    patients = np.repeat(np.arange(40), 10)
    by_patient = cluster_bootstrap(lambda rows: clustered[rows].mean(), patients, draws=300)
    by_row = cluster_bootstrap(lambda rows: clustered[rows].mean(), np.arange(400), draws=300)
    assert by_patient.high - by_patient.low > 2 * (by_row.high - by_row.low)
    assert by_patient.low <= by_patient.value <= by_patient.high
