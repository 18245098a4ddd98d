"""What a frontal chest radiograph shows, as planes of attenuation: body, lungs, mediastinum, skeleton, vessels."""

from dataclasses import dataclass

import numpy as np

from .phantom_canvas import Canvas, Plane, Points, band, smooth


@dataclass(frozen=True)
class Anatomy:
    """One person in front of the detector; lengths in cm.

    Attributes:
        scale: size of the thorax relative to a middling adult.
        inspiration: how far the diaphragm is lowered, 0 poor … 1 full.
        heart: width of the heart relative to a middling one.
        girth: thickness of the body relative to a middling one.
        shift: patient off the film's middle.
        scapulae: how far the shoulder blades lie over the lungs, 0 … 1.
        breasts: whether breast shadows show.
    """

    scale: float
    inspiration: float
    heart: float
    girth: float
    shift: float
    scapulae: float
    breasts: bool
    slope: float
    """Obliquity of the ribs relative to a middling thorax."""

    @classmethod
    def draw(cls, rng: np.random.Generator, *, portable: bool, cardiomegaly: bool) -> "Anatomy":
        """A random person; a portable film shows a wider heart, more scapula and less inspiration."""
        return cls(
            scale=float(np.clip(rng.normal(1.05, 0.04), 0.95, 1.13)),
            inspiration=float(rng.uniform(0.25, 0.6) if portable else rng.uniform(0.6, 1)),
            heart=float(rng.uniform(0.92, 1.08) + 0.1 * portable + (rng.uniform(0.3, 0.45) if cardiomegaly else 0)),
            girth=float(np.clip(rng.normal(1, 0.08), 0.85, 1.2)),
            shift=float(rng.normal(0, 0.45)),
            scapulae=float(rng.uniform(0.5, 1) if portable else rng.uniform(0, 0.35)),
            breasts=bool(rng.random() < 0.5),
            slope=float(rng.uniform(0.85, 1.15)),
        )

    def place(self, points: Points) -> Points:
        """Points of the middling adult, scaled about the lung apices and moved with the patient."""
        return np.asarray(points, float) * self.scale + np.array([self.shift, 6.0 * (1 - self.scale)])


LEFT, RIGHT = 1, -1
"""The patient's sides: the left one is on the image's right."""


def dome(anatomy: Anatomy, side: int) -> Points:
    """The diaphragm of one side from the spine to the costophrenic angle."""
    top = 26.2 + 2.6 * anatomy.inspiration + (0.9 if side == LEFT else 0.0)
    points = [
        (0.5, top + 2.6),
        (3.5, top + 1.0),
        (6.8, top),
        (10.4, top + 0.7),
        (12.8, top + 2.1),
        (14.3, top + 3.8),
        (15.8, top + 6.4),
    ]
    return anatomy.place(smooth([(side * x, y) for x, y in points], closed=False))


def cavity(side: int) -> Points:
    """Outline of one pleural cavity without its floor, middling adult."""
    outer = [(2.8, 5.9), (5.2, 5.1), (7.9, 6.2), (10.8, 9.2), (12.8, 13.4), (13.9, 18.5), (14.3, 24.0), (14.4, 30.0)]
    inner = [(14.0, 37.0), (1.0, 37.0), (0.8, 26.0), (0.9, 18.0), (1.5, 10.0), (2.0, 7.2)]
    return smooth([(side * x, y) for x, y in outer + inner], closed=True)


def heart(anatomy: Anatomy) -> Points:
    """Outline of the heart; it rests on the diaphragm and widens to the patient's left."""
    low = 24.6 + 2.2 * anatomy.inspiration
    w = anatomy.heart
    right = [(-1.9, 15.0), (-3.0 * w, 18.6), (-4.2 * w, low - 4.0), (-4.1 * w, low + 0.2), (-1.8, low + 3.2)]
    apex = [(3.0 * w, low + 3.8), (6.9 * w, low + 3.0), (8.1 * w, low + 1.0), (7.9 * w, low - 1.6)]
    outline = [*right, *apex, (5.7 * w, low - 5.0), (3.9 * w, 17.8), (3.3, 15.6), (1.0, 14.0)]
    return anatomy.place(smooth(outline, closed=True))


def mediastinum(anatomy: Anatomy) -> Points:
    """Outline of the vessels above the heart with aortic knob and pulmonary trunk."""
    w = 0.5 + 0.5 * anatomy.heart
    right = [(-2.6, 2.0), (-2.7, 8.0), (-2.7 * w, 11.0), (-2.5 * w, 14.0), (-2.8 * w, 17.0), (-2.0, 21.0), (-1.4, 30.0)]
    trunk = [(-1.5, 40.0), (1.5, 40.0), (1.6, 30.0), (2.6, 21.0), (3.9 * w, 17.4), (3.7 * w, 16.2), (2.9 * w, 15.1)]
    outline = [*right, *trunk, (3.6 * w, 13.4), (3.1 * w, 11.8), (2.2 * w, 10.8), (2.4, 8.0), (2.6, 2.0)]
    return anatomy.place(smooth(outline, closed=True, steps=8))


