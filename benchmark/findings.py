"""The findings that labels are about."""

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
"""The 14 CheXpert labels in MIMIC-CXR's column order."""
NO_FINDING = FINDINGS.index("No Finding")
SUPPORT_DEVICES = FINDINGS.index("Support Devices")
ABNORMALITIES = tuple(index for index in range(len(FINDINGS)) if index not in (NO_FINDING, SUPPORT_DEVICES))
"""Findings that make a study abnormal: "No Finding" allows devices."""
SUBSETS: dict[str, tuple[int, ...]] = {
    "14": tuple(range(14)),
    "13": tuple(index for index in range(14) if index != NO_FINDING),
    "5": tuple(
        FINDINGS.index(name) for name in ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
    ),
}
