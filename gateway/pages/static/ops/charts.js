// @ts-check
// The last hour of the room in view as plots: the history that the gateways keep, then each second's news.
import { call, now, Problem } from "../api.js";
import { momentWords } from "../moments.js";
import { count } from "../text.js";

/** @import { RoomAnswer, RoomHistory } from "../../contract.d.ts" */

/** What the history keeps of a room, a column each. @typedef {Exclude<keyof RoomHistory, "seconds" | "at">} Figure */

/**
 * What we use of uPlot, which is a script of its own (static/vendor).
 * @typedef {object} Plot
 * @property {HTMLElement} root
 * @property {number} width
 * @property {number} height
 * @property {{idx: number | null}} cursor where the pointer is
 * @property {(data: (number | null)[][]) => void} setData
 * @property {(size: {width: number, height: number}) => void} setSize
 * @property {() => void} destroy
 */
const { uPlot } =
  /** @type {{uPlot: new (options: object, data: (number | null)[][], holder: HTMLElement) => Plot}} */ (
    /** @type {unknown} */ (globalThis)
  );
const HOUR_SECONDS = 3600;
const SHOWN_SECONDS_MIN = 600;
const GAP_STEPS = 4; // After more steps without a point the line is broken.
const HEIGHT_MIN = 112;
const HEIGHT_MAX = 240;
const AROUND_PLOT = 40; // pixels for its caption, its frame and the gap
const FORECAST_SECONDS = 600; // The sell-out is forecast by the sales of so long.
const FORECAST_SECONDS_MIN = 60;
/** On a wall the plots are read from afar: three of them, with everything twice as large. */
export const WALL = new URLSearchParams(location.search).has("wall");
const SCALE = WALL ? 2 : 1;