def body(canvas: Canvas, anatomy: Anatomy) -> Plane:
    """Attenuation of the trunk as if it held no air, up to about 4.4."""
    y = (canvas.y[:, 0] - 6.0 * (1 - anatomy.scale)) / anatomy.scale
    rows = [0, 2.2, 3.8, 5.0, 6.4, 9.0, 13.0, 17.0, 20.0, 26.0, 34.0, 44.0]
    half = np.interp(y, rows, [5.2, 5.9, 9.2, 14.2, 18.4, 20.4, 20.2, 17.9, 16.9, 16.6, 16.4, 16.6]) * anatomy.scale
    half *= 0.55 + 0.45 * anatomy.girth
    depth = np.interp(y, rows, [2.8, 2.9, 3.0, 3.1, 3.2, 3.5, 3.8, 4.0, 4.05, 4.1, 4.2, 4.25]) * anatomy.girth**0.6
    kernel = np.hanning(max(3, round(3 * canvas.px) | 1))
    pad = len(kernel) // 2
    half, depth = (np.convolve(np.pad(v, pad, mode="edge"), kernel / kernel.sum(), "valid") for v in (half, depth))
    chord = np.clip(1 - ((canvas.x - anatomy.shift) / half[:, None].astype(np.float32)) ** 2, 0, 1)
    return canvas.blur(depth[:, None].astype(np.float32) * chord**0.4, 0.03)


def ribs(canvas: Canvas, anatomy: Anatomy) -> Plane:
    """Attenuation of ribs 1 to 10 of both sides; the posterior arches are denser than the anterior ones."""
    back, front = canvas.blank(), canvas.blank()
    for side in (LEFT, RIGHT):
        for number in range(1, 11):
            posterior, anterior = _rib(number, anatomy.slope, side)
            _bone(canvas, back, anatomy.place(posterior), 0.50 + 0.012 * number)
            shown = anterior if number <= 7 else anterior[:16]  # the lower arches lie deep in the abdomen
            width = np.linspace(0.52, 0.72, len(shown)) * np.minimum(1, 0.25 * np.arange(len(shown), 0, -1) ** 0.8)
            _bone(canvas, front, anatomy.place(shown), width)
    return np.float32(0.46) * canvas.soft(back, 0.035) + np.float32(0.3) * canvas.soft(front, 0.05)


def _rib(number: int, slope: float, side: int) -> tuple[Points, Points]:
    """Centre lines of a rib's posterior arch (spine to flank) and anterior arch (flank to cartilage)."""
    start = 6.3 + 2.0 * (number - 1) + 0.032 * (number - 1) ** 2  # evenly spaced ribs would look like a grid's lines
    flank = np.interp(number, [1, 2, 3, 4, 5, 6, 8, 10], [5.9, 9.0, 11.2, 12.6, 13.4, 13.9, 14.4, 14.5])
    drop = slope * np.interp(number, [1, 3, 6, 10], [1.7, 3.1, 4.6, 6.4])
    s = np.linspace(0, 1, 40)
    x = 1.9 + (flank - 1.9) * np.sin(s * np.pi / 2) ** 0.9
    y = start + drop * s**2.4 - 0.5 * np.sin(np.pi * s) * (1 - 0.5 * s)
    fall = slope * np.interp(number, [1, 2, 4, 7, 10], [1.9, 3.2, 4.6, 5.6, 5.0])
    end = np.interp(number, [1, 2, 5, 7, 10], [3.2, 3.6, 5.0, 7.2, 11.5])
    x_front = flank - (flank - end) * (1 - np.cos(s * np.pi / 2)) ** 0.85
    y_front = start + drop + fall * np.sin(s * np.pi / 2) ** 0.9
    return np.stack([side * x, y], axis=1), np.stack([side * x_front, y_front], axis=1)


def _bone(canvas: Canvas, drawing: np.ndarray, centre: Points, half_width: float | np.ndarray) -> None:
    """A tube of cortex around a fainter marrow."""
    canvas.fill(drawing, band(centre, half_width), 255)
    canvas.fill(drawing, band(centre, np.maximum(np.asarray(half_width) - 0.13, 0.02)), 168)


def shoulder(canvas: Canvas, anatomy: Anatomy) -> Plane:
    """Attenuation of clavicles, scapulae and humeral heads."""
    bones, blades = canvas.blank(), canvas.blank()
    inward = 2.6 * anatomy.scapulae
    for side in (LEFT, RIGHT):
        clavicle = smooth([(1.6, 9.4), (4.2, 8.5), (7.6, 7.0), (11.2, 6.4), (14.6, 5.4)], closed=False) * [side, 1]
        _bone(
            canvas, bones, anatomy.place(clavicle), np.interp(np.arange(len(clavicle)), [0, 10, 49], [0.85, 0.58, 0.6])
        )
        blade = [
            (12.6 - inward, 7.4),
            (15.6, 6.0),
            (18.0, 8.4),
            (16.6, 12.5),
            (14.6 - 0.7 * inward, 19.4),
            (13.0 - inward, 13.0),
        ]
        canvas.fill(blades, anatomy.place(smooth([(side * x, y) for x, y in blade], closed=True)), 150)
        angle = np.linspace(0, 2 * np.pi, 40)
        humerus = np.stack([side * (18.4 - 0.4 * inward) + 2.3 * np.cos(angle), 8.2 + 2.3 * np.sin(angle)], axis=1)
        canvas.fill(blades, anatomy.place(humerus), 255)
    return np.float32(0.5) * canvas.soft(bones, 0.035) + np.float32(0.36) * canvas.soft(blades, 0.06)


