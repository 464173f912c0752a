// @ts-check
// Whether this browser keeps our cookies. The session's own cookie is hidden from scripts, so another one is tried.
import { below } from "./addresses.js";
import { t } from "./text.js";

const TRIED = "admitone_kept";

export const NO_COOKIES = t("Please allow cookies for this site and reload: we need one to remember your place.");

export function keepsCookies() {
  try {
    document.cookie = `${TRIED}=1; path=${below("/")}; max-age=60; SameSite=Lax`;
    const kept = document.cookie.includes(`${TRIED}=1`);
    document.cookie = `${TRIED}=; path=${below("/")}; max-age=0; SameSite=Lax`;
    return kept;
  } catch {
    return false;
  }
}
