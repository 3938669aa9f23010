// Hands: mouse, fingers and keys on the canvas. They turn the camera, point and choose.

const TURN = 0.0085; // radians a pixel
const STEP = 0.12; // radians a key
const CLICK = 4; // pixels that a click may move

/** Listens on *canvas*; *told* has `point(what, x, y)` and `choose(what)`. */
export class Hands {
  #canvas;
  #scene;
  #told;
  #down = new Map(); // pointer: where it is
  #travelled = 0;

  constructor(canvas, scene, told) {
    [this.#canvas, this.#scene, this.#told] = [canvas, scene, told];
    const listen = (name, method) => canvas.addEventListener(name, method.bind(this));
    listen("pointerdown", this.#press);
    listen("pointermove", this.#move);
    listen("pointerup", this.#release);
    listen("pointercancel", (event) => this.#down.delete(event.pointerId));
    listen("pointerleave", () => this.#told.point(null));
    listen("dblclick", this.#home);
    listen("keydown", this.#key);
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  #press(event) {
    if (event.button !== 0) return;
    if (!this.#down.size) this.#travelled = 0;
    this.#down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.#canvas.setPointerCapture(event.pointerId);
    this.#told.point(null);
  }

  #move(event) {
    const before = this.#down.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") this.#point(event);
      return;
    }
    const now = { x: event.clientX, y: event.clientY };
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    const others = [...this.#down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    this.#travelled += Math.hypot(dx, dy);
    this.#down.set(event.pointerId, now);
    if (others.length) this.#scene.camera.near(apart(now, others[0]) / apart(before, others[0]));
    else if (this.#travelled > CLICK) this.#scene.camera.turn(dx * TURN, dy * TURN);
    this.#scene.draw();
  }

  #release(event) {
    if (!this.#down.delete(event.pointerId)) return;
    if (this.#travelled <= CLICK && !this.#down.size) this.#told.choose(this.#under(event));
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    this.#told.point(this.#under(event), event.clientX - box.left, event.clientY - box.top);
  }

  #under(event) {
    const box = this.#canvas.getBoundingClientRect();
    return this.#scene.at(event.clientX - box.left, event.clientY - box.top);
  }

  /** Zoom; where the page is longer than the screen the wheel is the page's, unless we are meant. */
  #wheel(event) {
    const root = document.documentElement;
    const isLong = root.scrollHeight > root.clientHeight + 1;
    if (isLong && document.activeElement !== this.#canvas) return;
    event.preventDefault();
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
    this.#scene.camera.near(Math.exp(-pixels * 0.0015));
    this.#scene.draw();
  }

  #home() {
    this.#scene.camera.reset();
    this.#scene.draw();
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const camera = this.#scene.camera;
    const keys = {
      ArrowLeft: () => camera.turn(-STEP, 0),
      ArrowRight: () => camera.turn(STEP, 0),
      ArrowUp: () => camera.turn(0, -STEP),
      ArrowDown: () => camera.turn(0, STEP),
      "+": () => camera.near(1.15),
      "=": () => camera.near(1.15),
      "-": () => camera.near(1 / 1.15),
      Home: () => camera.reset(),
      Escape: () => this.#told.choose(null),
    };
    if (!Object.hasOwn(keys, event.key)) return;
    keys[event.key]();
    event.preventDefault();
    this.#scene.draw();
  }
}

function apart(one, other) {
  return Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
}
