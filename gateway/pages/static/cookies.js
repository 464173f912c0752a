// @ts-check
// Whether this browser keeps our cookies. The session's own cookie is hidden from scripts, so another one is tried.

const TRIED = "admitone_kept";

export const NO_COOKIES =
  "This browser keeps no cookies for this site, so the site cannot know you again. Please allow cookies and reload.";

export function keepsCookies() {
  try {
    document.cookie = `${TRIED}=1; path=/; max-age=60; SameSite=Lax`;
    const kept = document.cookie.includes(`${TRIED}=1`);
    document.cookie = `${TRIED}=; path=/; max-age=0; SameSite=Lax`;
    return kept;
  } catch {
    return false;
  }
}
