// @ts-check
// Messages to fans that were given up: why, and send them again.
import { call } from "./api.js";
import { $, make } from "./dom.js";
import { momentWords } from "./moments.js";
import { attempt, say, watchSession, watchSignIn } from "./operator.js";
import { count } from "./text.js";
import { plural } from "./words.js";

/** @import { DeadLetter, DeadLetterList, MessagesResent } from "../contract.d.ts" */

/** @param {string | null} messageId null: all */
async function resend(messageId) {
  await attempt("letters", async () => {
    const body = messageId ? { messageId } : {};
    const { resent } = /** @type {MessagesResent} */ (await call("POST", "/api/ops/messages/resend", { body }));
    await show();
    say(`${plural(resent, "message")} will be tried again.`, [], true);
  });
}

/** @param {DeadLetter} letter */
function line(letter) {
  const words = make("div");
  const when = letter.endedAt ? momentWords(letter.endedAt, "date") : "";
  words.append(
    make("b", `${letter.kind} by ${letter.channel} to ${letter.address}`),
    make("p", `${plural(letter.tries, "attempt")} until ${when}: ${letter.error}`, "muted small"),
  );
  const again = make("button", "Send again", "button plain");
  again.type = "button";
  again.setAttribute("aria-label", `Send again: ${letter.kind} to ${letter.address}`);
  again.addEventListener("click", () => resend(letter.messageId));
  const item = make("li");
  item.append(words, again);
  return item;
}

async function show() {
  const dead = /** @type {DeadLetterList} */ (await call("GET", "/api/ops/messages/dead"));
  $("dead-words").textContent = dead.count
    ? `${count(dead.count)} could not be delivered after all tries.`
    : "No message was given up.";
  $("dead").replaceChildren(...dead.messages.map(line));
  $("resend-all").hidden = !dead.count;
  $("sign-in").hidden = true;
  $("letters").hidden = false;
}

$("resend-all").addEventListener("click", () => resend(null));
watchSignIn(() => attempt("letters", show));
watchSession("letters");
attempt("letters", show);
