// @ts-check
// The last hour of the room in view: what the gateways keep of it, then each second's news.
import { call, now, Problem } from "../api.js";
import { count } from "../words.js";

/** @typedef {import("./effects.js").Answer} Answer */

/** A script of its own (static/vendor). @type {any} */
const uPlot = /** @type {any} */ (globalThis).uPlot;
const HOUR_SECONDS = 3600;
const SHOWN_SECONDS_MIN = 600;
const GAP_STEPS = 4; // longer without a point, the line is broken
const HEIGHT_MIN = 112;
const HEIGHT_MAX = 240;
const AROUND = 40; // a plot: its caption, its frame and the gap

/** @typedef {{title: string, unit?: string, series: {of: string, label: string, colour: string, fill?: boolean, dash?: number[]}[]}} Chart */
/** @type {Chart[]} */
const CHARTS = [
  { title: "Line", series: [{ of: "waiting", label: "waiting", colour: "--c-1", fill: true }] },
  {
    title: "Door/min",
    series: [{ of: "rateNowPerMinute", label: "asked", colour: "--c-2", dash: [5, 4] }, {
      of: "calledPerMinute",
      label: "called",
      colour: "--c-1",
    }],
  },
  {
    title: "Booking ms",
    series: [{ of: "p95BookingMs", label: "p95", colour: "--c-2" }, {
      of: "p50BookingMs",
      label: "p50",
      colour: "--c-1",
    }],
  },
  {
    title: "Lane",
    series: [{ of: "backlog", label: "backlog", colour: "--c-1" }, { of: "errors", label: "errors", colour: "--c-3" }],
  },
  {
    title: "Inside",
    series: [{ of: "admitted", label: "admitted", colour: "--c-1", fill: true }, {
      of: "called",
      label: "called",
      colour: "--c-2",
    }],
  },
  {
    title: "Seats",
    series: [{ of: "sold", label: "sold", colour: "--c-1", fill: true }, {
      of: "held",
      label: "held",
      colour: "--c-2",
    }],
  },
];
const NAMES = [...new Set(CHARTS.flatMap((chart) => chart.series.map((one) => one.of)))];

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** @param {Answer} room @param {string} name */
const valueOf = (
  room,
  name,
) => (name === "errors" ? Object.values(room.errors).reduce((sum, number) => sum + number, 0) : room[name]);

