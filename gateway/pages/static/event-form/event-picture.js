// @ts-check
// The event's picture: uploaded as soon as it is chosen, shown, and given to the event with the form's other fields.
import { below } from "../addresses.js";
import { Problem } from "../api.js";
import { $, inputOf, make } from "../dom.js";
import { input } from "./form.js";

/** @import { PictureAnswer } from "../../contract.d.ts" */

/** Show the picture that the form names. */
export function showPicture() {
  const hash = input("pictureHash").value;
  $("picture-remove").hidden = !hash;
  $("picture-shown").replaceChildren();
  if (!hash) return;
  const picture = make("img", "", "picture");
  picture.src = below(`/pictures/${hash}-small.webp`);
  picture.alt = input("pictureAlt").value || "The event’s picture";
  $("picture-shown").append(picture);
}

export function removePicture() {
  input("pictureHash").value = "";
  showPicture();
}

/** Send the field's file; the server writes it anew and gives it a name. @param {HTMLInputElement} field @param {string} [query] @returns {Promise<PictureAnswer>} */
export async function sendPicture(field, query = "") {
  const file = field.files?.[0];
  if (!file) throw new Error("no file is chosen");
  const headers = { "Content-Type": file.type || "application/octet-stream", Accept: "application/json" };
  const response = await fetch(below(`/api/ops/pictures${query}`), { method: "POST", body: file, headers });
  const answer = await response.json();
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

/** Send the chosen file, which is cut. */
export async function upload() {
  const field = inputOf("picture-file");
  if (!field.files?.length) return;
  $("picture-said").textContent = "Uploading…";
  try {
    const { hash, height, width } = await sendPicture(field);
    input("pictureHash").value = hash;
    showPicture();
    $("picture-said").textContent = `Cut to ${width} × ${height} pixels. Save the event to show it.`;
  } catch (error) {
    $("picture-said").textContent = "";
    throw error;
  } finally {
    // Emptied, for to choose the same file again would be no change of this field.
    field.value = "";
  }
}
