// @ts-check
// A hall plan as a picture: sections, the stage and every seat, to be looked at only.
import { plural } from "../words.js";

/** @import { PlanDrawing, PlanOverview } from "../../contract.d.ts" */

const WIDTH_MAX = 1600; // of the picture's own pixels
const HEIGHT_MAX = 1600;
const SEAT_RADIUS = 3.6; // in tenths of a seat's pitch
const ACCESSIBLE = 1;

/** @typedef {CanvasRenderingContext2D} Pen */

/** @param {Pen} pen @param {number[][]} outline */
function trace(pen, outline) {
  pen.beginPath();
  outline.forEach(([x = 0, y = 0], index) => index ? pen.lineTo(x, y) : pen.moveTo(x, y));
  pen.closePath();
}

/** @param {Pen} pen @param {string} text @param {number[]} at @param {number} size */
function write(pen, text, [x = 0, y = 0], size) {
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineWidth = size / 4;
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
}

/** @param {number[][]} outline */
function middleOf(outline) {
  const sum = outline.reduce(([x = 0, y = 0], [right = 0, down = 0]) => [x + right, y + down], [0, 0]);
  return sum.map((total) => total / outline.length);
}

/** @param {HTMLCanvasElement} canvas @param {PlanDrawing | PlanOverview} plan @param {string} words what it is @param {HTMLImageElement | null} [background] */
export function drawPlan(canvas, plan, words, background = null) {
  const scale = Math.min(WIDTH_MAX / plan.width, HEIGHT_MAX / plan.height, 4);
  canvas.width = Math.ceil(plan.width * scale);
  canvas.height = Math.ceil(plan.height * scale);
  const names = plan.sections.slice(0, 20).map((section) => section.name).join(", ");
  canvas.setAttribute("aria-label", `${words}: ${plural(plan.sections.length, "section")}, ${names}`);
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const style = getComputedStyle(canvas);
  const [ink, card, line, soft, accent] = ["--ink", "--card", "--line", "--soft", "--amber"].map((name) =>
    style.getPropertyValue(name).trim() || "CanvasText"
  );
  pen.scale(scale, scale);
  pen.lineWidth = 1.5 / scale;
  pen.strokeStyle = soft ?? "";
  if (background?.naturalWidth && plan.picture) {
    const { at: [x, y], size: [width, height] } = plan.picture;
    pen.drawImage(background, x, y, width, height);
  }
  for (const { kind, outline } of [...plan.shapes, { kind: "polygon", outline: plan.focus.outline }]) {
    if (kind === "text") continue;
    trace(pen, outline);
    pen.fillStyle = line ?? "";
    pen.fill();
  }
  for (const section of plan.sections) {
    trace(pen, section.outline);
    pen.fillStyle = card ?? "";
    pen.fill();
    pen.stroke();
    for (const row of "href" in section ? [] : section.rows) {
      for (const [, x, y, flags] of row.seats) {
        pen.beginPath();
        pen.arc(Number(x), Number(y), SEAT_RADIUS, 0, 2 * Math.PI);
        pen.fillStyle = Number(flags) & ACCESSIBLE ? accent ?? "" : soft ?? "";
        pen.fill();
      }
    }
  }
  const size = Math.max(24 / scale, Math.min(plan.width, plan.height) / 45, 14);
  pen.fillStyle = ink ?? "";
  pen.strokeStyle = card ?? "";
  write(pen, plan.focus.label, plan.focus.at, size);
  for (const shape of plan.shapes) if (shape.label) write(pen, shape.label, middleOf(shape.outline), size);
  for (const section of plan.sections) write(pen, section.name, section.labelAt, size);
}
