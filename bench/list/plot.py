"""Lines on two logarithmic axes, as SVG: no more than the growth of the list takes."""

import math

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 460, 330, 56, 44, 16
COLOURS = ["#1b6ca8", "#7fb2d9", "#b3541e", "#e0a37e"]


class Panel:
    def __init__(self, x_title, y_title):
        self.x_title, self.y_title, self.lines = x_title, y_title, []

    def line(self, title, points):
        self.lines.append((title, points))

    def bounds(self, axis):
        values = [point[axis] for _, points in self.lines for point in points]
        return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def draw(self, left):
        (x_min, x_max), (y_min, y_max) = self.bounds(0), self.bounds(1)
        wide, high = WIDTH - LEFT - 14, HEIGHT - TOP - BOTTOM

        def place(x, y):
            return (left + LEFT + (math.log10(x) - x_min) / (x_max - x_min) * wide,
                    TOP + high - (math.log10(y) - y_min) / (y_max - y_min) * high)

        out = []
        for power in range(x_min, x_max + 1):
            x, _ = place(10 ** power, 10 ** y_min)
            out += [f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + high}"/>',
                    f'<text x="{x:.1f}" y="{TOP + high + 15}" text-anchor="middle">{10 ** power:,}</text>']
        for power in range(y_min, y_max + 1):
            _, y = place(10 ** x_min, 10 ** power)
            out += [f'<line class="grid" x1="{left + LEFT}" y1="{y:.1f}" x2="{left + LEFT + wide}" y2="{y:.1f}"/>',
                    f'<text x="{left + LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{10 ** power:g}</text>']
        for number, (title, points) in enumerate(self.lines):
            colour = COLOURS[number % len(COLOURS)]
            placed = [place(*point) for point in points]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
            y = TOP + 14 + 15 * number
            out.append(f'<text x="{left + LEFT + 10}" y="{y}" fill="{colour}">{title}</text>')
        out += [f'<text x="{left + LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">{self.x_title}</text>',
                f'<text x="{left + 4}" y="{TOP + 6}">{self.y_title}</text>']
        return "\n".join(out)


def svg(panels):
    drawn = "\n".join(panel.draw(number * WIDTH) for number, panel in enumerate(panels))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * len(panels)}" height="{HEIGHT}"
 font-family="sans-serif" font-size="11"><style>.grid {{ stroke: #ddd }}</style>
<rect width="100%" height="100%" fill="white"/>
{drawn}
</svg>
"""
