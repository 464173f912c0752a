// @ts-check
// What a gate's device keeps in the browser: its name, its list, and the scans that are not synced yet.

/** A ticket that was let in without a network. @typedef {{scanId: string, eventId: number, ticket: string, gate: string, scannedAt: string}} KeptScan */

const NAME = "admitone-scan";
const FACTS = "facts";
const SCANS = "scans";

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function answered(request) {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

/** A change is kept once its transaction is complete, and not before. @param {IDBTransaction} transaction @returns {Promise<void>} */
function complete(transaction) {
  return new Promise((done, failed) => {
    transaction.oncomplete = () => done();
    transaction.onerror = transaction.onabort = () => failed(transaction.error);
  });
}

export class GateStore {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /** @param {string} site what tells this site from another one of the same host */
  static async open(site) {
    const request = indexedDB.open(`${NAME}${site}`, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(FACTS);
      request.result.createObjectStore(SCANS, { keyPath: "scanId" });
    };
    return new GateStore(await answered(request));
  }

  /** @template T @param {string} name @returns {Promise<T | undefined>} */
  fact(name) {
    return answered(this.database.transaction(FACTS).objectStore(FACTS).get(name));
  }

  /** @param {string} name @param {unknown} value */
  setFact(name, value) {
    const transaction = this.database.transaction(FACTS, "readwrite");
    transaction.objectStore(FACTS).put(value, name);
    return complete(transaction);
  }

  /** The oldest first. @returns {Promise<KeptScan[]>} */
  async scans() {
    const scans = await answered(this.database.transaction(SCANS).objectStore(SCANS).getAll());
    return scans.sort((one, other) => one.scannedAt < other.scannedAt ? -1 : 1);
  }

  /** @param {KeptScan} scan */
  keep(scan) {
    const transaction = this.database.transaction(SCANS, "readwrite");
    transaction.objectStore(SCANS).put(scan);
    return complete(transaction);
  }

  /** @param {string[]} scanIds */
  drop(scanIds) {
    const transaction = this.database.transaction(SCANS, "readwrite");
    for (const scanId of scanIds) transaction.objectStore(SCANS).delete(scanId);
    return complete(transaction);
  }
}
