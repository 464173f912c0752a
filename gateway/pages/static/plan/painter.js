// @ts-check
// Draws what is seen of the seats on a canvas: however large the hall, only the seats in view cost anything.
import { grown, PITCH, seen, toBox } from "./geometry.js";
import { ACCESSIBLE, COMPANION, RESTRICTED } from "./hall.js";

/** @import { Point, Size, SpotIndex, View } from "./geometry.js" */
/** @import { Hall, Row, Seat, Status } from "./hall.js" */

const SEAT = 8.2; // of a pitch of ten; the rest is the gap
const SIGNS_PX = 15; // Below this size a seat is a plain square,
const NUMBERS_PX = 24; // and below this one it has no number.
const ROUND_PX = 9;
const LINE_PX = 13; // the height of a row's name
const ROW_PITCH = 1.2 * PITCH; // or so: how far one row stands behind another
const STAMP_EDGE = 2; // px around a seat, for its line
const EDGE_PX = 15; // between the middle of a row's name and the edge
export const COLOURS = 6;
const NAMES = /** @type {const} */ (["ink", "soft", "card", "line-2", "amber", "on-amber", "taken", "taken-mark"]);

/** @typedef {Record<typeof NAMES[number], string> & {free: string[], onFree: string[], font: string}} Colours */

/**
 * The colours of the page as they are now: light, dark, or the reader's own.
 * @param {HTMLElement} element @returns {Colours}
 */
export function coloursOf(element) {
  const style = getComputedStyle(element);
  const named = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const steps = [...Array(COLOURS).keys()];
  return {
    .../** @type {Record<typeof NAMES[number], string>} */ (Object.fromEntries(
      NAMES.map((name) => [name, named(name)]),
    )),
    free: steps.map((step) => named(`price-${step}`)),
    onFree: steps.map((step) => named(`on-price-${step}`)),
    font: style.fontFamily,
  };
}

/** The colour of a price, by its rank among all. @param {number[]} prices lowest first @param {number} price */
export const stepOf = (prices, price) =>
  prices.length < 3
    ? 1 + 2 * prices.indexOf(price)
    : Math.round((prices.indexOf(price) * (COLOURS - 1)) / (prices.length - 1));

/**
 * @typedef {object} Scene
 * @property {Hall} hall
 * @property {Row[]} rows
 * @property {SpotIndex<Seat>} index
 * @property {View} view
 * @property {Size} size
 * @property {(seat: Seat) => boolean} suits whether a seat passes the fan's filters
 * @property {string | null} focused the key of the seat that the keyboard is at
 * @property {string[]} proposed keys
 * @property {{text: string, x: number, y: number}[]} names of sections
 * @property {string} focusLabel what fans look at
 * @property {HTMLImageElement | null} picture
 */

export class Painter {
  /** @param {HTMLCanvasElement} canvas @param {HTMLElement} box */
  constructor(canvas, box) {
    this.canvas = canvas;
    this.box = box;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    // Older browsers draw the corners sharp.
    this.context.roundRect ??= this.context.rect;
    this.colours = coloursOf(box);
    this.ratio = 1;
    /** Seats of one size, drawn once for each look. @type {Map<string, HTMLCanvasElement>} */
    this.stamps = new Map();
    this.stampSide = 0;
  }

