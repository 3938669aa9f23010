// Page: puts the parts together. What a daemon answers goes to each, and so does each choice.

import { Asking, OLD_MS } from "./asking.js";
import { Events } from "./events.js";
import { standstill } from "./facts.js";
import { Hands } from "./hands.js";
import { Head } from "./head.js";
import { Links } from "./links.js";
import { Marks } from "./marks.js";
import { One } from "./one.js";
import { Scene } from "./scene.js";
import { View } from "./view.js";
import { count, date, lasting, make, measure, number, put } from "./words.js";

const TICK_MS = 250;
const TYPING_MS = 250; // without a key, then what was typed is meant
const at = (id) => document.getElementById(id);

const marks = new Marks();
const view = new View(location.hash);
const head = new Head(marks, view);
const links = new Links(marks, view);
const events = new Events(marks, view);
const one = new One(marks, view);
const scene = new Scene(at("canvas"), marks);
const asking = new Asking(view, { heard, failed });
let newest = null; // the daemon's last answer

function heard(answer) {
  const { status, space } = answer;
  renew(status.version);
  newest = answer;
  document.body.dataset.beat = 1 - (Number(document.body.dataset.beat) || 0);
  marks.learn([...Object.keys(status.states), ...Object.keys(status.canary), ...(space?.anchors ?? []).map((anchor) => anchor.label)]);
  head.trouble(standstill(status));
  show();
  tick();
}

/** Load the page anew where the daemon is another than it; once, for behind one name there may be several. */
function renew(version) {
  const before = newest?.status.version;
  if (before === undefined || before === version || sessionStorage.getItem("renewed") === version) return;
  sessionStorage.setItem("renewed", version);
  location.reload();
}

function failed(words) {
  const since = newest ? ` The last answer is of ${date(newest.status.now_ms)} UTC.` : "";
  head.trouble(`${words}${since}`);
}

function show() {
  if (!newest) return;
  const { status, space } = newest;
  head.show(status);
  links.show(status);
  events.show(status);
  showOne();
  put(at("embedding-words"), embeddingWords(space));
  if (!space) return;
  scene.states = view.states;
  scene.show(space);
  const words = `Embedding in three dimensions with ${count(space.anchors.length, "anchor")} and ${count(space.links.length, "link")}`;
  at("canvas").setAttribute("aria-label", words);
}

function showOne() {
  const { status, space } = newest;
  const link = status.worst.find((other) => other.link === view.one) ?? newest.one;
  const spot = space?.links.find((other) => other.link === view.one) ?? newest.spot;
  const isIts = (other) => (other?.link === view.one ? other : undefined);
  one.show(view.one, isIts(link), isIts(spot), status);
}

function embeddingWords(space) {
  if (!space) return "this daemon doesn't show it";
  if (!space.anchors.length) return "nothing yet";
  const shown = count(space.links.length, "link");
  if (space.dimensions <= 3) return shown;
  return `${shown}; ${number(100 * space.kept)} % of ${space.dimensions} dimensions`;
}

function point(what, x, y) {
  scene.pointed = what;
  scene.draw();
  const tip = at("tip");
  tip.hidden = !what;
  if (!what) return;
  tip.replaceChildren(...tipOf(what));
  const { clientWidth: width, clientHeight: height } = at("canvas");
  tip.style.left = `${Math.max(4, Math.min(x + 14, width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > height ? Math.max(4, y - tip.offsetHeight - 14) : y + 18}px`;
}

function tipOf({ link, anchor, state }) {
  const name = make("bdi", "name", link ? link.link : anchor.name);
  const line = make("span", "state");
  line.append(marks.icon(state), make("bdi", "", link ? state : `${state}, ${anchor.origin} anchor`));
  if (!link) return [name, line];
  const near = Object.entries(link.distances).sort((a, b) => a[1] - b[1]).slice(0, 3);
  const rows = near.map(([label, distance]) => make("bdi", "", `${measure(distance)} from ${label}`));
  return [name, line, ...rows, make("bdi", "", `strange ${measure(link.strangeness)}`)];
}

function listen() {
  let typing;
  const pattern = at("pattern");
  pattern.value = view.pattern;
  pattern.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => view.change({ pattern: pattern.value.trim() }), TYPING_MS);
  });
  at("most").value = view.most;
  at("most").addEventListener("change", (event) => view.change({ most: Number(event.target.value) }));
  at("again").addEventListener("click", () => asking.now());
  at("reset").addEventListener("click", () => {
    scene.camera.reset();
    scene.draw();
  });
  at("spin").addEventListener("click", (event) => {
    scene.spins = !scene.spins;
    event.target.setAttribute("aria-pressed", scene.spins);
    scene.draw();
  });
  document.addEventListener("visibilitychange", () => document.hidden || asking.now());
  addEventListener("online", () => asking.now());
  addEventListener("hashchange", () => location.hash.includes("=") && location.reload()); // another view
  new Hands(at("canvas"), scene, { point, choose: (what) => view.change({ one: what?.link?.link ?? null }) });
}

view.addEventListener("change", (event) => {
  history.replaceState(null, "", view.hash);
  scene.chosen = view.one;
  links.mark();
  if (newest) {
    head.show(newest.status);
    showOne();
  }
  scene.states = view.states;
  scene.draw();
  if (event.detail.asks || view.one !== null) asking.now();
});

function tick() {
  const ageMs = asking.ageMs;
  head.age(ageMs / 1000, ageMs > OLD_MS, newest?.status);
}

listen();
scene.chosen = view.one;
setInterval(tick, TICK_MS);
asking.run();