/** @typedef {{title: string, unit?: string, series: {of: Figure, label: string, colour: string, fill?: boolean, dash?: number[]}[]}} Chart */
/** @type {Chart[]} */
const CHARTS = [
  { title: "Line", series: [{ of: "waiting", label: "waiting", colour: "--c-1", fill: true }] },
  {
    title: "Entries/min",
    series: [{ of: "rateNowPerMinute", label: "target", colour: "--c-2", dash: [5, 4] }, {
      of: "calledPerMinute",
      label: "invited",
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
    title: "Bookings",
    series: [{ of: "backlog", label: "waiting", colour: "--c-1" }, { of: "errors", label: "errors", colour: "--c-3" }],
  },
  {
    title: "Inside",
    series: [{ of: "admitted", label: "admitted", colour: "--c-1", fill: true }, {
      of: "called",
      label: "invited",
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
const WALL_CHARTS = ["Line", "Entries/min", "Seats"];
const SHOWN = WALL ? CHARTS.filter(({ title }) => WALL_CHARTS.includes(title)) : CHARTS;
const NAMES = [...new Set(CHARTS.flatMap((chart) => chart.series.map((one) => one.of)))];

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

/** @param {RoomAnswer} room @param {Figure} name */
function valueOf(room, name) {
  return name === "errors" ? room.faults : room[name];
}

export class Charts {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.eventId = 0;
    this.seconds = 5;
    /** @type {number[]} */
    this.at = [];
    /** @type {Map<Figure, (number | null)[]>} */
    this.columns = new Map();
    /** @type {{plot: Plot, chart: Chart, values: HTMLElement[]}[]} */
    this.drawn = [];
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
    new ResizeObserver(() => this.resize()).observe(place);
    addEventListener("resize", () => this.resize());
  }

  /** @param {RoomAnswer} room */
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
      /** @type {RoomHistory} */
      const history = await call("GET", `/api/ops/rooms/${eventId}/history`);
      if (eventId !== this.eventId) return;
      this.empty();
      this.seconds = history.seconds;
      history.at.forEach((at, i) => this.push(at, (name) => history[name][i]));
      this.update();
    } catch (error) {
      if (!(error instanceof Problem)) throw error; // Then the plots begin now.
    }
  }

  /** @param {number} at seconds @param {(name: Figure) => number | null} value */
  push(at, value) {
    const last = this.at[this.at.length - 1];
    if (last !== undefined && at - last > this.seconds * GAP_STEPS) {
      this.at.push(last + this.seconds);
      for (const name of NAMES) this.columns.get(name)?.push(null);
    }
    this.at.push(at);
    for (const name of NAMES) this.columns.get(name)?.push(value(name));
  }

  /** @param {RoomAnswer} room */
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
    this.drawn = SHOWN.map((chart) => this.one(chart));
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
      font: `${12 * SCALE}px system-ui, sans-serif`,
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
              /** @type {Plot} */ _,
              /** @type {number | null} */ _least,
              /** @type {number | null} */ most,
            ) => [0, Math.max(4, (most ?? 0) * 1.1)],
          },
        },
        axes: [
          {
            ...axis,
            size: 24 * SCALE,
            gap: 4,
            space: 56 * SCALE,
            grid: { show: false },
            values: (/** @type {Plot} */ _, /** @type {number[]} */ at) =>
              at.map((second) => momentWords(second * 1000, "clock")),
          },
          {
            ...axis,
            size: 40 * SCALE,
            gap: 4,
            space: 28 * SCALE,
            values: (/** @type {Plot} */ _, /** @type {number[]} */ all) =>
              all.map((value) => (Number.isInteger(value) ? short.format(value) : "")),
          },
        ],
        series: [
          {},
          ...chart.series.map((one) => ({
            stroke: colour(one.colour),
            width: 2 * SCALE,
            dash: one.dash,
            fill: one.fill ? colour("--c-fill") : undefined,
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [() => this.showValues(), () => {}] },
      },
      this.data(chart),
      holder,
    );
    return { plot, chart, values };
  }

  /** When the seats will be gone if they go on selling as in the last minutes; null where that cannot be said. @param {RoomAnswer} room */
  soldOutAt({ free, held }) {
    const sold = this.columns.get("sold") ?? [];
    const last = this.at.length - 1;
    const first = this.at.findIndex((at, i) => at >= this.at[last] - FORECAST_SECONDS && sold[i] !== null);
    if (first < 0 || this.at[last] - this.at[first] < FORECAST_SECONDS_MIN) return null;
    const perSecond = (Number(sold[last]) - Number(sold[first])) / (this.at[last] - this.at[first]);
    return perSecond > 0 ? (this.at[last] + (free + held) / perSecond) * 1000 : null;
  }

  range() {
    const end = this.at[this.at.length - 1] ?? now() / 1000;
    return [Math.max(end - HOUR_SECONDS, Math.min(this.at[0] ?? end, end - SHOWN_SECONDS_MIN)), end];
  }

  update() {
    for (const { plot, chart } of this.drawn) plot.setData(this.data(chart));
    this.showValues();
  }

  /** The values under the pointer, else the latest. */
  showValues() {
    for (const { plot, chart, values } of this.drawn) {
      const index = plot.cursor.idx ?? this.at.length - 1;
      chart.series.forEach((one, i) => {
        const value = this.columns.get(one.of)?.[index];
        values[i].textContent = value === null || value === undefined ? "–" : count(Math.round(value));
      });
    }
  }

  /** The height of a plot, in pixels: two rows of plots fill the screen. */
  height() {
    const rest = (innerHeight - this.place.offsetTop - 16) * (SCALE / 2) - AROUND_PLOT * SCALE;
    return Math.round(Math.min(HEIGHT_MAX * SCALE, Math.max(HEIGHT_MIN, rest)));
  }

  resize() {
    for (const { plot } of this.drawn) {
      const width = plot.root.parentElement?.clientWidth ?? 0;
      const height = this.height();
      if (width > 0 && (width !== plot.width || height !== plot.height)) plot.setSize({ width, height });
    }
  }
}
