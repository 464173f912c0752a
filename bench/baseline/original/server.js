/*
 * The design that Admit One began from, written well: Express; a hold is a key of each seat in Redis that is set only if it
 * is not there (SET NX); a checkout is one transaction in Postgres; a ticket is read from Postgres.
 *
 * node server.js PORT PROCESSES, with REDIS_URL and DATABASE_URL.
 *
 * It does less than Admit One: it believes the session without looking at its signature, asks Postgres nothing before it
 * holds, keeps no limits, no versions and no outcome for a repeated request, and asks for no captcha. All of this is in its
 * favour. Unlike the original it holds all seats or none, knows whose a hold is, and lets go of it only after COMMIT.
 */
import cluster from "node:cluster";
import { randomBytes, randomUUID } from "node:crypto";

import express from "express";
import pg from "pg";
import { createClient, defineScript } from "redis";

const HOLD_SECONDS = 600;
const PRICE = 8900;
const PORT = Number(process.argv[2]);
const PROCESSES = Number(process.argv[3]);
const CONNECTIONS_MAX = 10;

const hold = defineScript({
  NUMBER_OF_KEYS: undefined,
  SCRIPT: `
    for i = 2, #KEYS do
      if redis.call('SET', KEYS[i], ARGV[1], 'NX', 'EX', ARGV[3]) == false then
        for j = 2, i - 1 do redis.call('DEL', KEYS[j]) end
        return 0
      end
    end
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
    return 1
  `,
  parseCommand(parser, keys, ...args) {
    parser.pushKeysLength(keys);
    parser.push(...args);
  },
  transformReply: (reply) => reply,
});

function userOf(request) {
  const payload = (request.headers.authorization ?? "").split(".")[1];
  return payload ? JSON.parse(Buffer.from(payload, "base64url").toString()).sub : "";
}

function seatsOf(details) {
  const seats = { types: [], rows: [], numbers: [] };
  for (const { ticketTypeId, metaData } of details) {
    metaData.rowNumbers.forEach((row, index) => {
      seats.types.push(ticketTypeId);
      seats.rows.push(row);
      seats.numbers.push(metaData.seatNumbers[index]);
    });
  }
  return seats;
}

const keysOf = (eventId, { types, rows, numbers }) =>
  types.map((type, index) => `seat:${eventId}:${type}:${rows[index]}:${numbers[index]}`);

async function serve() {
  const redis = createClient({ url: process.env.REDIS_URL, scripts: { hold } });
  redis.on("error", (error) => console.error(error));
  await redis.connect();
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: CONNECTIONS_MAX });
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.use(express.json({ limit: "4kb" }));

  app.post("/api/reserve", async (request, response) => {
    const { eventId, seatDetails } = request.body;
    const userId = userOf(request);
    const seats = seatsOf(seatDetails);
    const reservationId = randomUUID();
    const document = JSON.stringify({ userId, eventId, ...seats });
    const keys = [`hold:${reservationId}`, ...keysOf(eventId, seats)];
    if (!(await redis.hold(keys, userId, document, String(HOLD_SECONDS)))) {
      response.status(409).json({ status: "failed", code: "seats_taken" });
      return;
    }
    response.json({ status: "succeeded", reservationId, totalAmount: PRICE * seats.types.length });
  });

  app.post("/api/checkout", async (request, response) => {
    const { eventId, reservationId } = request.body;
    const userId = userOf(request);
    const held = JSON.parse(await redis.get(`hold:${reservationId}`));
    if (held === null || held.userId !== userId || held.eventId !== eventId) {
      response.status(409).json({ status: "failed", code: "hold_expired" });
      return;
    }
    const purchaseId = randomUUID();
    const total = PRICE * held.types.length;
    const codes = held.types.map(() => randomBytes(10).toString("hex"));
    const connection = await pool.connect();
    try {
      await connection.query("BEGIN");
      const sold = await connection.query({
        name: "sell",
        text: `
          UPDATE seat s SET status = 'booked'
            FROM unnest($2::int[], $3::int[], $4::int[]) AS k (ticket_type_id, row_number, seat_number)
           WHERE s.event_id = $1 AND s.ticket_type_id = k.ticket_type_id AND s.row_number = k.row_number
             AND s.seat_number = k.seat_number AND s.status <> 'booked'`,
        values: [eventId, held.types, held.rows, held.numbers],
      });
      if (sold.rowCount !== held.types.length) {
        await connection.query("ROLLBACK");
        response.status(409).json({ status: "failed", code: "seats_taken" });
        return;
      }
      await connection.query({
        name: "purchase",
        text: `
          WITH made AS (
            INSERT INTO purchase (event_id, purchase_id, user_id, reservation_id, total_amount, currency, purchase_at)
            VALUES ($1, $2, $3, $4, $5, 'EUR', now()) RETURNING event_id, purchase_id
          )
          INSERT INTO purchase_detail (event_id, purchase_id, ticket_type_id, row_number, seat_number, amount, ticket_code)
          SELECT made.event_id, made.purchase_id, k.type, k.row_number, k.seat_number, $6, k.code
            FROM made, unnest($7::int[], $8::int[], $9::int[], $10::text[]) AS k (type, row_number, seat_number, code)`,
        values: [
          eventId, purchaseId, userId, reservationId, total, PRICE, held.types, held.rows, held.numbers, codes,
        ],
      });
      await connection.query({
        name: "count",
        text: "UPDATE ticket SET available_count = available_count - $3 WHERE event_id = $1 AND ticket_type_id = $2",
        values: [eventId, held.types[0], held.types.length],
      });
      await connection.query("COMMIT");
    } catch (error) {
      await connection.query("ROLLBACK");
      throw error;
    } finally {
      connection.release();
    }
    await redis.del([`hold:${reservationId}`, ...keysOf(eventId, held)]);
    response.json({ status: "succeeded", purchaseId, totalAmount: total });
  });

  app.get("/", (request, response) => response.json({ ok: true }));

  app.get("/api/purchases/:purchaseId", async (request, response) => {
    const { rows } = await pool.query({
      name: "ticket",
      text: `
        SELECT p.total_amount, p.currency, p.purchase_at, d.ticket_type_id, d.row_number, d.seat_number, d.ticket_code
          FROM purchase p JOIN purchase_detail d USING (purchase_id, event_id)
         WHERE p.purchase_id = $1 AND p.user_id = $2`,
      values: [request.params.purchaseId, userOf(request)],
    });
    if (rows.length === 0) {
      response.status(404).json({ code: "not_found" });
      return;
    }
    response.json({ purchaseId: request.params.purchaseId, tickets: rows });
  });

  app.listen(PORT, "127.0.0.1", 16384);
}

if (PROCESSES > 1 && cluster.isPrimary) {
  for (let number = 0; number < PROCESSES; number += 1) cluster.fork();
} else {
  await serve();
}