export class Charts {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.eventId = 0;
    this.seconds = 5;
    /** @type {number[]} */
    this.at = [];
    /** @type {Map<string, (number | null)[]>} */
    this.columns = new Map();
    /** @type {{plot: any, chart: Chart, values: HTMLElement[]}[]} */
    this.drawn = [];
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
    new ResizeObserver(() => this.resize()).observe(place);
    addEventListener("resize", () => this.resize());
  }

  /** @param {Answer} room */
  async show(room) {
    if (room.eventId !== this.eventId) {
      this.eventId = room.eventId;
      this.empty();
      this.build();
      await this.load(room.eventId);
    }
    this.add(room);
  }

  empty() {
    this.at = [];
    this.columns = new Map(NAMES.map((name) => [name, []]));
  }

  /** @param {number} eventId */
  async load(eventId) {
    try {
      const history = await call("GET", `/api/ops/rooms/${eventId}/history`);
      if (eventId !== this.eventId) return;
      this.empty();
      this.seconds = history.seconds;
      history.at.forEach((/** @type {number} */ at, /** @type {number} */ i) =>
        this.push(at, (name) => history[name][i])
      );
      this.update();
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // Then the hour begins now.
    }
  }

  /** @param {number} at seconds @param {(name: string) => number | null} value */
  push(at, value) {
    const last = this.at[this.at.length - 1];
    if (last !== undefined && at - last > this.seconds * GAP_STEPS) {
      this.at.push(last + this.seconds);
      for (const name of NAMES) this.columns.get(name)?.push(null);
    }
    this.at.push(at);
    for (const name of NAMES) this.columns.get(name)?.push(value(name));
  }

  /** @param {Answer} room */
  add(room) {
    const at = now() / 1000;
    const last = this.at[this.at.length - 1];
    if (last !== undefined && at - last < this.seconds) return;
    this.push(at, (name) => valueOf(room, name));
    while (this.at.length && this.at[0] < at - HOUR_SECONDS) {
      this.at.shift();
      for (const column of this.columns.values()) column.shift();
    }
    this.update();
  }

  /** @param {Chart} chart */
  data(chart) {
    return [this.at, ...chart.series.map((one) => this.columns.get(one.of) ?? [])];
  }

  build() {
    for (const { plot } of this.drawn) plot.destroy();
    this.place.replaceChildren();
    this.drawn = CHARTS.map((chart) => this.one(chart));
    this.update();
  }

  /** @param {Chart} chart */
  one(chart) {
    const frame = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const title = document.createElement("b");
    title.textContent = chart.title;
    caption.append(title);
    const values = chart.series.map((one) => {
      const key = document.createElement("span");
      key.className = `key ${one.colour.slice(2)}`;
      const value = document.createElement("i");
      key.append(one.label, " ", value);
      caption.append(key);
      return value;
    });
    const holder = document.createElement("div");
    holder.setAttribute("aria-hidden", "true");
    frame.append(caption, holder);
    this.place.append(frame);
    const soft = colour("--soft");
    const line = colour("--line");
    const axis = {
      stroke: soft,
      font: "12px system-ui, sans-serif",
      grid: { stroke: line, width: 1 },
      ticks: { show: false },
    };
    const plot = new uPlot(
      {
        width: Math.max(120, holder.clientWidth),
        height: this.height(),
        legend: { show: false },
        padding: [8, 16, 0, 0],
        cursor: { sync: { key: "hour" }, drag: { x: false, y: false }, points: { size: 6 } },
        scales: {
          x: { range: () => this.range() },
          y: {
            range: (
              /** @type {any} */ _,
              /** @type {number} */ least,
              /** @type {number} */ most,
            ) => [0, Math.max(4, (most ?? 0) * 1.1)],
          },
        },
        axes: [
          {
            ...axis,
            size: 24,
            gap: 4,
            space: 56,
            grid: { show: false },
            values: (/** @type {any} */ _, /** @type {number[]} */ at) =>
              at.map((second) => hour.format(second * 1000)),
          },
          {
            ...axis,
            size: 40,
            gap: 4,
            space: 28,
            values: (/** @type {any} */ _, /** @type {number[]} */ all) =>
              all.map((value) => (Number.isInteger(value) ? short.format(value) : "")),
          },
        ],
        series: [
          {},
          ...chart.series.map((one) => ({
            stroke: colour(one.colour),
            width: 2,
            dash: one.dash,
            fill: one.fill ? colour("--c-fill") : undefined,
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [() => this.tell(), () => {}] },
      },
      this.data(chart),
      holder,
    );
    return { plot, chart, values };
  }

  range() {
    const end = this.at[this.at.length - 1] ?? now() / 1000;
    return [Math.max(end - HOUR_SECONDS, Math.min(this.at[0] ?? end, end - SHOWN_SECONDS_MIN)), end];
  }

  update() {
    for (const { plot, chart } of this.drawn) plot.setData(this.data(chart));
    this.tell();
  }

  /** The values under the pointer, else the latest. */
  tell() {
    for (const { plot, chart, values } of this.drawn) {
      const index = plot.cursor.idx ?? this.at.length - 1;
      chart.series.forEach((one, i) => {
        const value = this.columns.get(one.of)?.[index];
        values[i].textContent = value === null || value === undefined ? "–" : count(Math.round(value));
      });
    }
  }

  /** Of a plot: two rows of them fill the screen. */
  height() {
    const rest = (innerHeight - this.place.offsetTop - 16) / 2 - AROUND;
    return Math.round(Math.min(HEIGHT_MAX, Math.max(HEIGHT_MIN, rest)));
  }

  resize() {
    for (const { plot } of this.drawn) {
      const width = plot.root.parentElement.clientWidth;
      const height = this.height();
      if (width > 0 && (width !== plot.width || height !== plot.height)) plot.setSize({ width, height });
    }
  }
}