def spine(canvas: Canvas, anatomy: Anatomy) -> Plane:
    """Attenuation of the vertebral bodies with their end plates, pedicles and spinous processes."""
    bodies = canvas.blank()
    for number in range(19):
        top, half, tall = 0.6 + 1.95 * number + 0.021 * number**2, 1.45 + 0.035 * number, 1.6 + 0.035 * number
        box = [
            (-half, top),
            (half, top),
            (half * 0.92, top + tall / 2),
            (half, top + tall),
            (-half, top + tall),
            (-half * 0.92, top + tall / 2),
        ]
        canvas.fill(bodies, anatomy.place(np.array(box)), 190)
        for edge in (top, top + tall):
            canvas.stroke(bodies, anatomy.place(np.array([(-half, edge), (half, edge)])), 0.14, 255)
        for x in (-0.95, 0.95):
            canvas.stroke(bodies, anatomy.place(np.array([(x, top + 0.5), (x, top + 1.0)])), 0.5, 245)
        canvas.stroke(bodies, anatomy.place(np.array([(0.0, top + 1.5), (0.05, top + 2.4)])), 0.45, 250)
    return np.float32(0.24) * canvas.soft(bodies, 0.07)


def airways(canvas: Canvas, anatomy: Anatomy) -> Plane:
    """Where air replaces tissue in trachea and main bronchi, 0 … 1."""
    drawing = canvas.blank()
    canvas.stroke(
        drawing, anatomy.place(smooth([(0.0, 0.0), (0.05, 7.0), (-0.25, 11.0), (-0.2, 14.4)], closed=False)), 1.7
    )
    canvas.stroke(drawing, anatomy.place(smooth([(-0.3, 14.2), (-1.5, 15.9), (-2.9, 17.8)], closed=False)), 1.05, 150)
    canvas.stroke(drawing, anatomy.place(smooth([(0.0, 14.2), (1.9, 16.4), (3.7, 17.6)], closed=False)), 0.9, 150)
    return canvas.soft(drawing, 0.1)


def vessels(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> Plane:
    """Attenuation of the pulmonary vessels: trees that start at the hila and end short of the pleura."""
    drawing = canvas.blank()
    for side in (LEFT, RIGHT):
        hilum = np.array([side * 3.2, 16.2 if side == LEFT else 17.2])
        for angle in np.linspace(-1.25, 1.5, 13) + rng.normal(0, 0.09, 13):
            heading = np.array([side * np.cos(angle), np.sin(angle)])
            start = hilum + rng.normal(0, 0.5, 2) + np.array([0.0, 1.2 * np.sin(angle)])
            _branch(canvas, drawing, anatomy, rng, start, heading, 0.52 if abs(angle) > 0.5 else 0.4, 3.4)
    return np.float32(0.42) * canvas.soft(drawing, 0.035)


def _branch(
    canvas: Canvas,
    drawing: np.ndarray,
    anatomy: Anatomy,
    rng: np.random.Generator,
    start: Points,
    heading: Points,
    width: float,
    length: float,
) -> None:
    """One vessel and, narrower, its two branches; attenuation is proportional to its width."""
    turn = rng.normal(0, 0.22, 2)
    middle = start + heading * length / 2 + turn * length / 3
    end = start + heading * length + turn * length / 3
    line = anatomy.place(np.stack([start, middle, end]))
    canvas.stroke(drawing, line, width, round(min(255, 50 + 400 * width)))
    if width < 0.09:
        return
    for sign in (-1, 1):
        angle = sign * rng.uniform(0.18, 0.55)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        _branch(canvas, drawing, anatomy, rng, end, rotation @ heading, width * rng.uniform(0.62, 0.76), length * 0.78)


def breast(side: int) -> Points:
    """Outline of a breast shadow, middling adult."""
    outline = [(3.5, 21.0), (7.5, 17.5), (12.5, 18.5), (14.8, 23.0), (12.8, 27.4), (8.6, 28.6), (5.0, 26.6)]
    return smooth([(side * x, y) for x, y in outline], closed=True)


def stomach_bubble(anatomy: Anatomy, rng: np.random.Generator) -> Points:
    """Outline of the gas below the left dome."""
    top = 26.2 + 2.6 * anatomy.inspiration + 2.1
    wide, tall = rng.uniform(1.6, 3.0), rng.uniform(1.2, 2.4)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return anatomy.place(np.stack([6.6 + wide * np.cos(angle), top + tall * (1 + np.sin(angle))], axis=1))
