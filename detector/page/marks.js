// Marks: how a state looks. Shape and colour say the same, so that neither is needed alone, and
// beside a mark on the page the state stands in words.

const SVG = "http://www.w3.org/2000/svg";

/** Give the outline of a regular shape around 0, 0: *inner* pulls every other corner in. */
function corners(count, radius, turn = 0, inner = 1) {
  const steps = inner === 1 ? count : 2 * count;
  const points = Array.from({ length: steps }, (_, place) => {
    const angle = ((place / steps) * 2 + turn - 0.5) * Math.PI;
    const reach = place % 2 ? radius * inner : radius;
    return `${(reach * Math.cos(angle)).toFixed(2)} ${(reach * Math.sin(angle)).toFixed(2)}`;
  });
  return `M${points.join("L")}Z`;
}

function circle(radius) {
  return `M${radius} 0A${radius} ${radius} 0 1 0 ${-radius} 0A${radius} ${radius} 0 1 0 ${radius} 0Z`;
}

const FIXED = new Map(Object.entries({
  normal: circle(4.6),
  blocked: "M-6.5 -3.6L-3.6 -6.5L0 -2.9L3.6 -6.5L6.5 -3.6L2.9 0L6.5 3.6L3.6 6.5L0 2.9L-3.6 6.5L-6.5 3.6L-2.9 0Z",
  "capacity-limited": corners(3, 7.4, 1),
  unknown: `${corners(4, 7.6)}${corners(4, 3.4)}`,
  silent: `${circle(6.5)}M-5 -1.5L-5 1.5L5 1.5L5 -1.5Z${circle(5)}`,
  unsettled: `${circle(4.6)}${circle(3)}`,
  "telemetry-lost": `${corners(4, 8.2, 0.25)}${corners(4, 5.2, 0.25)}`,
  retired: "M-5 -1.2L5 -1.2L5 1.2L-5 1.2Z",
}));
const TAUGHT = [corners(5, 7), corners(3, 7.4), corners(6, 6.8), corners(5, 8, 0, 0.45), corners(4, 7, 0.25), corners(4, 8, 0, 0.4)];
export const CALM = new Set(["normal", "unsettled", "retired"]);

/** Gives every state its mark; what operators taught gets one of a few, in the names' order. */
export class Marks {
  #taught = [];
  #paths = new Map();

  /** Know of all *states* that are about. */
  learn(states) {
    const taught = new Set([...this.#taught, ...states].filter((state) => state && !FIXED.has(state)));
    this.#taught = [...taught].sort();
  }

  /** Give the name by which style sheets know the state's colour. */
  kind(state) {
    if (FIXED.has(state)) return state;
    return `taught-${Math.max(0, this.#taught.indexOf(state)) % TAUGHT.length}`;
  }

  /** Give the mark's outline around 0, 0, eight across either way, to be filled even-odd. */
  outline(state) {
    return FIXED.get(state) ?? TAUGHT[Math.max(0, this.#taught.indexOf(state)) % TAUGHT.length];
  }

  /** Give the outline for a canvas. */
  path(state) {
    const outline = this.outline(state);
    if (!this.#paths.has(outline)) this.#paths.set(outline, new Path2D(outline));
    return this.#paths.get(outline);
  }

  /** Make a mark for the page. */
  icon(state) {
    const icon = document.createElementNS(SVG, "svg");
    icon.setAttribute("viewBox", "-8 -8 16 16");
    icon.setAttribute("aria-hidden", "true");
    icon.append(document.createElementNS(SVG, "path"));
    this.change(icon, state);
    return icon;
  }

  /** Make a mark show another state. */
  change(icon, state) {
    icon.setAttribute("class", `mark is-${this.kind(state)}`);
    icon.firstChild.setAttribute("d", this.outline(state));
    icon.firstChild.setAttribute("fill-rule", "evenodd");
  }
}
