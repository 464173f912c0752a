// @ts-check
// Reads QR codes with the camera: by the browser's own reader, else by the one in vendor/, loaded only then.

/** @typedef {{detect: (image: CanvasImageSource) => Promise<{rawValue: string}[]>}} Detector */
/** @typedef {(image: CanvasImageSource & {width: number, height: number}) => Promise<string>} Reader what the picture says; empty: nothing */

const LOOK_MS = 100;
const SIDE_PIXELS_MAX = 720;
const SAME_TICKET_MS = 3000; // A ticket that stays before the camera is read once.

/** Whether the browser reads QR codes by itself. */
export async function readsByItself() {
  const { BarcodeDetector } = /** @type {any} */ (globalThis);
  try {
    return (await BarcodeDetector?.getSupportedFormats())?.includes("qr_code") ?? false;
  } catch {
    return false;
  }
}

/** @param {string} address of our own reader @returns {Promise<Reader>} */
async function makeReader(address) {
  const scope = /** @type {any} */ (globalThis);
  if (await readsByItself()) {
    /** @type {Detector} */
    const detector = new scope.BarcodeDetector({ formats: ["qr_code"] });
    return async (image) => (await detector.detect(image))[0]?.rawValue ?? "";
  }
  await new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = done;
    script.onerror = () => failed(new Error("the reader cannot be loaded"));
    document.head.append(script);
  });
  return async (image) => {
    const context = /** @type {HTMLCanvasElement} */ (image).getContext("2d", { willReadFrequently: true });
    const { data, width, height } = /** @type {CanvasRenderingContext2D} */ (context)
      .getImageData(0, 0, image.width, image.height);
    try {
      return scope.QrReader.decodeQR({ data, width, height });
    } catch {
      return ""; // It says so where the picture has no code.
    }
  };
}

export class Camera {
  /** @param {HTMLVideoElement} video @param {string} reader its address @param {(text: string) => void} onText */
  constructor(video, reader, onText) {
    this.video = video;
    this.address = reader;
    this.onText = onText;
    this.canvas = document.createElement("canvas");
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {Reader | null} */
    this.reader = null;
    this.last = "";
    this.lastAt = 0;
  }

  /** Begin to look. Throws where there is no camera, or it may not be used. */
  async start() {
    this.stop();
    this.stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 } },
    });
    this.video.srcObject = this.stream;
    await this.video.play();
    this.reader ??= await makeReader(this.address);
    this.look(this.stream);
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  get track() {
    return this.stream?.getVideoTracks()[0];
  }

  hasTorch() {
    const able = /** @type {any} */ (this.track?.getCapabilities?.() ?? {});
    return Boolean(able.torch);
  }

  /** @param {boolean} on */
  async setTorch(on) {
    await this.track?.applyConstraints(/** @type {any} */ ({ advanced: [{ torch: on }] }));
  }

  /** @param {MediaStream} stream */
  async look(stream) {
    while (this.stream === stream) {
      if (!document.hidden && this.video.videoWidth) await this.read();
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  }

  async read() {
    const { video, canvas } = this;
    const scale = Math.min(1, SIDE_PIXELS_MAX / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d", { willReadFrequently: true })?.drawImage(video, 0, 0, canvas.width, canvas.height);
    const text = await this.reader?.(canvas) ?? "";
    if (!text) return;
    const isSame = text === this.last && Date.now() - this.lastAt < SAME_TICKET_MS;
    this.last = text;
    this.lastAt = Date.now();
    if (!isSame) this.onText(text);
  }
}
