// Scene: the embedding on a canvas. Drawn only when something changed.

import { Box } from "./box.js";
import { Camera } from "./camera.js";
import { CALM } from "./marks.js";
import { short } from "./words.js";

const GLIDE_MS = 500; // in which a point goes to its new place
const TRAIL = 60; // places that are remembered of each link
const REACH = 14; // pixels around a mark that count as on it
const FAINT = 0.14;
const SPIN = 0.00025; // radians a millisecond
const COLOURS = ["ink", "muted", "paper", "grid", "edge", "axis", "known"];

/** Draws anchors and links, and says what lies where. */
export class Scene {
  camera = new Camera();
  chosen = null; // link whose point is marked
  pointed = null; // what the mouse is at
  states = new Set(); // that are not faint; none: all
  spins = false;
  #canvas;
  #paper;
  #marks;
  #box = new Box();
  #anchors = [];
  #known = [];
  #links = new Map();
  #since = 0;
  #asked = 0; // for a frame
  #last = null; // when the last frame was, while it turns by itself
  #bundle = null;
  #drawn = []; // what lies where on the canvas, the farthest first
  #colours = new Map();
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(canvas, marks) {
    [this.#canvas, this.#marks] = [canvas, marks];
    this.#paper = canvas.getContext("2d");
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#colours.clear();
      this.draw();
    });
  }

  /** Show another space; links glide to where they are in it. */
  show(space) {
    this.#box.hold(space);
    this.#anchors = space.anchors.map((anchor) => ({ anchor, at: this.#box.inside(anchor.at) }));
    this.#known = space.known.map((point) => this.#box.inside(point));
    const before = space.bundle === this.#bundle ? this.#links : new Map(); // or it is another space
    this.#bundle = space.bundle;
    this.#links = new Map(space.links.map((link) => [link.link, this.#moved(before.get(link.link), link)]));
    this.#since = performance.now();
    this.draw();
  }

  /** Draw at the next frame. */
  draw() {
    this.#asked ||= requestAnimationFrame((now) => this.#frame(now));
  }

  /** Give what is drawn at a place of the canvas, or null: `{anchor}` or `{link}`. */
  at(x, y) {
    let [best, least] = [null, REACH];
    for (const one of this.#drawn) {
      const away = Math.hypot(one.x - x, one.y - y) - (one.isFault || one.anchor ? 2 : 0);
      if (away <= least) [best, least] = [one, away];
    }
    return best;
  }

  #moved(before, link) {
    const from = before?.now ?? this.#box.inside(link.at);
    const trail = before?.trail ?? [];
    if (before?.link.end_ms !== link.end_ms) trail.push(link.at);
    return { link, from, now: from, to: this.#box.inside(link.at), trail: trail.slice(-TRAIL) };
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = Math.min(3, devicePixelRatio || 1);
    [this.#canvas.width, this.#canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    this.#paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#frame(performance.now()); // at once: a canvas is empty when its size was set
  }

  #frame(now) {
    const passed = now - (this.#last ?? now);
    this.#asked = 0;
    this.#last = this.spins ? now : null;
    if (this.spins) this.camera.turn(passed * SPIN, 0);
    const share = this.#calm.matches ? 1 : Math.min(1, Math.max(0, (now - this.#since) / GLIDE_MS));
    const eased = 1 - (1 - share) ** 3;
    for (const one of this.#links.values()) {
      one.now = one.from.map((value, axis) => value + (one.to[axis] - value) * eased);
    }
    this.paint();
    if (share < 1 || this.spins) this.draw();
  }

  /** Draw now. */
  paint() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const [paper, view] = [this.#paper, this.camera.view(width, height)];
    paper.clearRect(0, 0, width, height);
    paper.direction = "ltr";
    paper.textAlign = "center";
    paper.textBaseline = "middle";
    paper.font = `${this.#rem(0.72)}px ${getComputedStyle(this.#canvas).fontFamily}`;
    const colours = Object.fromEntries(COLOURS.map((name) => [name, this.#colour(name)]));
    this.#box.draw(paper, view, colours);
    this.#dots(view, colours);
    this.#place(view);
    this.#trail(view, colours);
    for (const one of this.#drawn) this.#mark(one);
    this.#labels(colours, width, height);
  }

  #dots(view, colours) {
    this.#paper.fillStyle = colours.known;
    for (const point of this.#known) {
      const { x, y, size } = view(point);
      const wide = 2 * size;
      this.#paper.fillRect(x - wide / 2, y - wide / 2, wide, wide);
    }
  }

  #place(view) {
    const anchors = this.#anchors.map((one) => ({ anchor: one.anchor, state: one.anchor.label, ...view(one.at) }));
    const links = Array.from(this.#links.values(), ({ link, now }) => {
      const state = link.state ?? "unsettled";
      return { link, state, isFault: !CALM.has(state), ...view(now) };
    });
    this.#drawn = [...anchors, ...links].sort((a, b) => b.depth - a.depth);
  }

  #mark({ anchor, link, state, x, y, size, isFault }) {
    const paper = this.#paper;
    const isChosen = link && link.link === this.chosen;
    const isFaint = link && !isChosen && this.states.size && !this.states.has(state);
    const large = size * this.#rem(anchor ? 0.09 : isFault || isChosen ? 0.07 : 0.048);
    paper.globalAlpha = isFaint ? FAINT : anchor ? 1 : 0.55 + 0.4 * Math.min(1, size / 1.3);
    paper.save();
    paper.translate(x, y);
    paper.scale(large, large);
    const colour = this.#colour(`is-${this.#marks.kind(state)}`);
    if (anchor) this.#anchor(anchor, colour);
    paper.fillStyle = colour;
    paper.fill(this.#marks.path(state), "evenodd");
    paper.restore();
    paper.globalAlpha = 1;
  }

  /** Draw a ring, for what a mark stands in is an anchor; a broken one was enrolled. */
  #anchor(anchor, colour) {
    const paper = this.#paper;
    paper.beginPath();
    paper.arc(0, 0, 11, 0, 2 * Math.PI);
    paper.fillStyle = this.#colour("paper");
    paper.fill();
    paper.lineWidth = 2;
    paper.strokeStyle = colour;
    paper.setLineDash(anchor.origin === "enrolled" ? [4, 3] : []);
    paper.stroke();
  }

  #trail(view, colours) {
    const one = this.#links.get(this.chosen);
    if (!one) return;
    const paper = this.#paper;
    paper.strokeStyle = colours.muted;
    paper.lineWidth = 1.2;
    paper.beginPath();
    const points = [...one.trail.slice(0, -1).map((point) => this.#box.inside(point)), one.now].map(view);
    points.forEach(({ x, y }, place) => (place ? paper.lineTo(x, y) : paper.moveTo(x, y)));
    const [above, below] = [view(one.now), view([one.now[0], one.now[1], -1])];
    paper.moveTo(above.x, above.y);
    paper.lineTo(below.x, below.y);
    paper.stroke();
  }

  /** Name the anchors where there is room, and whatever is chosen or pointed at. */
  #labels(colours, width, height) {
    const taken = [];
    const chosen = this.#drawn.filter((one) => this.#isChosen(one));
    for (const one of chosen) this.#ring(one, colours);
    const links = chosen.filter((one) => one.link);
    const anchors = this.#drawn.filter((one) => one.anchor).reverse();
    for (const one of [...links, ...anchors]) {
      const words = short(one.anchor ? one.anchor.label : one.link.link, 28);
      this.#label(words, one, taken, one.anchor && !this.#isChosen(one), colours, width, height);
    }
  }

  #isChosen(one) {
    if (one.link) return one.link.link === this.chosen || one.link.link === this.pointed?.link?.link;
    return one.anchor.name === this.pointed?.anchor?.name;
  }

  #ring({ x, y, size }, colours) {
    this.#paper.beginPath();
    this.#paper.arc(x, y, size * this.#rem(0.85), 0, 2 * Math.PI);
    this.#paper.lineWidth = 2;
    this.#paper.strokeStyle = colours.ink;
    this.#paper.stroke();
  }

  #label(words, { x, y, size, anchor }, taken, mayLack, colours, width, height) {
    const paper = this.#paper;
    const [wide, high] = [paper.measureText(words).width, this.#rem(0.85)];
    const away = size * this.#rem(anchor ? 1.05 : 0.85) + high / 2 + 2;
    const middle = Math.min(width - wide / 2 - 4, Math.max(wide / 2 + 4, x));
    const spots = [[middle, y - away], [middle, y + away], [x + away + wide / 2, y], [x - away - wide / 2, y]];
    const isFree = ([at, up]) =>
      at - wide / 2 > 0 && at + wide / 2 < width && up > high / 2 && up < height - high / 2 &&
      taken.every((box) => Math.abs(box.at - at) * 2 > box.wide + wide + 6 || Math.abs(box.up - up) > high);
    const spot = spots.find(isFree) ?? (mayLack ? null : spots[0]);
    if (!spot) return;
    const [at, up] = spot;
    taken.push({ at, up, wide });
    paper.lineWidth = 4;
    paper.lineJoin = "round";
    paper.strokeStyle = colours.paper;
    paper.strokeText(words, at, up);
    paper.fillStyle = colours.ink;
    paper.fillText(words, at, up);
  }

  #rem(times) {
    if (!this.#colours.has("rem")) this.#colours.set("rem", parseFloat(getComputedStyle(document.documentElement).fontSize));
    return times * this.#colours.get("rem");
  }

  #colour(name) {
    if (!this.#colours.has(name)) {
      this.#colours.set(name, getComputedStyle(this.#canvas).getPropertyValue(`--${name}`).trim() || "gray");
    }
    return this.#colours.get(name);
  }
}
