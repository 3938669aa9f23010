// Box: the cube around all points, with its axes; and which values its sides stand for.

const SIDES = [0, 1, 2].flatMap((axis) => [-1, 1].map((sign) => ({ axis, sign })));
const LINES = [-0.5, 0, 0.5];
const STEP = 1.25; // the box grows and shrinks in such steps, so that it seldom does ...
const LOOSE = 1.45; // ... and shrinks only when it is so many times too large
const ROOM = 1.04; // around the outermost point

/** Says which part of the space is shown, and draws what is around it. */
export class Box {
  #bundle = null;
  #middle = [0.5, 0.5, 0.5];
  #half = 0.5;
  #isUnit = true; // an embedding between 0 and 1 is shown as that cube

  /** Make room for all of *space*, and stay as it is while that will do. */
  hold({ bundle, dimensions, anchors, known, links }) {
    const fixed = [...anchors.map((anchor) => anchor.at), ...known];
    const points = [...fixed, ...links.map((link) => link.at)];
    if (!points.length) return;
    if (bundle !== this.#bundle) {
      [this.#bundle, this.#half] = [bundle, 0];
      this.#isUnit = dimensions <= 3 && points.every((point) => point.every((value) => value >= 0 && value <= 1));
      this.#middle = this.#isUnit ? [0.5, 0.5, 0.5] : middle(fixed.length ? fixed : points);
    }
    const far = ROOM * Math.max(...points.map((point) => this.#away(point)));
    if (this.#isUnit && far <= 0.5 * ROOM) this.#half = 0.5;
    else if (far > this.#half || far * LOOSE < this.#half) this.#half = STEP ** Math.ceil(Math.log(far || 1) / Math.log(STEP));
  }

  #away(point) {
    return Math.max(...point.map((value, axis) => Math.abs(value - this.#middle[axis])));
  }

  /** Take a point of the space to the box, which reaches from -1 to 1. */
  inside(point) {
    return point.map((value, axis) => (value - this.#middle[axis]) / this.#half);
  }

  /** Draw the sides that lie behind, and the axes' names and ends. */
  draw(paper, view, colours) {
    const behind = SIDES.filter((side) => isBehind(side, view));
    paper.lineWidth = 1;
    for (const side of behind) this.#grid(paper, view, side, colours);
    for (const axis of [0, 1, 2]) this.#name(paper, view, axis, behind, colours);
  }

  #grid(paper, view, { axis, sign }, colours) {
    const [u, v] = [0, 1, 2].filter((other) => other !== axis);
    const point = (a, b) => view(place(axis, sign, u, a, v, b));
    paper.strokeStyle = colours.grid;
    paper.beginPath();
    for (const at of LINES) {
      line(paper, point(at, -1), point(at, 1));
      line(paper, point(-1, at), point(1, at));
    }
    paper.stroke();
    paper.strokeStyle = colours.edge;
    paper.beginPath();
    for (const end of [-1, 1]) {
      line(paper, point(end, -1), point(end, 1));
      line(paper, point(-1, end), point(1, end));
    }
    paper.stroke();
  }

  /** Write at the outermost of the edges along *axis*, where nothing is in front of the words. */
  #name(paper, view, axis, behind, colours) {
    const [u, v] = [0, 1, 2].filter((other) => other !== axis);
    const hidden = (along, sign) => behind.some((side) => side.axis === along && side.sign === sign);
    const edges = [[-1, -1], [-1, 1], [1, -1], [1, 1]].filter(([a, b]) => hidden(u, a) !== hidden(v, b));
    const ends = (edges.length ? edges : [[-1, -1]]).map(([a, b]) => [-1, 0, 1].map((at) => view(place(axis, at, u, a, v, b))));
    const best = ends.reduce((one, other) => (outer(axis, other[1]) > outer(axis, one[1]) ? other : one));
    const centre = view([0, 0, 0]);
    paper.fillStyle = colours.axis;
    const low = this.#middle[axis] - this.#half;
    const high = this.#middle[axis] + this.#half;
    ["", "xyz"[axis], ""].forEach((name, which) => {
      const words = name || tick(which ? high : low);
      const [dx, dy] = [best[1].x - centre.x, best[1].y - centre.y];
      const away = Math.hypot(dx, dy) || 1;
      paper.fillText(words, best[which].x + (28 * dx) / away, best[which].y + (14 * dy) / away);
    });
  }
}

function middle(points) {
  return [0, 1, 2].map((axis) => {
    const values = points.map((point) => point[axis]);
    return (Math.min(...values) + Math.max(...values)) / 2;
  });
}

function place(axis, at, u, a, v, b) {
  const point = [0, 0, 0];
  [point[axis], point[u], point[v]] = [at, a, b];
  return point;
}

function isBehind({ axis, sign }, view) {
  const [out, within] = [view(place(axis, sign, (axis + 1) % 3, 0, (axis + 2) % 3, 0)), view([0, 0, 0])];
  return out.depth > within.depth;
}

/** Say how far out an edge lies: lengthwise ones below, upright ones to the left. */
function outer(axis, point) {
  return axis === 2 ? -point.x : point.y;
}

function line(paper, from, to) {
  paper.moveTo(from.x, from.y);
  paper.lineTo(to.x, to.y);
}

function tick(value) {
  return String(Number(value.toPrecision(2)));
}
