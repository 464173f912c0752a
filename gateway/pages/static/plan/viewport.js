// @ts-check
// What is seen of a plan, and how fingers, mouse and wheel change it.
import { fitScale, fitView, kept, toPlan, zoomed } from "./geometry.js";

/** @import { Rect, Size, View } from "./geometry.js" */

const DRAG_PX = 8; // A finger that moved less has tapped.
const DOUBLE_TAP_MS = 320;
const DOUBLE_TAP_PX = 32;
const GLIDE_MS = 180;
const WHEEL = 0.0022;
const LINE_PX = 16;
export const STEP = 1.6;

export class Viewport {
  /**
   * @param {HTMLElement} box
   * @param {{onDraw: () => void, onTap: (x: number, y: number, tap: {isTouch: boolean, isByKey: boolean, target: Element}) => boolean,
   *   calm: MediaQueryList}} options `onTap` says whether the tap met something
   */
  constructor(box, options) {
    this.box = box;
    this.options = options;
    /** @type {View} */
    this.view = { x: 0, y: 0, scale: 1 };
    /** @type {Rect} */
    this.bounds = { left: 0, top: 0, right: 1, bottom: 1 };
    this.scaleMax = 1;
    /** Whether the wheel leaves the page to scroll while the whole is seen. */
    this.letsScroll = false;
    /** @type {Size} */
    this.size = { width: box.clientWidth, height: box.clientHeight };
    this.frame = 0;
    this.glide = 0;
    /** @type {Map<number, {x: number, y: number, startX: number, startY: number}>} */
    this.pointers = new Map();
    this.isDragging = false;
    this.wasDragged = false;
    this.isTouch = false;
    this.tapped = { at: 0, x: 0, y: 0 };
    new ResizeObserver(() => this.measure()).observe(box);
    box.addEventListener("pointerdown", (event) => this.onDown(event));
    box.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      box.addEventListener(name, (event) => this.onUp(event));
    }
    box.addEventListener("click", (event) => this.onClick(event));
    box.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    // Focus and find-in-page may scroll a box that cannot be scrolled by hand.
    box.addEventListener("scroll", () => box.scrollTo(0, 0));
  }

  /** Another thing to look at. @param {Rect} bounds @param {number} scaleMax @param {View | null} view null: all of it */
  show(bounds, scaleMax, view) {
    this.stop();
    this.bounds = bounds;
    this.scaleMax = scaleMax;
    this.size = { width: this.box.clientWidth, height: this.box.clientHeight };
    this.put(view ?? fitView(bounds, this.size, scaleMax));
  }

  get isWhole() {
    return this.view.scale <= fitScale(this.bounds, this.size, this.scaleMax) * 1.01;
  }

  measure() {
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!width || (width === this.size.width && height === this.size.height)) return;
    const wasWhole = this.isWhole;
    this.size = { width, height };
    this.put(wasWhole ? fitView(this.bounds, this.size, this.scaleMax) : this.view);
  }

  /** @param {View} view */
  put(view) {
    this.view = kept(view, this.bounds, this.size, this.scaleMax);
    this.box.classList.toggle("is-whole", this.isWhole);
    this.draw();
  }

  /** Go there, smoothly unless the reader wants no motion. @param {View} to */
  go(to) {
    this.stop();
    const target = kept(to, this.bounds, this.size, this.scaleMax);
    if (this.options.calm.matches) return this.put(target);
    const from = this.view;
    const began = performance.now();
    const step = (/** @type {number} */ at) => {
      const part = Math.min(1, Math.max(0, (at - began) / GLIDE_MS));
      const eased = 1 - (1 - part) ** 3;
      const scale = from.scale * (target.scale / from.scale) ** eased;
      this.put({ x: from.x + (target.x - from.x) * eased, y: from.y + (target.y - from.y) * eased, scale });
      this.glide = part < 1 ? requestAnimationFrame(step) : 0;
    };
    this.glide = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.glide);
    this.glide = 0;
  }

  /** @param {number} factor @param {number} [x] @param {number} [y] where in the box it stays; the middle without them */
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const scale = Math.min(this.view.scale * factor, this.scaleMax);
    this.go(zoomed(this.view, this.size, scale, x, y));
  }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.options.onDraw();
    });
  }

  /** Where in the box an event happened. @param {MouseEvent} event @returns {[number, number]} */
  placeOf({ clientX, clientY }) {
    const { left, top } = this.box.getBoundingClientRect();
    return [clientX - left - this.box.clientLeft, clientY - top - this.box.clientTop];
  }

  /** @param {PointerEvent} event */
  onDown(event) {
    this.isTouch = event.pointerType === "touch";
    if (event.button) return;
    this.stop();
    if (!this.pointers.size) this.isDragging = this.wasDragged = false;
    const [x, y] = this.placeOf(event);
    this.pointers.set(event.pointerId, { x, y, startX: x, startY: y });
    if (this.pointers.size > 1) this.drag();
  }

  /** From now on this is no tap. */
  drag() {
    this.isDragging = this.wasDragged = true;
    for (const pointerId of this.pointers.keys()) {
      try {
        this.box.setPointerCapture(pointerId);
      } catch {
        // The finger has just been lifted.
      }
    }
  }

  /** @param {PointerEvent} event */
  onMove(event) {
    const pointer = this.pointers.get(event.pointerId);
    if (!pointer) return;
    const [x, y] = this.placeOf(event);
    if (!this.isDragging) {
      if (Math.hypot(x - pointer.startX, y - pointer.startY) < DRAG_PX) return;
      this.drag();
    }
    const before = pinchOf(this.pointers);
    Object.assign(pointer, { x, y });
    const after = pinchOf(this.pointers);
    const factor = before.apart && after.apart ? after.apart / before.apart : 1;
    const view = zoomed(this.view, this.size, this.view.scale * factor, before.x, before.y);
    this.put({
      ...view,
      x: view.x - (after.x - before.x) / view.scale,
      y: view.y - (after.y - before.y) / view.scale,
    });
  }

  /** @param {PointerEvent} event */
  onUp(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.isDragging = false;
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    const target = /** @type {Element} */ (event.target);
    if (this.wasDragged && event.detail) {
      this.wasDragged = false;
      return event.preventDefault();
    }
    const [x, y] = this.placeOf(event);
    const { at, x: beforeX, y: beforeY } = this.tapped;
    this.tapped = { at: event.timeStamp, x, y };
    if (this.options.onTap(x, y, { isTouch: this.isTouch, isByKey: !event.detail, target })) {
      return event.preventDefault();
    }
    const isDouble = event.timeStamp - at < DOUBLE_TAP_MS && Math.hypot(x - beforeX, y - beforeY) < DOUBLE_TAP_PX;
    if (isDouble) this.zoom(STEP * STEP, x, y);
  }

  /** @param {WheelEvent} event */
  onWheel(event) {
    // Pinching a touchpad comes as a wheel with Ctrl.
    if (!event.ctrlKey && this.isWhole && (this.letsScroll || event.deltaY > 0)) return;
    event.preventDefault();
    this.stop();
    const [x, y] = this.placeOf(event);
    const delta = event.deltaY * (event.deltaMode ? LINE_PX : 1) * (event.ctrlKey ? 4 : 1);
    const scale = Math.min(this.view.scale * Math.exp(-delta * WHEEL), this.scaleMax);
    this.put(zoomed(this.view, this.size, scale, x, y));
  }

  /** The plan's point at a place of the box. @param {number} x @param {number} y */
  planAt(x, y) {
    return toPlan(this.view, this.size, x, y);
  }
}

/** The middle of all fingers, and how far two are apart. @param {Map<number, {x: number, y: number}>} pointers */
function pinchOf(pointers) {
  const [first, second] = [...pointers.values()];
  if (!second) return { x: first.x, y: first.y, apart: 0 };
  return {
    x: (first.x + second.x) / 2,
    y: (first.y + second.y) / 2,
    apart: Math.hypot(first.x - second.x, first.y - second.y),
  };
}
