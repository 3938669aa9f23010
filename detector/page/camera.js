// Camera: from where the embedding is looked at, and where a point then lies on the canvas.

const AWAY = 4.4; // of the camera from the middle of the box, which reaches from -1 to 1
const FIT = { across: 0.3, along: 0.265 }; // of the canvas's sides, that half the box takes
const MIDDLE = 0.46; // of the height: what is below comes nearer, and needs more room
const [NEAREST, FARTHEST] = [0.4, 12]; // zoom
const HOME = { yaw: -0.62, pitch: 0.38, zoom: 1 };

/** Looks at the middle of the box; z points up. */
export class Camera {
  constructor() {
    this.reset();
  }

  /** Look as at the beginning. */
  reset() {
    Object.assign(this, HOME);
  }

  /** Turn the box by angles: to the right, and its top towards us. */
  turn(right, down) {
    this.yaw = (this.yaw + right) % (2 * Math.PI);
    this.pitch = Math.min(Math.PI / 2, Math.max(-Math.PI / 2, this.pitch + down));
  }

  /** Come nearer by a factor. */
  near(factor) {
    this.zoom = Math.min(FARTHEST, Math.max(NEAREST, this.zoom * factor));
  }

  /**
   * Give the function that takes a point of the box to the canvas: x and y there, how deep it
   * lies (larger is farther), and how large things at it are against those in the middle.
   */
  view(width, height) {
    const [sinYaw, cosYaw] = [Math.sin(this.yaw), Math.cos(this.yaw)];
    const [sinPitch, cosPitch] = [Math.sin(this.pitch), Math.cos(this.pitch)];
    const reach = Math.min(width * FIT.across, height * FIT.along) * this.zoom;
    return ([x, y, z]) => {
      const across = x * cosYaw - y * sinYaw;
      const along = x * sinYaw + y * cosYaw;
      const up = z * cosPitch + along * sinPitch;
      const depth = along * cosPitch - z * sinPitch;
      const size = AWAY / Math.max(0.1, AWAY + depth);
      return { x: width / 2 + across * reach * size, y: height * MIDDLE - up * reach * size, depth, size };
    };
  }
}