  /** @param {Size} size */
  fit({ width, height }) {
    // More than two dots a pixel cost a phone much and show little.
    const ratio = Math.min(2, globalThis.devicePixelRatio || 1);
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== across || this.canvas.height !== down) {
      this.canvas.width = across;
      this.canvas.height = down;
    }
    this.ratio = ratio;
  }

  /** @param {Scene} scene */
  paint(scene) {
    const { context, colours } = this;
    const { hall, index, size, view } = scene;
    this.fit(size);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = context.lineCap = "round";
    this.paintScenery(scene);
    const pixels = PITCH * view.scale;
    /** Seats in view by what they look like. @type {Map<string, Seat[]>} */
    const looks = new Map();
    /** The first and last seat in view of each row. @type {Map<Row, [number, number]>} */
    const ends = new Map();
    const inView = seen(view, size);
    index.within(grown(inView, PITCH), (seat) => {
      const status = hall.statusOf(seat.key);
      const fits = status === "mine" || scene.suits(seat);
      const step = status === "free" ? stepOf(hall.prices, hall.priceOf(seat)) : 0;
      const look = `${status} ${step} ${Number(fits)}`;
      const alike = looks.get(look);
      if (alike) alike.push(seat);
      else looks.set(look, [seat]);
      const { at, x, y } = seat;
      if (x < inView.left || x > inView.right || y < inView.top || y > inView.bottom) return;
      const end = ends.get(seat.of);
      if (!end) ends.set(seat.of, [at, at]);
      else if (at < end[0]) end[0] = at;
      else if (at > end[1]) end[1] = at;
    });
    for (const [look, seats] of looks) {
      const [status, step, fits] = look.split(" ");
      context.globalAlpha = Number(fits) ? 1 : 0.25;
      this.paintSeats(scene, /** @type {Status} */ (status), Number(step), seats);
    }
    context.globalAlpha = 1;
    this.paintRings(scene);
    if (pixels >= ROUND_PX) this.paintRowNames(scene, ends);
    context.fillStyle = colours.ink;
    context.font = `650 13px ${colours.font}`;
    for (const { text, x, y } of scene.names) {
      const [at, top] = toBox(view, size, x, y);
      context.fillText(text, at, top);
    }
    this.paintArrow(scene);
  }

  /** What stands in the hall beside its seats. @param {Scene} scene */
  paintScenery({ focusLabel, hall: { plan }, picture, size, view }) {
    const { context, colours } = this;
    if (picture?.naturalWidth && plan.picture) {
      const [x, y] = toBox(view, size, ...plan.picture.at);
      const [wide, high] = plan.picture.size;
      context.drawImage(picture, x, y, wide * view.scale, high * view.scale);
    }
    context.lineWidth = 1.5;
    context.strokeStyle = colours["line-2"];
    for (const { outline, label } of plan.shapes) {
      this.outline(outline, view, size);
      context.stroke();
      if (label) this.nameIn(label, outline, view, size);
    }
    this.outline(plan.focus.outline, view, size);
    context.fillStyle = colours.taken;
    context.fill();
    context.stroke();
    this.nameIn(focusLabel, plan.focus.outline, view, size);
  }

  /** @param {string} text @param {Point[]} outline @param {View} view @param {Size} size */
  nameIn(text, outline, view, size) {
    if (!outline.length) return;
    const { context, colours } = this;
    const [sumX, sumY] = outline.reduce(([x, y], point) => [x + point[0], y + point[1]], [0, 0]);
    const [x, y] = toBox(view, size, sumX / outline.length, sumY / outline.length);
    context.fillStyle = colours.ink;
    context.font = `600 13px ${colours.font}`;
    context.fillText(text, x, y);
  }

  /** @param {Point[]} outline @param {View} view @param {Size} size */
  outline(outline, view, size) {
    const { context } = this;
    context.beginPath();
    outline.forEach(([px, py], index) => {
      const [x, y] = toBox(view, size, px, py);
      if (index) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.closePath();
  }

  /**
   * A seat in the colours and the line that are set. To copy it is a third of the work of drawing its round corners, and
   * this is most of a frame. @param {number} side @param {number} round @param {boolean} hasLine
   */
  stamp(side, round, hasLine) {
    const { context, ratio } = this;
    if (this.stampSide !== side * ratio) this.stamps.clear();
    this.stampSide = side * ratio;
    const look = `${context.fillStyle} ${context.strokeStyle} ${context.lineWidth} ${context.getLineDash()} ${hasLine}`;
    const known = this.stamps.get(look);
    if (known) return known;
    const stamp = document.createElement("canvas");
    stamp.width = stamp.height = Math.ceil((side + 2 * STAMP_EDGE) * ratio);
    const pen = /** @type {CanvasRenderingContext2D} */ (stamp.getContext("2d"));
    pen.roundRect ??= pen.rect;
    pen.scale(ratio, ratio);
    pen.fillStyle = context.fillStyle;
    pen.strokeStyle = context.strokeStyle;
    pen.lineWidth = context.lineWidth;
    pen.lineJoin = pen.lineCap = "round";
    pen.setLineDash(context.getLineDash());
    pen.roundRect(STAMP_EDGE, STAMP_EDGE, side, side, round);
    pen.fill();
    if (hasLine) pen.stroke();
    this.stamps.set(look, stamp);
    return stamp;
  }

  /** @param {Scene} scene @param {Status} status @param {number} step @param {Seat[]} seats that look alike */
  paintSeats({ size, view }, status, step, seats) {
    const { context, colours } = this;
    const pixels = PITCH * view.scale;
    const side = SEAT * view.scale;
    const round = pixels >= ROUND_PX ? side * 0.26 : 0;
    const corners = seats.map((seat) => {
      const [x, y] = toBox(view, size, seat.x, seat.y);
      return [x - side / 2, y - side / 2];
    });
    context.fillStyle = status === "free" ? colours.free[step] : status === "mine" ? colours.amber : colours.taken;
    if (!round) {
      context.beginPath();
      for (const [x, y] of corners) context.rect(x, y, side, side);
      return context.fill();
    }
    context.lineWidth = status === "mine" ? 2 : 1.2;
    context.strokeStyle = status === "mine" ? colours.ink : colours[status === "free" ? "line-2" : "taken-mark"];
    if (status === "reserved") context.setLineDash([3, 3]);
    const stamp = this.stamp(side, round, status !== "booked");
    context.setLineDash([]);
    const dots = (/** @type {number} */ at) => Math.round((at - STAMP_EDGE) * this.ratio) / this.ratio;
    const wide = stamp.width / this.ratio;
    for (const [x, y] of corners) context.drawImage(stamp, dots(x), dots(y), wide, wide);
    if (pixels < SIGNS_PX) return;
    if (status !== "free") return this.paintMarks(status, corners, side);
    context.fillStyle = context.strokeStyle = colours.onFree[step];
    context.font = `500 ${Math.min(14, side * 0.42)}px ${colours.font}`;
    seats.forEach(({ flags, label }, index) => {
      const [x, y] = corners[index];
      if (flags & (ACCESSIBLE | COMPANION)) this.paintWheelchair(x, y, side, !(flags & ACCESSIBLE));
      else if (pixels >= NUMBERS_PX) context.fillText(label, x + side / 2, y + side * 0.53);
      if (flags & RESTRICTED) this.paintCorner(x, y, side);
    });
  }

  /** @param {Status} status @param {number[][]} corners @param {number} side */
  paintMarks(status, corners, side) {
    const { context, colours } = this;
    context.beginPath();
    for (const [x, y] of corners) {
      const at = (
        /** @type {number} */ across,
        /** @type {number} */ down,
      ) => /** @type {const} */ ([x + side * across, y + side * down]);
      if (status === "mine") {
        context.moveTo(...at(0.27, 0.52));
        context.lineTo(...at(0.44, 0.69));
        context.lineTo(...at(0.75, 0.33));
      } else if (status === "reserved") {
        context.moveTo(...at(0.3, 0.5));
        context.lineTo(...at(0.7, 0.5));
      } else {
        context.moveTo(...at(0.32, 0.32));
        context.lineTo(...at(0.68, 0.68));
        context.moveTo(...at(0.68, 0.32));
        context.lineTo(...at(0.32, 0.68));
      }
    }
    context.strokeStyle = status === "mine" ? colours["on-amber"] : colours["taken-mark"];
    context.lineWidth = Math.max(1.4, side * (status === "mine" ? 0.1 : 0.07));
    context.stroke();
  }

  /** A wheelchair space; the seat of its companion has the sign with a plus. @param {number} x @param {number} y @param {number} side @param {boolean} isCompanion */
  paintWheelchair(x, y, side, isCompanion) {
    const { context } = this;
    const at = (
      /** @type {number} */ across,
      /** @type {number} */ down,
    ) => /** @type {const} */ ([x + side * across, y + side * down]);
    context.lineWidth = Math.max(1.2, side * 0.07);
    context.beginPath();
    context.arc(...at(0.42, 0.22), side * 0.07, 0, 7);
    context.fill();
    context.beginPath();
    context.moveTo(...at(0.42, 0.36));
    context.lineTo(...at(0.44, 0.58));
    context.lineTo(...at(0.62, 0.58));
    context.lineTo(...at(0.7, 0.8));
    context.moveTo(...at(0.43, 0.46));
    context.lineTo(...at(0.6, 0.46));
    context.moveTo(...at(0.34, 0.5));
    context.arc(...at(0.43, 0.66), side * 0.18, -2.1, 1.1, true);
    if (isCompanion) {
      context.moveTo(...at(0.66, 0.24));
      context.lineTo(...at(0.86, 0.24));
      context.moveTo(...at(0.76, 0.14));
      context.lineTo(...at(0.76, 0.34));
    }
    context.stroke();
  }

  /** A seat from which not all is seen has a corner cut. @param {number} x @param {number} y @param {number} side */
  paintCorner(x, y, side) {
    const { context } = this;
    context.beginPath();
    context.moveTo(x + side * 0.62, y);
    context.lineTo(x + side, y);
    context.lineTo(x + side, y + side * 0.38);
    context.fill();
  }

  /** Around the seat that the keyboard is at, and around seats that are proposed. @param {Scene} scene */
  paintRings({ focused, hall, proposed, size, view }) {
    const { context, colours } = this;
    const side = Math.max(8, PITCH * view.scale);
    context.strokeStyle = colours.ink;
    for (const key of focused ? [...proposed, focused] : proposed) {
      const seat = hall.seats.get(key);
      if (!seat) continue;
      const [x, y] = toBox(view, size, seat.x, seat.y);
      context.lineWidth = key === focused ? 3.5 : 2.5;
      context.setLineDash(key === focused ? [] : [5, 3]);
      context.strokeRect(x - side / 2, y - side / 2, side, side);
    }
    context.setLineDash([]);
  }

  /** Names of rows beside their ends, or at the box's edge where a row goes on beyond it. @param {Scene} scene @param {Map<Row, [number, number]>} ends */
  paintRowNames({ size, view }, ends) {
    const { context, colours } = this;
    context.font = `600 12px ${colours.font}`;
    /** @param {number} at @param {number} pixels */
    const inside = (at, pixels) => Math.min(Math.max(at, EDGE_PX), pixels - EDGE_PX);
    for (const [{ label, row, seats }, [first, last]] of ends) {
      const wide = Math.max(20, context.measureText(label).width + 8);
      const [from, to] = [seats[0], seats[seats.length - 1]];
      const isLevel = Math.abs(to.x - from.x) >= Math.abs(to.y - from.y);
      // Where the rows stand close, every second one has its name, or every third.
      if (row % Math.ceil((isLevel ? LINE_PX : wide) / (ROW_PITCH * view.scale))) continue;
      for (const [at, inner, outer, side] of [[first, first + 1, first - 1, -1], [last, last - 1, last + 1, 1]]) {
        const end = seats[at];
        // A row of one seat has no direction of its own.
        const [dx, dy] = seats[inner]
          ? [end.x - seats[inner].x, end.y - seats[inner].y]
          : seats[outer]
          ? [seats[outer].x - end.x, seats[outer].y - end.y]
          : [side, 0];
        const away = (PITCH * 0.5 + 13 / view.scale) / Math.hypot(dx, dy);
        const [x, y] = toBox(view, size, end.x + dx * away, end.y + dy * away);
        const [left, top] = [inside(x, size.width), inside(y, size.height)];
        context.fillStyle = colours.card;
        context.globalAlpha = 0.88;
        context.fillRect(left - wide / 2, top - 9, wide, 18);
        context.globalAlpha = 1;
        context.fillStyle = colours.ink;
        context.fillText(label, left, top);
      }
    }
  }

  /** Where fans look, while it is out of view. @param {Scene} scene */
  paintArrow({ focusLabel, hall: { plan }, size, view }) {
    const { context, colours } = this;
    const [x, y] = toBox(view, size, ...plan.focus.at);
    if (x > 0 && y > 0 && x < size.width && y < size.height) return;
    const [dx, dy] = [x - size.width / 2, y - size.height / 2];
    const part = Math.min((size.width / 2 - 52) / Math.abs(dx || 1), (size.height / 2 - 34) / Math.abs(dy || 1));
    const [at, top] = [size.width / 2 + dx * part, size.height / 2 + dy * part];
    context.font = `650 13px ${colours.font}`;
    const wide = context.measureText(focusLabel).width + 36;
    context.fillStyle = colours.ink;
    context.beginPath();
    context.roundRect(at - wide / 2, top - 14, wide, 28, 14);
    context.fill();
    context.fillStyle = colours.card;
    context.fillText(focusLabel, at + 9, top + 0.5);
    context.save();
    context.translate(at - wide / 2 + 15, top);
    context.rotate(Math.atan2(dy, dx));
    context.beginPath();
    context.moveTo(-6, 0);
    context.lineTo(6, 0);
    context.moveTo(1, -5);
    context.lineTo(6, 0);
    context.lineTo(1, 5);
    context.strokeStyle = colours.card;
    context.lineWidth = 2;
    context.stroke();
    context.restore();
  }
}
