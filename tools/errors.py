"""Why an image file cannot be measured."""


class ImageError(ValueError):
    """A file that is not a measurable radiograph. The fault lies in the file: reading it again gives the same answer.

    `code` is stable and goes into the run's table:

    | code | what is wrong |
    |---|---|
    | `missing` | no such file, or it cannot be opened |
    | `empty` | zero bytes |
    | `too-many-bytes` | the file is larger than the run allows |
    | `too-many-pixels` | the header announces more pixels than the run allows; nothing was decoded |
    | `too-small` | the shorter side is under `MIN_SIDE` px |
    | `not-an-image` | the first bytes belong to no image format |
    | `unsupported-format` | an image, but not PNG, JPEG or DICOM (or one of JPEG's processes that has no decoder) |
    | `truncated` | the data ends before the image does |
    | `corrupt` | damaged bytes: a checksum, a marker, an entropy-coded segment or the header is wrong |
    | `constant` | every pixel has the same value |
    | `unsupported-transfer-syntax` | DICOM whose encoding has no decoder here (video, deflated data sets, …) |
    | `unsupported-pixels` | DICOM pixels other than grey or RGB/YBR of 8 to 16 bits (palettes, floats) |
    | `multi-frame` | DICOM with more than one frame |
    | `no-pixel-data` | DICOM without pixels (reports, presentation states, …) |
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """Keep the code when a worker process sends the error home."""
        return type(self), (self.code, str(self))
