// @ts-check
// A venue's clock in fields of a form: what it shows at a moment, and which moment it shows.

const DAY_MS = 86_400_000;

/** A moment by a zone's clock, as a datetime-local field has it. @param {string | number} moment @param {string} zone IANA's name */
export function localIn(moment, zone) {
  // Swedish writes dates as ISO 8601 does.
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" });
  return format.format(new Date(moment)).replace(" ", "T");
}

/**
 * The moments at which a zone's clock shows this, the earlier first: two where the clocks go back and it comes twice,
 * none where they go forward and it never comes, and where there is no such zone.
 * @param {string} local as a datetime-local field has it @param {string} zone IANA's name @returns {string[]}
 */
export function momentsIn(local, zone) {
  /** @type {Set<string>} */
  const moments = new Set();
  if (!local || !isZone(zone)) return [];
  const shown = local.slice(0, 16);
  const asUtc = Date.parse(`${shown}Z`);
  for (const near of [asUtc - DAY_MS, asUtc + DAY_MS]) {
    const offsetMs = Date.parse(`${localIn(near, zone)}Z`) - near;
    if (localIn(asUtc - offsetMs, zone) === shown) moments.add(new Date(asUtc - offsetMs).toISOString());
  }
  return [...moments];
}

/** @param {string} zone */
export function isZone(zone) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: zone }));
  } catch {
    return false;
  }
}

/** The zones that this browser knows; none in an older one, which lets them be typed. @returns {string[]} */
export const zones = () => Intl.supportedValuesOf?.("timeZone") ?? [];
